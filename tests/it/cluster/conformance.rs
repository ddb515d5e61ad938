//! The scenarios on a real API server: the steps that made a folder's live objects are taken again in a namespace of its own,
//! and what is found there is what the folder says, judged by the server's own dry runs; what is corrected is really sent.
//!
//! `TRUEUP_SCENARIOS=record` writes the live objects (and the answers to dry runs, as `admitted`) of folders that have none.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use trueup_core::decide::{Correction, Decision, Ground};
use trueup_core::facts::{Evidence, Observation, Pair};
use trueup_core::patch::with_preconditions;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::baseline::Baselines;
use trueup_kubernetes::cluster::{connect_by, version};
use trueup_kubernetes::discovery::discover;
use trueup_kubernetes::expect::{DryRuns, Moment};
use trueup_kubernetes::list::PAGE;
use trueup_kubernetes::observe::{Look, observe};

use crate::deploy::{did_not_run, kubectl};
use crate::scenarios::case::{Case, Fate, found};
use crate::scenarios::{self, Judged};

/// The namespace that stands in the folders.
const NAMESPACE: &str = "shop";

/// How many scenarios are run side by side.
const WORKERS: usize = 4;

/// One scenario in a namespace of its own; what it made is deleted when it is dropped.
struct Stage {
    kubectl: String,
    namespace: String,
    folder: TempDir,
    case: Case,
}

