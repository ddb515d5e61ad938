//! What people say while a round is under way is heard in that round; what they said before is not asked again in it.

use serde_json::json;

use super::program::{statuses, world};
use super::server::{Deed, Fault, GitHubServer};
use crate::review_world::ReviewWorld;

/// A denial, or a hold, between the decision and the offer of the same round: nothing is offered.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_between_the_decision_and_the_offer_is_heard() {
    for verb in ["deny", "hold"] {
        let github = GitHubServer::default();
        let world = world(&github, "").await;
        let class =
            |name: &str| format!("[[class]]\nname = \"{name}\"\nmatch = {{ path = \"data.{name}\" }}\nlane = \"review\"\n\n");
        world.declare("policies/drift.toml", &(class("level") + &class("color")));
        assert_eq!(statuses(&world.sync().await), ["opened"], "{verb}");
        world.live("debug", "red", 8);
        level_stays(&world, &github, verb).await;
        assert_eq!(github.world().pulls.len(), 1, "{verb}");
        world.sync().await;
        assert_eq!((github.count("POST", "/pulls"), world.branches().len()), (1, 1), "{verb}: nor later");
    }
}

/// The same between the decision and the write: nothing is written.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_say_between_the_decision_and_the_write_is_heard() {
    for verb in ["deny", "hold"] {
        let github = GitHubServer::default();
        let world = world(&github, "").await;
        world.live_managed("info", "red", 7);
        assert_eq!(statuses(&world.sync().await), ["opened"], "{verb}");
        world.live_managed("debug", "red", 8);
        level_stays(&world, &github, verb).await;
        assert_eq!(world.read_live()["data"]["level"], "debug", "{verb}");
        world.sync().await;
        assert_eq!(world.read_live()["data"]["level"], "debug", "{verb}: nor later");
    }
}

/// Of the level, people say this while the round looks after the open proposal, and asks GitHub for it.
async fn level_stays(world: &ReviewWorld, github: &GitHubServer, verb: &str) {
    let diff = world.run(&["diff", "-o", "json"]).await;
    let diff: serde_json::Value = serde_json::from_slice(&diff.stdout).unwrap();
    let found = diff["findings"].as_array().unwrap().iter().find(|found| found["path"] == "data.level").unwrap();
    let id = found["id"].as_str().unwrap();
    let command = std::sync::Mutex::new(world.command(&[verb, id, "--because", "it is ours"]));
    let said = Deed::of(move |_| {
        let output = command.lock().unwrap().output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
    github.world().faults.push_back(("GET", Fault::Meanwhile(said)));
    let report = world.sync().await;
    let mut told = statuses(&report);
    told.sort_unstable();
    assert_eq!(told, ["held", "unchanged"], "{verb}: {report:#}");
    assert!(github.world().faults.is_empty(), "{verb}: it was said in this round");
    let why = if verb == "deny" { "denied by people" } else { "it is ours" };
    assert!(report["runs"].to_string().contains(why), "{verb}: {report:#}");
}

/// A correction that comes to nothing leaves its finding to people in the same round: what they closed is not asked with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_closed_is_not_asked_again_when_something_else_could_not_be_corrected() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    let policy = crate::git::git(&world.bare, &["show", "main:policies/drift.toml"]);
    let by_helm = "[[class]]\nname = \"by-helm\"\nmatch = { path = \"data.level\", manager = \"helm\" }\nlane = \"review\"\n\n";
    world.declare("policies/drift.toml", &format!("{by_helm}{policy}\n"));
    world.live_managed("info", "red", 7);
    assert_eq!(statuses(&world.sync().await), ["opened"]);
    world.live_managed("debug", "red", 8);
    github.world().pulls[0].open = false;
    // Somebody else writes the same value while the round looks after the proposal: the correction is decided anew.
    let live = world.path().join("live/app.json");
    let rewritten = Deed::of(move |_| {
        let mut object: serde_json::Value = serde_json::from_slice(&std::fs::read(&live).unwrap()).unwrap();
        object["metadata"]["resourceVersion"] = json!("9");
        object["metadata"]["managedFields"][0]["manager"] = json!("helm");
        std::fs::write(&live, object.to_string()).unwrap();
    });
    github.world().faults.push_back(("GET", Fault::Meanwhile(rewritten)));
    let report = world.sync().await;
    let mut told = statuses(&report);
    told.sort_unstable();
    assert_eq!(told, ["denied", "opened", "void"], "{report:#}");
    let pulls = github.world().pulls.clone();
    let open: Vec<_> = pulls.iter().filter(|pull| pull.open).collect();
    assert!(open.len() == 1 && open[0].title.contains("data.level"), "{pulls:#?}");
    assert_eq!(pulls.len(), 2, "{pulls:#?}");
}

/// What people closed is not asked again in its episode, not even by way of another value; the next episode asks once. A push
/// whose pull request could not be brought up to date is in between: its commit was closed with it.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_closed_is_asked_once_more_in_the_next_episode_alone() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    assert_eq!(statuses(&world.sync().await), ["opened"]);
    world.live("info", "green", 8);
    let refused = Fault::Refuse { status: 403, headers: Vec::new(), body: r#"{"message": "Forbidden"}"#.to_owned() };
    github.world().faults.push_back(("PATCH", refused));
    assert_eq!(statuses(&world.sync().await), ["refused"]);
    github.world().pulls[0].open = false;
    let head = crate::git::git(&world.bare, &["rev-parse", &format!("refs/heads/{}", world.branches()[0].0)]);
    github.world().pulls[0].sha = Some(head);
    world.live("info", "red", 9);
    assert_eq!(statuses(&world.sync().await), ["denied"]);
    for _ in 0..2 {
        assert_eq!(statuses(&world.sync().await), ["left"], "the same episode");
    }
    world.live("info", "blue", 10);
    let output = world.run(&["sync"]).await;
    assert_eq!(output.status.code(), Some(0), "it is over");
    for (round, expected) in ["opened", "unchanged", "unchanged"].into_iter().enumerate() {
        world.live("info", "green", 11);
        assert_eq!(statuses(&world.sync().await), [expected], "round {round} of the next episode");
    }
    assert_eq!(github.world().pulls.len(), 2);
}
