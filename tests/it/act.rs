//! From decision to write and record: the real program on a real repository, a folder of live objects and a real ledger.

use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;
use trueup::ledger::{Audit, Ledger};
use trueup_core::finding::{FindingId, Place, Subject};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::run::{Due, Effect, Entry, Intent, Outcome, Outlook, PatchEffect, Record, Run, RunStatus};

use crate::git::Repo;

const SETTINGS: &str = "[source]\nrepo = \".\"\nref = \"main\"\n\n[review]\nforge = \"local\"\n\n\
    [[target]]\nname = \"prod\"\nkind = \"snapshot\"\nlive = \"live\"\npaths = [\"manifests\"]\n";

const POLICY: &str = "[[class]]\nname = \"data\"\nmatch = { kind = \"ConfigMap\", path = \"data.*\", change = [\"changed\", \"removed\"] }\n\
    lane = \"auto\"\nstage = \"auto\"\n\n\
    [[class]]\nname = \"labels\"\nmatch = { path = \"metadata.labels.*\" }\nlane = \"escalate\"\nstage = \"recommend\"\n";

/// A repository with its configuration, its live objects (not in Git) and a state folder.
struct World {
    repo: Repo,
    state: TempDir,
}

impl World {
    /// One `ConfigMap` with these data, in Git and live.
    fn of(git: &Value, live: &Value) -> Self {
        let world = Self { repo: Repo::new(), state: TempDir::new().unwrap() };
        world.repo.write("trueup.toml", SETTINGS);
        world.repo.write("policies/drift.toml", POLICY);
        world.repo.write(".gitignore", "live/\n");
        world.declare(git);
        world.live(live, Some("7"));
        world
    }

    fn declare(&self, data: &Value) {
        self.repo.write("manifests/app.yaml", config_map(data, None).to_string());
        self.repo.commit("declared");
    }

    fn live(&self, data: &Value, version: Option<&str>) {
        self.repo.write("live/app.json", config_map(data, version).to_string());
    }

    fn read_live(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.repo.path().join("live/app.json")).unwrap()).unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).current_dir(self.repo.path()).env("TRUEUP_STATE_DIR", self.state.path());
        command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("TRUEUP_LOG", "off").stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[arguments, &["-o", "json"]].concat());
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", String::from_utf8_lossy(&output.stderr)))
    }

    fn ledger_path(&self) -> PathBuf {
        self.state.path().join("ledger.sqlite")
    }

    /// All records; the chain holds.
    async fn records(&self) -> Vec<Record> {
        let ledger = Ledger::open_to_read(&self.ledger_path()).await.unwrap();
        assert!(matches!(ledger.verify().await.unwrap(), Audit::Whole { .. }));
        ledger.entries(0).await.unwrap()
    }

    async fn runs(&self) -> Vec<Run> {
        Ledger::open_to_read(&self.ledger_path()).await.unwrap().runs().await.unwrap()
    }

    /// What an earlier process would have left in the ledger.
    async fn append(&self, entries: &[Entry]) {
        let ledger = Ledger::open(&self.ledger_path()).await.unwrap();
        for entry in entries {
            ledger.append(entry, Timestamp::now()).await.unwrap();
        }
        ledger.close().await.unwrap();
    }

    fn kinds(records: &[Record]) -> Vec<&'static str> {
        records.iter().map(|record| record.entry.kind()).collect()
    }
}

fn config_map(data: &Value, version: Option<&str>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "app", "namespace": "shop"}, "data": data});
    if let Some(version) = version {
        object["metadata"]["uid"] = json!("u-1");
        object["metadata"]["resourceVersion"] = json!(version);
    }
    object
}

#[tokio::test]
async fn only_one_of_an_objects_findings_is_corrected_where_only_it_is_asked_for() {
    let world = World::of(&json!({"a": "1", "b": "1"}), &json!({"a": "2", "b": "2"}));
    let report = world.json(&["diff"]);
    let id = report["findings"].as_array().unwrap().iter().find(|finding| finding["path"] == "data.a").unwrap()["id"].clone();
    let report = world.json(&["sync", "--only", id.as_str().unwrap()]);
    assert_eq!(report["runs"][0]["patch"], json!({"data": {"a": "1"}}), "{report:#}");
    assert_eq!(world.read_live()["data"], json!({"a": "1", "b": "2"}));
    let unknown = world.run(&["sync", "--only", "f-0000"]);
    assert_eq!(unknown.status.code(), Some(2), "an id that is no finding is a mistake");
    assert_eq!(world.read_live()["data"], json!({"a": "1", "b": "2"}));
}
