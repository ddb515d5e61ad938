//! The same on a real API server: its audit log says how often each object was written.

use std::time::Duration;

use serde_json::{Value, json};

use super::steps;
use super::taking_back::steps_of_a_run;
use crate::act::taking_back::hands_back;
use crate::cluster::health::{self, PATIENCE, crashes, edit};
use crate::world::{Rights, World, is_dry_run, killed_at, within};

fn config_map(name: &str, level: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"level": level}})
}

/// The object of a step; what a kill leaves open holds its own object and no other.
fn object(step: &str) -> String {
    step.chars().map(|c| if c.is_ascii_lowercase() { c } else { '-' }).collect()
}

/// The writes to an object that the server took.
fn taken(writes: &[Value], name: &str) -> usize {
    let is_one = |event: &&Value| {
        event["objectRef"]["name"] == name
            && !is_dry_run(event)
            && event["stage"] == "ResponseComplete"
            && event["responseStatus"]["code"] == 200
    };
    writes.iter().filter(is_one).count()
}

#[test]
fn a_correction_that_is_killed_at_any_step_is_one_write_on_the_server() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    let steps = steps("correction");
    for step in &steps {
        let mut map = config_map(&object(step), "info");
        map["metadata"]["namespace"] = json!(world.namespace);
        world.repo.write(&format!("manifests/{}.json", object(step)), map.to_string());
    }
    world.repo.commit("what we run");
    world.apply(&[]);
    for step in &steps {
        let patch = json!({"data": {"level": "debug"}}).to_string();
        world.kubectl(&["patch", "configmap", &object(step), "--type=merge", "-p", &patch]);
        assert!(world.kill_at(step), "no round comes to {step}");
    }
    // A write of which nobody knows may still come for two minutes, and the clock has to say twice that they have passed; until
    // then its object is left alone.
    let sync = || world.trueup(&["sync", "-o", "json"]);
    within(Duration::from_mins(6), sync, |ended| ended.code == Some(0));
    assert_eq!(sync().code, Some(0));
    let Some(writes) = world.writes() else { return };
    let count = |step: &String| taken(&writes, &object(step));
    println!("{:32} writes in the audit log", "killed at");
    for step in &steps {
        println!("{step:32} {}", count(step));
        assert_eq!(
            (count(step), &world.live(&format!("configmap/{}", object(step)), "/data/level")),
            (1, &json!("info")),
            "{step}"
        );
    }
}

#[test]
fn a_hand_back_that_is_killed_at_any_step_is_one_write_beside_the_correction_on_the_server() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    world.repo.write("policies/drift.toml", hands_back());
    let steps = steps_of_a_run("hand-back");
    for step in &steps {
        let mut map = config_map(&object(step), "info");
        map["metadata"]["namespace"] = json!(world.namespace);
        // Else nothing of it would be the team's once somebody has edited the level.
        map["data"]["other"] = json!("1");
        world.repo.write(&format!("manifests/{}.json", object(step)), map.to_string());
    }
    world.repo.commit("what the team applies");
    let team = ["--server-side", "--field-manager=team"];
    world.apply(&team);
    for step in &steps {
        let patch = json!({"data": {"level": "debug"}}).to_string();
        world.kubectl(&["patch", "configmap", &object(step), "--type=merge", "-p", &patch]);
        assert!(world.kill_at(step), "no round comes to {step}");
    }
    let sync = || world.trueup(&["sync", "-o", "json"]);
    within(Duration::from_mins(8), sync, |ended| ended.code == Some(0));
    assert_eq!(sync().code, Some(0));
    let Some(writes) = world.writes() else { return };
    for step in &steps {
        println!("{step:36} {} writes", taken(&writes, &object(step)));
        let level = &world.live(&format!("configmap/{}", object(step)), "/data/level");
        assert_eq!((taken(&writes, &object(step)), level), (2, &json!("info")), "{step}");
    }
    // The team meets no conflict: what was corrected is theirs again.
    world.apply(&team);
}

/// The runs as they are, where each has its end.
fn ended_runs(world: &World) -> Option<Vec<Value>> {
    let runs = world.json(&["runs"], 0).as_array().unwrap().clone();
    runs.iter().all(|run| run["state"] == "ResumeOrRollback" && run["status"] != "unhealthy").then_some(runs)
}

/// A write after which a Deployment crashed is taken back; that is what is killed.
fn killed_while_taking_back(step: &str) {
    let Some(world) = health::world("40s", &["one"]) else { return };
    edit(&world, "one", "by hand");
    // The correction itself comes to the same steps first.
    let step = if step.starts_with("correction") { format!("{step}@2") } else { step.to_owned() };
    std::thread::scope(|scope| {
        let killed = scope.spawn(|| killed_at(world.command(&["sync"]), &step));
        within(PATIENCE, || health::value(&world, "one"), |value| value == "1");
        crashes(&world);
        assert!(killed.join().unwrap(), "no round comes to {step}");
    });
    let sync = || {
        world.trueup(&["sync"]);
        ended_runs(&world).filter(|runs| runs.iter().any(|run| run["status"].as_str().unwrap().starts_with("undone by")))
    };
    within(Duration::from_mins(8), sync, Option::is_some);
    for round in 0..2 {
        world.trueup(&["sync"]);
        assert_eq!(health::value(&world, "one"), "by hand", "{step}, round {round} after it: taken back, and held");
    }
    let runs = ended_runs(&world).expect("ended");
    let had_effect = |run: &&Value| run["undoes"].is_string() && !run["status"].as_str().unwrap().starts_with("void");
    assert_eq!(runs.iter().filter(had_effect).count(), 1, "{step}: {runs:#?}");
    let writes = world.writes().map(|writes| taken(&writes, "one"));
    println!("{step:38} {writes:?} writes: the correction, and what takes it back");
    assert!(writes.is_none_or(|writes| writes == 2), "{step}: {writes:?}");
    world.records();
}

#[test]
fn a_roll_back_that_is_killed_at_any_step_is_one_write_on_the_server() {
    let steps = steps_of_a_run("taking back");
    std::thread::scope(|scope| {
        let each: Vec<_> = steps.iter().map(|step| (step, scope.spawn(|| killed_while_taking_back(step)))).collect();
        for (step, row) in each {
            assert!(row.join().is_ok(), "{step}");
        }
    });
}
