//! Requests to GitHub's REST API and what its answers mean.

use axum::body::{Body, to_bytes};
use axum::http::{self, HeaderMap, HeaderValue, StatusCode, Uri, header};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::Value;
use trueup_kubernetes::gate::{Pause, back_off};

use super::limit;
use super::{GitHub, GitHubError, access};

/// No answer that we need comes near this.
const ANSWER_LIMIT: usize = 16 << 20;
const MESSAGE_LIMIT: usize = 300;
/// So often a request that may be sent again is sent where GitHub fails or is not reached, and any one that GitHub's limit
/// has turned away.
const ATTEMPTS: u32 = 3;

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
    /// Creates. Only sent again where GitHub said that it did nothing (a limit, a token that ran out).
    Post(Value),
    /// Sets a title and a body: twice is once.
    Patch(Value),
}

/// An answer, read whole.
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    bytes: Vec<u8>,
}

/// Asks GitHub for a value.
pub async fn ask<T: DeserializeOwned>(github: &GitHub, request: &Request) -> Result<T, GitHubError> {
    ask_whole(github, request).await?.read(request.step)
}

/// As [`ask`], with the answer's headers. A token that GitHub no longer takes is renewed once, where that can be done.
pub async fn ask_whole(github: &GitHub, request: &Request) -> Result<Answer, GitHubError> {
    let bearer = access::bearer(github).await?;
    match ask_as(github, request, bearer.reveal()).await {
        Err(GitHubError::Unauthorized { .. }) if access::renew(github, &bearer).await => {
            let bearer = access::bearer(github).await?;
            ask_as(github, request, bearer.reveal()).await
        }
        answered => answered,
    }
}

/// Sends a request through the server's gate until there is an answer that counts: a success.
pub async fn ask_as(github: &GitHub, request: &Request, bearer: &str) -> Result<Answer, GitHubError> {
    let mut attempt = 1;
    loop {
        let limited = |left| {
            let until = Timestamp::now().checked_add(left).unwrap_or(Timestamp::MAX);
            GitHubError::Limited { step: request.step, until }
        };
        github.gate.pass(github.patience).await.map_err(limited)?;
        let outcome = match send(github, request, bearer).await {
            Ok(answer) => listen(github, request.step, answer),
            Err(error) => Err(error),
        };
        match &outcome {
            Err(error) if attempt < ATTEMPTS && may_be_sent_again(error, &request.method) => {
                tracing::debug!(step = request.step, attempt, %error, "asking again");
                // Where a limit is, the gate waits.
                if !matches!(error, GitHubError::Limited { .. }) {
                    back_off(github.pause, attempt).await;
                }
            }
            Ok(_) | Err(_) => return outcome,
        }
        attempt += 1;
    }
}

/// What a limit turned away did nothing. What may have been done is only repeated where twice is once.
fn may_be_sent_again(error: &GitHubError, method: &Method) -> bool {
    match error {
        GitHubError::Limited { .. } => true,
        GitHubError::Failed { .. } | GitHubError::Unreachable { .. } => !matches!(method, Method::Post(_)),
        _ => false,
    }
}

