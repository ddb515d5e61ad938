//! `trueup sync` with the forge `github`, whole: fetched and pushed over http, the pull request on the wire.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::git::{RIGHT, Repo, Server, git};
use crate::github::server::{Fault, GitHubServer, Pull, REPOSITORY};
use crate::github::stand_in::{self, StandIn};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/demo");

/// A bare repository behind http, a GitHub behind its own description, and a folder of live objects.
struct World {
    folder: TempDir,
    bare: PathBuf,
    github: GitHubServer,
    stand_in: StandIn,
}

impl World {
    async fn start() -> Option<Self> {
        let github = GitHubServer::default();
        let stand_in = stand_in::start(&github.start().await)?;
        let (folder, repo) = (TempDir::new().unwrap(), Repo::new());
        for file in ["manifests/deployment.yaml", "policies/drift.toml"] {
            repo.write(file, std::fs::read(Path::new(DEMO).join(file)).unwrap());
        }
        repo.commit("what should run");
        std::fs::create_dir(folder.path().join("acme")).unwrap();
        let bare = repo.bare(folder.path(), "acme/platform.git");
        let web = Server::start(folder.path(), Some(RIGHT)).url("");
        let web = web.trim_end_matches('/');
        std::fs::create_dir(folder.path().join("live")).unwrap();
        std::fs::copy(Path::new(DEMO).join("live/deployment.yaml"), folder.path().join("live/deployment.yaml")).unwrap();
        let config = format!(
            "[source]\nrepo = \"{web}/acme/platform.git\"\n[review]\nforge = \"github\"\nrepo = \"{REPOSITORY}\"\napi = \"{}\"\nweb = \"{web}\"\n\
             [[target]]\nname = \"prod\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"manifests\"]\n",
            stand_in.address
        );
        std::fs::write(folder.path().join("trueup.toml"), config).unwrap();
        github.world().bare = Some(bare.clone());
        Some(Self { folder, bare, github, stand_in })
    }

