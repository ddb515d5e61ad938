//! Rights and quotas that go while a round is at work: what is refused is recorded with what to grant, and the rest goes on.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use super::proxy::{Fate, Moment, Proxy};
use crate::deploy::install::EXAMPLE;
use crate::world::{Rights, World, ended, within};

const DRIFT: &str = r#"{"data": {"level": "debug"}}"#;

fn config_map(namespace: &str, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": {"level": "info"}})
}

/// Three drifted `ConfigMap`s: two in the first namespace, one in another, which comes later in the order of objects.
fn world() -> Option<(World, String)> {
    let mut world = World::new(Rights::Baseline)?;
    let another = format!("{EXAMPLE}-two");
    world.install.apply_text(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": another}}).to_string());
    let binding = include_str!("../../../manifests/example/correct.yaml");
    world.install.apply_text(&binding.replace(EXAMPLE, &another));
    let other = world.install.named(&another);
    for (namespace, name) in [(&world.namespace, "a"), (&world.namespace, "b"), (&other, "c")] {
        world.repo.write(&format!("manifests/{name}.json"), config_map(namespace, name).to_string());
    }
    world.repo.commit("what we run");
    let folder = world.repo.path().join("manifests");
    let applied = world.install.administer(&["apply", "-f", folder.to_str().unwrap()]);
    assert!(applied.ok, "{applied:?}");
    for (namespace, name) in [(&world.namespace, "a"), (&world.namespace, "b"), (&other, "c")] {
        let drifted = world.install.administer(&["patch", "configmap", name, "-n", namespace, "--type=merge", "-p", DRIFT]);
        assert!(drifted.ok, "{drifted:?}");
    }
    let can_patch = ["auth", "can-i", "patch", "configmaps", "-n", &other];
    crate::deploy::install::eventually(|| world.install.ask(&can_patch), |answer| answer.ok);
    Some((world, other))
}

fn level(world: &World, namespace: &str, name: &str) -> String {
    world.install.administer(&["get", "configmap", name, "-n", namespace, "-o", "jsonpath={.data.level}"]).stdout
}

#[test]
fn a_right_that_is_lost_mid_run_stops_what_needs_it_and_the_rest_goes_on() {
    let Some((world, other)) = world() else { return };
    let before = world.json(&["diff"], 1);
    let proxy = taking_the_right_before_the_first_write(&world);
    let synced = ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]));
    assert_eq!(synced.code, Some(1), "{synced:?}");
    let report = synced.json();
    let told: Vec<(String, &Value)> =
        report["runs"].as_array().unwrap().iter().map(|run| (object(&before, run), &run["status"])).collect();
    let refused = json!("refused");
    assert_eq!(told, [("a".to_owned(), &refused), ("b".to_owned(), &refused), ("c".to_owned(), &json!("settled"))], "{report:#}");
    let reasons = report["runs"][0]["reasons"].to_string();
    assert!(reasons.contains("grant the verb `patch` on `configmaps` to trueup's account"), "{reasons}");
    let levels = || [level(&world, &world.namespace, "a"), level(&world, &world.namespace, "b"), level(&world, &other, "c")];
    assert_eq!(levels(), ["debug", "debug", "info"]);
    // No hot loop: after three refusals within the hour people are told, and nothing is asked for any more.
    for _ in 0..2 {
        world.json(&["sync"], 1);
    }
    let told = world.json(&["sync"], 1);
    let statuses: Vec<&Value> = told["runs"].as_array().unwrap().iter().map(|run| &run["status"]).collect();
    assert_eq!(statuses, ["escalated", "escalated"], "{told:#}");
    let is_patch = |event: &&Value| event["verb"] == "patch";
    let patches = || world.writes().map(|writes| writes.iter().filter(is_patch).count());
    let before = (world.records(), patches());
    world.json(&["sync"], 1);
    assert_eq!((world.records(), patches()), before, "people are told once, and not even a dry run is sent");
    assert_eq!(levels(), ["debug", "debug", "info"]);
}

/// The name of the object that a run is about.
fn object(report: &Value, run: &Value) -> String {
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == run["finding"][0]);
    finding.unwrap()["object"]["name"].as_str().unwrap().to_owned()
}

