//! What must hold at the forge.

use std::collections::{BTreeMap, BTreeSet};

use trueup_core::finding::{FindingId, Place};
use trueup_core::run::{Area, Entry, Ruled};

use super::{Findings, Invariant};
use crate::simulator::forge::State;
use crate::simulator::world::World;

/// What was seen at the forge by now.
#[derive(Debug, Default)]
pub struct Pulls {
    seen: usize,
    /// Closed unmerged by people, with the number of records by then.
    closed: BTreeMap<u64, usize>,
}

/// I5: "at all times open(place) <= 1; opened(place) <= 1 in one episode […] unless a human reopens".
pub fn check(world: &World, findings: &mut Findings) {
    let open = world.forge.pulls.iter().filter(|pull| pull.state == State::Open);
    let mut places: BTreeSet<&Place> = BTreeSet::new();
    let once = open.into_iter().all(|pull| places.insert(&pull.edit.place));
    findings.look(Invariant::OneProposal, once, || format!("{:?}", world.forge.pulls));
    let records = world.disk.records.len();
    for pull in &world.forge.pulls[findings.pulls.seen..] {
        let again = world.forge.pulls.iter().find(|earlier| {
            let since = findings.pulls.closed.get(&earlier.number);
            earlier.edit.place == pull.edit.place
                && earlier.edit.fingerprint == pull.edit.fingerprint
                && since.is_some_and(|since| !is_free(world, *since, &pull.edit.place, &pull.edit.fingerprint))
        });
        let number = again.map(|again| again.number);
        *findings.checks.entry(Invariant::OneProposal).or_default() += 1;
        if let Some(number) = number {
            let how = format!("{} asks again what people closed as {number}", pull.number);
            findings.violations.push(super::Violation { invariant: Invariant::OneProposal, how });
        }
    }
    findings.pulls.seen = world.forge.pulls.len();
    for pull in world.forge.pulls.iter().filter(|pull| pull.state == State::Closed) {
        findings.pulls.closed.entry(pull.number).or_insert(records);
    }
}

/// Whether an episode ended there since, or a person wants it asked again.
fn is_free(world: &World, since: usize, place: &Place, fingerprint: &FindingId) -> bool {
    world.disk.records.iter().skip(since).any(|record| match &record.entry {
        Entry::EpisodeEnded { places, .. } => places.contains(place),
        Entry::Ruling(ruling) => match &ruling.what {
            Ruled::Resume { area: Area::Place(spot) } => spot.place == *place,
            Ruled::Approve(given) => given.spot.place == *place && given.finding == *fingerprint,
            _ => false,
        },
        _ => false,
    })
}
