//! Git is right: an approval is proposed, merged, acted on once, and gone with the next proposal.

use serde_json::{Value, json};

use super::world::World;

const RESTORES: &str = "[[class]]\nname = \"settings\"\nmatch = { path = \"data.*\" }\nlane = \"review\"\nreview = \"restore\"\n";

fn world(live: &Value) -> World {
    let world = World::of(&json!({"level": "info", "mode": "plain"}), live);
    world.repo.write("policies/drift.toml", RESTORES);
    world.repo.commit("what Git says is right");
    world
}

fn drifted() -> Value {
    json!({"level": "debug", "mode": "plain"})
}

fn right() -> Value {
    json!({"level": "info", "mode": "plain"})
}

/// Action and status of what a `sync` did, and the codes and places of its problems.
fn told(report: &Value) -> (Vec<String>, Vec<String>) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let runs = report["runs"].as_array().into_iter().flatten();
    let runs = runs.map(|run| format!("{} {}", text(&run["action"]), text(&run["status"])));
    let problems = report["problems"].as_array().unwrap().iter();
    let place = |problem: &Value| {
        let origin = &problem["origin"];
        let folder = text(&origin["file"]);
        format!("{} {}:{}", text(&problem["code"]), folder.rsplit_once('/').map_or("", |(folder, _)| folder), origin["line"])
    };
    (runs.collect(), problems.map(place).collect())
}

fn merge(world: &World) {
    let branch = world.branches().remove(0).0;
    world.repo.git(&["merge", "-q", "--no-ff", "-m", "approved", &branch]);
}

fn approvals(world: &World) -> Vec<String> {
    let listed = world.repo.git(&["ls-tree", "-r", "--name-only", "HEAD", ".trueup/"]);
    listed.lines().map(str::to_owned).collect()
}

const NOTHING: [&str; 0] = [];

#[tokio::test]
async fn what_was_approved_is_put_back_once() {
    let world = world(&drifted());
    let (runs, problems) = told(&world.sync());
    assert_eq!((runs, problems), (vec!["pull-request opened".to_owned()], vec![]));
    let (branch, head) = world.branches().remove(0);
    let changed = world.repo.git(&["diff", "--name-only", &format!("main..{branch}")]);
    assert!(changed.starts_with(".trueup/approvals/p-") && changed.lines().count() == 1, "{changed}");
    let file = world.repo.git(&["show", &format!("{branch}:{changed}")]);
    assert!(!file.contains("debug") && !file.contains("info"), "it holds no value: {file}");
    assert_eq!(world.live_data(), drifted(), "nothing is written before it is merged");
    let (runs, _) = told(&world.sync());
    assert_eq!(runs, ["pull-request unchanged"], "the same week, the same file");
    assert_eq!(world.branches()[0].1, head);

    merge(&world);
    let (runs, problems) = told(&world.sync());
    assert_eq!((runs, problems), (vec!["patch settled".to_owned(), "pull-request merged".to_owned()], vec![]));
    assert_eq!(world.live_data(), right());
    let run = world
        .runs()
        .await
        .into_iter()
        .find(|run| !run.intent.reasons.is_empty() && run.intent.classes == ["settings"] && run.proposals.is_empty());
    assert!(run.unwrap().intent.reasons.iter().any(|reason| reason.contains("approved: ") && reason.contains(&changed)));
    assert_eq!(told(&world.sync()).0, NOTHING);

    // Consent was for once: whoever writes it again is asked about again, and the old file goes with that.
    world.live(&drifted());
    let (runs, problems) = told(&world.sync());
    assert_eq!((runs, problems), (vec!["pull-request opened".to_owned()], vec!["approval-used .trueup/approvals:1".to_owned()]));
    assert_eq!(world.live_data(), drifted());
    merge(&world);
    assert_eq!(told(&world.sync()).0, ["patch settled", "pull-request merged"]);
    assert_eq!(world.live_data(), right());

    world.live(&json!({"level": "info", "mode": "odd"}));
    assert_eq!(told(&world.sync()).0, ["pull-request opened"]);
    assert_eq!(approvals(&world), [changed.as_str()]);
    merge(&world);
    let left = approvals(&world);
    assert!(left.len() == 1 && left[0] != changed, "the used one went with the next proposal: {left:?}");
}

