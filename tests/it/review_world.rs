//! A world whose drift goes both ways: one value of a folder of live objects is put right, one is proposed to a forge. The
//! program is the real one; it may be killed wherever it says that it has come to.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use trueup::ledger::{Audit, Ledger};
use trueup_core::run::Run;

use crate::git::{RIGHT, Repo, Server, git};
use crate::github::server::{GitHubServer, REPOSITORY};

const POLICY: &str = r#"
[[class]]
name = "level"
match = { kind = "ConfigMap", path = "data.level" }
lane = "auto"
stage = "auto"

[[case]]
name = "a level by hand"
object = { apiVersion = "v1", kind = "ConfigMap", namespace = "shop", name = "app" }
path = "data.level"
desired = "info"
live = "debug"
class = "level"
lane = "auto"
stage = "auto"
decision = "correct"

[[class]]
name = "color"
match = { kind = "ConfigMap", path = "data.color" }
lane = "review"
"#;

/// Where proposals go.
#[derive(Clone)]
pub enum Forge {
    Local,
    GitHub(GitHubServer),
}

pub struct ReviewWorld {
    folder: TempDir,
    pub bare: PathBuf,
    pub forge: Forge,
    /// What the program finds in its environment beside its state folder.
    pub environment: Vec<(&'static str, String)>,
}

impl ReviewWorld {
    /// Git says `info` and `blue`; nothing is live yet. `more` goes into `[review]`.
    pub async fn start(forge: Forge, more: &str) -> Self {
        let (folder, repo) = (TempDir::new().unwrap(), Repo::new());
        repo.write("manifests/app.json", format!("{}\n", config_map("info", "blue", None)));
        repo.write("policies/drift.toml", POLICY);
        repo.commit("what should run");
        std::fs::create_dir_all(folder.path().join("acme")).unwrap();
        std::fs::create_dir(folder.path().join("live")).unwrap();
        let bare = repo.bare(folder.path(), "acme/platform.git");
        let (source, review) = match &forge {
            Forge::Local => ("acme/platform.git".to_owned(), "forge = \"local\"".to_owned()),
            Forge::GitHub(github) => {
                let web = Server::start(folder.path(), Some(RIGHT)).url("");
                let (web, api) = (web.trim_end_matches('/').to_owned(), github.start().await);
                github.world().bare = Some(bare.clone());
                let review = format!(
                    "forge = \"github\"\nrepo = \"{REPOSITORY}\"\napi = \"{api}\"\nweb = \"{web}\"\nlabels = [\"drift\"]\nreviewers = [\"octocat\"]"
                );
                (format!("{web}/acme/platform.git"), review)
            }
        };
        let config = format!(
            "[source]\nrepo = \"{source}\"\n\n[review]\n{review}\n{more}\n\n\
             [[target]]\nname = \"prod\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"manifests\"]\n"
        );
        std::fs::write(folder.path().join("trueup.toml"), config).unwrap();
        let environment = vec![("TRUEUP_GITHUB_TOKEN", "right".to_owned())];
        Self { folder, bare, forge, environment }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn state(&self) -> PathBuf {
        self.path().join("state")
    }

    /// Git says something else: a file on top of `main`.
    pub fn declare(&self, file: &str, text: &str) {
        let (folder, clone) = (TempDir::new().unwrap(), "clone");
        git(folder.path(), &["clone", "-q", self.bare.to_str().unwrap(), clone]);
        let clone = folder.path().join(clone);
        std::fs::write(clone.join(file), text).unwrap();
        git(&clone, &["add", "-A"]);
        git(&clone, &["commit", "-q", "-m", "declared"]);
        git(&clone, &["push", "-q", "origin", "HEAD:main"]);
    }

    /// What somebody made of the live object, and the version that it has now.
    pub fn live(&self, level: &str, color: &str, version: u64) {
        let object = config_map(level, color, Some(version));
        std::fs::write(self.path().join("live/app.json"), object.to_string()).unwrap();
    }

    /// The same as a server shows it: without managers nobody could tell whose write it was.
    pub fn live_managed(&self, level: &str, color: &str, version: u64) {
        let mut object = config_map(level, color, Some(version));
        object["metadata"]["managedFields"] = json!([{"manager": "kubectl-edit", "operation": "Update", "apiVersion": "v1",
            "time": "2026-11-21T02:31:40Z", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:level": {}, "f:color": {}}}}]);
        std::fs::write(self.path().join("live/app.json"), object.to_string()).unwrap();
    }

    pub fn read_live(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.path().join("live/app.json")).unwrap()).unwrap()
    }

    /// The runs of the ledger, whose chain holds.
    pub async fn runs(&self) -> Vec<Run> {
        let ledger = Ledger::open_to_read(&self.state().join("ledger.sqlite")).await.unwrap();
        assert!(matches!(ledger.verify().await.unwrap(), Audit::Whole { .. }));
        ledger.runs().await.unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).current_dir(self.path()).env_clear().env("HOME", self.path());
        command.env("TRUEUP_STATE_DIR", self.state()).envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs it to its end; the servers of this test answer meanwhile.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    /// The report of a round that leaves a proposal open, or of one that is to be tried again.
    pub async fn sync(&self) -> Value {
        let output = self.run(&["sync", "-o", "json"]).await;
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{}{stderr}", String::from_utf8_lossy(&output.stdout));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Kills a round as soon as it says that it came to a step; whether it did.
    pub async fn kill_at(&self, step: &str) -> bool {
        let mut command = self.command(&["sync"]);
        command.env("FAILPOINT", step).stdout(Stdio::null());
        let line = format!("failpoint: {step}");
        tokio::task::spawn_blocking(move || {
            let mut child = command.spawn().unwrap();
            let lines = BufReader::new(child.stderr.take().unwrap()).lines();
            let came = lines.map_while(Result::ok).any(|said| said == line);
            kill(&mut child);
            came
        })
        .await
        .unwrap()
    }

    /// Kills a round once the forge was asked for a pull request, which no answer comes to.
    pub async fn kill_unanswered(&self, github: &GitHubServer) {
        let mut child = self.command(&["sync"]).spawn().unwrap();
        for _ in 0..600 {
            if github.count("POST", "/pulls") > 0 {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        kill(&mut child);
    }

    /// The branches of proposals, each with its commits beyond `main`.
    pub fn branches(&self) -> Vec<(String, Vec<String>)> {
        let names = git(&self.bare, &["for-each-ref", "--format=%(refname:short)", "refs/heads/trueup/"]);
        let commits = |name: &str| git(&self.bare, &["rev-list", &format!("main..{name}")]).lines().map(str::to_owned).collect();
        names.lines().map(|name| (name.to_owned(), commits(name))).collect()
    }
}

/// SIGKILL: nothing of the program's own runs after it.
fn kill(child: &mut Child) {
    let _ended = child.kill();
    child.wait().unwrap();
}

fn config_map(level: &str, color: &str, version: Option<u64>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "shop"},
        "data": {"level": level, "color": color}});
    if let Some(version) = version {
        object["metadata"]["uid"] = json!("u-1");
        object["metadata"]["resourceVersion"] = json!(version.to_string());
    }
    object
}
