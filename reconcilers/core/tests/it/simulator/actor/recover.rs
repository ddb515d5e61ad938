//! What an earlier process left unfinished, as `src/act/recover.rs` and `src/act/resolve.rs` complete it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::Guards;
use trueup_core::facts::Pair;
use trueup_core::finding::Subject;
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::run::{Due, Effect, Entry, Outcome, Outlook, PatchEffect, Run, RunId, RunStatus};

use super::guards;
use super::{Judged, held_by_now};
use crate::simulator::mutations::Mutation;
use crate::simulator::server::Object;
use crate::simulator::world::{Cut, World};

/// For so long a request may be under way.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(120);

pub fn guarded(world: &mut World, judged: &Judged) -> Result<Guards, Cut> {
    let mut guards = guards::of(world, judged);
    if guards.held_by_people(None, [], world.now()).is_some() {
        return Ok(guards);
    }
    let before = world.disk.records.len();
    let unresolved = recover(world, judged)?;
    if world.disk.records.len() > before {
        guards = guards::of(world, judged);
    }
    guards::hold_unresolved(&mut guards, judged, &unresolved);
    Ok(guards)
}

fn recover(world: &mut World, judged: &Judged) -> Result<BTreeMap<ObjectId, RunId>, Cut> {
    let (mut unresolved, mut noted) = (BTreeMap::new(), BTreeSet::new());
    let runs = world.disk.runs.all().to_vec();
    for run in &runs {
        if let Some(undone) = not_noted(&runs, run).filter(|undone| noted.insert(undone.clone())) {
            world.append(&Entry::Undone { run: undone, by: run.intent.run.clone() })?;
        }
        let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { continue };
        let entries = match run.due() {
            Due::Nothing | Due::Fate => continue,
            _ if held_by_now(world, Some(id), &run.intent.places).is_some() => Vec::new(),
            Due::Resolution | Due::Verification => completed(world, judged, run, (id, effect))?,
        };
        if entries.is_empty() && run.due() == Due::Resolution {
            unresolved.insert(id.clone(), run.intent.run.clone());
        }
        for entry in entries {
            let is_news = !matches!(
                (&run.status, &entry),
                (RunStatus::Verified(last), Entry::Verification { outlook, .. }) if last == outlook
            );
            if is_news {
                world.append(&entry)?;
            }
        }
    }
    Ok(unresolved)
}

/// The run that this one took back, where it was cut off before that was noted.
fn not_noted(runs: &[Run], run: &Run) -> Option<RunId> {
    let Effect::Patch(effect) = &run.intent.effect else { return None };
    let is_done = |status: &RunStatus| matches!(status, RunStatus::Applied { .. } | RunStatus::Verified(_));
    let back = effect.takes_back.as_ref().filter(|_| is_done(&run.status))?;
    let earlier = runs.iter().find(|earlier| earlier.intent.run == *back)?;
    is_done(&earlier.status).then(|| back.clone())
}

fn completed(world: &mut World, judged: &Judged, run: &Run, (id, effect): (&ObjectId, &PatchEffect)) -> Result<Vec<Entry>, Cut> {
    if world.is_broken(Mutation::ResolvesNothing) {
        return Ok(Vec::new());
    }
    let Ok(live) = world.read(id)? else { return Ok(Vec::new()) };
    let looked = |live: Option<&Object>| {
        let outlook = outlook(judged, run, (id, effect), live);
        Entry::Verification { run: run.intent.run.clone(), outlook, why: None }
    };
    if run.due() == Due::Verification {
        return Ok(vec![looked(live.as_ref())]);
    }
    let now = world.now();
    let outcome = match live.as_ref().map(|live| resolve(live, effect, may_still_land(run.begun, now))) {
        None => Outcome::Void { reason: "the object is gone".to_owned() },
        Some(Resolution::TooEarly) => return Ok(Vec::new()),
        Some(Resolution::MovedOn | Resolution::NoEffect) => Outcome::Void { reason: "it had no effect".to_owned() },
        Some(Resolution::Applied(version)) => Outcome::Applied { resource_version: Some(version), warnings: Vec::new() },
    };
    let applied = matches!(outcome, Outcome::Applied { .. });
    let mut entries = vec![Entry::Outcome { run: run.intent.run.clone(), outcome }];
    if applied {
        entries.push(looked(live.as_ref()));
    }
    Ok(entries)
}

fn outlook(judged: &Judged, run: &Run, (id, effect): (&ObjectId, &PatchEffect), live: Option<&Object>) -> Outlook {
    let Some(live) = live.filter(|live| Some(&live.uid) == effect.uid.as_ref()) else { return Outlook::Drifting };
    let is_true = judged.case_of(id).is_some_and(|case| {
        let is_seen = matches!(case.pair, Pair::Matched(_));
        is_seen && !case.findings.iter().any(|finding| run.intent.places.contains(&finding.place))
    });
    if is_true || changes_nothing(&live.value, &effect.patch) { Outlook::Settled } else { Outlook::Drifting }
}

/// Whether a write may land yet, by the clock on the wall: no other one outlasts the process.
pub fn may_still_land(sent: Timestamp, now: Timestamp) -> bool {
    now.duration_since(sent) < IN_FLIGHT
}

/// What a reading tells about a write whose answer was lost.
pub enum Resolution {
    Applied(String),
    NoEffect,
    MovedOn,
    TooEarly,
}

pub fn resolve(live: &Object, effect: &PatchEffect, may_still_land: bool) -> Resolution {
    let version = live.version.to_string();
    match () {
        () if Some(&live.uid) != effect.uid.as_ref() => Resolution::NoEffect,
        () if Some(&version) == effect.resource_version.as_ref() && may_still_land => Resolution::TooEarly,
        () if Some(&version) == effect.resource_version.as_ref() => Resolution::NoEffect,
        () if changes_nothing(&live.value, &effect.patch) => Resolution::Applied(version),
        () => Resolution::MovedOn,
    }
}
