//! Objects that need more than a look at a value.

use serde_json::{Value, json};

use crate::deploy::install::{EXAMPLE, eventually};
use crate::world::{Rights, World, is_dry_run};

#[test]
fn custom_resources_are_judged_once_the_account_may_see_them() {
    let Some(mut world) = World::new(Rights::Baseline) else { return };
    // Nobody else on this cluster shall see the Prometheus operator's kinds come and go.
    let shipped = |text: &str| text.replace("monitoring.coreos.com", &format!("monitoring.{EXAMPLE}"));
    let own = |text: &str| text.replace("monitoring.coreos.com", &format!("monitoring.{}", world.namespace));
    let (plural, monitor) = (own("servicemonitors.monitoring.coreos.com"), own(&world.corpus("grafana-serviceMonitor.yaml")));
    let definition = shipped(&world.corpus("setup/0servicemonitorCustomResourceDefinition.yaml"));
    world.install.apply_text(&definition);
    world.kubectl(&[
        "wait",
        r#"--for=jsonpath={.status.conditions[?(@.type=="Established")].status}=True"#,
        "--timeout=30s",
        &format!("crd/{plural}"),
    ]);
    world.repo.write("manifests/monitor.yaml", monitor);
    world.declare(&["grafana-service.yaml"]);
    let blind = world.json(&["diff"], 3);
    assert_eq!(blind["targets"][0]["objects"], json!({"declared": 2, "true": 1, "drifted": 0, "unknown": 1, "skipped": 0}));
    assert!(blind["problems"].to_string().contains(&plural), "{:#}", blind["problems"]);

    let roles = include_str!("../../../manifests/example/custom-resources.yaml");
    world.install.apply_text(&shipped(roles).replace("-monitoring", "-custom"));
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
fn a_look_lists_each_kind_once_and_remembers_what_the_server_makes_of_a_shape() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.declare(&["blackboxExporter-configuration.yaml", "prometheusAdapter-configMap.yaml", "grafana-service.yaml"]);
    let Some(before) = world.requests() else { return };
    let asked = |seen: usize| {
        let requests = world.requests().unwrap().split_off(seen);
        let verbs: Vec<String> = requests.iter().map(|request| request["verb"].as_str().unwrap().to_owned()).collect();
        let count = |verb: &str| verbs.iter().filter(|other| *other == verb).count();
        // Version and discovery; aggregated APIs and two kinds; dry runs. Before one: the namespace; webhooks and policies.
        (seen + verbs.len(), [count("get"), count("list"), count("create")])
    };
    world.json(&["diff"], 0);
    let (seen, of_true) = asked(before.len());
    assert_eq!(of_true, [3, 3, 0], "what is as declared needs no dry run");
    world.kubectl(&["patch", "configmap/adapter-config", "-p", &json!({"data": {"config.yaml": "by hand"}}).to_string()]);
    world.json(&["diff"], 1);
    let (seen, of_drifted) = asked(seen);
    assert_eq!(of_drifted, [4, 7, 1], "one dry run for the shape that is in doubt");
    world.json(&["diff"], 1);
    assert_eq!(asked(seen).1, [4, 7, 0], "and none the next time");
}

#[test]
fn what_admission_denies_goes_to_review_in_its_words_and_is_never_sent() {
    let Some(mut world) = World::new(Rights::Baseline) else { return };
    world.declare(&["blackboxExporter-configuration.yaml"]);
    world.kubectl(&["patch", "configmap/blackbox-exporter-configuration", "-p", r#"{"data": {"config.yml": "by hand"}}"#]);
    let name = format!("frozen-{EXAMPLE}");
    world.install.apply_text(
        &json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": name},
                "spec": {
                    "matchConstraints": {
                        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": EXAMPLE}},
                        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["configmaps"]}]},
                    "validations": [{"expression": "false", "message": "frozen until Monday"}]}},
            {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": name},
                "spec": {"policyName": name, "validationActions": ["Deny"]}}]})
        .to_string(),
    );
    let patch = [
        "patch",
        "configmap/blackbox-exporter-configuration",
        "-n",
        &world.namespace,
        "--dry-run=server",
        "-p",
        "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}",
    ];
    eventually(|| world.install.ask(&patch), |answer| !answer.ok);
    let synced = world.json(&["sync"], 1);
    let [patch, proposal] = &synced["runs"].as_array().unwrap()[..] else { panic!("{synced:#}") };
    assert_eq!((&patch["action"], &patch["status"]), (&json!("patch"), &json!("inadmissible")), "{patch:#}");
    assert_eq!((&proposal["action"], &proposal["status"]), (&json!("pull-request"), &json!("opened")), "{proposal:#}");
    assert!([patch, proposal].iter().all(|run| run["reasons"].to_string().contains("frozen until Monday")), "{synced:#}");
    let next = world.json(&["sync"], 1);
    let [proposal] = &next["runs"].as_array().unwrap()[..] else { panic!("what was denied is not asked for again: {next:#}") };
    assert_eq!(proposal["status"], "unchanged", "{proposal:#}");
    assert_eq!(world.live("configmap/blackbox-exporter-configuration", "/data/config.yml"), "by hand");
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(is_dry_run), "{writes:#?}");
    }
}
