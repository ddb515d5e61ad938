//! Pull requests as GitHub tells them, as far as it matters here.

use serde::Deserialize;

use super::super::Identity;
use super::wire::{Method, Request, ask};
use super::{GitHub, GitHubError};

/// A pull request.
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
    #[serde(default)]
    pub labels: Vec<Label>,
    #[serde(default)]
    pub requested_reviewers: Vec<User>,
    #[serde(default)]
    pub requested_teams: Vec<Team>,
}

/// An account.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct User {
    pub login: String,
}

/// A label.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Label {
    pub name: String,
}

/// A team of the repository's organisation.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Team {
    pub slug: String,
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

impl PullRequest {
    /// What the ledger keeps to know it again.
    pub fn identity(&self) -> Identity {
        Identity { number: self.number, author: self.user.as_ref().map(|user| user.login.clone()).unwrap_or_default() }
    }
}

/// Every pull request of a branch of the repository, open or not. Without the owner GitHub would ignore the filter.
pub async fn list(github: &GitHub, branch: &str) -> Result<Vec<PullRequest>, GitHubError> {
    let (head, base) = (encoded(&format!("{}:{branch}", github.owner)), encoded(&github.base));
    let route = github.route(&format!("pulls?head={head}&base={base}&state=all&sort=created&direction=desc&per_page=100"));
    ask(github, &Request { step: "list pull requests", method: Method::Get, route }).await
}

/// A value of a query, or one part of a route, percent-encoded.
pub fn encoded(text: &str) -> String {
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
