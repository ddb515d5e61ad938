//! The same on a real API server: its audit log says how often each object was written.

use std::time::Duration;

use serde_json::{Value, json};

use super::steps;
use crate::world::{Rights, World, is_dry_run, within};

fn config_map(name: &str, level: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"level": level}})
}

/// The object of a step; what a kill leaves open holds its own object and no other.
fn object(step: &str) -> String {
    step.chars().map(|c| if c.is_ascii_lowercase() { c } else { '-' }).collect()
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
    let count = |step: &String| {
        let is_ours = |event: &&Value| {
            event["objectRef"]["name"] == object(step).as_str()
                && !is_dry_run(event)
                && event["stage"] == "ResponseComplete"
                && event["responseStatus"]["code"] == 200
        };
        writes.iter().filter(is_ours).count()
    };
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
