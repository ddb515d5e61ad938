//! A write after which health got worse is taken back: decided like any undo, recorded as a run that names the one it takes
//! back, its places held, and people told.

use jiff::Timestamp;
use trueup_core::decide::{Correction, Decision, Guards, Inputs, Request, Settled, Terms, Undo};
use trueup_core::facts::Live;
use trueup_core::finding::{FindingId, Place, Subject};
use trueup_core::object::ObjectId;
use trueup_core::run::{Effect, Rollback, Run, perhaps_undone_by};

use super::attempt::attempt;
use super::{Acting, Basis, ByNow, escalate, left};
use crate::ledger::LedgerError;
use crate::report::RunReport;
use crate::target::{Judged, Sent};

/// A controller that rolls something out writes the object's status all the time, and each write is a new version.
const ATTEMPTS: u32 = 5;

/// Takes back what earlier rounds wrote and this one found to have made something worse.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn roll_back_worse(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    worse: Vec<Rollback>,
) -> Result<Vec<RunReport>, LedgerError> {
    let mut reports = Vec::new();
    for rollback in worse {
        reports.extend(roll_back(acting, judged, guards, &rollback).await?);
    }
    Ok(reports)
}

/// The same for one run.
pub(super) async fn roll_back(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    rollback: &Rollback,
) -> Result<Vec<RunReport>, LedgerError> {
    let Some(run) = &acting.ledger.run(rollback.run()).await? else { return Ok(Vec::new()) };
    let why = rollback.why();
    let mut reports = Vec::new();
    let mut end = format!("run {} made it worse ({why})", run.intent.run);
    let places: Vec<Place> = corrected(run).map(|(_, place)| place).collect();
    for _ in 0..ATTEMPTS {
        if let Some(reason) = ByNow::of(acting, judged).await?.holds(object_of(run), &places) {
            end = format!("{end}; not taken back: {reason}");
            break;
        }
        let (basis, decision) = match decided(acting, judged, guards, run).await {
            Ok(decided) => decided,
            Err(reason) => {
                end = format!("{end}; not taken back: {reason}");
                break;
            }
        };
        let correction = match decision {
            Decision::Correct(correction) => because(*correction, why),
            Decision::Hold(settled) => {
                end = format!("{end}; not taken back: {}", settled.reasons.last().map_or("held", String::as_str));
                reports.push(left(&settled));
                break;
            }
            Decision::Leave(_) | Decision::Propose(_) | Decision::Escalate(_) => break,
        };
        let acting = Acting { basis: &basis, ..acting };
        let attempt = Box::pin(attempt(acting, judged, &correction, Vec::new())).await?;
        let again = matches!(attempt.sent, Sent::Void(_)) && !acting.stop.is_requested();
        if let Sent::Applied(_) = attempt.sent {
            end = format!("{end}; taken back by run {}", attempt.run);
        }
        reports.push(attempt.report);
        if !again {
            break;
        }
    }
    for (finding, place) in corrected(run) {
        reports.extend(escalate(acting, judged, Settled { finding, place, reasons: vec![end.clone()] }).await?);
    }
    Ok(reports)
}

fn object_of(run: &Run) -> Option<&ObjectId> {
    match &run.intent.subject {
        Subject::Object(object) => Some(object),
        Subject::Output(_) => None,
    }
}

fn because(mut correction: Correction, why: &str) -> Correction {
    correction.reasons.push(format!("health got worse: {why}"));
    correction
}

/// What is decided about taking a run back, on the object as it is now.
async fn decided(acting: Acting<'_>, judged: &Judged, guards: &Guards, run: &Run) -> Result<(Basis, Decision), String> {
    let object = object_of(run).ok_or("an output is never written")?;
    let runs = acting.ledger.runs().await.map_err(|error| error.to_string())?;
    untouched(&runs, run)?;
    let live = judged.reach.read(object).await?.ok_or_else(|| format!("`{object}` is gone"))?;
    let request = request(run, live)?;
    let (requests, policy) = ([request], acting.policy);
    let terms = Terms { target: &judged.name, requests: &requests, guards, policy, now: Timestamp::now() };
    let (basis, decisions) = Basis::decide(&Inputs::of(&[], terms));
    let decision = decisions.into_iter().next().ok_or_else(|| "the run has corrected nothing".to_owned())?;
    Ok((basis, decision))
}

/// That no earlier run may have taken this one back: what is there by now would be somebody else's.
///
/// # Errors
/// For people: which one may have.
pub fn untouched(runs: &[Run], run: &Run) -> Result<(), String> {
    match perhaps_undone_by(runs, &run.intent.run) {
        Some(by) => Err(format!("run {by} may have taken it back already, and nothing tells: put it back by hand")),
        None => Ok(()),
    }
}

/// The request to take a run back, with its object as it is now.
///
/// # Errors
/// Why there can be none.
pub fn request(run: &Run, live: Live) -> Result<Request, String> {
    let Effect::Patch(effect) = &run.intent.effect else {
        return Err("it is a proposal; close it, or delete its branch".to_owned());
    };
    Ok(Request::Undo(Box::new(Undo {
        target: run.intent.target.clone(),
        run: run.intent.run.to_string(),
        live,
        uid: effect.uid.clone(),
        patch: effect.patch.clone(),
        inverse: effect.inverse.clone(),
        corrected: corrected(run).collect(),
        paths: run.intent.paths.clone(),
    })))
}

fn corrected(run: &Run) -> impl Iterator<Item = (FindingId, Place)> {
    run.intent.findings.iter().cloned().zip(run.intent.places.iter().cloned())
}
