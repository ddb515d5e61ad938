//! What a server never changes in place goes to review with what recreating would cost, however willing the policy is:
//! nothing is deleted, nothing created.

use serde_json::{Value, json};

use crate::world::{Rights, World, is_dry_run, value_by_hand};

/// Everything is to be corrected.
const CLASSES: &str = r#"
[[class]]
name = "all"
lane = "auto"
stage = "auto"

"#;

fn policy() -> String {
    format!("{CLASSES}{}", value_by_hand("all"))
}

/// Declares and applies two objects that Git wants otherwise afterwards: a Service's address, and a Job's template.
fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.repo.write("policies/drift.toml", policy());
    let of = |name: &str| json!({"name": name, "namespace": world.namespace});
    let service = |address: Option<&str>| {
        let mut service =
            json!({"apiVersion": "v1", "kind": "Service", "metadata": of("dns"), "spec": {"ports": [{"port": 53}]}});
        if let Some(address) = address {
            service["spec"]["clusterIP"] = json!(address);
        }
        service.to_string()
    };
    let job = |image: &str| {
        let spec = json!({"restartPolicy": "Never", "schedulerName": "nobody", "containers": [{"name": "app", "image": image}]});
        json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": of("once"), "spec": {"template": {"spec": spec}}}).to_string()
    };
    world.repo.write("manifests/dns.json", service(None));
    world.repo.write("manifests/once.json", job("registry.example/app:1"));
    world.repo.commit("what we run");
    world.apply(&[]);
    let taken = world.live("service/dns", "/spec/clusterIP");
    let taken = taken.as_str().unwrap();
    // Another address of the same range.
    let (range, last) = taken.rsplit_once('.').unwrap();
    let other = format!("{range}.{}", if last.parse::<u8>().unwrap() > 128 { 77 } else { 177 });
    world.repo.write("manifests/dns.json", service(Some(&other)));
    world.repo.write("manifests/once.json", job("registry.example/app:2"));
    world.repo.commit("what cannot be changed in place");
    Some(world)
}

#[test]
fn what_cannot_be_changed_in_place_is_never_recreated() {
    let Some(world) = world() else { return };
    let identities = || ["service/dns", "job/once"].map(|object| world.live(object, "/metadata/uid"));
    let before = identities();
    let synced = world.json(&["sync"], 1);
    let findings = synced["findings"].as_array().unwrap();
    for (kind, path, cost) in [
        ("Service", "spec.clusterIP", "its cluster address changes and its connections break"),
        ("Job", "spec.template.spec.containers[name=app].image", "all its pods end and are started anew"),
    ] {
        let finding = findings.iter().find(|finding| finding["object"]["kind"] == kind && finding["path"] == path);
        let id = &finding.unwrap_or_else(|| panic!("no {kind} {path}: {synced:#}"))["id"];
        let of_it = |run: &&Value| run["finding"].as_array().unwrap().contains(id);
        let runs: Vec<&Value> = synced["runs"].as_array().unwrap().iter().filter(of_it).collect();
        let [run] = runs[..] else { panic!("{kind}: {synced:#}") };
        assert_eq!((&run["action"], &run["patch"]), (&json!("pull-request"), &Value::Null), "{run:#}");
        let reasons = run["reasons"].to_string();
        assert!(reasons.contains("trueup recreates nothing: `kubectl replace --force -f manifests/"), "{reasons}");
        assert!(reasons.contains(cost), "{reasons}");
    }
    world.json(&["sync"], 1);
    assert_eq!(identities(), before, "the very same objects");
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(is_dry_run), "{writes:#?}");
    }
}
