//! As whom GitHub is asked: by a token that people gave, or as an app whose tokens last for an hour.

use tokio::time::Instant;

use super::app::{self, App, Minted};
use super::{GitHub, GitHubError};
use crate::source::credentials::Secret;

/// As whom GitHub is asked.
#[derive(Debug, Clone)]
pub enum Access {
    /// By a person's or a machine account's token.
    Token(Secret),
    /// As a GitHub App.
    App(App),
}

/// The token to ask with, good for some minutes at least; an app's is asked for once and kept.
///
/// # Errors
/// Where the app gets none.
pub async fn bearer(github: &GitHub) -> Result<Secret, GitHubError> {
    match &github.access {
        Access::Token(token) => Ok(token.clone()),
        Access::App(app) => minted(github, app).await.map(|minted| minted.token),
    }
}

/// The app's token with what it may do.
pub async fn minted(github: &GitHub, app: &App) -> Result<Minted, GitHubError> {
    // All who come meanwhile wait for the same one.
    let mut kept = github.minted.lock().await;
    if let Some(minted) = kept.as_ref().filter(|minted| minted.until > Instant::now()) {
        return Ok(minted.clone());
    }
    let minted = app::mint(github, app).await?;
    *kept = Some(minted.clone());
    Ok(minted)
}

/// Forgets a token that GitHub no longer takes; whether there may be another one.
pub async fn renew(github: &GitHub, refused: &Secret) -> bool {
    let mut kept = github.minted.lock().await;
    if kept.as_ref().is_some_and(|minted| minted.token == *refused) {
        *kept = None;
    }
    matches!(github.access, Access::App(_))
}
