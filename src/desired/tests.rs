//! What is read once is not read again, and what was kept wrong is read all the same.

use std::path::Path;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;

use super::*;
use crate::config::ManifestPath;
use crate::source::credentials::Credentials;
use crate::source::{Access, Revision, SourceSpec, pin};
use crate::state::StateEnvironment;

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn of(files: usize) -> Self {
        let world = Self { folder: tempfile::tempdir().expect("a folder") };
        world.git(&["init", "-q", "-b", "main"]);
        std::fs::create_dir(world.folder.path().join("m")).expect("made");
        for number in 0..files {
            world.declare(number, "first");
        }
        world.commit();
        world
    }

    fn git(&self, arguments: &[&str]) {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let run = Command::new("git").arg("-C").arg(self.folder.path()).args(identity).args(arguments).status();
        assert!(run.expect("git runs").success(), "{arguments:?}");
    }

    fn declare(&self, number: usize, value: &str) {
        let text = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c{number}}}\ndata: {{k: {value}}}\nx: [0.1, 1e400, {number}]\n"
        );
        std::fs::write(self.folder.path().join(format!("m/{number}.yaml")), text.replace(", 1e400", "")).expect("written");
    }

    fn commit(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "next"]);
    }

    fn state(&self) -> StateFolder {
        let path = self.folder.path().join(".git/state");
        let environment = StateEnvironment { state_dir: Some(path.as_os_str()), ..StateEnvironment::default() };
        let state = StateFolder::resolve(environment, Path::new("/")).expect("a place");
        state.create().expect("made");
        state
    }

    fn readings(&self, lasting: Lasting) -> Readings {
        Readings::of(&self.state(), RenderSettings::default(), lasting)
    }

    /// What is declared now, and how many files were parsed for it.
    fn read(&self, readings: &Readings) -> (Vec<Shared<Desired>>, usize) {
        let (declared, parsed) = self.declared(readings);
        assert_eq!(declared.problems.iter().find(|problem| problem.blinds), None);
        (declared.objects, parsed)
    }

    fn declared(&self, readings: &Readings) -> (Declared, usize) {
        let spec = SourceSpec {
            repo: self.folder.path().display().to_string(),
            reference: "main".to_owned(),
            revision: Revision::Reference,
        };
        let access = Access::new(self.folder.path().join("cache"), Credentials::default()).expect("access");
        let pinned = pin(&spec, &access).expect("pinned");
        read_or_recall(readings, &pinned, &[ManifestPath { path: "m".to_owned(), rendering: None }])
    }
}

#[test]
fn a_commit_of_one_file_parses_one_file() {
    let world = World::of(200);
    let lasting = world.readings(Lasting::Rounds);
    let (first, parsed) = world.read(&lasting);
    assert_eq!((first.len(), parsed), (200, 200));
    let again = world.read(&lasting).0;
    assert!(first.iter().zip(&again).all(|(a, b)| a.is_same(b)), "nothing has changed, and nothing is copied");
    world.declare(7, "second");
    world.commit();
    let (second, parsed) = world.read(&lasting);
    assert_eq!(parsed, 1);
    assert_eq!(first.iter().zip(&second).filter(|(a, b)| !a.is_same(b)).count(), 1, "the others are shared");
    let changed: Vec<_> = first.iter().zip(&second).filter(|(a, b)| a != b).map(|(_, b)| &b.value["data"]["k"]).collect();
    assert_eq!(changed, ["second"]);
    assert_eq!(world.read(&world.readings(Lasting::OneRound)), (second.clone(), 0), "another process parses nothing");
    world.git(&["mv", "m/7.yaml", "m/0.yml"]);
    world.commit();
    let (moved, parsed) = world.read(&world.readings(Lasting::OneRound));
    assert_eq!((parsed, moved[0].origin.file.as_str()), (0, "m/0.yaml"));
    assert!(moved.iter().any(|object| object.origin.file == "m/0.yml" && object.id.name == "c7"));
}

#[test]
fn what_was_kept_wrong_is_read_again() {
    let world = World::of(3);
    let one_round = || world.readings(Lasting::OneRound);
    let (first, _) = world.read(&one_round());
    let file = world.state().path().join("cache/manifests");
    let whole = std::fs::read_to_string(&file).expect("kept");
    let torn = &whole[..whole.len() - 10];
    let other = whole.replacen("v1 ", "v1 0", 1);
    let forged = whole.replace("first", "third");
    for (text, parsed) in [(torn, 1), (other.as_str(), 3), (forged.as_str(), 3), ("", 3), (whole.as_str(), 0)] {
        std::fs::write(&file, text).expect("written");
        assert_eq!(world.read(&one_round()), (first.clone(), parsed), "{text}");
        assert_eq!(world.read(&one_round()), (first.clone(), 0), "mended after {text}");
    }
    std::fs::remove_file(&file).expect("removed");
    std::fs::create_dir(&file).expect("made");
    assert_eq!(world.read(&one_round()), (first, 3), "a file that cannot be written is no harm");
}

