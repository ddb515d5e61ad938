//! Adoption where the manifests are rendered: the proposal edits what sets the value, and renders to what is live.

use std::path::Path;
use std::process::Command;

use super::render::{configuration, helm, kubectl_program, of_kustomize, report};
use super::{World, config_map, live_config_map};

const REVIEW: &str = r#"[[class]]
name = "everything"
match = { kind = ["ConfigMap", "Deployment"] }
lane = "review"
stage = "recommend"
"#;

const OVERLAY: &str = "[{ path = \"overlays/prod\", render = \"kustomize\" }]";

/// The `ConfigMap` checkout with drift in `data.level`, rendered from these files.
fn world(program: &Path, files: &[(&str, &str)]) -> World {
    let world = World::of(files);
    world.write("policies/drift.toml", REVIEW);
    world.write("live/checkout.yaml", live_config_map("checkout", "debug"));
    world.write("trueup.toml", configuration(&of_kustomize(program), OVERLAY));
    world.commit();
    world
}

/// The lines that the one proposal takes and gives; or why there is none.
fn proposed(world: &World) -> String {
    let runs = report(world, &["sync"], 1)["runs"].clone();
    let branches = world.repo.git(&["branch", "--list", "trueup/*", "--format=%(refname:short)"]);
    let branch = branches.trim();
    if branch.is_empty() {
        return runs[0]["reasons"].as_array().unwrap().last().unwrap().as_str().unwrap().to_owned();
    }
    assert_eq!(branch.lines().count(), 1, "{runs:#}");
    let diff = world.repo.git(&["diff", "-U0", &format!("{branch}~1"), branch]);
    let is_shown = |line: &&str| {
        line.starts_with("+++ b/") || line.starts_with(['+', '-']) && !line.starts_with("--- a/") && !line.starts_with("+++")
    };
    diff.lines().filter(is_shown).map(|line| line.replace("+++ b/", "") + "\n").collect()
}

/// Merged, the proposal leaves nothing to find.
fn merged(world: &World) {
    let branch = world.repo.git(&["branch", "--list", "trueup/*", "--format=%(refname:short)"]);
    world.repo.git(&["merge", "-q", "--no-edit", branch.trim()]);
    assert_eq!(report(world, &["diff"], 0)["findings"], serde_json::json!([]));
}

#[test]
fn the_overlay_that_sets_a_value_is_edited() {
    let Some(kubectl) = kubectl_program() else { return };
    let base = config_map("checkout", "info");
    let mut shown = Vec::new();
    for (name, overlay, more) in [
        (
            "a patch file",
            "resources: [../../base]\npatches:\n- path: level.yaml  # ours\n",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: checkout, namespace: shop}\ndata: {level: warn}  # loud\n",
        ),
        (
            "an inline patch",
            "resources: [../../base]\npatches:\n- patch: |-  # ours\n    apiVersion: v1\n    kind: ConfigMap\n    metadata: {name: checkout, namespace: shop}\n    data:\n      level: warn  # loud\n",
            "",
        ),
        (
            "operations",
            "resources: [../../base]\npatches:\n- path: level.yaml\n  target: {kind: ConfigMap, name: checkout}\n",
            "- {op: replace, path: /data/level, value: warn}\n",
        ),
        (
            "a generator's literal",
            "generatorOptions: {disableNameSuffixHash: true}\nconfigMapGenerator:\n- name: checkout\n  namespace: shop\n  literals:\n  - level=warn # loud\n",
            "",
        ),
        ("the base, which has no other overlay", "namespace: shop\nresources: [../../base]\n", ""),
    ] {
        let world = world(
            &kubectl,
            &[
                ("base/kustomization.yaml", "resources: [map.yaml]\n"),
                ("base/map.yaml", &base),
                ("overlays/prod/kustomization.yaml", overlay),
                ("overlays/prod/level.yaml", more),
            ],
        );
        shown.push(format!("{name}\n{}", proposed(&world)));
        merged(&world);
    }
    insta::assert_snapshot!(shown.concat(), @r###"
a patch file
overlays/prod/level.yaml
-data: {level: warn}  # loud
+data: {level: debug}  # loud
an inline patch
overlays/prod/kustomization.yaml
-      level: warn  # loud
+      level: debug  # loud
operations
overlays/prod/level.yaml
-- {op: replace, path: /data/level, value: warn}
+- {op: replace, path: /data/level, value: debug}
a generator's literal
overlays/prod/kustomization.yaml
-  - level=warn # loud
+  - level=debug # loud
the base, which has no other overlay
base/map.yaml
-  level: info
+  level: debug
"###);
}

