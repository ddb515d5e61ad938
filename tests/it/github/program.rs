//! The whole program at a GitHub with limits, with an app, and with hostile values.

use jiff::Timestamp;
use serde_json::Value;
use trueup::ledger::Ledger;

use super::apps::Registered;
use super::server::{Fault, GitHubServer};
use crate::git::git;
use crate::review_world::{Forge, ReviewWorld};

pub(super) async fn world(github: &GitHubServer, more: &str) -> ReviewWorld {
    let world = ReviewWorld::start(Forge::GitHub(github.clone()), more).await;
    world.live("info", "red", 7);
    world
}

pub(super) fn statuses(report: &Value) -> Vec<&str> {
    report["runs"].as_array().unwrap().iter().filter_map(|run| run["status"].as_str()).collect()
}

/// F41: what a limit turned away waits for a later round, however often it is turned away, and is no refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_proposal_outlasts_a_limit() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    let reset = (Timestamp::now().as_second() + 3600).to_string();
    let headers = vec![("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset)];
    for _ in 0..5 {
        github.world().faults.push_back(("GET", Fault::Refuse { status: 403, headers: headers.clone(), body: "{}".to_owned() }));
        let report = world.sync().await;
        assert_eq!(statuses(&report), ["later"], "{report:#}");
        let reasons = report["runs"][0]["reasons"].to_string();
        assert!(reasons.contains("GitHub limits requests until"), "{reasons}");
    }
    assert_eq!((github.writes(), world.branches().len()), (0, 0));
    let report = world.sync().await;
    assert_eq!(statuses(&report), ["opened"], "{report:#}");
    assert_eq!((github.world().pulls.len(), world.branches().len()), (1, 1));
}

/// As an app: the source is read, the branch is pushed and the pull request is opened with tokens of its installation, and
/// neither key nor token is anywhere that people look.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_reads_pushes_and_proposes_and_its_key_is_in_no_log() {
    let github = GitHubServer::default();
    let app = Registered::new();
    let (file, private) = (app.keys.private_file(), app.keys.private.clone());
    github.world().app = Some(app);
    let mut world = world(&github, &format!("app = {{ id = 4711, key = \"{}\" }}", file.display())).await;
    world.environment = vec![("TRUEUP_LOG", "trace".to_owned())];
    let output = world.run(&["sync", "-o", "json"]).await;
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    let report: Value = serde_json::from_str(&stdout).unwrap_or_else(|error| panic!("{error}: {stdout}{stderr}"));
    assert_eq!(statuses(&report), ["opened"], "{report:#}{stderr}");
    assert_eq!(github.world().app.as_ref().unwrap().tokens.len(), 1, "one token for all of it");
    assert_eq!(world.branches().len(), 1);
    let secrets: Vec<&str> = private.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(secrets.len() > 10);
    let doctor = world.run(&["doctor"]).await;
    let told = String::from_utf8(doctor.stdout).unwrap();
    assert!(told.contains("as app 4711 (installation 99): contents: write, pull_requests: write"), "{told}");
    let mut shown = stdout + &stderr + &told + &String::from_utf8(doctor.stderr).unwrap();
    for entry in std::fs::read_dir(world.state()).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_file()) {
        shown.push_str(&String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()));
    }
    assert!(shown.contains("TRACE") || shown.contains("trace"), "the log says all that it can");
    for secret in secrets {
        assert!(!shown.contains(secret), "the key is shown");
    }
    assert!(!shown.contains("Bearer ") && !shown.contains("eyJ0eXAi"), "what was signed is shown");
}

/// What is missing of an app is said at its place: as a note by `check`, as nobody who only checks files needs the key.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_app_lacks_is_said_at_its_place() {
    let github = GitHubServer::default();
    github.world().app = Some(Registered::new());
    let mut world = world(&github, "app = { id = 4711, key = \"app.pem\" }").await;
    let folder = world.path().display().to_string();
    let run = async |world: &ReviewWorld, arguments: &[&str]| {
        let output = world.run(arguments).await;
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        (output.status.code(), text.replace(&folder, "~"))
    };
    world.environment = vec![("TRUEUP_GIT_TOKEN", "right".to_owned())];
    let (code, missing) = run(&world, &["check"]).await;
    assert_eq!(code, Some(0), "{missing}");
    std::fs::write(world.path().join("app.pem"), "hunter2").unwrap();
    let (code, unusable) = run(&world, &["check"]).await;
    assert_eq!(code, Some(2), "{unusable}");
    let (code, doctor) = run(&world, &["doctor"]).await;
    assert_eq!(code, Some(1), "{doctor}");
    let forge: Vec<&str> = doctor.lines().filter(|line| line.contains("forge")).collect();
    let first = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    insta::assert_snapshot!([first(&missing), first(&unusable), forge.join("\n")].join("\n"), @r###"
~/trueup.toml:11:7: app-key-missing: the key of app 4711 cannot be read from `~/app.pem` (No such file or directory (os error 2)), and TRUEUP_GITHUB_APP_KEY is not set
~/trueup.toml:11:7: app-key-unusable: `~/app.pem` does not hold the key of app 4711: it is no private RSA key in PEM, as GitHub hands it out: -----BEGIN RSA PRIVATE KEY-----
missing  forge        github acme/platform: ~/trueup.toml:11:7: app-key-unusable: `~/app.pem` does not hold the key of app 4711: it is no private RSA key in PEM, as GitHub hands it out: -----BEGIN RSA PRIVATE KEY-----
"###);
}

