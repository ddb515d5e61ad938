//! Workloads against `kubectl rollout status`.

use serde_json::{Value, json};
use trueup_core::health::Health;
use trueup_kubernetes::health::{of, vitals};

use super::{Compared, PATIENCE, Verdict, get, kubelet, patch, patch_status, pods};
use crate::live::{World, world};

fn by_rollout(world: &World, object: &str) -> Verdict {
    match world.kubectl.run(&["rollout", "status", object, "--watch=false"], None) {
        Ok(words) => {
            let done = ["successfully rolled out", "roll out complete", "rolling update complete"];
            if done.iter().any(|done| words.contains(done)) { Verdict::Done } else { Verdict::Waiting }
        }
        Err(words) => {
            assert!(words.contains("exceeded its progress deadline"), "{words}");
            Verdict::Failed
        }
    }
}

fn workload(kind: &str, name: &str, spec: &Value) -> Value {
    let mut object = json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name}, "spec": {
        "selector": {"matchLabels": {"app": name}}, "template": {"metadata": {"labels": {"app": name}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "app", "image": "x:1"}]}}}});
    for (key, value) in spec.as_object().expect("an object") {
        object["spec"][key] = value.clone();
    }
    object
}

fn image(world: &World, object: &str, image: &str) {
    world.kubectl.must(&["set", "image", object, &format!("app={image}")]);
}

/// All pods become ready, those that come meanwhile too, until kubectl calls it rolled out.
fn roll_out(compared: &mut Compared<'_>, object: &str, app: &str) {
    let end = std::time::Instant::now() + PATIENCE;
    while by_rollout(compared.world, object) != Verdict::Done && std::time::Instant::now() < end {
        kubelet(compared.world, app, usize::MAX, true);
    }
    compared.say(object, Verdict::Done);
}

#[tokio::test]
async fn a_workload_is_healthy_exactly_when_kubectl_calls_it_rolled_out() {
    let Some(world) = world("rollouts").await else { return };
    let mut compared = Compared::by(&world, by_rollout);
    deployment(&mut compared);
    deadline(&mut compared);
    stateful_set(&mut compared);
    daemon_set(&mut compared);
    let counts = [Verdict::Done, Verdict::Waiting, Verdict::Failed].map(|verdict| compared.count(verdict));
    println!("{} cases: {counts:?} done, waiting, failed", compared.verdicts.len());
    assert!(compared.verdicts.len() >= 20 && counts[0] >= 8 && counts[1] >= 8 && counts[2] >= 1, "{counts:?}");
    refused_and_broken_pods(&world).await;
}

fn deployment(compared: &mut Compared<'_>) {
    let (world, object) = (compared.world, "deployment/d");
    world.kubectl.apply(&[workload("Deployment", "d", &json!({"replicas": 2}))]);
    compared.say(object, Verdict::Waiting);
    kubelet(world, "d", 1, true);
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "d");
    image(world, object, "x:2");
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "d");
    world.kubectl.must(&["rollout", "pause", object]);
    image(world, object, "x:3");
    compared.say(object, Verdict::Waiting);
    world.kubectl.must(&["rollout", "resume", object]);
    roll_out(compared, object, "d");
    world.kubectl.must(&["scale", object, "--replicas=0"]);
    compared.say(object, Verdict::Done);
    world.kubectl.must(&["scale", object, "--replicas=3"]);
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "d");
    kubelet(world, "d", 1, false);
    compared.say(object, Verdict::Waiting);
}

fn deadline(compared: &mut Compared<'_>) {
    let (world, object) = (compared.world, "deployment/late");
    world.kubectl.apply(&[workload("Deployment", "late", &json!({"replicas": 1, "progressDeadlineSeconds": 1}))]);
    compared.say(object, Verdict::Failed);
    roll_out(compared, object, "late");
}

fn stateful_set(compared: &mut Compared<'_>) {
    let (world, object) = (compared.world, "statefulset/s");
    world.kubectl.apply(&[workload("StatefulSet", "s", &json!({"replicas": 2, "serviceName": "s"}))]);
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "s");
    patch(world, object, &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 1}}}}));
    compared.say(object, Verdict::Done);
    image(world, object, "x:2");
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "s");
    patch(world, object, &json!({"spec": {"updateStrategy": {"rollingUpdate": {"partition": 0}}}}));
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "s");
}

/// On a node of this test's own, which no other pod wants.
fn daemon_set(compared: &mut Compared<'_>) {
    let (world, object) = (compared.world, "daemonset/n");
    let label = json!({"trueup.dev/test": world.namespace});
    let taint = json!([{"key": "trueup.dev/test", "effect": "NoSchedule"}]);
    let template = json!({"metadata": {"labels": {"app": "n"}}, "spec": {"nodeSelector": label,
        "tolerations": [{"operator": "Exists"}], "containers": [{"name": "app", "image": "x:1"}]}});
    world.kubectl.apply(&[workload("DaemonSet", "n", &json!({ "template": template }))]);
    compared.say(object, Verdict::Done);
    let node = Node { world };
    world.kubectl.apply(&[json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": world.namespace, "labels": label},
        "spec": {"taints": taint}})]);
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "n");
    image(world, object, "x:2");
    compared.say(object, Verdict::Waiting);
    roll_out(compared, object, "n");
    drop(node);
}

/// A node that goes with the test, however it ends.
struct Node<'a> {
    world: &'a World,
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        // What is left of it is in the cluster for tests alone.
        self.world.kubectl.run(&["delete", "node", &self.world.namespace, "--ignore-not-found"], None).ok();
    }
}

/// Where kubectl waits for ever, and the words of controllers and kubelets tell that waiting does not help.
async fn refused_and_broken_pods(world: &World) {
    let none =
        json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}});
    world.kubectl.apply(&[workload("Deployment", "looping", &json!({"replicas": 1}))]);
    let id = world.declare(workload("Deployment", "looping", &json!({}))).id;
    let end = std::time::Instant::now() + PATIENCE;
    while pods(world, "looping").is_empty() && std::time::Instant::now() < end {}
    assert!(matches!(vitals(&world.cluster, &world.catalog, &id).await.health, Health::Progressing(_)));
    let name = pods(world, "looping")[0]["metadata"]["name"].as_str().expect("a name").to_owned();
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}});
    patch_status(
        world,
        &format!("pod/{name}"),
        &json!({"phase": "Running", "containerStatuses": [{"name": "app", "image": "x:1", "imageID": "", "ready": false,
            "restartCount": 2, "state": waiting}]}),
    );
    let seen = vitals(&world.cluster, &world.catalog, &id).await;
    assert!(matches!(&seen.health, Health::Unhealthy(why) if why.starts_with("CrashLoopBackOff")), "{seen:?}");
    assert_eq!(seen.restarts.values().sum::<u32>(), 2, "{seen:?}");
    world.kubectl.apply(&[none]);
    // Until its controller has counted, a quota refuses nothing.
    let end = std::time::Instant::now() + PATIENCE;
    while get(world, "resourcequota/none")["status"]["hard"]["pods"] != "0" && std::time::Instant::now() < end {}
    world.kubectl.apply(&[workload("Deployment", "refused", &json!({"replicas": 1}))]);
    while matches!(of(&get(world, "deployment/refused"), &[]), Health::Progressing(_)) && std::time::Instant::now() < end {}
    let refused = of(&get(world, "deployment/refused"), &[]);
    assert!(matches!(&refused, Health::Unhealthy(why) if why.contains("exceeded quota")), "{refused}");
    assert_eq!(by_rollout(world, "deployment/refused"), Verdict::Waiting);
}
