//! The local forge, on real repositories: `git am` takes the patch, and nothing but the branch has moved.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;
use trueup::review::commit::{Author, Change, CommitError, Edit, commit_on};
use trueup::review::local::{Opened, Proposal, open, patch_path};
use trueup::source::CommitId;

use crate::git::{Repo, git};

const MESSAGE: &str =
    "checkout: adopt LOG_LEVEL=debug\n\nWritten by kubectl-edit (grün).\n\n---\ndiff --git a/x b/x\nFrom here on\n";

const BRANCH: &str = "trueup/p-02ab02ab02ab02ab";

fn edit(path: &str, bytes: &[u8]) -> Edit {
    Edit { path: path.to_owned(), bytes: bytes.to_owned() }
}

fn repo() -> (Repo, CommitId) {
    let repo = Repo::new();
    repo.write("app/web.yaml", "# the level\nLOG_LEVEL: info # keep\nother: 1\n");
    repo.write("app/crlf.yaml", "a: 1\r\nb: 2\r\n");
    repo.write("app/run.yaml", "a: 1\n");
    std::fs::set_permissions(repo.path().join("app/run.yaml"), std::fs::Permissions::from_mode(0o755)).unwrap();
    std::os::unix::fs::symlink("web.yaml", repo.path().join("app/link.yaml")).unwrap();
    let base = repo.commit("first").parse().unwrap();
    (repo, base)
}

fn commit(repo: &Repo, base: &CommitId, edits: &[Edit]) -> Result<CommitId, CommitError> {
    let author = Author::default();
    commit_on(repo.path(), &Change { base, edits, removed: &[], message: MESSAGE, author: &author, protected: &[] })
}

fn propose(repo: &Path, commit: &CommitId, known: Option<&CommitId>, state: &TempDir) -> Opened {
    let author = Author::default();
    open(&Proposal { repository: repo, branch: BRANCH, commit, author: &author, known_head: known, state: state.path() }).unwrap()
}

/// Every file of a folder with its content, but for Git's objects and our branch.
fn world(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let ours = name.contains("objects") || name.ends_with("heads/trueup");
            match entry.file_type().unwrap() {
                _ if ours => {}
                kind if kind.is_dir() => left.push(path),
                kind if kind.is_symlink() => drop(files.insert(name, b"link".to_vec())),
                _ => drop(files.insert(name, std::fs::read(path).unwrap())),
            }
        }
    }
    files
}

#[test]
fn a_proposal_moves_its_branch_and_nothing_else() {
    let (repo, base) = repo();
    repo.write("app/web.yaml", "somebody is working here\n");
    repo.git(&["add", "app/web.yaml"]);
    repo.write("app/web.yaml", "and here\n");
    let before = world(repo.path());
    assert!(before.contains_key(".git/index") && before.contains_key(".git/config") && before.contains_key(".git/HEAD"));

    let state = tempfile::tempdir().unwrap();
    let edits = [edit("app/web.yaml", b"# the level\nLOG_LEVEL: debug # keep\nother: 1\n"), edit("app/run.yaml", b"a: 2\n")];
    let commit = commit(&repo, &base, &edits).unwrap();
    assert_eq!(propose(repo.path(), &commit, None, &state), Opened::Created);
    assert_eq!(propose(repo.path(), &commit, None, &state), Opened::Unchanged);
    assert_eq!(world(repo.path()), before);

    let branch = BRANCH;
    assert_eq!(repo.git(&["rev-parse", branch]), commit.as_str());
    assert_eq!(repo.git(&["rev-parse", &format!("{branch}~1")]), base.as_str());
    assert_eq!(repo.git(&["diff", "--numstat", base.as_str(), branch]), "1\t1\tapp/run.yaml\n1\t1\tapp/web.yaml");
    assert!(repo.git(&["ls-tree", branch, "app/run.yaml"]).starts_with("100755"));
    assert_eq!(repo.git(&["fsck", "--strict", "--no-dangling"]), "");
}

#[test]
fn the_same_change_is_the_same_commit() {
    let (repo, base) = repo();
    let edits = [edit("app/web.yaml", b"a: 2\n"), edit(".trueup/approvals/p-1.toml", b"x = 1\n")];
    let first = commit(&repo, &base, &edits).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(commit(&repo, &base, &edits).unwrap(), first);
    let outside = tempfile::tempdir().unwrap();
    let copy = repo.bare(outside.path(), "x.git");
    let author = Author::default();
    let change = Change { base: &base, edits: &edits, removed: &[], message: MESSAGE, author: &author, protected: &[] };
    assert_eq!(commit_on(&copy, &change).unwrap(), first);
}

