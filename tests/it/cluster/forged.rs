//! Who wrote a field is what the writer says of itself. Forged managers, forged times and stripped managedFields hide nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{Rights, World};

/// One attempt on an object of its own.
struct Attempt {
    /// Which of [`manifest`]'s objects.
    on: &'static str,
    /// What is said to kubectl; `{}` is the object.
    by: &'static [&'static [&'static str]],
    /// Where it must be found.
    at: &'static str,
}

const KCM: &str = "--field-manager=kube-controller-manager";
const STRIP: &str = r#"{"metadata": {"managedFields": [{}]}}"#;
const IMAGE: &str = "spec.template.spec.containers[name=app].image";
const EVIL: &str = r#"{"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/evil:1"}]}}}}"#;
/// An entry that says that kubectl applied the image, long ago or not yet.
const FORGED_TIME: &str = r#"[{"op": "replace", "path": "/metadata/managedFields", "value": [{"manager": "kubectl-client-side-apply",
    "operation": "Update", "apiVersion": "apps/v1", "time": "2099-01-01T00:00:00Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
    "f:selector": {}, "f:replicas": {}, "f:template": {"f:metadata": {"f:labels": {"f:app": {}}}, "f:spec": {"f:containers":
    {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}}}}}}}}]}]"#;
/// One that gives all that was changed to a controller.
const FORGED_OWNER: &str = r#"[{"op": "replace", "path": "/metadata/managedFields", "value": [{"manager": "kube-controller-manager",
    "operation": "Update", "apiVersion": "apps/v1", "subresource": "status", "time": "2020-01-01T00:00:00Z", "fieldsType": "FieldsV1",
    "fieldsV1": {"f:metadata": {"f:annotations": {"f:deployment.kubernetes.io/revision": {}, "f:x": {}}}}}]}]"#;