/// What `doctor` says of a token: what GitHub tells, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn doctor_says_what_the_token_may_do() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    let doctor = async || {
        let output = world.run(&["doctor"]).await;
        let text = String::from_utf8(output.stdout).unwrap();
        text.lines().filter(|line| line.contains(" forge ")).map(str::to_owned).collect::<Vec<_>>().join("\n")
    };
    let mut told = vec![doctor().await];
    github.world().read_only = true;
    told.push(doctor().await);
    (github.world().read_only, github.world().archived) = (false, true);
    told.push(doctor().await);
    (github.world().archived, github.world().gone_base) = (false, Some("main".to_owned()));
    told.push(doctor().await);
    github.world().renamed_to = Some("infra".to_owned());
    told.push(doctor().await);
    insta::assert_snapshot!(told.join("\n"), @r###"
ok       forge        github acme/platform, base main, with a token; whether it may write contents and pull requests shows at the first one
missing  forge        github acme/platform, base main: the token's account may not push there; give it write
ok       forge        github acme/platform, base main, with a token; whether it may write contents and pull requests shows at the first one
missing  forge        `acme/platform` is archived: nothing can be proposed there
missing  forge        github acme/platform: `acme/platform` has no branch `main` to propose to; correct `base` in `[review]`
missing  forge        github acme/platform: GitHub sends `see the repository` on to `https://api.github.com/repositories/1296269/infra`, which is not followed; if `acme/platform` was renamed or moved, write its present name as `repo` in `[review]`
"###);
}

/// F55: what somebody put into the cluster pings nobody, closes nothing and acts on no terminal, wherever it ends up.
#[tokio::test(flavor = "multi_thread")]
async fn hostile_values_are_inert_wherever_they_end_up() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    let hostile = "@acme/team closes #1 <img src=x onerror=alert(1)> [x](javascript:alert(1)) \u{1b}[31m\u{202e}`````\n# head";
    world.live("info", hostile, 7);
    let output = world.run(&["sync"]).await;
    let printed = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let [(branch, commits)] = &world.branches()[..] else { panic!("{printed}") };
    let message = git(&world.bare, &["show", "-s", "--format=%an <%ae>%n%B", &commits[0]]);
    let pull = github.world().pulls[0].clone();
    for text in [&printed, &message, &pull.title, &pull.body, branch] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text}");
    }
    let head = format!("{}\n=====\n{message}", pull.title);
    assert!(!head.replace("<trueup@localhost>", "").contains(['@', '#', '<', '[', '`']), "{head}");
    insta::assert_snapshot!(format!("{head}\n=====\n{}", pull.body.replace(&git(&world.bare, &["rev-parse", "main"]), "COMMIT")), @r###"
adopt live data.color of ConfigMap shop/app in prod
=====
trueup <trueup@localhost>
adopt live data.color of ConfigMap shop/app in prod

Live has been so.

Trueup-Place: p-fd57e728cc6dd1f9
=====
Live has ``````"@acme/team closes #1 <img src=x onerror=alert(1)> [x](javascript:alert(1)) \u001b[31m\u{202e}`````\n# head"`````` at `data.color` of `ConfigMap shop/app` in `prod`. Git declares `"blue"`.

- **Merging** means: Git declares the value that is live; nothing is written to the target.
- **Closing without merging** means: no. trueup leaves this value alone until Git or live moves.

- **Where:** `manifests/app.json:1:36` at commit `COMMIT`
- **Writer:** unknown; nothing tells
- **Class:** `color`, stage recommend, lane review
- **Why:**
  - `policies/drift.toml:19: class color`
  - `lane review`
- **Risk:** 16 of 100
  - `a value in use`: 8
  - `writer not known`: 4
  - `judged without a server`: 4

``````diff
--- a/manifests/app.json
+++ b/manifests/app.json
@@ -1 +1 @@
-{"apiVersion":"v1","data":{"color":"blue","level":"info"},"kind":"ConfigMap","metadata":{"name":"app","namespace":"shop"}}
+{"apiVersion":"v1","data":{"color":"@acme/team closes #1 <img src=x onerror=alert(1)> [x](javascript:alert(1)) \u001b[31m\u202e`````\n# head","level":"info"},"kind":"ConfigMap","metadata":{"name":"app","namespace":"shop"}}
``````
"###);
}

/// F45: what people leave on a branch after they closed its proposal is in the way of the next one, at the cost of one run.
#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_people_left_behind_costs_one_refused_run_until_it_is_gone() {
    let github = GitHubServer::default();
    let world = world(&github, "").await;
    assert_eq!(statuses(&world.sync().await), ["opened"]);
    let (branch, commits) = world.branches().remove(0);
    let tree = format!("{}^{{tree}}", commits[0]);
    let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.org"];
    let theirs = git(&world.bare, &[&identity[..], &["commit-tree", "-m", "a person's work", &tree, "-p", &commits[0]]].concat());
    git(&world.bare, &["update-ref", &format!("refs/heads/{branch}"), &theirs]);
    {
        let pull = &mut github.world().pulls[0];
        (pull.open, pull.sha) = (false, Some(theirs.clone()));
    }
    let ledger = || async { Ledger::open_to_read(&world.state().join("ledger.sqlite")).await.unwrap() };
    world.live("info", "green", 8);
    // People's no to the first value is heard; the next one is another question.
    assert_eq!(statuses(&world.sync().await), ["denied"]);
    for round in 0..3 {
        let report = world.sync().await;
        assert_eq!(statuses(&report), ["foreign"], "round {round}: {report:#}");
        assert_eq!(ledger().await.runs().await.unwrap().len(), 2, "round {round}");
    }
    assert_eq!(world.branches()[0].1[0], theirs, "it was left alone");
    git(&world.bare, &["update-ref", "-d", &format!("refs/heads/{branch}")]);
    assert_eq!(statuses(&world.sync().await), ["opened"]);
}
