//! Unknown is never clean: whatever part of a cluster cannot be seen, the objects concerned are unknown, their neighbours
//! are judged, and the problem says what is missing.

use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::proxy::{Fate, Moment, Proxy};
use crate::deploy::install::{EXAMPLE, eventually};
use crate::world::{Rights, World, ended};

const CONFIG: &str = "blackboxExporter-configuration.yaml";
const SERVICE: &str = "grafana-service.yaml";

/// One page of a list, and one object more.
const MORE_THAN_A_PAGE: usize = 501;

/// What a proxy makes of a request, by its first line.
type Fault = Box<dyn Fn(&str, Moment) -> Fate + Send + Sync>;

/// A report in which one object is unknown and the others are as declared; returns the message of its one problem.
pub(super) fn one_unknown(report: &Value, declared: usize) -> String {
    let objects = json!({"declared": declared, "true": declared - 1, "drifted": 0, "unknown": 1, "skipped": 0});
    assert_eq!(report["targets"][0]["objects"], objects, "{report:#}");
    assert_eq!((&report["targets"][0]["verdict"], &report["findings"]), (&json!("unknown"), &json!([])));
    let [problem] = &report["problems"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!(problem["code"], "kind-not-visible", "{problem:#}");
    problem["message"].as_str().unwrap().to_owned()
}

pub(super) fn diff_by(world: &World, proxy: &Proxy) -> Value {
    let seen = ended(world.command_by(&proxy.kubeconfig, &["diff", "-o", "json"]));
    assert_eq!(seen.code, Some(3), "{seen:?}");
    seen.json()
}

#[test]
fn a_list_that_breaks_off_or_expires_blinds_its_kind_alone() {
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&[CONFIG, SERVICE]);
    fill_a_page(&world);
    let is_page = |line: &str| line.contains("/configmaps?limit=") && !line.contains("continue=");
    let is_next = |line: &str| line.contains("/configmaps?limit=") && line.contains("continue=");
    let faults: [(Fault, &str); 4] = [
        (Box::new(move |line, moment| if is_page(line) && moment == Moment::After { Fate::Half } else { Fate::Pass }), ""),
        (Box::new(move |line, moment| if is_next(line) && moment == Moment::After { Fate::Half } else { Fate::Pass }), ""),
        (
            Box::new(move |line, _| if is_next(line) { Fate::Answer(500, "etcdserver: request timed out") } else { Fate::Pass }),
            "etcdserver: request timed out",
        ),
        (
            Box::new(
                move |line, _| {
                    if is_next(line) { Fate::Answer(410, "The provided continue parameter is too old") } else { Fate::Pass }
                },
            ),
            "expired 3 times before its last page",
        ),
    ];
    for (fault, told) in faults {
        let proxy = Proxy::of_all(&world, fault);
        let message = one_unknown(&diff_by(&world, &proxy), 2);
        assert!(message.contains("`configmaps`") && message.contains(told), "{message}");
    }
    assert_eq!(world.json(&["diff"], 0)["problems"], json!([]), "without a fault all of it is seen");
}

fn fill_a_page(world: &World) {
    let map = |number| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("filler-{number}")}});
    let items: Vec<Value> = (0..MORE_THAN_A_PAGE).map(map).collect();
    let file = world.repo.path().join(".git/filler.json");
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    world.kubectl(&["create", "-f", file.to_str().unwrap()]);
}

#[test]
fn a_cluster_that_does_not_say_what_it_serves_is_unknown() {
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&[CONFIG, SERVICE]);
    for (path, told) in [("GET /apis ", "what the cluster serves"), ("GET /version ", "version")] {
        let proxy = Proxy::of_all(
            &world,
            move |line, _| {
                if line.starts_with(path) { Fate::Answer(500, "not today") } else { Fate::Pass }
            },
        );
        let report = diff_by(&world, &proxy);
        assert_eq!((&report["targets"][0]["verdict"], &report["findings"]), (&json!("unknown"), &json!([])), "{report:#}");
        let message = report["problems"][0]["message"].as_str().unwrap();
        assert!(message.contains(told) && message.contains("not today"), "{message}");
    }
}

