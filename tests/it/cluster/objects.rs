//! Objects that need more than a look at a value.

use serde_json::{Value, json};

use crate::deploy::install::eventually;
use crate::world::{Rights, World};

/// The Prometheus operator's group, under a name of this world's own.
struct Group(String);

impl Group {
    fn of(&self, text: &str) -> String {
        text.replace("monitoring.coreos.com", &self.0)
    }
}

#[test]
fn custom_resources_are_judged_once_the_account_may_see_them() {
    let Some(mut world) = World::new(Rights::Baseline) else { return };
    let group = Group(format!("monitoring.{}", world.namespace));
    let definition = group.of(&world.corpus("setup/0servicemonitorCustomResourceDefinition.yaml"));
    world.install.apply_text(&definition);
    let plural = format!("servicemonitors.{}", group.0);
    world.kubectl(&["wait", "--for=condition=Established", "--timeout=30s", &format!("crd/{plural}")]);
    world.repo.write("manifests/monitor.yaml", group.of(&world.corpus("grafana-serviceMonitor.yaml")));
    world.declare(&["grafana-service.yaml"]);
    let blind = world.json(&["diff"], 3);
    assert_eq!(blind["targets"][0]["objects"], json!({"declared": 2, "true": 1, "drifted": 0, "unknown": 1, "skipped": 0}));
    assert!(blind["problems"].to_string().contains(&plural), "{:#}", blind["problems"]);

    let roles = include_str!("../../../manifests/example/custom-resources.yaml");
    world.install.apply_text(&group.of(roles).replace("-monitoring", "-custom"));
    eventually(|| world.install.ask(&["get", &plural, "-A"]), |answer| answer.ok);
    let create = ["auth", "can-i", "create", &plural, "-n", &world.namespace];
    eventually(|| world.install.ask(&create), |answer| answer.ok);
    assert_eq!(world.json(&["diff"], 0)["findings"], json!([]));
    let patch = json!({"spec": {"endpoints": [{"interval": "1s", "port": "http"}]}}).to_string();
    world.kubectl(&["patch", &plural, "grafana", "--type=merge", "-p", &patch]);
    let report = world.json(&["diff"], 1);
    let findings = report["findings"].as_array().unwrap();
    let found: Vec<_> = findings.iter().map(|finding| (&finding["path"], &finding["evidence"])).collect();
    assert_eq!(found, [(&json!("spec.endpoints"), &json!("baseline"))], "{report:#}");
}

#[test]
fn what_is_gone_is_missing_and_what_is_held_is_left_alone() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.declare(&["blackboxExporter-configuration.yaml", "prometheusAdapter-configMap.yaml", "grafana-service.yaml"]);
    world.kubectl(&["delete", "service/grafana"]);
    let edit = json!({"data": {"config.yaml": "by hand"}}).to_string();
    world.kubectl(&["patch", "configmap/adapter-config", "-p", &edit]);
    world.kubectl(&["annotate", "configmap/adapter-config", "trueup.dev/hold=an incident"]);
    let synced = world.json(&["sync"], 1);
    let seen: Vec<_> = synced["findings"].as_array().unwrap().iter().map(|finding| (&finding["object"]["name"], &finding["change"])).collect();
    println!("{seen:?}\n{:#}", synced["runs"]);
    let of = |change: &str| {
        let finding = synced["findings"].as_array().unwrap().iter().find(|finding| finding["change"] == change).unwrap();
        synced["runs"].as_array().unwrap().iter().find(|run| run["finding"] == json!([finding["id"]])).unwrap().clone()
    };
    let (missing, held): (Value, Value) = (of("missing-object"), of("changed"));
    assert_eq!(missing["action"], "none");
    assert!(missing["reasons"].to_string().contains("kubectl apply -f manifests/grafana-service.yaml"), "{missing:#}");
    assert_eq!(held["action"], "none");
    assert!(held["reasons"].to_string().contains("an incident"), "{held:#}");
    assert_eq!(world.live("configmap/adapter-config", "/data/config.yaml"), "by hand");

    world.kubectl(&["annotate", "configmap/adapter-config", "trueup.dev/hold-"]);
    world.apply(&["--selector", "app.kubernetes.io/name=grafana"]);
    world.json(&["sync"], 0);
}

#[test]
fn a_look_asks_once_for_each_kind_and_remembers_what_the_server_makes_of_a_shape() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.declare(&["blackboxExporter-configuration.yaml", "prometheusAdapter-configMap.yaml", "grafana-service.yaml"]);
    let count = || world.requests().map(|requests| requests.len());
    let Some(before) = count() else { return };
    world.json(&["diff"], 0);
    let first = count().unwrap() - before;
    world.json(&["diff"], 0);
    let second = count().unwrap() - before - first;
    println!("first {first}, second {second}");
    for request in &world.requests().unwrap()[before..] { println!("{} {}", request["verb"], request["requestURI"]); }
}

#[test]
fn what_admission_denies_goes_to_review_with_its_words() {
    let Some(mut world) = World::new(Rights::Baseline) else { return };
    world.declare(&["blackboxExporter-configuration.yaml"]);
    world.kubectl(&["patch", "configmap/blackbox-exporter-configuration", "-p", r#"{"data": {"config.yml": "by hand"}}"#]);
    let name = format!("frozen-{}", world.namespace);
    world.install.apply_text(
        &json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
                "spec": {
                    "matchConstraints": {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": world.namespace}},
                        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}]},
                    "validations": [{"expression": "false", "message": "frozen until Monday"}]}},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
                "spec": {"policyName": name, "validationActions": ["Deny"]}}]})
        .to_string(),
    );
    let patch = ["patch", "configmap/blackbox-exporter-configuration", "-n", &world.namespace, "--dry-run=server", "-p", "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}"];
    eventually(|| world.install.ask(&patch), |answer| !answer.ok);
    for _ in 0..3 {
        let synced = world.json(&["sync"], 1);
        println!("{:#}", synced["runs"]);
    }
    println!("{}", world.trueup(&["runs"]).stdout);
    println!("{:?}", world.trueup(&["doctor"]));
}
