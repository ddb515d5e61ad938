//! Others that write, too: webhooks, people, and what only a large or an invalid object shows.

use std::time::Duration;

use serde_json::{Value, json};

use crate::deploy::install::{EXAMPLE, eventually};
use crate::world::{Rights, World, is_dry_run, within};

const CONFIG: &str = "configmap/blackbox-exporter-configuration";

fn edit(world: &World, value: &str) {
    world.kubectl(&["patch", CONFIG, "-p", &json!({"data": {"config.yml": value}}).to_string()]);
}

fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.declare(&["blackboxExporter-configuration.yaml"]);
    Some(world)
}

/// A policy that puts its own value there at each update for which the condition holds; its name.
fn rewrite(world: &mut World, condition: &str) -> String {
    let name = format!("rewrite-{EXAMPLE}");
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]});
    let expression = r#"[JSONPatch{op: "replace", path: "/data/config.yml", value: "by admission"}]"#;
    world.install.apply_text(
        &json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
                "matchConstraints": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": EXAMPLE}}, "resourceRules": [rule]},
                "matchConditions": [{"name": "ours", "expression": condition}],
                "reinvocationPolicy": "Never", "failurePolicy": "Fail",
                "mutations": [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}]}},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
                "spec": {"policyName": name}}]})
        .to_string(),
    );
    world.install.named(&name)
}

#[test]
fn what_a_webhook_rewrites_at_each_update_is_not_fought() {
    let Some(mut world) = world() else { return };
    let policy = rewrite(&mut world, "object.metadata.name.startsWith('blackbox')");
    let label = [
        "patch",
        CONFIG,
        "-n",
        &world.namespace,
        "--dry-run=server",
        "-o",
        "yaml",
        "-p",
        r#"{"metadata": {"labels": {"a": "b"}}}"#,
    ];
    eventually(|| world.install.administer(&label), |answer| answer.stdout.contains("by admission"));
    edit(&world, "by hand");
    assert_eq!(world.live(CONFIG, "/data/config.yml"), "by admission");
    let version = world.live(CONFIG, "/metadata/resourceVersion");
    let synced = world.json(&["sync"], 1);
    let [patch, proposal] = &synced["runs"].as_array().unwrap()[..] else { panic!("{synced:#}") };
    assert_eq!((&patch["action"], &patch["status"]), (&json!("patch"), &json!("inadmissible")), "{patch:#}");
    assert_eq!((&proposal["action"], &proposal["status"]), (&json!("pull-request"), &json!("opened")), "{proposal:#}");
    let told = |run: &Value| run["reasons"].to_string().contains("a mutating webhook or policy");
    assert!(told(patch) && told(proposal), "{synced:#}");
    assert!(patch["reasons"].to_string().contains(&format!("`{policy}`")), "{patch:#}");
    let explained = world.trueup(&["explain", "ConfigMap/blackbox-exporter-configuration"]);
    assert!(explained.stdout.contains("may rewrite each write to it: `"), "{explained:?}");
    assert_eq!(world.live(CONFIG, "/metadata/resourceVersion"), version);
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(is_dry_run), "{writes:#?}");
    }
}

#[test]
fn a_fight_ends_after_three_writes_and_names_the_opponent() {
    let Some(world) = world() else { return };
    for round in 1..=3 {
        edit(&world, "by hand");
        let synced = world.json(&["sync"], 0);
        assert_eq!(synced["runs"][0]["status"], "settled", "write {round}: {synced:#}");
    }
    edit(&world, "by hand");
    let synced = world.json(&["sync"], 1);
    let runs = synced["runs"].to_string();
    assert!(runs.contains("written 3 times within the window") && runs.contains("last by kubectl-patch"), "{synced:#}");
    assert_eq!(world.live(CONFIG, "/data/config.yml"), "by hand");
    assert!(world.patch_codes().is_none_or(|codes| codes == [200, 200, 200]), "{:?}", world.patch_codes());
}

/// A dry run does not show it: only what was really written comes back as another value.
#[test]
fn a_policy_that_rewrites_what_is_really_written_is_fought_three_times_and_no_more() {
    let Some(mut world) = world() else { return };
    let policy = rewrite(&mut world, "object.metadata.name.startsWith('blackbox') && !(has(request.dryRun) && request.dryRun)");
    within(
        Duration::from_secs(30),
        || (edit(&world, "by hand"), world.live(CONFIG, "/data/config.yml")).1,
        |live| *live == "by admission",
    );
    for round in 1..=3 {
        let synced = world.json(&["sync"], 1);
        assert_eq!(synced["runs"][0]["status"], "drifting", "write {round}: {synced:#}");
    }
    for _ in 0..3 {
        let synced = world.json(&["sync"], 1);
        let runs = synced["runs"].to_string();
        assert!(runs.contains("written 3 times within the window and admission"), "{synced:#}");
    }
    let explained = world.trueup(&["explain", "ConfigMap/blackbox-exporter-configuration"]);
    assert!(explained.stdout.contains(&format!("`{policy}`")), "{explained:?}");
    assert_eq!(world.live(CONFIG, "/data/config.yml"), "by admission");
    assert!(world.patch_codes().is_none_or(|codes| codes == [200, 200, 200]), "{:?}", world.patch_codes());
}

