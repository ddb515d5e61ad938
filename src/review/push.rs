//! Pushing a proposal's branch, compare-and-set: the remote branch must still hold what we last saw there.
//!
//! libgit2 has no force-with-lease. The remote's id is compared between negotiation and upload; the push command then
//! carries that id as the old one, and the server refuses it if the branch has moved since. Nothing is ever deleted.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;

use git2::{ErrorClass, ErrorCode, PushOptions, PushUpdate, RemoteCallbacks, RemoteRedirect, Repository};
use serde::{Deserialize, Serialize};

use crate::source::credentials::{Conversation, Credentials};
use crate::source::fetch::{allowed, proxy, remote_of, shown};
use crate::source::transport::{self, RemoteError, Transport, at, explain};

/// Only branches under this are ever pushed.
pub const PREFIX: &str = "trueup/";

/// What to push, and where to.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushRequest {
    /// The repository that holds the commit.
    pub repository: PathBuf,
    /// The commit.
    pub commit: String,
    /// The remote.
    pub url: String,
    /// The branch there, beginning with `trueup/`.
    pub branch: String,
    /// What the branch must hold now; `None`: it must not exist.
    pub expected: Option<String>,
}

impl PushRequest {
    /// The remote for messages.
    #[must_use]
    pub fn remote(&self) -> String {
        shown(&self.url)
    }
}

/// What a push came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Pushed {
    /// The branch is new.
    Created,
    /// The branch already held the commit.
    Unchanged,
    /// The branch held what was expected, and holds the commit now.
    Updated,
    /// The branch holds something else; nothing was sent.
    Moved {
        /// What it holds; `None`: it is gone.
        found: Option<String>,
    },
    /// The server refused: a protected branch, a hook, missing rights.
    Rejected {
        /// What the server says.
        reason: String,
    },
}

/// Pushes one commit to one branch.
///
/// # Errors
/// [`RemoteError`]: the remote was not reached, or broke off; the branch is then as it was.
pub fn push(request: PushRequest, transport: &Transport) -> Result<Pushed, RemoteError> {
    transport::push(request, transport)
}

/// The child's half of a push.
///
/// # Errors
/// [`RemoteError`].
pub fn perform(request: &PushRequest, credentials: Credentials) -> Result<Pushed, RemoteError> {
    let address = allowed(&request.url)?;
    let target = format!("refs/heads/{}", request.branch);
    let failed = |detail: &str| RemoteError::Repository { path: at(&request.repository), detail: detail.to_owned() };
    if !request.branch.starts_with(PREFIX) || !git2::Reference::is_valid_name(&target) {
        return Err(failed(&format!("`{}` is no branch of ours", request.branch.escape_debug())));
    }
    let repository = Repository::open(&request.repository).map_err(|error| failed(error.message()))?;
    repository.revparse_single(&request.commit).map_err(|error| failed(error.message()))?;
    let mut remote = remote_of(&repository, &address)?;

    let conversation = RefCell::new(Conversation::new(address.clone(), credentials));
    let verdict = RefCell::new(None);
    let existed = Cell::new(false);
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(|_, user, allowed| conversation.borrow_mut().answer(user, allowed));
    callbacks.push_negotiation(|updates| {
        existed.set(updates.iter().any(|update| !update.src().is_zero()));
        match compare(updates, request) {
            None => Ok(()),
            Some(stop) => {
                verdict.replace(Some(stop));
                Err(git2::Error::new(ErrorCode::User, ErrorClass::Callback, "the branch is not as expected"))
            }
        }
    });
    callbacks.push_update_reference(|_, refusal| {
        if let Some(reason) = refusal {
            verdict.replace(Some(Pushed::Rejected { reason: reason.to_owned() }));
        }
        Ok(())
    });
    let mut options = PushOptions::new();
    options.remote_callbacks(callbacks).follow_redirects(RemoteRedirect::None).proxy_options(proxy());
    let refspec = format!("+{}:{target}", request.commit);
    let pushed = remote.push(&[refspec], Some(&mut options));
    drop(options);
    if let Some(verdict) = verdict.take() {
        return Ok(verdict);
    }
    let offered = conversation.borrow().offered();
    pushed.map_err(|error| explain(&error, &address.to_string(), offered))?;
    Ok(if existed.get() { Pushed::Updated } else { Pushed::Created })
}

/// Whether to stop: the branch is elsewhere, or already where it should be.
fn compare(updates: &[PushUpdate<'_>], request: &PushRequest) -> Option<Pushed> {
    let found = updates.first().map(PushUpdate::src).filter(|id| !id.is_zero()).map(|id| id.to_string());
    if found.as_deref() == Some(request.commit.as_str()) {
        return Some(Pushed::Unchanged);
    }
    (found != request.expected).then_some(Pushed::Moved { found })
}
