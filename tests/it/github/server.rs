//! The few endpoints of GitHub that trueup uses, with a repository's branches and pull requests behind them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

pub const REPOSITORY: &str = "acme/platform";
const PULL_REQUEST: &str = include_str!("../../../testdata/github/pull-request.json");
const LABELS: &str = include_str!("../../../testdata/github/labels.json");
const COMMENT: &str = include_str!("../../../testdata/github/comment.json");

/// What goes wrong with the next request of a method.
#[derive(Debug, Clone)]
pub enum Fault {
    /// This answer instead of doing anything.
    Refuse { status: u16, headers: Vec<(&'static str, String)>, body: String },
    /// It is done, and the answer is this.
    AnswerWith(u16),
    /// It is done, and the connection breaks in mid-answer.
    BreakOff,
    /// It is done by somebody else just before.
    Overtaken,
    /// An answer without end.
    Endless,
}

#[derive(Debug, Clone)]
pub struct Pull {
    pub number: u64,
    pub open: bool,
    pub merged: bool,
    pub title: String,
    pub body: String,
    pub branch: String,
    pub base: String,
    pub repository: String,
    pub author: String,
    /// Follows the branch where absent.
    pub sha: Option<String>,
}

#[derive(Debug, Default)]
pub struct World {
    /// The heads of the repository's branches.
    pub branches: BTreeMap<String, String>,
    /// The bare repository whose branches count instead, where a test has a real one.
    pub bare: Option<std::path::PathBuf>,
    pub pulls: Vec<Pull>,
    pub labels: Vec<Value>,
    pub reviews: Vec<Value>,
    /// Whether each pull request was opened as a draft.
    pub drafts: Vec<Value>,
    /// The comments of each pull request.
    pub comments: Vec<(u64, String)>,
    pub faults: VecDeque<(&'static str, Fault)>,
    /// Method, path with query, and the authorization of each request.
    pub requests: Vec<(String, String, Option<String>)>,
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
        let world = self.world();
        let path = |uri: &str| uri.split('?').next().unwrap_or_default().to_owned();
        world.requests.iter().filter(|(m, uri, _)| m == method && path(uri).ends_with(path_end)).count()
    }
}

async fn answer(State(server): State<GitHubServer>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a small body");
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let method = parts.method.as_str().to_owned();
    let authorization = parts.headers.get("authorization").map(|value| value.to_str().expect("ASCII").to_owned());
    let mut world = server.world();
    world.requests.push((method.clone(), parts.uri.to_string(), authorization));
    let fault = match world.faults.front() {
        Some((faulty, _)) if *faulty == method => world.faults.pop_front().map(|(_, fault)| fault),
        _ => None,
    };
    match fault {
        Some(Fault::Refuse { status, headers, body }) => {
            let mut response = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
            for (name, value) in headers {
                response = response.header(name, value);
            }
            return response.body(Body::from(body)).expect("a response");
        }
        Some(Fault::Overtaken) => {
            world.perform(&method, parts.uri.path(), parts.uri.query(), &body);
        }
        Some(Fault::AnswerWith(status)) => {
            world.perform(&method, parts.uri.path(), parts.uri.query(), &body);
            return reply(status, &json!({}));
        }
        Some(Fault::BreakOff) => {
            world.perform(&method, parts.uri.path(), parts.uri.query(), &body);
            let broken = futures::stream::iter([Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("gone"))]);
            return Response::builder().status(201).body(Body::from_stream(broken)).expect("a response");
        }
        Some(Fault::Endless) => {
            let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 16])));
            return Response::builder().status(200).body(Body::from_stream(endless)).expect("a response");
        }
        None => {}
    }
    let (status, value) = world.perform(&method, parts.uri.path(), parts.uri.query(), &body);
    reply(status, &value)
}

fn reply(status: u16, value: &Value) -> Response {
    let status = StatusCode::from_u16(status).expect("a status");
    let response = Response::builder().status(status).header("content-type", "application/json; charset=utf-8");
    response.body(Body::from(value.to_string())).expect("a response")
}

