//! The two forges: a branch and a patch file in the source's repository, or a pull request on GitHub.

mod end;

use std::time::Duration;

use super::commit::Author;
use super::push::{PushRequest, Pushed as Pushing};
use super::{Became, Identity, Known, Opened, Proposal, Pushed, Standing, github, local};
use crate::config::Forge;
use crate::session::{Session, host_of};
use crate::source::credentials::{Credentials, Token};
use crate::source::transport::{self, Transport};
use crate::source::{CommitId, Pinned};

pub use end::{Sought, look, tidy, withdraw};

/// What is offered, and what is known of its branch.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
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
}

/// Offers a proposal to the forge of the settings.
///
/// # Errors
/// Why nothing is known to have been opened.
pub async fn offer(session: &Session, pinned: &Pinned, offer: &Offer<'_>) -> Result<Opened, Failed> {
    match &session.settings.review.forge {
        Forge::Local => offer_locally(session, pinned, offer).map_err(Failed::Refused),
        Forge::GitHub { repo, web, .. } => {
            let connected = connected(session)?;
            let url = format!("{web}/{repo}.git");
            let push = |expected| push_branch(session, pinned, offer, url, expected);
            let (opened, problems) = github::open(&connected, offer.proposal, offer.known, push).await.map_err(failed)?;
            for problem in problems {
                tracing::warn!(%problem, "beside the pull request");
            }
            Ok(opened)
        }
    }
}

/// The GitHub of the settings, ready to be asked.
fn connected(session: &Session) -> Result<github::GitHub, Failed> {
    let Forge::GitHub { repo, base, api, .. } = &session.settings.review.forge else {
        return Err(Failed::Refused("`[review] forge` in trueup.toml is not \"github\"".to_owned()));
    };
    let token = session.forge_token.as_ref();
    let missing = "no token for GitHub: set `TRUEUP_GITHUB_TOKEN`, `GITHUB_TOKEN` or `GH_TOKEN`";
    let token = token.ok_or_else(|| Failed::Refused(missing.to_owned()))?;
    let settings = github::Settings {
        api: api.clone(),
        repository: repo.clone(),
        base: base.clone(),
        token: github::Token::new(token.reveal()),
        patience: Duration::from_mins(1),
        timeout: Duration::from_secs(30),
    };
    github::connect(&settings).map_err(failed)
}

fn failed(error: github::GitHubError) -> Failed {
    match &error {
        github::GitHubError::Unanswered { .. } => Failed::Unanswered(text(error)),
        _ => Failed::Refused(text(error)),
    }
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
            Became::Merged => return answered(Standing::Merged),
            Became::Closed => return answered(Standing::Denied),
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

/// Pushes over https with the forge's token, which goes to the forge's host alone.
async fn push_branch(
    session: &Session,
    pinned: &Pinned,
    offer: &Offer<'_>,
    url: String,
    expected: Option<String>,
) -> Result<Pushed, Box<dyn std::error::Error + Send + Sync>> {
    let host = host_of(&url).unwrap_or_default();
    let token = session.forge_token.clone().map(|secret| Token { host, secret });
    let transport =
        Transport { credentials: Credentials { token, ..Credentials::default() }, ..session.access.transport.clone() };
    let request = PushRequest {
        repository: pinned.repository.clone(),
        commit: offer.commit.to_string(),
        url,
        branch: offer.proposal.branch.clone(),
        expected,
    };
    let branch = offer.proposal.branch.clone();
    let head = offer.commit.to_string();
    let pushed = tokio::task::spawn_blocking(move || transport::push(request, &transport)).await??;
    Ok(match pushed {
        Pushing::Created | Pushing::Unchanged | Pushing::Updated => Pushed::To(head),
        Pushing::Moved { found } => {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            Pushed::Foreign(format!("branch `{branch}` holds {found}, which is not what trueup put there: it was left alone"))
        }
        Pushing::Rejected { reason } => return Err(format!("the push of `{branch}` was rejected: {reason}").into()),
    })
}