#[test]
fn files_with_problems_and_secrets_are_read_each_time() {
    let world = World::of(1);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: hunter2}\n";
    std::fs::write(world.folder.path().join("m/secret.yaml"), secret).expect("written");
    world.commit();
    assert_eq!(world.read(&world.readings(Lasting::OneRound)).1, 2);
    assert_eq!(world.read(&world.readings(Lasting::OneRound)).1, 1);
    let kept = std::fs::read_to_string(world.state().path().join("cache/manifests")).expect("kept");
    assert!(kept.contains("ConfigMap") && !kept.contains("hunter2"));
}

/// One change of a commit: which file, and what becomes of it.
#[derive(Debug, Clone)]
enum Change {
    Write(usize, usize),
    Delete(usize),
    Rename(usize, usize),
    Executable(usize),
    Link(usize, usize),
    Submodule(usize),
    Elsewhere,
}

const FILES: [&str; 7] = ["m/a.yaml", "m/b.yml", "m/deep/a.yaml", "m/deep/er/c.json", "m/deep/er/d.yaml", "m/no.txt", "m/e.yaml"];

const CONTENTS: [&str; 8] = [
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {k: a}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two, namespace: n}\ndata: {k: b}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n}\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: three}\nunknown: field\n",
    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: four, annotations: {trueup.dev/ignore: \"spec[,\"}}\n",
    "apiVersion: v1\nkind: Secret\nmetadata: {name: five}\nstringData: {k: hunter2}\n",
    "apiVersion: v1\nkind: [broken\n",
    "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "",
];

const LINKS: [&str; 4] = ["a.yaml", "../m/no.txt", "/etc/passwd", "deep"];

fn changes() -> impl Strategy<Value = Vec<Vec<Change>>> {
    let file = || 0..FILES.len();
    let change = prop_oneof![
        6 => (file(), 0..CONTENTS.len()).prop_map(|(file, content)| Change::Write(file, content)),
        2 => file().prop_map(Change::Delete),
        2 => (file(), file()).prop_map(|(from, to)| Change::Rename(from, to)),
        1 => file().prop_map(Change::Executable),
        2 => (file(), 0..LINKS.len()).prop_map(|(file, link)| Change::Link(file, link)),
        1 => file().prop_map(Change::Submodule),
        1 => Just(Change::Elsewhere),
    ];
    prop::collection::vec(prop::collection::vec(change, 0..3), 2..7)
}

impl World {
    fn change(&self, number: usize, changes: &[Change]) {
        let at = |file: &usize| self.folder.path().join(FILES[*file]);
        let mut submodules = Vec::new();
        for change in changes {
            match change {
                Change::Write(file, content) => {
                    // What is written into a link would be written to where it leads.
                    drop(std::fs::remove_file(at(file)));
                    std::fs::write(at(file), CONTENTS[*content]).expect("written");
                }
                Change::Delete(file) => drop(std::fs::remove_file(at(file))),
                Change::Rename(from, to) => drop(std::fs::rename(at(from), at(to))),
                Change::Executable(file) => {
                    if at(file).is_file() {
                        use std::os::unix::fs::PermissionsExt;
                        drop(std::fs::set_permissions(at(file), std::fs::Permissions::from_mode(0o755)));
                    }
                }
                Change::Link(file, link) => {
                    drop(std::fs::remove_file(at(file)));
                    std::os::unix::fs::symlink(LINKS[*link], at(file)).expect("a link");
                }
                Change::Submodule(file) => submodules.push(FILES[*file]),
                Change::Elsewhere => std::fs::write(self.folder.path().join("README"), number.to_string()).expect("written"),
            }
        }
        self.git(&["add", "-A"]);
        for path in submodules {
            let entry = format!("160000,1111111111111111111111111111111111111111,{path}");
            self.git(&["update-index", "--add", "--replace", "--cacheinfo", &entry]);
        }
        self.git(&["commit", "-q", "--allow-empty", "-m", "next"]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn what_is_read_with_memory_is_what_is_read_without(history in changes()) {
        let world = World::of(2);
        std::fs::create_dir_all(world.folder.path().join("m/deep/er")).expect("made");
        let lasting = world.readings(Lasting::Rounds);
        for (number, changes) in history.iter().enumerate() {
            std::fs::create_dir_all(world.folder.path().join("m/deep/er")).expect("made");
            world.change(number, changes);
            let (remembered, _) = world.declared(&lasting);
            drop(std::fs::remove_file(world.state().path().join("cache/manifests")));
            let (anew, _) = world.declared(&world.readings(Lasting::OneRound));
            if (&remembered.objects, &remembered.problems) != (&anew.objects, &anew.problems) {
                let what = format!("after commit {number} {changes:?}\nremembered {remembered:#?}\nread anew {anew:#?}");
                return Err(TestCaseError::fail(what));
            }
        }
    }
}