#[test]
fn git_am_takes_the_patch() {
    let (repo, base) = repo();
    let state = tempfile::tempdir().unwrap();
    let edits =
        [edit("app/web.yaml", b"LOG_LEVEL: debug"), edit("app/crlf.yaml", b"a: 1\r\nb: 3\r\n"), edit("app/run.yaml", b"")];
    let commit = commit(&repo, &base, &edits).unwrap();
    propose(repo.path(), &commit, None, &state);
    let patch = patch_path(state.path(), BRANCH).unwrap();
    let clone = tempfile::tempdir().unwrap();
    git(clone.path(), &["clone", "-q", repo.path().to_str().unwrap(), "."]);
    git(clone.path(), &["am", "-q", "--keep-cr", patch.to_str().unwrap()]);
    let tree = repo.git(&["rev-parse", &format!("{commit}^{{tree}}")]);
    assert_eq!(git(clone.path(), &["rev-parse", "HEAD^{tree}"]), tree);
    assert_eq!(git(clone.path(), &["log", "-1", "--format=%s"]), "checkout: adopt LOG_LEVEL=debug");
    assert!(git(clone.path(), &["log", "-1", "--format=%b"]).contains("Written by kubectl-edit (grün)."));
    assert_eq!(std::fs::read_dir(patch.parent().unwrap()).unwrap().count(), 1, "no temporary file stays");
}

#[test]
fn only_our_own_branch_is_moved() {
    let (repo, base) = repo();
    let state = tempfile::tempdir().unwrap();
    let first = commit(&repo, &base, &[edit("app/web.yaml", b"a: 2\n")]).unwrap();
    let second = commit(&repo, &base, &[edit("app/web.yaml", b"a: 3\n")]).unwrap();
    propose(repo.path(), &first, None, &state);
    // ours by its author, but not what the ledger knows
    assert_eq!(propose(repo.path(), &second, None, &state), Opened::Foreign { head: first.clone() });
    assert_eq!(propose(repo.path(), &second, Some(&first), &state), Opened::Updated { from: first.clone() });

    let branch = BRANCH;
    repo.git(&["checkout", "-q", branch]);
    repo.write("app/web.yaml", "a: 4\n");
    let theirs: CommitId = repo.commit("somebody else").parse().unwrap();
    let patch = std::fs::read(patch_path(state.path(), BRANCH).unwrap()).unwrap();
    for known in [None, Some(&second), Some(&theirs)] {
        assert_eq!(propose(repo.path(), &first, known, &state), Opened::Foreign { head: theirs.clone() });
    }
    assert_eq!(repo.git(&["rev-parse", branch]), theirs.as_str());
    assert_eq!(std::fs::read(patch_path(state.path(), BRANCH).unwrap()).unwrap(), patch);

    repo.git(&["reset", "-q", "--hard", second.as_str()]);
    let author = Author::default();
    let held = Proposal {
        repository: repo.path(),
        branch: BRANCH,
        commit: &first,
        author: &author,
        known_head: Some(&second),
        state: state.path(),
    };
    assert!(open(&held).unwrap_err().to_string().contains("is checked out"));
}

#[test]
fn what_decides_is_never_touched() {
    let (repo, base) = repo();
    for path in
        ["policies/drift.toml", "trueup.toml", ".github/workflows/ci.yml", "Jenkinsfile", ".gitlab-ci.yml", ".circleci/c.yml"]
    {
        let error = commit(&repo, &base, &[edit(path, b"x")]).unwrap_err();
        assert!(matches!(error, CommitError::Protected { .. }), "{path}: {error}");
    }
    for path in ["../x", "/etc/passwd", ".git/config", "app", "app/link.yaml", "app/web.yaml/x", "app/link.yaml/x", ""] {
        let error = commit(&repo, &base, &[edit(path, b"x")]).unwrap_err();
        assert!(matches!(error, CommitError::Path { .. }), "{path}: {error}");
    }
    let same = commit(&repo, &base, &[edit("app/run.yaml", b"a: 1\n")]).unwrap_err();
    assert!(matches!(same, CommitError::NoChange { .. }), "{same}");
}