/// What an answer means; what it says about limits goes to the gate.
fn listen(github: &GitHub, step: &'static str, answer: Answer) -> Result<Answer, GitHubError> {
    let now = Timestamp::now();
    let (status, headers) = (answer.status, &answer.headers);
    if let Some(pause) = limit::limit(status, headers, &answer.message(), now) {
        github.gate.close(pause);
        let until = now.checked_add(github.gate.left().unwrap_or_default()).unwrap_or(Timestamp::MAX);
        return Err(GitHubError::Limited { step, until });
    }
    let unavailable = limit::retry_after(headers, now).filter(|_| status == StatusCode::SERVICE_UNAVAILABLE);
    match unavailable.max(limit::used_up(headers, now)) {
        Some(pause) => github.gate.close(Pause::For(pause)),
        None => github.gate.answered(),
    }
    if status.is_success() { Ok(answer) } else { Err(meaning(github, step, &answer)) }
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

async fn send(github: &GitHub, request: &Request, bearer: &str) -> Result<Answer, GitHubError> {
    let step = request.step;
    let sending = async {
        let sent = prepared(request, bearer).map_err(|source| GitHubError::Unreachable { step, source: source.into() })?;
        let response = github.client.execute(sent).await;
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

/// The route has no host, so that the client can only send it, and the token with it, to the API of the settings.
fn prepared(request: &Request, bearer: &str) -> Result<http::Request<String>, http::Error> {
    let (method, body) = match &request.method {
        Method::Get => (http::Method::GET, String::new()),
        Method::Post(body) => (http::Method::POST, body.to_string()),
        Method::Patch(body) => (http::Method::PATCH, body.to_string()),
    };
    let mut authorization = HeaderValue::try_from(format!("Bearer {bearer}"))?;
    authorization.set_sensitive(true);
    let mut prepared = http::Request::builder().method(method).uri(&request.route).header(header::AUTHORIZATION, authorization);
    if !body.is_empty() {
        prepared = prepared.header(header::CONTENT_TYPE, "application/json");
    }
    prepared.body(body)
}

fn meaning(github: &GitHub, step: &'static str, answer: &Answer) -> GitHubError {
    let (status, message) = (answer.status, answer.message());
    let repository = || format!("{}/{}", github.owner, github.name);
    let is_html = !answer.bytes.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(&answer.bytes).is_err();
    match status {
        status if status.is_server_error() => GitHubError::Failed { step, status: status.as_u16() },
        status if status.is_redirection() => {
            GitHubError::Moved { step, repository: repository(), location: answer.shown("location") }
        }
        status if is_html => GitHubError::NoApi { step, api: github.api.clone(), status: status.as_u16(), kind: answer.kind() },
        StatusCode::UNAUTHORIZED => {
            let now = Timestamp::now();
            GitHubError::Unauthorized { step, ahead: now.as_second() - limit::now_of(&answer.headers, now).as_second() }
        }
        StatusCode::FORBIDDEN if message.to_ascii_lowercase().contains("archived") => {
            GitHubError::Archived { repository: repository() }
        }
        StatusCode::FORBIDDEN => {
            let named = answer.shown("x-accepted-github-permissions");
            let usual = "the right to write contents and pull requests of the repository".to_owned();
            GitHubError::Forbidden { step, message, needed: if named.is_empty() { usual } else { format!("`{named}`") } }
        }
        StatusCode::NOT_FOUND => GitHubError::NotFound { step, repository: repository() },
        StatusCode::UNPROCESSABLE_ENTITY if message.contains("base: invalid") => {
            GitHubError::NoBase { repository: repository(), base: github.base.clone() }
        }
        status => GitHubError::Refused { step, status: status.as_u16(), message },
    }
}

impl Answer {
    /// The answer's value.
    pub fn read<T: DeserializeOwned>(&self, step: &'static str) -> Result<T, GitHubError> {
        serde_json::from_slice(&self.bytes).map_err(|error| {
            if error.is_data() {
                let reason = format!("it is not what the API describes ({})", crate::visible::visible(&error.to_string()));
                return GitHubError::Answer { step, reason };
            }
            self.senseless(step)
        })
    }

    /// What is no JSON comes from something else than the API: a proxy, a login page, the web's address.
    fn senseless(&self, step: &'static str) -> GitHubError {
        let reason = format!(
            "it is {} with status {} and no JSON; `api` must be the address of the API",
            self.kind(),
            self.status.as_u16()
        );
        GitHubError::Answer { step, reason }
    }

    fn kind(&self) -> String {
        let kind = self.shown("content-type");
        if kind.is_empty() { "something without a type".to_owned() } else { format!("`{kind}`") }
    }

    /// GitHub's words, made harmless: the message, then each error's.
    fn message(&self) -> String {
        let value: Value = serde_json::from_slice(&self.bytes).unwrap_or_default();
        let errors = value["errors"].as_array().into_iter().flatten();
        let errors = errors.filter_map(|error| match (&error["message"], &error["field"], &error["code"]) {
            (Value::String(message), _, _) => Some(message.clone()),
            (_, Value::String(field), Value::String(code)) => Some(format!("{field}: {code}")),
            _ => error.as_str().map(str::to_owned),
        });
        let parts: Vec<String> = value["message"].as_str().map(str::to_owned).into_iter().chain(errors).collect();
        harmless(&parts.join("; "))
    }

    /// A header, made harmless; empty where it is absent.
    pub fn shown(&self, name: &str) -> String {
        harmless(&self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes())).unwrap_or_default())
    }
}

fn harmless(text: &str) -> String {
    crate::visible::visible(text).chars().take(MESSAGE_LIMIT).collect()
}
