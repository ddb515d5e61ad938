//! Objects without what is not compared: status, the server's own metadata, kubectl's copy of the manifest.

use std::ops::Deref;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use trueup_core::facts::{Desired, Live, Tracking};
use trueup_core::object::ObjectId;
use trueup_core::path::Path;
use trueup_core::shared::Shared;

use crate::owners::owners;

/// Metadata that only the server writes.
const SERVER_METADATA: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// `kubectl apply`'s copy of the manifest, secret values and all.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What is never compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uncompared {
    /// What controllers report: Git's words on it count for nothing.
    Status,
    /// Metadata that only the server writes.
    ServerMetadata,
    /// `kubectl apply`'s own copy of the manifest.
    LastApplied,
}

/// Why the values at a path are never compared; `None` where they are.
#[must_use]
pub fn uncompared(path: &Path) -> Option<Uncompared> {
    let is_server_metadata = || SERVER_METADATA.iter().any(|key| Path::of_keys(&["metadata", key]).covers(path));
    if Path::of_keys(&["status"]).covers(path) {
        Some(Uncompared::Status)
    } else if Path::of_keys(&["metadata", "annotations", LAST_APPLIED]).covers(path) {
        Some(Uncompared::LastApplied)
    } else {
        is_server_metadata().then_some(Uncompared::ServerMetadata)
    }
}

/// An object as the server or a snapshot gave it, taken apart: what is compared, and what is known about it beside that.
#[must_use]
pub fn live(id: ObjectId, mut value: Value) -> Live {
    let metadata = value.get("metadata");
    let text = |key: &str| metadata.and_then(|metadata| metadata.get(key)).and_then(Value::as_str).map(str::to_owned);
    let (uid, resource_version) = (text("uid"), text("resourceVersion"));
    let deleting_since = text("deletionTimestamp");
    let created = text("creationTimestamp");
    let managed = metadata.and_then(|metadata| metadata.get("managedFields"));
    let tracking = if managed.is_some() { Tracking::Shown } else { Tracking::NotShown };
    let owners = managed.map(owners).unwrap_or_default();
    // Items of a list come without them.
    if let Some(object) = value.as_object_mut() {
        object.insert("apiVersion".to_owned(), id.api_version.clone().into());
        object.insert("kind".to_owned(), id.kind.clone().into());
    }
    let last_applied = strip(&mut value);
    Live { id, value, owners, uid, resource_version, deleting_since, created, tracking, last_applied }
}

/// What Git declares, in the form in which the server keeps it: a Secret's `stringData` as `data`. Positions follow.
#[must_use]
pub fn desired(mut desired: Desired) -> Desired {
    if let Some(object) = desired.value.as_object_mut() {
        object.remove("status");
    }
    if desired.id.kind == "ConfigMap" && desired.id.group().is_empty() {
        join_base64(desired.value.get_mut("binaryData"));
    }
    if desired.id.is_secret() {
        join_base64(desired.value.get_mut("data"));
        encode_string_data(&mut desired.value);
        let moved = desired.positions.iter().filter_map(|(pointer, position)| {
            let below = pointer.strip_prefix("/stringData")?;
            Some((format!("/data{below}"), position))
        });
        let all = desired.positions.iter().map(|(pointer, position)| (pointer.to_owned(), position));
        desired.positions = all.chain(moved).collect();
    }
    desired
}

/// As [`desired`]; where it changes nothing, the very same.
#[must_use]
pub fn shared(given: Shared<Desired>) -> Shared<Desired> {
    let may_change = given.value.get("status").is_some() || given.value.get("binaryData").is_some() || given.id.is_secret();
    if may_change { desired(given.deref().clone()).into() } else { given }
}

/// What is expected of an object, with nothing in it that is not compared; in its namespace, where it has one.
#[must_use]
pub fn expected(id: &ObjectId, mut value: Value) -> Value {
    strip(&mut value);
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        match &id.namespace {
            Some(namespace) => metadata.insert("namespace".to_owned(), namespace.clone().into()),
            None => metadata.remove("namespace"),
        };
    }
    value
}

/// Takes away what is not compared; gives kubectl's copy of the manifest, if there is one.
fn strip(value: &mut Value) -> Option<String> {
    let object = value.as_object_mut()?;
    object.remove("status");
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut)?;
    for key in SERVER_METADATA {
        metadata.remove(key);
    }
    let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut)?;
    let last_applied = annotations.remove(LAST_APPLIED);
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    match last_applied {
        Some(Value::String(text)) => Some(text),
        Some(_) | None => None,
    }
}

