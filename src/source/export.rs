//! All files of a revision as a folder on disk: for programs that read folders. Plain files alone; what is none is left out
//! and named.

use std::fs::{self, DirEntry};
use std::path::{Path, PathBuf};

use git2::{Odb, Oid, Repository};

use super::error::SourceError;
use super::name::{is_lfs_pointer, is_safe, shown};
use super::transport::at;
use super::tree::{Entry, LFS_WHY, join, too_large};
use super::work_tree::{Kind, SPECIAL_WHY, is_ignored, kind_of};
use super::{CommitId, Limits};

/// Why a name is not written.
const NAME_WHY: &str = "its name cannot be used safely; rename it";

/// Something that is no plain file, and so is not in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its path inside the repository, escaped.
    pub path: String,
    /// Why.
    pub why: String,
}

/// The files of a commit, from the object store.
///
/// # Errors
/// When an object cannot be read, the folder cannot be written, or the commit is larger than the limits.
pub(super) fn tree(repository: &Repository, commit: &CommitId, limits: Limits, into: &Path) -> Result<Vec<LeftOut>, SourceError> {
    let corrupt = |error: git2::Error| SourceError::corrupt(commit.as_str(), &error);
    let objects = repository.odb().map_err(corrupt)?;
    let root = repository.find_commit(commit.oid()).and_then(|commit| commit.tree()).map_err(corrupt)?;
    let mut written = Written { into, limits, entries: 0, total: 0, left_out: Vec::new() };
    let mut left = vec![(root.id(), String::new())];
    while let Some((id, folder)) = left.pop() {
        let tree = repository.find_tree(id).map_err(corrupt)?;
        written.enter(&folder, tree.len())?;
        for entry in &tree {
            let Some(name) = entry.name().ok().filter(|name| is_safe(name)) else {
                written.leave_out(join(&folder, &shown(entry.name_bytes())), NAME_WHY);
                continue;
            };
            let path = join(&folder, name);
            match Entry::of(entry.filemode()) {
                Entry::Folder => left.push((entry.id(), path)),
                Entry::File => written.blob(&objects, entry.id(), path)?,
                blocked => written.leave_out(path, blocked.why()),
            }
        }
    }
    Ok(written.left_out)
}

/// The files of a work tree that git does not ignore, as they are on disk.
///
/// # Errors
/// When a file cannot be read, the folder cannot be written, or there is more than the limits allow.
pub(super) fn work_tree(repository: &Repository, root: &Path, limits: Limits, into: &Path) -> Result<Vec<LeftOut>, SourceError> {
    let index = repository.index().map_err(|error| SourceError::corrupt("index", &error))?;
    let mut written = Written { into, limits, entries: 0, total: 0, left_out: Vec::new() };
    let mut left = vec![String::new()];
    while let Some(folder) = left.pop() {
        let disk = |source| SourceError::Disk { path: folder.clone(), source };
        let listed = fs::read_dir(root.join(&folder)).and_then(Iterator::collect::<Result<Vec<DirEntry>, _>>).map_err(disk)?;
        written.enter(&folder, listed.len())?;
        for entry in listed.iter().filter(|entry| entry.file_name() != ".git") {
            let name = entry.file_name();
            let Some(name) = name.to_str().filter(|name| is_safe(name)) else {
                written.leave_out(join(&folder, &shown(name.as_encoded_bytes())), NAME_WHY);
                continue;
            };
            let path = join(&folder, name);
            if is_ignored(repository, &index, &path) {
                continue;
            }
            match kind_of(&entry.metadata().map_err(disk)?) {
                Kind::Folder if entry.path().join(".git").exists() => written.leave_out(path, Entry::Submodule.why()),
                Kind::Folder => left.push(path),
                Kind::File => written.file(path, fs::read(entry.path()).map_err(disk)?)?,
                Kind::Symlink => written.leave_out(path, Entry::Symlink.why()),
                Kind::Special => written.leave_out(path, SPECIAL_WHY),
            }
        }
    }
    Ok(written.left_out)
}

struct Written<'a> {
    into: &'a Path,
    limits: Limits,
    entries: usize,
    total: usize,
    left_out: Vec<LeftOut>,
}

impl Written<'_> {
    fn enter(&mut self, folder: &str, entries: usize) -> Result<(), SourceError> {
        let refused = |why: String| SourceError::Refused { path: folder.to_owned(), why };
        self.entries += entries;
        if self.entries > self.limits.entries {
            return Err(refused(format!("the source has more than {} entries, too many to render from", self.limits.entries)));
        }
        if folder.matches('/').count() > self.limits.depth {
            return Err(refused(format!("it is more than {} folders deep; move it up", self.limits.depth)));
        }
        let path = self.into.join(folder);
        fs::create_dir_all(&path).map_err(|source| SourceError::Cache { path: at(&path), source })
    }

    fn leave_out(&mut self, path: String, why: &str) {
        self.left_out.push(LeftOut { path, why: why.to_owned() });
    }

    fn blob(&mut self, objects: &Odb<'_>, id: Oid, path: String) -> Result<(), SourceError> {
        let corrupt = |error: git2::Error| SourceError::corrupt(&path, &error);
        let (size, _) = objects.read_header(id).map_err(corrupt)?;
        if size > self.limits.file_bytes {
            self.leave_out(path, &too_large(size, self.limits.file_bytes));
            return Ok(());
        }
        let bytes = objects.read(id).map_err(corrupt)?.data().to_vec();
        self.file(path, bytes)
    }

    fn file(&mut self, path: String, bytes: Vec<u8>) -> Result<(), SourceError> {
        if bytes.len() > self.limits.file_bytes {
            self.leave_out(path, &too_large(bytes.len(), self.limits.file_bytes));
            return Ok(());
        }
        if is_lfs_pointer(&bytes) {
            self.leave_out(path, LFS_WHY);
            return Ok(());
        }
        self.total += bytes.len();
        if self.total > self.limits.total_bytes {
            let why = format!("all files together have more than {} bytes, too many to render from", self.limits.total_bytes);
            return Err(SourceError::Refused { path, why });
        }
        let file: PathBuf = self.into.join(&path);
        fs::write(&file, bytes).map_err(|source| SourceError::Cache { path: at(&file), source })
    }
}
