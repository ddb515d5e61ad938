//! Admission and controllers at work: a mesh injects, a cache rewrites, an autoscaler scales, pods come up, and nothing of that is
//! drift.

mod standin;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use self::standin::{Metrics, serve};
use super::line::OBJECTS;
use crate::deploy::install::EXAMPLE;
use crate::world::{Rights, World, is_dry_run, within};

/// At least so many rounds run while controllers are at work; `TRUEUP_NOISE_ROUNDS` asks for more.
const ROUNDS: usize = 60;

/// A mesh's sidecar and labels on all Deployments, a cache in the image of all Pods: both added after Git's words.
fn admission(id: &str) -> Value {
    let binding = |name: &str| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": name}, "spec": {"policyName": name}})
    };
    let policy = |name: &str, group: &str, resource: &str, operations: Value, mutation: Value| {
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": {
            "matchConstraints": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": EXAMPLE}}, "resourceRules": [
                {"apiGroups": [group], "apiVersions": ["v1"], "operations": operations, "resources": [resource]}]},
            "failurePolicy": "Fail", "reinvocationPolicy": "Never", "mutations": [mutation]}})
    };
    let sidecar = r#"Object{metadata: Object.metadata{labels: {"mesh.example/by": "injector"}}, spec: Object.spec{template: Object.spec.template{
        metadata: Object.spec.template.metadata{labels: {"mesh.example/mode": "strict"}},
        spec: Object.spec.template.spec{containers: [Object.spec.template.spec.containers{name: "mesh-proxy", image: "registry.example/mesh:1"}]}}}}"#;
    let cache = r#"[JSONPatch{op: "replace", path: "/spec/containers/0/image", value: "cache.example/" + object.spec.containers[0].image}]"#;
    let (mesh, pods) = (format!("mesh-{id}"), format!("cache-{id}"));
    json!({"apiVersion": "v1", "kind": "List", "items": [
        policy(&mesh, "apps", "deployments", json!(["CREATE"]),
            json!({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": sidecar}})),
        binding(&mesh),
        policy(&pods, "", "pods", json!(["CREATE"]), json!({"patchType": "JSONPatch", "jsonPatch": {"expression": cache}})),
        binding(&pods),
    ]})
}

/// A Deployment that Git gives two replicas, and its autoscaler.
fn scaled(namespace: &str) -> String {
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "scaled"});
    let cpu =
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}});
    let requests = json!({"requests": {"cpu": "100m"}});
    json!({"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "scaled", "namespace": namespace}, "spec": {
            "replicas": 2, "selector": {"matchLabels": {"app": "scaled"}}, "template": {"metadata": {"labels": {"app": "scaled"}},
            "spec": {"containers": [{"name": "app", "image": "registry.example/app:1", "resources": requests}]}}}},
        {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "scaled", "namespace": namespace}, "spec": {
            "scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 6, "metrics": [
                {"type": "ContainerResource", "containerResource": {"name": "cpu", "container": "app",
                    "target": cpu["resource"]["target"]}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}}}}]})
    .to_string()
}

/// What a kubelet would do: every pod that was made is running and ready, for an hour by now.
fn bring_up(world: &World, metrics: &Metrics, ended: &AtomicBool) {
    let hour_ago = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string();
    let mut up = BTreeSet::new();
    while !ended.load(Ordering::Relaxed) {
        let pods: Value = serde_json::from_str(&world.kubectl(&["get", "pods", "-l", "app=scaled", "-o", "json"])).unwrap();
        let items = pods["items"].as_array().unwrap();
        let names = items.iter().map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned());
        let names: BTreeSet<String> = names.collect();
        for name in names.difference(&up) {
            let status = json!({"status": {"phase": "Running", "startTime": hour_ago, "conditions": [
                {"type": "Ready", "status": "True", "lastTransitionTime": hour_ago}]}});
            let patch = ["patch", "pod", name, "--subresource=status", "-p", &status.to_string()];
            // It may be gone by now.
            world.install.administer(&[&["-n", &world.namespace][..], &patch].concat());
        }
        *metrics.pods.lock().unwrap() = names.iter().cloned().collect();
        up = names;
        std::thread::sleep(Duration::from_millis(500));
    }
}

