//! Killed at every step of an offer and of a correction, the next round does what is left to do: each effect is there exactly
//! once. Effects are counted where they are: at the forge, in the live object, by `git`.

mod cluster;
mod taking_back;

use std::collections::BTreeSet;
use std::path::Path;

use trueup::ledger::{Audit, Ledger};
use trueup_core::run::{Due, Effect, RunStatus, State};

use crate::git::git;
use crate::github::server::{Fault, GitHubServer};
use crate::review_world::{Forge, ReviewWorld};

/// The steps of a correction, each with the state in which it is cut off there.
const STATES: [(&str, State); 10] = [
    ("correction: classified", State::ClassifyFailure),
    ("correction: evidence collected", State::CollectEvidence),
    ("correction: decided", State::PlanRemediation),
    ("correction: decision recorded", State::PlanRemediation),
    ("correction: intended", State::ExecuteRepair),
    ("correction: sent", State::ExecuteRepair),
    ("correction: outcome recorded", State::Validate),
    ("correction: verified", State::Validate),
    ("correction: verification recorded", State::ResumeOrRollback),
    ("correction: ended", State::ResumeOrRollback),
];

/// The states in which the ledger has the runs that wrote, or would have.
async fn recorded_states(world: &ReviewWorld) -> Vec<State> {
    let ledger = Ledger::open_to_read(&world.state().join("ledger.sqlite")).await.unwrap();
    let runs = ledger.runs().await.unwrap();
    runs.iter().filter(|run| matches!(run.intent.effect, Effect::Patch(_))).map(|run| run.status.state()).collect()
}

/// Each step that the program names, by its kind: `offer`, `correction`, `hand-back` or `taking back`.
fn steps(kind: &str) -> Vec<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(path).unwrap();
        let named = text.split("failpoint::reached(\"").skip(1).filter_map(|rest| rest.split('"').next());
        found.extend(named.filter(|name| name.starts_with(kind)).map(str::to_owned));
    }
    found.into_iter().collect()
}

/// What is there once all is done.
#[derive(Debug, PartialEq, Eq)]
struct Effects {
    pull_requests: usize,
    labels: usize,
    reviewers: usize,
    branches: usize,
    commits: usize,
    patches: usize,
    live_writes: u64,
    /// Of the ledger: proposals that are open, patches that were applied, runs of which the end is not known.
    open: usize,
    applied: usize,
    unresolved: usize,
}

/// The effects since the live object was left in this version, with what they say checked.
async fn effects(world: &ReviewWorld, color: &str, version: u64) -> Effects {
    let live = world.read_live();
    assert_eq!((&live["data"]["level"], &live["data"]["color"]), (&"info".into(), &color.into()), "{live:#}");
    let branches = world.branches();
    for (branch, _) in &branches {
        let text = git(&world.bare, &["show", &format!("{branch}:manifests/app.json")]);
        assert!(text.contains(color), "{text}");
    }
    let (pull_requests, labels, reviewers) = match &world.forge {
        Forge::Local => (0, 0, 0),
        Forge::GitHub(github) => {
            let world = github.world();
            assert!(world.pulls.iter().all(|pull| pull.body.contains(color)), "{:?}", world.pulls);
            let sum = |count: fn(&crate::github::server::Pull) -> usize| world.pulls.iter().map(count).sum();
            (world.pulls.len(), sum(|pull| pull.labels.len()), sum(|pull| pull.reviewers.len()))
        }
    };
    let patches = std::fs::read_dir(world.state().join("review")).map_or(0, |entries| {
        entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|extension| extension == "patch")).count()
    });
    let ledger = Ledger::open_to_read(&world.state().join("ledger.sqlite")).await.unwrap();
    assert!(matches!(ledger.verify().await.unwrap(), Audit::Whole { .. }));
    let runs = ledger.runs().await.unwrap();
    let is_patch = |effect: &Effect| matches!(effect, Effect::Patch(_));
    let was_applied = |status: &RunStatus| matches!(status, RunStatus::Applied { .. } | RunStatus::Verified(_));
    Effects {
        pull_requests,
        labels,
        reviewers,
        branches: branches.len(),
        commits: branches.iter().map(|(_, commits)| commits.len()).sum(),
        patches,
        live_writes: live["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() - version,
        open: ledger.standing().await.unwrap().proposals().len(),
        applied: runs.iter().filter(|run| is_patch(&run.intent.effect) && was_applied(&run.status)).count(),
        unresolved: runs.iter().filter(|run| run.due() == Due::Resolution).count(),
    }
}

