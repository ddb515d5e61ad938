//! Files of a commit, by walking its tree in the object store.

use git2::{ErrorCode, ObjectType, Odb, Oid, Repository, Tree};
use trueup_core::facts::{Origin, Problem};

use super::error::SourceError;
use super::name::{is_lfs_pointer, is_manifest, is_safe, is_toml, normalise, shown};
use super::{CommitId, Found, KnownSizes, Limits, SourceFile};

pub use folder::Trees;
use folder::{Contents, Folder};

mod folder;

const SYMLINK: i32 = 0o120_000;
const SUBMODULE: i32 = 0o160_000;

/// Why a link is not followed.
pub const SYMLINK_WHY: &str = "it is a symbolic link, which is never followed; put the file itself there";
/// Why a submodule is not read.
pub const SUBMODULE_WHY: &str = "it is a submodule, which is never fetched; make it a source of its own, or copy its files";
/// Why an LFS pointer is no manifest.
pub const LFS_WHY: &str = "it is a Git LFS pointer, and its content is not in Git; take the file out of LFS";
/// Why a path is refused.
pub const UNSAFE_WHY: &str =
    "the path leads out of the repository or holds control characters; write it relative to the repository's root";
/// Why a path that names one file is no manifest.
pub const NOT_MANIFEST_WHY: &str = "it is a file, but no manifest; its name must end in `.yaml`, `.yml` or `.json`";

/// The manifests of a commit under some paths, sorted by path, and what could not be read. Content is read of those blobs
/// alone whose size is not `known`, and of those trees that were not read before.
#[must_use]
pub fn files(
    repository: &Repository,
    commit: &CommitId,
    under: &[String],
    limits: Limits,
    (known, trees): (&KnownSizes<'_>, &mut Trees),
) -> (Vec<Found>, Vec<Problem>) {
    let start = repository.odb().and_then(|objects| Ok((objects, root(repository, commit)?)));
    let (objects, root) = match start {
        Ok(start) => start,
        Err(error) => return (Vec::new(), vec![unreadable(commit.as_str(), &error)]),
    };
    let mut walk = Walk { repository, root: &root, limits, trees, entries: 0, found: Vec::new(), problems: Vec::new() };
    for path in under {
        walk.enter(path, commit);
    }
    let Walk { mut found, mut problems, .. } = walk;
    // Two paths may lead to one file.
    found.sort_unstable();
    found.dedup();
    let files = read_all(&objects, found, (limits, known), &mut problems);
    sort(&mut problems);
    (files, problems)
}

/// One file's content; `None` where there is no such file.
///
/// # Errors
/// When the path is refused or the object cannot be read.
pub fn read(repository: &Repository, commit: &CommitId, path: &str, limits: Limits) -> Result<Option<Vec<u8>>, SourceError> {
    let corrupt = |error: git2::Error| SourceError::corrupt(path, &error);
    let refused = |why: &str| SourceError::Refused { path: shown(path.as_bytes()), why: why.to_owned() };
    let parts = normalise(path).ok_or_else(|| refused(UNSAFE_WHY))?;
    let root = root(repository, commit).map_err(corrupt)?;
    match locate(repository, &root, &parts).map_err(corrupt)? {
        Located::Missing => Ok(None),
        Located::Tree(_) => Err(refused("it is a folder; name a file")),
        Located::Blocked(entry) => Err(refused(entry.why())),
        Located::Blob(id) => {
            let objects = repository.odb().map_err(corrupt)?;
            let (size, _) = objects.read_header(id).map_err(corrupt)?;
            if size > limits.file_bytes {
                return Err(refused(&too_large(size, limits.file_bytes)));
            }
            let bytes = objects.read(id).map_err(corrupt)?.data().to_vec();
            if is_lfs_pointer(&bytes) { Err(refused(LFS_WHY)) } else { Ok(Some(bytes)) }
        }
    }
}

/// The `*.toml` files in one folder.
///
/// # Errors
/// When the folder cannot be listed, or one of them is no plain file.
pub fn list_toml(repository: &Repository, commit: &CommitId, folder: &str) -> Result<Vec<String>, SourceError> {
    let corrupt = |error: git2::Error| SourceError::corrupt(folder, &error);
    let refused = |path: &str, why: &str| SourceError::Refused { path: shown(path.as_bytes()), why: why.to_owned() };
    let parts = normalise(folder).ok_or_else(|| refused(folder, UNSAFE_WHY))?;
    let root = root(repository, commit).map_err(corrupt)?;
    let tree = match locate(repository, &root, &parts).map_err(corrupt)? {
        Located::Missing => return Ok(Vec::new()),
        Located::Blob(_) => return Err(refused(folder, "it is a file; name a folder")),
        Located::Blocked(entry) => return Err(refused(folder, entry.why())),
        Located::Tree(id) => repository.find_tree(id).map_err(corrupt)?,
    };
    let mut paths = Vec::new();
    for entry in tree.iter().filter(|entry| is_toml(entry.name_bytes())) {
        let name =
            entry.name().ok().filter(|name| is_safe(name)).ok_or_else(|| refused(&shown(entry.name_bytes()), UNSAFE_WHY))?;
        let path = join(&parts.join("/"), name);
        match Entry::of(entry.filemode()) {
            Entry::File => paths.push(path),
            Entry::Folder => {}
            blocked => return Err(refused(&path, blocked.why())),
        }
    }
    paths.sort_unstable();
    Ok(paths)
}

/// A problem behind which manifests may be hidden, at the first line of a file.
#[must_use]
pub fn blind(code: &'static str, file: &str, why: &str) -> Problem {
    let origin = Origin { file: file.to_owned(), line: 1, column: 1, document: 1 };
    Problem::blind(code, format!("`{file}` is not read: {why}"), Some(origin))
}

/// Why a file is too large.
#[must_use]
pub fn too_large(size: usize, limit: usize) -> String {
    format!("it has {size} bytes, and {limit} are allowed; split the file")
}

/// Problems in the order of their files; each once, however many paths lead to it.
pub fn sort(problems: &mut Vec<Problem>) {
    problems.sort_by(|a, b| (&a.origin, a.code, &a.message).cmp(&(&b.origin, b.code, &b.message)));
    problems.dedup();
}

/// `folder/name`
#[must_use]
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// What kind of thing a tree's entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    File,
    Folder,
    Symlink,
    Submodule,
}

