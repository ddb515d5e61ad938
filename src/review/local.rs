//! The local forge: a branch in the source's own repository and a patch file that `git am` takes. No service needed.
//!
//! It creates, moves or removes `refs/heads/trueup/…` alone: never HEAD, index, work tree, configuration or another ref.

mod end;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use git2::{
    Commit, Diff, DiffDelta, DiffFile, DiffFormat, DiffHunk, DiffLine, DiffOptions, Email, EmailCreateOptions, ErrorCode, Oid,
    Repository,
};
use thiserror::Error;

use super::commit::Author;
use super::hidden::secret_lines;
use crate::failpoint;
use crate::source::CommitId;
use crate::source::transport::at;

/// A proposal for the local forge.
#[derive(Debug, Clone)]
pub struct Proposal<'a> {
    /// The repository, bare or not.
    pub repository: &'a Path,
    /// Its branch, `trueup/…`, which also names the patch.
    pub branch: &'a str,
    /// The commit to propose.
    pub commit: &'a CommitId,
    /// Whose commits are ours.
    pub author: &'a Author,
    /// The head that the ledger recorded for this branch, if it made one.
    pub known_head: Option<&'a CommitId>,
    /// The state folder; the patch goes into `review/` there.
    pub state: &'a Path,
}

pub use end::{Kept, Since, look, remove};

/// What opening a proposal came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// The branch is new.
    Created,
    /// The branch already held this commit.
    Unchanged,
    /// The branch was ours and held another commit.
    Updated {
        /// That commit.
        from: CommitId,
    },
    /// The branch is not ours; it was not touched, and no patch was written.
    Foreign {
        /// What it holds.
        head: CommitId,
    },
}

