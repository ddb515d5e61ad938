//! A repository with its configuration, a folder of live objects (not in Git), and a state folder.

use std::process::{Command, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use trueup::ledger::{Audit, Ledger};
use trueup_core::run::{Entry, Proposal, Record, Run};

use crate::git::Repo;

const SETTINGS: &str = "[source]\nrepo = \".\"\nref = \"main\"\n\n[review]\nforge = \"local\"\n\n\
    [[target]]\nname = \"prod\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"manifests\"]\n";

const POLICY: &str = "[[class]]\nname = \"by-hand\"\nlane = \"review\"\nstage = \"recommend\"\n";

pub struct World {
    pub repo: Repo,
    state: TempDir,
}

impl World {
    /// One `ConfigMap` with these data, in Git and live.
    pub fn of(git: &Value, live: &Value) -> Self {
        let world = Self::empty();
        world.repo.write("manifests/app.yaml", Self::object("app", git).to_string());
        world.repo.commit("declared");
        world.live(live);
        world
    }

    pub fn empty() -> Self {
        let world = Self { repo: Repo::new(), state: TempDir::new().unwrap() };
        world.repo.write("trueup.toml", SETTINGS);
        world.repo.write("policies/drift.toml", POLICY);
        world.repo.write(".gitignore", "live/\n");
        world
    }

    pub fn object(name: &str, data: &Value) -> Value {
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "shop"}, "data": data})
    }

    pub fn live(&self, data: &Value) {
        self.repo.write("live/app.json", Self::object("app", data).to_string());
    }

    pub fn live_data(&self) -> Value {
        let text = std::fs::read(self.repo.path().join("live/app.json")).unwrap();
        serde_json::from_slice::<Value>(&text).unwrap()["data"].clone()
    }

    /// The ledger is gone.
    pub fn forget(&self) {
        for entry in std::fs::read_dir(self.state.path()).unwrap().map(Result::unwrap) {
            if entry.file_name().to_string_lossy().starts_with("ledger") {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }

    /// One `trueup sync`, its report.
    pub fn sync(&self) -> Value {
        self.run("sync")
    }

    /// A `trueup sync` that is killed (SIGKILL) after some time.
    pub fn sync_killed(&self, after: Duration) {
        let mut child = self.command("sync").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(after);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Merges a branch as people do; one that is in conflict is left.
    pub fn merge_if_it_goes(&self, branch: &str) {
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.args(arguments).current_dir(self.repo.path()).env("GIT_CONFIG_GLOBAL", "/dev/null");
            for role in ["AUTHOR", "COMMITTER"] {
                command.env(format!("GIT_{role}_NAME"), "Ada").env(format!("GIT_{role}_EMAIL"), "ada@example.org");
            }
            command.output().unwrap().status.success()
        };
        if !git(&["merge", "-q", "--no-ff", "-m", "merged", branch]) {
            assert!(git(&["merge", "--abort"]));
        }
    }

    /// One `trueup diff`, its report.
    pub fn diff(&self) -> Value {
        self.run("diff")
    }

    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args([verb, "-o", "json"]).current_dir(self.repo.path()).env("TRUEUP_STATE_DIR", self.state.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("TRUEUP_LOG", "off").stdin(Stdio::null());
        command
    }

    fn run(&self, verb: &str) -> Value {
        let output = self.command(verb).output().unwrap();
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)))
    }

    /// How the proposals of a `trueup sync` stand after it.
    pub fn proposals(&self) -> Vec<String> {
        let report = self.sync();
        let runs = report["runs"].as_array().unwrap().iter().filter(|run| run["action"] == "pull-request");
        runs.map(|run| run["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Our branches with their heads.
    pub fn branches(&self) -> Vec<(String, String)> {
        let listed = self.repo.git(&["for-each-ref", "--format=%(refname:short) %(objectname)", "refs/heads/trueup/"]);
        listed.lines().filter_map(|line| line.split_once(' ')).map(|(name, head)| (name.to_owned(), head.to_owned())).collect()
    }

    /// How many patch files there are.
    pub fn patches(&self) -> usize {
        std::fs::read_dir(self.state.path().join("review")).map_or(0, Iterator::count)
    }

    /// All records; the chain holds.
    pub async fn records(&self) -> Vec<Record> {
        let ledger = self.ledger().await;
        assert!(matches!(ledger.verify().await.unwrap(), Audit::Whole { .. }));
        ledger.entries(0).await.unwrap()
    }

    pub async fn runs(&self) -> Vec<Run> {
        self.ledger().await.runs().await.unwrap()
    }

    /// What the ledger has as open.
    pub async fn open(&self) -> Vec<Proposal> {
        self.ledger().await.standing().await.unwrap().proposals().values().cloned().collect()
    }

    /// What an earlier process would have left in the ledger.
    pub async fn append(&self, entries: &[Entry]) {
        let ledger = Ledger::open(&self.state.path().join("ledger.sqlite")).await.unwrap();
        for entry in entries {
            ledger.append(entry, Timestamp::now()).await.unwrap();
        }
        ledger.close().await.unwrap();
    }

    pub fn kinds(records: &[Record]) -> Vec<&'static str> {
        records.iter().map(|record| record.entry.kind()).collect()
    }

    async fn ledger(&self) -> Ledger {
        Ledger::open_to_read(&self.state.path().join("ledger.sqlite")).await.unwrap()
    }
}
