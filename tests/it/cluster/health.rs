//! Health around a write. Its pods wait for a scheduler that nobody runs, so no kubelet has them: the test is theirs, and says
//! when containers of a Deployment crash.

use std::process::Child;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::{Rights, World, is_dry_run, value_by_hand, within};

pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// What is corrected is watched beside a Deployment.
fn policy(window: &str) -> String {
    let class = format!(
        "[[class]]\nname = \"settings\"\nmatch = {{ kind = \"ConfigMap\", path = \"data.*\", change = [\"changed\", \"removed\"] }}\n\
         lane = \"auto\"\nstage = \"auto\"\nverify = {{ window = \"{window}\", health = [\"Deployment/app\"] }}\n\n"
    );
    class + &value_by_hand("settings")
}

fn config(world: &World, name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": world.namespace}, "data": {"a": "1"}})
}

/// Some `ConfigMap`s in Git and live, and a Deployment that is rolled out and in nobody's Git.
pub(crate) fn world(window: &str, configs: &[&str]) -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.repo.write("policies/drift.toml", policy(window));
    for name in configs {
        world.repo.write(&format!("manifests/{name}.json"), config(&world, name).to_string());
    }
    world.repo.commit("what we run");
    world.apply(&[]);
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": world.namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "app"}}, "template": {"metadata": {"labels": {"app": "app"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "app", "image": "x:1"}]}}}});
    let file = world.repo.path().join(".git/deployment.json");
    std::fs::write(&file, deployment.to_string()).unwrap();
    world.kubectl(&["create", "-f", file.to_str().unwrap()]);
    within(PATIENCE, || pods(&world), |pods| !pods.is_empty());
    works(&world);
    Some(world)
}

fn pods(world: &World) -> Vec<String> {
    let names = world.kubectl(&["get", "pods", "-l", "app=app", "-o", "name"]);
    names.lines().map(str::to_owned).collect()
}

fn say(world: &World, ready: &str, state: &Value) {
    let status = json!({"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": ready}], "containerStatuses": [
        {"name": "app", "image": "x:1", "imageID": "", "ready": ready == "True", "restartCount": 0, "state": state}]}});
    world.kubectl(&["patch", &pods(world)[0], "--subresource=status", "--type=merge", "-p", &status.to_string()]);
}

pub(crate) fn works(world: &World) {
    say(world, "True", &json!({"running": {"startedAt": "2026-11-21T02:31:40Z"}}));
    let rolled_out = || world.kubectl(&["rollout", "status", "deployment/app", "--watch=false"]);
    within(PATIENCE, rolled_out, |words| words.contains("successfully rolled out"));
}

