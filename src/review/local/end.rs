//! What became of a proposal's branch, and its removal while it is still exactly ours.

use std::path::Path;

use git2::{ErrorCode, Oid, Repository};

use super::{LocalError, checked_out, head_of, is_ours, opened_at, patch_path, remove_patch};
use crate::review::commit::Author;
use crate::source::CommitId;

/// A branch as trueup left it.
#[derive(Debug, Clone, Copy)]
pub struct Kept<'a> {
    /// The repository, bare or not.
    pub repository: &'a Path,
    /// The branch.
    pub branch: &'a str,
    /// Its head as the ledger has it.
    pub head: &'a CommitId,
    /// Whose commits are ours.
    pub author: &'a Author,
    /// The state folder; the patch is in `review/` there.
    pub state: &'a Path,
}

/// What became of a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// It is as trueup left it.
    Kept,
    /// It holds something else.
    Foreign(CommitId),
    /// Its commit is in the source's own history.
    Merged,
    /// Somebody removed it: the commit is still here, its branch is not.
    Removed,
    /// Not even the commit is here: another copy of the repository.
    Unknown,
}

/// Looks after a branch; `tip` is where the source is now.
///
/// # Errors
/// [`LocalError`].
pub fn look(kept: &Kept<'_>, tip: &CommitId) -> Result<Since, LocalError> {
    let repository = opened_at(kept.repository)?;
    let failed = |source| LocalError::Branch { branch: kept.branch.to_owned(), source };
    let is_here = repository.odb().map_err(failed)?.exists(kept.head.oid());
    if is_here && contains(&repository, tip.oid(), kept.head.oid()).map_err(failed)? {
        return Ok(Since::Merged);
    }
    match head_of(&repository, &reference(kept)).map_err(failed)? {
        Some(head) if is_ours(&repository, head, Some(kept.head), kept.author) => Ok(Since::Kept),
        Some(head) => Ok(Since::Foreign(CommitId::from(head))),
        None if is_here => Ok(Since::Removed),
        None => Ok(Since::Unknown),
    }
}

/// Removes the branch and its patch; a branch that is not exactly ours stays, and so does its patch.
///
/// # Errors
/// [`LocalError`], also where somebody works on the branch.
pub fn remove(kept: &Kept<'_>) -> Result<Since, LocalError> {
    let patch = patch_path(kept.state, kept.branch)?;
    let repository = opened_at(kept.repository)?;
    let failed = |source| LocalError::Branch { branch: kept.branch.to_owned(), source };
    let name = reference(kept);
    let mut found = match repository.find_reference(&name) {
        Ok(found) => found,
        Err(error) if error.code() == ErrorCode::NotFound => {
            remove_patch(&patch)?;
            return Ok(Since::Removed);
        }
        Err(error) => return Err(failed(error)),
    };
    let head = found.target().ok_or_else(|| failed(git2::Error::from_str("it is a symbolic reference")))?;
    if !is_ours(&repository, head, Some(kept.head), kept.author) {
        return Ok(Since::Foreign(CommitId::from(head)));
    }
    if let Some(path) = checked_out(&repository, &name) {
        return Err(LocalError::CheckedOut { branch: kept.branch.to_owned(), path });
    }
    // libgit2 refuses where the branch has moved since it was looked up
    found.delete().map_err(failed)?;
    remove_patch(&patch)?;
    Ok(Since::Removed)
}

fn reference(kept: &Kept<'_>) -> String {
    format!("refs/heads/{}", kept.branch)
}

fn contains(repository: &Repository, tip: Oid, commit: Oid) -> Result<bool, git2::Error> {
    Ok(tip == commit || repository.graph_descendant_of(tip, commit)?)
}
