//! One pull request: Git's file edited so that it follows live, proven, committed on top of the pinned commit, offered.

mod edit;

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::Proposal as Proposed;
use trueup_core::finding::{Finding, FindingId};
use trueup_core::run::{Due, Effect, Entry, Fate, Intent, Outcome, Proposal as Record, Run, RunId, RunStatus};

use super::{Acting, REFUSALS, new_run, report};
use crate::failpoint;
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::review::commit::{Author, Change, Edit as CommitEdit, commit_on};
use crate::review::forge::{self, Failed, Offer};
use crate::review::{self, Audience, Known, Opened, Standing};
use crate::source::CommitId;
use crate::target::{Judged, JudgedCase};

/// Offers the proposal of one finding. What cannot be edited with certainty is refused with the reason.
pub(super) async fn propose(acting: Acting<'_>, judged: &Judged, proposed: &Proposed) -> Result<RunReport, LedgerError> {
    let mut report = report(ActionName::PullRequest, "refused", [proposed.finding.to_string()], &proposed.reasons);
    let found = judged.cases.iter().find_map(|case| {
        let finding = case.findings.iter().find(|finding| finding.id == proposed.finding)?;
        Some((case, finding))
    });
    let Some((case, finding)) = found else { return Ok(report) };
    if let Some(until) = forge::closed_until(acting.session) {
        "later".clone_into(&mut report.status);
        report.reasons.push(format!("the forge wants to be left alone until {until}: offered by the next round after that"));
        return Ok(report);
    }
    // What was decided belongs to what people read: why it is not corrected.
    let finding = &Finding { reasons: proposed.reasons.clone(), ..finding.clone() };
    match prepare(acting, (case, judged), finding).await {
        Ok((proposal, commit)) => offer(acting, finding, (proposal, commit), report).await,
        Err(reason) => {
            report.action = ActionName::None;
            report.reasons.push(reason);
            Ok(report)
        }
    }
}

