//! Requests to GitHub's REST API and what its answers mean.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, StatusCode, Uri};
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{GitHub, GitHubError};

/// No answer that we need comes near this.
const ANSWER_LIMIT: usize = 16 << 20;
const MESSAGE_LIMIT: usize = 300;
/// What GitHub asks for where a secondary limit names no time.
const SECONDARY_WAIT: Duration = Duration::from_mins(1);

/// One request.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What it does, for people.
    pub step: &'static str,
    /// How.
    pub method: Method,
    /// Path and query below the API's address.
    pub route: String,
}

/// The methods that we use, with their bodies.
#[derive(Debug, Clone, PartialEq)]
pub enum Method {
    /// Reads.
    Get,
    /// Creates. Only sent again where GitHub said that it did nothing (a rate limit).
    Post(Value),
    /// Changes.
    Patch(Value),
}

/// A pull request, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PullRequest {
    pub number: u64,
    pub state: String,
    pub merged_at: Option<String>,
    pub html_url: String,
    pub title: String,
    pub body: Option<String>,
    pub user: Option<User>,
    pub head: Branch,
    pub base: Branch,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct User {
    pub login: String,
}

/// One end of a pull request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Branch {
    #[serde(rename = "ref")]
    pub name: String,
    pub sha: String,
    /// Gone where the fork was deleted.
    pub repo: Option<Repository>,
}

/// A repository.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Repository {
    pub full_name: String,
}

impl Branch {
    /// Whether both ends are of one repository.
    pub fn is_of(&self, other: &Self) -> bool {
        match (&self.repo, &other.repo) {
            (Some(one), Some(other)) => one.full_name.eq_ignore_ascii_case(&other.full_name),
            _ => false,
        }
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    bytes: Vec<u8>,
}

/// Every pull request of a branch of the repository, open or not. Without the owner GitHub would ignore the filter.
pub async fn list(github: &GitHub, branch: &str) -> Result<Vec<PullRequest>, GitHubError> {
    let (head, base) = (query(&format!("{}:{branch}", github.owner)), query(&github.base));
    let route = github.route(&format!("pulls?head={head}&base={base}&state=all&sort=created&direction=desc&per_page=100"));
    ask(github, &Request { step: "list pull requests", method: Method::Get, route }).await
}

/// Sends a request and reads the answer. A rate limit within the patience is waited out, once.
pub async fn ask<T: DeserializeOwned>(github: &GitHub, request: &Request) -> Result<T, GitHubError> {
    let mut answer = send(github, request).await?;
    if let Some(wait) = wait_of(&answer).filter(|wait| *wait <= github.patience) {
        tokio::time::sleep(wait).await;
        answer = send(github, request).await?;
    }
    if !answer.status.is_success() {
        return Err(meaning(github, request.step, &answer));
    }
    serde_json::from_slice(&answer.bytes).map_err(|error| GitHubError::Answer {
        step: request.step,
        reason: format!("it is not what the API describes ({error})"),
    })
}

/// Whether a request with this outcome may have taken effect all the same.
pub fn may_have_happened(error: &GitHubError) -> bool {
    match error {
        GitHubError::Unreachable { .. } | GitHubError::Failed { .. } | GitHubError::Answer { .. } => true,
        GitHubError::Refused { status, message, .. } => *status == 422 && message.contains("already exists"),
        _ => false,
    }
}

/// Whether a token may go there: over TLS, or on this machine.
pub fn is_safe(api: &str) -> bool {
    let Ok(uri) = api.parse::<Uri>() else { return false };
    match (uri.scheme_str(), uri.host()) {
        (Some("https"), Some(_)) => true,
        (Some("http"), Some(host)) => matches!(host, "127.0.0.1" | "localhost" | "[::1]"),
        _ => false,
    }
}

async fn send(github: &GitHub, request: &Request) -> Result<Answer, GitHubError> {
    let step = request.step;
    let sending = async {
        let route = request.route.as_str();
        let response = match &request.method {
            Method::Get => github.client._get(route).await,
            Method::Post(body) => github.client._post(route, Some(body)).await,
            Method::Patch(body) => github.client._patch(route, Some(body)).await,
        };
        let response = response.map_err(|source| GitHubError::Unreachable { step, source: source.into() })?;
        let (parts, body) = response.into_parts();
        let read = to_bytes(Body::new(body), ANSWER_LIMIT).await;
        let bytes =
            read.map_err(|source| GitHubError::Answer { step, reason: format!("it could not be read whole ({source})") })?;
        Ok(Answer { status: parts.status, headers: parts.headers, bytes: bytes.into() })
    };
    let late = |elapsed: tokio::time::error::Elapsed| GitHubError::Unreachable { step, source: elapsed.into() };
    tokio::time::timeout(github.timeout, sending).await.map_err(late)?
}

/// How long a rate limit asks us to wait; `None` where the answer is no rate limit.
///
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>
fn wait_of(answer: &Answer) -> Option<Duration> {
    if !matches!(answer.status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let number =
        |name| answer.headers.get(name).and_then(|value| value.to_str().ok()).and_then(|text| text.trim().parse::<i64>().ok());
    if let Some(seconds) = number("retry-after") {
        return Some(Duration::from_secs(seconds.try_into().unwrap_or_default()));
    }
    if number("x-ratelimit-remaining") == Some(0)
        && let Some(reset) = number("x-ratelimit-reset")
    {
        let seconds = reset.saturating_sub(Timestamp::now().as_second()).max(1);
        return Some(Duration::from_secs(seconds.try_into().unwrap_or_default()));
    }
    let is_limit = answer.status == StatusCode::TOO_MANY_REQUESTS || message_of(answer).contains("rate limit");
    is_limit.then_some(SECONDARY_WAIT)
}

fn meaning(github: &GitHub, step: &'static str, answer: &Answer) -> GitHubError {
    if let Some(wait) = wait_of(answer) {
        let until = Timestamp::now().checked_add(wait).unwrap_or(Timestamp::MAX);
        return GitHubError::Limited { step, until };
    }
    match answer.status {
        StatusCode::UNAUTHORIZED => GitHubError::Unauthorized { step },
        StatusCode::FORBIDDEN => GitHubError::Forbidden { step, message: message_of(answer) },
        StatusCode::NOT_FOUND => GitHubError::NotFound { step, repository: format!("{}/{}", github.owner, github.name) },
        status if status.is_server_error() => GitHubError::Failed { step, status: status.as_u16() },
        status => GitHubError::Refused { step, status: status.as_u16(), message: message_of(answer) },
    }
}

/// GitHub's words, made harmless: the message, then each error's.
fn message_of(answer: &Answer) -> String {
    let value: Value = serde_json::from_slice(&answer.bytes).unwrap_or_default();
    let errors = value["errors"].as_array().into_iter().flatten();
    let messages = errors.filter_map(|error| error["message"].as_str().or_else(|| error.as_str()));
    let parts: Vec<&str> = value["message"].as_str().into_iter().chain(messages).collect();
    crate::visible::visible(&parts.join("; ")).chars().take(MESSAGE_LIMIT).collect()
}

/// A query's value, percent-encoded.
fn query(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            write!(encoded, "%{byte:02X}").expect("writing to a String cannot fail");
        }
        encoded
    })
}
