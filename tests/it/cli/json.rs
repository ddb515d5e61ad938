//! `-o json` is what INTERFACE promises: these keys, absent ones absent, and the same bytes each time.

use serde_json::{Value, json};

use super::World;

fn report(world: &World, arguments: &[&str]) -> Value {
    serde_json::from_slice(&world.command(arguments).output().unwrap().stdout).unwrap()
}

/// Takes out what another run has otherwise, after looking at its form.
fn without_digests(mut finding: Value) -> Value {
    for (key, prefix) in [("id", "f-"), ("place", "p-")] {
        let digest = finding[key].as_str().unwrap();
        assert!(digest.starts_with(prefix) && digest.len() == 18, "{digest}");
        finding[key] = json!(prefix);
    }
    finding
}

#[test]
fn the_report_has_its_shape() {
    let world = World::small();
    let report = report(&world, &["diff", "-o", "json"]);
    let keys: Vec<&str> = report.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, ["findings", "problems", "schema", "source", "targets"]);
    assert_eq!(report["schema"], "trueup.report/v1");
    assert_eq!(report["source"]["commit"], world.repo.git(&["rev-parse", "HEAD"]));
    assert_eq!((&report["source"]["ref"], &report["source"]["dirty"]), (&json!("main"), &json!(false)));
    assert_eq!(
        report["targets"],
        json!([
            {"name": "prod-eu", "kind": "snapshot", "verdict": "drift",
             "objects": {"declared": 4, "true": 1, "drifted": 3, "unknown": 0, "skipped": 0}},
            {"name": "data", "kind": "terraform", "verdict": "drift", "serial": 2,
             "objects": {"declared": 2, "true": 1, "drifted": 1, "unknown": 0, "skipped": 0}},
        ])
    );
    assert_eq!(report["problems"], json!([]));
}

#[test]
fn a_finding_has_its_shape() {
    let report = report(&World::small(), &["diff", "-o", "json"]);
    assert_eq!(
        without_digests(report["findings"][2].clone()),
        json!({
            "id": "f-", "kind": "drift", "place": "p-", "target": "prod-eu",
            "object": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "shop", "name": "checkout"},
            "path": "spec.template.spec.containers[name=app].image",
            "pointer": "/spec/template/spec/containers/0/image",
            "change": "changed",
            "desired": "registry.example/checkout:1.4.2", "live": "registry.example/checkout:1.4.3-hot",
            "origin": {"file": "manifests/deployment.yaml", "line": 20, "column": 18, "document": 1},
            "cause": {"manager": "kubectl-set", "operation": "Update", "subresource": null, "time": "2026-11-21T02:47:03Z", "confidence": "reported"},
            "evidence": "table",
            "class": "image-change", "stage": "recommend", "lane": "review",
            "risk": {"score": 65, "factors": [
                {"name": "a value in use", "points": 8}, {"name": "restarts pods", "points": 30},
                {"name": "changes what runs", "points": 16}, {"name": "reaches several pods", "points": 4},
                {"name": "other objects depend on it", "points": 3}, {"name": "judged without a server", "points": 4}]},
            "reasons": ["policies/drift.toml:12: class image-change"],
        })
    );
}

#[test]
fn a_terraform_finding_has_its_shape() {
    let report = report(&World::small(), &["diff", "-o", "json"]);
    let finding = without_digests(report["findings"][0].clone());
    assert_eq!(
        finding["object"],
        json!({"state": "infra/terraform.tfstate", "serial": 2, "lineage": "7be168cd-6ebe-86ac-22c6-4b5a2e29f0d3", "output": "db_endpoint"})
    );
    let keys = finding.as_object().unwrap();
    assert!(!keys.contains_key("path") && !keys.contains_key("pointer"), "{finding}");
    assert_eq!(
        (&finding["desired"], &finding["live"], &finding["evidence"]),
        (&json!("db-a.internal"), &json!("db-b.internal"), &json!("state"))
    );
}

#[test]
fn two_reports_of_one_state_are_the_same_bytes() {
    let world = World::small();
    let first = world.command(&["diff", "-o", "json"]).output().unwrap().stdout;
    assert!(!first.is_empty());
    for _ in 0..3 {
        assert_eq!(world.command(&["diff", "-o", "json"]).output().unwrap().stdout, first);
    }
}

#[test]
fn runs_have_their_shape() {
    let world = World::small();
    let report = report(&world, &["sync", "-o", "json"]);
    let runs = report["runs"].as_array().unwrap();
    let patch = runs.iter().find(|run| run["action"] == "patch").unwrap();
    assert_eq!(
        (&patch["patch"], &patch["inverse"]),
        (&json!({"data": {"LOG_LEVEL": "info"}}), &json!({"data": {"LOG_LEVEL": "debug"}}))
    );
    assert_eq!(patch["status"], "settled");
    let records: Vec<u64> = patch["records"].as_array().unwrap().iter().map(|record| record.as_u64().unwrap()).collect();
    assert!(records.len() == 3 && records.windows(2).all(|pair| pair[1] == pair[0] + 1), "{records:?}");
    assert_eq!(patch["id"].as_str().unwrap().len(), 26);
    let proposals = runs.iter().filter(|run| run["action"] == "pull-request" && run["url"].is_string() && run["id"].is_string());
    assert_eq!((proposals.count(), runs.len()), (2, 4), "{runs:?}");
}

#[test]
fn an_absent_value_is_an_absent_key() {
    let manifest = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: shop}\ndata: {kept: x, gone: z}\n";
    let world = World::of(&[("manifests/a.yaml", manifest)]);
    world.write("live/a.yaml", super::live_config_map("a", "debug").replace("level: debug", "kept: x"));
    let finding = report(&world, &["diff", "-o", "json"])["findings"][0].clone();
    assert_eq!((&finding["change"], &finding["desired"]), (&json!("removed"), &json!("z")));
    assert!(finding.get("live").is_none(), "{finding}");
}
