//! The whole line: see, correct, propose, take back.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::git::git;
use crate::world::{Rights, World, is_dry_run};

/// Objects of kube-prometheus, as they are but for their namespace.
pub(super) const OBJECTS: [&str; 20] = [
    "blackboxExporter-configuration.yaml",
    "blackboxExporter-deployment.yaml",
    "blackboxExporter-networkPolicy.yaml",
    "blackboxExporter-service.yaml",
    "blackboxExporter-serviceAccount.yaml",
    "grafana-dashboardSources.yaml",
    "grafana-deployment.yaml",
    "grafana-networkPolicy.yaml",
    "grafana-service.yaml",
    "kubeStateMetrics-deployment.yaml",
    "kubeStateMetrics-service.yaml",
    "nodeExporter-daemonset.yaml",
    "nodeExporter-networkPolicy.yaml",
    "prometheus-podDisruptionBudget.yaml",
    "prometheus-roleBindingConfig.yaml",
    "prometheus-roleConfig.yaml",
    "prometheus-service.yaml",
    "prometheusAdapter-configMap.yaml",
    "prometheusAdapter-deployment.yaml",
    "prometheusAdapter-podDisruptionBudget.yaml",
];

const CONFIG: &str = "ConfigMap/blackbox-exporter-configuration";
const IMAGE: &str = "Deployment/blackbox-exporter spec.template.spec.containers[name=blackbox-exporter].image";

/// What [`edit_by_hand`] leaves: where, how, in which lane, written by what.
const DRIFT: [(&str, &str, &str, &str); 6] = [
    ("ConfigMap/blackbox-exporter-configuration data[\"config.yml\"]", "changed", "auto", "kubectl-edit"),
    (IMAGE, "changed", "review", "kubectl-set"),
    (
        "Deployment/grafana spec.template.spec.containers[name=grafana].env[name=GF_LOG_LEVEL]",
        "undeclared",
        "review",
        "kubectl-set",
    ),
    ("Deployment/prometheus-adapter spec.replicas", "changed", "review", "kubectl"),
    ("NetworkPolicy/grafana metadata.annotations.note", "undeclared", "review", "kubectl-annotate"),
    ("Service/kube-state-metrics metadata.labels.team", "undeclared", "review", "kubectl-label"),
];

/// One edit of each kind that people make.
fn edit_by_hand(world: &World) {
    let image = "blackbox-exporter=quay.io/prometheus/blackbox-exporter:v0.28.0-hot";
    world.kubectl(&["set", "image", "deployment/blackbox-exporter", image]);
    world.kubectl(&["set", "env", "deployment/grafana", "-c", "grafana", "GF_LOG_LEVEL=debug"]);
    world.kubectl(&["label", "service/kube-state-metrics", "team=night"]);
    world.kubectl(&["scale", "deployment/prometheus-adapter", "--replicas=5"]);
    world.kubectl(&["annotate", "networkpolicy/grafana", "note=opened by hand"]);
    world.kubectl_with(&["edit", CONFIG], &[("KUBE_EDITOR", "sed -i s/ip4/ip6/")]);
}

/// `Kind/name path` of a finding.
fn place(finding: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    format!("{}/{} {}", text(&finding["object"]["kind"]), text(&finding["object"]["name"]), text(&finding["path"]))
}

fn places(report: &Value) -> Vec<String> {
    report["findings"].as_array().unwrap().iter().map(place).collect()
}

#[test]
fn drift_is_seen_corrected_proposed_and_taken_back() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.declare(&OBJECTS);
    let report = world.json(&["diff"], 0);
    assert_eq!((&report["findings"], &report["problems"]), (&json!([]), &json!([])));
    edit_by_hand(&world);
    let before = world.json(&["diff"], 1);
    assert_eq!(before["targets"][0]["objects"], json!({"declared": 20, "true": 14, "drifted": 6, "unknown": 0, "skipped": 0}));
    seen_with_their_writers(&before);

    let synced = world.json(&["sync"], 1);
    let run = corrected_by_one_patch(&world, &synced);
    let branch = proposed(&world, &before, &synced);
    assert_eq!(places(&world.json(&["diff"], 1)), DRIFT[1..].iter().map(|(place, ..)| *place).collect::<Vec<_>>());
    nothing_more_to_do(&world);

    let undone = world.trueup(&["undo", &run]);
    assert_eq!(undone.code, Some(0), "{undone:?}");
    assert!(world.live(CONFIG, "/data/config.yml").as_str().unwrap().contains("ip6"));
    nothing_more_to_do(&world);
    let held = world.json(&["sync", "--dry-run"], 1);
    assert!(held["runs"].to_string().contains("undone by run"), "{held:#}");

    world.repo.git(&["merge", "-q", "--no-edit", &branch]);
    assert_eq!(places(&world.json(&["diff"], 1)), [DRIFT[0].0], "what is held alone is left");
    world.records();
}