/// The API server reads base64 in several lines, and writes it in one.
fn join_base64(data: Option<&mut Value>) {
    for value in data.and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut) {
        if let Value::String(text) = value {
            text.retain(|letter| !matches!(letter, '\n' | '\r'));
        }
    }
}

/// As the API server does on every write of a Secret: `stringData` wins over `data`.
fn encode_string_data(secret: &mut Value) {
    let Some(object) = secret.as_object_mut() else { return };
    let Some(Value::Object(texts)) = object.remove("stringData") else { return };
    let data = object.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if data.is_null() {
        *data = Value::Object(Map::new());
    }
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        // A value that is no text is refused by the server; it stays, so that it is seen as it is.
        let encoded = text.as_str().map_or(text.clone(), |text| STANDARD.encode(text).into());
        data.insert(key, encoded);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_core::facts::Origin;
    use trueup_core::positions::Position;

    fn id(kind: &str, namespace: Option<&str>) -> ObjectId {
        ObjectId { api_version: "v1".into(), kind: kind.into(), namespace: namespace.map(str::to_owned), name: "a".into() }
    }

    #[test]
    fn live_keeps_what_is_compared() {
        let live = live(
            id("ConfigMap", Some("n")),
            json!({"metadata": {"name": "a", "namespace": "n", "uid": "u", "resourceVersion": "7", "generation": 2,
                "creationTimestamp": "2026-11-21T02:31:40Z", "deletionTimestamp": "2026-11-21T02:32:00Z", "selfLink": "x",
                "deletionGracePeriodSeconds": 0, "managedFields": [], "annotations": {LAST_APPLIED: "{}"}, "labels": {"x": "y"}},
                "data": {"k": "v"}, "status": {"phase": "x"}}),
        );
        assert_eq!(
            live.value,
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n", "labels": {"x": "y"}},
                "data": {"k": "v"}})
        );
        assert_eq!((live.uid.as_deref(), live.resource_version.as_deref()), (Some("u"), Some("7")));
        assert_eq!(live.deleting_since.as_deref(), Some("2026-11-21T02:32:00Z"));
    }

    #[test]
    fn what_is_taken_out_is_what_is_called_uncompared() {
        let whole = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"k": "v"}, "status": {"phase": {"x": 1}}, "metadata":
            {"name": "a", "uid": "u", "resourceVersion": "7", "generation": 2, "creationTimestamp": "t", "managedFields": [],
            "deletionTimestamp": "t", "selfLink": "x", "deletionGracePeriodSeconds": 0, "finalizers": ["f"], "ownerReferences": [],
            "annotations": {LAST_APPLIED: "{", "note": "n"}, "labels": {"x": "y"}}});
        let kept = live(id("ConfigMap", None), whole.clone()).value;
        let leaves = |value: &Value, at: &str| -> Vec<String> {
            let keys = value.pointer(at).and_then(Value::as_object).into_iter().flat_map(Map::keys);
            keys.map(|key| format!("{at}/{}", key.replace('/', "~1"))).collect()
        };
        for at in ["", "/metadata", "/metadata/annotations"] {
            for pointer in leaves(&whole, at) {
                let keys: Vec<String> = pointer.split('/').skip(1).map(|key| key.replace("~1", "/")).collect();
                let path = Path::of_keys(&keys.iter().map(String::as_str).collect::<Vec<_>>());
                assert_eq!(uncompared(&path).is_none(), kept.pointer(&pointer).is_some(), "{path}");
            }
        }
    }

    #[test]
    fn string_data_wins_and_keeps_its_place() {
        let position = Position { line: 6, column: 6, start: 40, end: 45 };
        let secret = desired(Desired {
            id: id("Secret", Some("n")),
            value: json!({"stringData": {"a": "new", "n": 1}, "data": {"a": "b2xk", "b": "Yg=="}, "status": {}}),
            origin: Origin { file: "s.yaml".into(), line: 1, column: 1, document: 1 },
            positions: [("/stringData/a".to_owned(), position)].into_iter().collect(),
        });
        assert_eq!(secret.value, json!({"data": {"a": "bmV3", "b": "Yg==", "n": 1}}));
        assert_eq!(secret.positions.get("/data/a"), Some(position));
    }

    #[test]
    fn expected_stands_in_its_namespace_or_in_none() {
        let declared = json!({"metadata": {"name": "a", "namespace": "x", "creationTimestamp": null}});
        assert_eq!(expected(&id("ConfigMap", Some("n")), declared.clone()), json!({"metadata": {"name": "a", "namespace": "n"}}));
        assert_eq!(expected(&id("Namespace", None), declared), json!({"metadata": {"name": "a"}}));
    }
}
