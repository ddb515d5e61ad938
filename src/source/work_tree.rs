//! Files as they are on disk (`--work-tree`): tracked ones, and new ones that git does not ignore.

use std::collections::BTreeMap;
use std::fs::{DirEntry, Metadata};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use git2::{Index, ObjectType, Oid, Repository, StatusOptions};
use trueup_core::facts::Problem;

use super::error::SourceError;
use super::name::{is_lfs_pointer, is_manifest, is_safe, is_toml, normalise, shown};
use super::transport::at;
use super::tree::{LFS_WHY, NOT_MANIFEST_WHY, SUBMODULE_WHY, SYMLINK_WHY, UNSAFE_WHY, blind, join, sort, too_large};
use super::{Limits, SourceFile};

/// Why something special is not read.
pub(super) const SPECIAL_WHY: &str = "it is no plain file; remove it or name other paths";

/// Whether anything differs from the commit that is checked out, new files among it.
///
/// # Errors
/// When the state of the files cannot be told.
pub fn is_dirty(repository: &Repository) -> Result<bool, SourceError> {
    let mut options = StatusOptions::new();
    options.include_untracked(true).recurse_untracked_dirs(false).include_ignored(false).update_index(false);
    let statuses = repository.statuses(Some(&mut options)).map_err(|error| SourceError::corrupt("HEAD", &error))?;
    Ok(!statuses.is_empty())
}

/// The manifests on disk under some paths, sorted by path, and what could not be read.
#[must_use]
pub fn files(repository: &Repository, root: &Path, under: &[String], limits: Limits) -> (Vec<SourceFile>, Vec<Problem>) {
    let index = match repository.index() {
        Ok(index) => index,
        Err(error) => return (Vec::new(), vec![blind("source-unreadable", "index", error.message())]),
    };
    let mut walk = Walk { repository, index, root, limits, entries: 0, total: 0, found: BTreeMap::new(), problems: Vec::new() };
    for path in under {
        walk.enter(path);
    }
    sort(&mut walk.problems);
    (walk.found.into_values().collect(), walk.problems)
}

/// One file's content; `None` where there is no such file.
///
/// # Errors
/// When the path is refused or the file cannot be read.
pub fn read(root: &Path, path: &str, limits: Limits) -> Result<Option<Vec<u8>>, SourceError> {
    let refused = |why: &str| SourceError::Refused { path: shown(path.as_bytes()), why: why.to_owned() };
    let parts = normalise(path).ok_or_else(|| refused(UNSAFE_WHY))?;
    let disk = |source| SourceError::Disk { path: path.to_owned(), source };
    match locate(root, &parts).map_err(disk)? {
        Located::Missing => Ok(None),
        Located::Folder(_) => Err(refused("it is a folder; name a file")),
        Located::Blocked(_, why) => Err(refused(why)),
        Located::File(file, data) => {
            let size = usize::try_from(data.len()).unwrap_or(usize::MAX);
            if size > limits.file_bytes {
                return Err(refused(&too_large(size, limits.file_bytes)));
            }
            let bytes = std::fs::read(file).map_err(disk)?;
            if is_lfs_pointer(&bytes) { Err(refused(LFS_WHY)) } else { Ok(Some(bytes)) }
        }
    }
}

