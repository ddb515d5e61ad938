//! The table of defaults against what a real API server answers.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path as FilePath, PathBuf};
use std::{env, fs};

use http::Request;
use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Evidence, Expected, Matched, Origin, Secrecy};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_core::seen::DigestKey;
use trueup_core::tracking::loss;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::cluster;
use trueup_kubernetes::discovery::{Catalog, Lookup, Scope, discover};
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::manifest;
use trueup_kubernetes::normal;
use trueup_kubernetes::table::Table;

/// Kinds whose names say what they are, so that they are not tried under another.
const NAMED: [&str; 4] = ["APIService", "CustomResourceDefinition", "IPAddress", "Namespace"];

#[test]
fn kept_answers() {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/defaults");
    let files = files(&folder, "json");
    assert!(files.len() >= 15, "{} files in {}", files.len(), folder.display());
    for file in files {
        let pair: Value = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
        let differences = differences(Table::load(), &pair["desired"], &pair["admitted"]);
        assert!(differences.is_empty(), "{}:\n{}", file.display(), differences.join("\n"));
    }
}

#[test]
fn what_the_server_copies_into_an_empty_map_is_known() {
    let template = json!({"metadata": {"labels": {"app": "a", "role": "b"}}, "spec": {"containers": []}});
    let filled = |api_version: &str, kind: &str, metadata: Value| {
        let value = json!({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": {"template": template}});
        let kinds = Kinds::built_in();
        let (defaulted, shape) = (|id: &_, value: &_| kinds.defaulted(id, value), |id: &_| kinds.shape(id));
        let expecting = Expecting { defaulted: &defaulted, shape: &shape, types: kinds.types(), rules: Rules::load() };
        let id = id(&value);
        let origin = Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 };
        let desired = Desired { id: id.clone(), value: value.clone(), origin, positions: Positions::default() };
        let paths = expecting.by_table(desired, normal::live(id, value)).expected.filled.clone();
        paths.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let (bare, labelled) = (json!({"name": "a"}), json!({"name": "a", "labels": {"x": "y"}}));
    let of_both = ["metadata.labels.app", "metadata.labels.role", "spec.selector.app", "spec.selector.role"];
    assert_eq!(filled("v1", "ReplicationController", bare.clone()), of_both);
    assert_eq!(filled("v1", "ReplicationController", labelled), of_both[2..]);
    assert_eq!(filled("batch/v1", "Job", bare.clone()), of_both[..2]);
    assert_eq!(filled("apps/v1", "Deployment", bare), [""; 0]);
}

#[tokio::test]
async fn probes_on_a_control_plane() {
    let Some(server) = Server::connect("the probes of scripts/defaults").await else { return };
    let outcome = server.judge(FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/defaults.d/probes")).await;
    // An older minor refuses what only features of a newer one understand.
    let is_newest = server.table.kubernetes() == Table::load().kubernetes();
    assert!(outcome.refused.len() <= if is_newest { 0 } else { 3 }, "{:#?}", outcome.refused);
    outcome.expect_equal(130, if is_newest { 0 } else { 2 });
}

#[tokio::test]
async fn real_manifests_on_a_control_plane() {
    let Some(server) = Server::connect("the table over real manifests").await else { return };
    let Some(corpus) = wanted("TRUEUP_CORPUS", "the table over real manifests") else { return };
    server.judge(FilePath::new(&corpus).join("manifests")).await.expect_equal(300, 0);
}

/// A variable that a test needs; without it, the test says that it did not run, and in CI fails.
fn wanted(variable: &str, subject: &str) -> Option<String> {
    let found = env::var(variable).ok().filter(|value| !value.is_empty());
    assert!(found.is_some() || env::var_os("CI").is_none(), "{subject}: {variable} is not set");
    if found.is_none() {
        eprintln!("{subject}: did not run, as {variable} is not set");
    }
    found
}

struct Server {
    client: kube::Client,
    catalog: Catalog,
    /// The table of the server's minor.
    table: &'static Table,
}

/// What the server made of many objects.
#[derive(Default)]
struct Outcome {
    equal: BTreeMap<String, usize>,
    different: Vec<String>,
    refused: Vec<String>,
    unknown: usize,
}

impl Server {
    async fn connect(subject: &str) -> Option<Self> {
        wanted("TRUEUP_TEST_CLUSTER", subject)?;
        let cluster = cluster::connect(None, "trueup-test").await.expect("KUBECONFIG names a cluster");
        let catalog = discover(&cluster).await.expect("discovery");
        let table = Table::nearest(&cluster::version(&cluster).await.expect("a version"));
        Some(Self { client: kube::Client::try_default().await.expect("a client"), catalog, table })
    }

    async fn judge(&self, manifests: PathBuf) -> Outcome {
        let mut outcome = Outcome::default();
        let files = files(&manifests, "yaml");
        assert!(!files.is_empty(), "{}", manifests.display());
        for file in files {
            for object in objects(&file) {
                self.judge_one(&format!("{}: ", file.display()), object, &mut outcome).await;
            }
        }
        outcome
    }

    async fn judge_one(&self, place: &str, mut desired: Value, outcome: &mut Outcome) {
        let Lookup::Served(resource) = self.catalog.find(&id(&desired)) else { return outcome.unknown += 1 };
        if !self.table.knows(&id(&desired)) {
            return outcome.unknown += 1;
        }
        assert_eq!(self.table.scope(&id(&desired)), Some(resource.scope), "{place}");
        if resource.scope == Scope::Namespaced {
            desired["metadata"]["namespace"] = "default".into();
        }
        let namespace = (resource.scope == Scope::Namespaced).then_some("default");
        match self.dry_run_create(&resource.collection(namespace), &desired).await {
            Err(refusal) => outcome.refused.push(format!("{place}{}: {refusal}", id(&desired))),
            Ok(admitted) => {
                desired["metadata"]["name"] = admitted["metadata"]["name"].clone();
                let differences = differences(self.table, &desired, &admitted);
                if differences.is_empty() {
                    *outcome.equal.entry(id(&desired).kind).or_default() += 1;
                } else {
                    outcome.different.push(format!("{place}{}\n  {}", id(&desired), differences.join("\n  ")));
                }
            }
        }
    }

    async fn dry_run_create(&self, collection: &str, desired: &Value) -> Result<Value, String> {
        let mut body = desired.clone();
        if !NAMED.contains(&id(desired).kind.as_str()) {
            body["metadata"]["generateName"] = "trueup-".into();
            body["metadata"].as_object_mut().expect("metadata").remove("name");
        }
        let request = Request::post(format!("{collection}?dryRun=All&fieldValidation=Ignore"))
            .header("Content-Type", "application/json")
            .body(body.to_string().into_bytes())
            .expect("a request");
        let mut answer: Value = self.client.request(request).await.map_err(|error| error.to_string())?;
        answer["metadata"].as_object_mut().expect("metadata").remove("generateName");
        Ok(answer)
    }
}

impl Outcome {
    /// Of an older minor, objects may be left that lost a field together with a feature that is off.
    fn expect_equal(&self, at_least: usize, left: usize) {
        let equal: usize = self.equal.values().sum();
        let admitted = equal + self.different.len();
        println!(
            "{equal} of {admitted} admitted objects are what the table expects; {} refused, {} of kinds that are not built in",
            self.refused.len(),
            self.unknown
        );
        println!("{:?}", self.equal);
        self.refused.iter().for_each(|refusal| println!("refused: {refusal}"));
        assert!(self.different.len() <= left, "{} differ:\n{}", self.different.len(), self.different.join("\n"));
        assert!(equal >= at_least, "only {equal}");
    }
}

/// Where the table's expectation and the server's answer differ, without what the server allocates.
fn differences(table: &Table, desired: &Value, admitted: &Value) -> Vec<String> {
    let id = id(admitted);
    let origin = Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 };
    let desired = normal::desired(Desired { id: id.clone(), value: desired.clone(), origin, positions: Positions::default() });
    let value = normal::expected(&id, table.expected(&id, &desired.value));
    let expected = Expected { value, evidence: Evidence::Table, allowances: Vec::new(), filled: BTreeSet::new() };
    let live = normal::live(id.clone(), admitted.clone());
    let matched = Matched {
        desired: desired.into(),
        live: live.into(),
        expected: expected.into(),
        secrecy: Secrecy::Open,
        former: Vec::new(),
    };
    let untracked = loss(&matched, true).map(|drift| (drift.path.to_string(), format!("{drift:?}")));
    let comparison = compare(&matched, table.types(), &table.root_shape(&id), &DigestKey::new(&[0; 32]));
    let drifts = comparison.drifts.iter().map(|drift| (drift.path.to_string(), format!("{drift:?}")));
    let lacking = comparison.not_admitted.iter().map(|path| (path.to_string(), "not admitted".to_owned()));
    drifts
        .chain(lacking)
        .chain(untracked)
        .filter(|(path, _)| !is_allocated(&id, path))
        .map(|(path, what)| format!("{path}: {what}"))
        .collect()
}

/// Values that differ from one answer to the next.
fn is_allocated(id: &ObjectId, path: &str) -> bool {
    match id.kind.as_str() {
        "Service" => path.starts_with("spec.clusterIP") || path.ends_with("odePort"),
        "Pod" => {
            path == "spec.tolerations"
                || path.contains("kube-api-access-")
                || path.contains("[mountPath=/var/run/secrets/kubernetes.io/serviceaccount]")
        }
        "Job" => path.starts_with("spec.selector") || path.contains("controller-uid") || path.contains("job-name"),
        "CertificateSigningRequest" => ["spec.extra", "spec.groups", "spec.username"].iter().any(|by| path.starts_with(by)),
        "Node" => path == "spec.taints",
        // Where the cluster has a default class, as kind's have.
        "PersistentVolumeClaim" => path == "spec.storageClassName",
        // The list is atomic, and its taints carry the time.
        "ResourceSlice" => path == "spec.devices",
        "DaemonSet" => path.contains("deprecated.daemonset.template.generation"),
        _ => false,
    }
}

fn id(object: &Value) -> ObjectId {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    ObjectId {
        api_version: text(&object["apiVersion"]).unwrap_or_default(),
        kind: text(&object["kind"]).unwrap_or_default(),
        namespace: text(&object["metadata"]["namespace"]),
        name: text(&object["metadata"]["name"]).unwrap_or_default(),
    }
}

/// A file's objects, as far as it can be read.
fn objects(file: &FilePath) -> Vec<Value> {
    let (objects, _problems) = manifest::read(&file.display().to_string(), &fs::read(file).expect("a file"));
    objects.into_iter().map(|desired| desired.value).collect()
}

fn files(folder: &FilePath, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    assert!(folder.is_dir(), "{} is no folder", folder.display());
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}
