//! One proposal is offered: Git's files edited so that they follow live, proven, committed, recorded, and then the forge asked.

use std::iter;

use jiff::{SignedDuration, Timestamp};
use trueup_core::finding::Finding;
use trueup_core::policy::Remedy;
use trueup_core::run::{Asked, Due, Entry, Outcome, Run, RunId, RunStatus};

use super::about::About;
use super::commit::committed;
use super::conclude::{End, conclude};
use super::edit::{Drafted, drafted};
use super::end::{ended_by_people, found_again, look, tidy};
use super::known::{head, known, newest, runs_of};
use super::open::Open;
use super::{Wanted, end, reported};
use crate::act::{Acting, ByNow, REFUSALS, new_run};
use crate::failpoint;
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::review::forge::{self, Failed, Offer};
use crate::review::{self, Became, Edit, Identity, Known, Opened, Standing};
use crate::source::CommitId;
use crate::target::Judged;

/// Offers one proposal for these findings on a branch, on which one may be open. What cannot be edited with certainty is
/// refused with the reason; where it stands in the open one with the same values, that one stays as it is.
pub(super) async fn offer(
    acting: Acting<'_>,
    judged: &Judged,
    (branch, open): (&str, Option<&Open>),
    wanted: &[Wanted<'_>],
) -> Result<Vec<(usize, RunReport)>, LedgerError> {
    let (wanted, held) = held_apart(acting, judged, wanted).await?;
    let Drafted { placed, refused, edits } = drafted(acting, judged, &wanted).await;
    let mut reports = Vec::new();
    let (mut waits, mut over) = (Vec::new(), Vec::new());
    for (wanted, reason) in &held {
        waits.push(reason.clone());
        let reasons: Vec<String> = wanted.reasons.iter().cloned().chain([reason.clone()]).collect();
        let report = reported("held", [&wanted.finding.id], &reasons);
        reports.push((wanted.number, RunReport { action: ActionName::None, ..report }));
    }
    for (wanted, reason) in &refused {
        let record = open.and_then(|open| open.record(&wanted.finding.place));
        match record {
            Some(record) if record.fingerprint == wanted.finding.id => waits.push(reason.clone()),
            Some(_) | None => over.push(reason.clone()),
        }
        let reasons: Vec<String> = wanted.reasons.iter().cloned().chain([reason.clone()]).collect();
        let report = reported("refused", [&wanted.finding.id], &reasons);
        reports.push((wanted.number, RunReport { action: ActionName::None, ..report }));
    }
    let runs = acting.ledger.runs().await?;
    let number = placed.iter().map(|wanted| wanted.number).min().unwrap_or(usize::MAX);
    let report = match open {
        Some(open) if !waits.is_empty() => Some(end::look_after(acting, open, &runs, &waits).await?),
        Some(open) if placed.is_empty() => Some(end::end(acting, open, &runs, &over).await?),
        None if placed.is_empty() => None,
        Some(_) | None => {
            let findings: Vec<Finding> = placed.iter().map(Wanted::with_reasons).collect();
            Some(offer_these(acting, judged, (branch, open), (placed[0].remedy, &findings, &edits), &runs).await?)
        }
    };
    reports.extend(report.map(|report| (number, report)));
    Ok(reports)
}

/// What people said since the decision counts, too: what is held or denied is not proposed, and what is open of it stays as it
/// is in this round.
async fn held_apart<'a>(
    acting: Acting<'_>,
    judged: &Judged,
    all: &[Wanted<'a>],
) -> Result<(Vec<Wanted<'a>>, Vec<(Wanted<'a>, String)>), LedgerError> {
    let by_now = ByNow::of(acting, judged).await?;
    let (mut free, mut held) = (Vec::new(), Vec::new());
    for wanted in all {
        let object = wanted.case.pair.as_ref().map(|pair| pair.desired().id.clone());
        match by_now.stops(object.as_ref(), iter::once((&wanted.finding.id, &wanted.finding.place))) {
            Some(reason) => held.push((*wanted, reason)),
            None => free.push(*wanted),
        }
    }
    Ok((free, held))
}

