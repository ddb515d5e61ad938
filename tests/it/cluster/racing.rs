//! Somebody who writes the same object at the same moment: what was decided is void, and the object is read and decided about
//! from scratch; no patch is sent a second time under a later version.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::proxy::{Fate, Moment, Proxy};
use crate::world::{Rights, World, ended};

/// Ports of Services are put right, and what `ConfigMap`s hold where a person says so.
const POLICY: &str = r#"
[[class]]
name = "ports"
match = { kind = "Service", path = "spec.ports[*].targetPort" }
lane = "auto"
stage = "auto"

[[case]]
name = "a port by hand"
object = { apiVersion = "v1", kind = "Service", namespace = "shop", name = "web" }
path = "spec.ports[name=http].targetPort"
desired = 8080
live = 9999
class = "ports"
lane = "auto"
stage = "auto"
decision = "correct"

[[class]]
name = "settings"
match = { kind = "ConfigMap", path = "data.*" }
lane = "auto"
stage = "observe"
"#;

const SETTINGS: &str = "configmap/settings";
const DRIFT: &str = r#"{"data": {"level": "debug"}}"#;

/// A Service and a `ConfigMap` as Git declares them.
fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.repo.write("policies/drift.toml", POLICY);
    let of = |name: &str| json!({"name": name, "namespace": world.namespace});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": of("web"), "spec": {"selector": {"app": "web"},
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}]}});
    let settings = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": of("settings"), "data": {"level": "info"}});
    world.repo.write("manifests/web.json", service.to_string());
    world.repo.write("manifests/settings.json", settings.to_string());
    world.repo.commit("what we run");
    world.apply(&[]);
    Some(world)
}

/// A proxy that lets somebody write before each of the first writes; the words may name the write's number as `{n}`.
fn racing(world: &World, times: usize, words: &[&str]) -> Proxy {
    let (kubectl, namespace) = (world.kubectl_program().to_owned(), world.namespace.clone());
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let writes = AtomicUsize::new(0);
    Proxy::start(world, move |moment| {
        if moment == Moment::After {
            return Fate::Pass;
        }
        let number = writes.fetch_add(1, Ordering::SeqCst) + 1;
        if number <= times {
            let words = words.iter().map(|word| word.replace("{n}", &number.to_string()));
            let mut other = Command::new(&kubectl);
            other.args(["--namespace", &namespace]).args(words).stdout(Stdio::null());
            assert!(other.status().unwrap().success());
        }
        Fate::Pass
    })
}

/// The runs of a round by this proxy, and their states.
fn sync_by(world: &World, proxy: &Proxy) -> (Vec<Value>, Vec<String>) {
    let synced = ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]));
    assert!(matches!(synced.code, Some(0 | 1)), "{synced:?}");
    let runs = synced.json()["runs"].as_array().unwrap().clone();
    let statuses = runs.iter().map(|run| run["status"].as_str().unwrap().to_owned()).collect();
    (runs, statuses)
}

/// Somebody leads the Service's first port elsewhere.
fn edit_port(world: &World) {
    let edit = r#"[{"op": "replace", "path": "/spec/ports/0/targetPort", "value": 9999}]"#;
    world.kubectl(&["patch", "service/web", "--type=json", "-p", edit]);
}

#[test]
fn a_list_that_grew_meanwhile_is_patched_as_it_is_by_then() {
    let Some(world) = world() else { return };
    edit_port(&world);
    let mesh = json!([{"op": "add", "path": "/spec/ports/-", "value": {"name": "mesh", "port": 15090, "protocol": "TCP", "targetPort": 15090}}]);
    let proxy = racing(&world, 1, &["patch", "service/web", "--type=json", "-p", &mesh.to_string()]);
    let (runs, statuses) = sync_by(&world, &proxy);
    assert_eq!(statuses, ["void", "settled"], "{runs:#?}");
    let ports = |patch: &Value| -> Vec<Value> {
        let ports = patch["spec"]["ports"].as_array().unwrap_or_else(|| panic!("{patch:#}"));
        ports.iter().map(|port| json!([port["name"], port["targetPort"]])).collect()
    };
    let (alone, both) = (json!([["http", 8080]]), json!([["http", 8080], ["mesh", 15090]]));
    assert_eq!(json!([ports(&runs[0]["patch"]), ports(&runs[1]["patch"])]), json!([alone, both]), "{runs:#?}");
    let live = json!({"spec": {"ports": world.live("service/web", "/spec/ports")}});
    assert_eq!(json!(ports(&live)), both);
    for run in &runs {
        // Each by a decision of its own, which is on record.
        world.json(&["replay", run["id"].as_str().unwrap()], 0);
    }
    world.records();
    let Some(patches) = world.patches() else { return };
    assert_eq!(world.patch_codes().unwrap(), [409, 200]);
    let version = |event: &Value| event["requestObject"]["metadata"]["resourceVersion"].clone();
    assert_ne!(version(&patches[0]), version(&patches[1]));
    assert_eq!(json!([ports(&patches[0]["requestObject"]), ports(&patches[1]["requestObject"])]), json!([alone, both]));
}

#[test]
fn an_object_that_is_written_all_the_time_waits_for_the_next_round() {
    let Some(world) = world() else { return };
    edit_port(&world);
    let proxy = racing(&world, usize::MAX, &["annotate", "service/web", "--overwrite", "written={n}"]);
    let (runs, statuses) = sync_by(&world, &proxy);
    assert_eq!(statuses, ["void", "void", "void"], "{runs:#?}");
    assert_eq!(world.live("service/web", "/spec/ports/0/targetPort"), 9999);
    assert_eq!(world.live("service/web", "/metadata/annotations/written"), "3", "what somebody writes stays");
    let next = world.json(&["sync"], 1);
    assert!(next["runs"].to_string().contains("settled"), "{next:#}");
    assert_eq!(world.live("service/web", "/spec/ports/0/targetPort"), 8080);
    assert!(world.patch_codes().is_none_or(|codes| codes == [409, 409, 409, 200]), "{:?}", world.patch_codes());
}

#[test]
fn an_approval_outlasts_a_conflict_and_counts_once() {
    let Some(world) = world() else { return };
    let level = || world.live(SETTINGS, "/data/level");
    let drift = || world.kubectl(&["patch", SETTINGS, "--type=merge", "-p", DRIFT]);
    drift();
    let report = world.json(&["diff"], 1);
    let id = report["findings"][0]["id"].as_str().unwrap_or_else(|| panic!("{report:#}")).to_owned();
    world.json(&["approve", &id, "--because", "it was meant so"], 0);
    let proxy = racing(&world, 1, &["label", SETTINGS, "raced=yes"]);
    let (runs, statuses) = sync_by(&world, &proxy);
    assert_eq!(statuses, ["void", "settled"], "{runs:#?}");
    assert!(runs.iter().all(|run| run["reasons"].to_string().contains("it was meant so")), "{runs:#?}");
    assert_eq!((level(), world.live(SETTINGS, "/metadata/labels/raced")), (json!("info"), json!("yes")));
    drift();
    let next = world.json(&["sync"], 1);
    assert_eq!(level(), "debug", "it was for one write: {next:#}");
    assert!(world.patch_codes().is_none_or(|codes| codes == [409, 200]), "{:?}", world.patch_codes());
    world.records();
}
