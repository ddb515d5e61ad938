//! Replicas that a `HorizontalPodAutoscaler` owns.

use serde_json::Value;
use trueup_core::facts::{Allowance, Extent, Live, Matched, Rule, Tracking};
use trueup_core::object::ObjectId;
use trueup_core::path::Path;

/// What an autoscaler says of itself, in Git or live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Autoscaler {
    name: String,
    namespace: Option<String>,
    group: Option<String>,
    kind: String,
    target: String,
    min: i64,
    max: i64,
}

impl Autoscaler {
    /// Whether an object is an autoscaler.
    #[must_use]
    pub fn is_one(id: &ObjectId) -> bool {
        id.group() == "autoscaling" && id.kind == "HorizontalPodAutoscaler"
    }

    /// Reads an autoscaler of any version; `None` if it names no target or no upper bound.
    #[must_use]
    pub fn read(id: &ObjectId, value: &Value) -> Option<Self> {
        let spec = value.get("spec")?;
        let text = |key: &str| spec.pointer(&format!("/scaleTargetRef/{key}")).and_then(Value::as_str).map(str::to_owned);
        let group = |version: String| version.split_once('/').map_or(String::new(), |(group, _)| group.to_owned());
        Some(Self {
            name: id.name.clone(),
            namespace: id.namespace.clone(),
            group: text("apiVersion").map(group),
            kind: text("kind")?,
            target: text("name")?,
            min: spec.get("minReplicas").and_then(Value::as_i64).unwrap_or(1),
            max: spec.get("maxReplicas").and_then(Value::as_i64)?,
        })
    }

    fn scales(&self, id: &ObjectId) -> bool {
        self.namespace == id.namespace
            && self.kind == id.kind
            && self.target == id.name
            && self.group.as_deref().is_none_or(|group| group == id.group())
    }
}

/// The path of the number that autoscalers set: `spec.replicas`.
#[must_use]
pub fn replicas() -> Path {
    Path::of_keys(&["spec", "replicas"])
}

/// Whether the live replicas are others than expected.
#[must_use]
pub fn is_scaled(matched: &Matched) -> bool {
    let path = replicas();
    path.find(&matched.live.value) != path.find(&matched.expected.value)
}

/// The live replicas may differ when an autoscaler keeps this object, they are within its range, and nobody else wrote
/// them last. The first autoscaler that names the object counts: give those that Git declares first.
#[must_use]
pub fn allowance(live: &Live, autoscalers: &[Autoscaler]) -> Option<Allowance> {
    let path = replicas();
    let count = path.find(&live.value)?.as_i64()?;
    let autoscaler = autoscalers.iter().find(|autoscaler| autoscaler.scales(&live.id))?;
    if !(autoscaler.min..=autoscaler.max).contains(&count) || !is_written_by_autoscaler(live) {
        return None;
    }
    let Autoscaler { name, min, max, .. } = autoscaler;
    let reason = format!("HorizontalPodAutoscaler {name} keeps it between {min} and {max}");
    Some(Allowance { path, extent: Extent::Declared, rule: Rule::Autoscaler, reason })
}

/// Whether the autoscaler's controller wrote the replicas last: it goes through `scale`. Where managers were not saved, nobody
/// can tell and it may have; where they were stripped, nothing is excused.
#[must_use]
pub fn is_written_by_autoscaler(live: &Live) -> bool {
    live.writer_of(&replicas()).map_or(live.tracking == Tracking::NotShown, |owner| {
        let is_controller = ["kube-controller-manager", "horizontal-pod-autoscaler"].contains(&owner.manager.as_str());
        is_controller && owner.subresource.as_deref() == Some("scale")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal;
    use serde_json::json;

    fn id(api_version: &str, kind: &str, namespace: &str) -> ObjectId {
        ObjectId { api_version: api_version.into(), kind: kind.into(), namespace: Some(namespace.into()), name: "web".into() }
    }

    fn autoscaler(version: &str, target: &Value, namespace: &str) -> Vec<Autoscaler> {
        let value = json!({"spec": {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 5}});
        Autoscaler::read(&id(version, "HorizontalPodAutoscaler", namespace), &value).into_iter().collect()
    }

    fn deployment(replicas: i64, manager: &str, subresource: &str) -> Live {
        normal::live(
            id("apps/v1", "Deployment", "shop"),
            json!({"spec": {"replicas": replicas}, "metadata": {"managedFields": [{"manager": manager, "operation": "Update",
                "subresource": subresource, "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]}}),
        )
    }

    #[test]
    fn within_the_range_and_through_scale() {
        let target = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"});
        for version in ["autoscaling/v1", "autoscaling/v2"] {
            let autoscalers = autoscaler(version, &target, "shop");
            for (count, manager, subresource, expected) in [
                (2, "kube-controller-manager", "scale", true),
                (5, "kube-controller-manager", "scale", true),
                (1, "kube-controller-manager", "scale", false),
                (6, "kube-controller-manager", "scale", false),
                (3, "kubectl", "scale", false),
                (3, "kube-controller-manager", "", false),
            ] {
                let found = allowance(&deployment(count, manager, subresource), &autoscalers);
                assert_eq!(found.is_some(), expected, "{count} {manager} {subresource}");
            }
        }
        let unknown = normal::live(id("apps/v1", "Deployment", "shop"), json!({"spec": {"replicas": 4}}));
        let reason = allowance(&unknown, &autoscaler("autoscaling/v2", &target, "shop")).map(|allowance| allowance.reason);
        assert_eq!(reason.as_deref(), Some("HorizontalPodAutoscaler web keeps it between 2 and 5"));
        let stripped = Live { tracking: Tracking::Shown, ..unknown };
        assert_eq!(allowance(&stripped, &autoscaler("autoscaling/v2", &target, "shop")), None);
    }

    #[test]
    fn only_its_own_target() {
        let live = deployment(3, "kube-controller-manager", "scale");
        let allowed =
            |target: Value, namespace: &str| allowance(&live, &autoscaler("autoscaling/v2", &target, namespace)).is_some();
        assert!(allowed(json!({"kind": "Deployment", "name": "web"}), "shop"));
        assert!(!allowed(json!({"kind": "Deployment", "name": "web"}), "other"));
        assert!(!allowed(json!({"kind": "StatefulSet", "name": "web"}), "shop"));
        assert!(!allowed(json!({"kind": "Deployment", "name": "api"}), "shop"));
        assert!(!allowed(json!({"apiVersion": "example.com/v1", "kind": "Deployment", "name": "web"}), "shop"));
    }
}