const ATTEMPTS: [Attempt; 26] = [
    Attempt { on: "Deployment", by: &[&["patch", "{}", KCM, "-p", EVIL]], at: IMAGE },
    Attempt { on: "Deployment", by: &[&["patch", "{}", "--field-manager=trueup", "-p", EVIL]], at: IMAGE },
    Attempt { on: "Deployment", by: &[&["patch", "{}", "--field-manager=kubectl-client-side-apply", "-p", EVIL]], at: IMAGE },
    Attempt { on: "Deployment", by: &[&["scale", "{}", "--replicas=3"]], at: "spec.replicas" },
    Attempt {
        on: "Deployment",
        by: &[&["patch", "{}", "--subresource=scale", KCM, "--type=merge", "-p", r#"{"spec": {"replicas": 3}}"#]],
        at: "spec.replicas",
    },
    Attempt {
        on: "Scaled",
        by: &[&["patch", "{}", "--subresource=scale", KCM, "--type=merge", "-p", r#"{"spec": {"replicas": 9}}"#]],
        at: "spec.replicas",
    },
    Attempt { on: "Scaled", by: &[&["patch", "{}", KCM, "-p", r#"{"spec": {"replicas": 4}}"#]], at: "spec.replicas" },
    Attempt {
        on: "Scaled",
        by: &[
            &["patch", "{}", "--subresource=scale", KCM, "--type=merge", "-p", r#"{"spec": {"replicas": 4}}"#],
            &["patch", "{}", "--type=merge", "-p", STRIP],
        ],
        at: "spec.replicas",
    },
    Attempt {
        on: "Deployment",
        by: &[&["set", "env", "{}", "DEBUG=1", "--field-manager=horizontal-pod-autoscaler"]],
        at: "spec.template.spec.containers[name=app].env[name=DEBUG]",
    },
    Attempt { on: "Deployment", by: &[&["label", "{}", "x=y", "--field-manager=kube-scheduler"]], at: "metadata.labels.x" },
    Attempt {
        on: "Deployment",
        by: &[&[
            "patch",
            "{}",
            "--subresource=status",
            KCM,
            "--type=merge",
            "-p",
            r#"{"metadata": {"annotations": {"x": "y"}}}"#,
        ]],
        at: "metadata.annotations.x",
    },
    Attempt { on: "Deployment", by: &[&["patch", "{}", "-p", EVIL], &["patch", "{}", "--type=merge", "-p", STRIP]], at: IMAGE },
    Attempt {
        on: "Deployment",
        by: &[&["patch", "{}", "--type=merge", "-p", r#"{"metadata": {"managedFields": [{}], "labels": {"x": "y"}}}"#]],
        at: "metadata.labels.x",
    },
    Attempt { on: "Deployment", by: &[&["patch", "{}", "--type=merge", "-p", STRIP]], at: "metadata.managedFields" },
    Attempt { on: "ConfigMap", by: &[&["patch", "{}", "--type=merge", "-p", STRIP]], at: "metadata.managedFields" },
    Attempt {
        on: "Deployment",
        by: &[&["patch", "{}", "-p", EVIL], &["patch", "{}", "--type=json", "-p", FORGED_TIME]],
        at: IMAGE,
    },
    Attempt {
        on: "Deployment",
        by: &[&["annotate", "{}", "x=y"], &["patch", "{}", "--type=json", "-p", FORGED_OWNER]],
        at: "metadata.annotations.x",
    },
    Attempt {
        on: "Deployment",
        by: &[&["annotate", "{}", "x=y"], &["patch", "{}", "--type=json", "-p", FORGED_OWNER]],
        at: "metadata.managedFields",
    },
    Attempt {
        on: "Deployment",
        by: &[&["annotate", "{}", "trueup.dev/ignore=**", KCM], &["patch", "{}", "-p", EVIL]],
        at: IMAGE,
    },
    Attempt {
        on: "Deployment",
        by: &[
            &[
                "annotate",
                "{}",
                "kubectl.kubernetes.io/last-applied-configuration={\"metadata\":{\"labels\":{\"x\":\"y\"}}}",
                "--overwrite",
            ],
            &["label", "{}", "x=y"],
        ],
        at: "metadata.labels.x",
    },
    Attempt {
        on: "Deployment",
        by: &[&[
            "patch",
            "{}",
            "--field-manager=kube-scheduler",
            "-p",
            r#"{"spec": {"template": {"spec": {"hostNetwork": true}}}}"#,
        ]],
        at: "spec.template.spec.hostNetwork",
    },
    Attempt {
        on: "ConfigMap",
        by: &[&["patch", "{}", "--field-manager=cert-manager-cainjector", "-p", r#"{"data": {"caBundle": "evil"}}"#]],
        at: "data.caBundle",
    },
    Attempt {
        on: "ConfigMap",
        by: &[&["patch", "{}", "--field-manager=before-first-apply", "-p", r#"{"data": {"a": "evil"}}"#]],
        at: "data.a",
    },
    Attempt {
        on: "Role",
        by: &[&[
            "patch",
            "{}",
            "--field-manager=clusterrole-aggregation-controller",
            "--type=merge",
            "-p",
            r#"{"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}"#,
        ]],
        at: "rules",
    },
    Attempt {
        on: "NetworkPolicy",
        by: &[&["patch", "{}", KCM, "--type=merge", "-p", r#"{"spec": {"egress": [{}]}}"#]],
        at: "spec.egress",
    },
    Attempt {
        on: "ServiceAccount",
        by: &[&[
            "patch",
            "{}",
            "--field-manager=kube-scheduler",
            "--type=merge",
            "-p",
            r#"{"secrets": [{"name": "NAME-token-evil"}]}"#,
        ]],
        at: "secrets[name=NAME-token-evil]",
    },
];

/// What Git declares under this name.
fn manifest(on: &str, namespace: &str, name: &str) -> Vec<Value> {
    let metadata = json!({"name": name, "namespace": namespace});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
        "replicas": 2, "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}}, "spec": {
            "containers": [{"name": "app", "image": "registry.example/app:1", "ports": [{"containerPort": 8080}]}]}}}});
    match on {
        "Deployment" => vec![deployment],
        // Its autoscaler is in Git alone: a live one would put the replicas back.
        "Scaled" => vec![
            deployment,
            json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": metadata, "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}, "minReplicas": 2, "maxReplicas": 5}}),
        ],
        "ConfigMap" => vec![json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"a": "1", "b": "2"}})],
        "Role" => vec![json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": [
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get"]}]})],
        "NetworkPolicy" => vec![json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": metadata,
            "spec": {"podSelector": {"matchLabels": {"app": name}}, "policyTypes": ["Egress"]}})],
        "ServiceAccount" => vec![json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata,
            "automountServiceAccountToken": false})],
        other => panic!("no {other}"),
    }
}

#[test]
fn forged_managers_and_stripped_managed_fields_hide_nothing() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let name = |number: usize| format!("attempt-{number:02}");
    for (number, attempt) in ATTEMPTS.iter().enumerate() {
        let items = manifest(attempt.on, &world.namespace, &name(number));
        let list = |items: &[Value]| json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
        world.repo.write(&format!("manifests/{}.json", name(number)), list(&items));
        let file = world.repo.path().join(".git/live.json");
        std::fs::write(&file, list(&items[..1])).unwrap();
        world.kubectl(&["apply", "-f", file.to_str().unwrap()]);
    }
    world.repo.commit("what we run");
    let autoscalers = ATTEMPTS.iter().filter(|attempt| attempt.on == "Scaled").count();
    let before = world.json(&["diff"], 1);
    assert_eq!(before["findings"].as_array().unwrap().len(), autoscalers, "{before:#}");
    for (number, attempt) in ATTEMPTS.iter().enumerate() {
        let kind = if attempt.on == "Scaled" { "Deployment" } else { attempt.on };
        for command in attempt.by {
            let object = format!("{kind}/{}", name(number));
            let words = command.iter().map(|word| match *word {
                "{}" => object.clone(),
                other => other.replace("NAME", &name(number)),
            });
            let words: Vec<String> = words.collect();
            world.kubectl(&words.iter().map(String::as_str).collect::<Vec<_>>());
        }
    }
    let report = world.json(&["diff"], 1);
    let found: BTreeSet<(&str, &str)> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["object"]["name"].as_str().unwrap(), finding["path"].as_str().unwrap_or_default()))
        .collect();
    let place = |(number, attempt): (usize, &Attempt)| (name(number), attempt.at.replace("NAME", &name(number)));
    let places: Vec<_> = ATTEMPTS.iter().enumerate().map(place).collect();
    let missed: Vec<_> = places.iter().filter(|(object, path)| !found.contains(&(object, path))).collect();
    println!("{} attempts, {} found", ATTEMPTS.len(), ATTEMPTS.len() - missed.len());
    assert!(missed.is_empty(), "{missed:?} are missed: {report:#}");
    // Nothing is found but what was done.
    // Where managers were stripped, the deployment controller's own annotation is excused by nothing either.
    let also = [
        "",
        "metadata.managedFields",
        "metadata.annotations.x",
        r#"metadata.annotations["trueup.dev/ignore"]"#,
        r#"metadata.annotations["deployment.kubernetes.io/revision"]"#,
    ];
    let is_planted = |place: &&(&str, &str)| {
        let same = |(object, path): &(String, String)| object == place.0 && path == place.1;
        places.iter().any(same) || also.contains(&place.1)
    };
    let more: Vec<_> = found.iter().filter(|place| !is_planted(place)).collect();
    assert!(more.is_empty(), "{more:?}");
}
