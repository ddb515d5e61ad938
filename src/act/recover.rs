//! What an earlier process left unfinished: a run whose effect is not known is resolved by reading, and one that nobody has
//! looked at since is looked at.

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
    Due, Effect, Entry, Intent, Outcome, Outlook, PatchEffect, ResumeOrRollback, Rollback, Run, RunId, RunStatus, Unanswered,
    Validate,
};

use super::attempt::hand_back;
use super::resolve::{Resolution, resolve};
use super::verify::since;
use crate::failure::Failure;
use crate::guards;
use crate::ledger::{Ledger, LedgerError};
use crate::session::Session;
use crate::source::Pinned;
use crate::target::{Judged, Sent};

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

/// The guards of a target. Which cluster it is comes first: what an earlier process left unfinished is resolved on the very
/// same one, and objects of which that cannot be told yet are left alone.
///
/// # Errors
/// When the ledger cannot be read or appended to, or the cluster is another one.
pub async fn guarded(
    session: &Session,
    ledger: &Ledger,
    seen: (&Judged, &Policy, &Pinned),
) -> Result<(Guards, Vec<Rollback>), Failure> {
    let (judged, now) = (seen.0, Timestamp::now());
    let mut guards = guards::of(session, ledger, seen, now).await?;
    if guards.frozen.is_some() || guards.held_by_people(None, [], now).is_some() {
        return Ok((guards, Vec::new()));
    }
    let recovered = recover(ledger, judged, &guards, now).await.map_err(Failure::usage)?;
    if recovered.records > 0 {
        guards = guards::of(session, ledger, seen, Timestamp::now()).await?;
    }
    guards::hold_unresolved(&mut guards, judged, &recovered.unresolved);
    Ok((guards, recovered.worse))
}

/// Completes the unfinished patches of one target. What cannot be told stays as it is, and is asked again next round; so
/// does what a person holds, as a field that goes back to its owner is a write.
///
/// # Errors
/// When the ledger cannot be read or appended to.
async fn recover(ledger: &Ledger, judged: &Judged, guards: &Guards, now: Timestamp) -> Result<Recovered, LedgerError> {
    let mut recovered = Recovered::default();
    // Several runs may take one back, where answers were lost: it is noted once.
    let mut noted = BTreeSet::new();
    let runs = ledger.runs().await?;
    for run in runs.iter().filter(|run| run.intent.target == judged.name) {
        let taken_back = taken_back(&runs, run).filter(|earlier| !noted.contains(earlier));
        if let Some(earlier) = taken_back.clone().filter(|_| was_taken(run)) {
            noted.insert(earlier.clone());
            ledger.append(&Entry::Undone { run: earlier, by: run.intent.run.clone() }, Timestamp::now()).await?;
            recovered.records += 1;
        }
        let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { continue };
        let completed = match run.due() {
            Due::Nothing | Due::Fate => continue,
            _ if guards.held_by_people(Some(id), &run.intent.places, now).is_some() => Completed::default(),
            Due::Resolution | Due::Verification => completed((ledger, now), judged, run, (id, effect)).await?,
        };
        if completed.records == 0 && run.due() == Due::Resolution {
            recovered.unresolved.insert(id.clone(), run.intent.run.clone());
        }
        recovered.records += completed.records;
        if let Some(ended) = completed.ended {
            recovered.worse.extend(ended.rollback());
            if let Some(earlier) = taken_back.filter(|_| !was_taken(run)) {
                noted.insert(earlier.clone());
                ledger.make(ended.undid(earlier), Timestamp::now()).await?;
                recovered.records += 1;
            }
        }
    }
    // What takes something back may still be on its way to the same object: it is known first what came of that.
    let is_free = |id: &ObjectId| !recovered.unresolved.keys().any(|other| other.same_object(id));
    let is_ready = |rollback: &Rollback| match runs.iter().find(|run| run.intent.run == *rollback.run()) {
        Some(Run { intent: Intent { subject: Subject::Object(id), .. }, .. }) => is_free(id),
        Some(_) | None => true,
    };
    let worse = std::mem::take(&mut recovered.worse).into_iter().filter(is_ready).collect();
    Ok(Recovered { worse, ..recovered })
}

/// The run that this one takes back, where that is not noted of it.
fn taken_back(runs: &[Run], run: &Run) -> Option<RunId> {
    let Effect::Patch(effect) = &run.intent.effect else { return None };
    let earlier = runs.iter().find(|earlier| Some(&earlier.intent.run) == effect.takes_back.as_ref())?;
    was_taken(earlier).then(|| earlier.intent.run.clone())
}

/// Whether it is known that the target took what a run wrote.
fn was_taken(run: &Run) -> bool {
    matches!(run.status, RunStatus::Applied { .. } | RunStatus::Verified(_))
}

/// What a reading of its object added to a run.
#[derive(Debug, Default)]
struct Completed {
    /// How many records; none where it told nothing.
    records: usize,
    /// Where it was taken: what was seen of it.
    ended: Option<ResumeOrRollback>,
}

/// Moves a run on by reading its object.
async fn completed(
    (ledger, now): (&Ledger, Timestamp),
    judged: &Judged,
    run: &Run,
    (id, effect): (&ObjectId, &PatchEffect),
) -> Result<Completed, LedgerError> {
    let mut completed = Completed::default();
    let live = match judged.reach.read(id).await {
        Ok(live) => live,
        Err(error) => {
            tracing::warn!(run = %run.intent.run, error, "what came of it is still not known");
            return Ok(completed);
        }
    };
    let taken = match Unanswered::of(run) {
        Some(unanswered) => {
            let may_still_land = judged.reach.may_still_land(run.begun, now);
            let Some(outcome) = outcome(live.clone(), effect, may_still_land) else { return Ok(completed) };
            let (taken, recorded) = ledger.make(unanswered.ended(outcome), Timestamp::now()).await?;
            completed.records += recorded.iter().count();
            taken
        }
        None => Validate::of(run),
    };
    let Some(mut taken) = taken else { return Ok(completed) };
    if let Some(owed) = effect.hand_back.as_ref().filter(|_| run.hand_back.is_none()) {
        let outcome = hand_back(judged, &taken, id, owed).await;
        let (still, recorded) = ledger.make(taken.handed_back(owed.to.clone(), outcome), Timestamp::now()).await?;
        completed.records += recorded.iter().count();
        taken = still;
    }
    let (outlook, why) = looked(judged, run, (id, effect), live.as_ref()).await;
    let (ended, recorded) = ledger.make(taken.seen(outlook, why), Timestamp::now()).await?;
    completed.records += recorded.iter().count();
    completed.ended = Some(ended);
    Ok(completed)
}

/// What came of a write whose answer was lost, as its object tells; `None` where it cannot tell yet.
fn outcome(live: Option<Live>, effect: &PatchEffect, may_still_land: bool) -> Option<Outcome> {
    let void = |reason: &str| Some(Outcome::Void { reason: reason.to_owned() });
    let Some(live) = live else { return void("the object is gone") };
    match resolve(live, effect, may_still_land) {
        Resolution::TooEarly => None,
        Resolution::MovedOn => void("read again: the object moved on without this write's values"),
        Resolution::Was(Sent::Applied(patched)) => {
            Some(Outcome::Applied { resource_version: patched.live.resource_version, warnings: Vec::new() })
        }
        Resolution::Was(Sent::Void(reason) | Sent::Refused(reason) | Sent::Inadmissible(reason) | Sent::Unanswered(reason)) => {
            Some(Outcome::Void { reason })
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
