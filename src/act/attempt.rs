//! One run: the intent is durable before anything is sent, the outcome before anything else is done.

use jiff::Timestamp;
use trueup_core::decide::Correction;
use trueup_core::facts::{Live, Operation, Owner, Pair};
use trueup_core::finding::{FindingId, Subject};
use trueup_core::health::Vitals;
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::path::Path;
use trueup_core::policy::{Class, Ownership};
use trueup_core::run::{Effect, Entry, HandBack, Hold, Intent, Outcome, Outlook, Owed, PatchEffect, Run, RunId};

use super::resolve::settle;
use super::verify::{Seen, still_drifting, verify};
use super::{Acting, new_run, report};
use crate::failpoint;
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::target::{Judged, Sent};

/// How often the fields of one run are tried to be given back, where somebody else writes the object meanwhile.
const HAND_BACKS: u32 = 3;

/// What came of one run.
pub(super) struct Attempt {
    pub(super) run: RunId,
    pub(super) report: RunReport,
    pub(super) sent: Sent,
    /// What verification saw, where the write was taken.
    pub(super) seen: Option<Seen>,
}

/// Writes one correction and looks what came of it. `before` is how well things did before it.
pub(super) async fn attempt(
    acting: Acting<'_>,
    judged: &Judged,
    correction: &Correction,
    before: Vec<Vitals>,
) -> Result<Attempt, LedgerError> {
    failpoint::reached("correction: decided");
    let run = new_run();
    let decided = acting.basis.recorded(acting.ledger).await?;
    failpoint::reached("correction: decision recorded");
    let held = hold_before(acting, &run, correction).await?;
    let owed = owed(acting, judged, correction);
    let effect = PatchEffect { health: before, hand_back: owed, ..patch_effect(correction) };
    let intent = intent(acting, &run, correction, (effect.clone(), decided));
    let intent = acting.ledger.append(&intent, Timestamp::now()).await?;
    failpoint::reached("correction: intended");
    tracing::info!(run = %run, object = %correction.object, paths = ?correction.paths, "correcting");
    let objection = |after| rewritten(acting, judged, correction, after);
    let sent = settle(judged, correction, judged.reach.send(&run, correction, objection).await).await;
    failpoint::reached("correction: sent");
    let entry = Entry::Outcome { run: run.clone(), outcome: outcome(&sent) };
    let outcome = acting.ledger.append(&entry, Timestamp::now()).await?;
    failpoint::reached("correction: outcome recorded");
    let mut report = RunReport {
        id: Some(run.to_string()),
        patch: Some(correction.patch.clone()),
        inverse: Some(correction.inverse.clone()),
        records: held.into_iter().chain([intent.seq, outcome.seq]).collect(),
        ..report(ActionName::Patch, "", correction.corrected.iter().map(|(id, _)| id.to_string()), &correction.reasons)
    };
    let mut seen = None;
    match &sent {
        Sent::Applied(patched) => {
            report.reasons.extend(patched.warnings.iter().map(|warning| format!("the server warns: {warning}")));
            if let Some(owed) = &effect.hand_back {
                let entry = Entry::HandBack(hand_back(judged, &run, &correction.object, owed).await);
                report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
            }
            let looked = verify(acting, judged, (correction, &patched.live), &effect.health).await;
            failpoint::reached("correction: verified");
            let entry = Entry::Verification { run: run.clone(), outlook: looked.outlook, why: looked.why.clone() };
            report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
            failpoint::reached("correction: verification recorded");
            looked.outlook.name().clone_into(&mut report.status);
            conclude(acting, &run, correction, &looked, &mut report).await?;
            seen = Some(looked);
        }
        Sent::Refused(message) => report_end(&mut report, "refused", message),
        Sent::Inadmissible(message) => report_end(&mut report, "inadmissible", message),
        Sent::Void(message) => report_end(&mut report, "void", message),
        Sent::Unanswered(message) => report_end(&mut report, "unknown", message),
    }
    failpoint::reached("correction: ended");
    tracing::info!(run = %run, status = report.status, "corrected");
    Ok(Attempt { run, report, sent, seen })
}

