//! A run that is killed before it asked anything, on a branch whose earlier proposal people have ended: that end is no answer to it.

use super::program::statuses;
use super::server::GitHubServer;
use crate::git::git;
use crate::review_world::{Forge, ReviewWorld};

fn forges() -> [Forge; 2] {
    [Forge::Local, Forge::GitHub(GitHubServer::default())]
}

/// People say no to all that is open.
fn say_no(world: &ReviewWorld) {
    match &world.forge {
        Forge::Local => {
            for (branch, _) in world.branches() {
                git(&world.bare, &["update-ref", "-d", &format!("refs/heads/{branch}")]);
            }
        }
        Forge::GitHub(github) => github.world().pulls.iter_mut().for_each(|pull| pull.open = false),
    }
}

/// What became of the proposals in a round, whatever its exit status.
async fn round(world: &ReviewWorld) -> Vec<String> {
    let output = world.run(&["sync", "-o", "json"]).await;
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    statuses(&report).into_iter().map(str::to_owned).collect()
}

/// The same drift in another episode is the same commit: only its number tells the one pull request from the other.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_earlier_proposal_of_the_same_commit_is_no_answer() {
    for forge in forges() {
        let name = if matches!(forge, Forge::Local) { "local" } else { "github" };
        let world = ReviewWorld::start(forge, "").await;
        // The second episode's own answer is not recorded either, as it is killed, too: the third must not read that one.
        for episode in 0..3 {
            world.live("info", "red", 7);
            assert!(world.kill_at("offer: intended").await, "{name}, {episode}");
            assert_eq!(round(&world).await, ["opened"], "{name}, episode {episode}");
            let heads: Vec<String> = world.branches().into_iter().flat_map(|(_, commits)| commits).collect();
            assert_eq!(heads.len(), 1, "{name}, episode {episode}");
            say_no(&world);
            assert_eq!(round(&world).await, ["denied"], "{name}, episode {episode}");
            assert_eq!(round(&world).await, ["left"], "{name}, episode {episode}: left alone");
            world.live("info", "blue", 8);
            assert!(round(&world).await.is_empty(), "{name}, episode {episode}: it is over");
        }
        if let Forge::GitHub(github) = &world.forge {
            assert_eq!(github.world().pulls.len(), 3, "one for each episode");
        }
    }
}

/// The answer to a proposal that was opened and not recorded is its own, and no later one's.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_was_found_again_is_heard_once() {
    let github = GitHubServer::default();
    let world = ReviewWorld::start(Forge::GitHub(github.clone()), "").await;
    world.live("info", "red", 7);
    assert!(world.kill_at("offer: opened").await);
    say_no(&world);
    assert_eq!(round(&world).await, ["denied"], "it was opened after all");
    world.live("info", "blue", 8);
    assert!(round(&world).await.is_empty());
    world.live("info", "red", 9);
    assert!(world.kill_at("offer: intended").await);
    assert_eq!(round(&world).await, ["opened"]);
    assert_eq!(github.world().pulls.len(), 2);
}

/// Killed before it asked about another value of the same episode, and not to be offered at once: the no to the first stays one
/// to the first.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_earlier_proposal_of_another_value_is_no_answer() {
    for forge in forges() {
        let name = if matches!(forge, Forge::Local) { "local" } else { "github" };
        let world = ReviewWorld::start(forge, "").await;
        world.live("info", "red", 7);
        assert_eq!(round(&world).await, ["opened"], "{name}");
        say_no(&world);
        assert_eq!(round(&world).await, ["denied"], "{name}");
        world.live("info", "green", 8);
        assert!(world.kill_at("offer: intended").await, "{name}");
        std::fs::write(world.path().join("live/app.json"), "{ no object").unwrap();
        assert_eq!(round(&world).await, ["open"], "{name}: nobody has answered it");
        world.live("info", "green", 9);
        assert_eq!(round(&world).await, ["opened"], "{name}");
        say_no(&world);
        assert_eq!(round(&world).await, ["denied"], "{name}");
        world.live("info", "violet", 10);
        assert!(world.kill_at("offer: intended").await, "{name}");
        world.live("info", "blue", 11);
        assert_eq!(round(&world).await, ["withdrawn"], "{name}: nobody has answered it");
    }
}

/// People end the open proposal between the kill and the next round: that is an answer to what they read, not to what was next.
#[tokio::test(flavor = "multi_thread")]
async fn what_people_end_between_the_kill_and_the_next_round_is_what_they_read() {
    for forge in forges() {
        let name = if matches!(forge, Forge::Local) { "local" } else { "github" };
        let world = ReviewWorld::start(forge, "").await;
        world.live("info", "red", 7);
        assert_eq!(round(&world).await, ["opened"], "{name}");
        world.live("info", "green", 8);
        assert!(world.kill_at("offer: intended").await, "{name}");
        say_no(&world);
        assert_eq!(round(&world).await, ["denied"], "{name}");
        assert_eq!(round(&world).await, ["opened"], "{name}: green is another question");
        world.live("info", "violet", 9);
        assert!(world.kill_at("offer: intended").await, "{name}");
        let (branch, _) = world.branches().remove(0);
        let green = git(&world.bare, &["rev-parse", &format!("refs/heads/{branch}")]);
        git(&world.bare, &["update-ref", "refs/heads/main", &green]);
        if let Forge::GitHub(github) = &world.forge {
            let pull = &mut github.world().pulls[1];
            (pull.open, pull.merged, pull.sha) = (false, true, Some(green));
        }
        assert_eq!(round(&world).await, ["merged"], "{name}");
        assert_eq!(round(&world).await, ["opened"], "{name}: violet is another question");
    }
}
