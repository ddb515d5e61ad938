//! The policy's own rules: what `check` and `diff` say of them, and `policy import`.

use std::path::Path;

use super::{World, config_map, live_config_map};

fn import_file(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/import").join(name).display().to_string()
}

#[test]
fn imported_rules_are_a_policy_that_is_used() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write("argo.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: a}\nspec:\n  destination: {namespace: shop}\n  ignoreDifferences:\n  - {kind: ConfigMap, jsonPointers: [/data/level]}\n");
    assert_eq!(world.run(&["diff"]).code, 1);
    let ran = world.run(&["policy", "import", "argo.yaml"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""));
    world.write("policies/imported.toml", &ran.stdout);
    world.commit();
    let ran = world.run(&["diff", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["findings"][0]["lane"]), (0, &serde_json::json!("ignore")), "{}", ran.stdout);
    assert_eq!(
        report["findings"][0]["reasons"][0],
        "policies/imported.toml:7: ignore rule a: imported from Argo CD: Application a"
    );
    let record = std::fs::read_to_string(world.state().join("ignore-rules.json")).unwrap();
    assert!(record.contains("\"matched\""), "{record}");
}

#[test]
fn what_is_not_imported_is_counted_and_files_without_rules_are_refused() {
    let world = World::empty();
    let ran = world.run(&["policy", "import", &import_file("argo-application.yaml"), &import_file("flux.yaml")]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, "7 not imported: see the comments that begin with `Not imported`\n"));
    world.write("a.yaml", config_map("a", "info"));
    let message = "error: no ignore rule in these files: give Argo CD Applications, the ConfigMap argocd-cm, Flux HelmReleases or Kustomizations, or manifests with Flux's annotations";
    world.run(&["policy", "import", "a.yaml"]).failed(2, message);
    world.run(&["policy", "import", "b.yaml"]).failed(2, "error: cannot read `b.yaml`: No such file or directory (os error 2)");
    world.write("c.yaml", "a: [");
    assert_eq!(world.run(&["policy", "import", "c.yaml"]).code, 2);
}

#[test]
fn check_names_classes_without_effect() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    assert_eq!(world.run(&["check"]).code, 0);
    world.write(
        "policies/b.toml",
        "[[class]]\nname = \"strict\"\nlane = \"escalate\"\nmatch = { kind = \"Role*\" }\n\n[[class]]\nname = \"late\"\nlane = \"review\"\nmatch = { kind = \"RoleBinding\" }\n",
    );
    let ran = world.run(&["check"]);
    let line = "policies/b.toml:6:1: unreachable: class `late` never has an effect: policies/b.toml:1: class strict matches wherever it does, comes first and is as strict; remove it, or change what it matches\n";
    assert_eq!((ran.code, ran.stdout.as_str()), (2, line));
    // It is no reason not to judge.
    world.write("live/a.yaml", live_config_map("a", "info"));
    world.commit();
    assert_eq!(world.run(&["diff"]).code, 0);
}

#[test]
fn a_rule_that_matches_nothing_for_long_is_told() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "info"));
    world.write("policies/ignore.toml", "[[ignore]]\nname = \"level\"\nmatch = { path = \"data.level\" }\n");
    world.commit();
    let record = world.state().join("ignore-rules.json");
    world.run(&["diff", "--work-tree"]);
    assert!(!record.exists(), "what is not committed counts for nothing");
    assert_eq!(world.run(&["diff"]).code, 0);
    let text = std::fs::read_to_string(&record).unwrap();
    let mut written: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert!(written["rules"]["level"]["matched"].is_null(), "{text}");
    written["rules"]["level"]["since"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&record, written.to_string()).unwrap();
    let told = |ran: &super::Ran| {
        ran.stdout.contains("ignore rule `level` has matched nothing for")
            || ran.stderr.contains("ignore rule `level` has matched nothing for")
    };
    let ran = world.run(&["diff"]);
    assert!(ran.code == 0 && told(&ran), "{ran:?}");
    let ran = world.run(&["check"]);
    assert!(ran.code == 0 && told(&ran), "{ran:?}");
    // It matches again, or is another rule now: nothing is told.
    world.write("live/a.yaml", live_config_map("a", "debug"));
    assert!(!told(&world.run(&["diff"])) && !told(&world.run(&["check"])));
    std::fs::write(&record, written.to_string()).unwrap();
    world.write("policies/ignore.toml", "[[ignore]]\nname = \"level\"\nmatch = { path = \"data.other\" }\n");
    world.commit();
    assert!(!told(&world.run(&["diff"])) && !told(&world.run(&["check"])));
    // A record that cannot be read is begun anew.
    std::fs::write(&record, "{").unwrap();
    assert!(!told(&world.run(&["diff"])));
    assert!(serde_json::from_str::<serde_json::Value>(&std::fs::read_to_string(&record).unwrap()).is_ok());
}

#[test]
fn a_condition_that_fails_is_a_problem_in_the_report() {
    let world = World::of(&[("manifests/a.yaml", &config_map("a", "info"))]);
    world.write("live/a.yaml", live_config_map("a", "debug"));
    world.write(
        "policies/drift.toml",
        "[[class]]\nname = \"a\"\nlane = \"auto\"\nstage = \"auto\"\nmatch = { cel = \"object.live.spec.x\" }\n",
    );
    world.commit();
    let ran = world.run(&["diff", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.code, &report["findings"][0]["lane"]), (1, &serde_json::json!("review")));
    assert_eq!(report["problems"][0]["code"], "condition-failed", "{}", ran.stdout);
    assert_eq!(
        report["problems"][0]["message"],
        "class `a` could not be evaluated and counts as strict: there is no field `spec`: ask with has(…) first"
    );
}
