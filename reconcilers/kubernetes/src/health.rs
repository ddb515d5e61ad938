//! How well an object does: read from its status, and for workloads from their pods.
//!
//! Deployments, `DaemonSet`s and `StatefulSet`s are healthy exactly when `kubectl rollout status` calls them rolled out. All
//! other kinds by their conditions as kubectl's `wait` reads them. A status that its controller wrote for an earlier generation tells nothing.

mod pods;
mod workload;

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use trueup_core::health::{Health, Vitals};
use trueup_core::object::ObjectId;

use crate::cluster::Cluster;
use crate::discovery::{Catalog, Lookup};
use crate::patch::read_whole;
use crate::request::{Call, RequestError, ask, escaped};

pub use pods::{restarts, selector};

/// How many pods of a workload are looked at; of more, restarts cannot be compared and are not counted.
const PODS: usize = 500;

/// Kinds whose pods tell about them, by group and kind.
const WORKLOADS: [(&str, &str); 6] = [
    ("apps", "Deployment"),
    ("apps", "DaemonSet"),
    ("apps", "StatefulSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("", "ReplicationController"),
];

/// How well an object on a cluster does now. What cannot be read is unknown.
pub async fn vitals(cluster: &Cluster, catalog: &Catalog, id: &ObjectId) -> Vitals {
    let unknown = |why: String| Vitals { object: id.clone(), health: Health::Unknown(why), restarts: BTreeMap::new() };
    let Lookup::Served(resource) = catalog.find(id) else { return unknown("its kind is not served".to_owned()) };
    let object = match read_whole(cluster, resource, id).await {
        Ok(Some(object)) => object,
        Ok(None) => return unknown("there is no such object".to_owned()),
        Err(error) => return unknown(error.to_string()),
    };
    let (pods, seen) = match (WORKLOADS.contains(&(id.group(), id.kind.as_str())), selector(&object), &id.namespace) {
        (true, Some(selector), Some(namespace)) => match pods_of(cluster, namespace, &selector).await {
            Ok(pods) => pods,
            Err(error) => {
                // The workload's own status tells without its pods, only later.
                tracing::debug!(%error, object = %id, "its pods cannot be read");
                (Vec::new(), Seen::InPart)
            }
        },
        _ => (if id.kind == "Pod" { vec![object.clone()] } else { Vec::new() }, Seen::Whole),
    };
    let restarts = match seen {
        Seen::Whole => restarts(&pods),
        Seen::InPart => BTreeMap::new(),
    };
    Vitals { object: id.clone(), health: of(&object, &pods), restarts }
}

/// Whether all pods of a workload were read.
enum Seen {
    Whole,
    InPart,
}

async fn pods_of(cluster: &Cluster, namespace: &str, selector: &str) -> Result<(Vec<Value>, Seen), RequestError> {
    #[derive(Deserialize)]
    struct Pods {
        #[serde(default)]
        metadata: Metadata,
        items: Option<Vec<Value>>,
    }
    #[derive(Deserialize, Default)]
    struct Metadata {
        #[serde(default)]
        r#continue: String,
    }
    let path = format!("/api/v1/namespaces/{}/pods?labelSelector={selector}&limit={PODS}", escaped(namespace));
    let pods: Pods = ask(cluster, Call::Get { path: &path }).await?;
    let seen = if pods.metadata.r#continue.is_empty() { Seen::Whole } else { Seen::InPart };
    Ok((pods.items.unwrap_or_default(), seen))
}

/// How well an object does. `pods` are those of a workload that could be read; what they say counts only where it is worse
/// than what the workload's own status says.
#[must_use]
pub fn of(object: &Value, pods: &[Value]) -> Health {
    if let Some(since) = text(object, "/metadata/deletionTimestamp") {
        return Health::Progressing(format!("it is being deleted since {since}"));
    }
    let by_status = by_status(object);
    match (&by_status, pods.iter().find_map(pods::broken)) {
        (Health::Healthy | Health::Progressing(_) | Health::Unknown(_), Some(broken)) => Health::Unhealthy(broken),
        (Health::Unhealthy(_), _) | (_, None) => by_status,
    }
}

fn by_status(object: &Value) -> Health {
    let group = text(object, "/apiVersion").and_then(|version| version.split_once('/')).map_or("", |(group, _)| group);
    match (group, text(object, "/kind").unwrap_or_default()) {
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "ReplicaSet") | ("", "ReplicationController") => workload::replica_set(object),
        ("batch", "Job") => job(object),
        ("", "Pod") => pods::pod(object),
        ("", "PersistentVolumeClaim") => claim(object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => definition(object),
        ("apiregistration.k8s.io", "APIService") => of_condition(object, "Available"),
        _ => by_conditions(object),
    }
}

fn job(object: &Value) -> Health {
    if let Some(why) = whether(object, "Failed").filter(Told::is_true) {
        return Health::Unhealthy(why.words("it has failed"));
    }
    if whether(object, "Complete").is_some_and(|told| told.is_true()) {
        return Health::Healthy;
    }
    match whether(object, "Suspended").filter(Told::is_true) {
        Some(told) => Health::Progressing(told.words("it is suspended")),
        None => Health::Progressing("it has not completed yet".to_owned()),
    }
}

fn claim(object: &Value) -> Health {
    match text(object, "/status/phase") {
        Some("Bound") => Health::Healthy,
        Some("Lost") => Health::Unhealthy("its volume is lost".to_owned()),
        Some(_) | None => Health::Progressing("it is not bound to a volume yet".to_owned()),
    }
}

fn definition(object: &Value) -> Health {
    if let Some(told) = whether(object, "NamesAccepted").filter(Told::is_false) {
        return Health::Unhealthy(told.words("its names are not accepted"));
    }
    match whether(object, "Established") {
        Some(told) if told.is_true() => Health::Healthy,
        Some(_) | None => Health::Progressing("it is not established yet".to_owned()),
    }
}

/// By one condition that says whether the object works.
fn of_condition(object: &Value, name: &str) -> Health {
    match whether(object, name) {
        Some(told) if told.is_true() => Health::Healthy,
        Some(told) if told.is_false() => Health::Unhealthy(told.words(&format!("its condition {name} is False"))),
        Some(told) => Health::Progressing(told.words(&format!("its condition {name} is not known"))),
        None => Health::Progressing(format!("it has no condition {name} yet")),
    }
}

/// By the conditions that most custom resources have: `Stalled` and `Reconciling` (kstatus), `Ready`, `Available`.
fn by_conditions(object: &Value) -> Health {
    if let Some(waiting) = unobserved(object) {
        return waiting;
    }
    if let Some(told) = whether(object, "Stalled").filter(Told::is_true) {
        return Health::Unhealthy(told.words("it is stalled"));
    }
    let on_its_way =
        ["Reconciling", "Progressing", "Issuing"].iter().find_map(|name| whether(object, name).filter(Told::is_true));
    match ["Ready", "Available"].iter().find(|name| whether(object, name).is_some()) {
        Some(name) => match (of_condition(object, name), on_its_way) {
            (Health::Healthy, _) => Health::Healthy,
            (_, Some(told)) => Health::Progressing(told.words("it is being reconciled")),
            (health, None) => health,
        },
        None => match on_its_way {
            Some(told) => Health::Progressing(told.words("it is being reconciled")),
            None => Health::Unknown("its status has no condition that tells".to_owned()),
        },
    }
}

/// That the status is older than what is asked for, where it says of what generation it is.
fn unobserved(object: &Value) -> Option<Health> {
    let generation = number(object, "/metadata/generation");
    let observed = object.pointer("/status/observedGeneration")?.as_i64()?;
    (observed < generation).then(|| Health::Progressing(format!("its controller has seen generation {observed} of {generation}")))
}

/// One condition, if it is about the object as it is now.
struct Told<'a> {
    status: &'a str,
    reason: &'a str,
    message: &'a str,
}