impl World {
    fn perform(&mut self, method: &str, path: &str, query: Option<&str>, body: &Value) -> (u16, Value) {
        let Some(rest) = path.strip_prefix("/repos/acme/platform/") else { return not_found() };
        let segments: Vec<&str> = rest.split('/').collect();
        match (method, segments.as_slice()) {
            ("GET", ["pulls"]) => (200, self.list(query.unwrap_or_default())),
            ("POST", ["pulls"]) => self.create(body),
            ("PATCH", ["pulls", number]) => self.update(number, body),
            ("GET", ["issues", number, "comments"]) => {
                let own = self.comments.iter().filter(|(of, _)| of.to_string() == **number);
                (200, own.map(|(_, text)| comment(text)).collect())
            }
            ("POST", ["issues", number, "comments"]) => {
                let text = body["body"].as_str().expect("text").to_owned();
                self.comments.push((number.parse().expect("a number"), text.clone()));
                (201, comment(&text))
            }
            ("POST", ["issues", _, "labels"]) => {
                self.labels.push(body["labels"].clone());
                (200, serde_json::from_str(LABELS).expect("JSON"))
            }
            ("POST", ["pulls", number, "requested_reviewers"]) => {
                self.reviews.push(body.clone());
                let number: u64 = number.parse().expect("a number");
                let pull = self.pulls.iter().find(|pull| pull.number == number).expect("a pull request");
                (201, self.shown(pull))
            }
            _ => not_found(),
        }
    }

    fn list(&self, query: &str) -> Value {
        let wanted = |name: &str| {
            let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.filter(|(key, _)| *key == name).map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/")).next()
        };
        let (head, base) = (wanted("head").expect("a head"), wanted("base").expect("a base"));
        let label = |pull: &Pull| format!("{}:{}", owner(&pull.repository), pull.branch);
        let mut found: Vec<&Pull> = self.pulls.iter().filter(|pull| label(pull) == head && pull.base == base).collect();
        found.reverse();
        Value::Array(found.into_iter().map(|pull| self.shown(pull)).collect())
    }

    fn create(&mut self, body: &Value) -> (u16, Value) {
        let text = |name: &str| body[name].as_str().expect("text").to_owned();
        let (branch, base) = (text("head"), text("base"));
        let same = |pull: &&Pull| pull.open && pull.branch == branch && pull.base == base && pull.repository == REPOSITORY;
        if self.pulls.iter().find(same).is_some() {
            let message = format!("A pull request already exists for acme:{branch}.");
            let error = json!({"resource": "PullRequest", "code": "custom", "message": message});
            return (
                422,
                json!({"message": "Validation Failed", "errors": [error], "documentation_url": "https://docs.github.com"}),
            );
        }
        self.drafts.push(body["draft"].clone());
        let number = self.pulls.iter().map(|pull| pull.number).max().unwrap_or(0) + 1;
        let (title, body) = (text("title"), text("body"));
        let pull = Pull {
            number,
            open: true,
            merged: false,
            title,
            body,
            branch,
            base,
            repository: REPOSITORY.to_owned(),
            author: "trueup-bot".to_owned(),
            sha: None,
        };
        let shown = self.shown(&pull);
        self.pulls.push(pull);
        (201, shown)
    }

    fn update(&mut self, number: &str, body: &Value) -> (u16, Value) {
        let number: u64 = number.parse().expect("a number");
        let Some(index) = self.pulls.iter().position(|pull| pull.number == number) else { return not_found() };
        let pull = &mut self.pulls[index];
        for (name, place) in [("title", &mut pull.title), ("body", &mut pull.body)] {
            if let Some(text) = body[name].as_str() {
                text.clone_into(place);
            }
        }
        if let Some(state) = body["state"].as_str() {
            pull.open = state == "open";
        }
        (200, self.shown(&self.pulls[index]))
    }

    fn shown(&self, pull: &Pull) -> Value {
        let mut value: Value = serde_json::from_str(PULL_REQUEST).expect("JSON");
        let head = || match &self.bare {
            Some(bare) => Some(crate::git::git(bare, &["rev-parse", &format!("refs/heads/{}", pull.branch)])),
            None => self.branches.get(&pull.branch).cloned(),
        };
        let sha = pull.sha.clone().or_else(head).unwrap_or_default();
        value["number"] = pull.number.into();
        value["state"] = if pull.open { "open" } else { "closed" }.into();
        value["merged"] = pull.merged.into();
        value["merged_at"] = if pull.merged { json!("2026-11-21T02:40:00Z") } else { Value::Null };
        value["title"] = pull.title.as_str().into();
        value["body"] = pull.body.as_str().into();
        value["html_url"] = format!("https://github.com/{REPOSITORY}/pull/{}", pull.number).into();
        value["user"]["login"] = pull.author.as_str().into();
        value["head"]["ref"] = pull.branch.as_str().into();
        value["head"]["sha"] = sha.into();
        value["head"]["label"] = format!("{}:{}", owner(&pull.repository), pull.branch).into();
        value["head"]["repo"]["full_name"] = pull.repository.as_str().into();
        value["base"]["ref"] = pull.base.as_str().into();
        value["base"]["repo"]["full_name"] = REPOSITORY.into();
        value
    }
}

fn comment(text: &str) -> Value {
    let mut value: Value = serde_json::from_str(COMMENT).expect("JSON");
    value["body"] = text.into();
    value
}

fn owner(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

fn not_found() -> (u16, Value) {
    (404, json!({"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}))
}