/// The `*.toml` files in one folder.
///
/// # Errors
/// When the folder cannot be listed, or one of them is no plain file.
pub fn list_toml(root: &Path, folder: &str) -> Result<Vec<String>, SourceError> {
    let refused = |path: &str, why: &str| SourceError::Refused { path: shown(path.as_bytes()), why: why.to_owned() };
    let disk = |source| SourceError::Disk { path: folder.to_owned(), source };
    let parts = normalise(folder).ok_or_else(|| refused(folder, UNSAFE_WHY))?;
    let path = match locate(root, &parts).map_err(disk)? {
        Located::Missing => return Ok(Vec::new()),
        Located::File(..) => return Err(refused(folder, "it is a file; name a folder")),
        Located::Blocked(_, why) => return Err(refused(folder, why)),
        Located::Folder(path) => path,
    };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(path).map_err(disk)? {
        let entry = entry.map_err(disk)?;
        let name = entry.file_name();
        if !is_toml(name.as_bytes()) {
            continue;
        }
        let name = name.to_str().filter(|name| is_safe(name)).ok_or_else(|| refused(&shown(name.as_bytes()), UNSAFE_WHY))?;
        let path = join(&parts.join("/"), name);
        match kind_of(&entry.metadata().map_err(disk)?) {
            Kind::File => paths.push(path),
            Kind::Folder => {}
            Kind::Symlink => return Err(refused(&path, SYMLINK_WHY)),
            Kind::Special => return Err(refused(&path, SPECIAL_WHY)),
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

pub(super) enum Kind {
    File,
    Folder,
    Symlink,
    Special,
}

/// Of the entry itself: neither `symlink_metadata` nor `DirEntry::metadata` follows a link.
pub(super) fn kind_of(data: &Metadata) -> Kind {
    let kind = data.file_type();
    match (kind.is_symlink(), kind.is_dir(), kind.is_file()) {
        (true, ..) => Kind::Symlink,
        (_, true, _) => Kind::Folder,
        (.., true) => Kind::File,
        _ => Kind::Special,
    }
}

enum Located {
    File(PathBuf, Metadata),
    Folder(PathBuf),
    Blocked(&'static str, &'static str),
    Missing,
}

/// Goes down part by part, so that no link on the way is followed.
fn locate(root: &Path, parts: &[String]) -> Result<Located, std::io::Error> {
    let mut path = root.to_owned();
    for (index, part) in parts.iter().enumerate() {
        path.push(part);
        let data = match path.symlink_metadata() {
            Ok(data) => data,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Located::Missing),
            Err(error) => return Err(error),
        };
        match kind_of(&data) {
            Kind::Folder if path.join(".git").exists() => return Ok(Located::Blocked("submodule", SUBMODULE_WHY)),
            Kind::Folder => {}
            Kind::File if index + 1 == parts.len() => return Ok(Located::File(path, data)),
            Kind::Symlink => return Ok(Located::Blocked("symlink", SYMLINK_WHY)),
            Kind::File => return Ok(Located::Missing),
            Kind::Special => return Ok(Located::Blocked("special-file", SPECIAL_WHY)),
        }
    }
    Ok(Located::Folder(path))
}

struct Walk<'a> {
    repository: &'a Repository,
    index: Index,
    root: &'a Path,
    limits: Limits,
    entries: usize,
    total: usize,
    found: BTreeMap<String, SourceFile>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn enter(&mut self, path: &str) {
        let Some(parts) = normalise(path) else {
            self.problems.push(blind("path-unsafe", &shown(path.as_bytes()), UNSAFE_WHY));
            return;
        };
        let path = parts.join("/");
        match locate(self.root, &parts) {
            Ok(Located::Folder(_)) => self.descend(path),
            Ok(Located::File(_, data)) if is_manifest(path.as_bytes()) => self.take_file(path, &data),
            Ok(Located::File(..)) => self.problems.push(blind("not-a-manifest", &path, NOT_MANIFEST_WHY)),
            Ok(Located::Blocked(code, why)) => self.problems.push(blind(code, &path, why)),
            Ok(Located::Missing) => {
                let why = "the work tree has no such file or folder; check the target's `paths`";
                self.problems.push(blind("path-not-found", &path, why));
            }
            Err(error) => self.problems.push(unreadable(&path, &error)),
        }
    }

    fn descend(&mut self, folder: String) {
        let mut left = vec![(folder, 0_usize)];
        while let Some((folder, depth)) = left.pop() {
            if depth > self.limits.depth {
                let why = format!("it is more than {} folders deep; move it up", self.limits.depth);
                self.problems.push(blind("too-deep", &folder, &why));
                continue;
            }
            let listed = std::fs::read_dir(self.root.join(&folder)).and_then(Iterator::collect::<Result<Vec<DirEntry>, _>>);
            let listed = match listed {
                Ok(listed) => listed,
                Err(error) => {
                    self.problems.push(unreadable(&folder, &error));
                    continue;
                }
            };
            self.entries += listed.len();
            if self.entries > self.limits.entries {
                let why = format!("there are more than {} entries here; name smaller paths", self.limits.entries);
                self.problems.push(blind("too-many-files", &folder, &why));
                return;
            }
            left.extend(listed.iter().filter_map(|entry| self.take(entry, &folder)).map(|folder| (folder, depth + 1)));
        }
    }

    /// Takes one entry; a folder to go into is returned.
    fn take(&mut self, entry: &DirEntry, folder: &str) -> Option<String> {
        let name = entry.file_name();
        if name == ".git" {
            return None;
        }
        let Some(name) = name.to_str().filter(|name| is_safe(name)) else {
            let path = join(folder, &shown(name.as_bytes()));
            self.problems.push(blind("name-unsafe", &path, "its name cannot be used safely; rename it"));
            return None;
        };
        let path = join(folder, name);
        if is_ignored(self.repository, &self.index, &path) {
            return None;
        }
        match entry.metadata().map(|data| (kind_of(&data), data)) {
            Ok((Kind::Folder, _)) if entry.path().join(".git").exists() => {
                self.problems.push(blind("submodule", &path, SUBMODULE_WHY));
            }
            Ok((Kind::Folder, _)) => return Some(path),
            Ok((Kind::File, data)) if is_manifest(name.as_bytes()) => self.take_file(path, &data),
            Ok((Kind::File, _)) => {}
            Ok((Kind::Symlink, _)) if !is_manifest(name.as_bytes()) && entry.path().is_file() => {}
            Ok((Kind::Symlink, _)) => self.problems.push(blind("symlink", &path, SYMLINK_WHY)),
            Ok((Kind::Special, _)) => self.problems.push(blind("special-file", &path, SPECIAL_WHY)),
            Err(error) => self.problems.push(unreadable(&path, &error)),
        }
        None
    }

    fn take_file(&mut self, path: String, data: &Metadata) {
        let size = usize::try_from(data.len()).unwrap_or(usize::MAX);
        if size > self.limits.file_bytes {
            self.problems.push(blind("blob-too-large", &path, &too_large(size, self.limits.file_bytes)));
            return;
        }
        self.total = self.total.saturating_add(size);
        if self.total > self.limits.total_bytes {
            let why = format!("all files together have more than {} bytes; name smaller paths", self.limits.total_bytes);
            self.problems.push(blind("source-too-large", &path, &why));
            return;
        }
        match std::fs::read(self.root.join(&path)) {
            Ok(bytes) if is_lfs_pointer(&bytes) => self.problems.push(blind("lfs-pointer", &path, LFS_WHY)),
            Ok(bytes) => match Oid::hash_object(ObjectType::Blob, &bytes) {
                Ok(id) => drop(self.found.insert(path.clone(), SourceFile { path, bytes, blob: id.to_string() })),
                Err(error) => self.problems.push(blind("unreadable-object", &path, error.message())),
            },
            Err(error) => self.problems.push(unreadable(&path, &error)),
        }
    }
}

/// Ignored by git, and neither tracked itself nor a folder with tracked files.
pub(super) fn is_ignored(repository: &Repository, index: &Index, path: &str) -> bool {
    let ignored = repository.is_path_ignored(path).unwrap_or(false);
    let tracked = || index.get_path(Path::new(path), 0).is_some() || index.find_prefix(format!("{path}/")).is_ok();
    ignored && !tracked()
}

fn unreadable(path: &str, error: &std::io::Error) -> Problem {
    blind("unreadable-file", path, &format!("{error}; check its rights, `{}`", at(Path::new(path))))
}
