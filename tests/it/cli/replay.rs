//! `trueup replay`: what was decided is decided again by what was recorded.

use std::path::Path;

use serde_json::Value;

use super::World;

fn json(world: &World, arguments: &[&str], code: i32) -> Value {
    let output = world.command(&[arguments, &["-o", "json"]].concat()).output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn runs(world: &World) -> Vec<Value> {
    json(world, &["runs"], 0).as_array().unwrap().clone()
}

#[test]
fn each_run_is_decided_again_to_the_byte() {
    let world = World::small();
    assert_eq!(world.run(&["sync"]).code, 1);
    let patch = runs(&world).iter().find(|run| run["action"] == "patch").unwrap()["id"].as_str().unwrap().to_owned();
    assert_eq!(world.run(&["undo", &patch]).code, 0);
    let runs = runs(&world);
    assert!(runs.iter().any(|run| run["action"] == "pull-request") && runs.iter().any(|run| run["undoes"] == patch), "{runs:?}");
    for run in &runs {
        let id = run["id"].as_str().unwrap();
        let again = json(&world, &["replay", id], 0);
        assert_eq!((&again["run"], &again["same"]), (&run["id"], &Value::Bool(true)));
        assert_eq!(again["recorded"], again["decided"]);
        assert!(again["recorded"].as_array().is_some_and(|decisions| !decisions.is_empty()), "{again:#}");
        let told = world.run(&["replay", id]);
        assert!(told.stdout.starts_with("the same: run "), "{told:?}");
    }
    // One record for one decision, whatever came of it.
    let decided = json(&world, &["audit", "query"], 0);
    let decided = decided.as_array().unwrap().iter().filter(|record| record["kind"] == "decided").count();
    let digests: std::collections::BTreeSet<String> =
        runs.iter().map(|run| json(&world, &["replay", run["id"].as_str().unwrap()], 0)["digest"].to_string()).collect();
    assert_eq!(decided, digests.len());
}

#[test]
fn a_round_that_does_nothing_new_records_no_decision() {
    let world = World::small();
    assert_eq!(world.run(&["sync"]).code, 1);
    let records = json(&world, &["audit", "query"], 0).as_array().unwrap().len();
    assert_eq!(world.run(&["sync"]).code, 1);
    assert_eq!(json(&world, &["audit", "query"], 0).as_array().unwrap().len(), records);
}

#[test]
fn what_cannot_be_decided_again_is_said() {
    let world = World::small();
    world.run(&["replay", "01JD0000000000000000000000"]).failed(2, "error: no run `[RUN]`: `trueup runs` lists them");
    world
        .run(&["replay", "x"])
        .failed(2, "error: `x` is not a run id: one is 26 characters long, like `[RUN]`; `trueup runs` lists them");
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ledgers/layout-1.sqlite");
    std::fs::create_dir_all(world.state()).unwrap();
    std::fs::copy(kept, world.state().join("ledger.sqlite")).unwrap();
    for run in runs(&world) {
        let ran = world.run(&["replay", run["id"].as_str().unwrap()]);
        assert!(ran.code == 2 && ran.stderr.contains("it was recorded by a trueup that did not keep decisions"), "{ran:?}");
    }
}

/// By recorded values alone: nothing is read of Git or live.
#[test]
fn another_policy_tells_what_it_would_have_decided() {
    let world = World::small();
    assert_eq!(world.run(&["sync"]).code, 1);
    let patch = runs(&world).iter().find(|run| run["action"] == "patch").unwrap()["id"].as_str().unwrap().to_owned();
    world.write("stricter.toml", "[[class]]\nname = \"all\"\nlane = \"review\"\nstage = \"recommend\"\n");
    let own = world.run(&["replay", &patch, "--policy", "policies/drift.toml"]);
    assert_eq!(own.code, 0, "{own:?}");
    assert!(own.stdout.starts_with("the same: this policy decides as the one that was in force\n"), "{own:?}");
    let other = world.run(&["replay", &patch, "--policy", "stricter.toml"]);
    assert_eq!(other.code, 1, "{other:?}");
    assert!(other.stdout.contains("correct → propose  ConfigMap shop/checkout-config data.LOG_LEVEL"), "{other:?}");
    assert!(other.stdout.contains("stricter.toml:1: class all"), "{other:?}");
    let told = json(&world, &["replay", &patch, "--policy", "stricter.toml"], 1);
    assert!(told["decided"].to_string().contains("stricter.toml:1: class all"), "{told:#}");
}

/// Of a value that nobody asked to put right no patch was recorded: whether there is one is not guessed.
#[test]
fn what_another_policy_would_write_and_nobody_recorded_is_said_to_be_unknown() {
    let world = World::small();
    assert_eq!(world.run(&["sync"]).code, 1);
    let patch = runs(&world).iter().find(|run| run["action"] == "patch").unwrap()["id"].as_str().unwrap().to_owned();
    let case = "[[case]]\nname = \"an image\"\nobject = { apiVersion = \"apps/v1\", kind = \"Deployment\", namespace = \"shop\", name = \"checkout\" }\n\
        path = \"spec.template.spec.containers[name=app].image\"\ndesired = \"a:1\"\nlive = \"a:2\"\nclass = \"all\"\nlane = \"auto\"\nstage = \"auto\"\ndecision = \"correct\"\n";
    for (class, reason) in [
        (
            "lane = \"review\"\nstage = \"recommend\"\nreview = \"restore\"\n",
            "people would be asked to restore it if a patch can put",
        ),
        ("lane = \"auto\"\nstage = \"auto\"\n", "it would be corrected; what would be written was not recorded"),
    ] {
        world.write("other.toml", format!("[[class]]\nname = \"all\"\n{class}\n{case}"));
        let told = world.run(&["replay", &patch, "--policy", "other.toml"]).stdout;
        let (_, image) = told.split_once("propose → hold  Deployment shop/checkout ").unwrap_or_else(|| panic!("{told}"));
        assert!(image.contains(reason), "{told}");
        assert!(!told.contains("→ escalate"), "{told}");
    }
}
