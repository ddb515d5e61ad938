//! What stood in the manifests before: the files of earlier commits that the pinned commit has no longer, or otherwise.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{Oid, Repository, Tree, TreeEntry};
use serde::{Deserialize, Serialize};

use super::error::SourceError;
use super::name::{is_manifest, is_safe, normalise};
use super::tree::{Trees, join};
use super::{Content, Found, Pinned, open, tree, work_tree};

/// How many commits are looked back, along the first parents: what the reference said itself.
pub const COMMITS: usize = 1_000;
/// How many earlier files are known in all.
pub const FILES: usize = 2_000;

/// An earlier form of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerFile {
    /// Its path inside the repository.
    pub path: String,
    /// Its content then.
    pub blob: String,
    /// What changed or removed it: `commit 4f2c9e1`, or `the files on disk`.
    pub until: String,
    /// When that was, in seconds since 1970.
    pub until_seconds: i64,
}

/// The earlier forms of the manifests under some paths, the newest first, each once. The history of a shallow clone ends where
/// it is cut.
///
/// # Errors
/// When an object of the repository is damaged.
pub fn files(pinned: &Pinned, under: &[String]) -> Result<Vec<FormerFile>, SourceError> {
    let repository = open(&pinned.repository)?;
    if pinned.commit.oid().is_zero() {
        return Ok(Vec::new());
    }
    let folders: Vec<String> = under.iter().filter_map(|path| Some(normalise(path)?.join("/"))).collect();
    let corrupt = |error: git2::Error| SourceError::corrupt(pinned.commit.as_str(), &error);
    let mut walk = Walk { repository: &repository, seen: BTreeSet::new(), gone: Vec::new(), found: Vec::new() };
    if let Content::WorkTree(root) = &pinned.content {
        walk.found = unsaved(pinned, &repository, root, under);
    }
    let mut commit = repository.find_commit(pinned.commit.oid()).map_err(corrupt)?;
    for _ in 0..COMMITS {
        // The parent of the commit where a shallow clone is cut is not here.
        let Ok(parent) = commit.parent(0) else { break };
        walk.between(&parent.tree().map_err(corrupt)?, &commit.tree().map_err(corrupt)?, &folders).map_err(corrupt)?;
        let until = format!("commit {}", &commit.id().to_string()[..7]);
        let until_seconds = commit.time().seconds();
        let gone = walk.gone.drain(..);
        walk.found.extend(gone.map(|(path, blob)| FormerFile { path, blob, until: until.clone(), until_seconds }));
        if walk.found.len() >= FILES {
            break;
        }
        commit = parent;
    }
    walk.found.truncate(FILES);
    Ok(walk.found)
}

/// What the commit says otherwise than the files on disk.
fn unsaved(pinned: &Pinned, repository: &Repository, root: &Path, under: &[String]) -> Vec<FormerFile> {
    let (committed, _) = tree::files(repository, &pinned.commit, under, pinned.limits, (&|_| None, &mut Trees::default()));
    let committed = committed.into_iter().filter_map(Found::read);
    let on_disk = |path: &str| work_tree::read(root, path, pinned.limits).ok().flatten();
    let changed = committed.filter(|file| on_disk(&file.path).as_ref() != Some(&file.bytes));
    let until = "the files on disk".to_owned();
    changed.map(|file| FormerFile { path: file.path, blob: file.blob, until: until.clone(), until_seconds: i64::MAX }).collect()
}

/// Whether the pinned files are a commit's, so that its history is theirs.
#[must_use]
pub fn is_of_commit(pinned: &Pinned) -> bool {
    pinned.is_fixed()
}

/// The content of an earlier file.
///
/// # Errors
/// When it is not here, or damaged.
pub fn content(pinned: &Pinned, file: &FormerFile) -> Result<Vec<u8>, SourceError> {
    let corrupt = |error: git2::Error| SourceError::corrupt(&file.path, &error);
    let repository = open(&pinned.repository)?;
    let objects = repository.odb().map_err(corrupt)?;
    let id = Oid::from_str(&file.blob).map_err(corrupt)?;
    let (size, _) = objects.read_header(id).map_err(corrupt)?;
    if size > pinned.limits.file_bytes {
        return Ok(Vec::new());
    }
    Ok(objects.read(id).map_err(corrupt)?.data().to_vec())
}

struct Walk<'a> {
    repository: &'a Repository,
    seen: BTreeSet<(String, Oid)>,
    gone: Vec<(String, String)>,
    found: Vec<FormerFile>,
}

impl Walk<'_> {
    /// Notes what the older tree has under some paths and the newer one has not, or otherwise.
    fn between(&mut self, older: &Tree<'_>, newer: &Tree<'_>, folders: &[String]) -> Result<(), git2::Error> {
        if older.id() == newer.id() {
            return Ok(());
        }
        for folder in folders {
            if folder.is_empty() {
                self.trees(Some(older), Some(newer), "")?;
                continue;
            }
            let at = |tree: &Tree<'_>| tree.get_path(Path::new(folder)).ok();
            if let Some(old) = at(older) {
                self.entry(&old, at(newer).as_ref(), folder)?;
            }
        }
        Ok(())
    }

    fn trees(&mut self, older: Option<&Tree<'_>>, newer: Option<&Tree<'_>>, folder: &str) -> Result<(), git2::Error> {
        for old in older.into_iter().flat_map(Tree::iter) {
            let Some(name) = old.name().ok().filter(|name| is_safe(name)) else { continue };
            let new = newer.and_then(|tree| tree.get_name(name));
            self.entry(&old, new.as_ref(), &join(folder, name))?;
        }
        Ok(())
    }

    fn entry(&mut self, old: &TreeEntry<'_>, new: Option<&TreeEntry<'_>>, path: &str) -> Result<(), git2::Error> {
        if new.is_some_and(|new| new.id() == old.id()) {
            return Ok(());
        }
        match old.kind() {
            Some(git2::ObjectType::Tree) => {
                let older = self.repository.find_tree(old.id())?;
                let newer = match new.filter(|new| new.kind() == Some(git2::ObjectType::Tree)) {
                    Some(new) => Some(self.repository.find_tree(new.id())?),
                    None => None,
                };
                self.trees(Some(&older), newer.as_ref(), path)
            }
            Some(git2::ObjectType::Blob) if is_manifest(path.as_bytes()) => {
                if self.seen.insert((path.to_owned(), old.id())) {
                    self.gone.push((path.to_owned(), old.id().to_string()));
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
