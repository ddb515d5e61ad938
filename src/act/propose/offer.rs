//! One proposal is offered: Git's files edited so that they follow live, proven, committed, recorded, and then the forge asked.

use std::iter;

use jiff::{SignedDuration, Timestamp};
use trueup_core::finding::{Finding, FindingId};
use trueup_core::policy::Remedy;
use trueup_core::run::{
    Asked, Due, Effect, Entry, Fate, Intent, Outcome, PlanProposal, Proposal as Record, Run, RunId, RunStatus,
};

use super::edit::{Drafted, drafted};
use super::end::{ended_by_people, found_again, look, tidy};
use super::known::{head, known, newest, runs_of};
use super::open::Open;
use super::restore::approval_in;
use super::{Wanted, end, reported};
use crate::act::{Acting, ByNow, REFUSALS, new_run};
use crate::failpoint;
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::review::commit::{Author, Change, Edit as CommitEdit, commit_on};
use crate::review::forge::{self, Failed, Offer};
use crate::review::owners::Owners;
use crate::review::{self, Audience, Became, Content, Edit, Identity, Known, Opened, Standing};
use crate::source::{self, CommitId, history};
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

/// What an offer is about.
struct About<'a> {
    branch: &'a str,
    open: Option<&'a Open>,
    remedy: Remedy,
    findings: &'a [Finding],
}

