//! The API server's audit log beside the ledger: every write has exactly one record, and every record of a write is one.

use std::collections::{BTreeMap, BTreeSet};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::proxy::{Fate, Moment, Proxy};
use crate::deploy::install::eventually;
use crate::world::{Rights, World, ended};

const NAMES: [&str; 7] = ["plain", "taken-back", "raced", "answer-lost", "killed-before", "killed-after", "refused"];

fn drift(world: &World, name: &str, value: &str) {
    let patch = json!({"data": {"level": value}}).to_string();
    world.kubectl(&["patch", "configmap", name, "--type=merge", "-p", &patch]);
}

fn level(world: &World, name: &str) -> Value {
    world.live(&format!("configmap/{name}"), "/data/level")
}

fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    for name in NAMES {
        let metadata = json!({"name": name, "namespace": world.namespace});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"level": "info"}});
        world.repo.write(&format!("manifests/{name}.json"), map.to_string());
    }
    world.repo.commit("what we run");
    world.apply(&[]);
    Some(world)
}

/// A round by a proxy that does something when the real write comes by; the states of its runs.
fn round(world: &World, hook: impl Fn(Moment) -> Fate + Send + Sync + 'static) -> Vec<String> {
    let proxy = Proxy::start(world, hook);
    let synced = ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]));
    let report = synced.json();
    report["runs"].as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap().to_owned()).collect()
}

/// kubectl as the administrator, from another thread.
fn kubectl(world: &World, words: &[&str]) -> impl Fn() -> bool + Send + Sync + use<> {
    let (program, namespace) = (world.kubectl_program().to_owned(), world.namespace.clone());
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    move || {
        let mut command = Command::new(&program);
        command.args(["--namespace", &namespace]).args(&words).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().success()
    }
}

/// A day's work: corrections, an undo, a conflict, a lost answer, two kills, a refusal.
fn work(world: &World) {
    drift(world, "plain", "debug");
    drift(world, "taken-back", "debug");
    let report = world.json(&["sync"], 0);
    let runs = report["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2, "{report:#}");
    let undone = world.trueup(&["undo", runs[1]["id"].as_str().unwrap()]);
    assert_eq!((undone.code, level(world, "taken-back")), (Some(0), json!("debug")), "{undone:?}");

    drift(world, "raced", "debug");
    let label = kubectl(world, &["label", "configmap/raced", "raced=yes", "--overwrite=false"]);
    // The second time there is nothing to label, and nothing is written.
    let statuses = round(world, move |moment| {
        if moment == Moment::Before {
            label();
        }
        Fate::Pass
    });
    assert_eq!(statuses, ["void", "settled", "held"]);
    world.kubectl(&["label", "configmap/raced", "raced-"]);

    drift(world, "answer-lost", "debug");
    let statuses = round(world, |moment| if moment == Moment::After { Fate::Cut } else { Fate::Pass });
    assert_eq!(statuses, ["settled", "held"]);

    drift(world, "killed-before", "debug");
    assert!(world.kill_at("correction: intended"));
    drift(world, "killed-before", "trace");
    world.json(&["sync"], 1);
    drift(world, "killed-after", "debug");
    assert!(world.kill_at("correction: sent"));
    world.json(&["sync"], 1);

    drift(world, "refused", "debug");
    let account = format!("--as=system:serviceaccount:{}:trueup", world.install.namespace());
    let take = kubectl(world, &["delete", "rolebinding", &world.install.named("trueup-correct")]);
    let may_patch = kubectl(world, &["auth", "can-i", "patch", "configmaps", &account]);
    let statuses = round(world, move |moment| {
        if moment == Moment::Before {
            take();
            while may_patch() {}
        }
        Fate::Pass
    });
    assert_eq!(statuses, ["refused", "held"]);
    let correct = include_str!("../../../manifests/example/correct.yaml");
    let file = world.repo.path().join(".git/correct.yaml");
    std::fs::write(&file, world.install.named(correct)).unwrap();
    world.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    let can_patch = ["auth", "can-i", "patch", "configmaps", "-n", &world.namespace];
    eventually(|| world.install.ask(&can_patch), |answer| answer.ok);
    world.json(&["sync"], 1);
}

#[test]
fn every_write_has_one_record_and_every_record_of_a_write_is_one() {
    let Some(world) = world() else { return };
    work(&world);
    for name in NAMES {
        let right = if name == "taken-back" { "debug" } else { "info" };
        assert_eq!(level(&world, name), right, "{name}");
    }
    world.records();
    let runs = world.json(&["runs"], 0);
    let runs: BTreeMap<&str, &Value> = runs.as_array().unwrap().iter().map(|run| (run["id"].as_str().unwrap(), run)).collect();
    each_run_has_one_intent_and_one_outcome(&world, &runs);
    let Some(patches) = world.patches() else { return };
    let mut written: BTreeMap<&str, &Value> = BTreeMap::new();
    for event in &patches {
        let (_, run) = event["userAgent"].as_str().unwrap().split_once(" run/").unwrap_or_else(|| panic!("{event:#}"));
        assert!(written.insert(run, event).is_none(), "run {run} wrote twice");
        let recorded = runs.get(run).unwrap_or_else(|| panic!("the ledger knows nothing of {event:#}"));
        // What the authorizer turns away is logged without its body.
        if let Some(body) = event.get("requestObject") {
            assert_eq!(body["data"], recorded["patch"]["data"], "{recorded:#}");
        }
        let status = recorded["status"].as_str().unwrap();
        let is_as_answered = match event["responseStatus"]["code"].as_u64().unwrap() {
            200 => ["applied", "settled"].contains(&status) || status.starts_with("undone"),
            409 => status.starts_with("void"),
            403 => status.starts_with("refused"),
            _ => false,
        };
        assert!(is_as_answered, "{status}: {event:#}");
    }
    let unwritten: Vec<&Value> = runs.iter().filter(|(id, _)| !written.contains_key(*id)).map(|(_, run)| *run).collect();
    // Killed between intent and write; somebody's edit since then hides that nothing went out, so it counts as a write.
    assert!(unwritten.iter().all(|run| run["status"].as_str().unwrap().starts_with("undetermined")), "{unwritten:#?}");
    assert_eq!(unwritten.len(), 1, "{unwritten:#?}");
    println!("{} runs in the ledger, {} writes in the audit log", runs.len(), patches.len());
    assert_eq!((runs.len(), patches.len()), (11, 10));
}

fn each_run_has_one_intent_and_one_outcome(world: &World, runs: &BTreeMap<&str, &Value>) {
    let records = world.json(&["audit", "query"], 0);
    let of = |kind: &str| -> Vec<&str> {
        let records = records.as_array().unwrap().iter().filter(|record| record["kind"] == kind);
        records.map(|record| record["run"].as_str().unwrap()).collect()
    };
    let ids: BTreeSet<&str> = runs.keys().copied().collect();
    for kind in ["intent", "outcome"] {
        let named = of(kind);
        let each: BTreeSet<&str> = named.iter().copied().collect();
        assert_eq!((named.len(), &each), (ids.len(), &ids), "{kind}: {records:#}");
    }
}
