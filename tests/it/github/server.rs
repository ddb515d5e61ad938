//! The few endpoints of GitHub that trueup uses, over HTTP, with faults on demand; `repository` is what is behind them.

use std::collections::VecDeque;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::apps::Registered;
use super::repository::{Asked, Repository};

pub use super::repository::{Pull, REPOSITORY};

/// What goes wrong with the next request of a method.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This answer instead of doing anything.
    Refuse { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// The connection breaks before anything is done.
    Lost,
    /// It is done, and the answer is this.
    AnswerWith(u16),
    /// It is done, and the connection breaks in mid-answer.
    BreakOff,
    /// It is done, and no answer ever comes.
    Hang,
    /// It is done by somebody else just before.
    Overtaken,
    /// A list that does not have the newest pull request yet.
    Stale,
    /// An answer without end.
    Endless,
    /// The connection breaks, and it is done later: whenever the test says so.
    Late,
    /// Somebody does this just before; what comes of the request is up to the next fault.
    Meanwhile(Deed),
}

/// What somebody does, at the forge or elsewhere.
#[derive(Clone)]
pub struct Deed(Arc<dyn Fn(&mut World) + Send + Sync>);

impl Deed {
    pub fn of(deed: impl Fn(&mut World) + Send + Sync + 'static) -> Self {
        Self(Arc::new(deed))
    }
}

impl fmt::Debug for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Deed")
    }
}

/// Requests that are granted until an hour, or a test's moment, ends.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    pub left: u32,
    /// A second of GitHub's clock.
    pub reset: i64,
}

/// One request as it came in.
#[derive(Debug, Clone)]
pub struct Seen {
    pub method: String,
    /// Path with query.
    pub uri: String,
    pub authorization: Option<String>,
    pub at: Instant,
}

#[derive(Debug, Default)]
pub struct World {
    pub repository: Repository,
    /// Where it is asked as an app; else any token will do.
    pub app: Option<Registered>,
    pub faults: VecDeque<(&'static str, Fault)>,
    /// Requests that are yet to be done.
    pub late: Vec<(Seen, Value)>,
    pub limit: Option<Limit>,
    /// How long each answer takes.
    pub delay: Duration,
    /// By how many seconds the server's clock is ahead of ours.
    pub ahead: i64,
    pub requests: Vec<Seen>,
}

impl Deref for World {
    type Target = Repository;

    fn deref(&self) -> &Repository {
        &self.repository
    }
}

impl DerefMut for World {
    fn deref_mut(&mut self) -> &mut Repository {
        &mut self.repository
    }
}

#[derive(Clone, Default)]
pub struct GitHubServer(Arc<Mutex<World>>);

impl GitHubServer {
    /// Serves on a free port of this machine; the address.
    pub async fn start(&self) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let router = Router::new().fallback(answer).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    pub fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().expect("no test panics with the lock")
    }

    /// How many requests of a method there were whose path ends so.
    pub fn count(&self, method: &str, path_end: &str) -> usize {
        let path = |uri: &str| uri.split('?').next().unwrap_or_default().to_owned();
        self.world().requests.iter().filter(|seen| seen.method == method && path(&seen.uri).ends_with(path_end)).count()
    }

    /// How many requests changed something.
    pub fn writes(&self) -> usize {
        self.world().requests.iter().filter(|seen| seen.method != "GET").count()
    }
}

