//! The source, on real repositories of this machine; `git` itself says what is right.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::Path;

use trueup::source::history::{Moved, contains, moved};
use trueup::source::{CommitId, Limits, Pinned, Revision, SourceFile, files, list_toml, pin, read};
use trueup_core::facts::Problem;

use crate::git::{Repo, access, git, git_bytes, pin_local, spec_of};

fn everything(pinned: &Pinned) -> (Vec<SourceFile>, Vec<Problem>) {
    files(pinned, &[".".to_owned()])
}

fn codes(problems: &[Problem]) -> Vec<(&str, &str)> {
    problems.iter().map(|problem| (problem.code, problem.origin.as_ref().map_or("", |origin| origin.file.as_str()))).collect()
}

fn paths(files: &[SourceFile]) -> Vec<&str> {
    files.iter().map(|file| file.path.as_str()).collect()
}

fn fails(path: &Path, reference: &str) -> String {
    pin(&spec_of(path, reference), &access(Path::new("/nonexistent"))).unwrap_err().to_string()
}

/// A repository with names and contents of many kinds.
fn varied() -> Repo {
    let repo = Repo::new();
    for index in 0..150 {
        repo.write(&format!("manifests/team-{}/{index}.yaml", index % 7), format!("kind: ConfigMap\nindex: {index}\n"));
    }
    repo.write("manifests/UPPER.YML", "a: 1\r\nb: 2\r\n");
    repo.write("manifests/data.json", "{}");
    repo.write("manifests/grün und blau.yaml", "\u{feff}a: 1\n");
    repo.write("manifests/binary.yaml", [0_u8, 255, 1, 13, 10]);
    repo.write("manifests/empty.yaml", "");
    repo.write("manifests/README.md", "no manifest");
    repo.write("manifests/template.yaml.tmpl", "no manifest");
    repo.write("other/outside.yaml", "a: 1\n");
    repo.commit("first");
    repo
}

/// What `git ls-tree` and `git cat-file` say of a commit.
fn oracle(repo: &Path, commit: &str) -> BTreeMap<String, (Vec<u8>, String)> {
    let listed = String::from_utf8(git_bytes(repo, &["ls-tree", "-r", "-z", commit], b"")).unwrap();
    let wanted = |path: &str| [".yaml", ".yml", ".json"].iter().any(|ending| path.to_lowercase().ends_with(ending));
    listed
        .split_terminator('\0')
        .map(|line| line.split_once('\t').unwrap())
        .filter(|(_, path)| wanted(path))
        .map(|(head, path)| {
            let blob = head.split(' ').nth(2).unwrap();
            (path.to_owned(), (git_bytes(repo, &["cat-file", "blob", blob], b""), blob.to_owned()))
        })
        .collect()
}

#[test]
fn the_tree_walk_equals_gits_own() {
    let repo = varied();
    repo.git(&["gc", "-q"]);
    let outside = tempfile::tempdir().unwrap();
    let bare = repo.bare(outside.path(), "platform.git");
    let expected = oracle(repo.path(), "HEAD");
    assert!(expected.len() > 150);
    for path in [repo.path(), &repo.path().join("manifests/team-3"), &bare] {
        let pinned = pin_local(path, "main");
        let (found, problems) = everything(&pinned);
        assert_eq!(problems, []);
        assert!(found.is_sorted_by(|a, b| a.path < b.path));
        let found: BTreeMap<_, _> = found.into_iter().map(|file| (file.path, (file.bytes, file.blob))).collect();
        assert_eq!(found, expected, "{}", path.display());
        assert_eq!(pinned.commit.as_str(), repo.git(&["rev-parse", "HEAD"]));
        assert_eq!(pinned.time.as_second().to_string(), repo.git(&["log", "-1", "--format=%ct"]));
    }
    let by_url = pin_local(Path::new(&format!("file://{}", bare.display())), "main");
    assert_eq!(everything(&by_url).0.len(), expected.len());
}

#[test]
fn only_the_named_paths_are_read_each_file_once() {
    let repo = varied();
    let pinned = pin_local(repo.path(), "main");
    let under = ["manifests/team-1", "./manifests//team-1/1.yaml", "other"].map(str::to_owned);
    let (found, problems) = files(&pinned, &under);
    assert_eq!(problems, []);
    let expected: Vec<String> = oracle(repo.path(), "HEAD:manifests/team-1").into_keys().collect();
    assert_eq!(found.len(), expected.len() + 1);
    assert!(found.iter().all(|file| file.path.starts_with("manifests/team-1/") || file.path == "other/outside.yaml"));
}

