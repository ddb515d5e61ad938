//! The source: a Git repository at a reference, pinned to one commit for a whole round.
//!
//! Files are read from the object store by walking the commit's tree, never by a checkout: no filter, hook, link or
//! attribute of the repository takes part. Everything here blocks; callers in async code use `spawn_blocking`.

pub mod address;
pub mod credentials;
pub mod error;
pub mod export;
pub mod fetch;
pub mod former;
pub mod history;
pub mod name;
mod pin;
mod read;
pub mod reference;
pub mod transport;
pub mod tree;
pub mod work_tree;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use git2::{Oid, Repository};
use jiff::Timestamp;

use self::address::RemoteAddress;
use self::credentials::Credentials;
use self::error::SourceError;
use self::transport::Transport;

pub use self::pin::pin;
pub use self::read::{Found, KnownSizes, SourceFile, export, files, files_but, list_toml, read, read_at, read_text};
pub use self::tree::Trees;

/// Which files a round reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// A folder (also one inside a repository), `file://`, https or ssh.
    pub repo: String,
    /// A branch, a tag, a full reference or `HEAD`.
    pub reference: String,
    /// The reference itself, another commit, or the files on disk.
    pub revision: Revision,
}

/// What of a source is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Revision {
    /// The commit that the reference names now.
    Reference,
    /// Another commit, as git's revision syntax names it (`4f2c9e1`, `HEAD~2`).
    Commit(String),
    /// The files as they are on disk; local repositories only.
    WorkTree,
}

/// What a source may use of this machine.
#[derive(Debug, Clone)]
pub struct Access {
    /// The folder for cached repositories, one for each remote.
    pub cache: PathBuf,
    /// How remotes are reached.
    pub transport: Transport,
    /// How much is read.
    pub limits: Limits,
}

/// How much is read of one commit. What goes beyond is a named problem, never cut off in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one file.
    pub file_bytes: usize,
    /// Bytes of all files together.
    pub total_bytes: usize,
    /// Entries of all trees together, manifests or not.
    pub entries: usize,
    /// Folders inside folders.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { file_bytes: 16 << 20, total_bytes: 512 << 20, entries: 1_000_000, depth: 64 }
    }
}

impl Access {
    /// A cache folder, with the default limits.
    ///
    /// # Errors
    /// When the program's own path cannot be found.
    pub fn new(cache: PathBuf, credentials: Credentials) -> Result<Self, SourceError> {
        let transport = Transport::new(credentials).map_err(SourceError::Remote)?;
        Ok(Self { cache, transport, limits: Limits::default() })
    }
}

/// A commit's id: 40 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitId {
    id: Oid,
    text: String,
}

impl CommitId {
    /// All 40 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// For libgit2.
    #[must_use]
    pub fn oid(&self) -> Oid {
        self.id
    }
}

impl From<Oid> for CommitId {
    fn from(id: Oid) -> Self {
        Self { id, text: id.to_string() }
    }
}

impl FromStr for CommitId {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, SourceError> {
        let whole = Some(text).filter(|text| text.len() == 40).and_then(|text| Oid::from_str(text).ok());
        whole.map(Self::from).ok_or_else(|| SourceError::CommitId { text: text.to_owned() })
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A source at one commit. Whatever moves meanwhile, it stays at that commit.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// The source's name: `acme/platform` from a remote's address, else the folder's.
    pub name: String,
    /// The reference it was pinned through, as it was given.
    pub reference: String,
    /// The commit; for the work tree, the one that is checked out.
    pub commit: CommitId,
    /// When it was committed.
    pub time: Timestamp,
    /// Whether the files differ from the commit's: with the work tree alone.
    pub dirty: bool,
    /// The repository (of a remote: its cache), where objects are read and written.
    pub repository: PathBuf,
    /// The remote's URL; `None` for a folder of this machine.
    pub remote: Option<RemoteAddress>,
    content: Content,
    limits: Limits,
    tip: CommitId,
}

impl Pinned {
    /// Whether the files are those of a commit, so that they never change.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        self.tree().is_some()
    }

    /// Where the reference itself is, whatever commit of it is looked at.
    #[must_use]
    pub fn tip(&self) -> &CommitId {
        &self.tip
    }

    /// The id of the commit's whole tree, where the files are those of a commit: with it, all of them are the same.
    #[must_use]
    pub fn tree(&self) -> Option<Oid> {
        match self.content {
            Content::Tree(id) => Some(id),
            Content::WorkTree(_) => None,
        }
    }
}

/// Where the files come from.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    /// Of a commit, by its id.
    Tree(Oid),
    WorkTree(PathBuf),
}

/// Opens a repository that has been found before.
///
/// # Errors
/// When it is gone or unusable.
pub fn open(path: &Path) -> Result<Repository, SourceError> {
    Repository::open(path).map_err(|error| SourceError::open(path, error))
}
