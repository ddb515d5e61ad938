//! What goes wrong at GitHub: refusals, lost and senseless answers, redirects; and that one drift has one pull request
//! whatever goes wrong. (F42 to F47 of the list of faults; F41 is in `limits`.)

use proptest::prelude::*;
use trueup::review::github::{self, GitHubError};
use trueup::review::{Known, Standing};

use super::server::{Fault, GitHubServer};
use super::{announced_once, commit, connect, known_after, offer, ours, proposal};

fn refused(status: u16, headers: &[(&'static str, &str)], body: &str) -> Fault {
    let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    Fault::Refuse { status, headers, body: body.to_owned() }
}

/// F46: the request took effect, its answer never came. It is looked for, never sent twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_makes_no_second_pull_request() {
    for fault in [Fault::BreakOff, Fault::AnswerWith(502), Fault::AnswerWith(500), Fault::AnswerWith(201)] {
        let server = GitHubServer::default();
        let github = connect(&server.start().await);
        server.world().faults.push_back(("POST", fault.clone()));
        let (opened, problems) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("an answer");
        assert_eq!((opened.standing, problems), (Standing::Created(ours(1)), vec![]), "{fault:?}");
        assert_eq!((server.count("POST", "/pulls"), server.world().pulls.len()), (1, 1), "{fault:?}");
        announced_once(&server);
    }
    // Nothing was done, and nothing is to be seen: unknown, and the next round opens it.
    for fault in [Fault::Lost, refused(502, &[], ""), refused(503, &[], "<html>")] {
        let server = GitHubServer::default();
        let github = connect(&server.start().await);
        server.world().faults.push_back(("POST", fault.clone()));
        let debug = proposal("debug");
        let error = offer(&github, &server, &debug, &Known::Nothing).await.expect_err("unknown");
        assert!(matches!(error, GitHubError::Unanswered { .. }), "{fault:?}: {error}");
        assert_eq!(server.count("POST", "/pulls"), 1, "not sent again in this round");
        let known = Known::Intended { head: commit(&debug), after: 0 };
        let (opened, _) = offer(&github, &server, &debug, &known).await.expect("an answer");
        assert_eq!(opened.standing, Standing::Created(ours(1)));
        announced_once(&server);
    }
}

/// Neither the pull request nor what came of the question is to be seen: that is unknown, not refused.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_looked_for_is_unknown() {
    let server = GitHubServer::default();
    let github = connect(&server.start().await);
    let faults = [("GET", refused(500, &[], "")), ("POST", Fault::BreakOff)];
    server.world().faults.extend(faults.into_iter().chain((0..3).map(|_| ("GET", refused(502, &[], "")))));
    let error = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect_err("unknown");
    assert!(matches!(error, GitHubError::Unanswered { .. }), "{error}");
    assert_eq!(server.count("GET", "/pulls"), 5, "a reading is tried three times");
    assert_eq!(server.world().pulls.len(), 1);
}

