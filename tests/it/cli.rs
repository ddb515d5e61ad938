//! The program as people and pipelines use it: the real binary, in worlds of its own.

mod all_paths;
mod audit;
mod bad_input;
mod demo;
mod face;
mod interrupted;
mod json;
mod render;
mod rendered;
mod replay;
mod rules;
mod secrets;
mod two_runs;
mod watch;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use crate::git::Repo;
use crate::world::value_by_hand;

/// A repository with live objects and a Terraform state beside it, and a home and a state folder that are nobody else's.
pub struct World {
    repo: Repo,
    home: TempDir,
}

/// How a command ended, and what it said; what differs from run to run is replaced by its name.
#[derive(Debug, PartialEq, Eq)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl World {
    /// Nothing but an empty repository without a commit.
    pub fn empty() -> Self {
        Self { repo: Repo::new(), home: TempDir::new().unwrap() }
    }

    /// The world of `trueup demo`, committed, with nothing done in it yet.
    pub fn small() -> Self {
        let world = Self::empty();
        let files = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/demo");
        for name in [
            "trueup.toml",
            "manifests/configmap.yaml",
            "manifests/deployment.yaml",
            "manifests/network.yaml",
            "policies/drift.toml",
            "policies/drift.cases.toml",
            "infra/data.expect.toml",
            "infra/terraform.tfstate",
            "live/configmap.yaml",
            "live/deployment.yaml",
            "live/service.yaml",
            "live/networkpolicy.yaml",
        ] {
            world.repo.write(name, std::fs::read(files.join(name)).unwrap());
        }
        world.repo.write(".gitignore", "live/\n*.tfstate\n");
        world.repo.commit("what should run");
        world
    }

    /// One snapshot target, these files, committed; the policy lets the data of each `ConfigMap` be corrected.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let world = Self::empty();
        world.repo.write("trueup.toml", SNAPSHOT);
        world.repo.write("policies/drift.toml", policy());
        world.repo.write(".gitignore", "live/\n");
        for (name, text) in files {
            world.repo.write(name, text);
        }
        world.repo.commit("what should run");
        world
    }

    pub fn folder(&self) -> &Path {
        self.repo.path()
    }

    pub fn state(&self) -> PathBuf {
        self.home.path().join("state")
    }

    pub fn name(&self) -> String {
        self.folder().file_name().unwrap().to_string_lossy().into_owned()
    }

    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        self.repo.write(path, text);
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.folder().join(path)).unwrap()
    }

    pub fn commit(&self) -> String {
        self.repo.commit("more")
    }

    /// The program in this world, with nothing of the caller's environment but the way to programs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).current_dir(self.folder()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap());
        command.env("HOME", self.home.path()).env("TRUEUP_STATE_DIR", self.state());
        command.env("KUBECONFIG", self.home.path().join("kubeconfig"));
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        self.ran(&self.command(arguments).output().unwrap())
    }

    pub fn ran(&self, output: &Output) -> Ran {
        let text = |bytes: &[u8]| self.redacted(std::str::from_utf8(bytes).unwrap());
        Ran { code: output.status.code().unwrap_or(-1), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// The ids of the runs with an action, newest first.
    pub fn runs(&self, action: &str) -> Vec<String> {
        let output = self.command(&["runs", "-o", "json"]).output().unwrap();
        let runs: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
        let named = runs.iter().rev().filter(|run| run["action"] == action);
        named.map(|run| run["id"].as_str().unwrap().to_owned()).collect()
    }

    fn redacted(&self, text: &str) -> String {
        let name = self.name();
        let text = text
            .replace(&self.folder().display().to_string(), "[REPO]")
            .replace(&self.home.path().display().to_string(), "[HOME]")
            .replace(&name, "[NAME]");
        redacted_words(&text)
    }
}

/// Commits, run ids, digests, seconds: whatever another run has otherwise.
fn redacted_words(text: &str) -> String {
    let mut redacted = String::new();
    for line in text.split_inclusive('\n') {
        let line = match line.rsplit_once(" · ") {
            Some((rest, time)) if time.ends_with(" s\n") => format!("{rest} · [TIME]\n"),
            _ => line.to_owned(),
        };
        let line = match line.split_once(" @ ") {
            Some((source, rest)) if source.starts_with("source ") && !rest.starts_with("no ") => {
                format!("{source} @ [COMMIT]{}", &rest[7..])
            }
            _ => line,
        };
        for word in line.split_inclusive(|character: char| !character.is_ascii_alphanumeric()) {
            let bare = word.trim_end_matches(|character: char| !character.is_ascii_alphanumeric());
            redacted.push_str(&word.replacen(bare, name_of(bare), usize::from(name_of(bare) != bare)));
        }
    }
    redacted
}

fn name_of(word: &str) -> &str {
    let hex = word.chars().all(|character| matches!(character, '0'..='9' | 'a'..='f'));
    match word.len() {
        40 if hex => "[COMMIT]",
        64 if hex => "[HASH]",
        16 if hex => "[DIGEST]",
        26 if word.starts_with("01")
            && word.chars().all(|character| character.is_ascii_digit() || character.is_ascii_uppercase()) =>
        {
            "[RUN]"
        }
        _ => word,
    }
}

/// A failed command: its code, and its whole stderr.
impl Ran {
    pub fn failed(&self, code: i32, stderr: &str) {
        assert_eq!((self.code, self.stderr.trim_end(), self.stdout.as_str()), (code, stderr, ""), "code, stderr, stdout");
    }
}

pub const SNAPSHOT: &str = r#"[source]
repo = "."

[[target]]
name = "live"
kind = "snapshot"
live = "live"
paths = ["manifests"]
"#;

const CLASSES: &str = r#"[[class]]
name = "config-value"
match = { kind = "ConfigMap", path = "data.*", change = ["changed", "removed"] }
lane = "auto"
stage = "auto"

"#;

pub fn policy() -> String {
    format!("{CLASSES}{}", value_by_hand("config-value"))
}

/// A `ConfigMap` in Git.
pub fn config_map(name: &str, level: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: shop\ndata:\n  level: {level}\n")
}

/// The same `ConfigMap` as a server shows it, after somebody's edit.
pub fn live_config_map(name: &str, level: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: shop\n  uid: 00000000-0000-0000-0000-{:012}\n  resourceVersion: \"7\"\n  \
         creationTimestamp: \"2026-11-21T02:00:00Z\"\n  managedFields:\n  - apiVersion: v1\n    fieldsType: FieldsV1\n    fieldsV1: {{\"f:data\": {{\"f:level\": {{}}}}}}\n    \
         manager: kubectl-edit\n    operation: Update\n    time: \"2026-11-21T02:14:07Z\"\ndata:\n  level: {level}\n",
        name.bytes().map(u64::from).sum::<u64>()
    )
}
