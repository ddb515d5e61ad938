//! Custom resources by their structural schemas alone, and kinds that are served in several versions.

use jiff::Timestamp;
use serde_json::{Value, json};
use trueup_core::facts::Desired;
use trueup_kubernetes::baseline::Baselines;
use trueup_kubernetes::discovery::discover;
use trueup_kubernetes::expect::DryRuns;
use trueup_kubernetes::kinds::Kinds;

use super::evidence::{differences, kinds, look};
use super::{World, world};

/// A schema with everything that decides how a value is kept.
fn gadget() -> Value {
    let text = json!({"type": "string"});
    let port = json!({"type": "object", "required": ["number"], "properties": {"number": {"type": "integer"},
        "protocol": {"type": "string", "default": "TCP"}, "note": text}});
    json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
        "size": {"type": "integer", "default": 3},
        "deep": {"type": "object", "default": {}, "properties": {"mode": {"type": "string", "default": "fast"},
            "more": {"type": "object", "properties": {"level": {"type": "integer", "default": 1}}}}},
        "ports": {"type": "array", "items": port, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["number", "protocol"]},
        "hosts": {"type": "array", "items": text, "x-kubernetes-list-type": "set"},
        "steps": {"type": "array", "items": {"type": "object", "properties": {"wait": {"type": "string", "default": "1s"}}}},
        "limit": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true,
            "properties": {"known": {"type": "object", "properties": {"a": {"type": "string", "default": "b"}}}}},
        "template": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        "byName": {"type": "object", "additionalProperties": {"type": "object", "properties": {"on": {"type": "boolean", "default": true}}}},
        "maybe": {"type": "string", "nullable": true, "default": "set"},
        "labels": {"type": "object", "additionalProperties": text}
    }}}})
}

fn definition(world: &World, versions: &[(&str, Value)]) -> Value {
    let group = format!("{}.example.com", world.namespace);
    let last = versions.len() - 1;
    let versions = versions.iter().enumerate().map(|(index, (name, schema))| {
        json!({"name": name, "served": true, "storage": index == last, "schema": {"openAPIV3Schema": schema}})
    });
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("gadgets.{group}")}, "spec": {"group": group, "scope": "Namespaced",
        "names": {"plural": "gadgets", "kind": "Gadget"}, "versions": versions.collect::<Vec<_>>()}})
}