/// Why a proposal cannot be opened.
#[derive(Debug, Error)]
pub enum LocalError {
    /// The repository cannot be opened.
    #[error("the repository `{path}` cannot be opened for a proposal; check its rights")]
    Open {
        /// The repository.
        path: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// The branch cannot be read or moved.
    #[error("the branch `{branch}` cannot be written; check the repository's rights, and that no branch is called `trueup`")]
    Branch {
        /// The branch.
        branch: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// Somebody works on the branch.
    #[error("the branch `{branch}` is checked out in `{path}`; switch to another branch there, then run again")]
    CheckedOut {
        /// The branch.
        branch: String,
        /// Where.
        path: String,
    },
    /// No branch of ours.
    #[error("`{branch}` is no branch of a proposal; report this")]
    Name {
        /// The branch.
        branch: String,
    },
    /// The commit cannot be turned into a patch.
    #[error("no patch can be made of commit `{commit}`; `git show` tells more")]
    Format {
        /// The commit.
        commit: String,
        /// What libgit2 says.
        #[source]
        source: git2::Error,
    },
    /// The patch cannot be written.
    #[error("the patch `{path}` cannot be written; check the state folder's rights and space")]
    Patch {
        /// The file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
}

/// The part of a branch's name behind `trueup/`.
fn name_of(branch: &str) -> Result<&str, LocalError> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let name = branch.strip_prefix("trueup/").unwrap_or_default();
    let valid = !name.is_empty() && !name.starts_with('-') && name.bytes().all(plain);
    if valid { Ok(name) } else { Err(LocalError::Name { branch: branch.escape_debug().to_string() }) }
}

/// Where a branch's patch is kept.
///
/// # Errors
/// When it is no branch of a proposal.
pub fn patch_path(state: &Path, branch: &str) -> Result<PathBuf, LocalError> {
    Ok(state.join("review").join(format!("{}.patch", name_of(branch)?)))
}

/// Opens or updates the proposal. Run again with the same commit, it changes nothing.
///
/// # Errors
/// [`LocalError`].
pub fn open(proposal: &Proposal<'_>) -> Result<Opened, LocalError> {
    let file = patch_path(proposal.state, proposal.branch)?;
    let repository = opened_at(proposal.repository)?;
    let patch = format_patch(&repository, proposal.commit)?;
    let opened = move_branch(&repository, proposal)?;
    failpoint::reached("offer: branch moved");
    match (&opened, patch) {
        (Opened::Foreign { .. }, _) => {}
        (Opened::Created | Opened::Unchanged | Opened::Updated { .. }, Some(patch)) => write_patch(&file, &patch)?,
        (Opened::Created | Opened::Unchanged | Opened::Updated { .. }, None) => remove_patch(&file)?,
    }
    Ok(opened)
}

fn opened_at(path: &Path) -> Result<Repository, LocalError> {
    Repository::open(path).map_err(|source| LocalError::Open { path: at(path), source })
}

/// The most lines around a change that a patch shows, as `git format-patch` does.
const CONTEXT: u32 = 3;

/// A mailbox with one message, as `git format-patch` writes it and `git am` takes it (`--keep-cr` for files with CRLF), with
/// as many lines around each change as show no secret value; `None` where that cannot be done.
///
/// # Errors
/// When the commit or its parent cannot be read.
pub fn format_patch(repository: &Repository, commit: &CommitId) -> Result<Option<Vec<u8>>, LocalError> {
    let make = || -> Result<Option<Vec<u8>>, git2::Error> {
        let commit = repository.find_commit(commit.oid())?;
        let (before, after) = (commit.parent(0)?.tree()?, commit.tree()?);
        let (summary, body) = message_of(&commit);
        for context in (1..=CONTEXT).rev() {
            let mut options = DiffOptions::new();
            options.show_binary(true).context_lines(context);
            let diff = repository.diff_tree_to_tree(Some(&before), Some(&after), Some(&mut options))?;
            if shows_secrets(repository, &diff)? {
                continue;
            }
            let mut options = EmailCreateOptions::new();
            options.omit_numbers(true).ignore_renames(true);
            let email =
                Email::from_diff(&diff, 1, 1, &commit.id(), summary.as_str(), body.as_str(), &commit.author(), &mut options)?;
            return Ok(Some(email.as_slice().to_vec()));
        }
        Ok(None)
    };
    make().map_err(|source| LocalError::Format { commit: commit.to_string(), source })
}

/// Whether a line of a difference holds a secret value.
fn shows_secrets(repository: &Repository, diff: &Diff<'_>) -> Result<bool, git2::Error> {
    let lines_of = |file: DiffFile<'_>| -> BTreeSet<u32> {
        let name = file.path().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
        repository.find_blob(file.id()).map(|blob| secret_lines(&name, blob.content())).unwrap_or_default()
    };
    let secret: BTreeMap<Oid, (BTreeSet<u32>, BTreeSet<u32>)> =
        diff.deltas().map(|delta| (delta.new_file().id(), (lines_of(delta.old_file()), lines_of(delta.new_file())))).collect();
    let mut shows = false;
    let mut look = |delta: DiffDelta<'_>, _: Option<DiffHunk<'_>>, line: DiffLine<'_>| {
        let is_in = |lines: &BTreeSet<u32>, number: Option<u32>| number.is_some_and(|number| lines.contains(&number));
        let of_file = secret.get(&delta.new_file().id());
        shows |= of_file.is_some_and(|(old, new)| is_in(old, line.old_lineno()) || is_in(new, line.new_lineno()));
        true
    };
    diff.print(DiffFormat::Patch, &mut look)?;
    Ok(shows)
}

/// Lines that `git am` would take for the beginning of the patch or of another mail are set in by a blank.
fn message_of(commit: &Commit<'_>) -> (String, String) {
    let message = String::from_utf8_lossy(commit.message_bytes());
    let (summary, body) = message.trim_end().split_once('\n').unwrap_or((message.trim_end(), ""));
    let ends = ["---", "diff -", "Index: ", "From ", ">From "];
    let body: Vec<String> = body
        .lines()
        .map(|line| if ends.iter().any(|end| line.starts_with(end)) { format!(" {line}") } else { line.to_owned() })
        .collect();
    (summary.trim().to_owned(), body.join("\n").trim().to_owned())
}

