//! What became of a proposal cannot be told: nothing is offered in that round, nothing is closed, and the report says why.

use std::path::Path;

use super::program::{statuses, world};
use super::server::{Fault, GitHubServer};
use crate::review_world::ReviewWorld;

/// How GitHub gives no answer. A failing server is asked three times.
fn silences() -> [Vec<Fault>; 2] {
    let refused = |status: u16, body: &str| Fault::Refuse { status, headers: Vec::new(), body: body.to_owned() };
    [vec![refused(403, r#"{"message": "Forbidden"}"#)], vec![refused(502, "<html>"); 3]]
}

/// What has happened since the proposal was opened.
#[derive(Debug, Clone, Copy)]
enum Since {
    Nothing,
    LiveMoved,
    LiveIsTrue,
    LiveIsUnseen,
}

fn happen(world: &ReviewWorld, since: Since) {
    match since {
        Since::Nothing => {}
        Since::LiveMoved => world.live("info", "green", 8),
        Since::LiveIsTrue => world.live("info", "blue", 8),
        Since::LiveIsUnseen => std::fs::write(world.path().join("live/app.json"), "{ no object").unwrap(),
    }
}

fn silence(github: &GitHubServer, faults: &[Fault]) {
    github.world().faults.extend(faults.iter().map(|fault| ("GET", fault.clone())));
}

/// Everything that a round could change at the forge.
fn at_the_forge(github: &GitHubServer, world: &ReviewWorld) -> String {
    let writes = github.writes();
    format!("{writes} {:?} {:?}", github.world().pulls, world.branches())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_offered_or_closed_while_nobody_can_tell_what_is_open() {
    for since in [Since::Nothing, Since::LiveMoved, Since::LiveIsTrue, Since::LiveIsUnseen] {
        for (faults, people_closed) in silences().iter().zip([true, false]) {
            let case = format!("{since:?}, closed: {people_closed}");
            let github = GitHubServer::default();
            let world = world(&github, "").await;
            assert_eq!(statuses(&world.sync().await), ["opened"], "{case}");
            github.world().pulls[0].open = !people_closed;
            happen(&world, since);
            let (forge, runs) = (at_the_forge(&github, &world), world.runs().await);
            let pulls = github.count("GET", "/pulls");
            silence(&github, faults);
            let output = world.run(&["sync", "-o", "json"]).await;
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let expected = if matches!(since, Since::LiveIsTrue) { "not closed" } else { "not answered" };
            assert_eq!(statuses(&report), [expected], "{case}: {report:#}");
            let reasons = report["runs"][0]["reasons"].to_string();
            assert!(reasons.contains("list pull requests"), "{case}: {reasons}");
            assert_eq!(at_the_forge(&github, &world), forge, "{case}");
            assert_eq!(world.runs().await, runs, "{case}");
            assert_eq!(github.count("GET", "/pulls"), pulls + faults.len(), "{case}: it was asked, and then no more");
            // Once it answers, what people said while it did not is heard.
            let output = world.run(&["sync", "-o", "json"]).await;
            let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
            let heard = match (people_closed, since) {
                (true, _) => "denied",
                (false, Since::Nothing) => "unchanged",
                (false, Since::LiveMoved) => "updated",
                (false, Since::LiveIsTrue) => "withdrawn",
                (false, Since::LiveIsUnseen) => "open",
            };
            assert_eq!(statuses(&report), [heard], "{case}: {report:#}");
        }
    }
}

/// People's no to the first value outlasts the silence: back at that value, they are not asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_no_that_could_not_be_heard_at_once_is_heard_later() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    world.sync().await;
    github.world().pulls[0].open = false;
    world.live("info", "green", 8);
    silence(&github, &silences()[0]);
    let seen = [world.sync().await, world.sync().await, world.sync().await];
    assert_eq!(seen.each_ref().map(statuses), [["not answered"], ["denied"], ["opened"]]);
    github.world().pulls[1].open = false;
    world.live("info", "red", 9);
    let seen = [world.sync().await, world.sync().await];
    // The second no is heard; the first one stands.
    assert_eq!(seen.each_ref().map(statuses), [vec!["left", "denied"], vec!["left"]], "{seen:#?}");
    assert_eq!(github.world().pulls.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_opened_while_nobody_can_tell_what_is_there() {
    for faults in silences() {
        let github = GitHubServer::default();
        let world = world(&github, "").await;
        silence(&github, &faults);
        let report = world.sync().await;
        assert_eq!(statuses(&report), ["refused"], "{report:#}");
        assert!(report["runs"][0]["reasons"].to_string().contains("list pull requests"), "{report:#}");
        assert_eq!((github.writes(), world.branches()), (0, vec![]));
        assert_eq!(statuses(&world.sync().await), ["opened"]);
    }
}

/// The same where the branches of the source's own repository are the forge: one that git cannot read.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_cannot_be_read_is_neither_moved_nor_closed() {
    let world = ReviewWorld::start(crate::review_world::Forge::Local, "").await;
    world.live("info", "red", 7);
    world.sync().await;
    let (branch, commits) = world.branches().remove(0);
    let file = world.bare.join(Path::new("refs/heads")).join(&branch);
    std::fs::write(&file, "no commit\n").unwrap();
    for color in ["green", "blue"] {
        world.live("info", color, 8);
        let output = world.run(&["sync", "-o", "json"]).await;
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let expected = if color == "blue" { "not closed" } else { "not answered" };
        assert_eq!(statuses(&report), [expected], "{color}: {report:#}");
        assert!(report["runs"][0]["reasons"].to_string().contains(&branch), "{report:#}");
        assert_eq!((std::fs::read_to_string(&file).unwrap().as_str(), world.runs().await.len()), ("no commit\n", 1), "{color}");
    }
    std::fs::write(&file, format!("{}\n", commits[0])).unwrap();
    world.live("info", "green", 9);
    assert_eq!(statuses(&world.sync().await), ["updated"]);
}
