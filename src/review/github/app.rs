//! A GitHub App: its key signs that it is the app, and for that GitHub gives a token of its installation at a repository.
//!
//! <https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app>

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use octocrab::auth::{EncodingKey, create_jwt};
use octocrab::models::AppId;
use serde::Deserialize;
use serde_json::json;
use tokio::time::Instant;

use super::wire::{Method, Request, ask_as};
use super::{GitHub, GitHubError, limit};
use crate::source::credentials::Secret;

/// A token is renewed so long before it ends, or after three quarters of its life where that is short.
const SPARE: Duration = Duration::from_mins(5);
/// GitHub takes what is signed with a clock that is off by so many seconds (octocrab dates it back by as many).
const SKEW: i64 = 60;
/// All that trueup asks for, whatever else the app was granted.
const PERMISSIONS: [&str; 2] = ["contents", "pull_requests"];

/// A GitHub App.
#[derive(Debug, Clone)]
pub struct App {
    /// The app's id.
    pub id: u64,
    /// Its installation; looked up by the repository where absent.
    pub installation: Option<u64>,
    /// Its private key.
    pub key: AppKey,
    /// The repositories of the same owner that its tokens are good for.
    pub repositories: Vec<String>,
}

/// An app's private key. Nothing prints it.
#[derive(Clone)]
pub struct AppKey(EncodingKey);

impl AppKey {
    /// Reads a key as GitHub hands it out, and signs with it once.
    ///
    /// # Errors
    /// Why it is none, without a word of it.
    pub fn read(pem: &str) -> Result<Self, String> {
        let no_key = "it is no private RSA key in PEM, as GitHub hands it out: -----BEGIN RSA PRIVATE KEY-----";
        let key = EncodingKey::from_rsa_pem(pem.trim().as_bytes()).map_err(|_| no_key.to_owned())?;
        create_jwt(AppId(1), &key).map_err(|_| "it is no RSA key that can sign".to_owned())?;
        Ok(Self(key))
    }
}

impl fmt::Debug for AppKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AppKey(…)")
    }
}

/// A token of an installation.
#[derive(Debug, Clone)]
pub struct Minted {
    /// The token.
    pub token: Secret,
    /// Until when it is used.
    pub until: Instant,
    /// The installation that it is of.
    pub installation: u64,
    /// What it may do: `contents` → `write`.
    pub permissions: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Installation {
    id: u64,
}

#[derive(Deserialize)]
struct Granted {
    token: String,
    expires_at: Timestamp,
    #[serde(default)]
    permissions: BTreeMap<String, String>,
}

/// Asks GitHub for a token, with no more rights and repositories than are needed.
pub async fn mint(github: &GitHub, app: &App) -> Result<Minted, GitHubError> {
    let explained = |error| explain(github, app, error);
    let signed = create_jwt(AppId(app.id), &app.key.0);
    let signed = signed.map_err(|error| refused(github, app, format!("its key does not sign ({error})")))?;
    let installation = match app.installation {
        Some(id) => id,
        None => installed(github, &signed).await.map_err(explained)?,
    };
    let permissions: BTreeMap<&str, &str> = PERMISSIONS.map(|name| (name, "write")).into();
    let request = Request {
        step: "get a token for the app",
        method: Method::Post(json!({ "repositories": app.repositories, "permissions": permissions })),
        route: format!("/app/installations/{installation}/access_tokens"),
    };
    let asked = Instant::now();
    let answer = ask_as(github, &request, &signed).await.map_err(explained)?;
    let granted: Granted = answer.read(request.step)?;
    let now = limit::now_of(&answer.headers, Timestamp::now());
    let life = granted.expires_at.duration_since(now).unsigned_abs();
    let until = asked + life.saturating_sub(SPARE.min(life / 4));
    Ok(Minted { token: Secret::new(granted.token), until, installation, permissions: granted.permissions })
}

async fn installed(github: &GitHub, signed: &str) -> Result<u64, GitHubError> {
    let request = Request { step: "find the app's installation", method: Method::Get, route: github.route("installation") };
    let answer = ask_as(github, &request, signed).await?;
    answer.read::<Installation>(request.step).map(|installation| installation.id)
}

/// The refusals of what an app asks for its token mean something else than those of a token.
fn explain(github: &GitHub, app: &App, error: GitHubError) -> GitHubError {
    match error {
        GitHubError::Unauthorized { ahead, .. } if ahead.abs() > SKEW => {
            let (seconds, way) = (ahead.abs(), if ahead > 0 { "ahead of" } else { "behind" });
            refused(github, app, format!("this machine's clock is {seconds} s {way} GitHub's; set it right"))
        }
        GitHubError::Unauthorized { .. } => {
            refused(github, app, "its key is not one of this app; check `id` and `key` of `app` in `[review]`".to_owned())
        }
        GitHubError::NotFound { .. } if app.installation.is_some() => {
            refused(github, app, "it has no such installation; leave out `installation` in `[review]`, or correct it".to_owned())
        }
        GitHubError::NotFound { .. } => {
            refused(github, app, "it is not installed there; install it at the repository, or correct `repo`".to_owned())
        }
        GitHubError::Refused { status: 422, message, .. } => {
            let needed = PERMISSIONS.join("` and `");
            refused(github, app, format!("`{message}`; it needs `{needed}` with write, at each repository that is used"))
        }
        GitHubError::Forbidden { message, .. } => refused(github, app, format!("`{message}`; check its installation")),
        other => other,
    }
}

fn refused(github: &GitHub, app: &App, reason: String) -> GitHubError {
    GitHubError::App { id: app.id, repository: format!("{}/{}", github.owner, github.name), reason }
}
