//! One patch: intent, dry run, write, look again. What the server no longer has as it was judged is judged again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::{Case, Correction, Decision, Guards, Inputs, Settled, Terms, decide};
use trueup_core::facts::{Live, Matched, Pair};
use trueup_core::finding::{Finding, Subject};
use trueup_core::patch::{changes_nothing, values_under};
use trueup_core::run::{Effect, Entry, Hold, Intent, Outcome, Outlook, PatchEffect, RunId, RunStatus};

use super::propose::propose;
use super::{Acting, REFUSALS, escalate, is_wanted, left, new_run, report};
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::target::{Judged, JudgedCase, Judging, Sent};

/// After this many conflicts in a row the object waits for the next round.
const ATTEMPTS: u32 = 3;

/// Corrects one object. A conflict means that somebody was faster, and a denial that the server will not have it: the object
/// is read and decided about again.
pub(super) async fn correct(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    first: Correction,
) -> Result<Vec<RunReport>, LedgerError> {
    let mut reports = Vec::new();
    if let Some(reason) = refused_lately(acting, &first).await? {
        for (finding, place) in first.corrected {
            let reasons = first.reasons.iter().cloned().chain([reason.clone()]).collect();
            reports.extend(escalate(acting, judged, Settled { finding, place, reasons }).await?);
        }
        return Ok(reports);
    }
    let (mut correction, mut guards) = (first, guards.clone());
    for _ in 0..ATTEMPTS {
        let (report, sent) = attempt(acting, judged, &correction).await?;
        reports.push(report);
        match sent {
            Sent::Conflict(_) | Sent::Inadmissible(_) if acting.stop.is_requested() => return Ok(reports),
            Sent::Conflict(_) => {}
            Sent::Inadmissible(message) => {
                let refused = correction.corrected.iter().map(|(id, _)| (id.clone(), message.clone()));
                guards.inadmissible.extend(refused);
            }
            Sent::Applied(_) | Sent::Refused(_) | Sent::Unanswered(_) => return Ok(reports),
        }
        let mut again = None;
        for decision in decide_again(acting, judged, &guards, &correction).await {
            match decision {
                Decision::Correct(next) => again = Some(*next),
                Decision::Leave(settled) | Decision::Hold(settled) => reports.push(left(&settled)),
                Decision::Escalate(settled) => reports.extend(escalate(acting, judged, settled).await?),
                Decision::Propose(proposal) => reports.push(propose(acting, judged, &proposal).await?),
            }
        }
        let Some(next) = again else { return Ok(reports) };
        correction = next;
    }
    Ok(reports)
}

/// Why the very same correction is not asked for again now: it was refused too often within the last hour.
async fn refused_lately(acting: Acting<'_>, correction: &Correction) -> Result<Option<String>, LedgerError> {
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let ids: Vec<_> = correction.corrected.iter().map(|(id, _)| id.clone()).collect();
    let runs = acting.ledger.runs().await?;
    let same = runs.iter().filter(|run| run.begun >= hour_ago && run.intent.findings == ids);
    let refusals: Vec<&String> = same
        .filter_map(|run| match &run.status {
            RunStatus::Refused { message } => Some(message),
            _ => None,
        })
        .collect();
    let last = refusals.last().filter(|_| refusals.len() >= REFUSALS);
    Ok(last.map(|message| format!("refused {} times within the hour, last: {message}", refusals.len())))
}

/// One run: the intent is durable before anything is sent, the outcome before anything else is done.
async fn attempt(acting: Acting<'_>, judged: &Judged, correction: &Correction) -> Result<(RunReport, Sent), LedgerError> {
    let run = new_run();
    let held = hold_before(acting, &run, correction).await?;
    let intent = acting.ledger.append(&intent(acting, &run, correction), Timestamp::now()).await?;
    tracing::info!(run = %run, object = %correction.object, paths = ?correction.paths, "correcting");
    let objection = |after| rewritten(acting, judged, correction, after);
    let sent = settle(judged, correction, judged.reach.send(&run, correction, objection).await).await;
    let entry = Entry::Outcome { run: run.clone(), outcome: outcome(&sent) };
    let outcome = acting.ledger.append(&entry, Timestamp::now()).await?;
    let mut report = RunReport {
        id: Some(run.to_string()),
        patch: Some(correction.patch.clone()),
        inverse: Some(correction.inverse.clone()),
        records: held.into_iter().chain([intent.seq, outcome.seq]).collect(),
        ..report(ActionName::Patch, "", correction.corrected.iter().map(|(id, _)| id.to_string()), &correction.reasons)
    };
    match &sent {
        Sent::Applied(live) => {
            let outlook = verify(acting, judged, correction, live).await;
            let entry = Entry::Verification { run: run.clone(), outlook };
            report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
            outlook.name().clone_into(&mut report.status);
            conclude(acting, &run, correction, outlook, &mut report).await?;
        }
        Sent::Refused(message) => report_end(&mut report, "refused", message),
        Sent::Inadmissible(message) => report_end(&mut report, "inadmissible", message),
        Sent::Conflict(message) => report_end(&mut report, "void", message),
        Sent::Unanswered(message) => report_end(&mut report, "unknown", message),
    }
    tracing::info!(run = %run, status = report.status, "corrected");
    Ok((report, sent))
}

