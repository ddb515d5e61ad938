//! The life of a proposal on the local forge, by the real program: opened, moved, merged, closed by people, withdrawn.

mod grouping;
mod histories;
mod restoring;
mod world;

use serde_json::json;
use trueup_core::run::{Entry, Fate, Outlook, RunStatus};

use world::World;

#[tokio::test]
async fn a_proposal_is_withdrawn_when_its_place_was_seen_true_again() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    assert_eq!(world.proposals(), ["opened"]);
    assert_eq!((world.branches().len(), world.patches()), (1, 1));
    world.live(&json!({"a": "1"}));
    assert_eq!(world.proposals(), ["withdrawn"]);
    assert_eq!((world.branches().len(), world.patches()), (0, 0), "nothing of it is left");
    let kinds = World::kinds(&world.records().await);
    assert_eq!(kinds[kinds.len() - 2..], ["withdrawal", "proposal-closed"], "recorded before and after");
    assert!(world.open().await.is_empty());
    assert!(world.proposals().is_empty(), "it ends once");

    world.live(&json!({"a": "2"}));
    assert_eq!(world.proposals(), ["opened"], "another episode");
    assert_eq!(world.proposals(), ["unchanged"]);
}

#[tokio::test]
async fn what_is_merely_unseen_keeps_its_proposal() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    let branches = world.branches();
    world.repo.write("live/app.json", "{ this is no object");
    assert_eq!(world.proposals(), ["open"]);
    assert_eq!((world.branches(), world.open().await.len()), (branches.clone(), 1));
    world.live(&json!({"a": "2"}));
    assert_eq!(world.proposals(), ["unchanged"]);
    // Git no longer declares the object, and all of the rest was seen.
    world.repo.write("manifests/app.yaml", World::object("other", &json!({})).to_string());
    world.repo.write("live/other.json", World::object("other", &json!({})).to_string());
    world.repo.commit("another one");
    assert_eq!(world.proposals(), ["withdrawn"]);
    assert!(world.branches().is_empty());
}

#[tokio::test]
async fn a_merged_proposal_is_recorded_and_verified() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    let branch = world.branches().remove(0).0;
    world.repo.git(&["merge", "-q", "--no-ff", "-m", "merged", &branch]);
    assert_eq!(world.proposals(), ["merged"]);
    assert!(world.branches().is_empty() && world.patches() == 0, "what was merged leaves nothing behind");
    let run = world.runs().await.pop().unwrap();
    assert_eq!(run.status, RunStatus::Closed(Fate::Merged));
    assert!(world.proposals().is_empty());
    assert_eq!(world.runs().await.pop().unwrap().status, RunStatus::Verified(Outlook::Settled));
    assert!(world.proposals().is_empty());
}

/// Merged, and turned back before anybody looked: Git moved, so it is asked once more, and not in each round.
#[tokio::test]
async fn what_was_merged_and_turned_back_is_asked_once_more_and_not_again_and_again() {
    let (git, live) = (json!({"a": "1"}), json!({"a": "2"}));
    let world = World::of(&git, &live);
    world.proposals();
    let branch = world.branches().remove(0).0;
    world.repo.git(&["merge", "-q", "--no-ff", "-m", "merged", &branch]);
    world.repo.git(&["revert", "--no-edit", "-m", "1", "HEAD"]);
    let seen: Vec<Vec<String>> = (0..4).map(|_| world.proposals()).collect();
    assert_eq!(seen, [["merged"], ["opened"], ["unchanged"], ["unchanged"]]);
    world.live(&git);
    world.proposals();
    world.live(&live);
    assert_eq!(world.proposals(), ["opened"], "drifted again: another question");
}

#[tokio::test]
async fn a_branch_that_people_removed_is_a_no_to_these_values() {
    let world = World::of(&json!({"a": "1", "b": "1"}), &json!({"a": "2", "b": "1"}));
    world.proposals();
    world.repo.git(&["branch", "-q", "-D", &world.branches()[0].0]);
    assert_eq!(world.proposals(), ["denied"]);
    assert!(world.proposals().is_empty() && world.branches().is_empty(), "left alone");
    world.live(&json!({"a": "3", "b": "1"}));
    assert_eq!(world.proposals(), ["opened"], "other values are another question");

    // Removed while the values moved on: the answer is to the old ones.
    world.repo.git(&["branch", "-q", "-D", &world.branches()[0].0]);
    world.live(&json!({"a": "4", "b": "1"}));
    assert_eq!(world.proposals(), ["denied"]);
    assert_eq!(world.proposals(), ["opened"]);
    world.live(&json!({"a": "3", "b": "1"}));
    world.repo.git(&["branch", "-q", "-D", &world.branches()[0].0]);
    assert_eq!(world.proposals(), ["denied"]);
    assert!(world.proposals().is_empty(), "3 was denied before");

    world.live(&json!({"a": "1", "b": "1"}));
    assert!(world.proposals().is_empty());
    world.live(&json!({"a": "2", "b": "1"}));
    assert_eq!(world.proposals(), ["opened"], "a no is for its episode");
}