#[test]
fn images_and_replicas_of_a_kustomization_follow_live() {
    let Some(kubectl) = kubectl_program() else { return };
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo");
    let read = |file: &str| std::fs::read_to_string(demo.join(file)).unwrap();
    let (base, live) = (read("manifests/deployment.yaml"), read("live/deployment.yaml"));
    let overlay = "resources: [../../base]\nimages:\n- name: registry.example/checkout\n  newTag: 1.4.2  # the release\nreplicas:\n- {name: checkout, count: 3}\n";
    let mut shown = Vec::new();
    for (was, is) in [
        ("", ""),
        ("image: registry.example/checkout:1.4.3-hot", "image: mirror.example/checkout:1.4.3"),
        (
            "image: registry.example/checkout:1.4.3-hot",
            "image: registry.example/checkout@sha256:0000000000000000000000000000000000000000000000000000000000000000",
        ),
        ("image: registry.example/checkout:1.4.3-hot", "image: registry.example/checkout:1.4.2"),
    ] {
        let files = [
            ("base/kustomization.yaml", "resources: [web.yaml]\n"),
            ("base/web.yaml", base.as_str()),
            ("overlays/prod/kustomization.yaml", overlay),
        ];
        let world = World::of(&files);
        world.write("policies/drift.toml", REVIEW);
        let live = live.replace(was, is);
        let live = if is.ends_with(":1.4.2") { live.replacen("  replicas: 3\n", "  replicas: 5\n", 1) } else { live };
        world.write("live/checkout.yaml", live);
        world.write("trueup.toml", configuration(&of_kustomize(&kubectl), OVERLAY));
        world.commit();
        shown.push(proposed(&world));
        merged(&world);
    }
    insta::assert_snapshot!(shown.join("\n"), @r###"
overlays/prod/kustomization.yaml
-  newTag: 1.4.2  # the release
+  newTag: 1.4.3-hot  # the release

overlays/prod/kustomization.yaml
-  newTag: 1.4.2  # the release
+  newTag: 1.4.3  # the release
+  newName: mirror.example/checkout

overlays/prod/kustomization.yaml
-  newTag: 1.4.2  # the release
+  digest: sha256:0000000000000000000000000000000000000000000000000000000000000000

overlays/prod/kustomization.yaml
-- {name: checkout, count: 3}
+- {name: checkout, count: 5}
"###);
}

#[test]
fn what_would_change_more_than_the_one_value_is_refused() {
    let Some(kubectl) = kubectl_program() else { return };
    let base = config_map("checkout", "info");
    let mut shown = Vec::new();
    for (name, files) in [
        (
            "a base of two overlays",
            vec![
                ("base/kustomization.yaml", "resources: [map.yaml]\n"),
                ("base/map.yaml", base.as_str()),
                ("overlays/prod/kustomization.yaml", "resources: [../../base]\n"),
                ("overlays/test/kustomization.yaml", "resources: [../../base]\n"),
            ],
        ),
        (
            "a generator's hash in the name",
            vec![(
                "overlays/prod/kustomization.yaml",
                "configMapGenerator:\n- {name: checkout, namespace: shop, literals: [level=warn]}\n",
            )],
        ),
        (
            "a value of two objects",
            vec![
                (
                    "overlays/prod/kustomization.yaml",
                    "resources: [a.yaml]\nreplacements:\n- source: {kind: ConfigMap, name: checkout, fieldPath: data.level}\n  targets:\n  - {select: {kind: ConfigMap, name: other}, fieldPaths: [data.level]}\n",
                ),
                (
                    "overlays/prod/a.yaml",
                    "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: checkout, namespace: shop}\ndata: {level: warn}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: other, namespace: shop}\ndata: {level: warn}\n",
                ),
            ],
        ),
    ] {
        let world = world(&kubectl, &files);
        let made = Command::new(&kubectl).arg("kustomize").arg(world.folder().join("overlays/prod")).output().unwrap();
        let rendered = String::from_utf8(made.stdout).unwrap();
        let named = rendered.lines().find_map(|line| line.trim().strip_prefix("name: ")).unwrap().to_owned();
        world.write("live/checkout.yaml", live_config_map(&named, "debug"));
        if rendered.contains("name: other") {
            world.write("live/other.yaml", live_config_map("other", "warn"));
        }
        world.commit();
        // What the new name would be is the hash's business.
        let proposed = proposed(&world).replace(&named, "checkout");
        shown.push(format!("{name}: {}", proposed.split(" to `").next().unwrap()));
    }
    insta::assert_snapshot!(shown.join("\n"), @r###"
a base of two overlays: cannot adopt `data.level` of `ConfigMap shop/checkout`: `base/map.yaml` would have to change, and `overlays/prod`, `overlays/test` are all made of it; edit what it is rendered from by hand
a generator's hash in the name: cannot adopt `data.level` of `ConfigMap shop/checkout`: no edit of the source of `overlays/prod` renders to the live value (`configMapGenerator` of `overlays/prod/kustomization.yaml`: it would rename `ConfigMap shop/checkout`
a value of two objects: cannot adopt `data.level` of `ConfigMap shop/checkout`: no edit of the source of `overlays/prod` renders to the live value (`resources`: `overlays/prod/a.yaml`: it would change `ConfigMap shop/other`, too); edit what it is rendered from by hand
"###);
}

#[test]
fn a_file_that_another_target_reads_as_it_is_stays() {
    let Some(kubectl) = kubectl_program() else { return };
    let world = world(
        &kubectl,
        &[
            ("base/kustomization.yaml", "resources: [map.yaml]\n"),
            ("base/map.yaml", &config_map("checkout", "info")),
            ("overlays/prod/kustomization.yaml", "resources: [../../base]\n"),
            ("live-test/checkout.yaml", &live_config_map("checkout", "info")),
        ],
    );
    let test = "[[target]]\nname = \"test\"\nkind = \"snapshot\"\nlive = \"live-test\"\npaths = [\"base/map.yaml\"]\n";
    world.write("trueup.toml", configuration(&of_kustomize(&kubectl), OVERLAY) + test);
    world.commit();
    insta::assert_snapshot!(proposed(&world), @"cannot adopt `data.level` of `ConfigMap shop/checkout`: no edit of the source of `overlays/prod` renders to the live value (`resources`: `base/map.yaml`: `base/map.yaml` is read for the path `base/map.yaml`, too); edit what it is rendered from by hand");
}

#[test]
fn a_charts_value_follows_live_where_one_line_sets_it() {
    let Some(helm) = helm() else { return };
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: checkout}\ndata: {level: {{ .Values.level | quote }}}\n";
    let mut shown = Vec::new();
    for (template, values) in [
        (template.to_owned(), "other: warn\nlevel: warn  # loud\n"),
        (template.replace(".Values.level", "printf \"%s-%v\" .Values.a .Values.b"), "a: warn\nb: 2 # tail\n"),
        (template.replace(".Values.level", "(default .Values.a .Values.b)"), "a: warn\n"),
        (template.replace(".Values.level", "\"warn\""), "level: warn\n"),
        (format!("{template}---\n{}", template.replace("name: checkout", "name: other")), "level: warn\n"),
    ] {
        let files = [
            ("charts/checkout/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
            ("charts/checkout/values.yaml", "level: info\n"),
            ("charts/checkout/templates/map.yaml", template.as_str()),
            ("values/prod.yaml", values),
        ];
        let world = World::of(&files);
        world.write("policies/drift.toml", REVIEW);
        let live = if values.contains("b: 2") { "warn-3" } else { "debug" };
        world.write("live/checkout.yaml", live_config_map("checkout", live));
        if template.contains("name: other") {
            world.write("live/other.yaml", live_config_map("other", "warn"));
        }
        let path = "[{ path = \"charts/checkout\", render = \"helm\", release = \"web\", namespace = \"shop\", values = [\"values/prod.yaml\"] }]";
        world.write("trueup.toml", configuration(&format!("[render.helm]\nprogram = \"{}\"", helm.display()), path));
        world.commit();
        shown.push(proposed(&world));
    }
    insta::assert_snapshot!(shown.join("\n"), @r###"
values/prod.yaml
-level: warn  # loud
+level: debug  # loud

values/prod.yaml
-b: 2 # tail
+b: 3 # tail

values/prod.yaml
-a: warn
+a: debug

cannot adopt `data.level` of `ConfigMap shop/checkout`: no edit of the source of `charts/checkout` renders to the live value (`level` in `values/prod.yaml`: it would not render to the live value and nothing else); edit what it is rendered from by hand
cannot adopt `data.level` of `ConfigMap shop/checkout`: no edit of the source of `charts/checkout` renders to the live value (`level` in `values/prod.yaml`: it would change `ConfigMap shop/other`, too); edit what it is rendered from by hand
"###);
}
