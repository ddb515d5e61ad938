//! A question whose answer was lost and that takes effect late: the next round joins what it opened, by the whole program.

use trueup_core::run::{Due, RunStatus};

use super::program::{statuses, world};
use super::server::{Deed, Fault, GitHubServer};
use crate::review_world::ReviewWorld;

/// When the first round's question takes effect.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// Before the next round looks.
    Before,
    /// Between the next round's look and its question.
    AfterTheLook,
    /// There, too, and of the next round's question nothing is ever heard.
    AfterTheLookAndLost,
    /// After the next round's question, which is late as well.
    AfterBoth,
}

const MOMENTS: [Moment; 4] = [Moment::Before, Moment::AfterTheLook, Moment::AfterTheLookAndLost, Moment::AfterBoth];

/// What happened to Git and live until the next round.
#[derive(Debug, Clone, Copy)]
enum Meanwhile {
    Nothing,
    LiveMoved,
    GitMoved,
    /// The drift ended, a round has seen that, and it drifted again.
    DriftedAgain,
}

const MEANWHILE: [Meanwhile; 4] = [Meanwhile::Nothing, Meanwhile::LiveMoved, Meanwhile::GitMoved, Meanwhile::DriftedAgain];

/// What is live after that, and the only thing that people are to be asked.
async fn go_on(world: &ReviewWorld, meanwhile: Meanwhile) -> &'static str {
    match meanwhile {
        Meanwhile::Nothing => "red",
        Meanwhile::LiveMoved => {
            world.live("info", "green", 8);
            "green"
        }
        Meanwhile::GitMoved => {
            let text = r#"{ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "app", "namespace": "shop" },
                "data": { "level": "info", "color": "blue" } }"#;
            world.declare("manifests/app.json", text);
            "red"
        }
        Meanwhile::DriftedAgain => {
            world.live("info", "blue", 8);
            world.run(&["sync"]).await;
            world.live("info", "red", 9);
            "red"
        }
    }
}

/// One pull request, which says what is live, on the one commit of the one branch; and all that is asked beside it, once.
async fn joined(github: &GitHubServer, world: &ReviewWorld, color: &str, case: &str) {
    {
        let forge = github.world();
        let [pull] = &forge.pulls[..] else { panic!("{case}: {:?}", forge.pulls) };
        assert!(pull.open && pull.body.contains(&format!("`\"{color}\"`")), "{case}: {pull:?}");
        assert_eq!((&pull.labels[..], &pull.reviewers[..]), (&["drift".into()][..], &["octocat".into()][..]), "{case}");
    }
    let branches = world.branches();
    assert_eq!((branches.len(), branches[0].1.len()), (1, 1), "{case}: {branches:?}");
    let runs = world.runs().await;
    assert!(runs.iter().all(|run| run.due() != Due::Resolution), "{case}: {runs:#?}");
    let open = runs.iter().filter(|run| matches!(run.status, RunStatus::Proposed { .. })).count();
    assert_eq!(open, 1, "{case}: {runs:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_that_comes_late_is_joined_and_never_doubled() {
    for moment in MOMENTS {
        for meanwhile in MEANWHILE {
            let case = format!("{moment:?}, {meanwhile:?}");
            let github = GitHubServer::default();
            let world = world(&github, "").await;
            github.world().faults.push_back(("POST", Fault::Late));
            let report = world.sync().await;
            assert_eq!(statuses(&report), ["unknown"], "{case}: {report:#}");
            assert!(github.world().pulls.is_empty(), "{case}");
            let color = go_on(&world, meanwhile).await;
            let late = || ("POST", Fault::Meanwhile(Deed::of(super::server::World::catch_up)));
            match moment {
                Moment::Before => github.world().catch_up(),
                Moment::AfterTheLook => github.world().faults.push_back(late()),
                Moment::AfterTheLookAndLost => github.world().faults.extend([late(), ("POST", Fault::Lost)]),
                Moment::AfterBoth => {
                    github.world().faults.push_back(("POST", Fault::Late));
                    let report = world.sync().await;
                    assert_eq!(statuses(&report), ["unknown"], "{case}: {report:#}");
                    github.world().catch_up();
                }
            }
            let report = world.sync().await;
            assert!(matches!(statuses(&report)[..], ["opened" | "updated"]), "{case}: {report:#}");
            joined(&github, &world, color, &case).await;
            let asked = github.count("POST", "/pulls");
            let report = world.sync().await;
            assert_eq!((statuses(&report), github.count("POST", "/pulls")), (vec!["unchanged"], asked), "{case}: {report:#}");
            joined(&github, &world, color, &case).await;
        }
    }
}