impl Entry {
    pub(super) fn of(mode: i32) -> Self {
        match mode & 0o170_000 {
            SYMLINK => Self::Symlink,
            SUBMODULE => Self::Submodule,
            0o040_000 => Self::Folder,
            _ => Self::File,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Symlink => "symlink",
            Self::Submodule => "submodule",
            Self::File | Self::Folder => "not-a-folder",
        }
    }

    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Symlink => SYMLINK_WHY,
            Self::Submodule => SUBMODULE_WHY,
            Self::File | Self::Folder => "a file stands where the path has a folder; check the path",
        }
    }
}

/// What a path leads to.
enum Located {
    Tree(Oid),
    Blob(Oid),
    Blocked(Entry),
    Missing,
}

fn root<'a>(repository: &'a Repository, commit: &CommitId) -> Result<Tree<'a>, git2::Error> {
    repository.find_commit(commit.oid())?.tree()
}

fn locate(repository: &Repository, root: &Tree<'_>, parts: &[String]) -> Result<Located, git2::Error> {
    let mut tree = root.clone();
    for (index, part) in parts.iter().enumerate() {
        let Some(entry) = tree.get_name_bytes(part.as_bytes()) else { return Ok(Located::Missing) };
        let last = index + 1 == parts.len();
        match Entry::of(entry.filemode()) {
            Entry::Folder => {
                let next = repository.find_tree(entry.id())?;
                drop(entry);
                tree = next;
            }
            Entry::File if last => return Ok(Located::Blob(entry.id())),
            blocked => return Ok(Located::Blocked(blocked)),
        }
    }
    Ok(Located::Tree(tree.id()))
}

/// Gathers the manifests' blobs; nothing is read of them yet.
struct Walk<'a> {
    repository: &'a Repository,
    root: &'a Tree<'a>,
    limits: Limits,
    trees: &'a mut Trees,
    entries: usize,
    found: Vec<(String, Oid)>,
    problems: Vec<Problem>,
}