async fn offer_these(
    acting: Acting<'_>,
    judged: &Judged,
    (branch, open): (&str, Option<&Open>),
    (remedy, findings, edits): (Remedy, &[Finding], &[Edit]),
    runs: &[Run],
) -> Result<RunReport, LedgerError> {
    let about = About { branch, open: open.filter(|open| !open.records.is_empty()), remedy, findings };
    let mut report = about.report("refused");
    if let Some(ended) = answered(acting, &about, runs).await? {
        return Ok(ended);
    }
    let (proposal, commit) = match committed(acting, judged, &about, edits) {
        Ok(made) => made,
        Err(reason) => {
            report.action = ActionName::None;
            report.reasons.push(reason);
            return Ok(report);
        }
    };
    failpoint::reached("offer: committed");
    let same = about.open.filter(|open| {
        let is_it = newest(open).is_some_and(|record| record.head_commit == commit.as_str());
        is_it && open.runs().len() == 1 && !about.has_moved() && open.withdrawal.is_none()
    });
    let asked = if let Some(record) = same.and_then(newest) {
        Asked::before(record)
    } else {
        if refused_lately(findings, &commit, runs) >= REFUSALS {
            report.reasons.push(format!("refused {REFUSALS} times within the hour: tried again later"));
            return Ok(report);
        }
        let run = new_run();
        let decided = acting.basis.recorded(acting.ledger).await?;
        let plan = about.plan((acting, decided), &run, &commit);
        let (asked, seq) = acting.ledger.make(plan.intend(), Timestamp::now()).await?;
        report.records.extend(seq);
        failpoint::reached("offer: intended");
        asked
    };
    let run = asked.run().clone();
    report.id = Some(run.to_string());
    let earlier: Vec<&Run> = runs_of(branch, runs).into_iter().filter(|earlier| earlier.intent.run != run).collect();
    let (offered, known, interrupted) = ask(acting, &asked, (&proposal, &commit), known(about.open, &earlier)).await;
    failpoint::reached("offer: answered");
    let found = interrupted.map(|run| {
        let head = offered.as_ref().ok().and_then(|opened| opened.head.as_deref()).unwrap_or_default();
        let nobody = Identity { number: 0, author: String::new() };
        let identity = match offered.as_ref().map(|opened| &opened.standing) {
            Ok(Standing::Denied(identity) | Standing::Merged(identity)) => identity,
            Ok(Standing::Created(_) | Standing::Updated(_) | Standing::Unchanged(_) | Standing::Foreign(_)) | Err(_) => &nobody,
        };
        found_again(acting, run, head, (identity, ""))
    });
    let ended = End { run: &run, open: about.open, interrupted: found, same: same.is_some() };
    if let Ok(Opened { standing: Standing::Merged(_), .. }) = &offered {
        tidy(acting, branch, &known);
    }
    let report = conclude(acting, &ended, (&proposal, findings), offered, report).await?;
    failpoint::reached("offer: recorded");
    take_over(acting, &run, &earlier).await?;
    failpoint::reached("offer: ended");
    Ok(report)
}

/// Where the open proposal is about something else, or was about to be closed, it may have ended: then this is no update of it.
/// And where its branch was not ours when it was offered to last, it is looked at before a run begins: for as long as it is
/// somebody else's, there is nothing to offer, and nothing to record.
async fn answered(acting: Acting<'_>, about: &About<'_>, runs: &[Run]) -> Result<Option<RunReport>, LedgerError> {
    let was_refused = runs_of(about.branch, runs).last().is_some_and(|run| matches!(run.status, RunStatus::Refused { .. }));
    let is_in_doubt = |open: &&Open| about.has_moved() || open.withdrawal.is_some() || was_refused;
    let unopened = Open { branch: about.branch.to_owned(), ..Open::default() };
    let open = match about.open {
        Some(open) => Some(open).filter(is_in_doubt),
        None => Some(&unopened).filter(|_| was_refused),
    };
    let Some(open) = open else { return Ok(None) };
    let looked = look(acting, open, runs).await;
    if let Some(open) = about.open
        && let Some(report) = ended_by_people(acting, open, &looked).await?
    {
        return Ok(Some(report));
    }
    let why = match looked.became {
        Ok(Became::Foreign(why)) => Some(why),
        Ok(Became::Gone | Became::Closed(_) | Became::Merged(_)) if was_refused => {
            let ours: Vec<&str> = runs_of(about.branch, runs).into_iter().filter_map(head).collect();
            forge::in_the_way(acting.session, about.branch, &ours).await.unwrap_or_default()
        }
        Ok(_) => None,
        // It may have ended: then this would ask again what people have answered.
        Err(Failed::Refused(why) | Failed::Unanswered(why) | Failed::Later(why)) => {
            return Ok(Some(RunReport { reasons: vec![why], ..about.report("not answered") }));
        }
    };
    Ok(why.map(|why| RunReport { reasons: vec![why], ..about.report("foreign") }))
}

/// Offers with what is likeliest known of the branch; where that makes it somebody else's, with the next.
async fn ask<'a>(
    acting: Acting<'_>,
    asked: &Asked,
    (proposal, commit): (&review::Proposal, &CommitId),
    all_known: Vec<(Known, Option<&'a Run>)>,
) -> (Result<Opened, Failed>, Known, Option<&'a Run>) {
    let mut answer = (Err(Failed::Refused("nothing is known of its branch".to_owned())), Known::Nothing, None);
    for (known, left_by) in all_known {
        let offer = Offer { asked, proposal, commit, known: &known };
        answer = (forge::offer(acting.session, acting.pinned, &offer).await, known, left_by);
        if !matches!(&answer.0, Ok(Opened { standing: Standing::Foreign(_), .. })) {
            break;
        }
    }
    answer
}

/// How often the very same proposal was refused within the last hour.
fn refused_lately(findings: &[Finding], commit: &CommitId, runs: &[Run]) -> usize {
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let is_same = |run: &&Run| {
        let ids = findings.iter().map(|finding| &finding.id);
        run.intent.findings.iter().eq(ids) && head(run) == Some(commit.as_str())
    };
    let refused = |run: &&Run| matches!(run.status, RunStatus::Refused { .. }) && run.begun >= hour_ago;
    runs.iter().filter(is_same).filter(refused).count()
}

/// What was cut off on this branch is this run's now.
async fn take_over(acting: Acting<'_>, own: &RunId, earlier: &[&Run]) -> Result<(), LedgerError> {
    for run in earlier.iter().filter(|run| run.due() == Due::Resolution) {
        let name = run.intent.run.clone();
        let now = acting.ledger.run(&name).await?;
        if now.is_some_and(|now| now.due() == Due::Resolution) {
            let outcome = Outcome::Void { reason: format!("taken over by run {own}") };
            acting.ledger.append(&Entry::Outcome { run: name, outcome }, Timestamp::now()).await?;
        }
    }
    Ok(())
}