#[test]
fn what_is_invalid_is_not_taken_for_something_to_recreate() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let config = |data: &Value| {
        let metadata = json!({"name": "settings", "namespace": world.namespace});
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).to_string()
    };
    world.repo.write("manifests/settings.yaml", config(&json!({"a": "1"})));
    world.repo.commit("what we run");
    world.apply(&[]);
    world.repo.write("manifests/settings.yaml", config(&json!({"a": "1", "bad key": "1"})));
    world.repo.commit("what no server takes");
    let synced = world.json(&["sync"], 1);
    let text = synced.to_string();
    assert_eq!(synced["findings"][0]["path"], r#"data["bad key"]"#, "{synced:#}");
    assert!(text.contains("a valid config key must consist of"), "{synced:#}");
    assert!(!text.contains("recreat") && !text.contains("created anew") && !text.contains("immutable"), "{synced:#}");
    assert!(world.writes().is_none_or(|writes| writes.iter().all(is_dry_run)));
}

#[test]
fn an_object_of_700_kb_without_owners_is_judged_and_put_right() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let data: serde_json::Map<String, Value> =
        (0..700).map(|number| (format!("key-{number}"), Value::from(format!("{number:04}").repeat(256)))).collect();
    let metadata = json!({"name": "large", "namespace": world.namespace});
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data});
    world.repo.write("manifests/large.json", config.to_string());
    world.repo.commit("what we run");
    // The annotation of `kubectl apply` would be too long.
    world.kubectl(&["create", "-f", world.repo.path().join("manifests/large.json").to_str().unwrap()]);
    assert_eq!(world.json(&["diff"], 0)["findings"], json!([]));
    let patch = json!({"data": {"key-7": "by hand"}, "metadata": {"managedFields": [{}]}}).to_string();
    world.kubectl(&["patch", "configmap/large", "--type=merge", "-p", &patch]);
    let report = world.json(&["diff"], 1);
    let paths: Vec<&Value> = report["findings"].as_array().unwrap().iter().map(|finding| &finding["path"]).collect();
    assert_eq!(paths, ["data.key-7", "metadata.managedFields"], "{report:#}");
    let synced = world.json(&["sync"], 1);
    let patches: Vec<&Value> = synced["runs"].as_array().unwrap().iter().filter_map(|run| run.get("patch")).collect();
    assert_eq!(patches, [&json!({"data": {"key-7": "0007".repeat(256)}})], "{synced:#}");
    let left = world.json(&["diff"], 1);
    assert_eq!(left["findings"].as_array().unwrap().len(), 1, "the managers stay gone: {left:#}");
}

#[test]
fn durations_of_one_length_are_one_where_the_definition_says_so() {
    let Some(mut world) = World::new(Rights::Baseline) else { return };
    let group = format!("timers.{}", world.namespace);
    let text = |format: Option<&str>| json!({"type": "string", "format": format});
    let spec = json!({"type": "object", "properties": {"every": text(Some("duration")), "note": {"type": "string"}}});
    let version = json!({"name": "v1", "served": true, "storage": true,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}});
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("timers.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"plural": "timers", "singular": "timer", "kind": "Timer"},
            "versions": [version]}});
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": format!("timers-{}", world.namespace), "labels": {"trueup.dev/observe": "true"}},
        "rules": [{"apiGroups": [group], "resources": ["timers"], "verbs": ["get", "list"]}]});
    for object in [definition, role] {
        // What is applied so gets the namespace of this world for that of the example.
        world.install.apply_text(&object.to_string().replace(&world.namespace, EXAMPLE));
    }
    let timer = json!({"apiVersion": format!("{group}/v1"), "kind": "Timer",
        "metadata": {"name": "nightly", "namespace": world.namespace}, "spec": {"every": "90s", "note": "90s"}});
    world.repo.write("manifests/timer.json", timer.to_string());
    world.repo.commit("what we run");
    let file = world.repo.path().join("manifests/timer.json");
    let apply = ["apply", "-f", file.to_str().unwrap()];
    eventually(|| world.install.administer(&apply), |answer| answer.ok);
    let object = format!("timers.{group}/nightly");
    let change = |spec: Value| world.kubectl(&["patch", &object, "--type=merge", "-p", &json!({"spec": spec}).to_string()]);
    change(json!({"every": "1m30s"}));
    assert_eq!(world.live(&object, "/spec/every"), "1m30s", "the server keeps what is written");
    let may_list = ["get", &format!("timers.{group}"), "-A"];
    eventually(|| world.install.ask(&may_list), |answer| answer.ok);
    assert_eq!(world.json(&["diff"], 0)["findings"], json!([]));
    change(json!({"every": "91s", "note": "1m30s"}));
    let report = world.json(&["diff"], 1);
    let paths: Vec<&Value> = report["findings"].as_array().unwrap().iter().map(|finding| &finding["path"]).collect();
    assert_eq!(paths, ["spec.every", "spec.note"], "{report:#}");
}

#[test]
fn a_custom_resource_before_its_definition_is_unknown_and_its_neighbours_are_judged() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let own = |text: &str| text.replace("monitoring.coreos.com", &format!("monitoring.{}", world.namespace));
    world.repo.write("manifests/definition.yaml", own(&world.corpus("setup/0servicemonitorCustomResourceDefinition.yaml")));
    world.repo.write("manifests/monitor.yaml", own(&world.corpus("grafana-serviceMonitor.yaml")));
    world.repo.write("manifests/service.yaml", world.corpus("grafana-service.yaml"));
    world.repo.commit("what we run");
    world.kubectl(&["apply", "-f", world.repo.path().join("manifests/service.yaml").to_str().unwrap()]);
    let report = world.json(&["diff"], 3);
    let objects = &report["targets"][0]["objects"];
    assert_eq!((&objects["declared"], &objects["true"]), (&json!(3), &json!(1)), "{report:#}");
    assert!(objects["unknown"].as_u64() >= Some(1), "{report:#}");
    let problems = report["problems"].to_string();
    let order = "first `kubectl apply -f manifests/definition.yaml`, which declares its CustomResourceDefinition, then \
                 `kubectl apply -f manifests/monitor.yaml`";
    assert!(problems.contains(order), "{problems}");
}
