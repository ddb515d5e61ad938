//! What an earlier process left unfinished: a run whose effect is not known is resolved by reading, and one that nobody has
//! looked at since is looked at. Whoever writes does this first.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use trueup_core::decide::Guards;
use trueup_core::facts::{Live, Pair};
use trueup_core::finding::Subject;
use trueup_core::health::Change;
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::policy::Policy;
use trueup_core::run::{
    Due, Effect, Entry, Intent, Outcome, Outlook, PatchEffect, Resolution, Rollback, Run, RunId, RunStatus, Unanswered, Validate,
    is_to_be_sighted, may_still_land, resolve_after,
};

use super::attempt::hand_back;
use super::verify::since;
use crate::failure::Failure;
use crate::guards;
use crate::ledger::{Ledger, LedgerError};
use crate::session::Session;
use crate::source::Pinned;
use crate::target::Judged;

/// What came of looking after unfinished runs.
#[derive(Debug, Default)]
struct Recovered {
    /// How many records were made.
    records: usize,
    /// Objects on which a run's effect is still not known, each with that run.
    unresolved: BTreeMap<ObjectId, RunId>,
    /// Runs whose write made something worse, and was not taken back.
    worse: Vec<Rollback>,
}

/// The guards of a target, once what an earlier process left unfinished there is known.
#[derive(Debug)]
pub struct Guarded {
    /// What stands against acting.
    pub guards: Guards,
    /// Runs whose write made something worse, and was not taken back.
    pub worse: Vec<Rollback>,
    /// Objects on which a run's effect is still not known, each with that run: they are left alone.
    pub unresolved: BTreeMap<ObjectId, RunId>,
}

/// The guards of a target. Which cluster it is comes first: what an earlier process left unfinished is resolved on the very
/// same one, and objects of which that cannot be told yet are left alone.
///
/// # Errors
/// When the ledger cannot be read or appended to, or the cluster is another one.
pub async fn guarded(session: &Session, ledger: &Ledger, seen: (&Judged, &Policy, &Pinned)) -> Result<Guarded, Failure> {
    let (judged, now) = (seen.0, Timestamp::now());
    let mut guards = guards::of(session, ledger, seen, now).await?;
    if guards.frozen.is_some() || guards.held_by_people(None, [], now).is_some() {
        return Ok(Guarded { guards, worse: Vec::new(), unresolved: BTreeMap::new() });
    }
    let Recovered { records, unresolved, worse } = recover(ledger, judged, &guards, now).await.map_err(Failure::usage)?;
    if records > 0 {
        guards = guards::of(session, ledger, seen, Timestamp::now()).await?;
    }
    guards::hold_unresolved(&mut guards, judged, &unresolved);
    Ok(Guarded { guards, worse, unresolved })
}

/// Completes the unfinished patches of one target. What cannot be told stays as it is, and is asked again next round; so
/// does what a person holds, as a field that goes back to its owner is a write.
///
/// # Errors
/// When the ledger cannot be read or appended to.
async fn recover(ledger: &Ledger, judged: &Judged, guards: &Guards, now: Timestamp) -> Result<Recovered, LedgerError> {
    let mut recovered = Recovered { records: note(ledger, judged).await?, ..Recovered::default() };
    let runs = ledger.runs().await?;
    for run in runs.iter().filter(|run| run.intent.target == judged.name) {
        let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { continue };
        let completed = match run.due() {
            Due::Nothing | Due::Fate => continue,
            _ if guards.held_by_people(Some(id), &run.intent.places, now).is_some() => Completed::default(),
            Due::Resolution | Due::Verification => completed((ledger, now), judged, (run, &runs), (id, effect)).await?,
        };
        if !completed.is_told && run.due() == Due::Resolution {
            recovered.unresolved.insert(id.clone(), run.intent.run.clone());
        }
        recovered.records += completed.records;
        recovered.worse.extend(completed.rollback);
    }
    recovered.records += note(ledger, judged).await?;
    // What takes something back may still be on its way to the same object: it is known first what came of that.
    let is_free = |id: &ObjectId| !recovered.unresolved.keys().any(|other| other.same_object(id));
    let is_ready = |rollback: &Rollback| match runs.iter().find(|run| run.intent.run == *rollback.run()) {
        Some(Run { intent: Intent { subject: Subject::Object(id), .. }, .. }) => is_free(id),
        Some(_) | None => true,
    };
    let worse = std::mem::take(&mut recovered.worse).into_iter().filter(is_ready).collect();
    Ok(Recovered { worse, ..recovered })
}

/// Notes which runs were taken back, where that was cut off or is known just now; how many records that took.
async fn note(ledger: &Ledger, judged: &Judged) -> Result<usize, LedgerError> {
    // Several runs may take one back, by a ledger of an earlier trueup: it is noted once.
    let mut noted = BTreeSet::new();
    let runs = ledger.runs().await?;
    for run in runs.iter().filter(|run| run.intent.target == judged.name) {
        if let Some(undone) = not_noted(&runs, run).filter(|undone| noted.insert(undone.clone())) {
            ledger.append(&Entry::Undone { run: undone, by: run.intent.run.clone() }, Timestamp::now()).await?;
        }
    }
    Ok(noted.len())
}

