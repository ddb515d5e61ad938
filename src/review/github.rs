//! Pull requests on GitHub: found before one is created, judged before one is touched.

mod end;
mod ownership;
mod wire;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use octocrab::Octocrab;
use serde_json::json;
use trueup_core::facts::Problem;

use self::ownership::Found;
use self::wire::{Method, PullRequest, Request};
use super::{Identity, Known, Opened, Proposal, Pushed, Standing};
use crate::config::Readiness;

pub use end::{close, look};

/// A forge's token. Nothing prints it.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A token as the environment gave it.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where proposals go.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The API: `https://api.github.com`, or `https://HOST/api/v3` of an Enterprise server.
    pub api: String,
    /// `acme/platform`
    pub repository: String,
    /// The branch that proposals are to be merged into.
    pub base: String,
    /// Who asks.
    pub token: Token,
    /// How long a rate limit is waited out; a longer one is an error that says until when.
    pub patience: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A repository on a GitHub server.
#[derive(Debug, Clone)]
pub struct GitHub {
    client: Octocrab,
    owner: String,
    name: String,
    base: String,
    patience: Duration,
    timeout: Duration,
}

/// Why a proposal could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// A setting that cannot be used.
    #[error("`{value}` is not {expected}; correct `[review]` in trueup.toml")]
    Setting {
        /// What was given.
        value: String,
        /// What is needed.
        expected: &'static str,
    },
    /// The HTTP client did not come up.
    #[error("no HTTP client for `{api}`; check the machine's certificate store")]
    Client {
        /// The API.
        api: String,
        /// Why.
        #[source]
        source: octocrab::Error,
    },
    /// No answer.
    #[error("no answer from GitHub to `{step}`; check the network and `[review]` in trueup.toml")]
    Unreachable {
        /// What was asked.
        step: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pull request was asked for, the answer got lost, and no such pull request is to be seen yet.
    #[error("whether GitHub opened the pull request for `{branch}` is unknown; the next round looks for it first")]
    Unanswered {
        /// The branch.
        branch: String,
        /// What happened to the answer.
        #[source]
        source: Box<GitHubError>,
    },
    /// 401.
    #[error("GitHub does not accept the token (at `{step}`); give a valid one in TRUEUP_GITHUB_TOKEN")]
    Unauthorized {
        /// What was asked.
        step: &'static str,
    },
    /// 403 without a limit.
    #[error("the token may not `{step}`: `{message}`; it needs the right to write pull requests of the repository")]
    Forbidden {
        /// What was asked.
        step: &'static str,
        /// GitHub's words.
        message: String,
    },
    /// 404: GitHub says so, too, where the token may not look.
    #[error("GitHub knows no `{repository}` (at `{step}`), or the token may not see it; check `repo` in `[review]`")]
    NotFound {
        /// What was asked.
        step: &'static str,
        /// The repository.
        repository: String,
    },
    /// 403 or 429 with a limit that is longer than our patience.
    #[error("GitHub limits requests until `{until}` (at `{step}`); the next round after that tries again")]
    Limited {
        /// What was asked.
        step: &'static str,
        /// When to ask again.
        until: jiff::Timestamp,
    },
    /// Any other refusal.
    #[error("GitHub refuses to `{step}` with status {status}: `{message}`; check `[review]` in trueup.toml")]
    Refused {
        /// What was asked.
        step: &'static str,
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// 5xx.
    #[error("GitHub failed at `{step}` with status {status}; the next round tries again")]
    Failed {
        /// What was asked.
        step: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that is none.
    #[error("GitHub's answer to `{step}` makes no sense: {reason}; check `[review]` in trueup.toml")]
    Answer {
        /// What was asked.
        step: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The branch could not be pushed.
    #[error("the branch `{branch}` could not be pushed; nothing was proposed")]
    Push {
        /// The branch.
        branch: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Makes the client. Runs inside a Tokio runtime; sends nothing.
///
/// # Errors
/// Where a setting cannot be used; a token never goes over plain HTTP to another machine.
pub fn connect(settings: &Settings) -> Result<GitHub, GitHubError> {
    let setting = |value: &str, expected| GitHubError::Setting { value: value.to_owned(), expected };
    let is_name =
        |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
    let (owner, name) = settings
        .repository
        .split_once('/')
        .filter(|(owner, name)| is_name(owner) && is_name(name))
        .ok_or_else(|| setting(&settings.repository, "a repository like `acme/platform`"))?;
    if !wire::is_safe(&settings.api) {
        return Err(setting(&settings.api, "an https:// address (http:// only on this machine)"));
    }
    let client = Octocrab::builder()
        .base_uri(settings.api.as_str())
        .map_err(|_| setting(&settings.api, "the address of a GitHub API"))?
        .set_connect_timeout(Some(settings.timeout))
        .set_read_timeout(Some(settings.timeout))
        .set_write_timeout(Some(settings.timeout))
        .personal_token(settings.token.0.clone())
        .build()
        .map_err(|source| GitHubError::Client { api: settings.api.clone(), source })?;
    Ok(GitHub {
        client,
        owner: owner.to_owned(),
        name: name.to_owned(),
        base: settings.base.clone(),
        patience: settings.patience,
        timeout: settings.timeout,
    })
}

/// Offers a proposal: looks for its pull request, pushes the branch, then creates or updates.
///
/// `push` gets the head that the branch has now as far as trueup knows (`None`: the branch is not there) and must not
/// overwrite any other; a branch that is gone (forges delete merged ones) may be made anew. It is not called where nothing is
/// to be proposed.
///
/// # Errors
/// Each step's own; after [`GitHubError::Unanswered`] the next round finds out by looking.
pub async fn open<Push, Pushing>(
    github: &GitHub,
    proposal: &Proposal,
    known: &Known,
    push: Push,
) -> Result<(Opened, Vec<Problem>), GitHubError>
where
    Push: FnOnce(Option<String>) -> Pushing,
    Pushing: Future<Output = Result<Pushed, Box<dyn std::error::Error + Send + Sync>>>,
{
    let found = look_up(github, proposal, known).await?;
    let current = match &found {
        Found::Foreign(pull, reason) => return Ok(settled(Some(pull), Standing::Foreign(reason.clone()))),
        Found::Merged(pull) => return Ok(settled(Some(pull), Standing::Merged)),
        Found::Denied(pull) => return Ok(settled(Some(pull), Standing::Denied)),
        Found::Open(pull) => Some(pull.head.sha.clone()),
        Found::None => known.head().map(str::to_owned),
    };
    let push_error = |source| GitHubError::Push { branch: proposal.branch.clone(), source };
    let head = match push(current).await.map_err(push_error)? {
        Pushed::To(head) => head,
        Pushed::Foreign(reason) => return Ok(settled(None, Standing::Foreign(reason))),
    };
    match found {
        Found::Open(pull) => update(github, proposal, &pull, head).await.map(|opened| (opened, Vec::new())),
        _ => create(github, proposal, head).await,
    }
}

fn settled(pull: Option<&PullRequest>, standing: Standing) -> (Opened, Vec<Problem>) {
    let url = pull.map(|pull| pull.html_url.clone());
    (Opened { url, head: pull.map(|pull| pull.head.sha.clone()), standing }, Vec::new())
}

async fn look_up(github: &GitHub, proposal: &Proposal, known: &Known) -> Result<Found, GitHubError> {
    let pulls = wire::list(github, &proposal.branch).await?;
    Ok(ownership::judge(pulls, proposal, known, &github.base))
}

async fn update(github: &GitHub, proposal: &Proposal, pull: &PullRequest, head: String) -> Result<Opened, GitHubError> {
    let same_text = pull.title == proposal.title && same_body(pull.body.as_deref(), &proposal.body);
    let identity = pull.identity();
    let standing = if same_text && pull.head.sha == head { Standing::Unchanged(identity) } else { Standing::Updated(identity) };
    if !same_text {
        let route = github.route(&format!("pulls/{}", pull.number));
        let body = json!({ "title": proposal.title, "body": proposal.body });
        let request = Request { step: "update a pull request", method: Method::Patch(body), route };
        wire::ask::<PullRequest>(github, &request).await?;
    }
    Ok(Opened { url: Some(pull.html_url.clone()), head: Some(head), standing })
}

/// GitHub may give line ends back as CRLF, and cuts space at the end.
fn same_body(found: Option<&str>, wanted: &str) -> bool {
    found.unwrap_or_default().replace("\r\n", "\n").trim_end() == wanted.trim_end()
}

async fn create(github: &GitHub, proposal: &Proposal, head: String) -> Result<(Opened, Vec<Problem>), GitHubError> {
    let body = json!({ "title": proposal.title, "body": proposal.body, "head": proposal.branch, "base": github.base,
        "draft": proposal.readiness == Readiness::Draft });
    let request = Request { step: "create a pull request", method: Method::Post(body), route: github.route("pulls") };
    let lost = match wire::ask::<PullRequest>(github, &request).await {
        Ok(pull) => return Ok(announce(github, proposal, &pull, head).await),
        Err(error) if wire::may_have_happened(&error) => error,
        Err(error) => return Err(error),
    };
    // The request is not sent again: whatever became of it is there to be found.
    let pushed = Known::Intended { head: head.clone() };
    match (look_up(github, proposal, &pushed).await?, lost) {
        (Found::Open(pull), GitHubError::Refused { .. }) => {
            update(github, proposal, &pull, head).await.map(|opened| (opened, Vec::new()))
        }
        (Found::Open(pull), _) => Ok(announce(github, proposal, &pull, head).await),
        (Found::Foreign(pull, reason), _) => Ok(settled(Some(&pull), Standing::Foreign(reason))),
        (_, refused @ GitHubError::Refused { .. }) => Err(refused),
        (_, lost) => Err(GitHubError::Unanswered { branch: proposal.branch.clone(), source: Box::new(lost) }),
    }
}

/// Labels and reviewers of a fresh pull request; one that GitHub refuses is a problem, the pull request stands.
async fn announce(github: &GitHub, proposal: &Proposal, pull: &PullRequest, head: String) -> (Opened, Vec<Problem>) {
    let mut problems = Vec::new();
    if !proposal.labels.is_empty() {
        let route = github.route(&format!("issues/{}/labels", pull.number));
        let method = Method::Post(json!({ "labels": proposal.labels }));
        let request = Request { step: "label a pull request", method, route };
        if let Err(error) = wire::ask::<serde::de::IgnoredAny>(github, &request).await {
            problems.push(Problem::note("labels-refused", with_source(&error), None));
        }
    }
    if !proposal.reviewers.is_empty() {
        let route = github.route(&format!("pulls/{}/requested_reviewers", pull.number));
        let (teams, people): (Vec<_>, Vec<_>) = proposal.reviewers.iter().partition(|name| name.contains('/'));
        let teams: Vec<_> = teams.iter().filter_map(|name| name.split_once('/')).map(|(_, team)| team).collect();
        let method = Method::Post(json!({ "reviewers": people, "team_reviewers": teams }));
        let request = Request { step: "ask for a review", method, route };
        if let Err(error) = wire::ask::<serde::de::IgnoredAny>(github, &request).await {
            problems.push(Problem::note("reviewers-refused", with_source(&error), None));
        }
    }
    (Opened { url: Some(pull.html_url.clone()), head: Some(head), standing: Standing::Created(pull.identity()) }, problems)
}

fn with_source(error: &GitHubError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl GitHub {
    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.owner, self.name)
    }
}

impl PullRequest {
    fn identity(&self) -> Identity {
        Identity { number: self.number, author: self.user.as_ref().map(|user| user.login.clone()).unwrap_or_default() }
    }
}
