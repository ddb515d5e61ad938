//! What is going away is left alone: nothing is written to it, and nothing is made again in its place.

use std::time::Duration;

use serde_json::json;

use crate::world::{Rights, World, is_dry_run, within};

#[test]
fn what_is_in_a_namespace_that_goes_is_left_alone() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let map = |name: &str, finalizers: &[&str]| {
        let metadata = json!({"name": name, "namespace": world.namespace, "finalizers": finalizers});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"level": "info"}}).to_string()
    };
    world.repo.write("manifests/kept.json", map("kept", &["example.com/wait"]));
    world.repo.write("manifests/plain.json", map("plain", &[]));
    world.repo.commit("what we run");
    world.apply(&[]);
    for name in ["kept", "plain"] {
        world.kubectl(&["patch", "configmap", name, "--type=merge", "-p", r#"{"data": {"level": "debug"}}"#]);
    }
    world.kubectl(&["delete", "namespace", &world.namespace, "--wait=false"]);
    let left = || world.kubectl(&["get", "configmaps", "-o", "jsonpath={.items[?(@.data.level)].metadata.name}"]);
    within(Duration::from_mins(2), left, |names| names == "kept");
    let synced = world.json(&["sync"], 1);
    let run_of = |name: &str| {
        let finding = synced["findings"].as_array().unwrap().iter().find(|finding| finding["object"]["name"] == name);
        let id = &finding.unwrap_or_else(|| panic!("{synced:#}"))["id"];
        synced["runs"].as_array().unwrap().iter().find(|run| run["finding"][0] == *id).unwrap_or_else(|| panic!("{synced:#}"))
    };
    assert!(run_of("kept")["reasons"].to_string().contains("being deleted since"), "{synced:#}");
    assert!(run_of("plain")["reasons"].to_string().contains("trueup creates and deletes nothing"), "{synced:#}");
    assert_eq!(world.live("configmap/kept", "/data/level"), "debug");
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(is_dry_run), "{writes:#?}");
    }
    world.kubectl(&["patch", "configmap/kept", "--type=merge", "-p", r#"{"metadata": {"finalizers": null}}"#]);
}
