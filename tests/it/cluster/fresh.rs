//! A fresh install: what `trueup init` writes changes nothing anywhere, and each stage that is raised does what its comment
//! says and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::world::{Rights, World, is_dry_run};

const FILES: [&str; 3] = ["blackboxExporter-configuration.yaml", "grafana-deployment.yaml", "grafana-service.yaml"];
const CONFIG: &str = "configmap/blackbox-exporter-configuration";

/// What `trueup init` wrote, with manifests of somebody's own, as they run.
fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    for file in ["trueup.toml", "policies/drift.toml"] {
        std::fs::remove_file(world.repo.path().join(file)).unwrap();
    }
    let written = world.trueup(&["init"]);
    assert_eq!(written.code, Some(0), "{written:?}");
    std::fs::remove_file(world.repo.path().join("manifests/example.yaml")).unwrap();
    world.declare(&FILES);
    Some(world)
}

/// One drift for each class that `init` writes: a setting, an image, a restart, a weakening, and what no class names.
fn drift(world: &World) {
    world.kubectl(&["patch", CONFIG, "-p", r#"{"data": {"config.yml": "by hand"}}"#]);
    world.kubectl(&["set", "image", "deployment/grafana", "grafana=registry.example/grafana:hot"]);
    let annotation =
        r#"{"spec": {"template": {"metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "2026-11-21T02:31:40Z"}}}}}"#;
    world.kubectl(&["patch", "deployment/grafana", "-p", annotation]);
    let privileged = r#"{"spec": {"template": {"spec": {"containers": [{"name": "grafana", "securityContext": {"allowPrivilegeEscalation": true}}]}}}}"#;
    world.kubectl(&["patch", "deployment/grafana", "-p", privileged]);
    world.kubectl(&["label", "service/grafana", "team=night"]);
}

/// Raises the stage of one of `init`'s classes, and says so in its case.
fn raise(world: &World, class: &str, stage: &str, decision: &str) {
    let edit = |file: &str, from: &str, changes: &[(&str, &str)]| {
        let path = world.repo.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let (before, after) = text.split_once(from).unwrap_or_else(|| panic!("no {from} in {file}"));
        let after = changes.iter().fold(after.to_owned(), |after, (old, new)| after.replacen(old, new, 1));
        std::fs::write(path, format!("{before}{from}{after}")).unwrap();
    };
    let staged = format!("stage = \"{stage}\"");
    edit("policies/drift.toml", &format!("name = \"{class}\""), &[("stage = \"observe\"", &staged)]);
    let decided = format!("decision = \"{decision}\"");
    let changes = [("stage = \"observe\"", staged.as_str()), ("decision = \"leave\"", &decided)];
    edit("policies/drift.cases.toml", &format!("class = \"{class}\""), &changes);
    world.repo.commit(&format!("{class} may {stage}"));
}

/// Classes, with what became of their findings.
fn outcomes(report: &Value) -> BTreeSet<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let runs = report["runs"].as_array().unwrap().iter();
    let ends = |run: &Value| format!("{} {}", text(&run["action"]), text(&run["status"]));
    let class = |id: &Value| {
        let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["id"] == *id);
        finding.map_or_else(|| "corrected".to_owned(), |finding| text(&finding["class"]))
    };
    runs.flat_map(|run| run["finding"].as_array().unwrap().iter().map(move |id| (class(id), ends(run)))).collect()
}

fn set(rows: &[(&str, &str)]) -> BTreeSet<(String, String)> {
    rows.iter().map(|(class, end)| ((*class).to_owned(), (*end).to_owned())).collect()
}

#[test]
fn a_fresh_install_writes_nothing_and_one_class_that_is_raised_corrects_its_own_findings() {
    let Some(world) = world() else { return };
    world.json(&["check"], 0);
    assert_eq!(world.json(&["diff"], 0)["findings"], json!([]));
    drift(&world);
    let versions = || [CONFIG, "deployment/grafana", "service/grafana"].map(|object| world.live(object, "/metadata/generation"));
    let before = (versions(), world.live(CONFIG, "/metadata/resourceVersion"));
    for _ in 0..2 {
        let left: BTreeSet<_> = outcomes(&world.json(&["sync"], 1));
        let classes = ["config-value", "everything-else", "image-change", "policy-weakened", "restart"];
        assert_eq!(left, set(&classes.map(|class| (class, "none left"))));
    }
    assert_eq!((versions(), world.live(CONFIG, "/metadata/resourceVersion")), before);
    assert_eq!(world.repo.git(&["branch", "--list", "trueup/*"]), "");
    assert_eq!(world.json(&["runs"], 0), json!([]));
    assert!(world.patches().is_none_or(|patches| patches.is_empty()));

    raise(&world, "config-value", "auto", "correct");
    let others = ["everything-else", "image-change", "policy-weakened", "restart"].map(|class| (class, "none left"));
    let corrected = [&others[..], &[("corrected", "patch settled")]].concat();
    assert_eq!(outcomes(&world.json(&["sync"], 1)), set(&corrected));
    assert!(world.live(CONFIG, "/data/config.yml").as_str().unwrap().starts_with("\"modules\""));
    assert_eq!(versions(), before.0, "of the others nothing");
    assert_eq!(world.repo.git(&["branch", "--list", "trueup/*"]), "");

    raise(&world, "image-change", "recommend", "propose");
    raise(&world, "everything-else", "recommend", "propose");
    raise(&world, "policy-weakened", "recommend", "escalate");
    let report = world.json(&["sync"], 1);
    let rows = [
        ("everything-else", "pull-request opened"),
        ("image-change", "pull-request opened"),
        ("policy-weakened", "escalate escalated"),
        ("restart", "none left"),
    ];
    assert_eq!(outcomes(&report), set(&rows), "{report:#}");
    assert_eq!(world.repo.git(&["branch", "--list", "trueup/*"]).lines().count(), 2);
    assert_eq!(versions(), before.0);
    world.records();
    assert!(world.patch_codes().is_none_or(|codes| codes == [200]), "{:?}", world.patch_codes());
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(|event| is_dry_run(event) || event["verb"] == "patch"), "{writes:#?}");
    }
}
