//! How the pinned commit stands to other commits.

use git2::{Oid, Repository};

use super::error::SourceError;
use super::transport::at;
use super::{CommitId, Pinned, open};

/// How a source's reference went from the commit that was recorded last to the one that it names now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// It did not.
    Same,
    /// The last commit is among the ancestors.
    Forward,
    /// It is not: the history was rewritten, or the reference was set back.
    Rewritten,
}

/// The commit that the source's reference named when the source was pinned, whichever of its commits is read.
#[must_use]
pub fn tip(pinned: &Pinned) -> &CommitId {
    &pinned.tip
}

/// How the source moved since `last`.
///
/// # Errors
/// When the history is incomplete or damaged.
pub fn moved(pinned: &Pinned, last: &CommitId) -> Result<Moved, SourceError> {
    if pinned.tip == *last {
        return Ok(Moved::Same);
    }
    let repository = open(&pinned.repository)?;
    let descends = descends(&repository, pinned.tip.oid(), last.oid())?;
    Ok(if descends { Moved::Forward } else { Moved::Rewritten })
}

/// Whether the source's reference contains a commit, as it stood when the source was pinned.
///
/// # Errors
/// When the history is incomplete or damaged.
pub fn contains(pinned: &Pinned, commit: &CommitId) -> Result<bool, SourceError> {
    let repository = open(&pinned.repository)?;
    Ok(pinned.tip == *commit || descends(&repository, pinned.tip.oid(), commit.oid())?)
}

fn descends(repository: &Repository, commit: Oid, ancestor: Oid) -> Result<bool, SourceError> {
    let shallow = || SourceError::Shallow { repository: at(repository.path()) };
    // all ancestors of a pinned commit are here, so what is not here is none; but for a shallow clone, where it may be
    // behind the cut
    if !exists(repository, ancestor) {
        return if repository.is_shallow() { Err(shallow()) } else { Ok(false) };
    }
    match repository.graph_descendant_of(commit, ancestor) {
        Ok(false) if repository.is_shallow() => Err(shallow()),
        Ok(descends) => Ok(descends),
        Err(error) => Err(SourceError::corrupt(&commit.to_string(), &error)),
    }
}

fn exists(repository: &Repository, id: Oid) -> bool {
    repository.odb().is_ok_and(|objects| objects.exists(id))
}
