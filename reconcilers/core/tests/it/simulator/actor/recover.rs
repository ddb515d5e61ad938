//! What an earlier process left unfinished, as `src/act/recover.rs` completes it; what a reading tells is core's own.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use trueup_core::decide::Guards;
use trueup_core::facts::Pair;
use trueup_core::finding::Subject;
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::run::{
    Due, Effect, Entry, Outcome, Outlook, PatchEffect, Resolution, Run, RunId, RunStatus, is_to_be_sighted, may_still_land,
    resolve_after,
};

use super::guards;
use super::{Judged, held_by_now, managed};
use crate::simulator::mutations::Mutation;
use crate::simulator::server::Object;
use crate::simulator::world::{Cut, World};

/// For so long a request may be under way.
const IN_FLIGHT: SignedDuration = SignedDuration::from_secs(120);

/// The guards of the target, and the objects on which an earlier run's effect is not known yet.
pub fn guarded(world: &mut World, judged: &Judged) -> Result<(Guards, BTreeMap<ObjectId, RunId>), Cut> {
    let mut guards = guards::of(world, judged);
    if guards.held_by_people(None, [], world.now()).is_some() {
        return Ok((guards, BTreeMap::new()));
    }
    let before = world.disk.records.len();
    let unresolved = recover(world, judged)?;
    if world.disk.records.len() > before {
        guards = guards::of(world, judged);
    }
    guards::hold_unresolved(&mut guards, judged, &unresolved);
    Ok((guards, unresolved))
}

fn recover(world: &mut World, judged: &Judged) -> Result<BTreeMap<ObjectId, RunId>, Cut> {
    let mut unresolved = BTreeMap::new();
    note(world)?;
    let open: Vec<Run> = world.disk.runs.all().iter().filter(|run| run.due() != Due::Nothing).cloned().collect();
    for run in &open {
        let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { continue };
        let entries = match run.due() {
            Due::Nothing | Due::Fate => continue,
            _ if held_by_now(world, Some(id), &run.intent.places).is_some() => Vec::new(),
            Due::Resolution | Due::Verification => completed(world, judged, run, (id, effect))?,
        };
        let is_told = entries.iter().any(|entry| !matches!(entry, Entry::Outcome { outcome: Outcome::Unknown { .. }, .. }));
        if !is_told && run.due() == Due::Resolution {
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
    note(world)?;
    Ok(unresolved)
}

/// Notes which runs were taken back, where that was cut off or is known just now.
fn note(world: &mut World) -> Result<(), Cut> {
    let runs = world.disk.runs.all();
    let mut noted = BTreeSet::new();
    let not_noted = runs.iter().filter_map(|run| Some((not_noted(runs, run)?, run.intent.run.clone())));
    let entries: Vec<Entry> =
        not_noted.filter(|(run, _)| noted.insert(run.clone())).map(|(run, by)| Entry::Undone { run, by }).collect();
    entries.iter().try_for_each(|entry| world.append(entry).map(drop))
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
    // Where nothing was looked at, nobody can look whether a difference is gone.
    let is_seen = !judged.cases.is_empty();
    if run.due() == Due::Verification && !is_seen {
        return Ok(Vec::new());
    }
    let Ok(object) = world.read(id)? else { return Ok(Vec::new()) };
    let looked = |object: Option<&Object>| {
        let outlook = outlook(judged, run, (id, effect), object);
        Entry::Verification { run: run.intent.run.clone(), outlook, why: None }
    };
    if run.due() == Due::Verification {
        return Ok(vec![looked(object.as_ref())]);
    }
    let now = world.now();
    let mut live = object.as_ref().map(managed);
    if let Some(live) = live.as_mut().filter(|_| world.is_broken(Mutation::TakesAnyValuesForItsOwn)) {
        live.owners[0].fields.paths.extend(run.intent.paths.iter().filter_map(|path| path.parse().ok()));
        live.owners[0].fields.paths.sort();
    }
    let is_under_way = may_still_land(run, now, IN_FLIGHT);
    let outcome = match resolve_after(live.as_ref(), (run, effect), world.disk.runs.all(), is_under_way) {
        Resolution::TooEarly if is_to_be_sighted(run, now, IN_FLIGHT) => {
            Outcome::Unknown { reason: "nothing is seen of it".to_owned() }
        }
        Resolution::TooEarly => return Ok(Vec::new()),
        Resolution::NoEffect => Outcome::Void { reason: "it had no effect".to_owned() },
        Resolution::Undetermined(reason) if world.is_broken(Mutation::TakesLostWritesForNone) => {
            Outcome::Void { reason: reason.to_owned() }
        }
        Resolution::Undetermined(reason) => Outcome::Undetermined { reason: reason.to_owned() },
        Resolution::Applied => {
            let resource_version = object.as_ref().map(|object| object.version.to_string());
            Outcome::Applied { resource_version, warnings: Vec::new() }
        }
    };
    let applied = matches!(outcome, Outcome::Applied { .. });
    let mut entries = vec![Entry::Outcome { run: run.intent.run.clone(), outcome }];
    if applied && is_seen {
        entries.push(looked(object.as_ref()));
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
