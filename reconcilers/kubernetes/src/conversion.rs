//! Objects in another served version, as the API server converts them, for where there is no server to ask.
//!
//! Of the built-in kinds only the `HorizontalPodAutoscaler` is served in two versions that people use, `autoscaling/v1` and
//! `autoscaling/v2` (`pkg/apis/autoscaling/v1/conversion.go`).

use serde_json::{Map, Value, json};
use trueup_core::object::ObjectId;

/// Where `autoscaling/v1` keeps what it has no fields for.
const BEYOND: [(&str, &str); 2] =
    [("metrics", "autoscaling.alpha.kubernetes.io/metrics"), ("behavior", "autoscaling.alpha.kubernetes.io/behavior")];

/// An object in the version of `wanted`; `None` where that conversion is not known here.
#[must_use]
pub fn converted(value: &Value, wanted: &ObjectId) -> Option<Value> {
    let from = value.get("apiVersion").and_then(Value::as_str)?;
    if wanted.kind != "HorizontalPodAutoscaler" {
        return None;
    }
    let mut converted = match (from, wanted.api_version.as_str()) {
        ("autoscaling/v2", "autoscaling/v1") => to_first(value)?,
        ("autoscaling/v1", "autoscaling/v2") => to_second(value)?,
        _ => return None,
    };
    converted["apiVersion"] = wanted.api_version.clone().into();
    Some(converted)
}

/// One metric of the CPU's utilization has a field; all else goes into annotations.
fn to_first(value: &Value) -> Option<Value> {
    let mut value = value.clone();
    let spec = value.get_mut("spec")?.as_object_mut()?;
    let metrics = spec.remove("metrics").and_then(|metrics| metrics.as_array().cloned()).unwrap_or_default();
    let (cpu, others): (Vec<Value>, Vec<Value>) = metrics.into_iter().partition(|metric| utilization(metric).is_some());
    if let Some(utilization) = cpu.first().and_then(utilization) {
        spec.insert("targetCPUUtilizationPercentage".to_owned(), utilization.clone());
    }
    let others = (!others.is_empty()).then_some(Value::Array(others));
    let beyond = [others, spec.remove("behavior")];
    for ((_, annotation), value_beyond) in BEYOND.iter().zip(beyond) {
        let Some(value_beyond) = value_beyond.filter(|value| !value.is_null()) else { continue };
        let metadata = value.get_mut("metadata")?.as_object_mut()?;
        let annotations = metadata.entry("annotations").or_insert_with(|| Value::Object(Map::new())).as_object_mut()?;
        annotations.insert((*annotation).to_owned(), value_beyond.to_string().into());
    }
    Some(value)
}

/// The target of a metric of the CPU's utilization.
fn utilization(metric: &Value) -> Option<&Value> {
    let is_cpu = metric.pointer("/resource/name").is_some_and(|name| name == "cpu");
    metric.pointer("/resource/target/averageUtilization").filter(|_| is_cpu)
}

/// `None` where annotations say more than the fields of `autoscaling/v1` can.
fn to_second(value: &Value) -> Option<Value> {
    let annotations = value.pointer("/metadata/annotations");
    if BEYOND.iter().any(|(_, annotation)| annotations.is_some_and(|annotations| annotations.get(*annotation).is_some())) {
        return None;
    }
    let mut value = value.clone();
    let spec = value.get_mut("spec")?.as_object_mut()?;
    if let Some(utilization) = spec.remove("targetCPUUtilizationPercentage").filter(|value| !value.is_null()) {
        let target = json!({"type": "Utilization", "averageUtilization": utilization});
        spec.insert("metrics".to_owned(), json!([{"type": "Resource", "resource": {"name": "cpu", "target": target}}]));
    }
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(version: &str) -> ObjectId {
        let (kind, name) = ("HorizontalPodAutoscaler".to_owned(), "a".to_owned());
        ObjectId { api_version: format!("autoscaling/{version}"), kind, namespace: None, name }
    }

    fn cpu() -> Value {
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}})
    }

    #[test]
    fn what_both_versions_can_say_goes_there_and_back() {
        let first = json!({"apiVersion": "autoscaling/v1", "metadata": {"name": "a"},
            "spec": {"maxReplicas": 3, "targetCPUUtilizationPercentage": 80}});
        let second =
            json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "metrics": [cpu()]}});
        assert_eq!(converted(&first, &id("v2")), Some(second.clone()));
        assert_eq!(converted(&second, &id("v1")), Some(first));
    }

    #[test]
    fn what_the_first_version_cannot_say_is_not_lost() {
        let metrics = json!([cpu(), {"type": "Pods"}]);
        let second = json!({"apiVersion": "autoscaling/v2", "metadata": {"name": "a"},
            "spec": {"metrics": metrics, "behavior": {"scaleUp": {}}}});
        let first = converted(&second, &id("v1")).expect("a conversion");
        assert_eq!(first["spec"], json!({"targetCPUUtilizationPercentage": 80}));
        let annotations = first["metadata"]["annotations"].as_object().expect("annotations");
        assert_eq!(annotations.values().collect::<Vec<_>>(), [r#"{"scaleUp":{}}"#, r#"[{"type":"Pods"}]"#]);
        assert_eq!(converted(&first, &id("v2")), None);
        let deployment = ObjectId { kind: "Deployment".into(), api_version: "apps/v2".into(), ..id("v1") };
        assert_eq!(converted(&json!({"apiVersion": "apps/v1"}), &deployment), None);
    }
}
