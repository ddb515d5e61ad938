//! One object put right: what the server no longer has as it was judged is judged again.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::{Case, Correction, Decision, Guards, Inputs, Proposal, Settled, Terms};
use trueup_core::facts::Pair;
use trueup_core::finding::Finding;
use trueup_core::policy::Ownership;
use trueup_core::run::{Outlook, RunStatus};

use super::attempt::{apply_owners, attempt};
use super::roll_back::roll_back;
use super::verify::{before, classes, judged_again};
use super::{Acting, Basis, ByNow, REFUSALS, escalate, is_wanted, left, report};
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::target::{Judged, Sent};

/// After this many conflicts in a row the object waits for the next round.
const ATTEMPTS: u32 = 3;

/// What came of correcting one object.
#[derive(Debug, Default)]
pub(super) struct Corrected {
    pub(super) reports: Vec<RunReport>,
    /// What its last write came to.
    pub(super) outlook: Option<Outlook>,
    /// What is left to review: decided again, it is to be proposed. Each with by what that was decided.
    pub(super) left: Vec<(Arc<Basis>, Proposal)>,
}

/// Corrects one object. A conflict means that somebody was faster, and a denial that the server will not have it: the object
/// is read and decided about again.
pub(super) async fn correct(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    first: Correction,
) -> Result<Corrected, LedgerError> {
    let mut corrected = Corrected::default();
    let reports = &mut corrected.reports;
    if let Some(reason) = refused_lately(acting, &first).await? {
        for (finding, place) in first.corrected {
            let reasons = first.reasons.iter().cloned().chain([reason.clone()]).collect();
            reports.extend(escalate(acting, judged, Settled { finding, place, reasons }).await?);
        }
        return Ok(corrected);
    }
    let (mut correction, mut guards, mut basis): (_, _, Option<Arc<Basis>>) = (first, guards.clone(), None);
    for _ in 0..ATTEMPTS {
        let acting = Acting { basis: basis.as_deref().unwrap_or(acting.basis), ..acting };
        let findings = correction.corrected.iter().map(|(finding, place)| (finding, place));
        if let Some(reason) = ByNow::of(acting, judged).await?.stops(Some(&correction.object), findings) {
            reports.push(held(&correction, reason));
            return Ok(corrected);
        }
        let watched = match ownerless(acting, judged, &correction) {
            Some(reason) => Err(reason),
            None => before(acting, judged, &correction).await,
        };
        let watched = match watched {
            Ok(watched) => watched,
            Err(reason) => {
                reports.push(held(&correction, reason));
                return Ok(corrected);
            }
        };
        let attempt = Box::pin(attempt(acting, judged, &correction, watched)).await?;
        reports.push(attempt.report);
        match attempt.sent {
            Sent::Void(_) | Sent::Inadmissible(_) if acting.stop.is_requested() => return Ok(corrected),
            Sent::Void(_) => {}
            Sent::Inadmissible(message) => {
                let refused = correction.corrected.iter().map(|(id, _)| (id.clone(), message.clone()));
                guards.inadmissible.extend(refused);
            }
            Sent::Applied(_) | Sent::Refused(_) | Sent::Unanswered(_) => {
                if let Some(rollback) = &attempt.rollback {
                    reports.extend(Box::pin(roll_back(acting, judged, &guards, rollback)).await?);
                }
                corrected.outlook = attempt.outlook;
                return Ok(corrected);
            }
        }
        let Some((decided, decisions)) = decide_again(acting, judged, &guards, &correction).await else {
            return Ok(corrected);
        };
        let decided = Arc::new(decided);
        let acting = Acting { basis: &decided, ..acting };
        let mut again = None;
        for decision in decisions {
            match decision {
                Decision::Correct(next) => again = Some(*next),
                Decision::Leave(settled) | Decision::Hold(settled) => reports.push(left(&settled)),
                Decision::Escalate(settled) => reports.extend(escalate(acting, judged, settled).await?),
                Decision::Propose(proposal) => corrected.left.push((Arc::clone(&decided), proposal)),
            }
        }
        let Some(next) = again else { return Ok(corrected) };
        (correction, basis) = (next, Some(decided));
    }
    Ok(corrected)
}

fn held(correction: &Correction, reason: String) -> RunReport {
    let reasons: Vec<String> = correction.reasons.iter().cloned().chain([reason]).collect();
    report(ActionName::None, "held", correction.corrected.iter().map(|(id, _)| id.to_string()), &reasons)
}

/// Why a field could not be given back: then it is not taken.
fn ownerless(acting: Acting<'_>, judged: &Judged, correction: &Correction) -> Option<String> {
    let class = classes(acting, correction).find(|class| class.ownership == Ownership::HandBack)?;
    let Some(Pair::Matched(matched)) = &judged.case_of(&correction.object)?.pair else { return None };
    let owners = apply_owners(&matched.live);
    (owners.len() > 1).then(|| {
        format!(
            "class {} hands fields back, and `{}` all apply this object server-side: whose field it is cannot be told",
            class.name,
            owners.join("`, `")
        )
    })
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

/// The object as it is now, decided about from scratch, at the places that were to be corrected: what else has come up
/// waits for the next round, which judges it by a look of its own; so does a value that is another one by now.
async fn decide_again(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    correction: &Correction,
) -> Option<(Basis, Vec<Decision>)> {
    if correction.undoes.is_some() {
        return None;
    }
    let live = judged.reach.read(&correction.object).await.ok()??;
    let mut case = judged.case_of(&correction.object).and_then(|case| judged_again(acting, judged, case, live))?;
    let was_there = |finding: &Finding| correction.corrected.iter().any(|(_, place)| *place == finding.place);
    case.findings.retain(|finding| was_there(finding) && is_wanted(&finding.id, acting.only));
    let is_same = |finding: &Finding| correction.corrected.iter().any(|(id, _)| *id == finding.id);
    let (same, others): (Vec<Finding>, Vec<Finding>) = case.findings.drain(..).partition(is_same);
    let cases = [Case { pair: case.pair.as_ref(), findings: &same }];
    let stopped = others.into_iter().map(|finding| {
        let reason = "somebody wrote another value while this was to be corrected: judged anew in the next round".to_owned();
        Decision::Leave(Settled { finding: finding.id, place: finding.place, reasons: vec![reason] })
    });
    let (requests, policy) = (acting.requests, acting.policy);
    let terms = Terms { target: &judged.name, requests, guards, policy, now: Timestamp::now() };
    let (basis, decisions) = Basis::decide(&Inputs::of(&cases, terms));
    Some((basis, decisions.into_iter().chain(stopped).collect()))
}
