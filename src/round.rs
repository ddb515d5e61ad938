//! The straight line: source → desired → live → diff → classify → decide → act → verify → record.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use trueup_core::decide::{Case, Decision, Guards, Inputs, Terms};
use trueup_core::facts::Problem;
use trueup_core::finding::Finding;
use trueup_core::policy::Policy;
use trueup_core::run::Standing;

use crate::act::{self, Acting, Approvals, Basis, is_wanted};
use crate::failure::Failure;
use crate::guards;
use crate::ledger::Ledger;
use crate::report::RunReport;
use crate::rules;
use crate::session::{self, Session};
use crate::source::{Pinned, Revision};
use crate::stop::Stop;
use crate::target::{self, Freshness, Judged};

/// What a round has come to after step 5.
#[derive(Debug)]
pub struct Round {
    /// What Git said.
    pub source: SourceState,
    /// The pinned commit.
    pub pinned: Pinned,
    /// What was judged by.
    pub policy: Policy,
    /// Each target.
    pub targets: Vec<Judged>,
    /// What the ledger says of how things stand.
    pub standing: Standing,
    /// What concerns no single target.
    pub problems: Vec<Problem>,
    /// How long it took.
    pub took: Duration,
}

/// What Git said, for reports.
#[derive(Debug, Clone, Serialize)]
pub struct SourceState {
    /// The repository.
    pub repo: String,
    /// The ref.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit that all of this is about.
    pub commit: String,
    /// Whether the files were read from disk and differ from that commit.
    pub dirty: bool,
}

/// Steps 1 to 5: looks, and writes nothing anywhere. All targets at once, each for itself.
///
/// # Errors
/// Where nothing can be judged: no source, or a policy with a mistake.
pub async fn look(session: &Session, freshness: Freshness) -> Result<Round, Failure> {
    let begun = Instant::now();
    let pinned = session::pin(session).await?;
    let policy = session::policy(session, &pinned)?;
    let judging = session.settings.targets.iter().map(|target| target::judge(session, &pinned, &policy, target, freshness));
    let mut targets = join_all(judging).await;
    target::shared::tell(&mut targets).await;
    let source = SourceState {
        repo: pinned.name.clone(),
        reference: pinned.reference.clone(),
        commit: pinned.commit.to_string(),
        dirty: pinned.dirty,
    };
    let (standing, unknown) = guards::standing(session, &pinned).await;
    let problems = [rules::notes(session, &policy, &targets), act::unplaced(&pinned, &session.settings), unknown].concat();
    Ok(Round { source, pinned, policy, targets, standing, problems, took: begun.elapsed() })
}

/// Steps 6 to 9 for what [`look`] saw: decide, then act, each effect recorded before it and verified after it.
///
/// # Errors
/// Where the ledger cannot be used: nothing is written without one.
pub async fn act(
    session: &Session,
    round: &mut Round,
    ledger: &Ledger,
    only: &[String],
    stop: &Stop,
) -> Result<Vec<RunReport>, Failure> {
    act::all_found(&round.targets, only)?;
    let ledger = &ledger.under(&round.policy);
    guards::source::pin(ledger, &round.pinned).await.map_err(Failure::usage)?;
    let mut reports = Vec::new();
    for judged in &mut round.targets {
        if stop.is_requested() {
            break;
        }
        let seen = (&*judged, &round.policy, &round.pinned);
        let (guards, worse) = act::guarded(session, ledger, seen).await?;
        let ledger = &ledger.of_cluster(guards::cluster(session, ledger, judged).await?);
        let approvals = act::approvals(&round.pinned, Some(ledger), judged).await.map_err(Failure::usage)?;
        let (pinned, policy) = (&round.pinned, &round.policy);
        let (basis, decisions) = decided(judged, (&guards, &approvals), policy, only);
        let acting = Acting { session, pinned, policy, ledger, basis: &basis, approvals: &approvals, only, stop };
        reports.extend(act::roll_back_worse(acting, judged, &guards, worse).await.map_err(Failure::usage)?);
        reports.extend(act::perform(acting, judged, &guards, decisions).await.map_err(Failure::usage)?);
        guards::head::renew(ledger, judged).await?;
        // Another revision than the source's own tells nothing of what is true by now.
        if session.revision == Revision::Reference {
            act::end_episodes(ledger, judged).await.map_err(Failure::usage)?;
        }
    }
    Ok(reports)
}

/// Step 6 alone: what [`act()`] would do.
///
/// # Errors
/// Where a ledger exists and cannot be read.
pub async fn preview(
    session: &Session,
    round: &mut Round,
    ledger: Option<&Ledger>,
    only: &[String],
) -> Result<Vec<RunReport>, Failure> {
    act::all_found(&round.targets, only)?;
    let mut reports = Vec::new();
    for judged in &mut round.targets {
        let seen = (&*judged, &round.policy, &round.pinned);
        let guards = guards::preview(session, ledger, seen, Timestamp::now()).await?;
        let approvals = act::approvals(&round.pinned, ledger, judged).await.map_err(Failure::usage)?;
        reports.extend(act::preview(&decided(judged, (&guards, &approvals), &round.policy, only).1));
    }
    Ok(reports)
}

/// What is decided about these findings; about all where none is named.
fn decided(judged: &Judged, (guards, asked): (&Guards, &Approvals), policy: &Policy, only: &[String]) -> (Basis, Vec<Decision>) {
    let wanted = |finding: &&Finding| is_wanted(&finding.id, only);
    let findings: Vec<Vec<Finding>> =
        judged.cases.iter().map(|case| case.findings.iter().filter(wanted).cloned().collect()).collect();
    let pairs = judged.cases.iter().map(|case| case.pair.as_ref());
    let cases: Vec<Case<'_>> = pairs.zip(&findings).map(|(pair, findings)| Case { pair, findings }).collect();
    let terms = Terms { target: &judged.name, requests: &asked.requests, guards, policy, now: Timestamp::now() };
    Basis::decide(&Inputs::of(&cases, terms))
}
