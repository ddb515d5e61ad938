//! One pull request: Git's file edited so that it follows live, proven, committed on top of the pinned commit, offered.

use jiff::Timestamp;
use trueup_core::decide::Proposal as Proposed;
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Matched, Pair};
use trueup_core::finding::{Divergence, Drift, Finding, Subject};
use trueup_core::run::{Effect, Entry, Fate, Intent, Outcome, Proposal as Record, RunId};
use trueup_kubernetes::manifest;
use trueup_kubernetes::table::Table;

use super::{Acting, new_run, report};
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::review::commit::{Author, Change, Edit as CommitEdit, commit_on};
use crate::review::forge::{self, Failed, Offer};
use crate::review::{self, Audience, Edit, Known, Opened, Standing};
use crate::source::{self, CommitId};
use crate::target::{Judged, JudgedCase, Reach};

/// Offers the proposal of one finding. What cannot be edited with certainty is refused with the reason.
pub(super) async fn propose(acting: Acting<'_>, judged: &Judged, proposed: &Proposed) -> Result<RunReport, LedgerError> {
    let mut report = report(ActionName::PullRequest, "refused", [proposed.finding.to_string()], &proposed.reasons);
    let found = judged.cases.iter().find_map(|case| {
        let finding = case.findings.iter().find(|finding| finding.id == proposed.finding)?;
        Some((case, finding))
    });
    let Some((case, finding)) = found else { return Ok(report) };
    match prepare(acting, (case, &judged.reach), finding) {
        Ok((proposal, commit)) => offer(acting, finding, (proposal, commit), report).await,
        Err(reason) => {
            report.action = ActionName::None;
            report.reasons.push(reason);
            Ok(report)
        }
    }
}

/// The proposal and its commit. Writes Git objects only, which nothing refers to yet.
fn prepare(acting: Acting<'_>, case: (&JudgedCase, &Reach), finding: &Finding) -> Result<(review::Proposal, CommitId), String> {
    let edit = edit(acting, case, finding)?;
    let settings = &acting.session.settings.review;
    let audience = Audience { labels: settings.labels.clone(), reviewers: settings.reviewers.clone() };
    let proposal = review::propose(finding, acting.pinned.commit.as_str(), &[edit], &audience);
    let edits: Vec<CommitEdit> =
        proposal.edits.iter().map(|(path, bytes)| CommitEdit { path: path.clone(), bytes: bytes.clone() }).collect();
    let change = Change {
        base: &acting.pinned.commit,
        edits: &edits,
        message: &proposal.commit_message,
        author: &Author::default(),
        protected: &acting.session.settings.policies,
    };
    let commit = commit_on(&acting.pinned.repository, &change).map_err(|error| format!("{:#}", anyhow::Error::new(error)))?;
    Ok((proposal, commit))
}

fn edit(acting: Acting<'_>, (case, reach): (&JudgedCase, &Reach), finding: &Finding) -> Result<Edit, String> {
    let file = finding.difference.origin.file.clone();
    let read = source::read(acting.pinned, &file).map_err(|error| error.to_string())?;
    let before = read.ok_or_else(|| format!("`{file}` is not in commit {}", acting.pinned.commit))?;
    let after = match (&finding.difference.divergence, &case.pair) {
        (Divergence::Field(drift), Some(Pair::Matched(matched))) => adopt(acting, &file, &before, matched, drift)?,
        (Divergence::Expectation(_), _) => adopt_expectation(&file, &before, finding, reach)?,
        (Divergence::Field(_) | Divergence::Object(_), _) => return Err("only a value can be adopted".to_owned()),
    };
    Ok(Edit { file, before, after })
}

