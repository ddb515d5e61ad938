//! Pull requests on GitHub: found before one is created, judged before one is touched.

mod error;
mod access;
mod app;
mod limit;
mod wire;
mod pull;
mod ownership;
mod end;
mod rights;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use octocrab::Octocrab;
use serde_json::json;
use tokio::sync::Mutex;
use trueup_core::facts::Problem;
use trueup_kubernetes::gate::{Gate, Pauses};

use self::app::Minted;
use self::ownership::Found;
use self::pull::PullRequest;
use self::wire::{Method, Request};
use super::{Known, Opened, Proposal, Pushed, Standing};
use crate::config::Readiness;
use crate::failpoint;

pub use self::access::{Access, bearer};
pub use self::app::{App, AppKey};
pub use self::end::{close, head, look};
pub use self::error::GitHubError;
pub use self::rights::{Asker, Left, Rights, rights};

/// What GitHub asks for where a secondary limit names no time.
const PAUSES: Pauses = Pauses { first: Duration::from_mins(1), longest: Duration::from_hours(1) };

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
    pub access: Access,
    /// How long a rate limit is waited out; a longer one is an error that says until when.
    pub patience: Duration,
    /// How long before what may be asked again is, where GitHub failed or was not reached; it doubles.
    pub pause: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
}

