//! What Git declared once: a key that was taken out, a manifest that was deleted; read from Git's own history.

use serde_json::{Value, json};

use crate::cli::{SNAPSHOT, World};
use crate::world::value_left_behind;

fn policy() -> String {
    let class = "[[class]]\nname = \"left\"\nmatch = { change = [\"leftover\", \"extra-object\"] }\nlane = \"auto\"\nstage = \"auto\"\n\n";
    format!("{class}{}", value_left_behind("left"))
}

/// A `ConfigMap` with these lines in its metadata and in its data.
fn config_map(name: &str, metadata: &str, data: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: shop\n{metadata}data:\n{data}")
}

/// One that was made long ago and has all of its managers.
fn live(name: &str, metadata: &str, data: &str) -> String {
    let managers = "  managedFields:\n  - apiVersion: v1\n    fieldsType: FieldsV1\n    fieldsV1: {\"f:data\": {\".\": {}, \"f:a\": {}, \"f:b\": {}}}\n    \
                    manager: kubectl-edit\n    operation: Update\n    time: \"2001-01-01T00:00:01Z\"\n";
    config_map(name, &format!("  uid: u-{name}\n  resourceVersion: \"7\"\n{metadata}{managers}"), data)
}

const MADE: &str = "  creationTimestamp: \"2001-01-01T00:00:00Z\"\n";

fn report(world: &World, arguments: &[&str]) -> Value {
    serde_json::from_slice(&world.command(&[arguments, &["-o", "json"]].concat()).output().unwrap().stdout).unwrap()
}

