//! A repository on GitHub as its API shows it: branches, pull requests, labels, reviewers.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub const REPOSITORY: &str = "acme/platform";
const PULL_REQUEST: &str = include_str!("../../../testdata/github/pull-request.json");
const LABELS: &str = include_str!("../../../testdata/github/labels.json");
const COMMENT: &str = include_str!("../../../testdata/github/comment.json");

#[derive(Debug, Clone, Default)]
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
    pub labels: Vec<String>,
    pub reviewers: Vec<String>,
    pub teams: Vec<String>,
    pub draft: bool,
    pub comments: Vec<String>,
}

#[derive(Debug, Default)]
pub struct Repository {
    /// The heads of the repository's branches.
    pub branches: BTreeMap<String, String>,
    /// The bare repository whose branches count instead, where a test has a real one.
    pub bare: Option<std::path::PathBuf>,
    pub pulls: Vec<Pull>,
    /// What it is called now, where that is another name.
    pub renamed_to: Option<String>,
    pub archived: bool,
    /// Whether the token may only read.
    pub read_only: bool,
    /// The branch that is no longer there to propose to.
    pub gone_base: Option<String>,
}

/// A request, as the repository needs it.
pub struct Asked<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub query: Option<&'a str>,
    pub authorization: Option<&'a str>,
    /// The server's clock.
    pub now: i64,
}

impl Repository {
    /// Status and body of the answer.
    pub fn perform(&mut self, asked: &Asked<'_>, body: &Value) -> (u16, Value) {
        if let Some(new) = &self.renamed_to {
            let location = format!("https://api.github.com/repositories/1296269/{new}");
            let status = if asked.method == "GET" { 301 } else { 307 };
            return (status, json!({"message": "Moved Permanently", "location": location, "documentation_url": ""}));
        }
        if asked.path == "/repos/acme/platform" {
            let (push, archived) = (!self.read_only, self.archived);
            return (200, json!({"full_name": REPOSITORY, "archived": archived, "permissions": {"pull": true, "push": push}}));
        }
        let Some(rest) = asked.path.strip_prefix("/repos/acme/platform/") else { return not_found() };
        if asked.method != "GET" && self.archived {
            return (403, json!({"message": "Repository was archived so is read-only.", "documentation_url": ""}));
        }
        if asked.method != "GET" && self.read_only {
            return (403, json!({"message": "Resource not accessible by personal access token", "documentation_url": ""}));
        }
        let segments: Vec<&str> = rest.split('/').collect();
        match (asked.method, segments.as_slice()) {
            ("GET", ["branches", name]) if self.gone_base.as_deref() != Some(name) => (200, json!({"name": name})),
            ("GET", ["git", "matching-refs", "heads", name @ ..]) => (200, self.matching(&name.join("/"))),
            ("GET", ["pulls"]) => (200, self.list(asked.query.unwrap_or_default())),
            ("POST", ["pulls"]) => self.create(body),
            ("PATCH", ["pulls", number]) => self.update(number, body),
            ("GET", ["issues", number, "comments"]) => {
                let said = self.pull(number).map(|pull| pull.comments.clone()).unwrap_or_default();
                (200, said.iter().map(|text| comment(text)).collect())
            }
            ("POST", ["issues", number, "comments"]) => {
                let text = body["body"].as_str().expect("text").to_owned();
                let Some(pull) = self.pull(number) else { return not_found() };
                pull.comments.push(text.clone());
                (201, comment(&text))
            }
            ("POST", ["issues", number, "labels"]) => self.label(number, body),
            ("POST", ["pulls", number, "requested_reviewers"]) => self.ask(number, body),
            _ => not_found(),
        }
    }

