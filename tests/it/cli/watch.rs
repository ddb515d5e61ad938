//! `diff --watch`: once for each burst of saves, once for each new commit, until told to stop.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::{SNAPSHOT, World, config_map, live_config_map};
use crate::git::git;

/// A watching program, and the last line of each report that it printed.
struct Watching {
    child: Child,
    reports: Receiver<String>,
}

impl Watching {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let mut child = world.command(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, reports) = channel();
        std::thread::spawn(move || {
            for line in lines.map(Result::unwrap).filter(|line| line.contains(" true · ")) {
                if sender.send(line.split_once(" true · ").unwrap().0.to_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, reports }
    }

    fn next(&self) -> String {
        self.reports.recv_timeout(Duration::from_secs(30)).unwrap()
    }

    fn nothing_more(&self) {
        if let Ok(report) = self.reports.recv_timeout(Duration::from_millis(800)) {
            panic!("one more report: {report}");
        }
    }

    fn stop(mut self) {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

const DRIFT: &str = "1 finding: 1 auto · 0 objects";
const TRUE: &str = "no findings · 1 object";

fn world() -> World {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world
}

#[test]
fn a_burst_of_saves_is_one_report() {
    let world = world();
    let watching = Watching::start(&world, &["diff", "--watch", "--work-tree"]);
    assert_eq!(watching.next(), DRIFT);
    for level in ["warn", "error", "debug"] {
        world.write("manifests/a.yaml", config_map("a", level));
        world.write("manifests/.a.yaml.swp", level);
    }
    assert_eq!(watching.next(), TRUE);
    watching.nothing_more();
    world.write("manifests/a.yaml~", "a: [");
    watching.nothing_more();
    world.write("live/a.yaml", live_config_map("a", "trace"));
    assert_eq!(watching.next(), DRIFT);
    watching.stop();
}

#[test]
fn a_new_commit_is_one_report_and_a_save_is_none() {
    let world = world();
    let watching = Watching::start(&world, &["diff", "--watch"]);
    assert_eq!(watching.next(), DRIFT);
    world.write("manifests/a.yaml", config_map("a", "debug"));
    watching.nothing_more();
    world.commit();
    assert_eq!(watching.next(), TRUE);
    watching.nothing_more();
    watching.stop();
}

#[test]
fn a_push_into_a_bare_repository_is_one_report() {
    let world = world();
    let folder = tempfile::tempdir().unwrap();
    let bare = world.repo.bare(folder.path(), "source.git");
    let config = SNAPSHOT.replace("repo = \".\"", &format!("repo = \"{}\"", bare.display()));
    world.write("elsewhere.toml", config);
    let watching = Watching::start(&world, &["diff", "--watch", "--config", "elsewhere.toml"]);
    assert_eq!(watching.next(), DRIFT);
    world.write("manifests/a.yaml", config_map("a", "debug"));
    world.commit();
    watching.nothing_more();
    world.repo.git(&["push", "-q", bare.to_str().unwrap(), "main"]);
    assert_eq!(watching.next(), TRUE);
    git(&bare, &["pack-refs", "--all"]);
    git(&bare, &["update-ref", "refs/heads/main", "main~1"]);
    let mut last = watching.next();
    while let Ok(report) = watching.reports.recv_timeout(Duration::from_millis(800)) {
        last = report;
    }
    assert_eq!(last, DRIFT, "packed or loose, the branch is what it is");
    watching.stop();
}

#[test]
fn a_mistake_is_told_and_the_watch_goes_on() {
    let world = world();
    let policy = world.read("policies/drift.toml");
    let watching = Watching::start(&world, &["diff", "--watch", "--work-tree"]);
    assert_eq!(watching.next(), DRIFT);
    world.write("policies/drift.toml", "[[class]]\nname = 3\n");
    watching.nothing_more();
    world.write("policies/drift.toml", policy);
    assert_eq!(watching.next(), DRIFT);
    watching.stop();
}

#[test]
fn a_remote_cannot_be_watched() {
    let world = World::small();
    world.write("trueup.toml", world.read("trueup.toml").replace("repo = \".\"", "repo = \"https://git.example/shop.git\""));
    let ran = world.run(&["diff", "--watch"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (2, ""));
    assert!(ran.stderr.starts_with("error: --watch needs a local repository, and `https://git.example/shop.git` is none"), "{}", ran.stderr);
}
