//! The ledger as people ask about it: checked, its head kept elsewhere, searched, pruned, and of an older layout.

use std::path::Path;

use serde_json::Value;

use super::World;

/// The demo's world after one round, and the folder of its ledger.
fn world() -> World {
    let world = World::small();
    assert_eq!(world.run(&["sync"]).code, 1);
    world
}

/// What a command prints, digests and all.
fn printed(world: &World, arguments: &[&str]) -> String {
    let output = world.command(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(world: &World, arguments: &[&str]) -> Value {
    serde_json::from_str(&printed(world, &[arguments, &["-o", "json"]].concat())).unwrap()
}

#[test]
fn a_head_that_was_kept_tells_of_a_ledger_that_went_back() {
    let world = world();
    let first = ledger_files(&world);
    let early = printed(&world, &["audit", "head"]);
    let run = json(&world, &["runs"]).as_array().unwrap().iter().find(|run| run["action"] == "patch").unwrap()["id"].clone();
    assert_eq!(world.run(&["undo", run.as_str().unwrap()]).code, 0);
    let head = printed(&world, &["audit", "head"]);
    assert!(head.starts_with("trueup-head-v1 ") && head.lines().count() == 1 && head != early, "{head}");
    world.write("kept.txt", &head);
    for kept in ["kept.txt", head.trim(), early.trim()] {
        let ran = world.run(&["audit", "verify", "--head", kept]);
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains(", signed by this state folder's key\nrecord "), "{ran:?}");
    }
    for (file, _) in ledger_files(&world) {
        std::fs::remove_file(file).unwrap();
    }
    // The index of what stands beside it is made anew.
    for (file, bytes) in first.into_iter().filter(|(file, _)| !file.to_string_lossy().ends_with("-shm")) {
        std::fs::write(file, bytes).unwrap();
    }
    let ran = world.run(&["audit", "verify"]);
    assert_eq!(ran.code, 0, "its own head was copied back with it: {ran:?}");
    let ran = world.run(&["audit", "verify", "--head", "kept.txt"]);
    assert_eq!(ran.code, 1);
    assert!(ran.stdout.contains("it was recorded once and is no longer there: the ledger went back"), "{ran:?}");
    let ran = world.run(&["audit", "verify", "--head", "nonsense"]);
    ran.failed(2, "error: `nonsense`: this is no head: it is the one line that `trueup audit head` prints, or a file with it");
}

/// The ledger's file and what SQLite keeps beside it: a process that ends at once may leave a part of it there.
fn ledger_files(world: &World) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let entries = std::fs::read_dir(world.state()).unwrap().map(|entry| entry.unwrap().path());
    let is_its = |path: &std::path::PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("ledger.sqlite");
    entries.filter(is_its).map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

#[test]
fn records_are_found_by_object_class_run_actor_and_time() {
    let world = world();
    let all = json(&world, &["audit", "query"]);
    let all = all.as_array().unwrap();
    let found = |arguments: &[&str]| json(&world, &[&["audit", "query"], arguments].concat()).as_array().unwrap().clone();
    let of_object = found(&["--object", "configmap/checkout-config"]);
    let kinds: Vec<&str> = of_object.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["intent", "outcome", "verification"]);
    assert_eq!(of_object, found(&["--object", "ConfigMap/shop/checkout-config"]));
    assert_eq!(of_object, found(&["--class", "config-value"]));
    assert_eq!(of_object, found(&["--run", of_object[0]["run"].as_str().unwrap()]));
    assert!(found(&["--object", "ConfigMap/other/checkout-config"]).is_empty());
    assert!(!found(&["--object", "output/db_endpoint"]).is_empty());
    let instance = all[0]["actors"][0].as_str().unwrap();
    assert_eq!(&found(&["--actor", instance]), all);
    assert!(found(&["--actor", "nobody"]).is_empty());
    let third = all[2]["at"].as_str().unwrap();
    assert_eq!((found(&["--since", third])).len() + found(&["--until", third]).len(), all.len());
    assert!(all.iter().all(|record| record["policy_digest"].is_string() && record["epoch"] == 1), "{all:?}");
}

