//! As a GitHub App: what it signs is verified for real, its tokens are renewed before they end, and its key is shown nowhere.

use std::time::{Duration, Instant};

use serde_json::json;
use trueup::review::github::{self, Access, App, AppKey, GitHub, GitHubError};
use trueup::review::{Known, Standing};

use super::apps::{Keys, Registered};
use super::server::GitHubServer;
use super::{Offered, announced_once, known_after, offer, ours, proposal, settings, stand_in};

fn registered() -> GitHubServer {
    let server = GitHubServer::default();
    server.world().app = Some(Registered::new());
    server
}

/// The app with the key that is registered at the server.
fn app(server: &GitHubServer, installation: Option<u64>) -> App {
    let key = AppKey::read(&server.world().app.as_ref().expect("an app").keys.private).expect("a key");
    App { id: 4711, installation, key, repositories: vec!["platform".to_owned()] }
}

fn connect(api: &str, app: App) -> GitHub {
    github::connect(&github::Settings { access: Access::App(app), ..settings(api) }).expect("settings")
}

fn minted(server: &GitHubServer) -> usize {
    server.world().app.as_ref().expect("an app").tokens.len()
}

/// A whole life on the wire, with GitHub's description in between and `openssl` as the judge of what is signed.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_asks_with_a_token_of_its_installation() {
    let server = registered();
    let Some(stand_in) = stand_in::start(&server.start().await) else { return };
    let github = connect(&stand_in.address, app(&server, None));
    let debug = proposal("debug");
    let mut known = Known::Nothing;
    for run in 0..3 {
        let (opened, problems) = offer(&github, &server, &debug, &known).await.expect("an answer");
        assert_eq!(problems, [], "run {run}");
        known = known_after(&opened, &debug);
    }
    announced_once(&server);
    {
        let world = server.world();
        let (_, _, asked) = &world.app.as_ref().expect("an app").tokens[0];
        assert_eq!(*asked, json!({"repositories": ["platform"], "permissions": {"contents": "write", "pull_requests": "write"}}));
        let of_the_app = |uri: &str| uri.starts_with("/app/") || uri.ends_with("/installation");
        assert_eq!(world.requests.iter().filter(|seen| of_the_app(&seen.uri)).count(), 2, "looked up once, one token");
        let others: Vec<_> = world.requests.iter().filter(|seen| !of_the_app(&seen.uri)).collect();
        assert!(others.iter().all(|seen| seen.authorization.as_deref() == Some("Bearer right")), "{others:?}");
    }
    assert_eq!(stand_in.violations(), [""; 0]);
}

/// Tokens end; nobody is refused for that, however long it goes on, and nobody asks for more than are needed.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_renewed_before_it_ends() {
    let server = registered();
    server.world().app.as_mut().expect("an app").life = 2;
    let github = connect(&server.start().await, app(&server, Some(99)));
    let (debug, begun) = (proposal("debug"), Instant::now());
    let mut known = Known::Nothing;
    while minted(&server) < 4 {
        let (opened, _) = offer(&github, &server, &debug, &known).await.expect("never refused");
        known = known_after(&opened, &debug);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // More than a second each: a server counts in whole ones.
    assert!(begun.elapsed() >= Duration::from_secs(3), "four tokens in {:?}", begun.elapsed());
}

/// A token that was taken away is another one at once, and what it was shown with did nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_taken_away_is_renewed() {
    let server = registered();
    let github = connect(&server.start().await, app(&server, Some(99)));
    let (opened, _) = offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("an answer");
    server.world().app.as_mut().expect("an app").tokens[0].1 = 0;
    let known = known_after(&opened, &proposal("debug"));
    let (opened, _) = offer(&github, &server, &proposal("trace"), &known).await.expect("an answer");
    assert_eq!(opened.standing, Standing::Updated(ours(1)));
    assert_eq!(minted(&server), 2);
}

/// All who ask at once get one token.
#[tokio::test(flavor = "multi_thread")]
async fn many_ask_with_one_token() {
    let server = registered();
    let github = connect(&server.start().await, app(&server, Some(99)));
    let asking = (0..8).map(|_| github::bearer(&github));
    let tokens = futures::future::join_all(asking).await;
    assert!(tokens.iter().all(|token| token.as_ref().is_ok_and(|token| token.reveal() == "right")));
    assert_eq!(minted(&server), 1);
}

async fn failing(server: &GitHubServer, app: App) -> String {
    let github = connect(&server.start().await, app);
    let offered: Offered = offer(&github, server, &proposal("debug"), &Known::Nothing).await;
    let error = offered.expect_err("no token");
    assert!(matches!(error, GitHubError::App { .. }), "{error}");
    assert_eq!(minted(server), 0);
    error.to_string()
}

/// What is the matter with the app is said as such.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_the_matter_with_the_app_is_said() {
    let mut shown = Vec::new();
    let server = registered();
    let stranger = AppKey::read(&Keys::new().private).expect("a key");
    shown.push(failing(&server, App { key: stranger, ..app(&server, None) }).await);
    shown.push(failing(&server, app(&server, Some(7))).await);
    server.world().app.as_mut().expect("an app").is_installed = false;
    shown.push(failing(&server, app(&server, None)).await);
    server.world().app.as_mut().expect("an app").granted = json!({"contents": "read", "pull_requests": "write"});
    shown.push(failing(&server, app(&server, Some(99))).await);
    insta::assert_snapshot!(shown.join("\n"), @r###"
GitHub gives app 4711 no token for `acme/platform`: its key is not one of this app; check `id` and `key` of `app` in `[review]`
GitHub gives app 4711 no token for `acme/platform`: it has no such installation; leave out `installation` in `[review]`, or correct it
GitHub gives app 4711 no token for `acme/platform`: it is not installed there; install it at the repository, or correct `repo`
GitHub gives app 4711 no token for `acme/platform`: `The permissions requested are not granted to this installation.`; it needs `contents` and `pull_requests` with write, at each repository that is used
"###);
}

/// A clock that is a little off is allowed for, one that is more off is named.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_off_is_allowed_for_or_named() {
    for ahead in [-50, 50] {
        let server = registered();
        server.world().ahead = ahead;
        let github = connect(&server.start().await, app(&server, None));
        offer(&github, &server, &proposal("debug"), &Known::Nothing).await.expect("allowed for");
    }
    for (ahead, said) in [(-300, "s ahead of GitHub's; set it right"), (700, "s behind GitHub's; set it right")] {
        let server = registered();
        server.world().ahead = ahead;
        let error = failing(&server, app(&server, None)).await;
        assert!(error.contains("this machine's clock is") && error.ends_with(said), "{error}");
    }
}

/// A key is read as GitHub hands it out and as others keep it; what is none is named without a word of it.
#[test]
fn a_key_is_read_and_never_shown() {
    let keys = Keys::new();
    let key = AppKey::read(&keys.private).expect("PKCS #1");
    assert_eq!(format!("{key:?}"), "AppKey(…)");
    let wrong = keys.private.replace("RSA PRIVATE", "EC PRIVATE");
    for text in ["", "hunter2", "-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----\n", &wrong] {
        let error = AppKey::read(text).expect_err("no key");
        assert!(!error.contains("hunter2") && error.starts_with("it is no"), "{error}");
    }
}
