//! `trueup demo`: one patch, two proposals, one escalation, and a world to play with.

use super::World;
use crate::git::git;

fn demo() -> (World, String) {
    let world = World::empty();
    let ran = world.run(&["demo", "shop"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{}", ran.stdout);
    (world, ran.stdout)
}

#[test]
fn it_shows_each_lane_once() {
    let (_world, shown) = demo();
    let effects = |what: &str| shown.lines().filter(|line| line.starts_with(what)).count();
    assert_eq!((effects(" patch "), effects(" proposal "), effects(" escalation ")), (1, 2, 1), "{shown}");
    let (before, after) = shown.split_once("$ trueup sync").unwrap();
    insta::assert_snapshot!(before, @r"
    made shop: a Git repository, live objects as a snapshot, a Terraform state, a policy

    $ trueup diff
    source shop @ [COMMIT]   prod-eu: 4 objects   data: serial 2, 2 outputs
     1 data output db_endpoint         equals                      db-a.internal → db-b.internal  review    risk 43
         infra/data.expect.toml:2   writer unknown   f-[DIGEST]
     2 ConfigMap shop/checkout-config  data.LOG_LEVEL              info → debug                   auto      risk 19
         manifests/configmap.yaml:8   written by kubectl-edit 2026-11-21T02:47:03Z   f-[DIGEST]
     3 Deployment shop/checkout        containers[name=app].image  …checkout:1.4.2 → …:1.4.3-hot  review    risk 65
         manifests/deployment.yaml:20   written by kubectl-set 2026-11-21T02:47:03Z   f-[DIGEST]
     4 NetworkPolicy shop/checkout     spec.egress                 [1 entry] → [2 entries]        escalate  risk 69
         manifests/network.yaml:31   written by kubectl-edit 2026-11-21T02:47:03Z   f-[DIGEST]
    4 findings: 1 auto, 2 review, 1 escalate · 1 object, 1 output true · [TIME]
    ");
    assert!(after.contains("\n3 findings: 2 review, 1 escalate · 2 objects, 1 output true · [TIME]\n"), "{after}");
}

#[test]
fn a_folder_in_use_is_left_alone() {
    let (world, _) = demo();
    let before = world.repo.git(&["-C", "shop", "rev-parse", "--all"]);
    world.run(&["demo", "shop"]).failed(2, "error: `shop` is not empty: name a new folder");
    assert_eq!(world.repo.git(&["-C", "shop", "rev-parse", "--all"]), before);
}

#[test]
fn its_patches_apply_and_its_branches_merge() {
    let (world, _) = demo();
    let shop = world.folder().join("shop");
    let branches = git(&shop, &["branch", "--list", "trueup/*", "--format=%(refname:short)"]);
    assert_eq!(branches.lines().count(), 2, "{branches}");
    for patch in std::fs::read_dir(world.state().join("review")).unwrap().map(|entry| entry.unwrap().path()) {
        git(&shop, &["checkout", "-q", "-B", "by-mail", "main"]);
        git(&shop, &["am", "-q", patch.to_str().unwrap()]);
        let branch = format!("trueup/{}", patch.file_stem().unwrap().to_string_lossy());
        assert_eq!(git(&shop, &["diff", "by-mail", &branch]), "", "the patch gives the branch's files");
    }
    git(&shop, &["checkout", "-q", "main"]);
    for branch in branches.lines() {
        git(&shop, &["merge", "-q", "--no-edit", branch]);
    }
    let ran = world.run(&["diff", "--config", "shop/trueup.toml"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.ends_with("\n1 finding: 1 escalate · 3 objects, 2 outputs true · [TIME]\n"), "{}", ran.stdout);
}

#[test]
fn its_patch_can_be_taken_back() {
    let (world, _) = demo();
    let config = ["--config", "shop/trueup.toml"];
    let runs = world.run(&[&["runs"][..], &config].concat());
    assert_eq!(
        runs.stdout
            .lines()
            .filter(|line| line.contains("  patch         settled    prod-eu: ConfigMap shop/checkout-config data.LOG_LEVEL"))
            .count(),
        1
    );
    let output = world.command(&[&["runs", "-o", "json"][..], &config].concat()).output().unwrap();
    let runs: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let run = runs.iter().find(|run| run["action"] == "patch").unwrap()["id"].as_str().unwrap().to_owned();
    assert!(world.read("shop/live/configmap.yaml").contains("LOG_LEVEL: info"));
    assert_eq!(world.run(&[&["undo", &run][..], &config].concat()).code, 0);
    assert!(world.read("shop/live/configmap.yaml").contains("LOG_LEVEL: debug"));
    let runs = world.run(&[&["runs"][..], &config].concat());
    assert_eq!(runs.stdout.lines().filter(|line| line.ends_with("ConfigMap shop/checkout-config data.LOG_LEVEL")).count(), 2);
    let again = world.run(&[&["sync"][..], &config].concat());
    let held = "\n     held: undone by run [RUN]: held until Git or a person changes it\n";
    assert!(again.stdout.contains(held), "{}", again.stdout);
    assert_eq!(world.run(&[&["audit", "verify"][..], &config].concat()).code, 0);
}
