//! What can be wrong with a source.

use std::path::Path;

use git2::ErrorCode;
use thiserror::Error;

use super::address::AddressError;
use super::reference::near_hint;
use super::transport::{RemoteError, at};

/// Why a source cannot be pinned or read.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The address is refused.
    #[error(transparent)]
    Address(AddressError),
    /// The remote did not give what was asked for.
    #[error(transparent)]
    Remote(RemoteError),
    /// No such folder.
    #[error("the folder `{path}` does not exist; check `[source] repo`")]
    NoSuchFolder {
        /// The folder.
        path: String,
    },
    /// The folder is in no repository.
    #[error("`{path}` is not inside a Git repository; run `git init` there, or name another folder in `[source] repo`")]
    NoRepository {
        /// The folder.
        path: String,
    },
    /// Another user owns it.
    #[error(
        "the repository `{path}` belongs to another user, so git does not trust it; `git config --global --add safe.directory <its folder>` allows it"
    )]
    Owner {
        /// The folder.
        path: String,
    },
    /// libgit2 cannot open it.
    #[error(
        "the repository `{path}` cannot be opened; `git -C {path} fsck` tells more (SHA-256 repositories and reftables are not supported)"
    )]
    Open {
        /// The folder.
        path: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// There is no commit yet.
    #[error(
        "the repository `{repository}` has no commit yet; commit the manifests first, or read them as they are on disk with --work-tree"
    )]
    Empty {
        /// The repository.
        repository: String,
    },
    /// No reference has such a name.
    #[error("`{reference}` is not a valid branch, tag or reference name; check `[source] ref`")]
    ReferenceName {
        /// What was given.
        reference: String,
    },
    /// No such reference.
    #[error("the repository `{repository}` has no branch or tag `{reference}`{near}", near = near_hint(near))]
    MissingReference {
        /// The repository.
        repository: String,
        /// What was asked for.
        reference: String,
        /// Names like it.
        near: Vec<String>,
    },
    /// No such commit.
    #[error("`{revision}` names no commit here; give a commit's id (of a remote, one that `{reference}` contains)")]
    UnknownRevision {
        /// What was asked for.
        revision: String,
        /// The source's reference.
        reference: String,
    },
    /// Not 40 hexadecimal digits.
    #[error("`{text}` is not a commit id; 40 hexadecimal digits are one")]
    CommitId {
        /// What was given.
        text: String,
    },
    /// An object is missing or damaged.
    #[error("Git object `{object}` is missing or damaged: {detail}; `git fsck` tells more, a fresh clone mends it")]
    Corrupt {
        /// Which one, or what led to it.
        object: String,
        /// What libgit2 says.
        detail: String,
    },
    /// The work tree was asked for where there is none.
    #[error("`{repository}` has no work tree; leave out `--work-tree`, or name a clone with files in it")]
    NoWorkTree {
        /// The repository.
        repository: String,
    },
    /// A path that is not followed.
    #[error("`{path}` is not read: {why}")]
    Refused {
        /// The path.
        path: String,
        /// Why, and what to do.
        why: String,
    },
    /// Text that is none.
    #[error("{path}:{line}: not UTF-8; save the file as UTF-8")]
    NotUtf8 {
        /// The path.
        path: String,
        /// The line of the first byte that is none, from 1.
        line: usize,
    },
    /// The disk says no.
    #[error("`{path}` cannot be read; check its rights")]
    Disk {
        /// The path.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The cache folder cannot be used.
    #[error("the cache `{path}` cannot be used; check the state folder's rights and space")]
    Cache {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Another process fetches.
    #[error("another trueup is still fetching this source (it holds `{path}`); try again when it has ended")]
    CacheBusy {
        /// The lock file.
        path: String,
    },
    /// The history needed for a judgement is not there.
    #[error("the clone `{repository}` is shallow, so its history cannot be judged; run `git fetch --unshallow` in it")]
    Shallow {
        /// The repository.
        repository: String,
    },
}

impl SourceError {
    /// A repository that could not be opened.
    #[must_use]
    pub fn open(path: &Path, error: git2::Error) -> Self {
        let path = at(path);
        match error.code() {
            ErrorCode::NotFound => Self::NoRepository { path },
            ErrorCode::Owner => Self::Owner { path },
            _ => Self::Open { path, source: error },
        }
    }

    /// An object that could not be read.
    #[must_use]
    pub fn corrupt(object: &str, error: &git2::Error) -> Self {
        Self::Corrupt { object: object.to_owned(), detail: error.message().to_owned() }
    }
}
