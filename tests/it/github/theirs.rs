//! A branch that people pushed to is theirs, on both forges: one refused run at most, then silence with the reason, and one offer
//! once it is free again.

use serde_json::Value;

use super::program::statuses;
use super::server::GitHubServer;
use crate::git::git;
use crate::review_world::{Forge, ReviewWorld};

fn forges() -> [Forge; 2] {
    [Forge::Local, Forge::GitHub(GitHubServer::default())]
}

/// A person's commit on top of a branch; the head that trueup had left there.
fn pushed_to(world: &ReviewWorld, branch: &str) -> String {
    let name = format!("refs/heads/{branch}");
    let head = git(&world.bare, &["rev-parse", &name]);
    let theirs = git(&world.bare, &["commit-tree", "-m", "a person's work", &format!("{head}^{{tree}}"), "-p", &head]);
    git(&world.bare, &["update-ref", &name, &theirs]);
    head
}

fn put_back(world: &ReviewWorld, branch: &str, head: &str) {
    git(&world.bare, &["update-ref", &format!("refs/heads/{branch}"), head]);
}

fn reasons(report: &Value, status: &str) -> String {
    let runs = report["runs"].as_array().unwrap();
    runs.iter().filter(|run| run["status"] == status).map(|run| run["reasons"].to_string()).collect()
}

/// Git says the same in other words: another commit is to be offered of the same values.
fn rewritten(world: &ReviewWorld, round: usize) {
    let space = " ".repeat(round + 1);
    let text = format!(
        r#"{{{space}"apiVersion": "v1", "kind": "ConfigMap", "metadata": {{"name": "app", "namespace": "shop"}}, "data": {{"level": "info", "color": "blue"}}}}"#
    );
    world.declare("manifests/app.json", &text);
}

fn is_theirs(why: &str) -> bool {
    why.contains("which is not ours") || why.contains("that trueup did not make")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_of_theirs_costs_one_refused_run_and_is_offered_to_once_when_it_is_free() {
    for forge in forges() {
        let name = if matches!(forge, Forge::Local) { "local" } else { "github" };
        let world = ReviewWorld::start(forge, "").await;
        world.live("info", "red", 7);
        assert_eq!(statuses(&world.sync().await), ["opened"], "{name}");
        let (branch, _) = world.branches().remove(0);
        let head = pushed_to(&world, &branch);
        let theirs = world.branches();
        for round in 0..6 {
            // Sometimes it is about another value, sometimes about another text, sometimes about nothing else.
            match round {
                1..=3 => rewritten(&world, round),
                4 => world.live("info", "green", 8),
                5 => world.live("info", "violet", 9),
                _ => {}
            }
            let report = world.sync().await;
            assert_eq!(statuses(&report), ["foreign"], "{name}, round {round}: {report:#}");
            assert!(is_theirs(&reasons(&report, "foreign")), "{name}, round {round}: {report:#}");
            assert!(world.runs().await.len() <= 2, "{name}, round {round}: {:#?}", world.runs().await);
            let heads: Vec<_> = world.branches().into_iter().map(|(name, commits)| (name, commits[0].clone())).collect();
            assert_eq!(heads, [(branch.clone(), theirs[0].1[0].clone())], "{name}, round {round}");
        }
        assert_eq!(world.runs().await.len(), 2, "{name}: the one that opened it, and one that was refused");
        put_back(&world, &branch, &head);
        let seen = [world.sync().await, world.sync().await, world.sync().await];
        assert_eq!(seen.each_ref().map(statuses), [["updated"], ["unchanged"], ["unchanged"]], "{name}: {seen:#?}");
        assert_eq!((world.branches().len(), world.runs().await.len()), (1, 3), "{name}");
        let text = git(&world.bare, &["show", &format!("{branch}:manifests/app.json")]);
        assert!(text.contains("violet"), "{name}: {text}");
        if let Forge::GitHub(github) = &world.forge {
            let pulls = github.world().pulls.clone();
            assert_eq!((pulls.len(), pulls[0].open), (1, true));
        }
    }
}

/// What would join a proposal whose branch is theirs gets one of its own in the same round, and stays there.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_waits_behind_a_branch_of_theirs() {
    for forge in forges() {
        let name = if matches!(forge, Forge::Local) { "local" } else { "github" };
        let world = ReviewWorld::start(forge, "").await;
        world.declare("policies/drift.toml", "[[class]]\nname = \"all\"\nlane = \"review\"\n");
        world.live("info", "red", 7);
        assert_eq!(statuses(&world.sync().await), ["opened"], "{name}");
        let (branch, _) = world.branches().remove(0);
        let head = pushed_to(&world, &branch);
        world.live("debug", "red", 8);
        let sorted = |report: &Value| {
            let mut all: Vec<String> = statuses(report).into_iter().map(str::to_owned).collect();
            all.sort();
            all
        };
        let report = world.sync().await;
        assert_eq!(sorted(&report), ["foreign", "opened"], "{name}: {report:#}");
        assert!(is_theirs(&reasons(&report, "foreign")), "{name}: {report:#}");
        let other = world.branches().into_iter().find(|(other, _)| *other != branch).unwrap().0;
        let text = git(&world.bare, &["show", &format!("{other}:manifests/app.json")]);
        assert!(text.contains("debug") && text.contains("blue"), "{name}: the new value alone: {text}");
        assert_eq!(sorted(&world.sync().await), ["foreign", "unchanged"], "{name}");
        put_back(&world, &branch, &head);
        assert_eq!(sorted(&world.sync().await), ["unchanged", "unchanged"], "{name}");
        assert_eq!(world.branches().len(), 2, "{name}");
    }
}