#[test]
fn a_pinned_source_stays_at_its_commit() {
    let repo = varied();
    let pinned = pin_local(repo.path(), "main");
    let before = everything(&pinned);
    repo.git(&["rm", "-rq", "manifests"]);
    repo.commit("all gone");
    assert_eq!(everything(&pinned), before);
}

#[test]
fn links_submodules_pointers_and_giants_are_named() {
    let repo = Repo::new();
    repo.write("app/web.yaml", "a: 1\n");
    repo.write("app/big.yaml", "x".repeat(5000));
    repo.write("app/lfs.yaml", "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n");
    repo.write("docs/README", "text");
    symlink("../../../etc/passwd", repo.path().join("app/passwd.yaml")).unwrap();
    symlink("../docs", repo.path().join("app/linked")).unwrap();
    symlink("../docs/README", repo.path().join("app/README")).unwrap();
    repo.commit("first");
    let head = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["update-index", "--add", "--cacheinfo", &format!("160000,{head},app/vendor")]);
    repo.git(&["commit", "-qm", "submodule"]);

    let mut access = access(Path::new("/nonexistent"));
    access.limits = Limits { file_bytes: 4096, ..Limits::default() };
    let pinned = pin(&spec_of(repo.path(), "main"), &access).unwrap();
    let under = ["app", "app/linked/x", "app/vendor/deep", "gone", "docs/README", "/etc", "../x"].map(str::to_owned);
    let (found, problems) = files(&pinned, &under);
    assert_eq!(paths(&found), ["app/web.yaml"]);
    assert_eq!(
        codes(&problems),
        [
            ("path-unsafe", "../x"),
            ("path-unsafe", "/etc"),
            ("blob-too-large", "app/big.yaml"),
            ("lfs-pointer", "app/lfs.yaml"),
            ("symlink", "app/linked"),
            ("symlink", "app/linked/x"),
            ("symlink", "app/passwd.yaml"),
            ("submodule", "app/vendor"),
            ("submodule", "app/vendor/deep"),
            ("not-a-manifest", "docs/README"),
            ("path-not-found", "gone"),
        ]
    );
    assert!(problems.iter().all(|problem| problem.blinds));
    let missing = problems.iter().find(|problem| problem.code == "path-not-found").unwrap();
    assert!(missing.message.contains(pinned.commit.as_str()), "{}", missing.message);
}

#[test]
fn crafted_trees_are_refused_by_name() {
    let repo = Repo::new();
    repo.write("web.yaml", "a: 1\n");
    repo.commit("first");
    let blob = raw_id(&repo.git(&["rev-parse", "HEAD:web.yaml"]));
    let inner = raw_id(&repo.git(&["rev-parse", "HEAD^{tree}"]));
    let mut tree = Vec::new();
    for (mode, name, id) in [
        ("40000", &b".."[..], &inner),
        ("40000", b".GIT", &inner),
        ("100644", b"a\rb.yaml", &blob),
        ("100644", b"a/b.yaml", &blob),
        ("100644", b"good.yaml", &blob),
        ("100644", b"\xff.yaml", &blob),
    ] {
        tree.extend_from_slice(mode.as_bytes());
        tree.push(b' ');
        tree.extend_from_slice(name);
        tree.push(0);
        tree.extend_from_slice(id);
    }
    let tree = git_bytes(repo.path(), &["hash-object", "-t", "tree", "--literally", "-w", "--stdin"], &tree);
    let tree = String::from_utf8(tree).unwrap();
    let commit = repo.git(&["commit-tree", tree.trim(), "-m", "crafted"]);
    repo.git(&["update-ref", "refs/heads/crafted", &commit]);
    let (found, problems) = everything(&pin_local(repo.path(), "crafted"));
    assert_eq!(paths(&found), ["good.yaml"]);
    let names: Vec<&str> =
        codes(&problems).into_iter().map(|(code, file)| if code == "name-unsafe" { file } else { code }).collect();
    assert_eq!(names, ["..", ".GIT", "\\xff.yaml", "a/b.yaml", "a\\rb.yaml"]);
}