#[test]
fn an_extension_server_that_is_down_blinds_its_group_alone() {
    let Some(mut world) = World::new(Rights::Base) else { return };
    let group = format!("metrics.{}", world.namespace);
    world.install.apply_text(
        &json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": format!("v1.metrics.{EXAMPLE}")},
            "spec": {"group": format!("metrics.{EXAMPLE}"), "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
                "insecureSkipTLSVerify": true, "service": {"name": "nowhere", "namespace": EXAMPLE}}})
        .to_string(),
    );
    let registered = format!("v1.{group}");
    world.kubectl(&["wait", "apiservice", &registered, "--for=condition=Available=False", "--timeout=60s"]);
    world.declare(&[CONFIG, SERVICE]);
    let metric =
        json!({"apiVersion": format!("{group}/v1"), "kind": "Metric", "metadata": {"name": "m", "namespace": world.namespace}});
    world.repo.write("manifests/metric.yaml", metric.to_string());
    world.repo.commit("a metric");
    let message = one_unknown(&world.json(&["diff"], 3), 3);
    assert_eq!(message, format!("the API server behind `{group}/v1` does not answer, so no `Metric` can be seen"));
    world.kubectl(&["delete", "apiservice", &registered]);
}

/// A kind of this world's own in two versions, and the right to see it.
fn define_widgets(world: &mut World, conversion: &Value) -> String {
    let group = format!("widgets.{EXAMPLE}");
    let version = |name: &str, storage: bool| {
        json!({"name": name, "served": true, "storage": storage, "schema": {"openAPIV3Schema": {
            "type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}}})
    };
    let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("widgets.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [version("v1", true), version("v1beta1", false)], "conversion": conversion}});
    world.install.apply_text(&definition.to_string());
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": {"name": "trueup-observe-widgets", "labels": {"trueup.dev/observe": "true"}},
        "rules": [{"apiGroups": [group], "resources": ["widgets"], "verbs": ["get", "list"]}]});
    world.install.apply_text(&role.to_string());
    let group = format!("widgets.{}", world.namespace);
    let plural = format!("widgets.{group}");
    world.kubectl(&[
        "wait",
        r#"--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True"#,
        "--timeout=30s",
        &format!("crd/{plural}"),
    ]);
    eventually(|| world.install.ask(&["get", &plural, "-A"]), |answer| answer.ok);
    group
}

fn widget(world: &World, api_version: &str, name: &str) -> Value {
    json!({"apiVersion": api_version, "kind": "Widget", "metadata": {"name": name, "namespace": world.namespace}, "spec": {"size": 1}})
}

#[test]
fn a_definition_that_goes_in_mid_round_blinds_its_kind_alone() {
    let Some(mut world) = World::new(Rights::Base) else { return };
    let group = define_widgets(&mut world, &json!({"strategy": "None"}));
    world.repo.write("manifests/widget.yaml", widget(&world, &format!("{group}/v1"), "w").to_string());
    world.declare(&[CONFIG, SERVICE]);
    world.json(&["diff"], 0);
    let (kubectl, collection) =
        (world.kubectl_program().to_owned(), format!("/apis/{group}/v1/namespaces/{}/widgets", world.namespace));
    let (list, definition) = (format!("GET {collection}?"), format!("widgets.{group}"));
    let proxy = Proxy::of_all(&world, move |line, moment| {
        if moment == Moment::Before && line.starts_with(&list) {
            let run = |arguments: &[&str]| {
                let command = Command::new(&kubectl).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
                command.unwrap().success()
            };
            assert!(run(&["delete", "crd", &definition, "--ignore-not-found"]));
            // The server goes on serving it for a moment.
            while run(&["get", "--raw", &collection]) {}
        }
        Fate::Pass
    });
    let message = one_unknown(&diff_by(&world, &proxy), 3);
    assert!(message.starts_with(&format!("`widgets.{group}` cannot be listed in namespace")), "{message}");
    assert!(message.contains("(404)"), "{message}");
    let message = one_unknown(&world.json(&["diff"], 3), 3);
    assert!(message.contains("is its CustomResourceDefinition installed?"), "{message}");
}

#[test]
fn a_conversion_webhook_that_is_down_blinds_the_versions_behind_it_alone() {
    let Some(mut world) = World::new(Rights::Base) else { return };
    let group = define_widgets(
        &mut world,
        &json!({"strategy": "Webhook", "webhook": {"conversionReviewVersions": ["v1"], "clientConfig": {"url": "https://127.0.0.1:1/convert"}}}),
    );
    world.repo.write("manifests/stored.yaml", widget(&world, &format!("{group}/v1"), "stored").to_string());
    world.repo.write("manifests/converted.yaml", widget(&world, &format!("{group}/v1"), "converted").to_string());
    world.declare(&[CONFIG, SERVICE]);
    world.json(&["diff"], 0);
    world.repo.write("manifests/converted.yaml", widget(&world, &format!("{group}/v1beta1"), "converted").to_string());
    world.repo.commit("the older version");
    let message = one_unknown(&world.json(&["diff"], 3), 4);
    assert!(message.contains(&format!("`widgets.{group}`")) && message.contains("conversion webhook"), "{message}");
}
