//! Secrets on a real server: with `secrets = "off"` nothing asks for them, by whatever route.

use serde_json::{Value, json};

use crate::world::{Rights, World};

const CANARY: &str = "canary-5eb63bbb";
const CANARY_BASE64: &str = "Y2FuYXJ5LTVlYjYzYmJi";

fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    let secret = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\n  namespace: {}\nstringData:\n  password: {CANARY}\n",
        world.namespace
    );
    world.repo.write("manifests/login.yaml", secret);
    world.declare(&["blackboxExporter-configuration.yaml", "grafana-service.yaml"]);
    world.kubectl(&["patch", "configmap", "blackbox-exporter-configuration", "-p", r#"{"data": {"config.yml": "by hand"}}"#]);
    world.kubectl(&["patch", "secret", "login", "-p", r#"{"stringData": {"password": "by hand"}}"#]);
    Some(world)
}

/// Whether a request names Secrets, or an answer carries one.
fn is_about_secrets(event: &Value) -> bool {
    let uri = event["requestURI"].as_str().unwrap_or_default();
    let text = event.to_string();
    event["objectRef"]["resource"] == "secrets"
        || uri.contains("/secrets")
        || text.contains(CANARY)
        || text.contains(CANARY_BASE64)
}

#[test]
fn off_asks_for_no_secret_by_whatever_route() {
    let Some(world) = world() else { return };
    for (arguments, code) in [
        (&["check"][..], 0),
        (&["render"], 0),
        (&["doctor"], 0),
        (&["diff"], 1),
        (&["diff", "-o", "json"], 1),
        (&["diff", "--all-paths", "Secret/login"], 0),
        (&["explain", "Secret/login"], 0),
        (&["explain", "Secret/login", "data.password"], 0),
        (&["explain", "Service/grafana", "spec.clusterIP"], 0),
        (&["sync", "--dry-run"], 1),
        (&["sync"], 0),
    ] {
        let ended = world.trueup(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:?}");
        assert!(!format!("{ended:?}").contains(CANARY), "{arguments:?}");
    }
    let report = world.json(&["diff"], 0);
    assert_eq!(report["targets"][0]["objects"], json!({"declared": 3, "true": 2, "drifted": 0, "unknown": 0, "skipped": 1}));
    let Some(requests) = world.requests() else { return };
    assert!(requests.len() > 10, "{}", requests.len());
    let about_secrets: Vec<&Value> = requests.iter().filter(|event| is_about_secrets(event)).collect();
    assert!(about_secrets.is_empty(), "{about_secrets:#?}");
}

/// The one right that the shipped manifests leave to whoever wants Secrets compared.
fn may_read_secrets(world: &mut World) {
    // As the manifests name it; this installation's own name is put in its place.
    let (namespace, group) = ("trueup-system", "rbac.authorization.k8s.io");
    let name = format!("{namespace}-secrets");
    let role = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRole", "metadata": {"name": name},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}]});
    let binding = json!({"apiVersion": format!("{group}/v1"), "kind": "ClusterRoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": "trueup", "namespace": namespace}]});
    world.install.apply_text(&format!("{role}\n---\n{binding}\n"));
}

#[test]
fn digest_asks_for_them_and_says_no_value() {
    let Some(mut world) = world() else { return };
    let configuration = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
    world.repo.write("trueup.toml", format!("{configuration}secrets = \"digest\"\n"));
    // Without the right to read them they are unknown, never missing.
    let report = world.json(&["diff"], 3);
    assert_eq!(report["targets"][0]["objects"]["unknown"], 1, "{report:#}");
    may_read_secrets(&mut world);
    let mut ended = world.trueup(&["diff", "-o", "json"]);
    for _ in 0..50 {
        if ended.code == Some(1) {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
        ended = world.trueup(&["diff", "-o", "json"]);
    }
    let report = ended.json();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["path"] == "data.password");
    let finding = finding.unwrap_or_else(|| panic!("{report:#}"));
    assert_eq!(finding["lane"], "review", "{finding:#}");
    assert!(finding["desired"]["masked"].is_string() && finding["desired"] != finding["live"], "{finding:#}");
    for arguments in [&["diff"][..], &["explain", "Secret/login"], &["diff", "--all-paths", "Secret/login"], &["sync"]] {
        let ended = crate::world::ended({
            let mut command = world.command(arguments);
            command.env("TRUEUP_LOG", "trace");
            command
        });
        let text = format!("{}{}", ended.stdout, ended.stderr);
        assert!(!text.contains(CANARY) && !text.contains(CANARY_BASE64), "{arguments:?}:\n{text}");
    }
    assert_eq!(world.live("secret/login", "/data/password"), "YnkgaGFuZA==", "never corrected");
    let Some(requests) = world.requests() else { return };
    assert!(requests.iter().any(is_about_secrets), "the other test can fail");
}