fn raw_id(hex: &str) -> Vec<u8> {
    (0..20).map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

#[test]
fn too_much_is_named_not_cut_off() {
    let repo = Repo::new();
    repo.write("a/b/c/d/deep.yaml", "a: 1\n");
    repo.write("a/one.yaml", "a: 1\n");
    repo.write("a/two.yaml", "a: 1\n");
    repo.commit("first");
    let with = |limits: Limits| {
        let mut access = access(Path::new("/nonexistent"));
        access.limits = limits;
        let (_, problems) = everything(&pin(&spec_of(repo.path(), "main"), &access).unwrap());
        problems.iter().map(|problem| problem.code).collect::<Vec<_>>()
    };
    assert_eq!(with(Limits::default()), [] as [&str; 0]);
    assert_eq!(with(Limits { depth: 2, ..Limits::default() }), ["too-deep"]);
    assert_eq!(with(Limits { entries: 3, ..Limits::default() }), ["too-many-files"]);
    assert_eq!(with(Limits { total_bytes: 7, ..Limits::default() }), ["source-too-large"]);
}

#[test]
fn references_mean_what_git_says() {
    let repo = varied();
    let first = repo.git(&["rev-parse", "HEAD"]);
    repo.git(&["tag", "-a", "v1.4.2", "-m", "release"]);
    repo.git(&["tag", "both"]);
    repo.git(&["update-ref", "refs/pull/7/head", &first]);
    let second = repo.commit("second");
    repo.git(&["branch", "both"]);
    for (reference, commit) in [
        ("main", &second),
        ("HEAD", &second),
        ("refs/heads/main", &second),
        ("v1.4.2", &first),
        ("refs/tags/both", &first),
        ("both", &second),
        ("refs/pull/7/head", &first),
    ] {
        assert_eq!(pin_local(repo.path(), reference).commit.as_str(), commit, "{reference}");
    }
    let error = fails(repo.path(), "mian");
    assert!(error.contains("has no branch or tag `mian`; did you mean `main`"), "{error}");
    assert!(fails(repo.path(), "-main").contains("not a valid branch"));
    let short = Revision::Commit(first[..9].to_owned());
    let mut by_commit = spec_of(repo.path(), "main");
    by_commit.revision = short;
    assert_eq!(pin(&by_commit, &access(Path::new("/nonexistent"))).unwrap().commit.as_str(), first);
    by_commit.revision = Revision::Commit("nothing".to_owned());
    let error = pin(&by_commit, &access(Path::new("/nonexistent"))).unwrap_err().to_string();
    assert!(error.contains("`nothing` names no commit here"), "{error}");
}

#[test]
fn nothing_to_read_is_an_error_with_advice() {
    let repo = Repo::new();
    for reference in ["main", "HEAD"] {
        let error = fails(repo.path(), reference);
        assert!(error.contains("has no commit yet"), "{error}");
    }
    let folder = tempfile::tempdir().unwrap();
    assert!(fails(folder.path(), "main").contains("is not inside a Git repository"));
    assert!(fails(&folder.path().join("gone"), "main").contains("does not exist"));
    git(folder.path(), &["init", "-q", "--bare", "empty.git"]);
    assert!(fails(&folder.path().join("empty.git"), "main").contains("has no commit yet"));
}

#[test]
fn a_damaged_object_is_an_error_never_an_empty_tree() {
    let repo = Repo::new();
    repo.write("a/web.yaml", "a: 1\n");
    repo.write("b/web.yaml", "b: 1\n");
    repo.commit("first");
    let loose = |name: &str| {
        let id = repo.git(&["rev-parse", name]);
        repo.path().join(".git/objects").join(&id[..2]).join(&id[2..])
    };
    let damage = |path: &Path, bytes: &[u8]| {
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    damage(&loose("HEAD:a/web.yaml"), b"no zlib stream");
    std::fs::remove_file(loose("HEAD:b")).unwrap();
    let (found, problems) = everything(&pin_local(repo.path(), "main"));
    assert_eq!(paths(&found), [] as [&str; 0]);
    assert_eq!(codes(&problems), [("unreadable-object", "a/web.yaml"), ("unreadable-object", "b")]);
    // an intact object under another one's name: only its digest tells
    let (intact, wrong) = (loose("HEAD^{tree}"), loose("HEAD:a"));
    let bytes = std::fs::read(wrong).unwrap();
    damage(&intact, &bytes);
    assert!(fails(repo.path(), "main").contains("missing or damaged"));
    std::fs::remove_file(&intact).unwrap();
    assert!(fails(repo.path(), "main").contains("missing or damaged"));
}

#[test]
fn a_rewritten_history_is_told_from_progress() {
    let repo = varied();
    let first = pin_local(repo.path(), "main");
    assert_eq!(moved(&first, &first.commit).unwrap(), Moved::Same);
    repo.commit("second");
    let second = pin_local(repo.path(), "main");
    assert_eq!(moved(&second, &first.commit).unwrap(), Moved::Forward);
    assert!(contains(&second, &first.commit).unwrap() && contains(&second, &second.commit).unwrap());
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    repo.commit("another second");
    let third = pin_local(repo.path(), "main");
    assert_eq!(moved(&third, &second.commit).unwrap(), Moved::Rewritten);
    assert!(!contains(&third, &second.commit).unwrap());
    repo.git(&["reset", "-q", "--hard", "HEAD~1"]);
    assert_eq!(moved(&pin_local(repo.path(), "main"), &third.commit).unwrap(), Moved::Rewritten);
    let unknown: CommitId = "0123456789012345678901234567890123456789".parse().unwrap();
    assert_eq!(moved(&third, &unknown).unwrap(), Moved::Rewritten);

    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", repo.path().display());
    repo.commit("on top");
    git(folder.path(), &["clone", "-q", "--depth", "1", &url, "shallow"]);
    let shallow = pin_local(&folder.path().join("shallow"), "main");
    assert!(moved(&shallow, &first.commit).unwrap_err().to_string().contains("is shallow"));
}

#[test]
fn the_work_tree_is_read_as_it_is_on_disk() {
    let repo = Repo::new();
    repo.write(".gitignore", "build/\n*.gen.yaml\n");
    repo.write("app/web.yaml", "a: 1\n");
    repo.write("app/kept.gen.yaml", "a: 1\n");
    repo.git(&["add", "-f", "app/kept.gen.yaml"]);
    repo.commit("first");
    let mut spec = spec_of(repo.path(), "main");
    spec.revision = Revision::WorkTree;
    let pin = || pin(&spec, &access(Path::new("/nonexistent"))).unwrap();
    let clean = pin();
    assert!(!clean.dirty);
    assert_eq!(everything(&clean), everything(&pin_local(repo.path(), "main")));

    repo.write("app/web.yaml", "a: 2\n");
    repo.write("app/new.yaml", "n: 1\n");
    repo.write("app/made.gen.yaml", "no\n");
    repo.write("build/out.yaml", "no\n");
    symlink("/etc/passwd", repo.path().join("app/passwd.yaml")).unwrap();
    git(repo.path(), &["init", "-q", "app/nested"]);
    let dirty = pin();
    assert!(dirty.dirty);
    let (found, problems) = everything(&dirty);
    assert_eq!(paths(&found), ["app/kept.gen.yaml", "app/new.yaml", "app/web.yaml"]);
    assert_eq!(found[2].bytes, b"a: 2\n");
    assert_eq!(found[2].blob, repo.git(&["hash-object", "app/web.yaml"]));
    assert_eq!(codes(&problems), [("submodule", "app/nested"), ("symlink", "app/passwd.yaml")]);
    assert!(read(&dirty, "app/passwd.yaml").is_err());
    assert_eq!(read(&dirty, "app/web.yaml").unwrap().unwrap(), b"a: 2\n");

    let outside = tempfile::tempdir().unwrap();
    spec.repo = repo.bare(outside.path(), "x.git").display().to_string();
    let error = trueup::source::pin(&spec, &access(Path::new("/nonexistent"))).unwrap_err().to_string();
    assert!(error.contains("has no work tree"), "{error}");
}

#[test]
fn policies_are_read_at_the_pinned_commit() {
    let repo = Repo::new();
    repo.write("policies/b.toml", "b = 1\n");
    repo.write("policies/a.toml", "a = 1\n");
    repo.write("policies/deep/c.toml", "c = 1\n");
    repo.write("policies/README.md", "text\n");
    repo.commit("first");
    let pinned = pin_local(repo.path(), "main");
    repo.write("policies/a.toml", "a = 2\n");
    repo.commit("second");
    assert_eq!(list_toml(&pinned, "policies").unwrap(), ["policies/a.toml", "policies/b.toml"]);
    assert_eq!(list_toml(&pinned, "gone").unwrap(), [] as [&str; 0]);
    assert_eq!(read(&pinned, "policies/a.toml").unwrap().unwrap(), b"a = 1\n");
    assert_eq!(read(&pinned, "policies/gone.toml").unwrap(), None);
    for path in ["../x", "/etc/passwd", "policies", "policies/.git/x"] {
        assert!(read(&pinned, path).is_err(), "{path}");
    }
    symlink("/etc/passwd", repo.path().join("policies/evil.toml")).unwrap();
    repo.commit("link");
    let linked = pin_local(repo.path(), "main");
    assert!(list_toml(&linked, "policies").unwrap_err().to_string().contains("symbolic link"));
    assert!(read(&linked, "policies/evil.toml").unwrap_err().to_string().contains("symbolic link"));
}

#[test]
fn a_clone_is_called_as_its_remote() {
    let repo = varied();
    let folder = repo.path().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(pin_local(repo.path(), "main").name, folder);
    repo.git(&["remote", "add", "origin", "git@github.com:acme/platform.git"]);
    assert_eq!(pin_local(repo.path(), "main").name, "acme/platform");
}