#[test]
fn records_are_printed_in_each_form() {
    let world = world();
    let records = json(&world, &["audit", "query"]).as_array().unwrap().len();
    let csv = world.run(&["audit", "query", "-o", "csv"]);
    assert!(csv.stdout.starts_with("seq,at,kind,run,target,object,paths,classes,actors,cluster,says,state\n1,"), "{csv:?}");
    assert_eq!(csv.stdout.lines().count(), records + 1);
    assert_eq!(world.run(&["audit", "query"]).stdout.lines().count(), 2 * records);
    assert_eq!(world.run(&["audit", "query", "--class", "none"]).stdout, "no such records\n");
    world
        .run(&["audit", "query", "-o", "yaml"])
        .failed(2, "error: this command has no form `yaml`: use `text` or `json` or `csv`");
    world.run(&["diff", "-o", "csv"]).failed(2, "error: this command has no form `csv`: use `text` or `json`");
}

/// What the trueup of the first layout said of its runs, and what this one says of the same file.
#[test]
fn a_ledger_of_the_first_layout_says_what_it_said() {
    let world = World::small();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/ledgers");
    std::fs::create_dir_all(world.state()).unwrap();
    std::fs::copy(kept.join("layout-1.sqlite"), world.state().join("ledger.sqlite")).unwrap();
    let said: Value = serde_json::from_slice(&std::fs::read(kept.join("layout-1.runs.json")).unwrap()).unwrap();
    // What later layouts say beside it, it did not know.
    let runs = || -> Value {
        let as_said = |(run, said): (&Value, &Value)| {
            let mut run = run.clone();
            run.as_object_mut().unwrap().retain(|key, _| said.get(key).is_some());
            run
        };
        json(&world, &["runs"]).as_array().unwrap().iter().zip(said.as_array().unwrap()).map(as_said).collect()
    };
    assert_eq!(json(&world, &["runs"]).as_array().unwrap().len(), 4);
    assert_eq!(runs(), said);
    let ran = world.run(&["audit", "verify"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "whole: 13 records, head [HASH], not signed yet\n"));
    assert_eq!(world.run(&["sync"]).code, 1);
    // What it had proposed was about another source: it has ended, and nothing else has changed.
    let patches = |runs: &Value| -> Vec<Value> {
        runs.as_array().unwrap().iter().filter(|run| run["action"] == "patch").cloned().collect()
    };
    assert_eq!(patches(&runs()), patches(&said));
    let ended = runs().as_array().unwrap().iter().filter(|run| run["status"] == "withdrawn").count();
    assert_eq!(ended, 2);
    assert!(world.run(&["audit", "verify"]).stdout.ends_with(", signed by this state folder's key\n"));
}

#[test]
fn a_url_that_is_none_is_refused_without_repeating_it() {
    let world = World::small();
    let configuration = world.read("trueup.toml");
    world.write("trueup.toml", format!("{configuration}\n[ledger]\nurl = \"mysql://u:c4nary@host/db\"\n"));
    let ran = world.run(&["sync"]);
    assert!(
        ran.code == 2 && ran.stderr.contains("this is no URL of a PostgreSQL database") && !ran.stderr.contains("c4nary"),
        "{ran:?}"
    );
    world.write("trueup.toml", format!("{configuration}\n[ledger]\nkeep = \"1d\"\n"));
    let ran = world.run(&["sync"]);
    assert!(ran.code == 2 && ran.stderr.contains("`1d` is no time to keep records for"), "{ran:?}");
    world.write("trueup.toml", format!("{configuration}\n[ledger]\nurl = \"postgres://u:c4nary@127.0.0.1:1/db\"\n"));
    let before = world.read("live/configmap.yaml");
    let ran = world.run(&["sync"]);
    assert!(ran.code == 2 && ran.stderr.contains("`postgres://127.0.0.1:1/db`: the server cannot be reached"), "{ran:?}");
    assert!(!ran.stderr.contains("c4nary"), "{ran:?}");
    assert_eq!(world.read("live/configmap.yaml"), before, "no ledger, no write");
}
