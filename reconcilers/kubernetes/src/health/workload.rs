//! Whether a workload is rolled out: by the same numbers as `kubectl rollout status`
//! (`k8s.io/kubectl/pkg/polymorphichelpers/rollout_status.go`).

use serde_json::Value;
use trueup_core::health::Health;

use super::{Told, number, text, whether};

pub(super) fn deployment(object: &Value) -> Health {
    if let Some(waiting) = behind(object) {
        return waiting;
    }
    if let Some(told) = whether(object, "Progressing").filter(|told| told.reason == "ProgressDeadlineExceeded") {
        return Health::Unhealthy(told.words("its rollout exceeded its progress deadline"));
    }
    if let Some(told) = whether(object, "ReplicaFailure").filter(Told::is_true) {
        return Health::Unhealthy(told.words("its pods cannot be made"));
    }
    let status = |name: &str| number(object, &format!("/status/{name}"));
    let (updated, wanted) = (status("updatedReplicas"), replicas(object));
    if updated < wanted {
        return Health::Progressing(format!("{updated} of {wanted} new replicas have been updated"));
    }
    if status("replicas") > updated {
        return Health::Progressing(format!("{} old replicas are pending termination", status("replicas") - updated));
    }
    enough(status("availableReplicas"), updated, "updated replicas are available")
}

pub(super) fn daemon_set(object: &Value) -> Health {
    if let Some(waiting) = behind(object) {
        return waiting;
    }
    let status = |name: &str| number(object, &format!("/status/{name}"));
    let wanted = status("desiredNumberScheduled");
    // With OnDelete, old pods stay until somebody deletes them: that is no rollout.
    let updated = if is_rolling(object) { status("updatedNumberScheduled") } else { wanted };
    if updated < wanted {
        return Health::Progressing(format!("{updated} of {wanted} new pods have been updated"));
    }
    enough(status("numberAvailable"), wanted, "updated pods are available")
}

pub(super) fn stateful_set(object: &Value) -> Health {
    if number(object, "/status/observedGeneration") == 0 {
        return Health::Progressing("its controller has not seen it yet".to_owned());
    }
    if let Some(waiting) = behind(object) {
        return waiting;
    }
    let status = |name: &str| number(object, &format!("/status/{name}"));
    let ready = enough(status("readyReplicas"), replicas(object), "pods are ready");
    if ready != Health::Healthy || !is_rolling(object) {
        return ready;
    }
    if object.pointer("/spec/updateStrategy/rollingUpdate").is_some() {
        let wanted = replicas(object) - number(object, "/spec/updateStrategy/rollingUpdate/partition");
        let partitioned = object.pointer("/spec/updateStrategy/rollingUpdate/partition").is_some();
        return if partitioned { enough(status("updatedReplicas"), wanted, "new pods have been updated") } else { ready };
    }
    if text(object, "/status/updateRevision") != text(object, "/status/currentRevision") {
        return Health::Progressing(format!("{} pods are at the new revision", status("updatedReplicas")));
    }
    Health::Healthy
}

pub(super) fn replica_set(object: &Value) -> Health {
    if let Some(waiting) = behind(object) {
        return waiting;
    }
    if let Some(told) = whether(object, "ReplicaFailure").filter(Told::is_true) {
        return Health::Unhealthy(told.words("its pods cannot be made"));
    }
    enough(number(object, "/status/availableReplicas"), replicas(object), "replicas are available")
}

/// The status of a workload says in any case of what generation it is: none is that of generation 0.
fn behind(object: &Value) -> Option<Health> {
    let (generation, observed) = (number(object, "/metadata/generation"), number(object, "/status/observedGeneration"));
    (observed < generation).then(|| Health::Progressing(format!("its controller has seen generation {observed} of {generation}")))
}

fn enough(there: i64, wanted: i64, what: &str) -> Health {
    if there < wanted { Health::Progressing(format!("{there} of {wanted} {what}")) } else { Health::Healthy }
}

/// How many replicas are wanted; none named is one.
fn replicas(object: &Value) -> i64 {
    object.pointer("/spec/replicas").and_then(Value::as_i64).unwrap_or(1)
}

fn is_rolling(object: &Value) -> bool {
    text(object, "/spec/updateStrategy/type") != Some("OnDelete")
}