pub(crate) fn crashes(world: &World) {
    say(world, "False", &json!({"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}));
}

pub(crate) fn edit(world: &World, name: &str, value: &str) {
    world.kubectl(&["patch", "configmap", name, "--type=merge", "-p", &json!({"data": {"a": value}}).to_string()]);
}

pub(crate) fn value(world: &World, name: &str) -> Value {
    world.live(&format!("configmap/{name}"), "/data/a")
}

/// A sync that is on its way; the report when it has ended.
fn begin(world: &World) -> Child {
    world.command(&["sync", "-o", "json"]).spawn().unwrap()
}

fn end(child: Child) -> Value {
    let output = child.wait_with_output().unwrap();
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
}

/// The Deployment crashes as soon as one of these is as Git has it.
fn crash_after_a_write(world: &World, names: &[&str]) -> Value {
    let sync = begin(world);
    within(PATIENCE, || names.iter().any(|name| value(world, name) == "1"), |written| *written);
    crashes(world);
    end(sync)
}

fn statuses(report: &Value) -> Vec<&str> {
    report["runs"].as_array().unwrap().iter().map(|run| run["status"].as_str().unwrap()).collect()
}

fn real_patches(world: &World) -> Option<usize> {
    Some(world.writes()?.iter().filter(|event| event["verb"] == "patch" && !is_dry_run(event)).count())
}

#[test]
fn a_write_that_makes_something_worse_is_taken_back_and_held() {
    let Some(world) = world("40s", &["one"]) else { return };
    edit(&world, "one", "by hand");
    let report = crash_after_a_write(&world, &["one"]);
    assert_eq!(statuses(&report), ["unhealthy", "settled", "escalated"], "{report:#}");
    let runs = report["runs"].as_array().unwrap();
    assert!(runs[0]["reasons"].to_string().contains("CrashLoopBackOff in container app of pod"), "{report:#}");
    assert_eq!(value(&world, "one"), "by hand", "the pre-image");
    let (first, second) = (runs[0]["id"].as_str().unwrap(), runs[1]["id"].as_str().unwrap());
    let shown = world.json(&["runs", second], 0);
    assert_eq!(shown[0]["undoes"], first, "{shown:#}");
    let told = world.trueup(&["runs", first]).stdout;
    assert!(told.contains(&format!("undone by {second}")) && told.contains("Deployment"), "{told}");
    assert!(told.contains("was healthy before"), "{told}");

    // Held: also where all is well again.
    works(&world);
    let next = world.json(&["sync"], 1);
    assert_eq!(statuses(&next), ["held"], "{next:#}");
    assert!(next["runs"].to_string().contains("health got worse"), "{next:#}");
    assert_eq!(value(&world, "one"), "by hand");

    // A person changes the value: tried again. Worse again: now the class is held, whatever the value.
    edit(&world, "one", "by hand, later");
    assert_eq!(statuses(&crash_after_a_write(&world, &["one"]))[..2], ["unhealthy", "settled"]);
    works(&world);
    edit(&world, "one", "by hand, last");
    let held = world.json(&["sync"], 1);
    assert!(held["runs"].to_string().contains("class settings has made something worse 2 times"), "{held:#}");
    assert!(real_patches(&world).is_none_or(|patches| patches == 4), "{:?}", real_patches(&world));
    world.repo.write("policies/drift.toml", format!("# thought about\n{}", policy("5s")));
    world.repo.commit("another policy");
    let corrected = world.json(&["sync"], 0);
    assert_eq!(statuses(&corrected), ["settled"], "{corrected:#}");
    world.records();
}

#[test]
fn what_was_bad_before_is_no_reason_and_what_cannot_be_watched_is_not_written() {
    let Some(world) = world("4s", &["one"]) else { return };
    crashes(&world);
    edit(&world, "one", "by hand");
    let synced = world.json(&["sync"], 0);
    assert_eq!(statuses(&synced), ["settled"], "{synced:#}");
    world.kubectl(&["delete", "deployment", "app"]);
    edit(&world, "one", "by hand");
    let held = world.json(&["sync"], 1);
    assert_eq!(statuses(&held), ["held"], "{held:#}");
    assert!(held["runs"].to_string().contains("watches the health of `Deployment/app`: there is no such object"), "{held:#}");
    assert_eq!(value(&world, "one"), "by hand");
}

#[test]
fn of_a_class_one_goes_first_and_the_rest_follow_side_by_side() {
    const WINDOW: Duration = Duration::from_secs(8);
    let names = ["four", "one", "three", "two"];
    let Some(world) = world("8s", &names) else { return };
    for name in names {
        edit(&world, name, "by hand");
    }
    let begun = Instant::now();
    let synced = world.json(&["sync"], 0);
    let took = begun.elapsed();
    assert_eq!(statuses(&synced), ["settled"; 4], "{synced:#}");
    let begun: Vec<jiff::Timestamp> = world.json(&["runs"], 0).as_array().unwrap().iter().map(begun_at).collect();
    assert!(begun[1].duration_since(begun[0]).unsigned_abs() >= WINDOW, "alone, through its whole window: {begun:?}");
    let apart = begun[3].duration_since(begun[1]).unsigned_abs();
    assert!(apart < WINDOW, "side by side: {begun:?}");
    println!("four corrections with windows of {WINDOW:?} took {took:?}");

    for name in names {
        edit(&world, name, "by hand, later");
    }
    let report = crash_after_a_write(&world, &names);
    let stopped = report["runs"].as_array().unwrap().iter().filter(|run| run["status"] == "held").count();
    assert_eq!(stopped, 3, "the first one made it worse, the others were not begun: {report:#}");
    assert!(names.iter().all(|name| value(&world, name) == "by hand, later"), "{report:#}");
}

fn begun_at(run: &Value) -> jiff::Timestamp {
    run["begun"].as_str().unwrap().parse().unwrap()
}