/// Git follows live at one path; read again and compared again, that path must be gone.
fn adopt(acting: Acting<'_>, file: &str, before: &[u8], matched: &Matched, drift: &Drift) -> Result<Vec<u8>, String> {
    let declared = declared_as_read(file, before, &matched.desired)?;
    let after = review::adopt(file, before, &declared, drift, &matched.live.value).map_err(|refused| refused.to_string())?;
    let edited = Matched { desired: declared_as_read(file, &after, &matched.desired)?, ..matched.clone() };
    let table = Table::load();
    let shape = table.root_shape(&matched.desired.id);
    let drifts = compare(&edited, table.types(), &shape, &acting.session.key).drifts;
    match drifts.iter().find(|left| drift.path.covers(&left.path) || left.path.covers(&drift.path)) {
        Some(left) => Err(format!("with this edit, `{}` would still differ", left.path)),
        None => Ok(after),
    }
}

/// The object with its positions in this very text.
fn declared_as_read(file: &str, text: &[u8], desired: &Desired) -> Result<Desired, String> {
    let (objects, _) = manifest::read(file, text);
    let same_place = |object: &&Desired| {
        object.id.kind == desired.id.kind && object.id.name == desired.id.name && object.origin.document == desired.origin.document
    };
    objects.iter().find(same_place).cloned().ok_or_else(|| format!("`{}` is no longer found in `{file}`", desired.id))
}

/// The expected value follows the state.
fn adopt_expectation(file: &str, before: &[u8], finding: &Finding, reach: &Reach) -> Result<Vec<u8>, String> {
    let (Subject::Output(id), Reach::State(state)) = (&finding.difference.subject, reach) else {
        return Err("the state cannot be reached".to_owned());
    };
    let output = state.outputs.get(&id.output).ok_or_else(|| format!("the state has no output `{}`: nothing to adopt", id.output))?;
    let text = std::str::from_utf8(before).map_err(|_| format!("`{file}` is not UTF-8"))?;
    let after = trueup_terraform::adopt::adopt(file, text, &id.output, &output.value).map_err(|error| error.to_string())?;
    Ok(after.into_bytes())
}

/// An open proposal that says the same is only asked after; anything else is a new run.
async fn offer(
    acting: Acting<'_>,
    finding: &Finding,
    (proposal, commit): (review::Proposal, CommitId),
    mut report: RunReport,
) -> Result<RunReport, LedgerError> {
    let standing = acting.ledger.standing().await?;
    let open = standing.proposals().get(&finding.place).cloned();
    let same = open.as_ref().filter(|open| open.head_commit == commit.as_str() && open.fingerprint == finding.id);
    let run = match same {
        Some(open) => open.run.clone(),
        None => {
            let run = new_run();
            let intent = intent(acting, &run, finding, &proposal, &commit);
            report.records.push(acting.ledger.append(&intent, Timestamp::now()).await?.seq);
            run
        }
    };
    report.id = Some(run.to_string());
    let known = match &open {
        Some(open) => known(open),
        None => interrupted(acting, finding, &run).await?,
    };
    let offered = forge::offer(acting.session, acting.pinned, &Offer { proposal: &proposal, commit: &commit, known: &known }).await;
    let ended = End { run: &run, open: open.as_ref(), same: same.is_some() };
    conclude(acting, &ended, (&proposal, finding), offered, report).await
}

fn known(open: &Record) -> Known {
    Known::Opened {
        identity: review::Identity { number: open.number, author: open.author.clone() },
        head: open.head_commit.clone(),
        fingerprint: open.fingerprint.to_string(),
    }
}

/// What a run that was cut off may have left on the forge: its branch.
async fn interrupted(acting: Acting<'_>, finding: &Finding, own: &RunId) -> Result<Known, LedgerError> {
    let mut known = Known::Nothing;
    for run in acting.ledger.unfinished().await? {
        if run.intent.run == *own || !run.intent.places.contains(&finding.place) {
            continue;
        }
        if let Effect::PullRequest { head_commit, .. } = &run.intent.effect {
            known = Known::Intended { head: head_commit.clone() };
            let outcome = Outcome::Void { reason: format!("taken over by run {own}") };
            acting.ledger.append(&Entry::Outcome { run: run.intent.run.clone(), outcome }, Timestamp::now()).await?;
        }
    }
    Ok(known)
}

