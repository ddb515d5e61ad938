//! What the token may do, as far as GitHub tells without a write.

use std::collections::BTreeMap;

use axum::http::HeaderMap;
use jiff::Timestamp;
use serde::Deserialize;

use super::access::{Access, minted};
use super::pull::encoded;
use super::wire::{Method, Request, ask, ask_whole};
use super::{GitHub, GitHubError};

/// What can be known before the first proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rights {
    /// As whom GitHub is asked.
    pub asker: Asker,
    /// Whether the repository takes no more changes.
    pub archived: bool,
    /// What is left of the hour's requests, where GitHub counts them.
    pub left: Option<Left>,
}

/// As whom GitHub is asked, and what it says of their rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asker {
    /// An app's installation, with the rights of its token.
    App {
        /// The app's id.
        id: u64,
        /// The installation.
        installation: u64,
        /// `contents` → `write`.
        permissions: BTreeMap<String, String>,
    },
    /// A token's account. What a fine-grained token may do of what its account may, GitHub tells nobody.
    Token {
        /// Whether the account may push to the repository.
        push: Option<bool>,
        /// The scopes of a classic token.
        scopes: Option<String>,
    },
}

/// Requests that are left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// So many.
    pub remaining: u64,
    /// Of so many.
    pub limit: u64,
    /// Until then.
    pub until: Timestamp,
}

#[derive(Deserialize)]
struct Repository {
    #[serde(default)]
    archived: bool,
    permissions: Option<Permissions>,
}

#[derive(Deserialize)]
struct Permissions {
    push: bool,
}

/// Asks for the repository and for the base branch.
///
/// # Errors
/// What is missing: the repository, the base branch, the token.
pub async fn rights(github: &GitHub) -> Result<Rights, GitHubError> {
    let request =
        Request { step: "see the repository", method: Method::Get, route: github.route("").trim_end_matches('/').to_owned() };
    let answer = ask_whole(github, &request).await?;
    let repository: Repository = answer.read(request.step)?;
    let asker = match &github.access {
        Access::App(app) => {
            let minted = minted(github, app).await?;
            Asker::App { id: app.id, installation: minted.installation, permissions: minted.permissions }
        }
        Access::Token(_) => Asker::Token {
            push: repository.permissions.map(|permissions| permissions.push),
            scopes: Some(answer.shown("x-oauth-scopes")).filter(|scopes| !scopes.is_empty()),
        },
    };
    let branch = Request {
        step: "see the base branch",
        method: Method::Get,
        route: github.route(&format!("branches/{}", encoded(&github.base))),
    };
    match ask::<serde::de::IgnoredAny>(github, &branch).await {
        Ok(_) => Ok(Rights { asker, archived: repository.archived, left: left(&answer.headers) }),
        Err(GitHubError::NotFound { repository, .. }) => Err(GitHubError::NoBase { repository, base: github.base.clone() }),
        Err(error) => Err(error),
    }
}

fn left(headers: &HeaderMap) -> Option<Left> {
    let number = |name| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let until = Timestamp::from_second(number("x-ratelimit-reset")?.try_into().ok()?).ok()?;
    Some(Left { remaining: number("x-ratelimit-remaining")?, limit: number("x-ratelimit-limit")?, until })
}
