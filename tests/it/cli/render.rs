//! Desired state that another program renders: the real kubectl and the real Helm, and programs that misbehave.

use std::fs::Permissions;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use serde_json::{Value, json};

use super::{Ran, World, config_map, live_config_map, policy};
use crate::deploy::{did_not_run, kubectl};

const LABEL: &str = "trueup.dev/read";

/// `TRUEUP_HELM`, else the one in PATH. Without any, a test says that it did not run; in CI that is a failure.
pub(super) fn helm() -> Option<PathBuf> {
    let program = std::env::var("TRUEUP_HELM").unwrap_or_else(|_| "helm".to_owned());
    let runs = Command::new(&program).arg("version").stdout(Stdio::null()).status().is_ok_and(|status| status.success());
    if !runs {
        did_not_run(&format!("`{program}` does not run; name Helm in TRUEUP_HELM (`scripts/helm` builds one)"));
        return None;
    }
    Some(in_path(&program))
}

fn in_path(program: &str) -> PathBuf {
    let path = Path::new(program);
    let folders = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|file| file.is_file());
    if path.is_absolute() { path.to_owned() } else { found.unwrap() }
}

pub(super) fn configuration(render: &str, paths: &str) -> String {
    format!(
        "[source]\nrepo = \".\"\n\n{render}\n\n[[target]]\nname = \"live\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = {paths}\n"
    )
}

pub(super) fn of_kustomize(program: &Path) -> String {
    format!("[render.kustomize]\nprogram = \"{}\"", program.display())
}

/// A base and an overlay that changes its `ConfigMap`, and a plain file beside them.
fn overlay(program: &Path) -> World {
    let world = World::of(&[
        ("base/kustomization.yaml", "resources: [map.yaml]\n"),
        ("base/map.yaml", &config_map("checkout", "info")),
        ("overlays/prod/kustomization.yaml", "resources: [../../base]\npatches:\n- path: level.yaml\n"),
        (
            "overlays/prod/level.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: checkout, namespace: shop}\ndata: {level: warn}\n",
        ),
        ("manifests/plain.yaml", &config_map("plain", "info")),
        ("live/plain.yaml", &live_config_map("plain", "info")),
        ("live/checkout.yaml", &live_config_map("checkout", "warn")),
        ("policies/drift.toml", &policy()),
    ]);
    let paths = "[\"manifests\", { path = \"overlays/prod\", render = \"kustomize\" }]";
    world.write("trueup.toml", configuration(&of_kustomize(program), paths));
    world.commit();
    world
}

pub(super) fn kubectl_program() -> Option<PathBuf> {
    Some(in_path(&kubectl()?))
}

