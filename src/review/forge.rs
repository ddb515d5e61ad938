//! The two forges: a branch and a patch file in the source's repository, or a pull request on GitHub.

mod end;
mod remote;

use jiff::Timestamp;
use trueup_core::run::Asked;

use super::commit::Author;
use super::github::GitHub;
use super::{Became, Identity, Known, Opened, Proposal, Standing, local};
use crate::config::Forge;
use crate::session::Session;
use crate::source::{CommitId, Pinned};

pub use end::{Sought, in_the_way, look, tidy, withdraw};
pub use remote::{AppKeyTrouble, Connection, access, app_key, connected};

/// What is offered, and what is known of its branch.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    /// That its intent is recorded.
    pub asked: &'a Asked,
    /// The proposal.
    pub proposal: &'a Proposal,
    /// Its commit, in the source's repository or its cache.
    pub commit: &'a CommitId,
    /// What the ledger knows of an earlier one.
    pub known: &'a Known,
}

/// Why a proposal was not opened, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failed {
    /// It was not.
    Refused(String),
    /// It may have been: no answer came.
    Unanswered(String),
    /// It was not, as the forge wants to be left alone for a while.
    Later(String),
}

/// Offers a proposal to the forge of the settings.
///
/// # Errors
/// Why nothing is known to have been opened.
pub async fn offer(session: &Session, pinned: &Pinned, offer: &Offer<'_>) -> Result<Opened, Failed> {
    match &session.settings.review.forge {
        Forge::Local => offer_locally(session, pinned, offer).map_err(Failed::Refused),
        // Large, and rarely needed.
        Forge::GitHub { .. } => Box::pin(remote::offer(session, pinned, offer)).await,
    }
}

/// Until when the forge wants to be left alone, as it said to this process: nothing is begun there before.
#[must_use]
pub fn closed_until(session: &Session) -> Option<Timestamp> {
    session.github.get().and_then(GitHub::closed_until)
}

fn text(error: impl std::error::Error + Send + Sync + 'static) -> String {
    format!("{:#}", anyhow::Error::new(error))
}

fn offer_locally(session: &Session, pinned: &Pinned, offer: &Offer<'_>) -> Result<Opened, String> {
    let known_head: Option<CommitId> = offer.known.head().and_then(|head| head.parse().ok());
    let (branch, known) = (offer.proposal.branch.as_str(), offer.known);
    // People answer a proposal by merging its branch or removing it; what another one was about is no answer to this one.
    if matches!(known, Known::Opened { fingerprint, .. } if *fingerprint == offer.proposal.fingerprint) {
        let answered = |standing| Ok(Opened { url: None, head: None, standing });
        match end::look_locally(session, pinned, Sought { branch, known })? {
            Became::Merged(identity) => return answered(Standing::Merged(identity)),
            Became::Closed(identity) => return answered(Standing::Denied(identity)),
            Became::Open { .. } | Became::Foreign(_) | Became::Gone => {}
        }
    }
    let proposal = local::Proposal {
        repository: &pinned.repository,
        branch,
        commit: offer.commit,
        author: &Author::default(),
        known_head: known_head.as_ref(),
        state: session.state.path(),
    };
    let identity = Identity { number: 0, author: String::new() };
    let standing = match local::open(&proposal).map_err(text)? {
        local::Opened::Created => Standing::Created(identity),
        local::Opened::Unchanged => Standing::Unchanged(identity),
        local::Opened::Updated { .. } => Standing::Updated(identity),
        local::Opened::Foreign { head } => {
            return Ok(Opened { url: None, head: None, standing: Standing::Foreign(not_ours(branch, &head)) });
        }
    };
    Ok(Opened { url: Some(local_url(session, branch)?), head: Some(offer.commit.to_string()), standing })
}

fn not_ours(branch: &str, head: &CommitId) -> String {
    format!("branch `{branch}` holds {head}, which is not ours: it was left alone")
}

/// Where people read a branch. Without a patch, which would have shown a secret value, they read the branch itself.
fn local_url(session: &Session, branch: &str) -> Result<String, String> {
    let patch = local::patch_path(session.state.path(), branch).map_err(text)?;
    Ok(if patch.exists() { patch.display().to_string() } else { branch.to_owned() })
}