async fn answer(State(server): State<GitHubServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a small body");
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().expect("ASCII").to_owned());
    let method = parts.method.as_str().to_owned();
    let seen = Seen { method, uri: parts.uri.to_string(), authorization, at: Instant::now() };
    let (response, wait) = {
        let mut world = server.world();
        world.requests.push(seen.clone());
        (world.respond(&seen, (parts.uri.path(), parts.uri.query()), &body), world.delay)
    };
    tokio::time::sleep(wait).await;
    match response {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

impl World {
    /// The answer; `None` where none ever comes.
    fn respond(&mut self, seen: &Seen, (path, query): (&str, Option<&str>), body: &Value) -> Option<Response> {
        let fault = self.next_fault(&seen.method);
        let now = Timestamp::now().as_second() + self.ahead;
        let request = Asked { method: &seen.method, path, query, authorization: seen.authorization.as_deref(), now };
        let limited = self.count_down(now);
        let admitted = self.app.as_mut().and_then(|app| app.admit(&request, body));
        let (status, value) = match fault {
            Some(Fault::Refuse { status, headers, body }) => return Some(refusal(status, headers, body)),
            Some(Fault::Lost) => return Some(broken(b"")),
            Some(Fault::Late) => {
                self.late.push((seen.clone(), body.clone()));
                return Some(broken(b""));
            }
            Some(Fault::Endless) => return Some(endless()),
            Some(Fault::AnswerWith(status)) => {
                self.repository.perform(&request, body);
                (status, json!({}))
            }
            Some(Fault::BreakOff) => {
                self.repository.perform(&request, body);
                return Some(broken(b"{"));
            }
            Some(Fault::Hang) => {
                self.repository.perform(&request, body);
                return None;
            }
            Some(Fault::Overtaken) => {
                self.repository.perform(&request, body);
                self.repository.perform(&request, body)
            }
            Some(Fault::Stale) => {
                let newest = self.repository.pulls.pop();
                let answered = self.repository.perform(&request, body);
                self.repository.pulls.extend(newest);
                answered
            }
            None if limited => (403, json!({"message": "API rate limit exceeded for installation.", "documentation_url": ""})),
            None | Some(Fault::Meanwhile(_)) => admitted.unwrap_or_else(|| self.repository.perform(&request, body)),
        };
        let mut response = reply(status, &value);
        let headers = response.headers_mut();
        if let Some(limit) = self.limit {
            headers.insert("x-ratelimit-limit", "5000".parse().expect("a value"));
            headers.insert("x-ratelimit-remaining", limit.left.to_string().parse().expect("a value"));
            headers.insert("x-ratelimit-reset", limit.reset.to_string().parse().expect("a value"));
        }
        if let Some(location) = value["location"].as_str() {
            headers.insert("location", location.parse().expect("a value"));
        }
        if status == 403 && self.repository.read_only {
            headers.insert("x-accepted-github-permissions", "pull_requests=write".parse().expect("a value"));
        }
        let date = jiff::fmt::rfc2822::DateTimePrinter::new();
        let date = date.timestamp_to_rfc9110_string(&Timestamp::from_second(now).expect("a time")).expect("a date");
        headers.insert("date", date.parse().expect("a value"));
        Some(response)
    }

    /// What goes wrong with this request, after what somebody does just before it.
    fn next_fault(&mut self, method: &str) -> Option<Fault> {
        while self.faults.front().is_some_and(|(faulty, _)| *faulty == method) {
            match self.faults.pop_front() {
                Some((_, Fault::Meanwhile(Deed(deed)))) => deed(self),
                fault => return fault.map(|(_, fault)| fault),
            }
        }
        None
    }

    /// What was late takes effect.
    pub fn catch_up(&mut self) {
        for (seen, body) in std::mem::take(&mut self.late) {
            let (path, query) = seen.uri.split_once('?').map_or((seen.uri.as_str(), None), |(path, query)| (path, Some(query)));
            let now = Timestamp::now().as_second() + self.ahead;
            let asked = Asked { method: &seen.method, path, query, authorization: seen.authorization.as_deref(), now };
            self.repository.perform(&asked, &body);
        }
    }

    /// Whether this request is one too many.
    fn count_down(&mut self, now: i64) -> bool {
        let Some(limit) = self.limit.as_mut().filter(|limit| now < limit.reset) else { return false };
        let limited = limit.left == 0;
        limit.left = limit.left.saturating_sub(1);
        limited
    }
}

fn reply(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let response = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
    response.body(Body::from(value.to_string())).expect("a response")
}

fn refusal(status: u16, headers: Vec<(&'static str, String)>, body: String) -> Response {
    let mut response = Response::builder().status(status);
    if !headers.iter().any(|(name, _)| *name == "content-type") {
        response = response.header("content-type", "application/json; charset=utf-8");
    }
    for (name, value) in headers {
        response = response.header(name, value);
    }
    response.body(Body::from(body)).expect("a response")
}

fn broken(beginning: &'static [u8]) -> Response {
    let broken = futures::stream::iter([Ok(Bytes::from_static(beginning)), Err(std::io::Error::other("gone"))]);
    Response::builder().status(201).body(Body::from_stream(broken)).expect("a response")
}

fn endless() -> Response {
    let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 16])));
    Response::builder().status(200).body(Body::from_stream(endless)).expect("a response")
}