#[tokio::test]
async fn an_approval_of_other_values_approves_nothing() {
    let world = world(&drifted());
    world.sync();
    merge(&world);
    let moved = json!({"level": "trace", "mode": "plain"});
    world.live(&moved);
    let (runs, problems) = told(&world.sync());
    assert_eq!(runs, ["pull-request merged"]);
    assert_eq!(problems, ["approval-stale .trueup/approvals:1"]);
    assert_eq!(world.live_data(), moved);
    let (runs, _) = told(&world.sync());
    assert_eq!(runs, ["pull-request opened"], "the new value is another question");
    assert_eq!(world.live_data(), moved);
    merge(&world);
    assert_eq!(told(&world.sync()).0, ["patch settled", "pull-request merged"]);
    assert_eq!((world.live_data(), world.branches().len()), (right(), 0));
}

#[tokio::test]
async fn what_trueup_did_not_propose_approves_nothing() {
    let world = world(&drifted());
    world.sync();
    let branch = world.branches().remove(0).0;
    let file = world.repo.git(&["diff", "--name-only", &format!("main..{branch}")]);
    let text = world.repo.git(&["show", &format!("{branch}:{file}")]) + "\n";
    let put = |text: &str| {
        world.repo.write(&file, text);
        world.repo.commit("by hand");
    };
    // A longer time than was proposed.
    let (head, rest) = text.split_once("expires = \"20").unwrap();
    put(&format!("{head}expires = \"29{rest}"));
    let (_, problems) = told(&world.sync());
    assert_eq!((problems, world.live_data()), (vec!["approval-forged .trueup/approvals:1".to_owned()], drifted()));
    // The very file, and no ledger that knows of it.
    put(&text);
    world.forget();
    let (_, problems) = told(&world.sync());
    assert_eq!((problems, world.live_data()), (vec!["approval-forged .trueup/approvals:1".to_owned()], drifted()));
    // What is none, and what is about something that is not here, is told by any look.
    put(&text.replace("target = \"prod\"", "target = \"elsewhere\""));
    world.repo.write(".trueup/approvals/p-0000000000000000.toml", "schema = \"trueup.approval/v1\"\nplace = 7\n");
    world.repo.commit("no approval");
    let (_, problems) = told(&world.diff());
    assert_eq!(problems, ["approval-unreadable .trueup/approvals:2", "approval-foreign .trueup/approvals:1"]);
    assert_eq!((told(&world.sync()).1.len(), world.live_data()), (2, drifted()));
}

#[tokio::test]
async fn an_approval_stands_above_no_guard() {
    let world = world(&drifted());
    world.sync();
    merge(&world);
    let mut held = World::object("app", &drifted());
    held["metadata"]["annotations"] = json!({"trueup.dev/hold": "we are looking at it"});
    world.repo.write("live/app.json", held.to_string());
    let (runs, _) = told(&world.sync());
    assert!(!runs.iter().any(|run| run.starts_with("patch")), "{runs:?}");
    assert_eq!(world.live_data(), drifted());
    world.live(&drifted());
    assert_eq!(told(&world.sync()).0[0], "patch settled", "the consent is still good");
}

#[tokio::test]
async fn what_is_asked_otherwise_is_another_proposal() {
    let world = world(&drifted());
    world.sync();
    world.repo.write("policies/drift.toml", RESTORES.replace("restore", "adopt"));
    world.repo.commit("live is right");
    assert_eq!(world.proposals(), ["withdrawn"]);
    assert_eq!(world.proposals(), ["opened"]);
    let changed = world.repo.git(&["diff", "--name-only", &format!("main..{}", world.branches()[0].0)]);
    assert_eq!(changed, "manifests/app.yaml");
}
