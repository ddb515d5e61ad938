//! Pull requests on the wire: against a loopback server, and with GitHub's own description in between.

pub mod server;
pub mod stand_in;
pub mod apps;
mod app;
mod faults;
mod late;
mod people;
mod cut_off;
mod unheard;
mod theirs;
mod limits;
mod program;
mod cost;
mod repository;

use std::time::Duration;

use trueup::config::Readiness;
use trueup::review::github::{self, Access, GitHub, GitHubError, Settings};
use trueup::review::{Identity, Known, Opened, Proposal, Pushed, Standing};
use trueup::source::credentials::Secret;

use self::server::{Fault, GitHubServer, Pull, REPOSITORY};

const BRANCH: &str = "trueup/p-0123456789abcdef";

fn settings(api: &str) -> Settings {
    Settings {
        api: api.to_owned(),
        repository: REPOSITORY.to_owned(),
        base: "main".to_owned(),
        access: Access::Token(Secret::new("ghp_secret")),
        patience: Duration::from_secs(3),
        pause: Duration::from_millis(1),
        timeout: Duration::from_secs(20),
    }
}

fn connect(api: &str) -> GitHub {
    github::connect(&settings(api)).expect("settings")
}

/// The proposal to adopt a live value.
fn proposal(live: &str) -> Proposal {
    Proposal {
        branch: BRANCH.to_owned(),
        title: "adopt live data.LEVEL of ConfigMap shop/settings in prod".to_owned(),
        body: format!("Live has `{live}`.\n"),
        commit_message: "adopt".to_owned(),
        base_commit: "4f2c9e1".to_owned(),
        edits: vec![("settings.yaml".to_owned(), live.as_bytes().to_vec())],
        removed: Vec::new(),
        labels: vec!["drift".to_owned()],
        reviewers: vec!["octocat".to_owned(), "acme/platform-team".to_owned()],
        readiness: Readiness::Ready,
        fingerprint: format!("f-{live}"),
    }
}

/// The commit that a proposal makes: the same for the same edits.
fn commit(proposal: &Proposal) -> String {
    format!("{:0<40}", trueup_core::seen::hex(&proposal.edits[0].1))
}

type Offered = Result<(Opened, Vec<trueup_core::facts::Problem>), GitHubError>;

/// Offers a proposal; pushing compares and sets the server's branch.
async fn offer(github: &GitHub, server: &GitHubServer, proposal: &Proposal, known: &Known) -> Offered {
    github::open(github, proposal, known, |expected| async move {
        let mut world = server.world();
        let there = world.branches.get(&proposal.branch).cloned();
        let head = commit(proposal);
        if there.is_some() && there != expected && there.as_ref() != Some(&head) {
            return Ok(Pushed::Foreign("the branch holds commits that trueup did not make".to_owned()));
        }
        world.branches.insert(proposal.branch.clone(), head.clone());
        Ok(Pushed::To(head))
    })
    .await
}

/// What the ledger knows after an offer.
fn known_after(opened: &Opened, proposal: &Proposal) -> Known {
    let (Standing::Created(identity) | Standing::Updated(identity) | Standing::Unchanged(identity)) = &opened.standing else {
        return Known::Nothing;
    };
    Known::Opened {
        identity: identity.clone(),
        head: opened.head.clone().expect("an open pull request has a head"),
        fingerprint: proposal.fingerprint.clone(),
    }
}

/// Everything that is asked for beside a pull request is there, once.
fn announced_once(server: &GitHubServer) {
    let pull = &server.world().pulls[0];
    assert_eq!((&pull.labels[..], &pull.reviewers[..]), (&["drift".to_owned()][..], &["octocat".to_owned()][..]));
    assert_eq!(pull.teams, ["platform-team"]);
}

fn ours(number: u64) -> Identity {
    Identity { number, author: "trueup-bot".to_owned() }
}

/// F42, F43, F44: a whole life on the wire, with GitHub's description as the judge of both sides.
#[tokio::test(flavor = "multi_thread")]
async fn one_pull_request_a_place() {
    let server = GitHubServer::default();
    let Some(stand_in) = stand_in::start(&server.start().await) else { return };
    let github = connect(&stand_in.address);

    let debug = proposal("debug");
    let mut known = Known::Nothing;
    for run in 0..3 {
        let (opened, problems) = offer(&github, &server, &debug, &known).await.expect("an answer");
        assert_eq!(problems, [], "run {run}");
        let expected = if run == 0 { Standing::Created(ours(1)) } else { Standing::Unchanged(ours(1)) };
        assert_eq!(opened.standing, expected, "run {run}");
        assert_eq!(opened.url.as_deref(), Some("https://github.com/acme/platform/pull/1"));
        known = known_after(&opened, &debug);
    }
    assert_eq!((server.count("POST", "/pulls"), server.count("PATCH", "/1")), (1, 0));
    announced_once(&server);

    let trace = proposal("trace");
    let (opened, _) = offer(&github, &server, &trace, &known).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Updated(ours(1)), "the live value moved");
    assert_eq!(opened.head, Some(commit(&trace)));
    assert_eq!(server.world().pulls[0].body, "Live has `trace`.\n");
    known = known_after(&opened, &trace);

    server.world().pulls[0].open = false;
    for _ in 0..2 {
        let (opened, _) = offer(&github, &server, &trace, &known).await.expect("an answer");
        assert_eq!(opened.standing, Standing::Denied(ours(1)), "people closed it");
    }
    let error = proposal("error");
    server.world().branches.clear();
    let (opened, _) = offer(&github, &server, &error, &known).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Created(ours(2)), "live moved on: another question, though the branch was deleted");
    known = known_after(&opened, &error);
    {
        let pull = &mut server.world().pulls[1];
        (pull.open, pull.merged) = (false, true);
    }
    let (opened, _) = offer(&github, &server, &error, &known).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Merged(ours(2)));
    assert_eq!((server.count("POST", "/pulls"), server.count("PATCH", "/1")), (2, 1));
    assert_eq!(stand_in.violations(), [""; 0]);
}

