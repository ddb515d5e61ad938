//! What pods say: of themselves, and of the workload that they belong to.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_core::health::Health;

use super::{Told, number, text, whether};
use crate::request::escaped;

/// Why a container waits that does not start by waiting longer (`pkg/kubelet/images`, `pkg/kubelet/kuberuntime`).
const BROKEN: [&str; 9] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "ImageInspectError",
];

/// The label selector, as a query's value, that finds the pods of a workload; none where the object has none, or an empty
/// one, which would find those of everybody.
#[must_use]
pub fn selector(object: &Value) -> Option<String> {
    let mut terms = Vec::new();
    let is_controller = text(object, "/kind") == Some("ReplicationController");
    let labels = if is_controller { "/spec/selector" } else { "/spec/selector/matchLabels" };
    for (key, value) in object.pointer(labels).and_then(Value::as_object).into_iter().flatten() {
        terms.push(format!("{key}={}", value.as_str()?));
    }
    for expression in object.pointer("/spec/selector/matchExpressions").and_then(Value::as_array).into_iter().flatten() {
        let key = expression["key"].as_str()?;
        let values: Vec<&str> = expression["values"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        terms.push(match expression["operator"].as_str()? {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return None,
        });
    }
    (!terms.is_empty()).then(|| escaped(&terms.join(",")))
}

/// How often the containers of each pod have been restarted, by the pod's uid; pods without a restart are left out.
#[must_use]
pub fn restarts(pods: &[Value]) -> BTreeMap<String, u32> {
    let of_pod = |pod: &Value| {
        let count: i64 = containers(pod).map(|container| number(container, "/restartCount")).sum();
        Some((text(pod, "/metadata/uid")?.to_owned(), u32::try_from(count).ok().filter(|count| *count > 0)?))
    };
    pods.iter().filter(|pod| is_working(pod)).filter_map(of_pod).collect()
}

/// Why a pod does not do its work, where waiting does not help.
pub(super) fn broken(pod: &Value) -> Option<String> {
    let name = text(pod, "/metadata/name").unwrap_or_default();
    containers(pod).filter(|_| is_working(pod)).find_map(|container| {
        let reason = text(container, "/state/waiting/reason").filter(|reason| BROKEN.contains(reason))?;
        let words = text(container, "/state/waiting/message")
            .map_or_else(String::new, |message| format!(" ({})", message.chars().take(200).collect::<String>()));
        Some(format!("{reason} in container {} of pod {name}{words}", text(container, "/name").unwrap_or_default()))
    })
}

/// A pod for itself.
pub(super) fn pod(object: &Value) -> Health {
    if let Some(broken) = broken(object) {
        return Health::Unhealthy(broken);
    }
    match text(object, "/status/phase") {
        Some("Succeeded") => Health::Healthy,
        Some("Failed") => {
            let reason = text(object, "/status/reason").map_or_else(String::new, |reason| format!(" ({reason})"));
            Health::Unhealthy(format!("it has failed{reason}"))
        }
        Some(_) | None => match whether(object, "Ready") {
            Some(told) if told.is_true() => Health::Healthy,
            Some(told) => Health::Progressing(told.words("it is not ready")),
            None => match whether(object, "PodScheduled").filter(Told::is_false) {
                Some(told) => Health::Progressing(told.words("it is not scheduled")),
                None => Health::Progressing("it is not ready".to_owned()),
            },
        },
    }
}

/// What has ended, and what is being deleted, says nothing of the workload any more.
fn is_working(pod: &Value) -> bool {
    text(pod, "/metadata/deletionTimestamp").is_none() && !matches!(text(pod, "/status/phase"), Some("Failed" | "Succeeded"))
}

fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    ["/status/initContainerStatuses", "/status/containerStatuses"]
        .into_iter()
        .flat_map(move |key| pod.pointer(key).and_then(Value::as_array).into_iter().flatten())
}
