//! What is read once is not read again, and what was kept wrong is read all the same.

use std::path::Path;
use std::process::Command;

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
    fn read(&self, readings: &Readings) -> (Vec<Desired>, usize) {
        let spec = SourceSpec {
            repo: self.folder.path().display().to_string(),
            reference: "main".to_owned(),
            revision: Revision::Reference,
        };
        let access = Access::new(self.folder.path().join("cache"), Credentials::default()).expect("access");
        let pinned = pin(&spec, &access).expect("pinned");
        let declared = read(readings, &pinned, &[ManifestPath { path: "m".to_owned(), rendering: None }]);
        assert_eq!(declared.problems, []);
        (declared.objects, readings.kept.lock().expect("unpoisoned").parsed)
    }
}

#[test]
fn a_commit_of_one_file_parses_one_file() {
    let world = World::of(200);
    let lasting = world.readings(Lasting::Rounds);
    let (first, parsed) = world.read(&lasting);
    assert_eq!((first.len(), parsed), (200, 200));
    assert_eq!(world.read(&lasting), (first.clone(), 0), "nothing has changed");
    world.declare(7, "second");
    world.commit();
    let (second, parsed) = world.read(&lasting);
    assert_eq!(parsed, 1);
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
