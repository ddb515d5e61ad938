//! A write that meets another writer, loses its answer, or loses the program that sent it.

use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::proxy::{Fate, Moment, Proxy};
use crate::world::{Ended, Rights, World, ended};

const CONFIG: &str = "configmap/blackbox-exporter-configuration";

/// One object with one drift that may be corrected, and two runs of the account on it.
fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.declare(&["blackboxExporter-configuration.yaml"]);
    drift(&world);
    Some(world)
}

fn drift(world: &World) {
    edit(world, "by hand");
}

fn edit(world: &World, value: &str) {
    world.kubectl(&["patch", CONFIG, "-p", &json!({"data": {"config.yml": value}}).to_string()]);
}

fn is_right(world: &World) -> bool {
    world.live(CONFIG, "/data/config.yml").as_str().unwrap().starts_with("\"modules\"")
}

fn sync_by(world: &World, proxy: &Proxy) -> Ended {
    ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]))
}

/// The states of all runs, the oldest first.
fn statuses(world: &World) -> Vec<String> {
    let runs = world.json(&["runs"], 0);
    runs.as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_faster_writer_is_not_overwritten() {
    let Some(world) = world() else { return };
    let label = label_by_kubectl(&world);
    let writes = AtomicUsize::new(0);
    let proxy = Proxy::start(&world, move |moment| {
        if moment == Moment::Before && writes.fetch_add(1, Ordering::SeqCst) == 0 {
            assert!(label.lock().unwrap().status().unwrap().success());
        }
        Fate::Pass
    });
    let synced = sync_by(&world, &proxy);
    assert_eq!(synced.code, Some(1), "{synced:?}");
    let runs = synced.json()["runs"].clone();
    let ends: Vec<&Value> = runs.as_array().unwrap().iter().map(|run| &run["status"]).collect();
    assert_eq!(ends, ["void", "settled"], "{runs:#}");
    assert!(is_right(&world));
    assert_eq!(world.live(CONFIG, "/metadata/labels/raced"), "yes");
    assert!(world.patch_codes().is_none_or(|codes| codes == [409, 200]), "{:?}", world.patch_codes());
    world.records();
}

#[test]
fn a_value_that_is_another_one_by_then_is_judged_anew() {
    let Some(world) = world() else { return };
    let mut edit = Command::new(world.kubectl_program());
    let patch = json!({"data": {"config.yml": "by hand, again"}}).to_string();
    edit.args(["patch", "--namespace", &world.namespace, CONFIG, "-p", &patch]).stdout(std::process::Stdio::null());
    let (edit, writes) = (Mutex::new(edit), AtomicUsize::new(0));
    let proxy = Proxy::start(&world, move |moment| {
        if moment == Moment::Before && writes.fetch_add(1, Ordering::SeqCst) == 0 {
            assert!(edit.lock().unwrap().status().unwrap().success());
        }
        Fate::Pass
    });
    let synced = sync_by(&world, &proxy);
    assert_eq!(synced.code, Some(1), "{synced:?}");
    let runs = synced.json()["runs"].clone();
    let ends: Vec<&Value> = runs.as_array().unwrap().iter().map(|run| &run["status"]).collect();
    assert_eq!(ends, ["void", "left"], "{runs:#}");
    assert!(runs[1]["reasons"].to_string().contains("somebody wrote another value"), "{runs:#}");
    assert_eq!(world.live(CONFIG, "/data/config.yml"), "by hand, again");
    assert!(world.patch_codes().is_none_or(|codes| codes == [409]), "{:?}", world.patch_codes());
    assert_eq!(world.json(&["sync"], 0)["runs"][0]["status"], "settled");
    assert!(is_right(&world));
}

#[test]
fn an_object_of_two_targets_of_one_cluster_is_not_written() {
    let Some(world) = world() else { return };
    let settings = std::fs::read_to_string(world.repo.path().join("trueup.toml")).unwrap();
    let other = "[[target]]\nname = \"copy\"\nkind = \"kubernetes\"\npaths = [\"copies\"]\n";
    world.repo.write("trueup.toml", format!("{settings}\n{other}"));
    world.repo.write("copies/config.yaml", world.corpus("blackboxExporter-configuration.yaml"));
    world.repo.commit("declared by two targets");
    let synced = world.json(&["sync"], 1);
    let told = |problem: &&Value| problem["code"] == "declared-by-two-targets";
    assert_eq!(synced["problems"].as_array().unwrap().iter().filter(told).count(), 2, "{synced:#}");
    let ends: Vec<&Value> = synced["runs"].as_array().unwrap().iter().map(|run| &run["status"]).collect();
    assert_eq!(ends, ["held", "held"], "{synced:#}");
    assert!(world.patch_codes().is_none_or(|codes| codes.is_empty()));
}

fn label_by_kubectl(world: &World) -> Mutex<Command> {
    let mut label = Command::new(world.kubectl_program());
    label.args(["label", "--namespace", &world.namespace, CONFIG, "raced=yes"]).stdout(std::process::Stdio::null());
    Mutex::new(label)
}

#[test]
fn a_lost_answer_is_resolved_by_reading_and_the_patch_is_not_sent_again() {
    let Some(world) = world() else { return };
    let proxy = Proxy::start(&world, |moment| if moment == Moment::After { Fate::Cut } else { Fate::Pass });
    let synced = sync_by(&world, &proxy);
    assert_eq!(synced.code, Some(0), "{synced:?}");
    assert_eq!(synced.json()["runs"][0]["status"], "settled", "{synced:?}");
    assert!(world.patch_codes().is_none_or(|codes| codes == [200]), "{:?}", world.patch_codes());
}

#[test]
fn a_run_whose_program_was_killed_is_resolved_by_the_next_sync() {
    let Some(world) = world() else { return };
    kill_at(&world, Moment::Before);
    assert_eq!(statuses(&world), ["intended"]);
    assert!(!is_right(&world));
    let early = world.json(&["sync"], 1);
    assert_eq!(early["runs"][0]["status"], "held", "the write may still be on its way: {early:#}");
    assert_eq!(statuses(&world), ["intended"]);
    edit(&world, "by hand, later");
    let next = world.json(&["sync"], 0);
    assert_eq!(next["runs"][0]["status"], "settled", "{next:#}");
    let resolved = statuses(&world);
    assert!(resolved[0].starts_with("undetermined") && resolved[1] == "settled" && resolved.len() == 2, "{resolved:?}");
    assert!(is_right(&world));

    drift(&world);
    kill_at(&world, Moment::After);
    assert_eq!(statuses(&world)[2..], ["intended"]);
    let next = world.json(&["sync"], 0);
    assert_eq!(next["runs"], json!([]), "it had been written: nothing is left to do");
    assert!(["applied", "settled"].contains(&statuses(&world)[2].as_str()), "{:?}", statuses(&world));
    assert!(is_right(&world));
    assert!(world.patch_codes().is_none_or(|codes| codes == [200, 200]), "{:?}", world.patch_codes());
    world.records();
}

/// A sync that is killed with its write on the way.
fn kill_at(world: &World, fatal: Moment) {
    let (reached, at_write) = mpsc::channel();
    let (killed, until_killed) = mpsc::channel();
    let (reached, until_killed) = (Arc::new(Mutex::new(reached)), Mutex::new(until_killed));
    let proxy = Proxy::start(world, move |moment| {
        if moment != fatal {
            return Fate::Pass;
        }
        reached.lock().unwrap().send(()).unwrap();
        until_killed.lock().unwrap().recv().unwrap();
        Fate::Cut
    });
    let mut sync = world.command_by(&proxy.kubeconfig, &["sync"]).spawn().unwrap();
    at_write.recv().unwrap();
    sync.kill().unwrap();
    sync.wait().unwrap();
    killed.send(()).unwrap();
}

#[test]
fn an_object_that_a_team_applies_server_side_goes_to_review() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.repo.write("manifests/config.yaml", world.corpus("blackboxExporter-configuration.yaml"));
    world.repo.commit("what we run");
    world.apply(&["--server-side", "--field-manager=team"]);
    world.json(&["diff"], 0);
    drift(&world);
    let synced = world.json(&["sync"], 1);
    let [run] = &synced["runs"].as_array().unwrap()[..] else { panic!("{synced:#}") };
    assert_eq!(
        (&synced["findings"][0]["lane"], &run["action"], &run["status"]),
        (&json!("auto"), &json!("pull-request"), &json!("opened"))
    );
    assert!(run["reasons"].to_string().contains("`team` applies this object server-side"), "{run:#}");
    assert!(!is_right(&world));
    assert!(world.patch_codes().is_none_or(|codes| codes.is_empty()));
}

#[test]
fn a_patch_without_the_right_is_refused_and_recorded() {
    let Some(world) = world() else { return };
    world.kubectl(&["delete", "rolebinding", &world.install.named("trueup-correct")]);
    let patch =
        ["patch", CONFIG, "-n", &world.namespace, "--dry-run=server", "-p", "{\"metadata\": {\"labels\": {\"a\": \"b\"}}}"];
    crate::deploy::install::eventually(|| world.install.ask(&patch), |answer| !answer.ok);
    let synced = world.json(&["sync"], 1);
    let run = &synced["runs"][0];
    assert_eq!((&run["action"], &run["status"]), (&json!("patch"), &json!("refused")), "{run:#}");
    assert!(run["reasons"].to_string().contains("grant the verb `patch` on `configmaps` to trueup's account"), "{run:#}");
    assert!(statuses(&world)[0].starts_with("refused: "), "{:?}", statuses(&world));
    assert!(!is_right(&world));
}
