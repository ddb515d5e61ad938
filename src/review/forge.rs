//! The two forges: a branch and a patch file in the source's repository, or a pull request on GitHub.

use std::time::Duration;

use super::commit::Author;
use super::push::{PushRequest, Pushed as Pushing};
use super::{Identity, Known, Opened, Proposal, Pushed, Standing, github, local};
use crate::config::Forge;
use crate::session::{Session, host_of};
use crate::source::credentials::{Credentials, Token};
use crate::source::transport::{self, Transport};
use crate::source::{CommitId, Pinned};

/// What is offered, and what is known of its place.
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
        Forge::GitHub { repo, base, api, web } => {
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
            let connected = github::connect(&settings).map_err(failed)?;
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
    let proposal = local::Proposal {
        repository: &pinned.repository,
        place: &offer.proposal.place,
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
            let reason = format!("branch `{}` holds {head}, which is not ours: it was left alone", offer.proposal.branch);
            return Ok(Opened { url: None, head: None, standing: Standing::Foreign(reason) });
        }
    };
    let patch = local::patch_path(session.state.path(), &offer.proposal.place);
    // Without a patch, which would have shown a secret value, people read the branch.
    let url = if patch.exists() { patch.display().to_string() } else { offer.proposal.branch.clone() };
    Ok(Opened { url: Some(url), head: Some(offer.commit.to_string()), standing })
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
