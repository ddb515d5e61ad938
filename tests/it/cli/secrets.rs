//! Secret values are in no output, no ledger and no file of the state folder.

use super::{SNAPSHOT, World, policy};

const DESIRED: &str = "canary-desired-5eb63bbb";
const LIVE: &str = "canary-live-e01eeed0";
/// `LIVE` as a live Secret carries it.
const LIVE_BASE64: &str = "Y2FuYXJ5LWxpdmUtZTAxZWVlZDA=";
/// `DESIRED`, likewise.
const DESIRED_BASE64: &str = "Y2FuYXJ5LWRlc2lyZWQtNWViNjNiYmI=";

fn world(mode: &str) -> World {
    let world = World::empty();
    world.write("trueup.toml", format!("{SNAPSHOT}secrets = \"{mode}\"\n"));
    world.write("policies/drift.toml", policy().replace("kind = \"ConfigMap\"", "kind = \"Secret\""));
    world.write(".gitignore", "live/\n");
    let secret =
        |data: &str| format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: login\n  namespace: shop\ntype: Opaque\n{data}");
    world.write("manifests/login.yaml", secret(&format!("stringData:\n  password: {DESIRED}\n")));
    world.write("live/login.yaml", secret(&format!("data:\n  password: {LIVE_BASE64}\n")));
    world.commit();
    world
}

fn nothing_leaks(world: &World, arguments: &[&str]) -> String {
    let output = world.command(arguments).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for canary in [DESIRED, LIVE, DESIRED_BASE64, LIVE_BASE64] {
        assert!(!text.contains(canary), "{arguments:?} prints {canary}:\n{text}");
    }
    text
}

#[test]
fn off_skips_and_counts() {
    let world = world("off");
    let ran = world.run(&["diff"]);
    assert_eq!((ran.code, ran.stdout.lines().last()), (0, Some("no findings · 0 objects true · 1 Secret skipped · [TIME]")));
    let explained = nothing_leaks(&world, &["explain", "Secret/login"]);
    assert!(explained.contains("skipped: secrets = \"off\""), "{explained}");
}

#[test]
fn digest_compares_and_masks() {
    let world = world("digest");
    let report: serde_json::Value =
        serde_json::from_slice(&world.command(&["diff", "-o", "json"]).output().unwrap().stdout).unwrap();
    let finding = report["findings"].as_array().unwrap().iter().find(|finding| finding["path"] == "data.password").unwrap();
    let (desired, live) = (&finding["desired"]["masked"], &finding["live"]["masked"]);
    assert!(
        desired.as_str().unwrap().starts_with("k1:") && live.as_str().unwrap().starts_with("k1:") && desired != live,
        "{finding}"
    );
    for arguments in [
        &["diff"][..],
        &["diff", "-o", "json"],
        &["diff", "-vv"],
        &["explain", "Secret/login"],
        &["explain", "Secret/login", "data.password"],
        &["sync", "--dry-run", "-o", "json"],
        &["sync", "-vv"],
        &["sync", "-o", "json"],
        &["runs", "-o", "json"],
        &["doctor"],
        &["check"],
    ] {
        nothing_leaks(&world, arguments);
    }
    nothing_is_kept(&world.state());
    assert!(world.read("live/login.yaml").contains(LIVE_BASE64), "a secret is never written");
    world.write("live/login.yaml", world.read("live/login.yaml").replace(LIVE_BASE64, DESIRED_BASE64));
    let ran = world.run(&["diff"]);
    assert!(!ran.stdout.contains("data.password"), "equal again: {}", ran.stdout);
}

fn nothing_is_kept(folder: &std::path::Path) {
    for entry in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            nothing_is_kept(&entry);
            continue;
        }
        let bytes = std::fs::read(&entry).unwrap();
        for canary in [DESIRED, LIVE, DESIRED_BASE64, LIVE_BASE64] {
            assert!(!bytes.windows(canary.len()).any(|window| window == canary.as_bytes()), "{canary} is in {}", entry.display());
        }
    }
}
