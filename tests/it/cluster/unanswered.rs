//! A write of which no answer comes, or none that can be believed: it is sent once, and what came of it is read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::proxy::{Fate, Moment, Proxy};
use crate::world::{Rights, World, ended};

/// What becomes of a write.
struct Case {
    name: &'static str,
    moment: Moment,
    fate: Fate,
}

const CASES: [Case; 9] = [
    Case { name: "lost-on-the-way", moment: Moment::Before, fate: Fate::Cut },
    Case { name: "cut-on-the-way", moment: Moment::Before, fate: Fate::First(200) },
    Case { name: "error-instead", moment: Moment::Before, fate: Fate::Answer(500, "not today") },
    Case { name: "timeout-instead", moment: Moment::Before, fate: Fate::Answer(504, "not in time") },
    Case { name: "answer-lost", moment: Moment::After, fate: Fate::Cut },
    Case { name: "answer-begun", moment: Moment::After, fate: Fate::First(12) },
    Case { name: "answer-all-but-whole", moment: Moment::After, fate: Fate::AllButTheLast },
    Case { name: "done-and-an-error", moment: Moment::After, fate: Fate::Answer(500, "not today") },
    Case { name: "done-and-a-timeout", moment: Moment::After, fate: Fate::Answer(504, "not in time") },
];

fn object(case: &Case) -> String {
    format!("configmap/{}", case.name)
}

fn drift(world: &World, case: &Case, value: &str) {
    let patch = json!({"data": {"level": value}}).to_string();
    world.kubectl(&["patch", &object(case), "--type=merge", "-p", &patch]);
}

fn level(world: &World, case: &Case) -> Value {
    world.live(&object(case), "/data/level")
}

#[test]
fn whatever_becomes_of_its_answer_a_patch_is_sent_once_and_resolved_by_reading() {
    let Some(world) = World::new(Rights::Baseline) else { return };
    for case in &CASES {
        let metadata = json!({"name": case.name, "namespace": world.namespace});
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"level": "info"}});
        world.repo.write(&format!("manifests/{}.json", case.name), map.to_string());
    }
    world.repo.commit("what we run");
    world.apply(&[]);
    for case in &CASES {
        drift(&world, case, "debug");
        let status = status_of_one_write(&world, case);
        let landed = case.moment == Moment::After;
        let end = if landed { ("settled", json!("info")) } else { ("unknown", json!("debug")) };
        assert_eq!((status.as_str(), level(&world, case)), end, "{}", case.name);
        if !landed {
            resolved_by_what_is_there(&world, case);
        }
    }
    assert_eq!(world.json(&["diff"], 0)["findings"], json!([]));
    world.records();
    let Some(patches) = world.patches() else { return };
    for case in &CASES {
        let taken =
            patches.iter().filter(|event| event["objectRef"]["name"] == case.name && event["responseStatus"]["code"] == 200);
        assert_eq!(taken.count(), 1, "{}", case.name);
    }
}

/// A round in which the first write meets its fate; no second one is sent in it.
fn status_of_one_write(world: &World, case: &Case) -> String {
    let (writes, (moment, fate)) = (Arc::new(AtomicUsize::new(0)), (case.moment, case.fate));
    let counted = Arc::clone(&writes);
    let proxy = Proxy::start(world, move |at| {
        if at == Moment::Before {
            counted.fetch_add(1, Ordering::SeqCst);
        }
        if at == moment { fate } else { Fate::Pass }
    });
    let synced = ended(world.command_by(&proxy.kubeconfig, &["sync", "-o", "json"]));
    assert_eq!(writes.load(Ordering::SeqCst), 1, "{}: {synced:?}", case.name);
    let runs = synced.json()["runs"].clone();
    assert_eq!(runs.as_array().unwrap().len(), 1, "{}: {runs:#}", case.name);
    runs[0]["status"].as_str().unwrap().to_owned()
}

/// What did not come through may still come: it is waited for. Once somebody has written, it cannot any more.
fn resolved_by_what_is_there(world: &World, case: &Case) {
    let early = world.json(&["sync"], 1);
    assert_eq!(early["runs"][0]["status"], "held", "{}: {early:#}", case.name);
    drift(world, case, "trace");
    let next = world.json(&["sync"], 0);
    assert_eq!((&next["runs"][0]["status"], level(world, case)), (&json!("settled"), json!("info")), "{}: {next:#}", case.name);
}
