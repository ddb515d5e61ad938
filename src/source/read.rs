//! Reads files of a pinned source, those of a commit or those on disk.

use std::path::Path;

use git2::Oid;
use trueup_core::facts::Problem;

use super::error::SourceError;
use super::export::{self, LeftOut};
use super::tree::{self, Trees};
use super::{CommitId, Content, Pinned, open, work_tree};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path inside the repository, with `/`.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// The blob's id, which is a digest of the content.
    pub blob: String,
}

/// The size of a blob's content, where whoever asks needs none of it.
pub type KnownSizes<'a> = dyn Fn(Oid) -> Option<usize> + 'a;

/// One file, with its content or without.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// It was read.
    Read(SourceFile),
    /// Its blob is known to whoever asked: nothing was read of it.
    Known {
        /// Its path inside the repository, with `/`.
        path: String,
        /// The blob's id.
        blob: Oid,
    },
}

impl Found {
    /// The file, where it was read.
    #[must_use]
    pub fn read(self) -> Option<SourceFile> {
        match self {
            Self::Read(file) => Some(file),
            Self::Known { .. } => None,
        }
    }
}

/// The manifests (`.yaml`, `.yml`, `.json`) under some paths, sorted by path, and what could not be read.
///
/// A path may name a folder or one file. Each problem here blinds: objects may be declared in what was not read.
#[must_use]
pub fn files(pinned: &Pinned, under: &[String]) -> (Vec<SourceFile>, Vec<Problem>) {
    let (files, problems) = files_but(pinned, under, &|_| None, &mut Trees::default());
    (files.into_iter().filter_map(Found::read).collect(), problems)
}

/// As [`files`], but nothing is read of blobs whose size is `known`, as far as they are told apart without reading, nor of
/// `trees` that were read before.
#[must_use]
pub fn files_but(pinned: &Pinned, under: &[String], known: &KnownSizes<'_>, trees: &mut Trees) -> (Vec<Found>, Vec<Problem>) {
    let repository = match open(&pinned.repository) {
        Ok(repository) => repository,
        Err(error) => return (Vec::new(), vec![Problem::blind("source-unreadable", error.to_string(), None)]),
    };
    match &pinned.content {
        Content::Tree(_) => tree::files(&repository, &pinned.commit, under, pinned.limits, (known, trees)),
        Content::WorkTree(root) => {
            let (files, problems) = work_tree::files(&repository, root, under, pinned.limits);
            (files.into_iter().map(Found::Read).collect(), problems)
        }
    }
}

/// Writes all files into a folder that is there and empty; returns what was left out.
///
/// # Errors
/// When something cannot be read or written, or is too much.
pub fn export(pinned: &Pinned, into: &Path) -> Result<Vec<LeftOut>, SourceError> {
    let repository = open(&pinned.repository)?;
    match &pinned.content {
        Content::Tree(_) => export::tree(&repository, &pinned.commit, pinned.limits, into),
        Content::WorkTree(root) => export::work_tree(&repository, root, pinned.limits, into),
    }
}

/// One file's content; `None` where there is no such file. For policies and expectations.
///
/// # Errors
/// When the path leads out, through a link or into a submodule, or the content cannot be read.
pub fn read(pinned: &Pinned, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
    match &pinned.content {
        Content::Tree(_) => tree::read(&open(&pinned.repository)?, &pinned.commit, path, pinned.limits),
        Content::WorkTree(root) => work_tree::read(root, path, pinned.limits),
    }
}

/// One file's content at another commit of the source; `None` where there is no such file.
///
/// # Errors
/// As [`read`], and when the commit is not here.
pub fn read_at(pinned: &Pinned, commit: &CommitId, path: &str) -> Result<Option<Vec<u8>>, SourceError> {
    tree::read(&open(&pinned.repository)?, commit, path, pinned.limits)
}

/// One file's text; `None` where there is no such file.
///
/// # Errors
/// As [`read`], and when the file is not UTF-8: no byte is guessed.
pub fn read_text(pinned: &Pinned, path: &str) -> Result<Option<String>, SourceError> {
    let Some(bytes) = read(pinned, path)? else { return Ok(None) };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        SourceError::NotUtf8 { path: path.to_owned(), line }
    })
}

/// The paths of the `*.toml` files in one folder, sorted; none where there is no such folder.
///
/// # Errors
/// When the folder cannot be listed, or one of its `*.toml` entries is no plain file.
pub fn list_toml(pinned: &Pinned, folder: &str) -> Result<Vec<String>, SourceError> {
    match &pinned.content {
        Content::Tree(_) => tree::list_toml(&open(&pinned.repository)?, &pinned.commit, folder),
        Content::WorkTree(root) => work_tree::list_toml(root, folder),
    }
}