/// The run that this one took back, where it was cut off before that was noted.
fn not_noted(runs: &[Run], run: &Run) -> Option<RunId> {
    let Effect::Patch(effect) = &run.intent.effect else { return None };
    let taken_back =
        effect.takes_back.as_ref().filter(|_| matches!(run.status, RunStatus::Applied { .. } | RunStatus::Verified(_)))?;
    let earlier = runs.iter().find(|earlier| earlier.intent.run == *taken_back)?;
    let can_be = matches!(earlier.status, RunStatus::Applied { .. } | RunStatus::Verified(_));
    can_be.then(|| taken_back.clone())
}

/// What a reading of its object added to a run.
#[derive(Debug, Default)]
struct Completed {
    /// How many records.
    records: usize,
    /// Whether it is known by now what came of the run.
    is_told: bool,
    /// What is to be taken back.
    rollback: Option<Rollback>,
}

/// Moves a run on by reading its object. Where only one thing was asked for, the objects were not looked at, and nobody can say
/// yet whether a difference is gone.
async fn completed(
    (ledger, now): (&Ledger, Timestamp),
    judged: &Judged,
    (run, runs): (&Run, &[Run]),
    (id, effect): (&ObjectId, &PatchEffect),
) -> Result<Completed, LedgerError> {
    let mut completed = Completed::default();
    let was_looked_at = !judged.cases.is_empty();
    if run.due() == Due::Verification && !was_looked_at {
        return Ok(completed);
    }
    let live = match judged.reach.read(id).await {
        Ok(live) => live,
        Err(error) => {
            tracing::warn!(run = %run.intent.run, error, "what came of it is still not known");
            return Ok(completed);
        }
    };
    let taken = match Unanswered::of(run) {
        Some(unanswered) => {
            let Some(outcome) = resolved(judged, (run, runs), (effect, live.as_ref()), now) else { return Ok(completed) };
            completed.is_told = !matches!(outcome, Outcome::Unknown { .. });
            let (taken, recorded) = ledger.make(unanswered.ended(outcome), Timestamp::now()).await?;
            completed.records += recorded.iter().count();
            taken
        }
        None => Validate::of(run),
    };
    let Some(mut taken) = taken.filter(|_| was_looked_at) else { return Ok(completed) };
    if let Some(owed) = effect.hand_back.as_ref().filter(|_| run.hand_back.is_none()) {
        let outcome = hand_back(judged, &taken, id, owed).await;
        let (still, recorded) = ledger.make(taken.handed_back(owed.to.clone(), outcome), Timestamp::now()).await?;
        completed.records += recorded.iter().count();
        taken = still;
    }
    let (outlook, why) = looked(judged, run, (id, effect), live.as_ref()).await;
    let (ended, recorded) = ledger.make(taken.seen(outlook, why), Timestamp::now()).await?;
    completed.records += recorded.iter().count();
    completed.rollback = ended.rollback();
    Ok(completed)
}

/// How the act of a run ended whose answer is not known; none where it is too early to tell and nothing is to be recorded.
fn resolved(
    judged: &Judged,
    (run, runs): (&Run, &[Run]),
    (effect, live): (&PatchEffect, Option<&Live>),
    now: Timestamp,
) -> Option<Outcome> {
    let bound = judged.reach.in_flight();
    let is_under_way = bound.is_some_and(|bound| may_still_land(run, now, bound));
    match resolve_after(live, (run, effect), runs, is_under_way) {
        Resolution::TooEarly => bound.filter(|bound| is_to_be_sighted(run, now, *bound)).map(|_| Outcome::Unknown {
            reason: "read again, late: the object is as it was; read once more after as long again".to_owned(),
        }),
        Resolution::NoEffect => Some(Outcome::Void { reason: "read again: the write had no effect".to_owned() }),
        Resolution::Undetermined(why) => {
            Some(Outcome::Undetermined { reason: format!("read again: {why}; it counts as a write, and is not undone") })
        }
        Resolution::Applied => {
            let resource_version = live.and_then(|live| live.resource_version.clone());
            Some(Outcome::Applied { resource_version, warnings: Vec::new() })
        }
    }
}

/// What became of a write that was taken.
async fn looked(
    judged: &Judged,
    run: &Run,
    (id, effect): (&ObjectId, &PatchEffect),
    live: Option<&Live>,
) -> (Outlook, Option<String>) {
    let drift = outlook(judged, run, (id, effect), live);
    match (drift, since(judged, &effect.health).await) {
        (Outlook::Settled, Change::Worse(why)) => (Outlook::Unhealthy, Some(why)),
        (Outlook::Settled, Change::Open(why)) => (Outlook::Pending, Some(why)),
        (drift, Change::NotWorse | Change::Open(_) | Change::Worse(_)) => (drift, None),
    }
}

/// What became of a write since: its values are there, or this round's look finds nothing at its places.
fn outlook(judged: &Judged, run: &Run, (id, effect): (&ObjectId, &PatchEffect), live: Option<&Live>) -> Outlook {
    let Some(live) = live.filter(|live| live.uid == effect.uid) else { return Outlook::Drifting };
    let is_true = judged.case_of(id).is_some_and(|case| {
        let seen = matches!(case.pair, Some(Pair::Matched(_)));
        seen && !case.findings.iter().any(|finding| run.intent.places.contains(&finding.place))
    });
    if is_true || changes_nothing(&live.value, &effect.patch) { Outlook::Settled } else { Outlook::Drifting }
}
