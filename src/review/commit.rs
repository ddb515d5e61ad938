//! A proposal's commit: Git objects on top of the pinned commit, and nothing else. No reference, index, work tree or
//! configuration is touched; the same input gives the same commit id.

use std::path::Path;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, ObjectType, Oid, Repository, Signature, Time, Tree};
use thiserror::Error;

use super::approval::place_of;
use crate::source::CommitId;
use crate::source::name::{is_toml, normalise};
use crate::source::transport::at;

/// What a proposal changes.
#[derive(Debug, Clone)]
pub struct Change<'a> {
    /// The pinned commit; its date becomes the new commit's.
    pub base: &'a CommitId,
    /// The files with their whole new content.
    pub edits: &'a [Edit],
    /// Files that go; those that are not there are as they should be.
    pub removed: &'a [String],
    /// The commit's message.
    pub message: &'a str,
    /// Who stands as author and committer.
    pub author: &'a Author,
    /// Paths that no proposal may touch, beside policies, `trueup.toml` and CI files: where `[policy]` points.
    pub protected: &'a [String],
}

/// One file's new content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// Its path inside the repository.
    pub path: String,
    /// Its whole content.
    pub bytes: Vec<u8>,
}

/// Who stands in a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// A name.
    pub name: String,
    /// An address, which also marks our commits.
    pub email: String,
}

impl Default for Author {
    fn default() -> Self {
        Self { name: "trueup".to_owned(), email: "trueup@localhost".to_owned() }
    }
}