fn report_end(report: &mut RunReport, status: &str, message: &str) {
    status.clone_into(&mut report.status);
    report.reasons.push(message.to_owned());
}

fn intent(acting: Acting<'_>, run: &RunId, correction: &Correction, (effect, decided): (PatchEffect, u64)) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run.clone(),
        target: correction.target.clone(),
        subject: Subject::Object(correction.object.clone()),
        findings: correction.corrected.iter().map(|(id, _)| id.clone()).collect(),
        places: correction.corrected.iter().map(|(_, place)| place.clone()).collect(),
        paths: correction.paths.clone(),
        classes: correction.classes.clone(),
        policy_digest: acting.policy.digest.clone(),
        commit: acting.pinned.commit.to_string(),
        decided: Some(decided),
        effect: Effect::Patch(effect),
        reasons: correction.reasons.clone(),
    }))
}

/// What a correction writes, and its way back.
pub(super) fn patch_effect(correction: &Correction) -> PatchEffect {
    PatchEffect {
        uid: correction.uid.clone(),
        resource_version: correction.resource_version.clone(),
        patch: correction.patch.clone(),
        pre_image: correction.pre_image.clone(),
        inverse: correction.inverse.clone(),
        takes_back: correction.undoes.as_ref().map(|run| run.parse().expect("an undo names a run of the ledger")),
        ..PatchEffect::default()
    }
}

fn outcome(sent: &Sent) -> Outcome {
    match sent {
        Sent::Applied(patched) => {
            Outcome::Applied { resource_version: patched.live.resource_version.clone(), warnings: patched.warnings.clone() }
        }
        Sent::Refused(message) => Outcome::Refused { message: message.clone() },
        Sent::Inadmissible(message) => Outcome::Inadmissible { message: message.clone() },
        Sent::Void(reason) => Outcome::Void { reason: reason.clone() },
        Sent::Unanswered(reason) => Outcome::Unknown { reason: reason.clone() },
    }
}

/// What admission makes of a correction, by its dry run: where the same paths would drift again, to write would be to fight.
fn rewritten(acting: Acting<'_>, judged: &Judged, correction: &Correction, after: Live) -> Option<String> {
    if correction.undoes.is_some() || changes_nothing(&after.value, &correction.patch) {
        return None;
    }
    match still_drifting(acting, judged, correction, after) {
        Outlook::Drifting => Some(format!(
            "admission (a mutating webhook or policy{}) writes another value than this patch at `{}`, so each correction would be \
             undone: not written; put what admission makes of it into Git, or change the admission",
            judged
                .rewriters
                .get(&correction.object)
                .map_or_else(String::new, |names| { format!("; by their rules it may be `{}`", names.join("`, `")) }),
            correction.paths.join("`, `")
        )),
        Outlook::Settled | Outlook::Pending | Outlook::Unhealthy | Outlook::Unseen => None,
    }
}

/// Everybody beside us who applies the object server-side.
pub(super) fn apply_owners(live: &Live) -> Vec<&str> {
    let other = |owner: &&Owner| owner.operation == Operation::Apply && owner.subresource.is_none() && owner.manager != "trueup";
    live.owners.iter().filter(other).map(|owner| owner.manager.as_str()).collect()
}

