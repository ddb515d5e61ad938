//! The straight line: source → desired → live → diff → classify → decide → act → verify → record.

use std::time::{Duration, Instant};

use futures::future::join_all;
use jiff::Timestamp;
use serde::Serialize;
use trueup_core::facts::Problem;
use trueup_core::policy::Policy;
use trueup_core::run::Standing;

use crate::act::{self, Acting, Guarded};
use crate::approvals;
use crate::bindings;
use crate::failure::Failure;
use crate::guards::{self, Past};
use crate::ledger::Ledger;
use crate::people::{self, Known};
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
    /// When it was.
    pub at: Timestamp,
    /// How long it took.
    pub took: Duration,
}

impl Round {
    /// By what it is told what people's decisions count for.
    #[must_use]
    pub fn known(&self) -> Known<'_> {
        Known { standing: &self.standing, policy: &self.policy, now: self.at }
    }
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
    let (Past { standing, histories }, unknown) = guards::past(session, &pinned).await;
    guards::state::refuse_before(&standing, &mut targets);
    bindings::join(session, &pinned, &policy, &mut targets);
    target::remember(&mut targets, &histories);
    let unplaced = approvals::judge(session, &pinned, &mut targets).await;
    let problems = rules::notes(session, &policy, &targets).into_iter().chain(unknown).chain(unplaced).collect();
    Ok(Round { source, pinned, policy, targets, standing, problems, at: Timestamp::now(), took: begun.elapsed() })
}

/// Steps 6 to 9 for what [`look`] saw: decide, then act, each effect recorded before it and verified after it.
///
/// # Errors
/// Where the ledger cannot be used: nothing is written without one.
pub async fn act(
    session: &Session,
    round: &Round,
    ledger: &Ledger,
    only: &[String],
    stop: &Stop,
) -> Result<Vec<RunReport>, Failure> {
    all_found(round, only)?;
    let ledger = &ledger.under(&round.policy);
    guards::source::pin(ledger, &round.pinned).await.map_err(Failure::usage)?;
    let mut reports = Vec::new();
    for judged in &round.targets {
        if stop.is_requested() {
            break;
        }
        guards::state::record(ledger, &round.standing, judged).await.map_err(Failure::usage)?;
        let Round { pinned, policy, .. } = round;
        let Guarded { guards, worse, .. } = act::guarded(session, ledger, (judged, policy, pinned)).await?;
        let ledger = &ledger.of_cluster(guards::cluster(session, ledger, judged).await?);
        let requests = &[people::requests(judged, round.known()), judged.approved.requests.clone()].concat()[..];
        let (basis, decisions) = act::decided(judged, (&guards, policy), requests, only);
        let acting = Acting { session, pinned, policy, ledger, basis: &basis, requests, only, stop };
        reports.extend(act::roll_back_worse(acting, judged, &guards, worse).await.map_err(Failure::usage)?);
        reports.extend(act::perform(acting, judged, &guards, decisions).await.map_err(Failure::usage)?);
        guards::head::renew(ledger, judged).await?;
        // Another revision than the source's own tells nothing of what is true by now.
        if session.revision == Revision::Reference {
            act::end_episodes(ledger, judged, &round.standing).await.map_err(Failure::usage)?;
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
    round: &Round,
    ledger: Option<&Ledger>,
    only: &[String],
) -> Result<Vec<RunReport>, Failure> {
    all_found(round, only)?;
    let mut reports = Vec::new();
    for judged in &round.targets {
        let seen = (judged, &round.policy, &round.pinned);
        let guards = guards::preview(session, ledger, seen, Timestamp::now()).await?;
        let requests = [people::requests(judged, round.known()), judged.approved.requests.clone()].concat();
        reports.extend(act::preview(&act::decided(judged, (&guards, &round.policy), &requests, only).1));
    }
    Ok(reports)
}

/// An id that names no finding is a mistake: its values may have moved on since it was read.
fn all_found(round: &Round, only: &[String]) -> Result<(), Failure> {
    let is_found = |id: &&String| round.targets.iter().flat_map(Judged::findings).any(|finding| finding.id.0 == **id);
    match only.iter().find(|id| !is_found(id)) {
        Some(id) => Err(Failure::usage(anyhow::anyhow!("no finding `{id}`: `trueup diff` lists them as they are now"))),
        None => Ok(()),
    }
}