#[tokio::test]
async fn a_proposal_follows_live_and_stays_one() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    let first = world.branches();
    world.live(&json!({"a": "3"}));
    assert_eq!(world.proposals(), ["updated"]);
    let moved = world.branches();
    assert_eq!((moved.len(), &moved[0].0), (1, &first[0].0));
    assert_ne!(moved[0].1, first[0].1);
    assert_eq!(world.open().await.len(), 1);
    // Git moves elsewhere: the branch need not, and people's approvals of it stay.
    world.repo.write("README.md", "something else\n");
    world.repo.commit("something else");
    assert_eq!(world.proposals(), ["unchanged"]);
    assert_eq!(world.branches(), moved);
    // Git moves in the file: now it has to.
    let text = std::fs::read_to_string(world.repo.path().join("manifests/app.yaml")).unwrap();
    world.repo.write("manifests/app.yaml", format!("# the app\n{text}"));
    world.repo.commit("a comment");
    assert_eq!(world.proposals(), ["updated"]);
    assert_ne!(world.branches(), moved);
}

#[tokio::test]
async fn peoples_commits_are_left_alone() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    let (branch, head) = world.branches().remove(0);
    let theirs = world.repo.git(&["commit-tree", "-m", "a person's work", &format!("{head}^{{tree}}"), "-p", &head]);
    world.repo.git(&["update-ref", &format!("refs/heads/{branch}"), &theirs]);
    world.live(&json!({"a": "3"}));
    assert_eq!(world.proposals(), ["foreign"], "moved");
    world.live(&json!({"a": "1"}));
    assert_eq!(world.proposals(), ["foreign"], "gone");
    assert_eq!(world.branches(), [(branch.clone(), theirs)]);
    assert_eq!(world.open().await.len(), 1, "it is open until people end it");
    world.repo.git(&["merge", "-q", "--no-ff", "-m", "merged", &branch]);
    assert_eq!(world.proposals()[0], "merged");
}

#[tokio::test]
async fn a_branch_that_people_pushed_to_costs_one_refused_run_until_it_moves() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    let (branch, head) = world.branches().remove(0);
    let theirs = world.repo.git(&["commit-tree", "-m", "a person's work", &format!("{head}^{{tree}}"), "-p", &head]);
    world.repo.git(&["update-ref", &format!("refs/heads/{branch}"), &theirs]);
    let file = world.repo.path().join("manifests/app.yaml");
    for round in 0..4 {
        // Each time there is another commit to offer.
        let text = std::fs::read_to_string(&file).unwrap();
        world.repo.write("manifests/app.yaml", format!("# comment {round}\n{text}"));
        world.repo.commit("a comment");
        assert_eq!(world.proposals(), ["foreign"], "round {round}");
        assert_eq!(world.runs().await.len(), 2, "round {round}: the one that opened it, and the one that was refused");
    }
    assert_eq!(world.branches(), [(branch.clone(), theirs)]);
    let records = world.records().await.len();
    assert_eq!((world.proposals(), world.records().await.len()), (vec!["foreign".to_owned()], records));
    // It is put back as trueup left it: it is ours again.
    world.repo.git(&["update-ref", &format!("refs/heads/{branch}"), &head]);
    assert_eq!(world.proposals(), ["updated"]);
}

#[tokio::test]
async fn a_branch_of_somebody_else_costs_one_refused_run_until_it_is_gone() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    let place = world.diff()["findings"][0]["place"].as_str().unwrap().to_owned();
    let name = format!("refs/heads/trueup/{place}");
    world.repo.git(&["update-ref", &name, "HEAD"]);
    for round in 0..4 {
        assert_eq!(world.proposals(), ["foreign"], "round {round}");
        assert_eq!(world.runs().await.len(), 1, "round {round}");
    }
    world.repo.git(&["update-ref", "-d", &name]);
    assert_eq!(world.proposals(), ["opened"]);
}

#[tokio::test]
async fn what_trueup_closed_itself_is_no_denial() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    let run = world.runs().await.pop().unwrap().intent.run;
    // Killed between closing it and recording that.
    world.append(&[Entry::Withdrawal { run, reason: "seen true again".to_owned() }]).await;
    world.repo.git(&["branch", "-q", "-D", &world.branches()[0].0]);
    assert_eq!(world.proposals(), ["withdrawn"]);
    assert_eq!(world.proposals(), ["opened"], "nobody said no");
}

#[tokio::test]
async fn what_policy_no_longer_sends_to_review_is_withdrawn() {
    let world = World::of(&json!({"a": "1"}), &json!({"a": "2"}));
    world.proposals();
    world.repo.write("policies/drift.toml", "[[class]]\nname = \"all\"\nlane = \"watch\"\n");
    world.repo.commit("watched");
    assert_eq!(world.proposals(), ["withdrawn"]);
    assert!(world.branches().is_empty());
}
