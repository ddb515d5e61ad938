//! People are told once in an episode, and again in the next one.

use std::fs;
use std::path::Path;
use std::process::Command;

/// How the escalations of a `trueup sync` in the demo's world ended.
fn escalations(folder: &Path) -> Vec<String> {
    let output = trueup(folder).args(["sync", "-o", "json"]).output().expect("trueup starts");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("a report");
    let runs = report["runs"].as_array().expect("runs").iter().filter(|run| run["action"] == "escalate");
    runs.map(|run| run["status"].as_str().expect("a status").to_owned()).collect()
}

fn trueup(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
    command.current_dir(folder).env("TRUEUP_STATE_DIR", folder.join("../state")).env_remove("TRUEUP_CONFIG");
    command
}

#[test]
fn what_was_true_again_is_told_again() {
    let temporary = tempfile::tempdir().expect("a folder");
    let world = temporary.path().join("world");
    fs::create_dir(&world).expect("made");
    assert!(trueup(&world).args(["demo", "."]).output().expect("trueup starts").status.success());
    assert_eq!(escalations(&world), ["escalated before"], "the demo's own sync has told people");

    let policy = world.join("live/networkpolicy.yaml");
    let weak = fs::read_to_string(&policy).expect("the demo makes it");
    let strong = weak.replace("          app: db\n  - {}\n", "          app: db\n");
    assert_ne!(weak, strong);
    fs::write(&policy, strong).expect("written");
    assert!(escalations(&world).is_empty());

    fs::write(&policy, weak).expect("written");
    assert_eq!(escalations(&world), ["escalated"]);
    assert_eq!(escalations(&world), ["escalated before"]);
}