impl Walk<'_> {
    fn enter(&mut self, path: &str, commit: &CommitId) {
        let name = shown(path.as_bytes());
        let Some(parts) = normalise(path) else {
            self.problems.push(blind("path-unsafe", &name, UNSAFE_WHY));
            return;
        };
        let path = parts.join("/");
        match locate(self.repository, self.root, &parts) {
            Ok(Located::Tree(id)) => self.descend(id, path),
            Ok(Located::Blob(id)) if is_manifest(path.as_bytes()) => self.found.push((path, id)),
            Ok(Located::Blob(_)) => self.problems.push(blind("not-a-manifest", &path, NOT_MANIFEST_WHY)),
            Ok(Located::Blocked(entry)) => self.problems.push(blind(entry.code(), &path, entry.why())),
            Ok(Located::Missing) => {
                let why = format!("commit `{commit}` has no such file or folder; check the target's `paths`");
                self.problems.push(blind("path-not-found", &path, &why));
            }
            Err(error) => self.problems.push(unreadable(&path, &error)),
        }
    }

    fn descend(&mut self, tree: Oid, folder: String) {
        let mut left = vec![(tree, folder, 0_usize)];
        while let Some((id, folder, depth)) = left.pop() {
            let contents = match self.trees.contents(self.repository, id) {
                Ok(contents) => contents,
                Err(error) => {
                    self.problems.push(unreadable(&folder, &error));
                    continue;
                }
            };
            self.entries += contents.len();
            if self.entries > self.limits.entries {
                let why = format!("the commit has more than {} entries here; name smaller paths", self.limits.entries);
                self.problems.push(blind("too-many-files", &folder, &why));
                return;
            }
            if depth > self.limits.depth {
                let why = format!("it is more than {} folders deep; move it up", self.limits.depth);
                self.problems.push(blind("too-deep", &folder, &why));
                continue;
            }
            let folders = match contents {
                Contents::Plain(plain) => self.take_plain(&plain, &folder),
                Contents::Other(tree) => self.take(&tree, &folder),
            };
            left.extend(folders.into_iter().map(|(id, path)| (id, path, depth + 1)));
        }
    }

    /// As [`Walk::take`], of a folder without anything special.
    fn take_plain(&mut self, plain: &Folder, folder: &str) -> Vec<(Oid, String)> {
        self.found.extend(plain.manifests.iter().map(|(name, id)| (join(folder, name), *id)));
        plain.folders.iter().map(|(name, id)| (*id, join(folder, name))).collect()
    }

    /// Takes one folder's manifests, and returns its folders.
    fn take(&mut self, tree: &Tree<'_>, folder: &str) -> Vec<(Oid, String)> {
        let mut folders = Vec::new();
        for entry in tree {
            let Some(name) = entry.name().ok().filter(|name| is_safe(name)) else {
                let path = join(folder, &shown(entry.name_bytes()));
                self.problems.push(blind("name-unsafe", &path, "its name cannot be used safely; rename it"));
                continue;
            };
            let path = || join(folder, name);
            match Entry::of(entry.filemode()) {
                Entry::Folder => folders.push((entry.id(), path())),
                Entry::File if is_manifest(name.as_bytes()) => self.found.push((path(), entry.id())),
                Entry::File => {}
                Entry::Symlink if self.leads_to_no_manifest(folder, name, entry.id()) => {}
                blocked => self.problems.push(blind(blocked.code(), &path(), blocked.why())),
            }
        }
        folders
    }

    /// A link whose name is no manifest's and that leads to a file of this commit hides nothing: `README -> docs/README`.
    fn leads_to_no_manifest(&self, folder: &str, name: &str, link: Oid) -> bool {
        if is_manifest(name.as_bytes()) {
            return false;
        }
        let Ok(blob) = self.repository.find_blob(link) else { return false };
        let Some(parts) = std::str::from_utf8(blob.content()).ok().and_then(|target| resolve(folder, target)) else {
            return false;
        };
        matches!(locate(self.repository, self.root, &parts), Ok(Located::Blob(_)))
    }
}

/// Where a link leads inside the repository; `None` where it leads out.
fn resolve(folder: &str, target: &str) -> Option<Vec<String>> {
    let mut parts: Vec<String> = folder.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if target.starts_with('/') {
        return None;
    }
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name.to_owned()),
        }
    }
    Some(parts)
}

fn read_all(
    objects: &Odb<'_>,
    found: Vec<(String, Oid)>,
    (limits, known): (Limits, &KnownSizes<'_>),
    problems: &mut Vec<Problem>,
) -> Vec<Found> {
    let mut files = Vec::with_capacity(found.len());
    let mut total = 0_usize;
    for (path, id) in found {
        let known = known(id);
        let header = known.map_or_else(|| objects.read_header(id), |size| Ok((size, ObjectType::Blob)));
        let size = match header {
            Ok((size, ObjectType::Blob)) => size,
            Ok(_) => {
                problems.push(blind("unreadable-object", &path, "its object is no file; `git fsck` tells more"));
                continue;
            }
            Err(error) => {
                problems.push(unreadable(&path, &error));
                continue;
            }
        };
        if size > limits.file_bytes {
            problems.push(blind("blob-too-large", &path, &too_large(size, limits.file_bytes)));
            continue;
        }
        total += size;
        if total > limits.total_bytes {
            let why = format!("all files together have more than {} bytes; name smaller paths", limits.total_bytes);
            problems.push(blind("source-too-large", &path, &why));
            return files;
        }
        if known.is_some() {
            files.push(Found::Known { path, blob: id });
            continue;
        }
        match objects.read(id) {
            Ok(object) if is_lfs_pointer(object.data()) => problems.push(blind("lfs-pointer", &path, LFS_WHY)),
            Ok(object) => files.push(Found::Read(SourceFile { path, bytes: object.data().to_vec(), blob: id.to_string() })),
            Err(error) => problems.push(unreadable(&path, &error)),
        }
    }
    files
}

fn unreadable(path: &str, error: &git2::Error) -> Problem {
    let why = match error.code() {
        ErrorCode::NotFound => {
            "its object is missing in the repository; `git fsck` tells more, a fresh clone mends it".to_owned()
        }
        _ => format!("its object is damaged ({}); `git fsck` tells more, a fresh clone mends it", error.message()),
    };
    blind("unreadable-object", path, &why)
}