    /// The branches whose names begin so.
    fn matching(&self, name: &str) -> Value {
        let branches: Vec<(String, String)> = match &self.bare {
            Some(bare) => {
                let all = crate::git::git(bare, &["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/"]);
                all.lines().filter_map(|line| line.split_once(' ')).map(|(name, sha)| (name.into(), sha.into())).collect()
            }
            None => self.branches.clone().into_iter().collect(),
        };
        let found = branches.into_iter().filter(|(branch, _)| branch.starts_with(name));
        let shown = |(branch, sha)| json!({"ref": format!("refs/heads/{branch}"), "object": {"type": "commit", "sha": sha}});
        found.map(shown).collect()
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
        let invalid = |error: Value| {
            (422, json!({"message": "Validation Failed", "errors": [error], "documentation_url": "https://docs.github.com"}))
        };
        if self.gone_base.as_ref() == Some(&base) {
            return invalid(json!({"resource": "PullRequest", "field": "base", "code": "invalid"}));
        }
        let same = |pull: &&Pull| pull.open && pull.branch == branch && pull.base == base && pull.repository == REPOSITORY;
        if self.pulls.iter().find(same).is_some() {
            let message = format!("A pull request already exists for acme:{branch}.");
            return invalid(json!({"resource": "PullRequest", "code": "custom", "message": message}));
        }
        let number = self.pulls.iter().map(|pull| pull.number).max().unwrap_or(0) + 1;
        let draft = body["draft"] == true;
        let (title, body) = (text("title"), text("body"));
        let (repository, author) = (REPOSITORY.to_owned(), "trueup-bot".to_owned());
        let pull = Pull { number, open: true, draft, title, body, branch, base, repository, author, ..Pull::default() };
        let shown = self.shown(&pull);
        self.pulls.push(pull);
        (201, shown)
    }

    fn update(&mut self, number: &str, body: &Value) -> (u16, Value) {
        let Some(pull) = self.pull(number) else { return not_found() };
        for (name, place) in [("title", &mut pull.title), ("body", &mut pull.body)] {
            if let Some(text) = body[name].as_str() {
                text.clone_into(place);
            }
        }
        if let Some(state) = body["state"].as_str() {
            pull.open = state == "open";
        }
        let pull = pull.clone();
        (200, self.shown(&pull))
    }

    fn label(&mut self, number: &str, body: &Value) -> (u16, Value) {
        let Some(pull) = self.pull(number) else { return not_found() };
        pull.labels.extend(texts(&body["labels"]));
        (200, Value::Array(pull.labels.iter().map(|name| label(name)).collect()))
    }

    fn ask(&mut self, number: &str, body: &Value) -> (u16, Value) {
        let Some(pull) = self.pull(number) else { return not_found() };
        pull.reviewers.extend(texts(&body["reviewers"]));
        pull.teams.extend(texts(&body["team_reviewers"]));
        let pull = pull.clone();
        (201, self.shown(&pull))
    }

    fn pull(&mut self, number: &str) -> Option<&mut Pull> {
        let number: u64 = number.parse().expect("a number");
        self.pulls.iter_mut().find(|pull| pull.number == number)
    }

    fn shown(&self, pull: &Pull) -> Value {
        let mut value: Value = serde_json::from_str(PULL_REQUEST).expect("JSON");
        let head = || match &self.bare {
            Some(bare) => Some(crate::git::git(bare, &["rev-parse", &format!("refs/heads/{}", pull.branch)])),
            None => self.branches.get(&pull.branch).cloned(),
        };
        let sha = pull.sha.clone().or_else(head).unwrap_or_default();
        let named = |template: &Value, key: &str, names: &[String]| -> Value {
            let one = |name: &String| {
                let mut one = template.clone();
                one[key] = name.as_str().into();
                one
            };
            names.iter().map(one).collect()
        };
        value["requested_reviewers"] = named(&value["user"], "login", &pull.reviewers);
        value["requested_teams"] = named(&team(), "slug", &pull.teams);
        value["labels"] = pull.labels.iter().map(|name| label(name)).collect();
        value["number"] = pull.number.into();
        value["state"] = if pull.open { "open" } else { "closed" }.into();
        value["draft"] = pull.draft.into();
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

fn texts(value: &Value) -> impl Iterator<Item = String> {
    value.as_array().into_iter().flatten().filter_map(|text| text.as_str().map(str::to_owned))
}

/// A label as GitHub shows it.
fn label(name: &str) -> Value {
    let mut labels: Value = serde_json::from_str(LABELS).expect("JSON");
    labels[0]["name"] = name.into();
    labels[0].take()
}

/// A team as GitHub's description has it: its own example lacks what it asks for.
fn team() -> Value {
    let url = "https://api.github.com/teams/1";
    json!({"id": 1, "node_id": "MDQ6VGVhbTE=", "url": url, "html_url": url, "name": "Platform", "slug": "platform-team",
        "description": "", "type": "organization", "privacy": "closed", "notification_setting": "notifications_enabled", "permission": "push",
        "members_url": format!("{url}/members{{/member}}"), "repositories_url": format!("{url}/repos"), "parent": null})
}

fn owner(repository: &str) -> &str {
    repository.split('/').next().unwrap_or_default()
}

fn not_found() -> (u16, Value) {
    (404, json!({"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"}))
}