pub(super) fn report(world: &World, arguments: &[&str], code: i32) -> Value {
    let output = world.command(&[arguments, &["-o", "json"]].concat()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert_eq!(output.status.code(), Some(code), "{}{}", text(&output.stdout), text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What kubectl reads in these manifests.
fn read_by_kubectl(kubectl: &Path, manifests: &[u8]) -> Vec<Value> {
    let mut child = Command::new(kubectl)
        .args(["label", "--local", "--dry-run=client", "-o", "json", "-f", "-", &format!("{LABEL}=true")])
        .env_remove("KUBECONFIG")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(manifests).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    serde_json::Deserializer::from_slice(&output.stdout).into_iter().map(Result::unwrap).collect()
}

fn read_by_trueup(world: &World) -> Vec<Value> {
    let printed = report(world, &["render"], 0);
    let mut objects = printed["items"].as_array().cloned().unwrap_or_else(|| vec![printed]);
    for object in &mut objects {
        object["metadata"]["labels"][LABEL] = json!("true");
    }
    objects
}

#[test]
fn our_own_kustomizations_are_what_kubectl_makes_of_them() {
    let Some(kubectl) = kubectl_program() else { return };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("manifests");
    for folder in ["base", "loop", "cron", "baseline", "example"] {
        let world = World::empty();
        let copied = Command::new("cp").arg("-r").arg(&root).arg(world.folder().join("manifests")).status().unwrap();
        assert!(copied.success());
        let paths = format!("[\"manifests/{folder}\"]\nrender = \"kustomize\"");
        world.write("trueup.toml", configuration(&of_kustomize(&kubectl), &paths));
        world.commit();
        let made = Command::new(&kubectl).arg("kustomize").arg(root.join(folder)).output().unwrap();
        assert!(made.status.success() && !made.stdout.is_empty());
        assert_eq!(read_by_trueup(&world), read_by_kubectl(&kubectl, &made.stdout), "{folder}");
        assert_eq!(std::fs::read_dir(world.state().join("render")).unwrap().count(), 0, "nothing is left behind");
    }
}

#[test]
fn drift_from_an_overlay_is_corrected_and_names_what_it_was_rendered_from() {
    let Some(kubectl) = kubectl_program() else { return };
    let world = overlay(&kubectl);
    let clean = report(&world, &["diff"], 0);
    let rendered = &clean["targets"][0]["rendered"];
    assert_eq!((&rendered[0]["path"], &rendered[0]["with"]), (&json!("overlays/prod"), &json!("kustomize")));
    let made = Command::new(&kubectl).arg("kustomize").arg(world.folder().join("overlays/prod")).output().unwrap();
    let digest = rendered[0]["sha256"].as_str().unwrap();
    assert_eq!(digest, sha256(&made.stdout));

    world.write("live/checkout.yaml", live_config_map("checkout", "debug"));
    let finding = report(&world, &["diff"], 1)["findings"][0].clone();
    assert_eq!((&finding["desired"], &finding["live"]), (&json!("warn"), &json!("debug")));
    assert_eq!(finding["origin"], json!({"file": "overlays/prod/kustomization.yaml", "document": 1}), "no line is made up");
    let text = world.run(&["diff"]);
    assert!(text.stdout.contains("overlays/prod/kustomization.yaml (rendered)   written by kubectl-edit"), "{text:?}");

    let run = report(&world, &["sync"], 0)["runs"][0].clone();
    assert_eq!((&run["action"], &run["status"]), (&json!("patch"), &json!("settled")), "{run:#}");
    assert!(world.read("live/checkout.yaml").contains("level: warn"));
    let recorded = report(&world, &["runs", run["id"].as_str().unwrap()], 0);
    assert!(recorded.to_string().contains(digest), "{recorded:#}");
}

#[test]
fn a_chart_is_what_helm_makes_of_it() {
    let (Some(helm), Some(kubectl)) = (helm(), kubectl_program()) else { return };
    let template = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: '{{ .Release.Name }}-map'}\ndata: {level: {{ .Values.level | quote }}}\n";
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n";
    let world = World::of(&[
        ("charts/checkout/Chart.yaml", "apiVersion: v2\nname: shop\nversion: 0.1.0\n"),
        ("charts/checkout/values.yaml", "level: info\n"),
        ("charts/checkout/templates/map.yaml", template),
        ("charts/checkout/templates/hook.yaml", hook),
        ("values/prod.yaml", "level: warn\n"),
        ("live/map.yaml", &live_config_map("web-map", "debug")),
    ]);
    let render = format!("[render.helm]\nprogram = \"{}\"", helm.display());
    let path = "{ path = \"charts/checkout\", render = \"helm\", release = \"web\", namespace = \"shop\", values = [\"values/prod.yaml\"] }";
    world.write("trueup.toml", configuration(&render, &format!("[{path}]")));
    world.commit();
    let folder = world.folder().join("charts/checkout");
    let made = Command::new(&helm)
        .args(["template", "web", folder.to_str().unwrap(), "-n", "shop", "--no-hooks", "--include-crds", "-f"])
        .arg(world.folder().join("values/prod.yaml"))
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert_eq!(read_by_trueup(&world), read_by_kubectl(&kubectl, &made.stdout));
    let finding = report(&world, &["diff"], 1)["findings"][0].clone();
    assert_eq!(finding["origin"]["file"], "charts/checkout/templates/map.yaml", "{finding:#}");
    assert_eq!((&finding["desired"], &finding["object"]["namespace"]), (&json!("warn"), &json!("shop")));

    world.write("charts/checkout/templates/map.yaml", template.replace(".Values.level", ".Values.level | fail"));
    world.commit();
    let blind = report(&world, &["diff"], 3);
    assert_eq!(blind["problems"][0]["code"], "render-failed", "{blind:#}");
    assert!(blind["problems"][0]["message"].as_str().unwrap().contains("map.yaml"), "{blind:#}");
}

/// A program of this text in the world.
fn program(world: &World, name: &str, text: &str) -> PathBuf {
    let path = world.folder().join(format!(".git/{name}"));
    std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    path
}

/// A report in which the rendered path is not seen and the plain one is judged; the one problem's message and file.
fn blind(world: &World, code: &str) -> (String, Value) {
    let report = report(world, &["diff"], 3);
    assert_eq!(report["targets"][0]["verdict"], "unknown");
    assert_eq!((&report["targets"][0]["objects"]["true"], &report["findings"]), (&json!(1), &json!([])), "{report:#}");
    let [problem] = &report["problems"].as_array().unwrap()[..] else { panic!("{report:#}") };
    assert_eq!(problem["code"], code, "{problem:#}");
    (problem["message"].as_str().unwrap().to_owned(), problem["origin"].clone())
}

#[test]
fn a_program_that_fails_makes_the_target_unknown() {
    let world = overlay(Path::new("/none"));
    let paths = "[\"manifests\", { path = \"overlays/prod\", render = \"kustomize\" }]";
    let put = |text: &str, more: &str| {
        let program = program(&world, "kustomize", text);
        world.write("trueup.toml", configuration(&format!("{}\n{more}", of_kustomize(&program)), paths));
    };
    let with = |text: &str, more: &str| {
        put(text, more);
        blind(&world, "render-failed").0
    };
    let failed = with("printf 'no \\033[31mgood\\n' >&2; exit 3", "");
    assert!(failed.starts_with("`overlays/prod` cannot be rendered by kustomize: `"), "{failed}");
    assert!(failed.ends_with("ended with exit status: 3: no \\u{1b}[31mgood"), "{failed}");
    let begun = Instant::now();
    let slow = with("exec sleep 100", "timeout = \"1s\"");
    assert!(slow.contains("did not end within 1 s") && begun.elapsed().as_secs() < 30, "{slow}");
    assert!(with("exec yes", "").contains("printed more than 8388608 bytes"));
    // Reads for ever, and keeps what may be the last line.
    let greedy = with("exec tail -n 1 /dev/zero", "memory = \"64Mi\"");
    assert!(greedy.contains("ended with exit status: 1: tail: memory exhausted"), "{greedy}");
    let long = with("yes complaint | head -c 100000 >&2; exit 1", "");
    assert!(long.len() < 3000, "{}", long.len());
    let bare = with("env | sort >&2; exit 1", "");
    let given: Vec<&str> = bare.split("exit status: 1: ").nth(1).unwrap().split("\\n").collect();
    let names: Vec<&str> = given.iter().map(|line| line.split('=').next().unwrap()).collect();
    let own = ["ALL_PROXY", "HOME", "HTTPS_PROXY", "HTTP_PROXY", "PWD", "TMPDIR", "all_proxy", "http_proxy", "https_proxy"];
    assert!(names.iter().all(|name| own.contains(name)), "{names:?}");
    put("echo 'kind: x'", "");
    let (garbage, origin) = blind(&world, "not-an-object");
    assert!(garbage.starts_with("line 1 of what kustomize printed: the document is no Kubernetes object"), "{garbage}");
    assert_eq!(origin, json!({"file": "overlays/prod/kustomization.yaml", "document": 1}));
}

#[test]
fn a_program_that_is_missing_or_another_is_named_by_check() {
    let world = overlay(Path::new("/none"));
    let paths = "[{ path = \"overlays/prod\", render = \"kustomize\" }]";
    let check = |render: &str| -> Ran {
        world.write("trueup.toml", configuration(render, paths));
        world.run(&["check"])
    };
    let missing = check("");
    let place = "overlays/prod (rendered): renderer-missing: `overlays/prod` cannot be rendered by kustomize: ";
    let mut command = world.command(&["check"]);
    let output = command.env("PATH", "/nowhere").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(2), "{missing:?}");
    assert!(text.contains(&format!("{place}no `kustomize` or `kubectl` in PATH; install it, or name it")), "{text}");
    assert!(check("[render.kustomize]\nprogram = \"/none\"").stdout.contains("`/none` is no program that can be run"));
    let script = program(&world, "kustomize", "cat overlays/prod/level.yaml");
    let pinned = |digest: &str| format!("{}\nsha256 = \"{digest}\"", of_kustomize(&script));
    let other = check(&pinned(&"0".repeat(64)));
    assert!(other.stdout.contains("it is not run"), "{other:?}");
    let own = check(&pinned(&sha256(&std::fs::read(&script).unwrap())));
    assert_eq!(own.code, 0, "{own:?}");
    let mistake = check(&pinned("abc"));
    assert!(mistake.stderr.contains("trueup.toml:6:10: `abc` is no SHA-256"), "{mistake:?}");
    let mistake = check(&format!("{}\nmemory = \"lots\"", of_kustomize(&script)));
    assert!(mistake.stderr.contains("trueup.toml:6:10: `lots` is no amount of memory"), "{mistake:?}");
}

#[test]
fn nothing_is_fetched_and_no_link_is_followed() {
    let Some(kubectl) = kubectl_program() else { return };
    let world = overlay(&kubectl);
    let file = "overlays/prod/kustomization.yaml";
    let kustomization = |text: &str| {
        world.write(file, text);
        world.commit();
        blind(&world, "render-refused")
    };
    for entry in [
        "https://example.com/base",
        "github.com/acme/platform//base?ref=v1",
        "git@github.com:acme/x",
        "../../gone.yaml",
        "../../../../etc",
    ] {
        let (message, origin) = kustomization(&format!("resources:\n- ../../base\n- {entry}\n"));
        assert!(message.starts_with(&format!("`resources` names `{entry}`, which is not in the source")), "{message}");
        assert_eq!((&origin["file"], &origin["line"]), (&json!(file), &json!(3)), "{message}");
    }
    for text in [
        "resources: [../../base]\npatches:\n- path: https://example.com/p.yaml\n",
        "resources: [../../base]\nconfigMapGenerator:\n- {name: a, files: ['k=https://example.com/k']}\n",
        "resources: [../../base]\ntransformers: ['https://example.com/t.yaml']\n",
    ] {
        let (message, origin) = kustomization(text);
        assert!(message.contains("nothing is fetched") && origin["line"] != Value::Null, "{message}");
    }
    world.write("base/kustomization.yaml", "resources: [map.yaml, https://example.com/deep.yaml]\n");
    let (_, origin) = kustomization("resources: [../../base]\n");
    assert_eq!(origin["file"], "base/kustomization.yaml", "what it is made of is checked, too");

    std::fs::remove_dir_all(world.folder().join("base")).unwrap();
    std::os::unix::fs::symlink("/etc", world.folder().join("base")).unwrap();
    let (message, _) = kustomization("resources: [../../base]\n");
    assert!(message.contains("(`base`: it is a symbolic link, which is never followed"), "{message}");
    std::os::unix::fs::symlink("../../manifests/plain.yaml", world.folder().join("overlays/prod/link.yaml")).unwrap();
    let (message, _) = kustomization("resources: [../../manifests/plain.yaml]\n");
    assert!(message.contains("`overlays/prod/link.yaml` is not written for the program: it is a symbolic link"), "{message}");
}

#[test]
fn mistakes_about_rendering_are_named_at_their_place() {
    let world = overlay(Path::new("/none"));
    for (paths, message) in [
        ("[{ path = \"a\", render = \"jsonnet\" }]", "10:33: unknown variant `jsonnet`, expected `kustomize` or `helm`"),
        ("[{ path = \"a\", chart = 1 }]", "unknown field `chart`"),
        ("[1]", "invalid type: integer `1`, expected a path, or a table"),
        ("[{ path = \"a\", values = [] }]", "target `live`: path `a`: `values` belongs to render = \"helm\""),
        ("[{ path = \"Charts\", render = \"helm\" }]", "`Charts` cannot be the release; set release = \"…\""),
    ] {
        world.write("trueup.toml", configuration("", paths));
        let ran = world.run(&["check"]);
        assert!(ran.code == 2 && ran.stderr.contains(message), "{paths}: {ran:?}");
    }
}

fn sha256(bytes: &[u8]) -> String {
    let mut child = Command::new("sha256sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}