#[test]
fn nothing_is_reported_while_admission_and_controllers_work() {
    let Some(mut world) = World::new(Rights::Baseline) else { return };
    let id = world.namespace.rsplit_once("checkout-").unwrap().1.to_owned();
    world.install.apply_text(&admission(&id).to_string());
    let probe = scaled(&world.namespace);
    let file = world.repo.path().join(".git/probe.json");
    std::fs::write(&file, &probe).unwrap();
    let dry_run = ["create", "--dry-run=server", "-o", "json", "-f", file.to_str().unwrap()];
    // The policy counts from some moment on.
    within(Duration::from_secs(30), || world.kubectl(&dry_run), |answer| answer.contains("mesh-proxy"));
    world.repo.write("manifests/scaled.json", probe);
    world.declare(&OBJECTS);
    let image = world.live("deployment/scaled", "/spec/template/spec/containers");
    assert!(image.to_string().contains("mesh-proxy"), "{image}");
    let metrics = Arc::new(Metrics { namespace: world.namespace.clone(), pods: Mutex::default() });
    let is_served = serve(&mut world, &metrics);
    let ended = AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        scope.spawn(|| bring_up(&world, &metrics, &ended));
        let seen = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| rounds(&world, is_served)));
        ended.store(true, Ordering::Relaxed);
        seen
    });
    let seen = seen.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    let requests = world.requests().map(|requests| requests.len());
    let writes = world.writes();
    println!("{} rounds in {:?}, {requests:?} requests, replicas {:?}, 0 findings", seen.rounds, seen.took, seen.replicas);
    assert!(writes.iter().flatten().all(is_dry_run), "{writes:#?}");
    let cached = world.kubectl(&["get", "pods", "-l", "app=scaled", "-o", "jsonpath={.items[0].spec.containers[0].image}"]);
    assert_eq!(cached, "cache.example/registry.example/app:1");
    // It is not blind: what is not theirs is found all the same.
    world.kubectl(&["set", "image", "deployment/scaled", "mesh-proxy=registry.example/mesh:evil"]);
    world.kubectl(&["label", "deployment/grafana", "mesh.example/by=somebody", "--overwrite"]);
    let report = world.json(&["diff"], 1);
    let paths = report["findings"].as_array().unwrap().iter().map(|finding| finding["path"].as_str().unwrap());
    let planted = ["metadata.labels[\"mesh.example/by\"]", "spec.template.spec.containers[name=mesh-proxy].image"];
    assert_eq!(paths.collect::<Vec<_>>(), planted, "{report:#}");
}

struct Seen {
    rounds: usize,
    took: Duration,
    replicas: BTreeMap<i64, usize>,
}

/// Rounds as fast as they go: at least [`ROUNDS`], and until the autoscaler has gone up and down.
fn rounds(world: &World, is_scaled: bool) -> Seen {
    let asked = std::env::var("TRUEUP_NOISE_ROUNDS").ok().map_or(ROUNDS, |text| text.parse().unwrap());
    let begun = Instant::now();
    let mut seen = Seen { rounds: 0, took: Duration::ZERO, replicas: BTreeMap::new() };
    let mut changes = 0;
    let mut last = 0;
    while seen.rounds < asked.max(ROUNDS) || (is_scaled && changes < 3) {
        assert!(
            changes > 2 || begun.elapsed() < Duration::from_mins(4),
            "the autoscaler has not scaled up and down: {:?}",
            seen.replicas
        );
        let report = world.json(&["diff"], 0);
        assert_eq!((&report["findings"], &report["problems"]), (&json!([]), &json!([])), "{report:#}");
        let replicas = world.live("deployment/scaled", "/spec/replicas").as_i64().unwrap();
        changes += usize::from(replicas != last);
        last = replicas;
        *seen.replicas.entry(replicas).or_default() += 1;
        seen.rounds += 1;
        seen.took = begun.elapsed();
    }
    seen
}
