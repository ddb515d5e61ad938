//! What the loop does round after round.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Loop, PATIENCE};
use crate::cluster::proxy::{Fate, Moment, Proxy};
use crate::world::{Rights, World, is_dry_run, within};

const CONFIG: &str = "configmap/blackbox-exporter-configuration";
const PATCHED: &str = "trueup_effects_total{action=\"patch\",status=\"settled\"}";
const OPENED: &str = "trueup_effects_total{action=\"pull-request\",status=\"opened\"}";
const ESCALATED: &str = "trueup_effects_total{action=\"escalate\",status=\"escalated\"}";

fn world() -> Option<World> {
    let world = World::new(Rights::Baseline)?;
    world.declare(&["blackboxExporter-configuration.yaml", "blackboxExporter-deployment.yaml", "grafana-service.yaml"]);
    Some(world)
}

fn edit(world: &World, value: &str) {
    world.kubectl(&["patch", CONFIG, "-p", &json!({"data": {"config.yml": value}}).to_string()]);
}

fn config(world: &World) -> String {
    world.live(CONFIG, "/data/config.yml").as_str().unwrap().to_owned()
}

fn actions(world: &World) -> Vec<String> {
    let runs = world.json(&["runs"], 0);
    runs.as_array()
        .unwrap()
        .iter()
        .map(|run| format!("{} {}", run["action"].as_str().unwrap(), run["status"].as_str().unwrap()))
        .collect()
}

#[test]
fn each_safe_edit_is_put_right_and_a_proposal_is_made_once() {
    let Some(world) = world() else { return };
    let mut running = Loop::start(&world);
    within(PATIENCE, || running.get("/readyz"), |(status, _)| *status == 200);
    assert_eq!(running.get("/healthz"), (200, "ok\n".to_owned()));
    assert_eq!(running.get("/elsewhere").0, 404);
    let declared = config(&world);
    world.kubectl(&["set", "image", "deployment/blackbox-exporter", "blackbox-exporter=hot"]);
    for time in 1..=3 {
        edit(&world, &format!("by hand, {time}"));
        let took = within(PATIENCE, || config(&world), |live| *live == declared);
        eprintln!("edit {time} was put right after {took:.1?}, with a round every 2 s");
    }
    assert!(running.metric("trueup_rounds_total") >= 3);
    within(PATIENCE, || running.metric(PATCHED), |patched| *patched >= 3);

    // Written back each time: the fourth is left to people, who are told once.
    edit(&world, "by hand, again");
    running.await_log("needs people", 1);
    let rounds = running.metric("trueup_rounds_total");
    within(PATIENCE, || running.metric("trueup_rounds_total"), |now| *now >= rounds + 2);
    assert_eq!(config(&world), "by hand, again");
    assert_eq!([PATCHED, OPENED, ESCALATED].map(|sample| running.metric(sample)), [3, 1, 1]);
    assert_eq!(running.sum("trueup_effects_total"), 5, "what is only looked after is no effect");
    assert_eq!(running.metric("trueup_findings{lane=\"review\"}"), 1);
    assert_eq!(running.metric("trueup_findings{lane=\"auto\"}"), 1);
    assert_eq!(running.metric("trueup_unknown_objects{target=\"monitoring\"}"), 0);
    assert_eq!(running.metric("trueup_rounds_failed_total"), 0);
    assert_eq!(running.logged("needs people").len(), 1);

    let (status, took) = running.terminate();
    assert_eq!(status.code(), Some(0));
    assert!(took < Duration::from_secs(5), "{took:?}");
    let mut actions = actions(&world);
    actions.sort();
    assert_eq!(actions, ["patch settled", "patch settled", "patch settled", "pull-request proposed"]);
    world.records();
}

#[test]
fn a_loop_that_sees_nothing_is_healthy_and_not_ready() {
    let Some(world) = world() else { return };
    let mut running = Loop::start_by(&world, &world.kubeconfig_of("https://127.0.0.1:1"));
    running.await_log("round ended", 2);
    assert_eq!(running.get("/healthz").0, 200);
    let (status, why) = running.get("/readyz");
    assert_eq!(status, 503);
    assert!(why.contains("no round has ended well") && why.contains("127.0.0.1:1"), "{why}");
    assert_eq!(running.metric("trueup_unknown_objects{target=\"monitoring\"}"), 1);
    assert_eq!(running.sum("trueup_effects_total"), 0);
    assert_eq!(running.terminate().0.code(), Some(0));
}

#[test]
fn a_slow_round_is_waited_for_and_those_that_were_due_are_counted() {
    let Some(world) = world() else { return };
    let declared = config(&world);
    edit(&world, "by hand");
    let proxy = Proxy::start(&world, |moment| {
        if moment == Moment::Before {
            std::thread::sleep(Duration::from_secs(7));
        }
        Fate::Pass
    });
    let running = Loop::start_by(&world, &proxy.kubeconfig);
    running.await_log("correcting", 1);
    assert_eq!(running.get("/readyz").0, 503, "no round has ended");
    assert_eq!(running.get("/healthz").0, 200, "but it turns");
    running.await_log("round ended", 2);
    assert_eq!(config(&world), declared);
    assert!(running.metric("trueup_rounds_skipped_total") >= 3, "{}", running.get("/metrics").1);
    assert_eq!(actions(&world), ["patch settled"]);
    let Some(requests) = world.requests() else { return };
    let patched = requests.iter().position(|event| event["verb"] == "patch" && !is_dry_run(event)).unwrap();
    let at_once: Vec<&Value> = requests[patched - 1..=patched].iter().map(|event| &event["verb"]).collect();
    assert_eq!(at_once, ["patch", "patch"], "nothing was asked for between the dry run and the write");
}
