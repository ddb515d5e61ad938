//! What the server makes of Git's words alone: the answer to a dry run of creating the object under a generated name.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use trueup_core::facts::Desired;
use trueup_core::object::ObjectId;
use trueup_core::secret;
use trueup_core::seen::DigestKey;

use crate::cluster::Cluster;
use crate::discovery::{Resource, Server};
use crate::normal;
use crate::request::{Call, RequestError, ask};

/// How long an answer is worth anything.
const LIFETIME: Duration = Duration::from_hours(24);

/// The version of the cache file's form.
const FORM: &str = "trueup.baselines/v2";

/// A create that the server is to answer and not to carry out. There is no other kind of create in trueup.
#[derive(Debug, Clone)]
pub struct DryRunCreate {
    collection: String,
    body: Value,
    id: ObjectId,
}

/// Why no dry run is tried for an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoDryRun {
    /// An extension API server may ignore `dryRun` and persist.
    #[error("its group is not served by the API server itself, which alone is known to honour `dryRun`")]
    Aggregated,
    /// Even a dry run needs all the rights that the role would grant.
    #[error("a dry run of creating RBAC objects asks for the rights that they grant")]
    Rbac,
    /// The name must follow from the content.
    #[error("its name must follow from its content, so it cannot be created under a generated name")]
    FixedName,
    /// It cannot be created at all.
    #[error("the kind cannot be created")]
    NoCreate,
    /// It cannot be patched at all.
    #[error("the kind cannot be patched")]
    NoPatch,
    /// A webhook does something even when it is only asked.
    #[error("the webhook `{0}`, which would be called, has side effects even on a dry run")]
    SideEffects(String),
}

impl DryRunCreate {
    /// The create of a declared object (its id resolved, see [`crate::observe`]).
    ///
    /// # Errors
    /// If that is never tried for this kind.
    pub fn of(resource: &Resource, desired: &Desired) -> Result<Self, NoDryRun> {
        match (resource.group.as_str(), resource.kind.as_str()) {
            _ if resource.server == Server::Aggregated => return Err(NoDryRun::Aggregated),
            _ if !resource.verbs.contains("create") => return Err(NoDryRun::NoCreate),
            ("rbac.authorization.k8s.io", _) => return Err(NoDryRun::Rbac),
            ("apiextensions.k8s.io", "CustomResourceDefinition") | ("apiregistration.k8s.io", "APIService") => {
                return Err(NoDryRun::FixedName);
            }
            _ => {}
        }
        let mut body = normal::expected(&desired.id, desired.value.clone());
        if let Some(metadata) = body.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("name");
            metadata.insert("generateName".to_owned(), "trueup-".into());
        }
        Ok(Self { collection: resource.collection(desired.id.namespace.as_deref()), body, id: desired.id.clone() })
    }

    /// What this create says, in a digest: objects that differ in nothing but their names share it, and so one answer. Beside
    /// the words stands what the answer depends on: which server in which version, and its admission.
    #[must_use]
    pub fn words(&self, depends_on: &[&str]) -> Words {
        let key = DigestKey::new(FORM.as_bytes());
        let body = self.body.to_string();
        Words(key.hex(&[depends_on, &[self.collection.as_str(), &body]].concat()))
    }

    /// The answer to this create as the answer for the object itself: under its own name.
    #[must_use]
    pub fn named(&self, mut answer: Value) -> Value {
        if let Some(metadata) = answer.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("generateName");
            metadata.insert("name".to_owned(), self.id.name.clone().into());
            if self.id.kind == "Namespace"
                && let Some(labels) = metadata.get_mut("labels").and_then(Value::as_object_mut)
            {
                labels.insert("kubernetes.io/metadata.name".to_owned(), self.id.name.clone().into());
            }
        }
        normal::expected(&self.id, answer)
    }
}

/// Asks the server; nothing is created.
///
/// # Errors
/// If the server refuses, or does not answer.
pub async fn ask_for(cluster: &Cluster, create: &DryRunCreate) -> Result<Value, RequestError> {
    let answer = ask(cluster, Call::DryRunCreate { collection: &create.collection, body: &create.body }).await;
    let is_withheld = create.id.is_secret() || secret::is_within(&create.body);
    answer.map_err(|error: RequestError| if is_withheld { error.without_words() } else { error })
}

/// Names a create by everything that its answer depends on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(String);

/// Answers to dry runs, kept for at most 24 hours.
#[derive(Debug, Clone, Default)]
pub struct Baselines {
    answers: BTreeMap<Words, Answer>,
    file: Option<PathBuf>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    at: Timestamp,
    value: Value,
}

#[derive(Serialize, Deserialize)]
struct File {
    schema: String,
    answers: BTreeMap<Words, Answer>,
}

/// Why the cache of answers cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("the cached baselines cannot be written to `{}`: {source}; check the state folder", file.display())]
pub struct BaselinesError {
    /// Where to.
    pub file: PathBuf,
    /// What went wrong.
    pub source: io::Error,
}