#[test]
fn every_scenario_holds_on_a_real_server() {
    let Some(kubectl) = kubectl() else { return };
    if std::env::var("TRUEUP_TEST_CLUSTER").as_deref() != Ok("1") {
        return did_not_run("TRUEUP_TEST_CLUSTER is not 1: it says that KUBECONFIG names a cluster for tests");
    }
    let only = std::env::var("TRUEUP_SCENARIO").unwrap_or_default();
    let named = |folder: &PathBuf| scenarios::name(folder).starts_with(&only);
    let folders: Vec<PathBuf> =
        scenarios::scenarios().into_iter().filter(named).filter(|folder| !Case::read(folder).steps.is_empty()).collect();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::SeqCst));
                for (number, folder) in numbers.map_while(|number| Some((number, folders.get(number)?))) {
                    if let Err(error) = replay(&kubectl, folder, number) {
                        wrong.lock().unwrap().push(format!("{}: {error}", scenarios::name(folder)));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(!folders.is_empty() && wrong.is_empty(), "{} of {} scenarios:\n{}", wrong.len(), folders.len(), wrong.join("\n"));
}

/// Takes the steps, looks, and compares; sends what is to be corrected.
fn replay(kubectl: &str, folder: &Path, number: usize) -> Result<(), String> {
    let stage = Stage::new(kubectl, folder, number);
    stage.kubectl(&["create", "namespace", &stage.namespace])?;
    stage.kubectl(&["wait", "--for=create", "serviceaccount/default", "--timeout=60s"])?;
    for step in &stage.case.steps {
        stage.step(step)?;
    }
    let judged = stage.judge();
    if std::env::var("TRUEUP_SCENARIOS").as_deref() == Ok("record") {
        stage.record(folder, &judged)?;
    }
    let policy = scenarios::policy(stage.folder.path());
    let objections = stage.case.objections(&judged, &policy);
    if !objections.is_empty() {
        return Err(format!("{}\nproblems {:#?}", objections.join("\n"), judged.problems).replace(&stage.namespace, NAMESPACE));
    }
    if stage.case.fate == Some(Fate::Corrected) {
        // Controllers write, too: what they were faster with is judged again.
        let mut corrected = stage.correct(&judged);
        for _ in 0..3 {
            match &corrected {
                Err(error) if error.contains("the object has been modified") => corrected = stage.correct(&stage.judge()),
                Ok(()) | Err(_) => break,
            }
        }
        corrected?;
    }
    for command in &stage.case.refused {
        if let Ok(answer) = stage.words(command) {
            return Err(format!("not refused: {command}: {answer}"));
        }
    }
    Ok(())
}

impl Stage {
    fn new(kubectl: &str, folder: &Path, number: usize) -> Self {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_millis();
        let namespace = format!("{NAMESPACE}-{:x}{number:x}", since & 0xff_ffff);
        let own = TempDir::new().unwrap();
        copy(folder, own.path(), &namespace);
        let text = fs::read_to_string(own.path().join("case.toml")).unwrap();
        Self { kubectl: kubectl.to_owned(), namespace, case: Case::parse(&text, folder), folder: own }
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.kubectl);
        command.current_dir(self.folder.path()).args(["--namespace", &self.namespace]).args(arguments);
        let output = command.output().expect("kubectl starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(format!("kubectl {}: {}", arguments.join(" "), text(&output.stderr)))
        }
    }

    fn words(&self, command: &str) -> Result<String, String> {
        self.kubectl(&command.split_whitespace().collect::<Vec<_>>())
    }

    fn step(&self, step: &str) -> Result<(), String> {
        if let Some(command) = step.strip_prefix("eventually ") {
            return self.until("", command);
        }
        match step.strip_prefix("until ").and_then(|rest| rest.split_once(": ")) {
            Some((text, command)) => self.until(text, command),
            None => self.words(step).map(drop),
        }
    }

    /// Controllers and admission take moments: tries until the answer holds the text.
    fn until(&self, text: &str, command: &str) -> Result<(), String> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let answer = self.words(command);
            match answer {
                Ok(answer) if answer.contains(text) => return Ok(()),
                answer if Instant::now() > end => return Err(format!("after 30 s no `{text}`: {answer:?}")),
                Ok(_) | Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }

    fn judge(&self) -> Judged {
        let (desired, problems) = scenarios::declared(self.folder.path());
        let Observation { pairs, problems: seen, .. } = self.look(desired);
        let problems = problems.into_iter().chain(seen).collect();
        scenarios::decided(pairs, problems, Ground::Cluster, &scenarios::policy(self.folder.path()))
    }

    fn look(&self, desired: Vec<trueup_core::facts::Desired>) -> Observation {
        let kubeconfig = self.folder.path().join("kubeconfig");
        let admin = self.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]).unwrap();
        let mut config: Value = serde_json::from_str(&admin).unwrap();
        config["contexts"][0]["context"]["namespace"] = self.namespace.clone().into();
        fs::write(&kubeconfig, config.to_string()).unwrap();
        let expecting = scenarios::expecting(Rules::load());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let cluster = connect_by(&kubeconfig, None, "trueup/conformance").await.unwrap();
            let (catalog, version) = (discover(&cluster).await.unwrap(), version(&cluster).await.unwrap());
            let look = Look {
                secrets: scenarios::secrets_mode(self.folder.path()),
                dry_runs: DryRuns::Fresh,
                expecting: &expecting,
                moment: Moment { server_version: &version, now: jiff::Timestamp::now() },
                page: PAGE,
            };
            observe(&cluster, &catalog, desired, &look, &mut Baselines::default()).await
        })
    }

    /// Sends each correction as trueup does; then nothing is left to find.
    fn correct(&self, judged: &Judged) -> Result<(), String> {
        for decision in &judged.decisions {
            let Decision::Correct(correction) = decision else { continue };
            let Correction { object, uid, resource_version, .. } = correction.as_ref();
            let (Some(uid), Some(resource_version)) = (uid, resource_version) else { return Err("no preconditions".to_owned()) };
            let patch = with_preconditions(&correction.patch, uid, resource_version).to_string();
            let kind = match object.group() {
                "" => object.kind.clone(),
                group => format!("{}.{}.{group}", object.kind, object.version()),
            };
            let arguments = ["patch", &kind, &object.name, "--type=merge", "--field-manager=trueup", "-p", &patch];
            self.kubectl(&arguments)?;
        }
        let left = found(&self.judge());
        if left.is_empty() { Ok(()) } else { Err(format!("left after the correction: {left:#?}")) }
    }

    /// Writes what is there now into the scenario's folder, under the folder's own names.
    fn record(&self, folder: &Path, judged: &Judged) -> Result<(), String> {
        let live = folder.join("live");
        if live.exists() {
            return Ok(());
        }
        fs::create_dir_all(&live).unwrap();
        let keep = |file: PathBuf, text: &str| fs::write(file, text.replace(&self.namespace, NAMESPACE)).unwrap();
        for file in scenarios::files(&self.folder.path().join("desired")) {
            let name = scenarios::name(&file);
            let arguments = format!("--namespace= get -f desired/{name} --ignore-not-found -o yaml --show-managed-fields");
            let text = self.words(&arguments)?;
            if !text.is_empty() {
                keep(live.join(name), &text);
            }
        }
        for object in &self.case.also {
            let text = self.words(&format!("get {object} -o yaml --show-managed-fields"))?;
            keep(live.join(format!("{}.yaml", object.replace([' ', '/'], "-"))), &text);
        }
        for (number, pair) in judged.pairs.iter().enumerate() {
            let Pair::Matched(matched) = pair else { continue };
            if matched.expected.evidence == Evidence::Baseline && folder.join("setup").exists() {
                fs::create_dir_all(folder.join("admitted")).unwrap();
                let text = serde_json::to_string_pretty(&matched.expected.value).unwrap() + "\n";
                keep(folder.join(format!("admitted/{number}.json")), &text);
            }
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for command in &self.case.after {
            drop(self.words(command));
        }
        for part in ["desired", "setup"] {
            if self.folder.path().join(part).exists() {
                drop(self.words(&format!("delete -f {part} --ignore-not-found --wait=false")));
            }
        }
        drop(self.kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]));
    }
}

/// Copies a folder, with another namespace in it.
fn copy(from: &Path, to: &Path, namespace: &str) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, copied) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir_all(&copied).unwrap();
            copy(&path, &copied, namespace);
        } else {
            fs::write(copied, fs::read_to_string(&path).unwrap().replace(NAMESPACE, namespace)).unwrap();
        }
    }
}