/// A repository on a GitHub server.
#[derive(Debug, Clone)]
pub struct GitHub {
    client: Octocrab,
    api: String,
    gate: Arc<Gate>,
    access: Access,
    minted: Arc<Mutex<Option<Minted>>>,
    owner: String,
    name: String,
    base: String,
    patience: Duration,
    pause: Duration,
    timeout: Duration,
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
        .build()
        .map_err(|source| GitHubError::Client { api: settings.api.clone(), source })?;
    Ok(GitHub {
        client,
        api: settings.api.clone(),
        gate: Gate::of(&settings.api, PAUSES),
        access: settings.access.clone(),
        minted: Arc::default(),
        owner: owner.to_owned(),
        name: name.to_owned(),
        base: settings.base.clone(),
        patience: settings.patience,
        pause: settings.pause,
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
    failpoint::reached("offer: looked up");
    let current = match &found {
        Found::Foreign(pull, reason) => return Ok(settled(Some(pull), Standing::Foreign(reason.clone()))),
        Found::Merged(pull) => return Ok(settled(Some(pull), Standing::Merged(pull.identity()))),
        Found::Denied(pull) => return Ok(settled(Some(pull), Standing::Denied(pull.identity()))),
        Found::Open(pull) => Some(pull.head.sha.clone()),
        Found::None => known.head().map(str::to_owned),
    };
    let push_error = |source| GitHubError::Push { branch: proposal.branch.clone(), source };
    let head = match push(current).await.map_err(push_error)? {
        Pushed::To(head) => head,
        Pushed::Foreign(reason) => return Ok(settled(None, Standing::Foreign(reason))),
    };
    failpoint::reached("offer: pushed");
    let Found::Open(pull) = found else { return create(github, proposal, head).await };
    let opened = update(github, proposal, &pull, head).await?;
    let problems = match known {
        // Whoever opened it was cut off before that was recorded, so perhaps before it was announced.
        Known::Intended { .. } => announce(github, proposal, &pull).await,
        Known::Nothing | Known::Opened { .. } => Vec::new(),
    };
    Ok((opened, problems))
}

fn settled(pull: Option<&PullRequest>, standing: Standing) -> (Opened, Vec<Problem>) {
    let url = pull.map(|pull| pull.html_url.clone());
    (Opened { url, head: pull.map(|pull| pull.head.sha.clone()), standing }, Vec::new())
}

async fn look_up(github: &GitHub, proposal: &Proposal, known: &Known) -> Result<Found, GitHubError> {
    let pulls = pull::list(github, &proposal.branch).await?;
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
        failpoint::reached("offer: text updated");
    }
    Ok(Opened { url: Some(pull.html_url.clone()), head: Some(head), standing })
}

/// GitHub may give line ends back as CRLF, and cuts space at the end.
fn same_body(found: Option<&str>, wanted: &str) -> bool {
    found.unwrap_or_default().replace("\r\n", "\n").trim_end() == wanted.trim_end()
}

async fn create(github: &GitHub, proposal: &Proposal, head: String) -> Result<(Opened, Vec<Problem>), GitHubError> {
    let draft = proposal.readiness == Readiness::Draft;
    let (title, body, head_branch) = (&proposal.title, &proposal.body, &proposal.branch);
    let body = json!({ "title": title, "body": body, "head": head_branch, "base": github.base, "draft": draft });
    let request = Request { step: "create a pull request", method: Method::Post(body), route: github.route("pulls") };
    let lost = match wire::ask::<PullRequest>(github, &request).await {
        Ok(pull) => {
            failpoint::reached("offer: opened");
            return Ok((created(&pull, head), announce(github, proposal, &pull).await));
        }
        Err(error) if error.may_have_happened() => error,
        Err(error) => return Err(error),
    };
    // The request is not sent again: whatever became of it is there to be found.
    let unknown = |lost| GitHubError::Unanswered { branch: proposal.branch.clone(), source: Box::new(lost) };
    // An older one may be open that a list did not show: what has ended says nothing here.
    let pushed = Known::Intended { head: head.clone(), after: 0 };
    let opened = match (look_up(github, proposal, &pushed).await.map_err(unknown)?, lost) {
        (Found::Open(pull), lost) => {
            let updated = update(github, proposal, &pull, head.clone()).await?;
            // One with another text is older than this question: the list before it did not have it yet.
            let is_new = matches!(updated.standing, Standing::Unchanged(_)) && !matches!(lost, GitHubError::Refused { .. });
            (if is_new { created(&pull, head) } else { updated }, pull)
        }
        (Found::Foreign(pull, reason), _) => return Ok(settled(Some(&pull), Standing::Foreign(reason))),
        (_, refused @ GitHubError::Refused { .. }) => return Err(refused),
        (_, lost) => return Err(unknown(lost)),
    };
    let (opened, pull) = opened;
    Ok((opened, announce(github, proposal, &pull).await))
}

fn created(pull: &PullRequest, head: String) -> Opened {
    Opened { url: Some(pull.html_url.clone()), head: Some(head), standing: Standing::Created(pull.identity()) }
}

/// The labels and reviewers that a pull request lacks; one that GitHub refuses is a problem, the pull request stands.
async fn announce(github: &GitHub, proposal: &Proposal, pull: &PullRequest) -> Vec<Problem> {
    let missing: Vec<&String> =
        proposal.labels.iter().filter(|label| !pull.labels.iter().any(|there| there.name.eq_ignore_ascii_case(label))).collect();
    let labels = (!missing.is_empty()).then(|| Request {
        step: "label a pull request",
        method: Method::Post(json!({ "labels": missing })),
        route: github.route(&format!("issues/{}/labels", pull.number)),
    });
    let (teams, people): (Vec<&str>, Vec<&str>) =
        proposal.reviewers.iter().map(String::as_str).partition(|name| name.contains('/'));
    let is_asked = |name: &str| pull.requested_reviewers.iter().any(|user| user.login.eq_ignore_ascii_case(name));
    let people: Vec<&str> = people.into_iter().filter(|name| !is_asked(name)).collect();
    let teams = teams.into_iter().filter_map(|name| name.split_once('/')).map(|(_, team)| team);
    let teams: Vec<&str> = teams.filter(|slug| !pull.requested_teams.iter().any(|team| team.slug == *slug)).collect();
    let reviewers = (!people.is_empty() || !teams.is_empty()).then(|| Request {
        step: "ask for a review",
        method: Method::Post(json!({ "reviewers": people, "team_reviewers": teams })),
        route: github.route(&format!("pulls/{}/requested_reviewers", pull.number)),
    });
    let send = async |request: Option<Request>, code| {
        let refused = wire::ask::<serde::de::IgnoredAny>(github, &request?).await.err()?;
        Some(Problem::note(code, with_source(&refused), None))
    };
    // At once: neither waits for the other, and both are small.
    let (labels, reviewers) = tokio::join!(send(labels, "labels-refused"), send(reviewers, "reviewers-refused"));
    failpoint::reached("offer: announced");
    labels.into_iter().chain(reviewers).collect()
}

fn with_source(error: &GitHubError) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

impl GitHub {
    /// Until when the server wants to be left alone, where that is longer than the patience.
    #[must_use]
    pub fn closed_until(&self) -> Option<Timestamp> {
        let left = self.gate.left().filter(|left| *left > self.patience)?;
        Some(Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX))
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{}/{rest}", self.owner, self.name)
    }
}
