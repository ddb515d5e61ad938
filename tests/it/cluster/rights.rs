//! What trueup does with fewer rights than it would like: it says so, and never takes what it cannot see for gone.

use serde_json::{Value, json};

use crate::world::{Rights, World};

const OBJECTS: [&str; 3] = ["blackboxExporter-configuration.yaml", "blackboxExporter-networkPolicy.yaml", "grafana-service.yaml"];

fn edit_config(world: &World) {
    let patch = r#"{"data": {"config.yml": "by hand"}}"#;
    world.kubectl(&["patch", "configmap", "blackbox-exporter-configuration", "-p", patch]);
}

#[test]
fn without_the_right_to_create_less_judges_and_nothing_is_corrected() {
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&OBJECTS);
    let report = world.json(&["diff"], 0);
    assert_eq!(report["findings"], json!([]));
    edit_config(&world);
    let report = world.json(&["diff"], 1);
    let [finding] = &report["findings"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!((&finding["evidence"], &finding["lane"]), (&json!("apply"), &json!("auto")), "{finding:#}");
    assert_eq!(report["problems"][0]["code"], "no-baseline", "{report:#}");
    let version = world.live("configmap/blackbox-exporter-configuration", "/metadata/resourceVersion");
    let synced = world.json(&["sync"], 1);
    let [run] = &synced["runs"].as_array().unwrap()[..] else { panic!("{synced:#}") };
    assert_eq!((&run["action"], &run["status"]), (&json!("none"), &json!("held")), "{run:#}");
    assert!(run["reasons"].to_string().contains("judged by a dry run of applying it"), "{run:#}");
    assert_eq!(world.live("configmap/blackbox-exporter-configuration", "/metadata/resourceVersion"), version);
    if let Some(writes) = world.writes() {
        let is_refused = |event: &Value| event["verb"] == "create" && event["responseStatus"]["code"] == 403;
        let is_dry_run = |event: &Value| event["requestURI"].as_str().is_some_and(|uri| uri.contains("?dryRun=All&"));
        assert!(writes.iter().all(|event| is_refused(event) || is_dry_run(event)), "{writes:#?}");
    }
}

#[test]
fn a_kind_that_may_not_be_listed_is_unknown_and_its_neighbours_are_judged() {
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&OBJECTS);
    forbid_networkpolicies(&world);
    edit_config(&world);
    let report = world.json(&["diff"], 3);
    assert_eq!(report["targets"][0]["verdict"], "unknown");
    assert_eq!(report["targets"][0]["objects"], json!({"declared": 3, "true": 1, "drifted": 1, "unknown": 1, "skipped": 0}));
    let [finding] = &report["findings"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!(finding["object"]["kind"], "ConfigMap");
    let problems: Vec<&Value> =
        report["problems"].as_array().unwrap().iter().filter(|problem| problem["code"] == "kind-not-visible").collect();
    let [problem] = problems[..] else { panic!("{problems:#?}") };
    let message = problem["message"].as_str().unwrap();
    assert!(message.contains("no right to list `networkpolicies.networking.k8s.io`"), "{message}");
    assert!(message.contains("grant the verb `list` on it to trueup's account"), "{message}");
}

fn forbid_networkpolicies(world: &World) {
    let role = world.install.named("trueup-observe-built-in");
    let mut object: Value = serde_json::from_str(&world.kubectl(&["get", "clusterrole", &role, "-o", "json"])).unwrap();
    for rule in object["rules"].as_array_mut().unwrap() {
        rule["resources"].as_array_mut().unwrap().retain(|resource| resource != "networkpolicies");
    }
    let patch = json!({"rules": object["rules"]}).to_string();
    world.kubectl(&["patch", "clusterrole", &role, "--type=merge", "-p", &patch]);
    let list = ["get", "networkpolicies", "-n", &world.namespace];
    crate::deploy::install::eventually(|| world.install.ask(&list), |answer| !answer.ok);
}