/// Why a commit cannot be made.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The repository cannot be opened.
    #[error("the repository `{path}` cannot be opened for a proposal; check its rights")]
    Open {
        /// The repository.
        path: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// The base cannot be read.
    #[error("the pinned commit `{commit}` cannot be read for a proposal; `git fsck` tells more")]
    Base {
        /// The commit.
        commit: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// The path leads out, or through something that is no folder.
    #[error("a proposal cannot write `{path}`: {why}")]
    Path {
        /// The path.
        path: String,
        /// Why.
        why: &'static str,
    },
    /// Files that decide what trueup or the CI may do.
    #[error("a proposal never touches `{path}`, as it decides what trueup, the forge or the CI may do; change it by hand")]
    Protected {
        /// The path.
        path: String,
    },
    /// The edits change nothing.
    #[error("the proposal changes nothing on `{commit}`; the source already says so")]
    NoChange {
        /// The base.
        commit: String,
    },
    /// An object cannot be written.
    #[error("the proposal's {object} cannot be written into `{path}`; check the repository's rights and space")]
    Write {
        /// `file`, `tree`, `commit`.
        object: &'static str,
        /// The repository.
        path: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
}

/// Writes the commit's objects.
///
/// # Errors
/// [`CommitError`]; nothing refers to what was written until then.
pub fn commit_on(repository: &Path, change: &Change<'_>) -> Result<CommitId, CommitError> {
    let path = at(repository);
    let write = |object: &'static str| {
        let path = path.clone();
        move |source| CommitError::Write { object, path, source }
    };
    let repository = Repository::open(repository).map_err(|source| CommitError::Open { path: path.clone(), source })?;
    let base_error = |source| CommitError::Base { commit: change.base.to_string(), source };
    let base = repository.find_commit(change.base.oid()).map_err(base_error)?;
    let base_tree = base.tree().map_err(base_error)?;
    let mut update = TreeUpdateBuilder::new();
    for edit in change.edits {
        let place = check(&repository, &base_tree, edit, change)?;
        let blob = repository.blob(&edit.bytes).map_err(write("file"))?;
        update.upsert(place.path, blob, place.mode);
    }
    for path in change.removed {
        // Only an approval is ever removed.
        if place_of(path).is_some() && base_tree.get_path(Path::new(path)).is_ok() {
            update.remove(path.as_str());
        }
    }
    let tree = update.create_updated(&repository, &base_tree).map_err(write("tree"))?;
    if tree == base_tree.id() {
        return Err(CommitError::NoChange { commit: change.base.to_string() });
    }
    let tree = repository.find_tree(tree).map_err(write("tree"))?;
    let signature = sign(change.author, base.time()).map_err(write("commit"))?;
    repository.commit(None, &signature, &signature, change.message, &tree, &[&base]).map(CommitId::from).map_err(write("commit"))
}

/// Whether no proposal may touch a path: trueup's own configuration and policies, who may approve, and what CI runs.
#[must_use]
pub fn is_protected(parts: &[String], protected: &[String]) -> bool {
    const FOLDERS: [&str; 12] = [
        ".github",
        ".gitlab",
        ".gitea",
        ".forgejo",
        ".circleci",
        ".buildkite",
        ".woodpecker",
        ".tekton",
        ".ci",
        ".azure-pipelines",
        ".teamcity",
        ".husky",
    ];
    const FILES: [&str; 13] = [
        "trueup.toml",
        "jenkinsfile",
        "codeowners",
        ".gitlab-ci.yml",
        ".gitlab-ci.yaml",
        ".travis.yml",
        ".drone.yml",
        ".woodpecker.yml",
        "azure-pipelines.yml",
        "bitbucket-pipelines.yml",
        ".gitmodules",
        ".gitattributes",
        ".pre-commit-config.yaml",
    ];
    let lower: Vec<String> = parts.iter().map(|part| part.to_lowercase()).collect();
    let Some((file, folders)) = lower.split_last() else { return true };
    let policy = is_toml(file.as_bytes()) && folders.iter().any(|folder| folder == "policies");
    let own = lower[0] == "policies" || policy || FILES.contains(&file.as_str());
    let ci = lower.iter().any(|part| FOLDERS.contains(&part.as_str()));
    own || ci || protected.iter().filter_map(|path| normalise(path)).any(|path| !path.is_empty() && parts.starts_with(&path))
}

/// Where an edit goes.
struct Place {
    path: String,
    mode: FileMode,
}

fn check(repository: &Repository, base: &Tree<'_>, edit: &Edit, change: &Change<'_>) -> Result<Place, CommitError> {
    let refused = |why| CommitError::Path { path: edit.path.clone(), why };
    let parts =
        normalise(&edit.path).filter(|parts| !parts.is_empty()).ok_or_else(|| refused("it leads out of the repository"))?;
    if is_protected(&parts, change.protected) {
        return Err(CommitError::Protected { path: edit.path.clone() });
    }
    let mode = mode_at(repository, base, &parts).map_err(|why| match why {
        Blocked::By(why) => refused(why),
        Blocked::Unreadable(source) => CommitError::Base { commit: change.base.to_string(), source },
    })?;
    Ok(Place { path: parts.join("/"), mode })
}

enum Blocked {
    By(&'static str),
    Unreadable(git2::Error),
}

/// The mode of the file that is there, or a plain file's; a link or a submodule on the way is not replaced.
fn mode_at(repository: &Repository, base: &Tree<'_>, parts: &[String]) -> Result<FileMode, Blocked> {
    let mut tree = base.clone();
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let Some((kind, mode, id)) = entry(&tree, part) else { return Ok(FileMode::Blob) };
        match (kind, last) {
            (Some(ObjectType::Tree), false) => tree = repository.find_tree(id).map_err(Blocked::Unreadable)?,
            (Some(ObjectType::Tree), true) => return Err(Blocked::By("it is a folder")),
            (Some(ObjectType::Commit), _) => return Err(Blocked::By("it is in a submodule")),
            (Some(ObjectType::Blob), true) if mode == i32::from(FileMode::Link) => {
                return Err(Blocked::By("it is a symbolic link"));
            }
            (Some(ObjectType::Blob), true) if mode == i32::from(FileMode::BlobExecutable) => return Ok(FileMode::BlobExecutable),
            (Some(ObjectType::Blob), true) => return Ok(FileMode::Blob),
            _ => return Err(Blocked::By("a file or a link stands where the path has a folder")),
        }
    }
    Err(Blocked::By("it is the repository itself"))
}

fn entry(tree: &Tree<'_>, name: &str) -> Option<(Option<ObjectType>, i32, Oid)> {
    tree.get_name_bytes(name.as_bytes()).map(|entry| (entry.kind(), entry.filemode(), entry.id()))
}

/// The base commit's date in UTC: a rerun gives the same commit, wherever and whenever it runs.
fn sign(author: &Author, base: Time) -> Result<Signature<'static>, git2::Error> {
    Signature::new(&author.name, &author.email, &Time::new(base.seconds(), 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn protected(path: &str) -> bool {
        is_protected(&normalise(path).unwrap(), &["deploy/rules".to_owned()])
    }

    #[test]
    fn what_decides_is_protected() {
        for path in [
            "policies/drift.toml",
            "policies/x/y.yaml",
            "POLICIES/a.toml",
            "deploy/policies/drift.toml",
            "trueup.toml",
            "a/Trueup.toml",
            ".github/workflows/ci.yml",
            "sub/.github/x",
            ".gitlab-ci.yml",
            "Jenkinsfile",
            ".circleci/config.yml",
            "CODEOWNERS",
            "docs/CODEOWNERS",
            ".gitmodules",
            "deploy/rules/a.yaml",
        ] {
            assert!(protected(path), "{path}");
        }
        for path in
            ["manifests/web.yaml", "manifests/policies/network.yaml", "deploy/rulesets/a.yaml", ".trueup/approvals/p-1.toml"]
        {
            assert!(!protected(path), "{path}");
        }
    }
}
