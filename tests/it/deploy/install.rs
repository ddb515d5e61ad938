//! One installation of the shipped manifests on the cluster for tests, under names of its own.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{Answer, did_not_run, kubectl, rendered, run};

/// What the shipped manifests name beyond their own namespace.
const NAMES: [&str; 7] = [
    "trueup-system",
    "trueup-observe",
    "trueup-correct",
    "trueup-baseline",
    "trueup.dev/observe",
    "trueup.dev/baseline",
    EXAMPLE,
];

/// The namespace in which the example corrects.
pub(crate) const EXAMPLE: &str = "shop-checkout";

/// An installation; what it made is deleted when it is dropped.
pub(crate) struct Install {
    kubectl: String,
    id: String,
    folder: tempfile::TempDir,
    applied: Vec<String>,
}

impl Install {
    /// An installation to be on the cluster that `KUBECONFIG` names, if `TRUEUP_TEST_CLUSTER=1` says that it is for tests.
    pub(crate) fn new() -> Option<Self> {
        let kubectl = kubectl()?;
        if std::env::var("TRUEUP_TEST_CLUSTER").as_deref() != Ok("1") {
            did_not_run("TRUEUP_TEST_CLUSTER is not 1: it says that KUBECONFIG names a cluster for tests");
            return None;
        }
        assert!(std::env::var_os("KUBECONFIG").is_some(), "TRUEUP_TEST_CLUSTER is 1, but KUBECONFIG names no cluster for tests");
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_nanos();
        let id = format!("{}-{:x}", std::process::id(), since & 0xff_ffff);
        Some(Self { kubectl, id, folder: tempfile::tempdir().expect("a folder"), applied: Vec::new() })
    }

    /// Where the ServiceAccount is.
    pub(crate) fn namespace(&self) -> String {
        self.named("trueup-system")
    }

    /// The shipped names, each made this installation's own: namespace, cluster-wide objects and the aggregation labels.
    pub(crate) fn named(&self, text: &str) -> String {
        NAMES.iter().fold(text.to_owned(), |text, name| text.replace(name, &format!("{name}-{}", self.id)))
    }

    /// Applies one of the folders of `manifests`.
    pub(crate) fn apply(&mut self, folder: &str) {
        self.apply_text(&rendered(&self.kubectl, folder));
    }

    /// Applies manifests in which the shipped names stand for this installation's.
    pub(crate) fn apply_text(&mut self, text: &str) {
        let text = self.named(text);
        let answer = run(&self.kubectl, None, &["apply", "-f", "-"], &text);
        self.applied.push(text);
        assert!(answer.ok, "{}", answer.stderr);
        // The namespace admits only what Pod Security calls restricted; for a template it merely warns.
        assert!(!answer.stderr.contains("Warning"), "{}", answer.stderr);
    }

    /// As the cluster's administrator.
    pub(crate) fn administer(&self, args: &[&str]) -> Answer {
        run(&self.kubectl, None, args, "")
    }

    /// As the ServiceAccount, by a token of its own and nothing else.
    pub(crate) fn ask(&self, args: &[&str]) -> Answer {
        run(&self.kubectl, Some(&self.kubeconfig()), args, "")
    }

    /// As the ServiceAccount: one POST of just this body.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        let args = ["create", "--raw", path, "-f", "-"];
        run(&self.kubectl, Some(&self.kubeconfig()), &args, &body.to_string())
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        let path = self.folder.path().join("kubeconfig");
        if !path.exists() {
            let admin = self.administer(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
            let mut config: Value = serde_json::from_str(&admin.stdout).expect("kubectl prints JSON");
            let token = self.administer(&["create", "token", "trueup", "-n", &self.namespace()]);
            assert!(token.ok, "{}", token.stderr);
            config["users"][0]["user"] = json!({"token": token.stdout.trim()});
            std::fs::write(&path, config.to_string()).expect("the kubeconfig is written");
        }
        path
    }
}

impl Drop for Install {
    fn drop(&mut self) {
        // The last first, so that a right goes before its fence.
        for text in self.applied.iter().rev() {
            let answer = run(&self.kubectl, None, &["delete", "--ignore-not-found", "--wait=false", "-f", "-"], text);
            if !answer.ok {
                eprintln!("left on the cluster: {}", answer.stderr);
            }
        }
    }
}

/// Roles are aggregated, and authorizers and admission learn of new objects, within moments: tries until `holds`.
pub(crate) fn eventually(attempt: impl Fn() -> Answer, holds: impl Fn(&Answer) -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    loop {
        let answer = attempt();
        if holds(&answer) {
            return;
        }
        assert!(Instant::now() < end, "after 30 s still: {answer:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