/// What went wrong with a method's next request, and whether GitHub was honest about it.
fn fault() -> impl Strategy<Value = (&'static str, Fault)> {
    let limited = refused(429, &[("retry-after", "0")], "{}");
    let list = [
        ("GET", refused(500, &[], "")),
        ("GET", refused(502, &[], "<html>")),
        ("GET", Fault::Lost),
        ("GET", Fault::BreakOff),
        ("GET", Fault::Stale),
        ("GET", limited.clone()),
        ("GET", refused(200, &[], "{}")),
        ("POST", refused(500, &[], "")),
        ("POST", Fault::Lost),
        ("POST", Fault::BreakOff),
        ("POST", Fault::AnswerWith(500)),
        ("POST", Fault::AnswerWith(201)),
        ("POST", limited),
        ("POST", refused(403, &[], r#"{"message": "Forbidden"}"#)),
        ("PATCH", refused(500, &[], "")),
        ("PATCH", Fault::Lost),
        ("PATCH", Fault::BreakOff),
        ("PATCH", Fault::AnswerWith(502)),
    ];
    prop::sample::select(list.to_vec())
}

/// Offers what is live until nothing goes wrong any more; the program may have been cut off between any two offers.
async fn offered_in_the_end(faults: Vec<(&'static str, Fault)>, moves: Vec<bool>) {
    let server = GitHubServer::default();
    let github = connect(&server.start().await);
    server.world().faults.extend(faults.clone());
    let (mut known, mut live, mut rounds) = (Known::Nothing, 0, 0);
    loop {
        let proposal = proposal(&live.to_string());
        let offered = offer(&github, &server, &proposal, &known).await;
        // A fault of a method that is not asked for any more stands in nobody's way.
        let left = server.world().faults.len();
        match offered {
            Ok((opened, problems)) => {
                let standing = opened.standing.clone();
                assert!(matches!(standing, Standing::Created(_) | Standing::Updated(_) | Standing::Unchanged(_)), "{standing:?}");
                known = known_after(&opened, &proposal);
                if problems.is_empty() && (left == 0 || rounds > 30) {
                    break;
                }
            }
            Err(_) => known = known_after_error(&server, known, commit(&proposal)),
        }
        // Live moves on only once the pull request is known: before, the ledger looks under each head that it intended.
        if matches!(known, Known::Opened { .. }) && moves.get(rounds) == Some(&true) {
            live += 1;
        }
        if rounds > 30 {
            server.world().faults.clear();
        }
        rounds += 1;
        assert!(rounds < 60, "{faults:?}");
    }
    let world = server.world();
    assert_eq!(world.pulls.len(), 1, "{faults:?}");
    assert_eq!(world.pulls[0].body, format!("Live has `{live}`.\n"), "{faults:?}");
    assert!(world.pulls[0].labels.len() <= 1 && world.pulls[0].reviewers.len() <= 1, "{faults:?}: {:?}", world.pulls[0]);
}

/// The ledger knows each head that was intended, so the branch is known again under whichever it holds.
fn known_after_error(server: &GitHubServer, known: Known, intended: String) -> Known {
    let there = server.world().branches.get(super::BRANCH).cloned();
    match known {
        Known::Opened { identity, fingerprint, .. } if there.as_ref() == Some(&intended) => {
            Known::Opened { identity, head: intended, fingerprint }
        }
        Known::Opened { .. } => known,
        Known::Nothing | Known::Intended { .. } => Known::Intended { head: intended, after: 0 },
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]
    /// I5, F42, F46: whatever goes wrong, one drift has one pull request, and it says what is live.
    #[test]
    fn whatever_goes_wrong_there_is_one_pull_request(
        faults in prop::collection::vec(fault(), 0..6),
        moves in prop::collection::vec(any::<bool>(), 0..6),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(offered_in_the_end(faults, moves));
    }
}

/// Refusals have their own words, and nothing in GitHub's acts on a terminal.
#[tokio::test(flavor = "multi_thread")]
async fn refusals_say_what_to_do() {
    let hostile = r#"{"message": "no \u001b[31m@team"}"#;
    let mut shown = Vec::new();
    for fault in [
        refused(401, &[], "{}"),
        refused(403, &[], hostile),
        refused(404, &[], "{}"),
        refused(422, &[], hostile),
        refused(404, &[("content-type", "text/html")], "<html>"),
    ] {
        let server = GitHubServer::default();
        let address = server.start().await;
        let github = connect(&address);
        server.world().faults.push_back(("POST", fault));
        let error = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect_err("refused");
        assert!(!error.may_have_happened(), "{error}");
        shown.push(error.to_string().replace(&address, "API"));
    }
    insta::assert_snapshot!(shown.join("\n"), @r###"
GitHub does not accept the token (at `create a pull request`); give a valid one in TRUEUP_GITHUB_TOKEN
the token may not `create a pull request`: `no \u{1b}[31m@team`; it needs the right to write contents and pull requests of the repository
GitHub knows no `acme/platform` (at `create a pull request`), or the token may not see it; check `repo` in `[review]`
GitHub refuses to `create a pull request` with status 422: `no \u{1b}[31m@team`; check `[review]` in trueup.toml
`API` refuses to `create a pull request` with status 404 and `text/html`, so it is no API of GitHub; correct `api` in `[review]`
"###);
}

/// What is the matter with the repository is said as such: archived, read-only for us, without the base, renamed.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_matter_with_the_repository_is_said() {
    let mut shown = Vec::new();
    for trouble in ["archived", "rights", "base", "renamed"] {
        let server = GitHubServer::default();
        let github = connect(&server.start().await);
        match trouble {
            "archived" => server.world().archived = true,
            "rights" => server.world().read_only = true,
            "base" => server.world().gone_base = Some("main".to_owned()),
            _ => server.world().renamed_to = Some("infra".to_owned()),
        }
        let error = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect_err(trouble);
        assert!(server.world().pulls.is_empty());
        shown.push(error.to_string());
    }
    insta::assert_snapshot!(shown.join("\n"), @r###"
`acme/platform` is archived, so nothing can be proposed there; unarchive it, or name another `repo` in `[review]`
the token may not `create a pull request`: `Resource not accessible by personal access token`; it needs `pull_requests=write`
`acme/platform` has no branch `main` to propose to; correct `base` in `[review]`
GitHub sends `list pull requests` on to `https://api.github.com/repositories/1296269/infra`, which is not followed; if `acme/platform` was renamed or moved, write its present name as `repo` in `[review]`
"###);
}

/// F47: no redirect is followed, so the token goes to one host only, and no other host answers for GitHub.
#[tokio::test(flavor = "multi_thread")]
async fn the_token_follows_no_redirect_to_another_host() {
    let (server, elsewhere) = (GitHubServer::default(), GitHubServer::default());
    let github = connect(&server.start().await);
    let other = elsewhere.start().await.replace("127.0.0.1", "localhost");
    for (status, host) in [(301, &other), (302, &other), (307, &other), (308, &other.replace("localhost", "127.0.0.1"))] {
        for method in ["GET", "POST"] {
            let location = format!("{host}/repos/acme/platform/pulls?head=acme:x&base=main");
            server.world().faults.push_back((method, refused(status, &[("location", &location)], "")));
            let error = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect_err("not followed");
            assert!(matches!(&error, GitHubError::Moved { location: shown, .. } if *shown == location), "{error}");
        }
    }
    assert!(elsewhere.world().requests.is_empty());
    let sent: Vec<_> = server.world().requests.iter().map(|seen| seen.authorization.clone()).collect();
    assert!(sent.iter().all(|authorization| authorization.as_deref() == Some("Bearer ghp_secret")), "{sent:?}");
}

/// F47: what is no answer is an error within bounds, and nothing is pushed.
#[tokio::test(flavor = "multi_thread")]
async fn endless_and_senseless_answers() {
    let server = GitHubServer::default();
    let github = connect(&server.start().await);
    let mut shown = Vec::new();
    for fault in [
        Fault::Endless,
        refused(200, &[("content-type", "text/html; charset=utf-8")], "<html>log in</html>"),
        refused(200, &[], ""),
        refused(200, &[], r#"{"message": "hello"}"#),
        refused(200, &[], r#"[{"number": "one"}]"#),
    ] {
        server.world().faults.push_back(("GET", fault));
        let error = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect_err("no answer");
        assert!(matches!(error, GitHubError::Answer { .. }), "{error}");
        shown.push(error.to_string());
    }
    assert!(server.world().branches.is_empty());
    insta::assert_snapshot!(shown.join("\n"), @r###"
GitHub's answer to `list pull requests` makes no sense: it could not be read whole (length limit exceeded); check `[review]` in trueup.toml
GitHub's answer to `list pull requests` makes no sense: it is `text/html; charset=utf-8` with status 200 and no JSON; `api` must be the address of the API; check `[review]` in trueup.toml
GitHub's answer to `list pull requests` makes no sense: it is `application/json; charset=utf-8` with status 200 and no JSON; `api` must be the address of the API; check `[review]` in trueup.toml
GitHub's answer to `list pull requests` makes no sense: it is not what the API describes (invalid type: map, expected a sequence at line 1 column 0); check `[review]` in trueup.toml
GitHub's answer to `list pull requests` makes no sense: it is not what the API describes (invalid type: string "one", expected u64 at line 1 column 17); check `[review]` in trueup.toml
"###);
}

/// The branch did not get there, so nothing is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_fails_proposes_nothing() {
    let server = GitHubServer::default();
    let github = connect(&server.start().await);
    let failing = github::open(&github, &proposal("debug"), &Known::Nothing, |_| async { Err("no route to host".into()) }).await;
    assert!(matches!(failing, Err(GitHubError::Push { .. })));
    assert_eq!(server.writes(), 0);
}
