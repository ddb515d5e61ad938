//! What became of a proposal, and its withdrawal.

use super::remote::{connected, failed};
use super::{Failed, text};
use crate::config::Forge;
use crate::review::commit::Author;
use crate::review::local::{self, Kept, Since};
use crate::review::{Became, Identity, Known, github};
use crate::session::Session;
use crate::source::{CommitId, Pinned};

/// A proposal of the ledger.
#[derive(Debug, Clone, Copy)]
pub struct Sought<'a> {
    /// Its branch.
    pub branch: &'a str,
    /// What the ledger knows of it.
    pub known: &'a Known,
}

/// Looks what became of a proposal. Changes nothing.
///
/// # Errors
/// Why that cannot be told.
pub async fn look(session: &Session, pinned: &Pinned, sought: Sought<'_>) -> Result<Became, Failed> {
    match &session.settings.review.forge {
        Forge::Local => look_locally(session, pinned, sought).map_err(Failed::Refused),
        Forge::GitHub { .. } => {
            let github = connected(session).map_err(Failed::Refused)?;
            github::look(github, sought.branch, sought.known).await.map_err(failed)
        }
    }
}

/// Why a branch without a proposal of ours is in the way, where it holds a commit that is none of `ours`. Changes nothing.
///
/// # Errors
/// Why that cannot be told.
pub async fn in_the_way(session: &Session, branch: &str, ours: &[&str]) -> Result<Option<String>, Failed> {
    let head = match &session.settings.review.forge {
        // There, a look at the branch has told it.
        Forge::Local => None,
        Forge::GitHub { .. } => {
            let github = connected(session).map_err(Failed::Refused)?;
            github::head(github, branch).await.map_err(failed)?
        }
    };
    let foreign = head.filter(|head| !ours.contains(&head.as_str()));
    Ok(foreign.map(|head| format!("branch `{branch}` holds {head}, which is not ours: it was left alone")))
}

/// Closes an open proposal of ours, and says why.
///
/// # Errors
/// Why it may still be open. Asked again, it goes on where it was cut off.
pub async fn withdraw(
    session: &Session,
    pinned: &Pinned,
    sought: Sought<'_>,
    (identity, comment): (&Identity, &str),
) -> Result<(), Failed> {
    match &session.settings.review.forge {
        Forge::Local => remove_locally(session, pinned, sought).map_err(Failed::Refused),
        Forge::GitHub { .. } => {
            let github = connected(session).map_err(Failed::Refused)?;
            github::close(github, identity, comment).await.map_err(failed)
        }
    }
}

/// Removes what a merged proposal leaves on this machine. What is on a forge stays there: forges tidy up as people like it.
///
/// # Errors
/// Why it stays.
pub fn tidy(session: &Session, pinned: &Pinned, sought: Sought<'_>) -> Result<(), String> {
    match &session.settings.review.forge {
        Forge::Local => remove_locally(session, pinned, sought),
        Forge::GitHub { .. } => Ok(()),
    }
}

pub(super) fn look_locally(session: &Session, pinned: &Pinned, sought: Sought<'_>) -> Result<Became, String> {
    let Some(head) = head_of(sought.known) else { return Ok(Became::Gone) };
    let (author, state) = (Author::default(), session.state.path());
    let kept = Kept { repository: &pinned.repository, branch: sought.branch, head: &head, author: &author, state };
    let identity = Identity { number: 0, author: String::new() };
    Ok(match local::look(&kept, pinned.tip()).map_err(text)? {
        Since::Kept => {
            let url = super::local_url(session, sought.branch)?;
            Became::Open { identity, url }
        }
        Since::Foreign(found) => Became::Foreign(super::not_ours(sought.branch, &found)),
        Since::Merged => Became::Merged(identity),
        // What was only intended may never have been there.
        Since::Removed if matches!(sought.known, Known::Opened { .. }) => Became::Closed(identity),
        Since::Removed | Since::Unknown => Became::Gone,
    })
}

fn remove_locally(session: &Session, pinned: &Pinned, sought: Sought<'_>) -> Result<(), String> {
    let Some(head) = head_of(sought.known) else { return Ok(()) };
    let (author, state) = (Author::default(), session.state.path());
    let kept = Kept { repository: &pinned.repository, branch: sought.branch, head: &head, author: &author, state };
    match local::remove(&kept).map_err(text)? {
        Since::Foreign(found) => Err(super::not_ours(sought.branch, &found)),
        Since::Kept | Since::Merged | Since::Removed | Since::Unknown => Ok(()),
    }
}

fn head_of(known: &Known) -> Option<CommitId> {
    known.head().and_then(|head| head.parse().ok())
}