impl Baselines {
    /// The answers that an earlier round left in `file`. A file that is not there, or that cannot be read, is an empty
    /// one: the server is asked again.
    #[must_use]
    pub fn load(file: &Path) -> Self {
        let read = std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice::<File>(&bytes).ok());
        let answers = read.filter(|read| read.schema == FORM).map(|read| read.answers).unwrap_or_default();
        Self { answers, file: Some(file.to_owned()) }
    }

    /// The answer to these words, if it is young enough.
    #[must_use]
    pub fn get(&self, words: &Words, now: Timestamp) -> Option<&Value> {
        self.answers.get(words).filter(|answer| is_fresh(answer.at, now)).map(|answer| &answer.value)
    }

    /// Keeps an answer.
    pub fn put(&mut self, words: Words, value: Value, now: Timestamp) {
        self.answers.insert(words, Answer { at: now, value });
    }

    /// Writes the answers that are still young to the file that they were loaded from; does nothing without one.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, now: Timestamp) -> Result<(), BaselinesError> {
        let Some(file) = &self.file else { return Ok(()) };
        let fresh = self.answers.iter().filter(|(_, answer)| is_fresh(answer.at, now));
        let answers = fresh.map(|(words, answer)| (words.clone(), answer.clone())).collect();
        write(file, &File { schema: FORM.to_owned(), answers }).map_err(|source| BaselinesError { file: file.clone(), source })
    }
}

/// An answer from the future is none: the clock was set back.
fn is_fresh(at: Timestamp, now: Timestamp) -> bool {
    at <= now && now.duration_since(at).unsigned_abs() < LIFETIME
}

fn write(file: &Path, content: &File) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let part = file.with_extension("part");
    let mut output = io::BufWriter::new(std::fs::File::create(&part)?);
    serde_json::to_writer(&mut output, content)?;
    output.flush()?;
    std::fs::rename(part, file)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::discovery::{Scaling, Scope};
    use serde_json::json;
    use trueup_core::facts::Origin;
    use trueup_core::positions::Positions;

    fn resource(group: &str, kind: &str, server: Server) -> Resource {
        Resource {
            group: group.into(),
            version: "v1".into(),
            kind: kind.into(),
            plural: format!("{}s", kind.to_lowercase()),
            scope: Scope::Namespaced,
            verbs: BTreeSet::from(["create".to_owned()]),
            scaling: Scaling::Fixed,
            server,
        }
    }

    fn declared(kind: &str, name: &str, data: &str) -> Desired {
        let namespace = (kind != "Namespace").then(|| "n".to_owned());
        Desired {
            id: ObjectId { api_version: "v1".into(), kind: kind.into(), namespace, name: name.into() },
            value: json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "resourceVersion": "5"}, "data": {"k": data}}),
            origin: Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 },
            positions: Positions::default(),
        }
    }

    #[test]
    fn the_same_words_under_other_names_are_one_question() {
        let local = resource("", "ConfigMap", Server::Local);
        let words = |name, data| {
            DryRunCreate::of(&local, &declared("ConfigMap", name, data)).expect("allowed").words(&["v1.36.3", "admission"])
        };
        assert_eq!(words("a", "x"), words("b", "x"));
        assert_ne!(words("a", "x"), words("a", "y"));
        let create = DryRunCreate::of(&local, &declared("ConfigMap", "a", "x")).expect("allowed");
        for other in [["v1.36.4", "admission"], ["v1.36.3", "other"], ["v1.36.3admission", ""]] {
            assert_ne!(words("a", "x"), create.words(&other), "{other:?}");
        }
    }

    #[test]
    fn the_answer_stands_under_the_objects_own_name() {
        let create =
            DryRunCreate::of(&resource("", "Namespace", Server::Local), &declared("Namespace", "shop", "x")).expect("allowed");
        assert_eq!(create.body["metadata"], json!({"generateName": "trueup-"}));
        let answer = json!({"metadata": {"name": "trueup-x7k2p", "generateName": "trueup-", "uid": "u",
            "labels": {"kubernetes.io/metadata.name": "trueup-x7k2p"}}, "status": {"phase": "Active"}});
        let named = create.named(answer);
        assert_eq!(named, json!({"metadata": {"name": "shop", "labels": {"kubernetes.io/metadata.name": "shop"}}}));
    }

    #[test]
    fn some_kinds_are_never_tried() {
        let refused = |group, kind, server| DryRunCreate::of(&resource(group, kind, server), &declared(kind, "a", "x")).err();
        assert_eq!(refused("metrics.example.com", "Metric", Server::Aggregated), Some(NoDryRun::Aggregated));
        assert_eq!(refused("rbac.authorization.k8s.io", "Role", Server::Local), Some(NoDryRun::Rbac));
        assert_eq!(refused("apiregistration.k8s.io", "APIService", Server::Local), Some(NoDryRun::FixedName));
        assert_eq!(refused("apiextensions.k8s.io", "CustomResourceDefinition", Server::Local), Some(NoDryRun::FixedName));
        assert_eq!(refused("apps", "Deployment", Server::Local), None);
    }

    #[test]
    fn answers_live_for_a_day_on_disk_and_off() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("cache/baselines.json");
        let at: Timestamp = "2026-11-21T02:00:00Z".parse().expect("a time");
        let words = Words("w".into());
        let mut baselines = Baselines::load(&file);
        baselines.put(words.clone(), json!({"a": 1}), at);
        baselines.save(at).expect("saved");
        let loaded = Baselines::load(&file);
        let hours = |hours: i64| at + jiff::SignedDuration::from_hours(hours);
        assert_eq!(loaded.get(&words, hours(23)), Some(&json!({"a": 1})));
        assert_eq!(loaded.get(&words, hours(24)), None);
        assert_eq!(loaded.get(&words, hours(-1)), None);
        loaded.save(hours(25)).expect("saved");
        assert_eq!(Baselines::load(&file).get(&words, at), None);
        std::fs::write(&file, "{").expect("written");
        assert_eq!(Baselines::load(&file).get(&words, at), None);
    }
}
