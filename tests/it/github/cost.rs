//! What a large proposal costs (B8): round trips one after the other, and writes. `scripts/bench review` prints it.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use trueup::review::commit::{Author, Change, Edit, commit_on};
use trueup::review::github;
use trueup::review::push::{PushRequest, Pushed as Pushing};
use trueup::review::{Known, Proposal, Pushed, Standing};
use trueup::source::transport::{self, Transport};

use super::server::{Fault, GitHubServer, Seen};
use super::{connect, known_after, ours, proposal};
use crate::git::{RIGHT, Repo, Server, git, token};

const FILES: usize = 500;
const ROUND_TRIP: Duration = Duration::from_millis(50);

fn name(number: usize) -> String {
    format!("manifests/{number:03}.yaml")
}

fn edits(value: &str) -> Vec<Edit> {
    (0..FILES).map(|number| Edit { path: name(number), bytes: format!("value: {value} # {number}\n").into_bytes() }).collect()
}

/// A bare repository of so many files, and a Git server in front of it.
fn repository(folder: &Path) -> (std::path::PathBuf, String, Server) {
    let repo = Repo::new();
    for edit in edits("declared") {
        repo.write(&edit.path, &edit.bytes);
    }
    let base = repo.commit("what should run");
    let origin = repo.bare(folder, "platform.git");
    (origin, base, Server::start(folder, Some(RIGHT)))
}

/// How many requests had to wait for the one before: those that came while another was under way count with it.
fn one_after_the_other(requests: &[Seen]) -> usize {
    let mut waits: Vec<Instant> = Vec::new();
    for seen in requests {
        if waits.last().is_none_or(|last| seen.at.duration_since(*last) >= ROUND_TRIP) {
            waits.push(seen.at);
        }
    }
    waits.len()
}

/// The drift of all files as one proposal: its commit, pushed by the program's own transport.
async fn propose(
    github: &github::GitHub,
    (origin, base, git_server): (&Path, &str, &Server),
    known: &Known,
) -> Result<(trueup::review::Opened, Proposal), github::GitHubError> {
    let author = Author::default();
    let base = base.parse().expect("a commit");
    let change = Change { base: &base, edits: &edits("live"), removed: &[], message: "adopt", author: &author, protected: &[] };
    let commit = commit_on(origin, &change).expect("a commit").to_string();
    let proposal = Proposal { edits: Vec::new(), ..proposal("live") };
    let (branch, url, repository) = (proposal.branch.clone(), git_server.url("platform.git"), origin.to_owned());
    let push = |expected| async move {
        let transport = Transport { credentials: token("127.0.0.1", "right"), ..crate::git::transport() };
        let request = PushRequest { repository, commit: commit.clone(), url, branch, expected };
        match tokio::task::spawn_blocking(move || transport::push(request, &transport)).await?? {
            Pushing::Created | Pushing::Unchanged | Pushing::Updated => Ok(Pushed::To(commit)),
            other => Err(format!("{other:?}").into()),
        }
    };
    let (opened, problems) = github::open(github, &proposal, known, push).await?;
    assert_eq!(problems, []);
    Ok((opened, proposal))
}

/// One proposal of 500 files: one push and four questions, of which two are asked at once; nothing is doubled by limits and
/// failures, and once it is there, one question tells.
#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_files_are_one_push_and_three_round_trips() {
    let mut rows: BTreeMap<&str, (Duration, usize, usize, usize)> = BTreeMap::new();
    for (row, faults) in [
        ("1 as it should be", vec![]),
        (
            "2 with a limit and failures",
            vec![
                ("GET", Fault::Refuse { status: 429, headers: vec![("retry-after", "0".to_owned())], body: "{}".to_owned() }),
                ("GET", Fault::Refuse { status: 502, headers: vec![], body: String::new() }),
                ("POST", Fault::AnswerWith(502)),
            ],
        ),
    ] {
        let folder = tempfile::tempdir().expect("a folder");
        let (origin, base, git_server) = repository(folder.path());
        let server = GitHubServer::default();
        let github = connect(&server.start().await);
        {
            let mut world = server.world();
            (world.delay, world.bare) = (ROUND_TRIP, Some(origin.clone()));
            world.faults.extend(faults.clone());
        }
        let begun = Instant::now();
        let (opened, proposal) = propose(&github, (&origin, &base, &git_server), &Known::Nothing).await.expect("an answer");
        let took = begun.elapsed();
        assert_eq!(opened.standing, Standing::Created(ours(1)), "{row}");
        let requests = std::mem::take(&mut server.world().requests);
        let writes = 1 + requests.iter().filter(|seen| seen.method != "GET").count();
        rows.insert(row, (took, one_after_the_other(&requests), requests.len(), writes));
        let pulls = server.world().pulls.clone();
        assert_eq!((pulls.len(), pulls[0].labels.len()), (1, 1), "{row}");
        let changed = git(&origin, &["diff", "--name-only", &format!("main..{}", proposal.branch)]);
        assert_eq!(changed.lines().count(), FILES, "{row}");
        let known = known_after(&opened, &proposal);
        let (again, _) = propose(&github, (&origin, &base, &git_server), &known).await.expect("an answer");
        assert_eq!(again.standing, Standing::Unchanged(ours(1)), "{row}");
        assert_eq!(server.world().requests.len(), 1, "{row}");
        if faults.is_empty() {
            assert!(rows[row].1 <= 3 && writes <= 4, "{rows:?}");
        }
    }
    println!("{:34} {:>8} {:>22} {:>9} {:>7}", "500 files, 50 ms a round trip", "s", "one after the other", "requests", "writes");
    for (row, (took, trips, requests, writes)) in &rows {
        println!("{row:34} {:8.2} {trips:22} {requests:9} {writes:7}", took.as_secs_f64());
    }
    if std::env::var_os("TRUEUP_BENCH").is_some() {
        naive().await;
    }
}

/// The peer: each file by a call of its own, as `PUT /repos/…/contents/…` wants it, then the pull request.
async fn naive() {
    let server = GitHubServer::default();
    let address = server.start().await;
    server.world().delay = ROUND_TRIP;
    let client = octocrab::Octocrab::builder().base_uri(address.as_str()).expect("an address").build().expect("a client");
    let begun = Instant::now();
    client._post("/repos/acme/platform/git/refs", Some(&json!({}))).await.expect("an answer");
    for edit in edits("live") {
        let body =
            json!({"message": "adopt", "branch": "trueup/p-0123456789abcdef", "content": String::from_utf8_lossy(&edit.bytes)});
        client._put(format!("/repos/acme/platform/contents/{}", edit.path), Some(&body)).await.expect("an answer");
    }
    client
        ._post("/repos/acme/platform/pulls", Some(&json!({"title": "", "body": "", "head": "x", "base": "main"})))
        .await
        .expect("an answer");
    let calls = server.world().requests.len();
    println!("{:34} {:8.2} {calls:22} {calls:9} {calls:7}", "3 the peer: a call for each file", begun.elapsed().as_secs_f64());
}