fn intent(acting: Acting<'_>, run: &RunId, finding: &Finding, proposal: &review::Proposal, commit: &CommitId) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run.clone(),
        target: finding.difference.target.clone(),
        subject: finding.difference.subject.clone(),
        findings: vec![finding.id.clone()],
        places: vec![finding.place.clone()],
        paths: vec![finding.difference.path().to_string()],
        class: finding.class.clone(),
        policy_digest: acting.policy.digest.clone(),
        commit: acting.pinned.commit.to_string(),
        effect: Effect::PullRequest { branch: proposal.branch.clone(), head_commit: commit.to_string() },
        reasons: finding.reasons.clone(),
    }))
}

/// The run of an offer, and the proposal that was open before it.
struct End<'a> {
    run: &'a RunId,
    open: Option<&'a Record>,
    same: bool,
}

async fn conclude(
    acting: Acting<'_>,
    end: &End<'_>,
    (proposal, finding): (&review::Proposal, &Finding),
    offered: Result<Opened, Failed>,
    mut report: RunReport,
) -> Result<RunReport, LedgerError> {
    let (entries, status, reason) = match offered {
        Ok(opened) => {
            report.url.clone_from(&opened.url);
            entries(end, proposal, finding, &opened)
        }
        // The next round looks before it offers again.
        Err(Failed::Refused(reason) | Failed::Unanswered(reason)) if end.same => (Vec::new(), "not answered", Some(reason)),
        Err(Failed::Unanswered(reason)) => {
            let outcome = Outcome::Unknown { reason: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "unknown", Some(reason))
        }
        Err(Failed::Refused(reason)) => {
            let outcome = Outcome::Refused { message: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "refused", Some(reason))
        }
    };
    for entry in entries {
        report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
    }
    status.clone_into(&mut report.status);
    report.reasons.extend(reason);
    tracing::info!(run = %end.run, place = %finding.place, status, url = report.url, "proposed");
    Ok(report)
}

/// What the ledger keeps of an offer, and what people are told.
fn entries(end: &End<'_>, proposal: &review::Proposal, finding: &Finding, opened: &Opened) -> (Vec<Entry>, &'static str, Option<String>) {
    let closed = |fate| {
        let run = end.open.map_or(end.run, |open| &open.run).clone();
        let mut entries = vec![Entry::ProposalClosed { run, fate }];
        if !end.same {
            let outcome = Outcome::Void { reason: "its place's proposal had ended".to_owned() };
            entries.push(Entry::Outcome { run: end.run.clone(), outcome });
        }
        if end.open.is_none() { entries.split_off(1) } else { entries }
    };
    match &opened.standing {
        Standing::Unchanged(_) if end.same => (Vec::new(), "unchanged", None),
        Standing::Created(identity) | Standing::Updated(identity) | Standing::Unchanged(identity) => {
            let created = matches!(opened.standing, Standing::Created(_));
            let record = Record {
                run: end.run.clone(),
                place: finding.place.clone(),
                branch: proposal.branch.clone(),
                base_commit: proposal.base_commit.clone(),
                head_commit: opened.head.clone().unwrap_or_default(),
                url: opened.url.clone().unwrap_or_default(),
                number: identity.number,
                author: identity.author.clone(),
                fingerprint: finding.id.clone(),
            };
            let mut entries = vec![Entry::Proposal(record)];
            if let Some(open) = end.open.filter(|open| open.run != *end.run) {
                entries.push(Entry::ProposalClosed { run: open.run.clone(), fate: Fate::Replaced { by: end.run.clone() } });
            }
            (entries, if created { "opened" } else { "updated" }, None)
        }
        Standing::Foreign(reason) if end.same => (Vec::new(), "foreign", Some(reason.clone())),
        Standing::Foreign(reason) => {
            let outcome = Outcome::Refused { message: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "foreign", Some(reason.clone()))
        }
        Standing::Denied => (closed(Fate::Denied), "denied", Some("closed unmerged: left as it is until live or Git moves".to_owned())),
        Standing::Merged => (closed(Fate::Merged), "merged", Some("merged: the next round sees it in Git".to_owned())),
    }
}
