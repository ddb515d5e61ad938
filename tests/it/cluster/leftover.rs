//! What was declared once and no longer is: taken out of Git after each way of applying it, and a deleted manifest.

use serde_json::{Value, json};

use crate::world::{Rights, World, is_dry_run, value_left_behind};

const CLASS: &str = r#"
[[class]]
name = "left"
match = { change = ["leftover", "extra-object"] }
lane = "auto"
stage = "auto"
ownership = "take"

"#;

fn policy() -> String {
    format!("{CLASS}{}", value_left_behind("left"))
}

fn config_map(world: &World, name: &str, data: &Value) -> String {
    let metadata = json!({"name": name, "namespace": world.namespace});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}).to_string()
}

/// Applies a text that is not in Git.
fn apply(world: &World, text: &str, flags: &[&str]) {
    let file = world.repo.path().join(".git/applied.json");
    std::fs::write(&file, text).unwrap();
    world.kubectl(&[&["apply", "-f", file.to_str().unwrap()], flags].concat());
}

/// Name, path, change and manager of each finding.
fn found(report: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |finding: &Value| {
        [&finding["object"]["name"], &finding["path"], &finding["change"], &finding["cause"]["manager"]].map(text)
    };
    report["findings"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_key_that_left_git_is_left_over_however_it_was_applied() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.repo.write("policies/drift.toml", policy());
    let (long, short) = (json!({"a": "x", "b": "y", "c": "z"}), json!({"a": "x", "c": "z"}));
    // Git held the whole of one of them; of the others it never said more than it says now.
    world.repo.write("manifests/in-git.json", config_map(&world, "in-git", &long));
    world.repo.commit("all of it");
    for (name, flags, edited) in [
        ("client", &[][..], false),
        ("client-edited", &[], true),
        ("in-git", &["--server-side"], true),
        ("nobody", &[], true),
        ("server", &["--server-side"], false),
        ("server-edited", &["--server-side"], true),
    ] {
        apply(&world, &config_map(&world, name, if name == "nobody" { &short } else { &long }), flags);
        if edited {
            world.kubectl_with(
                &["patch", "configmap", name, "--field-manager=kubectl-edit", "-p", r#"{"data": {"b": "by hand"}}"#],
                &[],
            );
        }
        world.repo.write(&format!("manifests/{name}.json"), config_map(&world, name, &short));
    }
    world.repo.commit("less of it");
    let report = world.json(&["diff"], 1);
    let row = |name: &str, change: &str, manager: &str| [name, "data.b", change, manager].map(str::to_owned);
    assert_eq!(
        found(&report),
        [
            row("client", "leftover", "kubectl-client-side-apply"),
            row("client-edited", "leftover", "kubectl-edit"),
            row("in-git", "leftover", "kubectl-edit"),
            row("nobody", "undeclared", "kubectl-edit"),
            row("server", "leftover", "kubectl"),
            // The edit took the field from its owner in managedFields, and Git's history has none of it: nothing tells.
            row("server-edited", "undeclared", "kubectl-edit"),
        ],
        "{report:#}"
    );
    world.json(&["sync"], 1);
    for (name, left) in
        [("client", Value::Null), ("client-edited", Value::Null), ("in-git", Value::Null), ("server", Value::Null)]
            .into_iter()
            .chain([("nobody", json!("by hand")), ("server-edited", json!("by hand"))])
    {
        assert_eq!(world.live(&format!("configmap/{name}"), "/data/b"), left, "{name}");
        assert_eq!(world.live(&format!("configmap/{name}"), "/data/a"), "x", "{name}");
    }
}

#[test]
fn a_deleted_manifest_leaves_a_finding_and_no_delete() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.repo.write("policies/drift.toml", policy());
    world.declare(&["blackboxExporter-configuration.yaml", "grafana-deployment.yaml", "grafana-service.yaml"]);
    for file in ["grafana-deployment.yaml", "grafana-service.yaml"] {
        std::fs::remove_file(world.repo.path().join("manifests").join(file)).unwrap();
    }
    let commit = world.repo.commit("grafana goes");
    world.kubectl(&["delete", "service", "grafana"]);
    let report = world.json(&["diff"], 1);
    let places: Vec<_> = found(&report).into_iter().map(|[name, path, change, _]| [name, path, change]).collect();
    assert_eq!(places, [["grafana", "", "extra-object"].map(str::to_owned)], "{report:#}");
    assert_eq!(report["findings"][0]["lane"], "review", "{report:#}");
    let formerly = report["findings"][0]["cause"]["formerly"].as_str().unwrap();
    assert!(formerly.ends_with(&format!("until commit {}", &commit[..7])), "{formerly}");
    let synced = world.json(&["sync"], 1);
    assert!(synced["runs"].to_string().contains("kubectl delete Deployment"), "{synced:#}");
    assert_eq!(world.live("deployment/grafana", "/metadata/name"), "grafana");
    // What was seen gone is asked for once, what is there each time.
    let asked = |kind: &str| {
        let path = format!("/namespaces/{}/{kind}/grafana", world.namespace);
        world
            .requests()
            .map(|requests| requests.iter().filter(|event| event["requestURI"].as_str().unwrap().ends_with(&path)).count())
    };
    world.json(&["diff"], 1);
    if let (Some(deployments), Some(services)) = (asked("deployments"), asked("services")) {
        assert_eq!((deployments, services), (3, 1));
    }
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(is_dry_run), "{writes:#?}");
    }
    // Somebody else's by the same name is nobody's leftover. Git and the server tell whole seconds, so it is made in a later one.
    std::thread::sleep(std::time::Duration::from_secs(1));
    world.kubectl(&["delete", "deployment", "grafana"]);
    world.kubectl(&["create", "deployment", "grafana", "--image=registry.example/grafana:1"]);
    assert_eq!(found(&world.json(&["diff"], 0)), Vec::<[String; 4]>::new());
}