/// The proposal and its commit. Writes Git objects only, which nothing refers to yet.
async fn prepare(
    acting: Acting<'_>,
    case: (&JudgedCase, &Judged),
    finding: &Finding,
) -> Result<(review::Proposal, CommitId), String> {
    let edit = edit::of(acting, case, finding).await?;
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

/// An open proposal that says the same is only asked after; anything else is a new run.
async fn offer(
    acting: Acting<'_>,
    finding: &Finding,
    (proposal, commit): (review::Proposal, CommitId),
    mut report: RunReport,
) -> Result<RunReport, LedgerError> {
    failpoint::reached("offer: committed");
    let standing = acting.ledger.standing().await?;
    let open = standing.proposals().get(&finding.place).cloned();
    let same = open.as_ref().filter(|open| open.head_commit == commit.as_str() && open.fingerprint == finding.id);
    let run = if let Some(open) = same {
        open.run.clone()
    } else {
        if refused_lately(acting, finding, &commit).await? >= REFUSALS {
            report.reasons.push(format!("refused {REFUSALS} times within the hour: tried again later"));
            return Ok(report);
        }
        let run = new_run();
        let decided = acting.basis.recorded(acting.ledger).await?;
        let intent = intent((acting, decided), &run, finding, &proposal, &commit);
        report.records.push(acting.ledger.append(&intent, Timestamp::now()).await?.seq);
        failpoint::reached("offer: intended");
        run
    };
    report.id = Some(run.to_string());
    let earlier = earlier_runs(acting, finding, &run).await?;
    let (offered, interrupted) = ask(acting, (&proposal, &commit), known(open.as_ref(), &earlier, finding)).await;
    failpoint::reached("offer: answered");
    let ended = End { run: &run, open: open.as_ref(), interrupted, same: same.is_some() };
    let report = conclude(acting, &ended, (&proposal, finding), offered, report).await?;
    failpoint::reached("offer: recorded");
    take_over(acting, &run, &earlier).await?;
    failpoint::reached("offer: ended");
    Ok(report)
}

/// Offers with what is likeliest known of the branch; where that makes it somebody else's, with the next.
async fn ask<'a>(
    acting: Acting<'_>,
    (proposal, commit): (&review::Proposal, &CommitId),
    known: Vec<(Known, Option<&'a Run>)>,
) -> (Result<Opened, Failed>, Option<&'a Run>) {
    let mut answer = (Err(Failed::Refused("nothing is known of its branch".to_owned())), None);
    for (known, left_by) in known {
        let offer = Offer { proposal, commit, known: &known };
        answer = (forge::offer(acting.session, acting.pinned, &offer).await, left_by);
        if !matches!(&answer.0, Ok(Opened { standing: Standing::Foreign(_), .. })) {
            break;
        }
    }
    answer
}

/// How often the very same proposal was refused within the last hour.
async fn refused_lately(acting: Acting<'_>, finding: &Finding, commit: &CommitId) -> Result<usize, LedgerError> {
    let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
    let runs = acting.ledger.runs().await?;
    let is_same = |run: &&Run| run.intent.findings.contains(&finding.id) && head(run) == Some(commit.as_str());
    let refused = |run: &&Run| matches!(run.status, RunStatus::Refused { .. }) && run.begun >= hour_ago;
    Ok(runs.iter().filter(is_same).filter(refused).count())
}

/// The proposals' runs at a finding's place before this one, the oldest first.
async fn earlier_runs(acting: Acting<'_>, finding: &Finding, own: &RunId) -> Result<Vec<Run>, LedgerError> {
    let mut runs = acting.ledger.runs().await?;
    runs.retain(|run| run.intent.run != *own && run.intent.places.contains(&finding.place) && head(run).is_some());
    Ok(runs)
}

fn head(run: &Run) -> Option<&str> {
    match &run.intent.effect {
        Effect::PullRequest { head_commit, .. } => Some(head_commit),
        Effect::Patch(_) => None,
    }
}

/// What the place's branch may hold by the ledger, the likeliest first, with the run that was cut off if it was that one's:
/// the head that was recorded last, or one that was pushed and then not recorded.
fn known<'a>(open: Option<&Record>, earlier: &'a [Run], finding: &Finding) -> Vec<(Known, Option<&'a Run>)> {
    let recorded = earlier.iter().rposition(|run| run.proposals.contains_key(&finding.place));
    let last = recorded.and_then(|at| earlier[at].proposals.get(&finding.place));
    let unrecorded = earlier.iter().skip(recorded.map_or(0, |at| at + 1)).rev().take(3);
    let opened = |record: &Record, head: &str| Known::Opened {
        identity: review::Identity { number: record.number, author: record.author.clone() },
        head: head.to_owned(),
        // What an ended proposal was about is no answer to this one.
        fingerprint: open.map(|open| open.fingerprint.to_string()).unwrap_or_default(),
    };
    let recorded = open.or(last).map(|record| (opened(record, &record.head_commit), None));
    let unrecorded = unrecorded.filter_map(|run| {
        let head = head(run)?;
        match open {
            Some(open) => Some((opened(open, head), None)),
            None => Some((Known::Intended { head: head.to_owned() }, (run.due() == Due::Resolution).then_some(run))),
        }
    });
    let mut all: Vec<_> =
        if open.is_some() { recorded.into_iter().chain(unrecorded).collect() } else { unrecorded.chain(recorded).collect() };
    if all.is_empty() {
        all.push((Known::Nothing, None));
    }
    all
}

/// What was cut off at this place is this run's now.
async fn take_over(acting: Acting<'_>, own: &RunId, earlier: &[Run]) -> Result<(), LedgerError> {
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

fn intent(
    (acting, decided): (Acting<'_>, u64),
    run: &RunId,
    finding: &Finding,
    proposal: &review::Proposal,
    commit: &CommitId,
) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run.clone(),
        target: finding.difference.target.clone(),
        subject: finding.difference.subject.clone(),
        findings: vec![finding.id.clone()],
        places: vec![finding.place.clone()],
        paths: vec![finding.difference.path().to_string()],
        classes: finding.class.iter().cloned().collect(),
        policy_digest: acting.policy.digest.clone(),
        commit: acting.pinned.commit.to_string(),
        decided: Some(decided),
        effect: Effect::PullRequest { branch: proposal.branch.clone(), head_commit: commit.to_string() },
        reasons: finding.reasons.clone(),
    }))
}

/// The run of an offer, the proposal that was open before it, or the run that was cut off before it was recorded.
struct End<'a> {
    run: &'a RunId,
    open: Option<&'a Record>,
    interrupted: Option<&'a Run>,
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
    tracing::info!(run = %end.run, place = %finding.place, status, url = report.url, "proposed");
    Ok(report)
}

