//! Where trueup cannot judge, or must not: one message, the right exit code, nothing written.

use serde_json::json;

use crate::world::{Ended, Rights, World, ended};

const CONFIG: &str = "blackboxExporter-configuration.yaml";

fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.declare(&[CONFIG]);
    world.kubectl(&["patch", "configmap", "blackbox-exporter-configuration", "-p", r#"{"data": {"config.yml": "by hand"}}"#]);
    Some(world)
}

fn has_not_written(world: &World) {
    assert_eq!(world.live("configmap/blackbox-exporter-configuration", "/data/config.yml"), "by hand");
    if let Some(writes) = world.writes() {
        assert!(writes.iter().all(|event| event["verb"] == "create"), "{writes:#?}");
    }
    assert_eq!(world.repo.git(&["branch", "--list", "trueup/*"]), "");
}

#[test]
fn another_cluster_an_unreachable_one_and_an_empty_source_are_refused() {
    let Some(world) = world() else { return };
    another_cluster(&world);
    unreachable(&world);
    nothing_declared(&world);
    has_not_written(&world);
    // The world is as it should be: with none of these mistakes, it is corrected.
    world.repo.git(&["checkout", "-q", "HEAD~1", "--", "manifests"]);
    world.repo.commit("back again");
    world.json(&["sync"], 0);
}

/// Given in the configuration, or remembered from an earlier round.
fn another_cluster(world: &World) {
    let configuration = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
    world.repo.write("trueup.toml", format!("{configuration}cluster_uid = \"11111111-2222-3333-4444-555555555555\"\n"));
    for arguments in [&["sync"][..], &["sync", "--dry-run"]] {
        let refused = world.trueup(arguments);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(2), ""), "{refused:?}");
        assert!(refused.stderr.contains("is another cluster now"), "{refused:?}");
    }
    world.repo.write("trueup.toml", configuration);
}

fn unreachable(world: &World) {
    let kubeconfig = world.kubeconfig_of("https://127.0.0.1:1");
    for command in ["diff", "sync"] {
        let blind: Ended = ended(world.command_by(&kubeconfig, &[command, "-o", "json"]));
        assert_eq!(blind.code, Some(3), "{blind:?}");
        let report = blind.json();
        assert_eq!(report["targets"][0]["verdict"], "unknown");
        assert_eq!(report["findings"], json!([]));
        let [problem] = &report["problems"].as_array().unwrap()[..] else { panic!("{report:#}") };
        assert_eq!(problem["code"], "cluster-unreachable");
        let message = problem["message"].as_str().unwrap();
        assert!(message.contains("127.0.0.1:1") && message.contains("refused"), "{message}");
        assert_eq!(message.matches("Connection refused").count(), 1, "{message}");
    }
}

fn nothing_declared(world: &World) {
    world.repo.git(&["rm", "-q", "-r", "manifests"]);
    world.repo.write("manifests/README.md", "nothing here\n");
    world.repo.commit("all gone");
    for command in ["diff", "sync"] {
        let report = world.json(&[command], 3);
        assert_eq!(report["targets"][0]["verdict"], "unknown");
        let [problem] = &report["problems"].as_array().unwrap()[..] else { panic!("{report:#}") };
        assert_eq!(problem["code"], "nothing-declared");
    }
}