/// Kind and name, path, change, lane of each finding.
fn found(report: &Value) -> Vec<[String; 4]> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |finding: &Value| {
        [text(&finding["object"]["name"]), text(&finding["path"]), text(&finding["change"]), text(&finding["lane"])]
    };
    report["findings"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_key_that_was_taken_out_is_left_over() {
    let world = World::of(&[("manifests/app.yaml", &config_map("app", "", "  a: x\n  b: x\n"))]);
    world.write("policies/drift.toml", policy());
    // The file is given another name, and then loses the key.
    std::fs::rename(world.folder().join("manifests/app.yaml"), world.folder().join("manifests/renamed.yaml")).unwrap();
    world.commit();
    world.write("manifests/renamed.yaml", config_map("app", "", "  a: x\n"));
    world.write("live/app.yaml", live("app", MADE, "  a: x\n  b: by hand\n  c: by hand\n"));
    let row = |path: &str, change: &str, lane: &str| ["app", path, change, lane].map(str::to_owned);
    // Before it is committed, the commit itself is history.
    let on_disk = report(&world, &["diff", "--work-tree"]);
    assert_eq!(found(&on_disk), [row("data.b", "leftover", "auto"), row("data.c", "undeclared", "review")], "{on_disk:#}");
    assert_eq!(
        on_disk["findings"][0]["cause"]["formerly"],
        "Git declared it at manifests/renamed.yaml:8:6 until the files on disk"
    );
    let commit = world.commit();
    for _ in 0..2 {
        let report = report(&world, &["diff"]);
        assert_eq!(found(&report), [row("data.b", "leftover", "auto"), row("data.c", "undeclared", "review")], "{report:#}");
        let formerly = format!("Git declared it at manifests/renamed.yaml:8:6 until commit {}", &commit[..7]);
        assert_eq!(
            report["findings"][0]["cause"],
            json!({"manager": "kubectl-edit", "operation": "Update", "subresource": null,
            "time": "2001-01-01T00:00:01Z", "confidence": "reported", "formerly": formerly})
        );
        assert!(report["findings"][0]["reasons"].as_array().unwrap().contains(&json!(formerly)), "{report:#}");
    }
    // A class names it: it is taken out, and nothing else.
    let synced = report(&world, &["sync"]);
    let patches = synced["runs"].as_array().unwrap().iter().filter_map(|run| run.get("patch"));
    assert_eq!(patches.collect::<Vec<_>>(), [&json!({"data": {"b": null}})], "{synced:#}");
    assert_eq!(found(&report(&world, &["diff"])), [row("data.c", "undeclared", "review")]);
}

#[test]
fn a_deleted_manifest_leaves_an_object_that_is_reported_and_never_deleted() {
    let first = config_map("gone", "", "  a: x\n");
    let world = World::of(&[("manifests/app.yaml", &config_map("app", "", "  a: x\n")), ("manifests/gone.yaml", &first)]);
    world.write("policies/drift.toml", policy());
    std::fs::remove_file(world.folder().join("manifests/gone.yaml")).unwrap();
    let commit = world.commit();
    world.write("live/app.yaml", live("app", MADE, "  a: x\n"));
    world.write("live/gone.yaml", live("gone", MADE, "  a: x\n  b: y\n"));
    world.write("live/other.yaml", live("other", MADE, "  a: x\n"));
    let seen = report(&world, &["diff"]);
    assert_eq!(found(&seen), [["gone", "", "extra-object", "review"].map(str::to_owned)], "{seen:#}");
    let finding = &seen["findings"][0];
    assert_eq!(finding["cause"]["formerly"], format!("Git declared it at manifests/gone.yaml:1:1 until commit {}", &commit[..7]));
    assert_eq!(
        seen["targets"][0]["objects"],
        json!({"declared": 1, "true": 1, "drifted": 0, "unknown": 0, "skipped": 0, "extra": 1})
    );
    assert_eq!(seen["targets"][0]["verdict"], "drift");
    let before = world.read("live/gone.yaml");
    let synced = world.run(&["sync"]);
    assert_eq!(synced.code, 1, "{synced:?}");
    assert_eq!(world.read("live/gone.yaml"), before);
    // Once it is gone, whatever comes by its name is not what Git declared.
    std::fs::remove_file(world.folder().join("live/gone.yaml")).unwrap();
    assert_eq!(world.run(&["diff"]).code, 0);
    world.write("live/gone.yaml", live("gone", MADE, "  a: x\n"));
    assert_eq!(world.run(&["diff"]).code, 0);
}

#[test]
fn what_is_not_ours_is_no_extra_object() {
    let child = "  ownerReferences:\n  - {apiVersion: v1, kind: Pod, name: p, uid: u}\n";
    let helm = "  annotations: {meta.helm.sh/release-name: shop}\n";
    let keep = "  annotations: {helm.sh/resource-policy: keep}\n";
    for (name, was, is) in [
        ("child", "", format!("{MADE}{child}")),
        ("another-tools", "", format!("{MADE}{helm}")),
        ("kept", keep, format!("{MADE}{keep}")),
        ("made-later", "", "  creationTimestamp: \"2100-01-01T00:00:00Z\"\n".to_owned()),
        ("being-deleted", "", format!("{MADE}  deletionTimestamp: \"2001-01-01T00:00:00Z\"\n")),
    ] {
        let world = World::of(&[
            ("manifests/app.yaml", &config_map("app", "", "  a: x\n")),
            ("manifests/gone.yaml", &config_map("gone", was, "  a: x\n")),
        ]);
        std::fs::remove_file(world.folder().join("manifests/gone.yaml")).unwrap();
        world.commit();
        world.write("live/app.yaml", live("app", MADE, "  a: x\n"));
        world.write("live/gone.yaml", live("gone", &is, "  a: x\n"));
        let ran = world.run(&["diff"]);
        assert_eq!(ran.code, 0, "{name}: {ran:?}");
    }
}

#[test]
fn what_moved_is_not_gone() {
    let world = World::of(&[
        ("manifests/app.yaml", &config_map("app", "", "  a: x\n")),
        ("manifests/gone.yaml", &config_map("gone", "", "  a: x\n")),
    ]);
    world.write("live/app.yaml", live("app", MADE, "  a: x\n"));
    world.write("live/gone.yaml", live("gone", MADE, "  a: x\n"));
    // Out of this target's paths, into a folder that something else applies.
    std::fs::create_dir_all(world.folder().join("elsewhere")).unwrap();
    std::fs::rename(world.folder().join("manifests/gone.yaml"), world.folder().join("elsewhere/gone.yaml")).unwrap();
    world.commit();
    assert_eq!(world.run(&["diff"]).code, 0);
    // A manifest that cannot be read may be the one that declares it.
    std::fs::remove_dir_all(world.folder().join("elsewhere")).unwrap();
    world.write("manifests/broken.yaml", "a: [\n");
    world.commit();
    let report = report(&world, &["diff"]);
    assert_eq!((found(&report), &report["targets"][0]["verdict"]), (vec![], &json!("unknown")), "{report:#}");
}

#[test]
fn an_emptied_source_makes_nothing_extra() {
    let world = World::of(&[("manifests/app.yaml", &config_map("app", "", "  a: x\n"))]);
    world.write("live/app.yaml", live("app", MADE, "  a: x\n"));
    std::fs::remove_file(world.folder().join("manifests/app.yaml")).unwrap();
    world.write("trueup.toml", SNAPSHOT);
    world.commit();
    let ran = world.run(&["diff"]);
    assert_eq!((ran.code, ran.stdout.contains("extra-object")), (3, false), "{ran:?}");
}

/// Commits that change nothing.
fn idle(world: &World, commits: usize) {
    let repository = git2::Repository::open(world.folder()).unwrap();
    let who = git2::Signature::now("Ada", "ada@example.org").unwrap();
    for _ in 0..commits {
        let head = repository.head().unwrap().peel_to_commit().unwrap();
        repository.commit(Some("HEAD"), &who, &who, "idle", &head.tree().unwrap(), &[&head]).unwrap();
    }
}

#[test]
fn a_thousand_commits_are_looked_back() {
    let world = World::of(&[
        ("manifests/app.yaml", &config_map("app", "", "  a: x\n")),
        ("manifests/gone.yaml", &config_map("gone", "", "  a: x\n")),
    ]);
    std::fs::remove_file(world.folder().join("manifests/gone.yaml")).unwrap();
    world.commit();
    world.write("live/app.yaml", live("app", MADE, "  a: x\n"));
    world.write("live/gone.yaml", live("gone", MADE, "  a: x\n"));
    idle(&world, 999);
    assert_eq!(found(&report(&world, &["diff"])).len(), 1, "the 1000th commit back took it out");
    idle(&world, 1);
    assert_eq!(found(&report(&world, &["diff"])).len(), 0, "the 1001st");
}
