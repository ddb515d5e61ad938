//! What people are told to do where trueup does nothing by itself.

use crate::facts::Origin;
use crate::finding::{Finding, ObjectChange, Subject};
use crate::patch::Unpatchable;

/// Why a repair cannot be made; where only recreating helps, how a person does that and what it costs.
pub(super) fn in_full(error: &Unpatchable, finding: &Finding) -> String {
    let (Unpatchable::Immutable(_), Subject::Object(id)) = (error, &finding.difference.subject) else { return error.to_string() };
    let file = &finding.difference.origin.file;
    format!(
        "{error}. trueup recreates nothing: `kubectl replace --force -f {file}` would, and then {}",
        cost_of_recreating(&id.kind)
    )
}

/// What stops or is lost while an object is deleted and made anew.
fn cost_of_recreating(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" | "Pod" => "all its pods end and are started anew",
        "Service" => "its cluster address changes and its connections break",
        "PersistentVolumeClaim" => "the data of its volume may be deleted with it",
        "CustomResourceDefinition" => "all its custom resources are deleted with it",
        "RoleBinding" | "ClusterRoleBinding" => "its subjects are without these rights until it is there again",
        "StorageClass" | "VolumeAttributesClass" => {
            "claims that name it wait until it is there again; volumes that it made stay as they are"
        }
        "PriorityClass" | "RuntimeClass" | "IngressClass" => "what names it is refused or unserved until it is there again",
        "ConfigMap" | "Secret" => {
            "pods that start meanwhile wait for it, and running ones keep its old values until they restart"
        }
        _ => "it is gone until it is there again",
    }
}

/// What a person can do about a whole object.
pub(super) fn of_object(change: ObjectChange, subject: &Subject, origin: &Origin) -> String {
    match (change, subject) {
        (ObjectChange::Extra, Subject::Object(id)) => {
            let namespace = id.namespace.as_ref().map_or_else(String::new, |namespace| format!(" -n {namespace}"));
            let (kind, name) = (&id.kind, &id.name);
            format!("trueup deletes nothing: `kubectl delete {kind}{namespace} {name}`, or put it back into Git")
        }
        (ObjectChange::Extra | ObjectChange::Missing, _) => {
            format!("trueup creates and deletes nothing: {}", origin.how_to_apply())
        }
    }
}

/// That somebody keeps writing a value back. Where that stands under our own name, it came in with our own writes.
pub(super) fn fight(writes: u32, manager: Option<&str>, time: Option<&str>) -> String {
    let (opponent, time) = (manager.unwrap_or("something unknown"), time.unwrap_or("unknown"));
    let how = if opponent == "trueup" {
        "and admission (a mutating webhook or policy) made another value of each write; `trueup explain` names those that may, last"
            .to_owned()
    } else {
        format!("and written back each time, last by {opponent}")
    };
    format!("written {writes} times within the window {how} at {time}: left to people")
}