/// What the ledger keeps of an offer, and what people are told.
fn entries(
    end: &End<'_>,
    proposal: &review::Proposal,
    finding: &Finding,
    opened: &Opened,
) -> (Vec<Entry>, &'static str, Option<String>) {
    let record = |run: &RunId, fingerprint: &FindingId, identity: Option<&review::Identity>| Record {
        run: run.clone(),
        place: finding.place.clone(),
        branch: proposal.branch.clone(),
        base_commit: proposal.base_commit.clone(),
        head_commit: opened.head.clone().unwrap_or_default(),
        url: opened.url.clone().unwrap_or_default(),
        number: identity.map_or(0, |identity| identity.number),
        author: identity.map(|identity| identity.author.clone()).unwrap_or_default(),
        fingerprint: fingerprint.clone(),
    };
    let closed = |fate| {
        let mut entries = Vec::new();
        match (end.open, end.interrupted) {
            (Some(open), _) => entries.push(Entry::ProposalClosed { run: open.run.clone(), fate }),
            // It had been opened after all, and people have answered it.
            (None, Some(run)) => {
                let fingerprint = run.intent.findings.first().unwrap_or(&finding.id);
                entries.push(Entry::Proposal(record(&run.intent.run, fingerprint, None)));
                entries.push(Entry::ProposalClosed { run: run.intent.run.clone(), fate });
            }
            (None, None) => {}
        }
        if !end.same {
            let outcome = Outcome::Void { reason: "its place's proposal had ended".to_owned() };
            entries.push(Entry::Outcome { run: end.run.clone(), outcome });
        }
        entries
    };
    match &opened.standing {
        Standing::Unchanged(_) if end.same => (Vec::new(), "unchanged", None),
        Standing::Created(identity) | Standing::Updated(identity) | Standing::Unchanged(identity) => {
            let created = matches!(opened.standing, Standing::Created(_));
            let mut entries = vec![Entry::Proposal(record(end.run, &finding.id, Some(identity)))];
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
        Standing::Denied => {
            (closed(Fate::Denied), "denied", Some("closed unmerged: left as it is until live or Git moves".to_owned()))
        }
        Standing::Merged => (closed(Fate::Merged), "merged", Some("merged: the next round sees it in Git".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use trueup_core::facts::Origin;
    use trueup_core::finding::{Cause, Difference, Divergence, Expectation, Lane, OutputId, Predicate, Risk, Stage, Subject};
    use trueup_core::object::TargetName;
    use trueup_core::seen::DigestKey;

    use super::*;
    use crate::ledger::Ledger;

    fn finding() -> Finding {
        let output = OutputId { state: "s".to_owned(), serial: 1, lineage: "l".to_owned(), output: "o".to_owned(), bound: None };
        let difference = Difference {
            target: TargetName("data".to_owned()),
            subject: Subject::Output(output),
            divergence: Divergence::Expectation(Expectation { predicate: Predicate::Equals, desired: None, live: None }),
            cause: Cause::default(),
            evidence: None,
            origin: Origin { file: "a.toml".to_owned(), line: 1, column: 1, document: 1 },
            labels: std::collections::BTreeMap::new(),
            ignored_in_git: false,
            surroundings: trueup_core::finding::Surroundings::default(),
        };
        Finding {
            id: difference.id("s", &DigestKey::new(b"k")),
            place: difference.place("s"),
            difference,
            class: None,
            meant_by: Vec::new(),
            problems: Vec::new(),
            stage: Stage::Recommend,
            lane: Lane::Review,
            risk: Risk::default(),
            barred: None,
            kept: None,
            reasons: vec!["a test".to_owned()],
        }
    }

    fn begun(finding: &Finding, run: &str, head: &str) -> Entry {
        Entry::Intent(Box::new(Intent {
            run: run.parse().expect("an id"),
            target: finding.difference.target.clone(),
            subject: finding.difference.subject.clone(),
            findings: vec![finding.id.clone()],
            places: vec![finding.place.clone()],
            paths: Vec::new(),
            classes: Vec::new(),
            policy_digest: String::new(),
            commit: String::new(),
            decided: None,
            effect: Effect::PullRequest { branch: "b".to_owned(), head_commit: head.to_owned() },
            reasons: vec!["a test".to_owned()],
        }))
    }

    const EARLIER: &str = "01JD0000000000000000000000";
    const OWN: &str = "01JD0000000000000000000001";

    /// What was there before an offer.
    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Before {
        Nothing,
        CutOff,
        Open,
        OpenAndSame,
    }

    /// The ledger after an offer that ended like this: every record was legal.
    async fn after(before: Before, standing: Standing) -> (Ledger, tempfile::TempDir) {
        let (folder, finding) = (tempfile::tempdir().expect("a folder"), finding());
        let ledger = Ledger::open(&folder.path().join("ledger.sqlite")).await.expect("a ledger");
        let append = async |entry: &Entry| {
            ledger.append(entry, Timestamp::now()).await.unwrap_or_else(|error| panic!("{before:?} {entry:?}: {error}"))
        };
        let proposal = review::propose(&finding, "base", &[], &review::Audience::default());
        let identity = review::Identity { number: 4, author: "us".to_owned() };
        if before != Before::Nothing {
            append(&begun(&finding, EARLIER, "h1")).await;
        }
        if matches!(before, Before::Open | Before::OpenAndSame) {
            let end = End { run: &EARLIER.parse().expect("an id"), open: None, interrupted: None, same: false };
            let opened = Opened { url: None, head: Some("h1".to_owned()), standing: Standing::Created(identity) };
            for entry in entries(&end, &proposal, &finding, &opened).0 {
                append(&entry).await;
            }
        }
        let same = before == Before::OpenAndSame;
        if !same {
            append(&begun(&finding, OWN, "h2")).await;
        }
        let own = if same { EARLIER } else { OWN }.parse().expect("an id");
        let open = ledger.standing().await.expect("read").proposals().get(&finding.place).cloned();
        let runs = ledger.runs().await.expect("read");
        let interrupted = (before == Before::CutOff).then(|| &runs[0]);
        let end = End { run: &own, open: open.as_ref(), interrupted, same };
        let opened = Opened { url: None, head: Some("h2".to_owned()), standing };
        for entry in entries(&end, &proposal, &finding, &opened).0 {
            append(&entry).await;
        }
        (ledger, folder)
    }

    #[tokio::test]
    async fn every_end_of_an_offer_is_a_legal_sequence_of_records() {
        let identity = || review::Identity { number: 4, author: "us".to_owned() };
        for before in [Before::Nothing, Before::CutOff, Before::Open, Before::OpenAndSame] {
            for standing in [
                Standing::Created(identity()),
                Standing::Updated(identity()),
                Standing::Unchanged(identity()),
                Standing::Foreign("theirs".to_owned()),
                Standing::Denied,
                Standing::Merged,
            ] {
                let (ledger, _folder) = after(before, standing.clone()).await;
                let runs = ledger.runs().await.expect("read");
                let own = runs.last().expect("a run");
                assert_ne!(own.due(), Due::Resolution, "{before:?} {standing:?}");
                let denied = ledger.standing().await.expect("read").is_denied(&finding().place, &finding().id);
                let expected = standing == Standing::Denied && before != Before::Nothing;
                assert_eq!(denied, expected, "{before:?} {standing:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_branch_is_known_again_after_its_proposal_ended_or_was_not_recorded() {
        let finding = finding();
        let (ledger, _folder) = after(Before::Open, Standing::Denied).await;
        let runs = ledger.runs().await.expect("read");
        let heads: Vec<_> = known(None, &runs, &finding).iter().map(|(known, _)| known.head().map(str::to_owned)).collect();
        assert_eq!(heads, [Some("h2".to_owned()), Some("h1".to_owned())], "denied: its branch is still ours");

        let (ledger, _folder) = after(Before::Open, Standing::Foreign("moved".to_owned())).await;
        let (runs, standing) = (ledger.runs().await.expect("read"), ledger.standing().await.expect("read"));
        let open = standing.proposals().get(&finding.place);
        let heads: Vec<_> = known(open, &runs, &finding).iter().map(|(known, _)| known.head().map(str::to_owned)).collect();
        assert_eq!(heads, [Some("h1".to_owned()), Some("h2".to_owned())], "pushed, and then not recorded");
    }
}
