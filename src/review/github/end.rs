//! What became of a pull request, and its closing by trueup.

use serde::Deserialize;
use serde_json::json;

use super::pull::{self, PullRequest};
use super::wire::{self, Method, Request};
use super::{GitHub, GitHubError};
use crate::review::{Became, Identity, Known};

/// A comment on a pull request.
#[derive(Debug, Deserialize)]
struct Comment {
    body: Option<String>,
}

/// A reference of the repository.
#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(rename = "ref")]
    name: String,
    object: Target,
}

#[derive(Debug, Deserialize)]
struct Target {
    sha: String,
}

/// The head of a branch, whoever pushed it; `None` where there is no such branch.
///
/// <https://docs.github.com/en/rest/git/refs#list-matching-references>
///
/// # Errors
/// Each step's own.
pub async fn head(github: &GitHub, branch: &str) -> Result<Option<String>, GitHubError> {
    let route = github.route(&format!("git/matching-refs/{}", pull::encoded(&format!("heads/{branch}"))));
    let found: Vec<Reference> = wire::ask(github, &Request { step: "read a branch", method: Method::Get, route }).await?;
    let name = format!("refs/heads/{branch}");
    Ok(found.into_iter().find(|reference| reference.name == name).map(|reference| reference.object.sha))
}

/// Looks after a branch's pull request.
///
/// # Errors
/// Each step's own.
pub async fn look(github: &GitHub, branch: &str, known: &Known) -> Result<Became, GitHubError> {
    Ok(became(pull::list(github, branch).await?, branch, known, &github.base))
}

/// Comments on an open pull request and closes it. Asked again, it comments once.
///
/// # Errors
/// Each step's own.
pub async fn close(github: &GitHub, identity: &Identity, comment: &str) -> Result<(), GitHubError> {
    let comments = format!("issues/{}/comments", identity.number);
    let route = github.route(&format!("{comments}?per_page=100"));
    let said: Vec<Comment> = wire::ask(github, &Request { step: "read comments", method: Method::Get, route }).await?;
    if !said.iter().any(|said| said.body.as_deref().is_some_and(|body| body.trim_end() == comment.trim_end())) {
        let request =
            Request { step: "comment", method: Method::Post(json!({ "body": comment })), route: github.route(&comments) };
        wire::ask::<Comment>(github, &request).await?;
    }
    let route = github.route(&format!("pulls/{}", identity.number));
    let request = Request { step: "close a pull request", method: Method::Patch(json!({ "state": "closed" })), route };
    wire::ask::<PullRequest>(github, &request).await.map(drop)
}

/// Judges the pull requests that GitHub lists for a branch. Who pushed to it since does not matter for one that people have
/// merged or closed: it is the one of the ledger by number and author.
fn became(pulls: Vec<PullRequest>, branch: &str, known: &Known, base: &str) -> Became {
    let is_here = |pull: &PullRequest| pull.head.is_of(&pull.base) && pull.head.name == branch && pull.base.name == base;
    let is_it = |pull: &PullRequest| match known {
        Known::Nothing => false,
        Known::Intended { head, after } => *head == pull.head.sha && pull.number > *after,
        Known::Opened { identity, .. } => pull.identity() == *identity,
    };
    let Some(pull) = pulls.into_iter().filter(is_here).find(is_it) else { return Became::Gone };
    match (pull.state.as_str(), &pull.merged_at) {
        ("open", _) if known.head() == Some(&pull.head.sha) => Became::Open { identity: pull.identity(), url: pull.html_url },
        ("open", _) => {
            Became::Foreign(format!("pull request {} has commits on its branch that trueup did not make", pull.number))
        }
        (_, Some(_)) => Became::Merged(pull.identity()),
        (_, None) => Became::Closed(pull.identity()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pull(changes: &Value) -> PullRequest {
        let mut value = json!({
            "number": 1, "state": "open", "merged_at": null, "html_url": "https://github.com/acme/platform/pull/1",
            "title": "t", "body": null, "user": {"login": "trueup-bot"},
            "head": {"ref": "trueup/p-1", "sha": "aaaa", "repo": {"full_name": "acme/platform"}},
            "base": {"ref": "main", "sha": "bbbb", "repo": {"full_name": "Acme/Platform"}},
        });
        json_patch::merge(&mut value, changes);
        serde_json::from_value(value).expect("a pull request")
    }

    #[test]
    fn what_people_did_is_known_whoever_pushed_and_what_is_open_only_as_we_left_it() {
        let identity = Identity { number: 1, author: "trueup-bot".to_owned() };
        let opened = Known::Opened { identity, head: "aaaa".to_owned(), fingerprint: "f-1".to_owned() };
        let intended = Known::Intended { head: "aaaa".to_owned(), after: 0 };
        let later = Known::Intended { head: "aaaa".to_owned(), after: 1 };
        let theirs = json!({"head": {"sha": "cccc"}});
        let with = |more: Value| {
            let mut changes = theirs.clone();
            json_patch::merge(&mut changes, &more);
            changes
        };
        for (changes, known, expected) in [
            (json!({}), &opened, "open"),
            (json!({}), &intended, "open"),
            (theirs.clone(), &opened, "foreign"),
            (theirs.clone(), &intended, "gone"),
            (with(json!({"state": "closed"})), &opened, "closed"),
            (with(json!({"state": "closed", "merged_at": "2026-11-21T02:40:00Z"})), &opened, "merged"),
            (json!({"state": "closed"}), &intended, "closed"),
            (json!({"state": "closed"}), &later, "gone"),
            (json!({"number": 2}), &opened, "gone"),
            (json!({"user": {"login": "stranger"}, "state": "closed"}), &opened, "gone"),
            (json!({"head": {"repo": {"full_name": "fork/platform"}}}), &opened, "gone"),
            (json!({"base": {"ref": "release"}}), &opened, "gone"),
            (json!({}), &Known::Nothing, "gone"),
        ] {
            let found = match became(vec![pull(&changes)], "trueup/p-1", known, "main") {
                Became::Open { .. } => "open",
                Became::Foreign(_) => "foreign",
                Became::Merged(_) => "merged",
                Became::Closed(_) => "closed",
                Became::Gone => "gone",
            };
            assert_eq!(found, expected, "{changes} {known:?}");
        }
    }
}