/// What goes back to the object's server-side apply owner after the write: the paths whose class says so.
fn owed(acting: Acting<'_>, judged: &Judged, correction: &Correction) -> Option<Owed> {
    let case = judged.case_of(&correction.object)?;
    let Some(Pair::Matched(matched)) = &case.pair else { return None };
    let hands_back = |id: &FindingId| {
        let finding = case.findings.iter().find(|finding| finding.id == *id);
        let name = finding.and_then(|finding| finding.class.as_deref());
        acting
            .policy
            .classes
            .iter()
            .any(|class: &Class| Some(class.name.as_str()) == name && class.ownership == Ownership::HandBack)
    };
    let corrected = correction.corrected.iter().map(|(id, _)| id).zip(&correction.paths);
    let paths: Vec<String> = corrected.filter(|(id, _)| hands_back(id)).map(|(_, path)| path.clone()).collect();
    match apply_owners(&matched.live)[..] {
        [owner] if !paths.is_empty() => Some(Owed { to: owner.to_owned(), paths }),
        _ => None,
    }
}

/// Gives back what is owed: the second write of a run, which changes no value.
pub(super) async fn hand_back(judged: &Judged, run: &RunId, object: &ObjectId, owed: &Owed) -> HandBack {
    let paths: Vec<Path> = owed.paths.iter().filter_map(|path| path.parse().ok()).collect();
    let mut outcome = Outcome::Void { reason: "not sent".to_owned() };
    for _ in 0..HAND_BACKS {
        let sent = judged.reach.hand_back(run, object, &paths, &owed.to).await;
        outcome = self::outcome(&sent);
        // Whoever was faster may have left our fields ours.
        let Sent::Void(reason) = sent else { break };
        tracing::debug!(run = %run, reason, "handing back again");
    }
    tracing::info!(run = %run, to = owed.to, ?outcome, "handed back");
    HandBack { run: run.clone(), to: owed.to.clone(), outcome }
}

/// What takes something back holds its places, and does so before it writes: cut off in between, a round would put it right
/// again.
async fn hold_before(acting: Acting<'_>, run: &RunId, correction: &Correction) -> Result<Option<u64>, LedgerError> {
    let Some(undone) = &correction.undoes else { return Ok(None) };
    let places = correction.corrected.iter().map(|(_, place)| place.clone()).collect();
    let entry = if puts_right(&acting.ledger.runs().await?, undone) {
        Entry::Resume { places, reason: format!("the undo by run {undone} is undone by run {run}") }
    } else {
        let why: Vec<&str> = correction.reasons.iter().skip(1).map(String::as_str).collect();
        let why = if why.is_empty() { String::new() } else { format!(" ({})", why.join("; ")) };
        let reason = format!("undone by run {run}{why}: held until Git or a person changes it");
        Entry::Hold(Hold { places, reason, findings: correction.corrected.iter().map(|(id, _)| id.clone()).collect() })
    };
    Ok(Some(acting.ledger.append(&entry, Timestamp::now()).await?.seq))
}

/// Whether taking this run back puts live right again: it took something back itself. An undo of an undo of an undo is one
/// more undo.
fn puts_right(runs: &[Run], undone: &str) -> bool {
    let taken_back = |id: &str| {
        let run = runs.iter().find(|run| run.intent.run.as_str() == id)?;
        match &run.intent.effect {
            Effect::Patch(effect) => effect.takes_back.as_ref().map(RunId::as_str),
            Effect::PullRequest { .. } => None,
        }
    };
    // A run takes back an earlier one only, so that this ends.
    std::iter::successors(taken_back(undone), |id| taken_back(id)).count() % 2 == 1
}

/// What follows from an outlook: an undone run is noted as such, a correction that did not hold is left to people.
async fn conclude(
    acting: Acting<'_>,
    run: &RunId,
    correction: &Correction,
    seen: &Seen,
    report: &mut RunReport,
) -> Result<(), LedgerError> {
    report.reasons.extend(seen.why.clone());
    if let Some(undone) = &correction.undoes {
        let undone: RunId = undone.parse().expect("an undo names a run of the ledger");
        report.records.push(acting.ledger.append(&Entry::Undone { run: undone, by: run.clone() }, Timestamp::now()).await?.seq);
    } else if seen.outlook == Outlook::Drifting {
        report.reasons.push("written back within its window".to_owned());
    }
    Ok(())
}