impl About<'_> {
    fn ids(&self) -> Vec<&FindingId> {
        self.findings.iter().map(|finding| &finding.id).collect()
    }

    /// Whether the open proposal is about other values or places than these.
    fn has_moved(&self) -> bool {
        let now = review::fingerprint(self.ids());
        self.open.is_some_and(|open| review::fingerprint(&open.findings()) != now)
    }

    fn report(&self, status: &str) -> RunReport {
        let mut reasons: Vec<String> = Vec::new();
        for reason in self.findings.iter().flat_map(|finding| &finding.reasons) {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        reported(status, self.ids(), &reasons)
    }

    fn plan(&self, (acting, decided): (Acting<'_>, u64), run: &RunId, commit: &CommitId) -> PlanProposal {
        let first = &self.findings[0].difference;
        let path = |finding: &Finding| {
            let Finding { difference, .. } = finding;
            let of = if difference.subject == first.subject { String::new() } else { format!(" of {}", difference.subject) };
            format!("{}{of}", difference.path())
        };
        let mut classes: Vec<String> = self.findings.iter().filter_map(|finding| finding.class.clone()).collect();
        classes.sort();
        classes.dedup();
        PlanProposal::of(Intent {
            run: run.clone(),
            target: first.target.clone(),
            subject: first.subject.clone(),
            findings: self.findings.iter().map(|finding| finding.id.clone()).collect(),
            places: self.findings.iter().map(|finding| finding.place.clone()).collect(),
            paths: self.findings.iter().map(path).collect(),
            classes,
            policy_digest: acting.policy.digest.clone(),
            commit: acting.pinned.commit.to_string(),
            decided: Some(decided),
            effect: Effect::PullRequest { branch: self.branch.to_owned(), head_commit: commit.to_string() },
            reasons: self.report("").reasons,
        })
    }
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

/// The proposal and its commit. Writes Git objects only, which nothing refers to yet.
///
/// An open proposal stays on the commit that it was made on for as long as its files are the same there and now: each push
/// takes people's approvals from it.
fn committed(
    acting: Acting<'_>,
    judged: &Judged,
    about: &About<'_>,
    edits: &[Edit],
) -> Result<(review::Proposal, CommitId), String> {
    let audience = audience(acting, about, edits);
    let findings: Vec<&Finding> = about.findings.iter().collect();
    let is_edited = |file: &String| edits.iter().any(|edit| edit.file == *file);
    let over: Vec<String> = judged.approved.over.iter().filter(|file| !is_edited(file)).cloned().collect();
    let make = |base: &CommitId, removed: &[String]| {
        let content = Content { findings: &findings, remedy: about.remedy, edits, removed };
        let proposal = review::propose(about.branch, base.as_str(), content, &audience);
        let edits: Vec<CommitEdit> =
            proposal.edits.iter().map(|(path, bytes)| CommitEdit { path: path.clone(), bytes: bytes.clone() }).collect();
        let change = Change {
            base,
            edits: &edits,
            removed,
            message: &proposal.commit_message,
            author: &Author::default(),
            protected: &acting.session.settings.policies,
        };
        let commit = commit_on(&acting.pinned.repository, &change);
        commit.map(|commit| (proposal, commit)).map_err(|error| format!("{:#}", anyhow::Error::new(error)))
    };
    if let Some(record) = about.open.and_then(newest)
        && let Ok(base) = record.base_commit.parse::<CommitId>()
        && is_same_at(acting, &base, edits)
    {
        // What counts no more may have come or gone since.
        for removed in [&over[..], &[]] {
            if let Ok((proposal, commit)) = make(&base, removed)
                && commit.as_str() == record.head_commit
            {
                return Ok((proposal, commit));
            }
        }
    }
    make(&acting.pinned.commit, &over)
}

/// GitHub asks no more people than that.
const REVIEWERS: usize = 15;

/// Who is asked: the people of the settings, then those who own what is edited, or what it is about where Git is right.
fn audience(acting: Acting<'_>, about: &About<'_>, edits: &[Edit]) -> Audience {
    let settings = &acting.session.settings.review;
    let files = edits.iter().map(|edit| edit.file.as_str());
    let origins = about.findings.iter().map(|finding| finding.difference.origin.file.as_str());
    let owners = match about.remedy {
        Remedy::Adopt => Owners::of(acting.pinned).of_files(files),
        Remedy::Restore => Owners::of(acting.pinned).of_files(files.chain(origins)),
    };
    let mut reviewers = settings.reviewers.clone();
    reviewers.extend(owners.into_iter().filter(|owner| !settings.reviewers.contains(owner)));
    reviewers.truncate(REVIEWERS);
    Audience { labels: settings.labels.clone(), reviewers, readiness: settings.readiness }
}

/// Whether the files were before as they are now.
fn is_same_at(acting: Acting<'_>, base: &CommitId, edits: &[Edit]) -> bool {
    let is_same = |edit: &Edit| {
        source::read_at(acting.pinned, base, &edit.file).is_ok_and(|before| before.unwrap_or_default() == edit.before)
    };
    history::contains(acting.pinned, base).unwrap_or(false) && edits.iter().all(is_same)
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

/// The run of an offer, the proposal that was open before it, or the run that was cut off before it was recorded.
struct End<'a> {
    run: &'a RunId,
    open: Option<&'a Open>,
    interrupted: Option<Vec<Record>>,
    same: bool,
}

async fn conclude(
    acting: Acting<'_>,
    end: &End<'_>,
    (proposal, findings): (&review::Proposal, &[Finding]),
    offered: Result<Opened, Failed>,
    mut report: RunReport,
) -> Result<RunReport, LedgerError> {
    let (entries, status, reason) = match offered {
        Ok(opened) => {
            report.url.clone_from(&opened.url);
            entries(end, proposal, findings, &opened)
        }
        // The next round looks before it offers again.
        Err(Failed::Refused(reason) | Failed::Unanswered(reason) | Failed::Later(reason)) if end.same => {
            (Vec::new(), "not answered", Some(reason))
        }
        Err(Failed::Unanswered(reason)) => {
            let outcome = Outcome::Unknown { reason: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "unknown", Some(reason))
        }
        // Nobody has said no, so it does not count as refused.
        Err(Failed::Later(reason)) => {
            let outcome = Outcome::Void { reason: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "later", Some(reason))
        }
        Err(Failed::Refused(reason)) => {
            let outcome = Outcome::Refused { message: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "refused", Some(reason))
        }
    };
    for entry in entries {
        report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
        failpoint::reached("offer: recorded in part");
    }
    status.clone_into(&mut report.status);
    report.reasons.extend(reason);
    tracing::info!(run = %end.run, branch = proposal.branch, status, url = report.url, "proposed");
    Ok(report)
}

/// What the ledger keeps of one place of an open proposal.
fn record(run: &RunId, (proposal, opened): (&review::Proposal, &Opened), identity: &Identity, finding: &Finding) -> Record {
    Record {
        run: run.clone(),
        place: finding.place.clone(),
        branch: proposal.branch.clone(),
        base_commit: proposal.base_commit.clone(),
        head_commit: opened.head.clone().unwrap_or_default(),
        url: opened.url.clone().unwrap_or_default(),
        number: identity.number,
        author: identity.author.clone(),
        fingerprint: finding.id.clone(),
        approval: approval_in(&proposal.edits, finding),
        subject: Some(Box::new(finding.difference.subject.clone())),
    }
}

/// What the ledger keeps of an offer, and what people are told.
fn entries(
    end: &End<'_>,
    proposal: &review::Proposal,
    findings: &[Finding],
    opened: &Opened,
) -> (Vec<Entry>, &'static str, Option<String>) {
    match &opened.standing {
        Standing::Unchanged(_) if end.same => (Vec::new(), "unchanged", None),
        Standing::Created(identity) | Standing::Updated(identity) | Standing::Unchanged(identity) => {
            let created = matches!(opened.standing, Standing::Created(_));
            let mut entries: Vec<Entry> =
                findings.iter().map(|finding| Entry::Proposal(record(end.run, (proposal, opened), identity, finding))).collect();
            let replaced = end.open.map(Open::runs).unwrap_or_default().into_iter().filter(|run| run != end.run);
            let fate = || Fate::Replaced { by: end.run.clone() };
            entries.extend(replaced.map(|run| Entry::ProposalClosed { run, fate: fate() }));
            (entries, if created { "opened" } else { "updated" }, None)
        }
        Standing::Foreign(reason) if end.same => (Vec::new(), "foreign", Some(reason.clone())),
        Standing::Foreign(reason) => {
            let outcome = Outcome::Refused { message: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "foreign", Some(reason.clone()))
        }
        Standing::Denied(_) => (
            answered_by_people(end, &Fate::Denied),
            "denied",
            Some("closed unmerged: left as it is until live or Git moves".to_owned()),
        ),
        Standing::Merged(_) => {
            (answered_by_people(end, &Fate::Merged), "merged", Some("merged: the next round sees it in Git".to_owned()))
        }
    }
}

/// People have ended the proposal: that is recorded of the runs that it was of, and the offer's own run never happened.
fn answered_by_people(end: &End<'_>, fate: &Fate) -> Vec<Entry> {
    let mut entries = Vec::new();
    match (end.open, &end.interrupted) {
        (Some(open), _) => {
            entries.extend(open.runs().into_iter().map(|run| Entry::ProposalClosed { run, fate: fate.clone() }));
        }
        // It had been opened after all.
        (None, Some(records)) => {
            entries.extend(records.iter().cloned().map(Entry::Proposal));
            let run = records.first().map(|record| record.run.clone());
            entries.extend(run.map(|run| Entry::ProposalClosed { run, fate: fate.clone() }));
        }
        (None, None) => {}
    }
    if !end.same {
        let outcome = Outcome::Void { reason: "its branch's proposal had ended".to_owned() };
        entries.push(Entry::Outcome { run: end.run.clone(), outcome });
    }
    entries
}

#[cfg(test)]
mod tests;
