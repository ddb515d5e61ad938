//! Ctrl-C: what is in hand ends and is recorded, nothing further is begun, the ledger holds.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{World, config_map, live_config_map};

fn start(world: &World, arguments: &[&str]) -> Child {
    world.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn interrupt(child: &Child) {
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !condition() {
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn while_it_looks() {
    let world = World::small();
    // A backend that takes the request and never answers.
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let state = format!("state = \"http://{}/state\"", backend.local_addr().unwrap());
    world.write("trueup.toml", world.read("trueup.toml").replace("state = \"infra/terraform.tfstate\"", &state));
    let child = start(&world, &["sync"]);
    let (_held, _) = backend.accept().unwrap();
    let begun = Instant::now();
    interrupt(&child);
    let ran = world.ran(&child.wait_with_output().unwrap());
    ran.failed(3, "error: stopped before anything was judged");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert_eq!(world.run(&["audit", "verify"]).stdout, "whole: 0 records\n");
}

#[test]
fn while_it_writes() {
    const OBJECTS: usize = 150;
    let name = |number: usize| format!("settings-{number:03}");
    let manifests: String = (0..OBJECTS).map(|number| config_map(&name(number), "info")).collect::<Vec<_>>().join("---\n");
    let world = World::of(&[("manifests/all.yaml", &manifests)]);
    for number in 0..OBJECTS {
        world.write(&format!("live/{}.yaml", name(number)), live_config_map(&name(number), "debug"));
    }
    let corrected = || (0..OBJECTS).filter(|number| world.read(&format!("live/{}.yaml", name(*number))).contains("level: info")).count();
    let child = start(&world, &["sync"]);
    wait_until("a first correction", || world.read(&format!("live/{}.yaml", name(0))).contains("level: info"));
    interrupt(&child);
    let ran = world.ran(&child.wait_with_output().unwrap());
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.stderr.starts_with("error: stopped after ") && ran.stderr.ends_with(" effects, all recorded\n"), "{ran:?}");
    let audit = world.run(&["audit", "verify"]);
    assert!(audit.code == 0 && audit.stdout.starts_with("whole: "), "{audit:?}");
    let runs = world.run(&["runs"]).stdout;
    assert!(runs.lines().all(|line| line.contains("  settled  ")), "{runs}");
    assert!((1..OBJECTS).contains(&corrected()) && runs.lines().count() == corrected(), "{} of {}", runs.lines().count(), corrected());
    assert_eq!(world.run(&["sync"]).code, 0, "the next round does the rest");
    assert_eq!(corrected(), OBJECTS);
}
