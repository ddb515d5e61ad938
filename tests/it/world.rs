//! A test's own world: objects of the corpus in a repository and on an API server, and the program as the account that the
//! shipped manifests make, with exactly its rights.

mod audit;
mod case;

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deploy::install::{EXAMPLE, Install, eventually};
use crate::deploy::{did_not_run, kubectl};
use crate::git::Repo;

pub use audit::is_dry_run;
pub use case::{value_by_hand, value_left_behind};

/// What `ConfigMap`s hold is put right, everything else goes to review.
const CLASSES: &str = r#"
[[class]]
name = "settings"
match = { kind = "ConfigMap", path = "data.*", change = ["changed", "removed"] }
lane = "auto"
stage = "auto"

[[class]]
name = "by-hand"
lane = "review"
stage = "recommend"
fallback = true

"#;

fn policy() -> String {
    format!("{CLASSES}{}", value_by_hand("settings"))
}

const CONFIGURATION: &str = r#"
[source]
repo = "."
ref = "main"

[review]
forge = "local"

[run]
every = "2s"
jitter = "0s"

[[target]]
name = "monitoring"
kind = "kubernetes"
paths = ["manifests"]
"#;

/// Which of the shipped rights the account has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// To see, and to correct in one namespace.
    Base,
    /// Also to ask for dry runs of creates.
    Baseline,
    /// Also to ask for dry runs of applies, and not of creates: an operator's own role, as nothing that is shipped needs it.
    Apply,
}

/// To patch everything: the server asks for no less before it answers a dry run.
const PATCH: &str = r#"{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
    "metadata": {"name": "trueup-observe-patch", "labels": {"trueup.dev/observe": "true"}},
    "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["patch"]}]}"#;

/// How the program ended.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// The world.
pub struct World {
    pub install: Install,
    pub repo: Repo,
    pub namespace: String,
    kubectl: String,
    corpus: PathBuf,
    state: TempDir,
}

impl World {
    /// A world on the cluster for tests, if there is one.
    pub fn new(rights: Rights) -> Option<Self> {
        let Some(corpus) = std::env::var_os("TRUEUP_CORPUS") else {
            did_not_run("TRUEUP_CORPUS names no folder with manifests/kube-prometheus");
            return None;
        };
        let mut install = Install::new()?;
        let kubectl = kubectl()?;
        let namespace = install.named(EXAMPLE);
        install.apply_text(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": EXAMPLE}}).to_string());
        install.apply("base");
        match rights {
            Rights::Base => {}
            Rights::Baseline => install.apply("baseline"),
            Rights::Apply => install.apply_text(PATCH),
        }
        install.apply_text(include_str!("../../manifests/example/correct.yaml"));
        let corpus = PathBuf::from(corpus).join("manifests/kube-prometheus");
        let world = Self { install, repo: Repo::new(), namespace, kubectl, corpus, state: TempDir::new().unwrap() };
        world.repo.write("trueup.toml", CONFIGURATION);
        world.repo.write("policies/drift.toml", policy());
        world.await_rights(rights);
        Some(world)
    }

    /// Roles are aggregated within moments.
    fn await_rights(&self, rights: Rights) {
        let configmaps = ["get", "configmaps", "-A", "-o", "name"];
        eventually(|| self.install.ask(&configmaps), |answer| answer.ok);
        let maps = format!("/api/v1/namespaces/{}/configmaps?dryRun=All", self.namespace);
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "trueup-"}});
        match rights {
            Rights::Base => {}
            Rights::Baseline => eventually(|| self.install.post(&maps, &map), |answer| answer.ok),
            Rights::Apply => eventually(|| self.install.ask(&["auth", "can-i", "patch", "services", "-A"]), |answer| answer.ok),
        }
    }

    /// A file of the corpus, in this world's namespace.
    pub fn corpus(&self, file: &str) -> String {
        let text = std::fs::read_to_string(self.corpus.join(file)).unwrap();
        text.replace("namespace: monitoring\n", &format!("namespace: {}\n", self.namespace))
    }

    /// Declares files of the corpus in Git, and applies them as a person would.
    pub fn declare(&self, files: &[&str]) {
        for file in files {
            self.repo.write(&format!("manifests/{file}"), self.corpus(file));
        }
        self.repo.commit("what we run");
        self.apply(&[]);
    }

    /// `kubectl apply` of what is in the repository's work tree.
    pub fn apply(&self, flags: &[&str]) {
        let folder = self.repo.path().join("manifests");
        self.kubectl(&[&["apply", "-f", folder.to_str().unwrap()], flags].concat());
    }

    /// As the cluster's administrator, in this world's namespace.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.kubectl_with(arguments, &[])
    }

    pub fn kubectl_with(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let mut command = Command::new(&self.kubectl);
        command.args(["--namespace", &self.namespace]).args(arguments).envs(environment.iter().copied());
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The account's kubeconfig for another server.
    pub fn kubeconfig_of(&self, server: &str) -> PathBuf {
        let text = std::fs::read_to_string(self.install.kubeconfig()).unwrap();
        let mut config: Value = serde_json::from_str(&text).unwrap();
        config["clusters"][0]["cluster"]["server"] = json!(server);
        let path = self.state.path().join("kubeconfig");
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    pub fn kubectl_program(&self) -> &str {
        &self.kubectl
    }

    /// A live object's value by JSON pointer.
    pub fn live(&self, object: &str, pointer: &str) -> Value {
        let object: Value = serde_json::from_str(&self.kubectl(&["get", object, "-o", "json"])).unwrap();
        object.pointer(pointer).cloned().unwrap_or(Value::Null)
    }

    /// The program, ready to run in the repository as the account.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_by(&self.install.kubeconfig(), arguments)
    }

    pub fn command_by(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_trueup"));
        command.args(arguments).current_dir(self.repo.path()).env_clear();
        command.env("HOME", self.state.path()).env("KUBECONFIG", kubeconfig).env("TRUEUP_STATE_DIR", self.state_dir());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Kills a round as soon as it says that it came to a step; whether it did.
    pub fn kill_at(&self, step: &str) -> bool {
        killed_at(self.command(&["sync"]), step)
    }

    pub fn state_dir(&self) -> PathBuf {
        self.state.path().join("state")
    }

    pub fn trueup(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments))
    }

    /// A command's result as JSON; its exit code must be this one.
    pub fn json(&self, arguments: &[&str], code: i32) -> Value {
        let ended = self.trueup(&[arguments, &["-o", "json"]].concat());
        assert_eq!(ended.code, Some(code), "trueup {arguments:?}: {}\n{}", ended.stdout, ended.stderr);
        ended.json()
    }

    /// The ledger holds; how many records it has.
    pub fn records(&self) -> u64 {
        self.json(&["audit", "verify"], 0)["records"].as_u64().unwrap()
    }
}

/// Kills a command as soon as it says that it came to a step; whether it did.
pub fn killed_at(mut command: Command, step: &str) -> bool {
    let mut child = command.env("FAILPOINT", step).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let came = lines.map_while(Result::ok).any(|said| said == format!("failpoint: {step}"));
    let _ended = child.kill();
    child.wait().unwrap();
    came
}

pub fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Tries until it holds; returns how long that took.
pub fn within<T: std::fmt::Debug>(limit: Duration, attempt: impl Fn() -> T, holds: impl Fn(&T) -> bool) -> Duration {
    let begun = Instant::now();
    loop {
        let answer = attempt();
        if holds(&answer) {
            return begun.elapsed();
        }
        assert!(begun.elapsed() < limit, "after {limit:?} still: {answer:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
