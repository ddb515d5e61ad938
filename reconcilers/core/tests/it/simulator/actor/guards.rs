//! What stands against acting, as `src/guards.rs` and its parts tell it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use trueup_core::decide::{FIGHT_WRITES, Ground, Guards, Held, HeldPlace, Scope};
use trueup_core::finding::{Divergence, Finding, Place};
use trueup_core::object::ObjectId;
use trueup_core::run::RunId;

use super::Judged;
use crate::simulator::mutations::Mutation;
use crate::simulator::world::{SOURCE, World};

const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// How the reference stands to the commit by which rounds acted last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Onward {
    Forward,
    Same,
    Rewritten,
}

pub fn onward(world: &World, commit: usize) -> Onward {
    let Some(last) = world.disk.standing.last_commit(SOURCE, "main") else { return Onward::Forward };
    let last = usize::from_str_radix(last, 16).expect("a commit of the world");
    match () {
        () if last == commit => Onward::Same,
        () if world.source.descends(commit, last) || world.is_broken(Mutation::FollowsAnyHistory) => Onward::Forward,
        () => Onward::Rewritten,
    }
}

pub fn of(world: &World, judged: &Judged) -> Guards {
    let (standing, now) = (&world.disk.standing, world.now());
    let mut guards = Guards::none(Ground::Cluster);
    guards.leases = standing.people().granted();
    if !world.is_broken(Mutation::HearsNoHold) {
        guards.holds = standing.people().holds_in(&World::target());
    }
    if onward(world, judged.commit) == Onward::Rewritten {
        guards.holds.push(Held { scope: Scope::Target, reason: "the history was rewritten".to_owned(), until: None });
    }
    for (place, hold) in standing.holds() {
        let findings = hold.findings.iter().cloned().collect();
        guards.held.insert(place.clone(), HeldPlace { reason: hold.reason.clone(), findings });
    }
    if !world.is_broken(Mutation::CountsNoFights) {
        guards.recent_writes = fights(world, judged);
    }
    if !world.is_broken(Mutation::CountsNoWrites) {
        for write in standing.writes_since(now - HOUR) {
            for class in &write.classes {
                *guards.class_writes.entry(class.clone()).or_default() += 1;
            }
            guards.target_writes += 1;
            *guards.namespace_writes.entry(write.namespace.clone()).or_default() += 1;
        }
    }
    for refusal in standing.inadmissible_since(now - DAY) {
        guards.inadmissible.extend(refusal.findings.iter().map(|finding| (finding.clone(), refusal.message.clone())));
    }
    guards.denied = standing.denied().values().flatten().cloned().collect();
    guards
}

/// The places that somebody writes back each time. No time of the last writer is known here, so each counts as written soon.
fn fights(world: &World, judged: &Judged) -> BTreeMap<Place, u32> {
    let fights = world.disk.standing.fights(FIGHT_WRITES as usize, HOUR);
    let fought = |finding: &Finding| {
        let fight = fights.get(&finding.place)?;
        let count = u32::try_from(fight.times.len()).expect("few writes");
        wants(judged, finding, &fight.value).then(|| (finding.place.clone(), count))
    };
    judged.findings().filter_map(fought).collect()
}

fn wants(judged: &Judged, finding: &Finding, written: &serde_json::Value) -> bool {
    let Divergence::Field(drift) = &finding.difference.divergence else { return false };
    let case = judged.cases.iter().find(|case| case.findings.iter().any(|one| one.id == finding.id));
    drift.wants(case.map(|case| &case.pair), written)
}

/// Holds every finding of the objects on which an earlier run's effect is not known yet.
pub fn hold_unresolved(guards: &mut Guards, judged: &Judged, unresolved: &BTreeMap<ObjectId, RunId>) {
    for (object, run) in unresolved {
        for finding in judged.case_of(object).iter().flat_map(|case| &case.findings) {
            let reason = format!("what came of run {run} is not known yet");
            let held = HeldPlace { reason, findings: BTreeSet::from([finding.id.clone()]) };
            guards.held.insert(finding.place.clone(), held);
        }
    }
}
