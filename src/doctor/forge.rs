//! What can be known of the forge before the first proposal.

use super::{Check, State, good, missing};
use crate::config::Forge;
use crate::review::forge::connected;
use crate::review::github::{Asker, Rights, rights};
use crate::session::Session;

/// Asks the forge who we are there, what we may do, and whether the repository and its base branch are there.
pub(super) async fn checks(session: &Session) -> Vec<Check> {
    let Forge::GitHub { repo, base, .. } = &session.settings.review.forge else {
        return vec![good("forge", "local: branches trueup/… and patch files".to_owned())];
    };
    let github = match connected(session) {
        Ok(github) => github,
        Err(reason) => return vec![missing("forge", format!("github {repo}: {reason}"))],
    };
    match rights(github).await {
        Ok(rights) => told(repo, base, &rights),
        Err(error) => vec![missing("forge", format!("github {repo}: {:#}", anyhow::Error::new(error)))],
    }
}

fn told(repo: &str, base: &str, rights: &Rights) -> Vec<Check> {
    let there = format!("github {repo}, base {base}");
    let mut checks = vec![match &rights.asker {
        Asker::App { id, installation, permissions } => {
            let may: Vec<String> = permissions.iter().map(|(name, level)| format!("{name}: {level}")).collect();
            good("forge", format!("{there}, as app {id} (installation {installation}): {}", may.join(", ")))
        }
        Asker::Token { push: Some(false), .. } => {
            missing("forge", format!("{there}: the token's account may not push there; give it write"))
        }
        Asker::Token { scopes: Some(scopes), .. } if !scopes.split(", ").any(|scope| scope.ends_with("repo")) => {
            missing("forge", format!("{there}: the token has the scopes `{scopes}`, and needs `repo`"))
        }
        Asker::Token { scopes: Some(scopes), .. } => good("forge", format!("{there}, with a token of the scopes {scopes}")),
        Asker::Token { scopes: None, .. } => good(
            "forge",
            format!("{there}, with a token; whether it may write contents and pull requests shows at the first one"),
        ),
    }];
    if rights.archived {
        checks.push(missing("forge", format!("`{repo}` is archived: nothing can be proposed there")));
    }
    if let Some(left) = rights.left {
        let detail = format!("{} of {} requests left until {}", left.remaining, left.limit, left.until);
        checks.push(Check { what: "forge".to_owned(), state: State::Note, detail });
    }
    checks
}