fn move_branch(repository: &Repository, proposal: &Proposal<'_>) -> Result<Opened, LocalError> {
    let branch = proposal.branch;
    let name = format!("refs/heads/{branch}");
    let failed = |source| LocalError::Branch { branch: branch.to_owned(), source };
    let new = proposal.commit.oid();
    let Some(head) = head_of(repository, &name).map_err(failed)? else {
        // without force: fails if somebody made it since
        return match repository.reference(&name, new, false, "trueup: proposal") {
            Ok(_) => Ok(Opened::Created),
            Err(error) if error.code() == ErrorCode::Exists => foreign(repository, &name, branch),
            Err(error) => Err(failed(error)),
        };
    };
    if head == new {
        return Ok(Opened::Unchanged);
    }
    if !is_ours(repository, head, proposal.known_head, proposal.author) {
        return Ok(Opened::Foreign { head: CommitId::from(head) });
    }
    if let Some(path) = checked_out(repository, &name) {
        return Err(LocalError::CheckedOut { branch: branch.to_owned(), path });
    }
    match repository.reference_matching(&name, new, true, head, "trueup: proposal updated") {
        Ok(_) => Ok(Opened::Updated { from: CommitId::from(head) }),
        Err(error) if error.code() == ErrorCode::Modified => foreign(repository, &name, branch),
        Err(error) => Err(failed(error)),
    }
}

fn foreign(repository: &Repository, name: &str, branch: &str) -> Result<Opened, LocalError> {
    let failed = |source| LocalError::Branch { branch: branch.to_owned(), source };
    let head = repository.find_reference(name).and_then(|found| found.peel_to_commit()).map_err(failed)?.id();
    Ok(Opened::Foreign { head: CommitId::from(head) })
}

fn head_of(repository: &Repository, name: &str) -> Result<Option<Oid>, git2::Error> {
    match repository.find_reference(name) {
        // a symbolic reference would have another branch moved
        Ok(found) => found.target().map(Some).ok_or_else(|| git2::Error::from_str("it is a symbolic reference")),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Ours is what the ledger recorded and our identity committed; one of both is not enough.
fn is_ours(repository: &Repository, head: Oid, known: Option<&CommitId>, author: &Author) -> bool {
    let known = known.is_some_and(|known| known.oid() == head);
    let email = author.email.as_bytes();
    known && repository.find_commit(head).is_ok_and(|commit| commit.committer().email_bytes() == email)
}

/// Where a branch is checked out: moving it there would make every file look changed.
fn checked_out(repository: &Repository, name: &str) -> Option<String> {
    let is_here = |repository: &Repository| {
        let head = repository.find_reference("HEAD").ok();
        let branch = head.and_then(|head| head.symbolic_target().ok().flatten().map(str::to_owned));
        !repository.is_bare() && branch.as_deref() == Some(name)
    };
    let worktrees = repository.worktrees().ok();
    let names: Vec<String> = worktrees.iter().flatten().filter_map(|name| name.ok().flatten().map(str::to_owned)).collect();
    let linked = names
        .iter()
        .filter_map(|name| Repository::open_from_worktree(&repository.find_worktree(name).ok()?).ok())
        .find(|linked| is_here(linked))
        .map(|linked| at(linked.path()));
    if is_here(repository) { Some(at(repository.path())) } else { linked }
}

/// An older patch that would no longer be the branch's.
fn remove_patch(path: &Path) -> Result<(), LocalError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(LocalError::Patch { path: at(path), source }),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whole or not at all: a reader never sees half a patch.
fn write_patch(path: &Path, content: &[u8]) -> Result<(), LocalError> {
    let temporary = path.with_extension("patch.tmp");
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut file = File::create(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        failpoint::reached("offer: patch half written");
        fs::rename(&temporary, path)
    };
    write().map_err(|source| LocalError::Patch { path: at(path), source })
}