fn seen_with_their_writers(report: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let seen: Vec<_> = findings
        .map(|finding| (place(finding), text(&finding["change"]), text(&finding["lane"]), text(&finding["cause"]["manager"])))
        .collect();
    let planted =
        DRIFT.map(|(place, change, lane, manager)| (place.to_owned(), change.to_owned(), lane.to_owned(), manager.to_owned()));
    assert_eq!(seen, planted);
    for finding in report["findings"].as_array().unwrap() {
        assert_eq!(finding["evidence"], "baseline", "{finding:#}");
        assert_eq!(finding["cause"]["confidence"], "reported", "{finding:#}");
    }
}

/// The one that may be corrected: live is right again, by one dry run and one patch of the very version that was judged.
fn corrected_by_one_patch(world: &World, synced: &Value) -> String {
    let patches: Vec<&Value> = synced["runs"].as_array().unwrap().iter().filter(|run| run["action"] == "patch").collect();
    let [run] = patches[..] else { panic!("one patch, not {patches:#?}") };
    assert_eq!(run["status"], "settled", "{run:#}");
    let id = run["id"].as_str().unwrap().to_owned();
    assert!(!world.live(CONFIG, "/data/config.yml").as_str().unwrap().contains("ip6"));
    let Some(writes) = world.writes() else { return id };
    let (asked, sent): (Vec<Value>, Vec<Value>) = writes.into_iter().partition(|event| event["verb"] == "create");
    assert!(asked.iter().all(is_dry_run), "{asked:#?}");
    let [dry_run, patch] = &sent[..] else { panic!("one dry run and one patch, not {sent:#?}") };
    assert!(is_dry_run(dry_run) && !is_dry_run(patch), "{sent:#?}");
    for event in [dry_run, patch] {
        assert_eq!((&event["verb"], &event["responseStatus"]["code"]), (&json!("patch"), &json!(200)), "{event:#}");
        assert!(event["userAgent"].as_str().unwrap().ends_with(&format!("run/{id}")), "{event:#}");
        let body = &event["requestObject"];
        assert_eq!(body["metadata"].as_object().unwrap().keys().collect::<Vec<_>>(), ["resourceVersion", "uid"]);
        assert_eq!(body["metadata"]["uid"], world.live(CONFIG, "/metadata/uid"));
        assert_eq!(body["data"], run["patch"]["data"]);
    }
    assert_eq!(world.live(CONFIG, "/metadata/resourceVersion"), patch["responseObject"]["metadata"]["resourceVersion"]);
    id
}

/// The others: one class of one application, so one proposal. Its branch is one commit of just their files, and its patch is
/// one that `git am` takes to the same end.
fn proposed(world: &World, report: &Value, synced: &Value) -> String {
    let review: Vec<&Value> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["lane"] == "review").collect();
    let ids: BTreeSet<&str> = review.iter().map(|finding| finding["id"].as_str().unwrap()).collect();
    let runs = synced["runs"].as_array().unwrap().iter();
    let proposals: Vec<&Value> = runs.filter(|run| run["action"] == "pull-request").collect();
    let [run] = proposals[..] else { panic!("one proposal, not {proposals:#?}") };
    assert_eq!(run["status"], "opened", "{run:#}");
    let named: BTreeSet<&str> = run["finding"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    assert_eq!((&named, named.len()), (&ids, 5), "{run:#}");
    let patch = Path::new(run["url"].as_str().unwrap());
    let branch = format!("trueup/{}", patch.file_stem().unwrap().to_str().unwrap());
    assert_eq!(world.repo.git(&["rev-parse", &format!("{branch}~1")]), world.repo.git(&["rev-parse", "main"]));
    let files: BTreeSet<&str> = review.iter().map(|finding| finding["origin"]["file"].as_str().unwrap()).collect();
    let changed = world.repo.git(&["diff", "--name-only", "main", &branch]);
    assert_eq!(changed.lines().collect::<BTreeSet<_>>(), files);
    let clone = TempDir::new().unwrap();
    git(clone.path(), &["clone", "-q", world.repo.path().to_str().unwrap(), "."]);
    git(clone.path(), &["am", "-q", patch.to_str().unwrap()]);
    let tree = world.repo.git(&["rev-parse", &format!("{branch}^{{tree}}")]);
    assert_eq!(git(clone.path(), &["rev-parse", "HEAD^{tree}"]), tree);
    branch
}

/// A round with the same findings writes nothing: not to the cluster, not to the ledger, not to Git.
fn nothing_more_to_do(world: &World) {
    let real = || world.writes().map(|writes| writes.iter().filter(|event| !is_dry_run(event)).count());
    let state = || (real(), world.records(), world.repo.git(&["for-each-ref"]));
    let before = state();
    let again = world.json(&["sync"], 1);
    assert_eq!(state(), before, "{:#}", again["runs"]);
}