async fn define(world: &mut World, versions: &[(&str, Value)]) {
    let definition = definition(world, versions);
    let name = definition["metadata"]["name"].as_str().expect("a name").to_owned();
    world.kubectl.apply(&[definition]);
    world.kubectl.must(&[
        "wait",
        r#"--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True"#,
        &format!("crd/{name}"),
        "--timeout=60s",
    ]);
    for _ in 0..100 {
        world.catalog = discover(&world.cluster).await.expect("discovery");
        if world.kubectl.run(&["get", &name], None).is_ok() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

fn gadgets(world: &World, version: &str, specs: &[Value]) -> Vec<Value> {
    let api_version = format!("{}.example.com/{version}", world.namespace);
    let object = |(index, spec): (usize, &Value)| json!({"apiVersion": api_version, "kind": "Gadget", "metadata": {"name": format!("g{index}"), "labels": {}}, "spec": spec});
    specs.iter().enumerate().map(object).collect()
}

async fn seen(world: &World, kinds: &Kinds, desired: &[Desired], dry_runs: DryRuns) -> Vec<String> {
    let moment = (dry_runs, Timestamp::now());
    let observation = look((world, &world.cluster, kinds), desired.to_vec(), moment, &mut Baselines::default()).await;
    differences(&observation, kinds)
}

#[tokio::test]
async fn a_schema_alone_says_what_the_server_makes_of_a_custom_resource() {
    let Some(mut world) = world("schema").await else { return };
    define(&mut world, &[("v1", gadget())]).await;
    let specs = [
        json!({}),
        json!({"size": null, "maybe": null, "limit": "10%", "typo": 1, "deep": {"more": {}, "typo": 1}}),
        json!({"ports": [{"number": 80}, {"number": 80, "protocol": "UDP", "typo": 1}], "hosts": ["b", "a"], "limit": 5}),
        json!({"steps": [{}, {"wait": "2s"}], "byName": {"a": {}, "b": {"on": false}}, "labels": {}, "hosts": []}),
        json!({"free": {"any": [1, {"x": null}], "known": {"typo": 1}}, "template": {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "x", "labels": {"a": "b"}}, "data": {"k": "v"}}}),
        json!({"size": 0, "deep": {"mode": "slow", "more": {"level": 2}}, "ports": [], "free": {}, "byName": {}}),
    ];
    let objects = gadgets(&world, "v1", &specs);
    world
        .kubectl
        .run(
            &["create", "--validate=ignore", "-f", "-"],
            Some(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()),
        )
        .unwrap_or_else(|error| panic!("{error}"));
    let desired: Vec<Desired> = objects.into_iter().map(|value| world.declare(value)).collect();
    let kinds = kinds(&world, &desired).await;
    assert_eq!(seen(&world, &kinds, &desired, DryRuns::Off).await, [""; 0], "by the schema");

    let patch = |name: &str, spec: Value| {
        let patch = json!({"spec": spec}).to_string();
        world.kubectl.must(&["patch", &format!("gadgets.{}.example.com", world.namespace), name, "--type=merge", "-p", &patch]);
    };
    patch("g2", json!({"ports": [{"number": 80, "protocol": "UDP"}, {"number": 80, "protocol": "TCP"}], "hosts": ["a", "b"]}));
    assert_eq!(seen(&world, &kinds, &desired, DryRuns::Off).await, [""; 0], "keyed lists and sets have no order");
    patch("g0", json!({"deep": {"mode": "slow"}, "labels": {}}));
    patch(
        "g2",
        json!({"limit": "5", "ports": [{"number": 80, "protocol": "UDP", "note": "x"}, {"number": 80, "protocol": "TCP"}]}),
    );
    patch("g3", json!({"steps": [{"wait": "2s"}, {"wait": "1s"}], "hosts": null, "byName": {"b": {"on": true}}}));
    patch("g5", json!({"size": 3, "ports": [{"number": 1}]}));
    let expected = [
        "g0 spec.deep.mode Undeclared",
        "g0 spec.labels Undeclared",
        "g2 spec.limit Changed",
        "g2 spec.ports[number=80,protocol=UDP].note Undeclared",
        "g3 spec.byName.b.on Changed",
        "g3 spec.hosts Removed",
        "g3 spec.steps Changed",
        "g5 spec.ports[number=1,protocol=TCP] Undeclared",
        "g5 spec.size Changed",
    ];
    assert_eq!(seen(&world, &kinds, &desired, DryRuns::Off).await, expected, "by the schema");
    assert_eq!(seen(&world, &kinds, &desired, DryRuns::Fresh).await, expected, "by the server's own answer");
    world.kubectl.must(&["delete", "crd", &format!("gadgets.{}.example.com", world.namespace), "--wait=false"]);
}

#[tokio::test]
async fn each_version_of_a_kind_is_judged_in_its_own_words() {
    let Some(mut world) = world("versions").await else { return };
    let schema = |mode: &str| {
        json!({"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer"}, "mode": {"type": "string", "default": mode}}}}})
    };
    define(&mut world, &[("v1alpha1", schema("slow")), ("v1beta1", schema("fast")), ("v1", schema("fast"))]).await;
    let specs = [json!({"size": 1}), json!({"size": 2})];
    world.kubectl.apply(&gadgets(&world, "v1beta1", &specs));
    let declared = |version: &str| -> Vec<Desired> {
        gadgets(&world, version, &specs).into_iter().map(|value| world.declare(value)).collect()
    };
    let kinds = kinds(&world, &[declared("v1alpha1"), declared("v1beta1"), declared("v1")].concat()).await;
    for version in ["v1", "v1beta1"] {
        for dry_runs in [DryRuns::Off, DryRuns::Fresh] {
            assert_eq!(seen(&world, &kinds, &declared(version), dry_runs).await, [""; 0], "{version} {dry_runs:?}");
        }
    }
    // What was admitted in another version has that version's default, and by this one's words it would be another.
    let by_other = ["g0 spec.mode Undeclared", "g1 spec.mode Undeclared"];
    assert_eq!(seen(&world, &kinds, &declared("v1alpha1"), DryRuns::Fresh).await, by_other);
    let plural = format!("gadgets.v1.{}.example.com", world.namespace);
    world.kubectl.must(&["patch", &plural, "g1", "--type=merge", "-p", r#"{"spec":{"size":9}}"#]);
    for version in ["v1", "v1beta1"] {
        assert_eq!(seen(&world, &kinds, &declared(version), DryRuns::Fresh).await, ["g1 spec.size Changed"], "{version}");
    }
    world.kubectl.must(&["delete", "crd", &format!("gadgets.{}.example.com", world.namespace), "--wait=false"]);
}

#[tokio::test]
async fn an_autoscaler_is_judged_in_the_version_that_git_declares() {
    let Some(world) = world("conversion").await else { return };
    let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
    let first = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, "targetCPUUtilizationPercentage": 80}});
    let metric = |percent: u8| json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}}]);
    let second = json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "a"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 5, "metrics": metric(80)}});
    world.kubectl.apply(std::slice::from_ref(&first));
    let (first, second) = ([world.declare(first)], [world.declare(second)]);
    let kinds = kinds(&world, &first).await;
    for dry_runs in [DryRuns::Off, DryRuns::Fresh] {
        assert_eq!(seen(&world, &kinds, &first, dry_runs).await, [""; 0], "v1 {dry_runs:?}");
        assert_eq!(seen(&world, &kinds, &second, dry_runs).await, [""; 0], "v2 {dry_runs:?}");
    }
    let patch = json!({"spec": {"metrics": metric(50)}}).to_string();
    world.kubectl.must(&["patch", "horizontalpodautoscalers.v2.autoscaling", "a", "--type=merge", "-p", &patch]);
    assert_eq!(seen(&world, &kinds, &first, DryRuns::Fresh).await, ["a spec.targetCPUUtilizationPercentage Changed"]);
    assert_eq!(seen(&world, &kinds, &second, DryRuns::Fresh).await, ["a spec.metrics Changed"]);
}
