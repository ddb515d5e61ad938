//! The end of the ledger, kept in the cluster: a ledger that was copied back from last week, or is gone, is seen.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::world::{Rights, World};

const DRIFT: &str = r#"{"data": {"a": "by hand"}}"#;

/// One `ConfigMap` in Git and live, and a configuration that keeps the ledger's end.
fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    let configuration = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
    world.repo.write("trueup.toml", format!("{configuration}head = \"{}/trueup-head\"\n", world.install.namespace()));
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one", "namespace": world.namespace}, "data": {"a": "1"}});
    world.repo.write("manifests/one.json", map.to_string());
    world.repo.commit("what we run");
    world.apply(&[]);
    Some(world)
}

fn drift(world: &World) {
    world.kubectl(&["patch", "configmap", "one", "--type=merge", "-p", DRIFT]);
}

fn ledger(world: &World) -> PathBuf {
    world.state_dir().join("ledger.sqlite")
}

fn value(world: &World) -> Value {
    world.live("configmap/one", "/data/a")
}

/// What the cluster keeps.
fn kept(world: &World) -> Vec<String> {
    let namespace = world.install.namespace();
    let found = world.install.administer(&["get", "configmap", "trueup-head", "-n", &namespace, "-o", "json"]);
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    let texts = found["data"].as_object().into_iter().flatten();
    texts.map(|(_, text)| text.as_str().unwrap().to_owned()).collect()
}

fn held(world: &World, why: &str) {
    let report = world.json(&["sync"], 1);
    let run = &report["runs"][0];
    assert_eq!(run["status"], "held", "{report:#}");
    assert!(run["reasons"].to_string().contains(why), "{report:#}");
    assert_eq!(value(world), "by hand");
}

#[test]
fn a_ledger_that_went_back_writes_nothing_until_a_person_accepts_it() {
    let Some(world) = world() else { return };
    drift(&world);
    assert_eq!(world.json(&["sync"], 0)["runs"][0]["status"], "settled");
    let head = world.trueup(&["audit", "head"]).stdout.trim().to_owned();
    assert_eq!(kept(&world), std::slice::from_ref(&head), "the end is kept");
    let last_week = std::fs::read(ledger(&world)).unwrap();

    drift(&world);
    assert_eq!(world.json(&["sync"], 0)["runs"][0]["status"], "settled");
    let end = kept(&world);
    assert!(end.len() == 1 && end[0] != head, "{end:?}");

    std::fs::write(ledger(&world), &last_week).unwrap();
    drift(&world);
    held(&world, "which was its end once, as ConfigMap");
    assert_eq!(kept(&world), end, "a ledger that went back says nothing of its end");
    let preview = world.json(&["sync", "--dry-run"], 1);
    assert!(preview["runs"].to_string().contains("which was its end once"), "{preview:#}");

    let resumed = world.trueup(&["resume", "--target", "monitoring", "--because", "the disk was lost"]);
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert_eq!(world.json(&["sync"], 0)["runs"][0]["status"], "settled");
    assert_eq!(kept(&world), [world.trueup(&["audit", "head"]).stdout.trim()], "and goes on from here");

    // Once more, to before the acceptance: that is another loss.
    std::fs::write(ledger(&world), &last_week).unwrap();
    drift(&world);
    held(&world, "which was its end once, as ConfigMap");
}

#[test]
fn what_is_kept_and_cannot_be_read_stops_writes_too() {
    let Some(world) = world() else { return };
    drift(&world);
    let namespace = world.install.namespace();
    world.install.administer(&["delete", "configmap", "trueup-head", "-n", &namespace]);
    held(&world, "whether the ledger went back cannot be told");
    world.install.administer(&["create", "configmap", "trueup-head", "-n", &namespace, "--from-literal=someone=nonsense"]);
    held(&world, "this is no head");
    world.install.administer(&["delete", "configmap", "trueup-head", "-n", &namespace]);
    world.install.administer(&["create", "configmap", "trueup-head", "-n", &namespace]);
    assert_eq!(world.json(&["sync"], 0)["runs"][0]["status"], "settled");
}
