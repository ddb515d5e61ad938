//! Whom the API server takes a person for is what the ledger says.

use serde_json::json;

use crate::world::{Rights, World};

#[test]
fn who_decides_is_whom_the_api_server_names() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.declare(&["grafana-dashboardSources.yaml"]);
    let account = format!("system:serviceaccount:{}:trueup", world.install.namespace());
    let told = world.json(&["hold", "--target", "monitoring", "--because", "a person looks"], 0);
    assert_eq!(told[0]["by"], json!({"name": account, "known_by": "api-server"}), "{told:#}");
    let told = world.json(&["resume", "--target", "monitoring", "--because", "looked"], 0);
    assert_eq!(told[0]["by"]["name"], account.as_str());

    // Nobody is home: everything can be stopped all the same, and the record says what is not certain; nothing goes on so.
    let nowhere = world.kubeconfig_of("https://127.0.0.1:1");
    let run = |arguments: &[&str]| crate::world::ended(world.command_by(&nowhere, arguments));
    let held = run(&["hold", "--because", "the server is gone", "-o", "json"]);
    assert_eq!((held.code, &held.json()[0]["by"]["known_by"]), (Some(0), &json!("operating-system")), "{held:?}");
    world.json(&["resume", "--because", "it is back"], 0);
    world.json(&["hold", "--target", "monitoring", "--because", "once more"], 0);
    let refused = run(&["resume", "--target", "monitoring", "--because", "x"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("who you are is not known"), "{refused:?}");
}

#[test]
fn an_approval_is_written_once_on_a_cluster_too() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let policy = "[[class]]\nname = \"all\"\nlane = \"auto\"\nstage = \"observe\"\n";
    world.repo.write("policies/drift.toml", policy);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": world.namespace}, "data": {"level": "info"}});
    world.repo.write("manifests/a.json", map.to_string());
    world.repo.commit("one value");
    world.apply(&[]);
    world.kubectl(&["patch", "configmap", "a", "--type", "merge", "-p", r#"{"data": {"level": "debug"}}"#]);
    world.json(&["sync"], 1);
    assert_eq!(world.live("configmap/a", "/data/level"), "debug", "stage observe");
    let report = world.json(&["diff"], 1);
    let id = report["findings"][0]["id"].as_str().unwrap_or_else(|| panic!("{report:#}"));
    world.json(&["lease", "grant", id, "--until", "1h", "--because", "a load test"], 0);
    world.json(&["diff"], 0);
    world.json(&["lease", "end", id, "--because", "it is over"], 0);
    let told = world.json(&["approve", id, "--because", "it was meant so"], 0);
    assert_eq!(told[0]["by"]["known_by"], "api-server", "{told:#}");
    let report = world.json(&["sync"], 0);
    assert_eq!(world.live("configmap/a", "/data/level"), "info", "{report:#}");
    assert_eq!(report["runs"][0]["status"], "settled", "{report:#}");
    world.kubectl(&["patch", "configmap", "a", "--type", "merge", "-p", r#"{"data": {"level": "debug"}}"#]);
    world.json(&["sync"], 1);
    assert_eq!(world.live("configmap/a", "/data/level"), "debug", "an approval is for one write");
}