    /// One `trueup sync`; drift that waits for review ends it with 1.
    async fn sync(&self) -> String {
        let folder = self.folder.path().to_owned();
        let output: Output = tokio::task::spawn_blocking(move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
            command.arg("sync").current_dir(&folder).env("HOME", &folder).env("TRUEUP_STATE_DIR", folder.join("state"));
            command.env("TRUEUP_GITHUB_TOKEN", "right").env_remove("TRUEUP_KEY").output().unwrap()
        })
        .await
        .unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{stdout}{stderr}");
        stdout.into_owned()
    }

    /// What people do on the forge's page.
    fn merge(&self) {
        let branch = self.branch();
        let tree = git(&self.bare, &["rev-parse", &format!("{branch}^{{tree}}")]);
        let merge = git(&self.bare, &["commit-tree", "-m", "Merge pull request", &tree, "-p", "main", "-p", &branch]);
        git(&self.bare, &["update-ref", "refs/heads/main", &merge]);
        let pull = &mut self.github.world().pulls[0];
        (pull.open, pull.merged) = (false, true);
    }

    fn live_image(&self, from: &str, to: &str) {
        let path = self.folder.path().join("live/deployment.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from));
        std::fs::write(&path, text.replace(from, to)).unwrap();
    }

    fn branch(&self) -> String {
        git(&self.bare, &["for-each-ref", "--format=%(refname:short)", "refs/heads/trueup/"])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn created_once_then_kept_up_to_date() {
    let Some(world) = World::start().await else { return };
    for run in 0..3 {
        let printed = world.sync().await;
        assert!(printed.contains(if run == 0 { "opened" } else { "unchanged" }), "run {run}: {printed}");
    }
    let branch = world.branch();
    let diff = git(&world.bare, &["diff", "-U0", &format!("main..{branch}")]);
    let changed: Vec<&str> = diff
        .lines()
        .filter(|line| line.starts_with(['+', '-']) && !line.starts_with("+++") && !line.starts_with("---"))
        .collect();
    assert_eq!(
        changed,
        [
            "-          image: registry.example/checkout:1.4.2 # pinned by the release job",
            "+          image: registry.example/checkout:1.4.3-hot # pinned by the release job",
        ]
    );
    world.live_image("checkout:1.4.3-hot", "checkout:1.4.4-hotter");
    assert!(world.sync().await.contains("updated"));
    let text = git(&world.bare, &["show", &format!("{branch}:manifests/deployment.yaml")]);
    assert!(text.contains("1.4.4-hotter # pinned by the release job"), "{text}");
    assert_eq!(world.branch(), branch, "one branch a place");
    assert_eq!(world.github.count("POST", "/pulls"), 1);
    assert!(world.github.world().pulls[0].body.contains("1.4.4-hotter"));
    assert_eq!(world.stand_in.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_on_our_branch_is_left_alone() {
    let Some(world) = World::start().await else { return };
    world.sync().await;
    let branch = world.branch();
    let body = world.github.world().pulls[0].body.clone();
    // The ledger is gone, and with it all that makes this pull request ours.
    std::fs::remove_dir_all(world.folder.path().join("state")).unwrap();
    let strange = git(&world.bare, &["commit-tree", "-m", "a person's work", "main^{tree}", "-p", "main"]);
    git(&world.bare, &["update-ref", &format!("refs/heads/{branch}"), &strange]);
    let pulls: Vec<Pull> =
        world.github.world().pulls.drain(..).map(|pull| Pull { author: "a-person".to_owned(), ..pull }).collect();
    world.github.world().pulls = pulls;
    world.live_image("checkout:1.4.3-hot", "checkout:1.4.4-hotter");
    for _ in 0..2 {
        assert!(world.sync().await.contains("foreign"));
    }
    assert_eq!(git(&world.bare, &["rev-parse", &format!("refs/heads/{branch}")]), strange);
    assert_eq!(world.github.world().pulls[0].body, body);
    assert_eq!((world.github.count("POST", "/pulls"), world.github.count("PATCH", "/1")), (1, 0));
    assert_eq!(world.stand_in.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_merged_is_recorded_and_the_next_drift_has_its_own_pull_request() {
    let Some(world) = World::start().await else { return };
    world.sync().await;
    world.merge();
    assert!(world.sync().await.contains("merged"));
    let printed = world.sync().await;
    assert!(!printed.contains("proposal"), "it is over: {printed}");
    world.live_image("checkout:1.4.3-hot", "checkout:1.4.4-hotter");
    assert!(world.sync().await.contains("opened"));
    assert!(world.sync().await.contains("unchanged"));
    let pulls = world.github.world().pulls.clone();
    assert_eq!(
        pulls.iter().map(|pull| (pull.number, pull.open, pull.merged)).collect::<Vec<_>>(),
        [(1, false, true), (2, true, false)]
    );
    assert_eq!(world.github.count("POST", "/pulls"), 2);
    assert_eq!(world.stand_in.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_request_without_a_question_is_closed_with_the_reason_once() {
    let Some(world) = World::start().await else { return };
    world.sync().await;
    let branch = world.branch();
    world.live_image("checkout:1.4.3-hot", "checkout:1.4.2");
    // The comment is there, and closing is refused: the next round goes on, and says nothing twice.
    let refusal = r#"{"message": "not now", "documentation_url": "https://docs.github.com/rest"}"#.to_owned();
    world.github.world().faults.push_back(("PATCH", Fault::Refuse { status: 403, headers: vec![], body: refusal }));
    assert!(world.sync().await.contains("not closed"));
    assert!(world.sync().await.contains("withdrawn"));
    let printed = world.sync().await;
    assert!(!printed.contains("proposal"), "{printed}");
    let comments = world.github.world().pulls[0].comments.clone();
    assert_eq!(comments.len(), 1, "{comments:?}");
    assert!(comments[0].contains("seen true again") && comments[0].contains("(at 20"), "{comments:?}");
    assert!(!world.github.world().pulls[0].open);
    assert_eq!(world.branch(), branch, "what is on the forge is left to it");

    world.live_image("checkout:1.4.2", "checkout:1.4.3-hot");
    assert!(world.sync().await.contains("opened"), "another episode, on the branch that is still there");
    world.github.world().pulls[1].open = false;
    assert!(world.sync().await.contains("denied"));
    let printed = world.sync().await;
    assert!(!printed.contains("opened"), "{printed}");
    assert_eq!(world.github.count("POST", "/pulls"), 2);
    assert_eq!(world.stand_in.violations(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owners_of_what_is_edited_are_asked_beside_the_people_of_the_settings() {
    let Some(world) = World::start().await else { return };
    let config = world.folder.path().join("trueup.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("forge = \"github\"", "forge = \"github\"\nreviewers = [\"ada\"]\ndraft = true"))
        .unwrap();
    let people = world.folder.path().join("people");
    git(world.folder.path(), &["clone", "-q", world.bare.to_str().unwrap(), people.to_str().unwrap()]);
    std::fs::create_dir(people.join("docs")).unwrap();
    std::fs::write(people.join("docs/CODEOWNERS"), "* @everybody\n/manifests/ @acme/checkout-team @octocat\n*.md @writers\n")
        .unwrap();
    git(&people, &["add", "-A"]);
    git(&people, &["commit", "-q", "-m", "who owns what"]);
    git(&people, &["push", "-q", "origin", "HEAD:main"]);
    assert!(world.sync().await.contains("opened"));
    let pull = world.github.world().pulls[0].clone();
    assert_eq!((pull.reviewers, pull.teams), (vec!["ada".to_owned(), "octocat".to_owned()], vec!["checkout-team".to_owned()]));
    assert!(pull.draft);
    assert_eq!(world.stand_in.violations(), [""; 0]);
}
