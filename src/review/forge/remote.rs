//! The GitHub of the settings: as whom it is asked, and how a proposal's branch gets there.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use trueup_core::facts::Problem;

use super::{Failed, Offer, text};
use crate::config::{AppSettings, Forge};
use crate::review::github::{self, Access, App, AppKey, GitHub, GitHubError};
use crate::review::push::{PushRequest, Pushed as Pushing};
use crate::review::{Opened, Pushed};
use crate::session::{Session, host_of};
use crate::source::credentials::{Credentials, Secret, Token};
use crate::source::transport::{self, Transport};
use crate::source::{self, Pinned};

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
    let Forge::GitHub { repo, base, api, app, .. } = &session.settings.review.forge else {
        return Err("`[review]` names no GitHub".to_owned());
    };
    let access = match app {
        Some(app) => {
            let key = app_key(session, app).map_err(|trouble| trouble.problem().to_string())?;
            let repositories = repositories(session, repo);
            Access::App(App { id: app.id, installation: app.installation, key, repositories })
        }
        None => Access::Token(session.forge_token.clone().ok_or_else(|| {
            "no token for GitHub: set `TRUEUP_GITHUB_TOKEN`, `GITHUB_TOKEN` or `GH_TOKEN`, or name an `app` in `[review]`"
                .to_owned()
        })?),
    };
    let settings = github::Settings {
        api: api.clone(),
        repository: repo.clone(),
        base: base.clone(),
        access,
        patience: PATIENCE,
        pause: PAUSE,
        timeout: TIMEOUT,
    };
    let github = github::connect(&settings).map_err(text)?;
    Ok(session.github.get_or_init(|| github))
}

/// What is wrong with an app's key.
#[derive(Debug)]
pub enum AppKeyTrouble {
    /// There is none here: no mistake in a file, as a machine that only checks files rightly has none.
    Missing(Problem),
    /// It is there, and it is none.
    Unusable(Problem),
}

impl AppKeyTrouble {
    /// In words, at its place.
    #[must_use]
    pub fn problem(&self) -> &Problem {
        match self {
            Self::Missing(problem) | Self::Unusable(problem) => problem,
        }
    }
}

/// The private key of the forge's app: the environment's, else the file's.
///
/// # Errors
/// Where there is none, or what is there is none.
pub fn app_key(session: &Session, app: &AppSettings) -> Result<AppKey, AppKeyTrouble> {
    let problem = |code, message: String| Problem::note(code, message, Some(app.origin.clone()));
    let missing = |message| AppKeyTrouble::Missing(problem("app-key-missing", message));
    let (text, place) = match (&session.forge_app_key, &app.key) {
        (Some(text), _) => (text.clone(), "TRUEUP_GITHUB_APP_KEY".to_owned()),
        (None, Some(path)) => {
            let place = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| {
                missing(format!(
                    "the key of app {} cannot be read from `{place}` ({error}), and TRUEUP_GITHUB_APP_KEY is not set",
                    app.id
                ))
            })?;
            (Secret::new(text), place)
        }
        (None, None) => {
            let message =
                format!("app {} has no key: name its file in `key`, or set TRUEUP_GITHUB_APP_KEY to the key itself", app.id);
            return Err(missing(message));
        }
    };
    AppKey::read(text.reveal()).map_err(|reason| {
        AppKeyTrouble::Unusable(problem(
            "app-key-unusable",
            format!("`{place}` does not hold the key of app {}: {reason}", app.id),
        ))
    })
}

/// What an app's token is good for: the repository of proposals, and that of the source where one installation has both.
fn repositories(session: &Session, repo: &str) -> Vec<String> {
    let Some((owner, name)) = repo.split_once('/') else { return Vec::new() };
    let path = session.settings.source.repo.split_once("://").and_then(|(_, rest)| rest.split_once('/'));
    let path = path.filter(|_| is_ours(session)).map(|(_, path)| path.trim_end_matches('/').trim_end_matches(".git"));
    let source = path.and_then(|path| path.split_once('/')).filter(|(other, _)| other.eq_ignore_ascii_case(owner));
    let source = source.map(|(_, name)| name.to_owned()).filter(|source| !source.eq_ignore_ascii_case(name));
    [name.to_owned()].into_iter().chain(source).collect()
}

/// Whether the source is on the forge's host, over https.
fn is_ours(session: &Session) -> bool {
    let source = &session.settings.source.repo;
    let Forge::GitHub { web, .. } = &session.settings.review.forge else { return false };
    source.starts_with("http") && host_of(source) == host_of(web)
}

/// How the source is reached: where it is on the forge of an app, with a token of that app.
pub async fn access(session: &Session) -> source::Access {
    let mut access = session.access.clone();
    let as_app = matches!(&session.settings.review.forge, Forge::GitHub { app: Some(_), .. });
    if !as_app || access.transport.credentials.token.is_some() || !is_ours(session) {
        return access;
    }
    match git_token(session, &session.settings.source.repo).await {
        Ok(token) => access.transport.credentials.token = Some(token),
        // A source that everybody may read needs none.
        Err(reason) => tracing::warn!(reason, "the source is read without the forge's app"),
    }
    access
}

/// What the host of a URL may be shown: the forge's token, or one of its app.
async fn git_token(session: &Session, url: &str) -> Result<Token, String> {
    let host = host_of(url).unwrap_or_default();
    let secret = github::bearer(connected(session)?).await.map_err(text)?;
    Ok(Token { host, secret })
}

pub(super) fn failed(error: GitHubError) -> Failed {
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
    let token = Some(git_token(session, &url).await?);
    let transport =
        Transport { credentials: Credentials { token, ..Credentials::default() }, ..session.access.transport.clone() };
    let (branch, head) = (offer.proposal.branch.clone(), offer.commit.to_string());
    let repository = pinned.repository.clone();
    let mut request = PushRequest { repository, commit: head.clone(), url, branch: branch.clone(), expected };
    let push = move || {
        let pushed = transport::push(request.clone(), &transport)?;
        // It was never pushed, or the forge removed it after its merge: nobody's work is there.
        if pushed == (Pushing::Moved { found: None }) && request.expected.take().is_some() {
            return transport::push(request, &transport);
        }
        Ok(pushed)
    };
    Ok(match tokio::task::spawn_blocking(push).await?? {
        Pushing::Created | Pushing::Unchanged | Pushing::Updated => Pushed::To(head),
        Pushing::Moved { found } => {
            let found = found.unwrap_or_else(|| "nothing".to_owned());
            Pushed::Foreign(format!("branch `{branch}` holds {found}, which is not what trueup put there: it was left alone"))
        }
        Pushing::Rejected { reason } => return Err(format!("the push of `{branch}` was rejected: {reason}").into()),
    })
}