impl Told<'_> {
    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// What it says, behind what it means.
    fn words(&self, meaning: &str) -> String {
        match (self.reason, self.message) {
            ("", "") => meaning.to_owned(),
            ("", words) | (words, "") => format!("{meaning} ({words})"),
            (reason, message) => format!("{meaning} ({reason}: {})", message.chars().take(200).collect::<String>()),
        }
    }
}

/// What a condition says; none where there is no such condition, or it was written for an earlier generation.
fn whether<'a>(object: &'a Value, name: &str) -> Option<Told<'a>> {
    let conditions = object.pointer("/status/conditions")?.as_array()?;
    let condition = conditions.iter().find(|condition| condition["type"] == name)?;
    let is_old =
        condition["observedGeneration"].as_i64().is_some_and(|observed| observed < number(object, "/metadata/generation"));
    let part = |key: &str| condition[key].as_str().unwrap_or_default();
    (!is_old).then(|| Told { status: part("status"), reason: part("reason"), message: part("message") })
}

fn text<'a>(object: &'a Value, pointer: &str) -> Option<&'a str> {
    object.pointer(pointer)?.as_str()
}

/// A number of the object; 0 where it has none, as Go reads it.
fn number(object: &Value, pointer: &str) -> i64 {
    object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default()
}

#[cfg(test)]
mod tests;
