//! GitHub's limits (F41): waited out where that is short, said where it is long, and for everybody who asks that server.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use trueup::review::github::{self, GitHubError, Settings};
use trueup::review::{Known, Standing};

use super::server::{Fault, GitHubServer, Limit};
use super::{connect, offer, ours, proposal, settings};

fn told(status: u16, headers: &[(&'static str, String)], body: &str) -> Fault {
    Fault::Refuse { status, headers: headers.to_vec(), body: body.to_owned() }
}

/// A limit of a moment is waited out, whichever way it is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_short_limit_is_waited_out() {
    let reset = || (Timestamp::now().as_second() + 2).to_string();
    let used_up = || [("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", reset())];
    for status in [403, 429] {
        for headers in [vec![("retry-after", "1".to_owned())], used_up().to_vec()] {
            let server = GitHubServer::default();
            let github = connect(&server.start().await);
            server.world().faults.push_back(("POST", told(status, &headers, "{}")));
            let (opened, problems) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("waited out");
            assert_eq!((opened.standing, problems), (Standing::Created(ours(1)), vec![]), "{status} {headers:?}");
            assert_eq!(server.count("POST", "/pulls"), 2, "what a limit turned away did nothing");
            let posts: Vec<Instant> =
                server.world().requests.iter().filter(|seen| seen.uri.ends_with("/pulls")).map(|seen| seen.at).collect();
            assert!(posts[1] - posts[0] >= Duration::from_millis(900), "{:?}", posts[1] - posts[0]);
        }
    }
}

/// Nothing is asked before the hour's requests are granted anew, by nobody who asks that server; the last one that was granted
/// tells already.
#[tokio::test(flavor = "multi_thread")]
async fn where_github_asks_to_wait_nothing_goes_to_it_before() {
    let server = GitHubServer::default();
    let address = server.start().await;
    let patient =
        |address: &str| github::connect(&Settings { patience: Duration::from_mins(1), ..settings(address) }).expect("settings");
    let (github, other) = (patient(&address), patient(&format!("{address}/")));
    // The clocks differ by an hour: what counts is GitHub's.
    let reset = Timestamp::now().as_second() + 3600 + 3;
    let granted_again = Instant::now() + Duration::from_secs(2);
    {
        let mut world = server.world();
        (world.ahead, world.limit) = (3600, Some(Limit { left: 1, reset }));
    }
    let debug = proposal("debug");
    let (one, two) = tokio::join!(offer(&github, &server, &debug, &Known::Nothing), async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        offer(&other, &server, &debug, &Known::Nothing).await
    });
    // Both waited; whoever came second found what stands there.
    for opened in [one, two] {
        let standing = opened.expect("waited out").0.standing;
        assert!(matches!(standing, Standing::Created(_) | Standing::Unchanged(_) | Standing::Foreign(_)), "{standing:?}");
    }
    let early = server.world().requests.iter().filter(|seen| seen.at < granted_again).count();
    assert!(early <= 1, "{:?}", server.world().requests);
    assert_eq!(server.world().pulls.len(), 1);
}

/// A limit beyond the patience is an error that says until when; and until then nothing is sent at all.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_limit_says_until_when() {
    let hour = (Timestamp::now().as_second() + 3600).to_string();
    for (fault, seconds) in [
        (told(429, &[("retry-after", "3600".to_owned())], "{}"), 3600),
        (told(403, &[("x-ratelimit-remaining", "0".to_owned()), ("x-ratelimit-reset", hour)], "{}"), 3600),
        // Without a word on the time: a minute, as GitHub's documentation asks for.
        (told(403, &[], r#"{"message": "You have exceeded a secondary rate limit."}"#), 60),
        (told(429, &[], ""), 60),
    ] {
        let server = GitHubServer::default();
        let github = connect(&server.start().await);
        server.world().faults.push_back(("POST", fault.clone()));
        let debug = proposal("debug");
        let error = offer(&github, &server, &debug, &Known::Nothing).await.expect_err("too long");
        let GitHubError::Limited { until, .. } = &error else { panic!("{fault:?}: {error}") };
        let left = until.as_second() - Timestamp::now().as_second();
        assert!((seconds - 30..=seconds + 1).contains(&left), "{left} for {fault:?}");
        let sent = server.world().requests.len();
        let again = offer(&github, &server, &debug, &Known::Nothing).await.expect_err("still too long");
        assert!(matches!(again, GitHubError::Limited { .. }), "{again}");
        assert_eq!(server.world().requests.len(), sent, "nothing is sent before");
        assert!(github.closed_until().is_some());
    }
}

/// A GitHub that is down and says for how long is left alone for as long, too.
#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_names_a_time_is_waited_out() {
    let server = GitHubServer::default();
    let github =
        github::connect(&Settings { pause: Duration::from_millis(1), ..settings(&server.start().await) }).expect("settings");
    server.world().faults.push_back(("GET", told(503, &[("retry-after", "1".to_owned())], "")));
    let begun = Instant::now();
    let (opened, _) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Created(ours(1)));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
}
