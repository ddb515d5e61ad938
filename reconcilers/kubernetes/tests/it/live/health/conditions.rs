//! Other kinds against `kubectl wait`.

use serde_json::{Value, json};

use super::{Compared, Verdict, patch, patch_status, pods};
use crate::live::{World, world};

fn waits(world: &World, object: &str, condition: &str) -> bool {
    world.kubectl.run(&["wait", object, &format!("--for={condition}"), "--timeout=0s"], None).is_ok()
}

/// The conditions that mean done and failed for each kind.
fn by_wait(world: &World, object: &str) -> Verdict {
    let kind = object.split(['/', '.']).next().unwrap_or_default();
    let (done, failed) = match kind {
        "job" => ("condition=complete", "condition=failed"),
        "persistentvolumeclaim" => ("jsonpath={.status.phase}=Bound", "jsonpath={.status.phase}=Lost"),
        "crd" => ("condition=established", "condition=namesaccepted=false"),
        "pod" => ("condition=ready", "jsonpath={.status.phase}=Failed"),
        _ => ("condition=ready", "condition=ready=false"),
    };
    match (waits(world, object, failed), waits(world, object, done)) {
        (true, _) => Verdict::Failed,
        (false, true) => Verdict::Done,
        (false, false) => Verdict::Waiting,
    }
}

#[tokio::test]
async fn jobs_claims_definitions_and_resources_are_healthy_when_kubectl_would_stop_waiting() {
    let Some(world) = world("conditions").await else { return };
    let mut compared = Compared::by(&world, by_wait);
    jobs(&mut compared);
    claims(&mut compared);
    definitions(&mut compared);
    let counts = [Verdict::Done, Verdict::Waiting, Verdict::Failed].map(|verdict| compared.count(verdict));
    println!("{} cases: {counts:?} done, waiting, failed", compared.verdicts.len());
    assert!(compared.verdicts.len() >= 12 && counts.iter().all(|count| *count >= 3), "{counts:?}");
}

fn job(name: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": {"backoffLimit": 0, "template": {
        "metadata": {"labels": {"app": name}}, "spec": {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [{"name": "app", "image": "x:1"}]}}}});
    for (key, value) in spec.as_object().expect("an object") {
        object["spec"][key] = value.clone();
    }
    object
}

fn jobs(compared: &mut Compared<'_>) {
    let world = compared.world;
    world.kubectl.apply(&[job("good", &json!({})), job("bad", &json!({})), job("idle", &json!({"suspend": true}))]);
    compared.say("job/idle", Verdict::Waiting);
    for (name, phase, verdict) in [("good", "Succeeded", Verdict::Done), ("bad", "Failed", Verdict::Failed)] {
        let object = format!("job/{name}");
        compared.say(&object, Verdict::Waiting);
        let end = std::time::Instant::now() + super::PATIENCE;
        while pods(world, name).is_empty() && std::time::Instant::now() < end {}
        let pod = format!("pod/{}", pods(world, name)[0]["metadata"]["name"].as_str().expect("a name"));
        compared.say(&pod, Verdict::Waiting);
        patch_status(world, &pod, &json!({ "phase": phase }));
        compared.say(&object, verdict);
    }
}

fn claims(compared: &mut Compared<'_>) {
    let (world, object) = (compared.world, "persistentvolumeclaim/c");
    let size = json!({"storage": "1Mi"});
    world.kubectl.apply(&[json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {
        "accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": world.namespace, "resources": {"requests": size}}})]);
    compared.say(object, Verdict::Waiting);
    world.kubectl.apply(&[
        json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": world.namespace}, "spec": {
        "capacity": size, "accessModes": ["ReadWriteOnce"], "storageClassName": "", "persistentVolumeReclaimPolicy": "Retain",
        "nfs": {"server": "192.0.2.1", "path": "/"}, "claimRef": {"name": "c", "namespace": world.namespace}}}),
    ]);
    compared.say(object, Verdict::Done);
    let volume = format!("persistentvolume/{}", world.namespace);
    patch(world, &volume, &json!({"metadata": {"finalizers": null}}));
    world.kubectl.must(&["delete", &volume, "--wait=false"]);
    patch_if_there(world, &volume);
    compared.say(object, Verdict::Failed);
}

/// The protection may have put its finalizer back.
fn patch_if_there(world: &World, volume: &str) {
    let patch = json!({"metadata": {"finalizers": null}}).to_string();
    world.kubectl.run(&["patch", volume, "--type=merge", "-p", &patch], None).ok();
}

fn definition(group: &str, plural: &str, kind: &str) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": format!("{plural}.{group}")},
        "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural}, "versions": [{"name": "v1",
            "served": true, "storage": true, "subresources": {"status": {}}, "schema": {"openAPIV3Schema": {"type": "object",
            "x-kubernetes-preserve-unknown-fields": true}}}]}})
}

fn definitions(compared: &mut Compared<'_>) {
    let (world, group) = (compared.world, format!("{}.example.com", compared.world.namespace));
    world.kubectl.apply(&[definition(&group, "widgets", "Widget")]);
    compared.say(&format!("crd/widgets.{group}"), Verdict::Done);
    world.kubectl.apply(&[definition(&group, "others", "Widget")]);
    compared.say(&format!("crd/others.{group}"), Verdict::Failed);
    world.kubectl.must(&["delete", "crd", &format!("others.{group}")]);
    world
        .kubectl
        .apply(&[json!({"apiVersion": format!("{group}/v1"), "kind": "Widget", "metadata": {"name": "w"}, "spec": {"size": 1}})]);
    let object = format!("widgets.{group}/w");
    compared.say(&object, Verdict::Waiting);
    for (status, verdict) in [("True", Verdict::Done), ("Unknown", Verdict::Waiting), ("False", Verdict::Failed)] {
        let condition = json!({"type": "Ready", "status": status, "reason": "Test", "message": "", "lastTransitionTime": "2026-11-21T02:31:40Z"});
        patch_status(world, &object, &json!({"conditions": [condition]}));
        compared.say(&object, verdict);
    }
    world.kubectl.must(&["delete", "crd", &format!("widgets.{group}")]);
}