fn report_end(report: &mut RunReport, status: &str, message: &str) {
    status.clone_into(&mut report.status);
    report.reasons.push(message.to_owned());
}

fn intent(acting: Acting<'_>, run: &RunId, correction: &Correction) -> Entry {
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
        effect: Effect::Patch(patch_effect(correction)),
        reasons: correction.reasons.clone(),
    }))
}

fn patch_effect(correction: &Correction) -> PatchEffect {
    PatchEffect {
        uid: correction.uid.clone(),
        resource_version: correction.resource_version.clone(),
        patch: correction.patch.clone(),
        pre_image: correction.pre_image.clone(),
        inverse: correction.inverse.clone(),
    }
}

fn outcome(sent: &Sent) -> Outcome {
    match sent {
        Sent::Applied(live) => Outcome::Applied { resource_version: live.resource_version.clone() },
        Sent::Refused(message) => Outcome::Refused { message: message.clone() },
        Sent::Inadmissible(message) => Outcome::Inadmissible { message: message.clone() },
        Sent::Conflict(reason) => Outcome::Void { reason: reason.clone() },
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

/// A write without an answer is resolved by reading, never repeated blindly.
async fn settle(judged: &Judged, correction: &Correction, sent: Sent) -> Sent {
    let Sent::Unanswered(reason) = sent else { return sent };
    let now = Timestamp::now();
    match judged.reach.read(&correction.object).await {
        Ok(Some(live)) => match resolve(live, &patch_effect(correction), judged.reach.may_still_land(now, now)) {
            Resolution::Was(sent) => sent,
            Resolution::MovedOn | Resolution::TooEarly => Sent::Unanswered(reason),
        },
        Ok(None) => Sent::Conflict("the object is gone".to_owned()),
        Err(error) => Sent::Unanswered(format!("{reason}; reading it again: {error}")),
    }
}

/// What a reading tells about a write whose answer was lost.
pub(super) enum Resolution {
    /// It is known what came of it.
    Was(Sent),
    /// The object changed since, and does not have this write's values.
    MovedOn,
    /// The object is as it was, and the write may still be on its way.
    TooEarly,
}

/// Resolves a write by the object as it is now. Where the object carries no version, its values tell.
pub(super) fn resolve(live: Live, effect: &PatchEffect, may_still_land: bool) -> Resolution {
    let no_effect = || Resolution::Was(Sent::Conflict("read again: the write had no effect".to_owned()));
    if live.uid != effect.uid {
        return Resolution::Was(Sent::Conflict("the object was replaced".to_owned()));
    }
    if effect.resource_version.is_some() && live.resource_version == effect.resource_version {
        return if may_still_land { Resolution::TooEarly } else { no_effect() };
    }
    if changes_nothing(&live.value, &effect.patch) {
        return Resolution::Was(Sent::Applied(Box::new(live)));
    }
    let is_as_before = effect.resource_version.is_none() && values_under(&live.value, &effect.patch) == effect.pre_image;
    if is_as_before { no_effect() } else { Resolution::MovedOn }
}

/// Looks until the drift is gone or the class's window has passed.
async fn verify(acting: Acting<'_>, judged: &Judged, correction: &Correction, written: &Live) -> Outlook {
    let until = tokio::time::Instant::now() + Duration::from_secs(u64::from(correction.window_seconds));
    loop {
        let outlook = match judged.reach.read(&correction.object).await {
            Ok(Some(live)) if live.uid != written.uid => Outlook::Drifting,
            Ok(Some(live)) if changes_nothing(&live.value, &correction.patch) => Outlook::Settled,
            Ok(Some(live)) => still_drifting(acting, judged, correction, live),
            Ok(None) | Err(_) => Outlook::Unseen,
        };
        let over = tokio::time::Instant::now() >= until;
        if outlook == Outlook::Settled || over || acting.stop.is_requested() {
            return if over || outlook == Outlook::Settled { outlook } else { Outlook::Pending };
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// The value is not to the letter what was written (the server may have normalised it): what does comparing say?
fn still_drifting(acting: Acting<'_>, judged: &Judged, correction: &Correction, live: Live) -> Outlook {
    let case = judged.case_of(&correction.object).and_then(|case| judged_again(acting, judged, case, live));
    let gone = case.is_some_and(|case| {
        let places: Vec<_> = case.findings.iter().map(|finding| &finding.place).collect();
        correction.corrected.iter().all(|(_, place)| !places.contains(&place))
    });
    if gone { Outlook::Settled } else { Outlook::Drifting }
}

/// The object as it is now, decided about from scratch, at the places that were to be corrected: what else has come up
/// waits for the next round, which judges it by a look of its own; so does a value that is another one by now.
async fn decide_again(acting: Acting<'_>, judged: &Judged, guards: &Guards, correction: &Correction) -> Vec<Decision> {
    if correction.undoes.is_some() {
        return Vec::new();
    }
    let Ok(Some(live)) = judged.reach.read(&correction.object).await else { return Vec::new() };
    let case = judged.case_of(&correction.object).and_then(|case| judged_again(acting, judged, case, live));
    let Some(mut case) = case else { return Vec::new() };
    let was_there = |finding: &Finding| correction.corrected.iter().any(|(_, place)| *place == finding.place);
    case.findings.retain(|finding| was_there(finding) && is_wanted(&finding.id, acting.only));
    let is_same = |finding: &Finding| correction.corrected.iter().any(|(id, _)| *id == finding.id);
    let (same, others): (Vec<Finding>, Vec<Finding>) = case.findings.drain(..).partition(is_same);
    let cases = [Case { pair: case.pair.as_ref(), findings: &same }];
    let stopped = others.into_iter().map(|finding| {
        let reason = "somebody wrote another value while this was to be corrected: judged anew in the next round".to_owned();
        Decision::Leave(Settled { finding: finding.id, place: finding.place, reasons: vec![reason] })
    });
    let terms = Terms { target: &judged.name, requests: &[], guards, policy: acting.policy, now: Timestamp::now() };
    decide(&Inputs::of(&cases, terms)).into_iter().chain(stopped).collect()
}

fn judged_again(acting: Acting<'_>, judged: &Judged, case: &JudgedCase, live: Live) -> Option<JudgedCase> {
    let Some(Pair::Matched(matched)) = &case.pair else { return None };
    let matched = Matched { live: live.into(), ..matched.as_ref().clone() };
    let judging = Judging {
        source: &acting.pinned.name,
        policy: acting.policy,
        key: &acting.session.key,
        standing: &judged.standing,
        topology: &judged.topology,
    };
    Some(JudgedCase::of(Pair::Matched(Box::new(matched)), (&judged.name, &judged.kinds), judging))
}

/// An undo holds its places, and does so before it writes: cut off in between, a round would put it right again.
async fn hold_before(acting: Acting<'_>, run: &RunId, correction: &Correction) -> Result<Option<u64>, LedgerError> {
    let Some(undone) = &correction.undoes else { return Ok(None) };
    let places = correction.corrected.iter().map(|(_, place)| place.clone()).collect();
    let redone =
        acting.ledger.runs().await?.iter().any(|earlier| earlier.undone_by().is_some_and(|by| by.to_string() == *undone));
    let entry = if redone {
        Entry::Resume { places, reason: format!("the undo by run {undone} is undone by run {run}") }
    } else {
        let reason = format!("undone by run {run}: held until Git or a person changes it");
        Entry::Hold(Hold { places, reason, findings: correction.corrected.iter().map(|(id, _)| id.clone()).collect() })
    };
    Ok(Some(acting.ledger.append(&entry, Timestamp::now()).await?.seq))
}

/// What follows from an outlook: an undone run is noted as such, a correction that did not hold is left to people.
async fn conclude(
    acting: Acting<'_>,
    run: &RunId,
    correction: &Correction,
    outlook: Outlook,
    report: &mut RunReport,
) -> Result<(), LedgerError> {
    if let Some(undone) = &correction.undoes {
        let undone: RunId = undone.parse().expect("an undo names a run of the ledger");
        report.records.push(acting.ledger.append(&Entry::Undone { run: undone, by: run.clone() }, Timestamp::now()).await?.seq);
    } else if outlook == Outlook::Drifting {
        report.reasons.push("written back within its window".to_owned());
    }
    Ok(())
}