#[test]
fn doctor_names_each_right_that_is_not_there_and_no_other() {
    let Some(world) = World::new(Rights::Base) else { return };
    let own = world.install.namespace();
    let configuration = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
    world.repo.write("trueup.toml", format!("{configuration}head = \"{own}/trueup-head\"\n"));
    world.declare(&OBJECTS);
    let told = said_by_doctor(&world, 0);
    let kinds =
        [("configmaps", "configmaps"), ("networkpolicies", "networkpolicies.networking.k8s.io"), ("services", "services")];
    for (kind, full) in kinds {
        for verb in ["list", "patch", "create"] {
            let asked = world.install.ask(&["auth", "can-i", verb, full, "-n", &world.namespace]);
            let line = format!("may not {verb} {full} in namespace {}", world.namespace);
            let is_told = told.iter().any(|text| text.starts_with(&line));
            assert_ne!(asked.stdout.trim() == "yes", is_told, "{verb} {kind}: {asked:?} and {told:#?}");
        }
    }
    assert!(told.contains(&format!("head {own}/trueup-head keeps the ledger's end")), "{told:#?}");

    world.install.administer(&["delete", "rolebinding", "trueup-head", "-n", &own]);
    let can_write = ["auth", "can-i", "patch", "configmaps/trueup-head", "-n", &own];
    crate::deploy::install::eventually(|| world.install.ask(&can_write), |answer| !answer.ok);
    let told = said_by_doctor(&world, 1);
    let lacking = format!("may not patch configmaps trueup-head in namespace {own}: it does not keep the ledger's end");
    assert!(told.contains(&lacking), "{told:#?}");
    world.install.administer(&["delete", "configmap", "trueup-head", "-n", &own]);
    let told = said_by_doctor(&world, 1);
    let unread = format!("head {own}/trueup-head cannot be read, so nothing is written: ");
    assert!(told.iter().any(|text| text.starts_with(&unread)), "{told:#?}");
}

/// What `doctor` says of the target.
fn said_by_doctor(world: &World, code: i32) -> Vec<String> {
    let checks = world.json(&["doctor"], code);
    let of_target = checks.as_array().unwrap().iter().filter(|check| check["what"] == "target monitoring");
    of_target.map(|check| check["detail"].as_str().unwrap().to_owned()).collect()
}

/// Let in, and allowed nothing: that is said, and is never taken for a cluster without anything.
#[test]
fn an_account_without_any_right_sees_nothing_and_writes_nothing() {
    let Some(world) = World::new(Rights::Base) else { return };
    world.declare(&OBJECTS);
    edit_config(&world);
    world.kubectl(&["create", "serviceaccount", "nobody"]);
    let token = world.kubectl(&["create", "token", "nobody"]);
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(world.install.kubeconfig()).unwrap()).unwrap();
    config["users"][0]["user"] = json!({"token": token.trim()});
    let kubeconfig = world.repo.path().join(".git/nobody");
    std::fs::write(&kubeconfig, config.to_string()).unwrap();
    for command in ["diff", "sync"] {
        let ended = crate::world::ended(world.command_by(&kubeconfig, &[command, "-o", "json"]));
        assert_eq!(ended.code, Some(3), "{ended:?}");
        let report = ended.json();
        assert_eq!((&report["targets"][0]["verdict"], &report["findings"]), (&json!("unknown"), &json!([])), "{report:#}");
        for plural in ["configmaps", "networkpolicies.networking.k8s.io", "services"] {
            let told = format!("no right to list `{plural}`");
            assert!(report["problems"].to_string().contains(&told), "{report:#}");
        }
    }
    let doctor = crate::world::ended(world.command_by(&kubeconfig, &["doctor"]));
    assert_eq!(doctor.code, Some(1), "{doctor:?}");
    assert!(doctor.stdout.contains("which cluster this is cannot be read"), "{doctor:?}");
    assert!(doctor.stdout.contains(&format!("may not list configmaps in namespace {}", world.namespace)), "{doctor:?}");
    assert_eq!(world.live("configmap/blackbox-exporter-configuration", "/data/config.yml"), "by hand");
}