/// Its dry run was admitted; by the time of the write the right is gone.
fn taking_the_right_before_the_first_write(world: &World) -> Proxy {
    let (kubectl, namespace) = (world.kubectl_program().to_owned(), world.namespace.clone());
    let account = format!("--as=system:serviceaccount:{}:trueup", world.install.namespace());
    let (binding, writes) = (world.install.named("trueup-correct"), AtomicUsize::new(0));
    Proxy::start(world, move |moment| {
        if moment == Moment::Before && writes.fetch_add(1, Ordering::SeqCst) == 0 {
            let run = |arguments: &[&str]| {
                let mut command = Command::new(&kubectl);
                command.args(["--namespace", &namespace]).args(arguments).stdout(Stdio::null()).stderr(Stdio::null());
                command.status().unwrap().success()
            };
            assert!(run(&["delete", "rolebinding", &binding]));
            // The server's authorizer learns of it within moments.
            while run(&["auth", "can-i", "patch", "configmaps", &account]) {}
        }
        Fate::Pass
    })
}

#[test]
fn what_a_quota_does_not_admit_goes_to_review_in_the_servers_words() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let policy = "[[class]]\nname = \"all\"\nlane = \"auto\"\nstage = \"auto\"\n\n[[case]]\nname = \"a type by hand\"\n\
        object = { apiVersion = \"v1\", kind = \"Service\", namespace = \"shop\", name = \"web\" }\npath = \"spec.type\"\n\
        desired = \"LoadBalancer\"\nlive = \"ClusterIP\"\nclass = \"all\"\nlane = \"auto\"\nstage = \"auto\"\ndecision = \"correct\"\n";
    world.repo.write("policies/drift.toml", policy);
    let metadata = json!({"name": "web", "namespace": world.namespace});
    let spec = json!({"type": "LoadBalancer", "allocateLoadBalancerNodePorts": false, "ports": [{"port": 80}]});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec});
    world.repo.write("manifests/web.json", service.to_string());
    world.repo.commit("what we run");
    world.apply(&[]);
    let by_hand = r#"{"spec": {"type": "ClusterIP", "allocateLoadBalancerNodePorts": null}}"#;
    world.kubectl(&["patch", "service/web", "--type=merge", "-p", by_hand]);
    let proxy = limiting_before_the_first_patch(&world);
    let synced = ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]));
    assert_eq!(synced.code, Some(1), "{synced:?}");
    let report = synced.json();
    let runs = report["runs"].as_array().unwrap();
    let patch = runs.iter().find(|run| run["action"] == "patch").unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(patch["status"], "inadmissible", "{patch:#}");
    let proposal = runs.iter().find(|run| run["action"] == "pull-request").unwrap_or_else(|| panic!("{report:#}"));
    for run in [patch, proposal] {
        assert!(run["reasons"].to_string().contains("exceeded quota: none"), "{run:#}");
    }
    assert_eq!(world.live("service/web", "/spec/type"), "ClusterIP");
    let next = world.json(&["sync"], 1);
    assert!(next["runs"].as_array().unwrap().iter().all(|run| run["action"] != "patch"), "{next:#}");
    assert!(next["problems"].to_string().contains("exceeded quota: none"), "{next:#}");
    assert!(world.patch_codes().is_none_or(|codes| codes.is_empty()), "its dry run was refused");
}

/// What Git declares was admitted when it was asked about; by the time of the correction it would be one too many.
fn limiting_before_the_first_patch(world: &World) -> Proxy {
    let (kubectl, namespace) = (world.kubectl_program().to_owned(), world.namespace.clone());
    let patches = AtomicUsize::new(0);
    Proxy::of_all(world, move |line, moment| {
        if moment == Moment::Before && line.starts_with("PATCH ") && patches.fetch_add(1, Ordering::SeqCst) == 0 {
            let run = |arguments: &[&str]| {
                let output = Command::new(&kubectl).args(["--namespace", &namespace]).args(arguments).output().unwrap();
                assert!(output.status.success(), "{output:?}");
                String::from_utf8(output.stdout).unwrap()
            };
            run(&["create", "quota", "none", "--hard=services.loadbalancers=0"]);
            // Until its controller has counted, a quota refuses nothing.
            let counted = || run(&["get", "quota", "none", "-o", "jsonpath={.status.used}"]);
            within(Duration::from_mins(1), counted, |used| used.contains(r#""services.loadbalancers":"0""#));
        }
        Fate::Pass
    })
}
