//! What must hold at the forge.

use std::collections::{BTreeMap, BTreeSet};

use trueup_core::finding::{FindingId, Place};
use trueup_core::run::{Area, Entry, Ruled};

use super::{Findings, Invariant};
use crate::simulator::forge::{Edit, PullRequest, State};
use crate::simulator::world::World;

/// What was seen at the forge by now.
#[derive(Debug, Default)]
pub struct Pulls {
    seen: usize,
    /// By how many rounds each was there.
    opened: BTreeMap<u64, usize>,
    /// Closed unmerged by people, with the number of records by then.
    closed: BTreeMap<u64, usize>,
}

/// I5: "at all times open(place) <= 1; opened(place) <= 1 in one episode […] unless a human reopens".
pub fn check(world: &World, findings: &mut Findings) {
    let open = world.forge.pulls.iter().filter(|pull| pull.state == State::Open);
    let mut places: BTreeSet<&Place> = BTreeSet::new();
    let once = open.flat_map(|pull| &pull.edits).all(|edit| places.insert(&edit.place));
    findings.look(Invariant::OneProposal, once, || format!("{:?}", world.forge.pulls));
    let records = world.disk.records.len();
    for pull in &world.forge.pulls[findings.pulls.seen..] {
        let is_again = |earlier: &&PullRequest| {
            let Some(since) = findings.pulls.closed.get(&earlier.number) else { return false };
            pull.edits.iter().any(|edit| {
                let asked = earlier.edits.iter().any(|other| other.place == edit.place && other.fingerprint == edit.fingerprint);
                let by = findings.pulls.opened.get(&earlier.number).copied().unwrap_or_default();
                asked && !is_free(world, *since, &edit.place, &edit.fingerprint) && !is_seen_true(world, by, edit)
            })
        };
        let again = world.forge.pulls.iter().find(is_again).map(|again| again.number);
        *findings.checks.entry(Invariant::OneProposal).or_default() += 1;
        if let Some(number) = again {
            let how = format!("{} asks again what people closed as {number}", pull.number);
            findings.violations.push(super::Violation { invariant: Invariant::OneProposal, how });
        }
    }
    for pull in &world.forge.pulls[findings.pulls.seen..] {
        findings.pulls.opened.insert(pull.number, world.notes.rounds.len());
    }
    findings.pulls.seen = world.forge.pulls.len();
    for pull in world.forge.pulls.iter().filter(|pull| pull.state == State::Closed) {
        findings.pulls.closed.entry(pull.number).or_insert(records);
    }
}

/// Whether a round was shown the object without that difference since: then its episode is over, also where no record says so, as
/// people closed the proposal while the program was about to withdraw it.
fn is_seen_true(world: &World, since: usize, edit: &Edit) -> bool {
    let path = edit.path.to_string();
    world.notes.rounds.iter().skip(since).any(|round| {
        let said = round.judged.get(&edit.object).and_then(|(_, said)| said.as_ref());
        said.is_some_and(|said| !said.iter().any(|(found, _)| *found == path))
    })
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
