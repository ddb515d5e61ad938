//! The corpus as objects, moved to a place of one test's own.
//!
//! The rule: the n-th declaration of an object goes to the n-th namespace of its place; objects without a namespace, and
//! the groups of custom resources, get names of the place. Nothing else of an object is changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use trueup_kubernetes::manifest;

use super::api::{Api, Kinds, text};

/// One object of the corpus.
#[derive(Debug, Clone)]
pub struct Object {
    /// `kube-prometheus/grafana-service.yaml:1`
    pub from: String,
    pub value: Value,
}

/// All objects, and why documents are none.
pub struct Corpus {
    pub objects: Vec<Object>,
    pub unread: Vec<String>,
    pub files: usize,
}

impl Corpus {
    /// Reads the manifests as they are.
    pub fn read(root: &Path) -> Self {
        let mut paths = Vec::new();
        files(root, &mut paths);
        paths.sort();
        let mut corpus = Self { objects: Vec::new(), unread: Vec::new(), files: paths.len() };
        for path in paths {
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let (objects, problems) = manifest::read(&name, &std::fs::read(&path).unwrap());
            corpus.unread.extend(problems.into_iter().map(|problem| {
                let line = problem.origin.map_or(0, |origin| origin.line);
                format!("{name}:{line}: {}: {}", problem.code, problem.message)
            }));
            corpus
                .objects
                .extend(objects.into_iter().map(|one| Object { from: format!("{name}:{}", one.origin.line), value: one.value }));
        }
        corpus
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml" || extension == "json") {
            found.push(path);
        }
    }
}

/// A place of its own: names that nobody else uses.
#[derive(Debug, Clone)]
pub struct Place {
    pub id: String,
}

/// The corpus in a place: definitions first, then the rest, in an order that lets all find what they need.
#[derive(Debug, Clone)]
pub struct Moved {
    pub definitions: Vec<Object>,
    pub objects: Vec<Object>,
    pub namespaces: BTreeSet<String>,
    pub groups: BTreeSet<String>,
}

impl Place {
    /// The definitions can be moved before anything is asked of the server; for the rest it must serve them.
    pub fn definitions(&self, corpus: &Corpus) -> Vec<Object> {
        let definitions = corpus.objects.iter().filter(|object| is_definition(&object.value)).cloned();
        let moved = definitions.map(|mut object| {
            let group = format!("{}.{}", self.id, text(&object.value["spec"]["group"]));
            let plural = text(&object.value["spec"]["names"]["plural"]);
            object.value["metadata"]["name"] = format!("{plural}.{group}").into();
            object.value["spec"]["group"] = group.into();
            object
        });
        let mut moved: Vec<Object> = moved.collect();
        moved.dedup_by(|a, b| a.value["metadata"]["name"] == b.value["metadata"]["name"]);
        moved
    }

    pub fn moved(&self, corpus: &Corpus, api: &Api) -> Moved {
        let definitions = self.definitions(corpus);
        let groups: BTreeSet<String> = definitions.iter().map(|object| text(&object.value["spec"]["group"])).collect();
        let kinds = api.kinds();
        let mut rounds = BTreeMap::new();
        let mut namespaces = BTreeSet::new();
        let mut objects = Vec::new();
        for object in corpus.objects.iter().filter(|object| !is_definition(&object.value)) {
            let mut object = object.clone();
            self.regroup(&mut object.value, &groups);
            let name = text(&object.value["metadata"]["name"]);
            let round = rounds.entry((group(&object.value), text(&object.value["kind"]), name)).or_insert(0);
            *round += 1;
            self.relocate(&mut object.value, *round, &kinds, &mut namespaces);
            objects.push(object);
        }
        objects.sort_by_key(|object| rank(&object.value));
        Moved { definitions, objects, namespaces, groups }
    }

    fn regroup(&self, value: &mut Value, groups: &BTreeSet<String>) {
        let api_version = text(&value["apiVersion"]);
        let own = format!("{}.{api_version}", self.id);
        if own.split_once('/').is_some_and(|(group, _)| groups.contains(group)) {
            value["apiVersion"] = own.into();
        }
    }

    fn relocate(&self, value: &mut Value, round: u32, kinds: &Kinds, namespaces: &mut BTreeSet<String>) {
        let kind = kinds.get(&(text(&value["apiVersion"]), text(&value["kind"])));
        let name = text(&value["metadata"]["name"]);
        if kind.is_none_or(|kind| kind.is_namespaced) {
            let namespace = format!("{}-{round}", self.id);
            value["metadata"]["namespace"] = namespace.clone().into();
            namespaces.insert(namespace);
        } else if value["kind"] == "APIService" {
            let group = format!("{}.{}", self.id, text(&value["spec"]["group"]));
            value["metadata"]["name"] = format!("{}.{group}", text(&value["spec"]["version"])).into();
            value["spec"]["group"] = group.into();
        } else {
            value["metadata"]["name"] = format!("{name}-{}-{round}", self.id).into();
        }
    }
}

fn is_definition(value: &Value) -> bool {
    value["kind"] == "CustomResourceDefinition" && value["apiVersion"] == "apiextensions.k8s.io/v1"
}

pub fn group(value: &Value) -> String {
    let api_version = text(&value["apiVersion"]);
    api_version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned())
}

/// Pods need their accounts and classes; whatever makes Pods comes before them.
fn rank(value: &Value) -> u8 {
    match value["kind"].as_str() {
        Some("Namespace" | "StorageClass" | "ServiceAccount") => 0,
        Some("Pod") => 2,
        _ => 1,
    }
}

/// The namespaces of a place as one List.
pub fn namespace_list(namespaces: &BTreeSet<String>) -> Value {
    let one = |name: &String| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    json!({"apiVersion": "v1", "kind": "List", "items": namespaces.iter().map(one).collect::<Vec<_>>()})
}

/// `kind namespace/name`, for people and as a key.
pub fn label(value: &Value) -> String {
    let metadata = &value["metadata"];
    let namespace = metadata["namespace"].as_str().map(|namespace| format!("{namespace}/")).unwrap_or_default();
    format!("{}.{} {namespace}{}", text(&value["kind"]), group(value), text(&metadata["name"]))
}