/// F45: somebody's pull request from the same branch is neither changed nor counted; a fork's does not even stand in the way.
#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_pull_request_is_left_alone() {
    let server = GitHubServer::default();
    let Some(stand_in) = stand_in::start(&server.start().await) else { return };
    let github = connect(&stand_in.address);
    let stranger = Pull {
        number: 7,
        open: true,
        title: "mine".to_owned(),
        body: "mine".to_owned(),
        branch: BRANCH.to_owned(),
        base: "main".to_owned(),
        repository: REPOSITORY.to_owned(),
        author: "stranger".to_owned(),
        ..Pull::default()
    };
    server.world().branches.insert(BRANCH.to_owned(), "5".repeat(40));
    server.world().pulls.push(stranger.clone());
    let debug = proposal("debug");
    let (opened, _) = offer(&github, &server, &debug, &Known::Nothing).await.expect("an answer");
    assert_eq!(
        opened.standing,
        Standing::Foreign("pull request 7 is open on our branch, and the ledger knows nothing of it".to_owned())
    );
    let known = Known::Opened { identity: ours(7), head: commit(&debug), fingerprint: debug.fingerprint.clone() };
    let (opened, _) = offer(&github, &server, &debug, &known).await.expect("an answer");
    assert_eq!(
        opened.standing,
        Standing::Foreign("pull request 7 has commits on its branch that trueup did not make".to_owned())
    );
    assert_eq!(server.world().branches[BRANCH], "5".repeat(40), "its branch is as it was");

    // GitHub lists a fork's where the fork's owner is asked for, or where the filter is ignored.
    {
        let mut world = server.world();
        world.branches.clear();
        world.pulls[0] = Pull { repository: "acme/platform-fork".to_owned(), sha: Some("6".repeat(40)), ..stranger };
    }
    let (opened, _) = offer(&github, &server, &debug, &Known::Nothing).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Created(ours(8)));
    let world = server.world();
    assert_eq!((world.pulls[0].title.as_str(), world.pulls[0].body.as_str()), ("mine", "mine"));
    drop(world);
    assert_eq!(stand_in.violations(), [""; 0]);
}

/// F42: GitHub's 422 for a pull request that appeared between the look and the request.
#[tokio::test(flavor = "multi_thread")]
async fn an_existing_pull_request_is_found_again() {
    let server = GitHubServer::default();
    let Some(stand_in) = stand_in::start(&server.start().await) else { return };
    let github = connect(&stand_in.address);
    server.world().faults.push_back(("POST", Fault::Overtaken));
    let (opened, _) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Unchanged(ours(1)));
    assert_eq!((server.count("POST", "/pulls"), server.world().pulls.len()), (1, 1));
    announced_once(&server);
    assert_eq!(stand_in.violations(), [""; 0]);
}

/// The judge itself: an answer that GitHub's description does not allow is found.
#[tokio::test(flavor = "multi_thread")]
async fn the_stand_in_finds_violations() {
    let server = GitHubServer::default();
    let Some(stand_in) = stand_in::start(&server.start().await) else { return };
    let github = connect(&stand_in.address);
    server.world().faults.push_back(("POST", Fault::AnswerWith(200)));
    let (opened, _) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("found by looking");
    assert_eq!(opened.standing, Standing::Created(ours(1)));
    assert_eq!(stand_in.violations().len(), 1, "{:?}", stand_in.violations());
}

/// F45: nothing is proposed on a branch that holds somebody's commits.
#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_branch_is_left_alone() {
    let server = GitHubServer::default();
    let github = connect(&server.start().await);
    server.world().branches.insert(BRANCH.to_owned(), "9".repeat(40));
    let (opened, _) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("an answer");
    assert!(matches!(opened.standing, Standing::Foreign(_)));
    assert_eq!(server.writes(), 0);
}

/// Settings that would send the token in the clear, or that are none, are refused before anything is sent.
#[tokio::test]
async fn settings_are_checked() {
    let shown = |settings: Settings| github::connect(&settings).map(|_| ()).expect_err("refused").to_string();
    let good = settings("https://github.acme.example/api/v3");
    assert!(github::connect(&good).is_ok());
    assert!(!format!("{good:?}").contains("ghp_secret"));
    assert_eq!(
        shown(Settings { api: "http://github.acme.example".to_owned(), ..good.clone() }),
        "`http://github.acme.example` is not an https:// address (http:// only on this machine); correct `[review]` in trueup.toml"
    );
    assert_eq!(
        shown(Settings { repository: "acme/platform/../x".to_owned(), ..good }),
        "`acme/platform/../x` is not a repository like `acme/platform`; correct `[review]` in trueup.toml"
    );
}
