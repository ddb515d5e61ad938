//! What must hold of the ledger.

use std::collections::BTreeSet;

use trueup_core::decide::{DecisionRecord, Replayed};
use trueup_core::finding::Place;
use trueup_core::run::{Area, Entry, Ruled};

use super::{Findings, Invariant};
use crate::simulator::source::name;
use crate::simulator::world::World;

pub fn check(world: &World, findings: &mut Findings) {
    let records = &world.disk.records;
    for acknowledged in &world.disk.acknowledged {
        let kept = usize::try_from(acknowledged.seq - 1).ok().and_then(|at| records.get(at));
        let is_kept = kept
            .is_some_and(|kept| kept.entry.kind() == acknowledged.entry.kind() && kept.entry.run() == acknowledged.entry.run());
        findings
            .look(Invariant::Ledger, is_kept, || format!("record {} is gone: {:?}", acknowledged.seq, acknowledged.entry.kind()));
    }
    let from = findings.records.min(records.len());
    findings.records = records.len();
    for record in &records[from..] {
        if let Entry::Decided(decided) = &record.entry {
            replay(decided, findings);
        }
        if let Entry::Intent(intent) = &record.entry {
            pinned(world, record.seq, &intent.commit, findings);
        }
    }
    told_once(world, findings);
}

/// I17, at the end: "after any crash the readable ledger is a prefix plus at most one detectably torn record".
pub fn kept_whole(world: &World, findings: &mut Findings) {
    for acknowledged in &world.disk.acknowledged {
        let kept = usize::try_from(acknowledged.seq - 1).ok().and_then(|at| world.disk.records.get(at));
        let same = kept.is_some_and(|kept| kept.entry == acknowledged.entry);
        findings.look(Invariant::Ledger, same, || format!("record {} reads as another one", acknowledged.seq));
    }
}

/// I16: "decide(recorded inputs of d) = d byte for byte".
fn replay(decided: &DecisionRecord, findings: &mut Findings) {
    let again = decided.replay();
    findings.look(Invariant::Replay, again == Replayed::Same, || format!("decided again: {again:?}"));
}

/// I18: "all decisions of a pass use one c; c only moves to descendants unless acknowledged".
fn pinned(world: &World, seq: u64, commit: &str, findings: &mut Findings) {
    let Some(round) = world.notes.rounds.iter().rev().find(|round| round.from <= seq) else { return };
    findings.look(Invariant::Pinning, name(round.commit) == commit, || {
        format!("record {seq} is by {commit}, and its round by {}", round.commit)
    });
    let last = world.disk.records.iter().take_while(|record| record.seq < round.from).filter_map(|record| match &record.entry {
        Entry::Pin(pin) => Some(&pin.commit),
        Entry::Ruling(ruling) => match &ruling.what {
            Ruled::History { to, .. } => Some(to),
            _ => None,
        },
        _ => None,
    });
    let Some(last) = last.last().and_then(|last| usize::from_str_radix(last, 16).ok()) else { return };
    // A person may accept what there is by now while this round goes on.
    let accepted = world.disk.records.iter().any(|record| {
        (round.from..seq).contains(&record.seq)
            && matches!(&record.entry, Entry::Ruling(ruling) if matches!(&ruling.what, Ruled::History { .. }))
    });
    let follows = world.source.descends(round.commit, last) || accepted;
    findings.look(Invariant::Pinning, follows, || format!("commit {} does not follow {last}", round.commit));
}

/// I10: "then frozen + exactly one escalation".
fn told_once(world: &World, findings: &mut Findings) {
    let mut told: BTreeSet<&Place> = BTreeSet::new();
    let mut holds = true;
    for record in &world.disk.records {
        match &record.entry {
            Entry::Escalation(escalation) => holds &= told.insert(&escalation.place),
            Entry::EpisodeEnded { places, .. } => told.retain(|place| !places.contains(place)),
            Entry::Ruling(ruling) => {
                if let Ruled::Resume { area: Area::Place(spot) } = &ruling.what {
                    told.remove(&spot.place);
                }
            }
            _ => {}
        }
    }
    findings.look(Invariant::NoFight, holds, || "people were told twice in an episode".to_owned());
}