/// All of it, once; `rounds` of drift were put right.
fn once(world: &ReviewWorld, rounds: usize) -> Effects {
    let on_github = usize::from(matches!(world.forge, Forge::GitHub(_)));
    Effects {
        pull_requests: on_github,
        labels: on_github,
        reviewers: on_github,
        branches: 1,
        commits: 1,
        patches: 1 - on_github,
        live_writes: 1,
        open: 1,
        applied: rounds,
        unresolved: 0,
    }
}

/// How a step was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Met {
    /// In the first round.
    First,
    /// In the round after both values had moved once more.
    Moved,
    Never,
}

/// Kills at a step, lets the next round do what is left, and one more that must have nothing left to do.
async fn sweep(world: &ReviewWorld, step: &str) -> Met {
    let name = format!("{step} ({})", if matches!(world.forge, Forge::Local) { "local" } else { "github" });
    world.live_managed("debug", "red", 7);
    let met_first = world.kill_at(step).await;
    for round in 0..2 {
        world.sync().await;
        assert_eq!(effects(world, "red", 7).await, once(world, 1), "{name}, round {round} after it");
    }
    if met_first {
        return Met::First;
    }
    world.live_managed("trace", "green", 20);
    let met = world.kill_at(step).await;
    for round in 0..2 {
        world.sync().await;
        assert_eq!(effects(world, "green", 20).await, once(world, 2), "{name} after a move, round {round} after it");
    }
    if met { Met::Moved } else { Met::Never }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_that_is_killed_at_any_step_is_made_once() {
    let steps = steps("offer");
    assert!(steps.len() >= 8, "{steps:?}");
    println!("{:32} {:>10} {:>10}", "killed at", "local", "github");
    let mut never = Vec::new();
    for step in &steps {
        let local = sweep(&ReviewWorld::start(Forge::Local, "").await, step).await;
        let github = sweep(&ReviewWorld::start(Forge::GitHub(GitHubServer::default()), "").await, step).await;
        println!("{step:32} {:>10} {:>10}", format!("{local:?}"), format!("{github:?}"));
        if (local, github) == (Met::Never, Met::Never) {
            never.push(step);
        }
    }
    assert!(never.is_empty(), "no round comes to {never:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_correction_that_is_killed_at_any_step_is_made_once() {
    let named: BTreeSet<String> = STATES.iter().map(|(step, _)| (*step).to_owned()).collect();
    assert_eq!(named, steps("correction").into_iter().collect(), "each step has its state");
    assert_eq!(STATES.map(|(_, state)| state).into_iter().collect::<BTreeSet<_>>(), State::ALL.into_iter().collect());
    for (step, state) in STATES {
        let world = ReviewWorld::start(Forge::Local, "").await;
        world.live_managed("debug", "red", 7);
        assert!(world.kill_at(step).await, "no round comes to {step}");
        // A run begins with its intent: what was cut off before left none.
        let expected: Vec<State> = Some(state).filter(|state| *state >= State::ExecuteRepair).into_iter().collect();
        assert_eq!(recorded_states(&world).await, expected, "{step}");
        for round in 0..2 {
            world.sync().await;
            assert_eq!(effects(&world, "red", 7).await, once(&world, 1), "{step}, round {round} after it");
            assert_eq!(recorded_states(&world).await.last(), Some(&State::ResumeOrRollback), "{step}");
        }
        println!("{step:36} {state}");
    }
}

/// Between the question for a pull request and its answer.
#[tokio::test(flavor = "multi_thread")]
async fn a_question_that_is_killed_before_its_answer_is_asked_once() {
    for fault in [Fault::Hang, Fault::AnswerWith(502), Fault::Lost] {
        let github = GitHubServer::default();
        let world = ReviewWorld::start(Forge::GitHub(github.clone()), "").await;
        world.live_managed("debug", "red", 7);
        github.world().faults.push_back(("POST", fault.clone()));
        if matches!(fault, Fault::Hang) {
            world.kill_unanswered(&github).await;
        } else {
            assert!(!world.kill_at("nowhere").await);
        }
        for round in 0..2 {
            world.sync().await;
            assert_eq!(effects(&world, "red", 7).await, once(&world, 1), "{fault:?}, round {round} after it");
        }
    }
}
