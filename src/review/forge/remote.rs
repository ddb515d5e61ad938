//! The GitHub of the settings: as whom it is asked, and how a proposal's branch gets there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::{Failed, Offer, text};
use crate::config::Forge;
use crate::review::github::{self, GitHub, GitHubError};
use crate::review::push::{PushRequest, Pushed as Pushing};
use crate::review::{Opened, Pushed};
use crate::session::{Session, host_of};
use crate::source::Pinned;
use crate::source::credentials::{Credentials, Token};
use crate::source::transport::{self, Transport};

/// How long a round waits at most for a limit to end.
const PATIENCE: Duration = Duration::from_mins(1);
/// Before what may be asked again is, where GitHub failed; it doubles.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// A GitHub that was connected to once: its connections, and what it said of its limits, stay for the next proposal.
pub type Connection = Arc<OnceLock<GitHub>>;

/// Offers a proposal as a pull request.
pub(super) async fn offer(session: &Session, pinned: &Pinned, offer: &Offer<'_>) -> Result<Opened, Failed> {
    let github = connected(session).map_err(Failed::Refused)?;
    let push = |expected| push_branch(session, pinned, offer, expected);
    let (opened, problems) = github::open(github, offer.proposal, offer.known, push).await.map_err(failed)?;
    for problem in problems {
        tracing::warn!(%problem, "beside the pull request");
    }
    Ok(opened)
}

/// The GitHub of the settings, connected to at the first need.
///
/// # Errors
/// What is missing, for people.
pub fn connected(session: &Session) -> Result<&GitHub, String> {
    if let Some(github) = session.github.get() {
        return Ok(github);
    }
    let Forge::GitHub { repo, base, api, .. } = &session.settings.review.forge else {
        return Err("`[review]` names no GitHub".to_owned());
    };
    let missing = "no token for GitHub: set `TRUEUP_GITHUB_TOKEN`, `GITHUB_TOKEN` or `GH_TOKEN`";
    let settings = github::Settings {
        api: api.clone(),
        repository: repo.clone(),
        base: base.clone(),
        token: session.forge_token.clone().ok_or_else(|| missing.to_owned())?,
        patience: PATIENCE,
        pause: PAUSE,
        timeout: TIMEOUT,
    };
    let github = github::connect(&settings).map_err(text)?;
    Ok(session.github.get_or_init(|| github))
}

fn failed(error: GitHubError) -> Failed {
    match &error {
        GitHubError::Unanswered { .. } => Failed::Unanswered(text(error)),
        GitHubError::Limited { .. } => Failed::Later(text(error)),
        _ => Failed::Refused(text(error)),
    }
}

/// Pushes over https with the forge's token, which goes to the forge's host alone.
async fn push_branch(
    session: &Session,
    pinned: &Pinned,
    offer: &Offer<'_>,
    expected: Option<String>,
) -> Result<Pushed, Box<dyn std::error::Error + Send + Sync>> {
    let Forge::GitHub { repo, web, .. } = &session.settings.review.forge else { return Err("no GitHub to push to".into()) };
    let url = format!("{web}/{repo}.git");
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
