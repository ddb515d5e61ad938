//! One run: the intent is durable before anything is sent, the outcome before anything else is done.

use jiff::Timestamp;
use trueup_core::decide::Correction;
use trueup_core::facts::{Live, Operation, Owner, Pair};
use trueup_core::finding::FindingId;
use trueup_core::health::Vitals;
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::path::Path;
use trueup_core::policy::{Class, Ownership};
use trueup_core::run::{
    Circumstances, Effect, Entry, Hold, Outcome, Outlook, Owed, PlanRemediation, ResumeOrRollback, Rollback, Run, RunId, Validate,
};

use super::resolve::settle;
use super::verify::{still_drifting, verify};
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
    pub(super) outlook: Option<Outlook>,
    /// What is to be taken back.
    pub(super) rollback: Option<Rollback>,
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
    if held.is_some() {
        failpoint::reached("taking back: held");
    }
    let owed = owed(acting, judged, correction);
    let circumstances = Circumstances {
        policy_digest: acting.policy.digest.clone(),
        commit: acting.pinned.commit.to_string(),
        decided,
        health: before.clone(),
        hand_back: owed.clone(),
    };
    let plan = PlanRemediation::of(run.clone(), correction, circumstances);
    let (repair, intent) = acting.ledger.make(plan.intend(), Timestamp::now()).await?;
    failpoint::reached("correction: intended");
    tracing::info!(run = %run, object = %correction.object, paths = ?correction.paths, "correcting");
    let objection = |after| rewritten(acting, judged, correction, after);
    let (unanswered, sent) = judged.reach.send(repair, objection).await;
    let sent = settle(judged, correction, sent).await;
    failpoint::reached("correction: sent");
    let (taken, outcome) = acting.ledger.make(unanswered.ended(outcome(&sent)), Timestamp::now()).await?;
    failpoint::reached("correction: outcome recorded");
    let mut report = RunReport {
        id: Some(run.to_string()),
        patch: Some(correction.patch.clone()),
        inverse: Some(correction.inverse.clone()),
        records: held.into_iter().chain(intent).chain(outcome).collect(),
        ..report(ActionName::Patch, "", correction.corrected.iter().map(|(id, _)| id.to_string()), &correction.reasons)
    };
    let (mut outlook, mut rollback) = (None, None);
    match (&sent, taken) {
        (Sent::Applied(patched), Some(taken)) => {
            report.reasons.extend(patched.warnings.iter().map(|warning| format!("the server warns: {warning}")));
            let written = Written { correction, live: &patched.live, before: &before, owed: owed.as_ref() };
            let ended = validated(acting, judged, taken, written, &mut report).await?;
            (outlook, rollback) = (Some(ended.outlook()), ended.rollback());
        }
        // What was applied has a state behind it.
        (Sent::Applied(_), None) => {}
        (Sent::Refused(message), _) => report_end(&mut report, "refused", message),
        (Sent::Inadmissible(message), _) => report_end(&mut report, "inadmissible", message),
        (Sent::Void(message), _) => report_end(&mut report, "void", message),
        (Sent::Unanswered(message), _) => report_end(&mut report, "unknown", message),
    }
    failpoint::reached("correction: ended");
    tracing::info!(run = %run, status = report.status, "corrected");
    Ok(Attempt { run, report, sent, outlook, rollback })
}

/// What a server took.
#[derive(Clone, Copy)]
struct Written<'a> {
    correction: &'a Correction,
    live: &'a Live,
    before: &'a [Vitals],
    owed: Option<&'a Owed>,
}

/// What is owed goes back to its owner, and what came of the write is looked at.
async fn validated(
    acting: Acting<'_>,
    judged: &Judged,
    mut taken: Validate,
    Written { correction, live, before, owed }: Written<'_>,
    report: &mut RunReport,
) -> Result<ResumeOrRollback, LedgerError> {
    if let Some(owed) = owed {
        let outcome = hand_back(judged, &taken, &correction.object, owed).await;
        failpoint::reached("hand-back: sent");
        let (still, seq) = acting.ledger.make(taken.handed_back(owed.to.clone(), outcome), Timestamp::now()).await?;
        failpoint::reached("hand-back: recorded");
        report.records.extend(seq);
        taken = still;
    }
    let looked = verify(acting, judged, (correction, live), before).await;
    failpoint::reached("correction: verified");
    let (ended, seq) = acting.ledger.make(taken.seen(looked.outlook, looked.why), Timestamp::now()).await?;
    report.records.extend(seq);
    failpoint::reached("correction: verification recorded");
    ended.outlook().name().clone_into(&mut report.status);
    conclude(acting, ended, correction, report).await
}

fn report_end(report: &mut RunReport, status: &str, message: &str) {
    status.clone_into(&mut report.status);
    report.reasons.push(message.to_owned());
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

/// Gives back what is owed: the second write of a run that was applied, which changes no value.
pub(super) async fn hand_back(judged: &Judged, taken: &Validate, object: &ObjectId, owed: &Owed) -> Outcome {
    let paths: Vec<Path> = owed.paths.iter().filter_map(|path| path.parse().ok()).collect();
    let mut outcome = Outcome::Void { reason: "not sent".to_owned() };
    for _ in 0..HAND_BACKS {
        let sent = judged.reach.hand_back(taken, object, &paths, &owed.to).await;
        outcome = self::outcome(&sent);
        // Whoever was faster may have left our fields ours.
        let Sent::Void(reason) = sent else { break };
        tracing::debug!(run = %taken.run(), reason, "handing back again");
    }
    tracing::info!(run = %taken.run(), to = owed.to, ?outcome, "handed back");
    outcome
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
    ended: ResumeOrRollback,
    correction: &Correction,
    report: &mut RunReport,
) -> Result<ResumeOrRollback, LedgerError> {
    report.reasons.extend(ended.why().map(str::to_owned));
    if let Some(undone) = &correction.undoes {
        let undone: RunId = undone.parse().expect("an undo names a run of the ledger");
        failpoint::reached("taking back: verified");
        let (ended, seq) = acting.ledger.make(ended.undid(undone), Timestamp::now()).await?;
        report.records.extend(seq);
        return Ok(ended);
    }
    if ended.outlook() == Outlook::Drifting {
        report.reasons.push("written back within its window".to_owned());
    }
    Ok(ended)
}
