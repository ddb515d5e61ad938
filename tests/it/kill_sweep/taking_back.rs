//! The same for what takes something back, and for what goes back to its owner.

use serde_json::{Value, json};
use trueup_core::run::{Due, Outcome, RunStatus, State};

use super::{STATES, steps};
use crate::act::World;
use crate::act::taking_back::{applied, hands_back};

/// Steps that are met once a run is decided: before that, nothing was asked for.
pub(super) fn steps_of_a_run(more: &str) -> Vec<String> {
    let decided = STATES.iter().filter(|(_, state)| *state >= State::PlanRemediation).map(|(step, _)| (*step).to_owned());
    let more = steps(more);
    assert!(more.len() >= 2, "{more:?}");
    decided.chain(more).collect()
}

/// `a` was edited by hand, and is the team's, who hand it back.
fn handing_back() -> World {
    let git = json!({"a": "1", "b": "1"});
    let world = World::of(&git, &git);
    world.repo.write("policies/drift.toml", hands_back());
    world.repo.commit("handing back");
    applied(&world, &[]);
    world
}

/// Data, version and managers, without times.
fn left(world: &World) -> Value {
    let live = world.read_live();
    let managers = live["metadata"]["managedFields"].as_array().unwrap().iter();
    let managers: Vec<Value> = managers.map(|entry| json!([entry["manager"], entry["operation"], entry["fieldsV1"]])).collect();
    json!([live["data"], live["metadata"]["resourceVersion"], managers])
}

#[tokio::test]
async fn a_hand_back_that_is_killed_at_any_step_is_made_once() {
    let whole = handing_back();
    whole.json(&["sync"]);
    let expected = left(&whole);
    assert_eq!(expected[2], json!([["team", "Apply", {"f:data": {"f:a": {}, "f:b": {}}}]]));
    for step in steps_of_a_run("hand-back") {
        let world = handing_back();
        assert!(world.kill_at(&["sync"], &step), "no round comes to {step}");
        for round in 0..2 {
            world.json(&["sync"]);
            assert_eq!(left(&world), expected, "{step}, round {round} after it");
        }
        let runs = world.runs().await;
        assert!(runs.iter().all(|run| run.due() == Due::Nothing), "{step}: {runs:#?}");
        let applied = runs.iter().filter_map(|run| run.hand_back.as_ref());
        let ends: Vec<&Outcome> = applied.map(|back| &back.outcome).collect();
        assert!(matches!(ends[..], [Outcome::Applied { .. } | Outcome::Void { .. }]), "{step}: {ends:?}");
        println!("{step:36} one write, one hand-back");
    }
}

#[tokio::test]
async fn an_undo_that_is_killed_at_any_step_is_made_once() {
    for step in steps_of_a_run("taking back") {
        let world = World::of(&json!({"a": "1"}), &json!({"a": "1"}));
        world.live_managed(&json!({"a": "2"}), "7");
        let run = world.json(&["sync"])["runs"][0]["id"].as_str().unwrap().to_owned();
        let version = |world: &World| world.read_live()["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        let before = version(&world);
        assert!(world.kill_at(&["undo", &run], &step), "no undo comes to {step}");
        world.json(&["sync"]);
        let is_undone = async || world.runs().await.iter().any(|run| matches!(run.status, RunStatus::Undone { .. }));
        // Cut off before it went out: whoever asked asks again.
        let again = !is_undone().await;
        if again {
            assert_eq!(world.read_live()["data"]["a"], "1", "{step}: nothing was written");
            world.json(&["undo", &run]);
        }
        for round in 0..2 {
            world.json(&["sync"]);
            assert_eq!(world.read_live()["data"]["a"], "2", "{step}, round {round} after it: held");
            assert_eq!(version(&world), before + 1, "{step}, round {round} after it");
            assert!(is_undone().await, "{step}");
        }
        let runs = world.runs().await;
        assert!(runs.iter().all(|run| run.due() == Due::Nothing), "{step}: {runs:#?}");
        println!("{step:36} one write{}", if again { ", asked for again" } else { "" });
    }
}
