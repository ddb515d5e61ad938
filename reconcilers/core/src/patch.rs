//! The smallest merge patch (RFC 7386) that makes some paths of an object right and touches nothing else.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::facts::Live;
use crate::finding::Drift;
use crate::object::ObjectId;
use crate::path::{Path, Segment};
use crate::seen::Seen;

/// A patch and the patch that takes it back, both without preconditions.
#[derive(Debug, Clone, PartialEq)]
pub struct Repair {
    /// From live to right.
    pub patch: Value,
    /// From right back to live.
    pub inverse: Value,
}

/// Why a drift cannot be put right by a merge patch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unpatchable {
    /// The path belongs to the server, to controllers or to the object's identity.
    #[error("`{0}` is never written by trueup")]
    Forbidden(Path),
    /// The server lets nobody change it once the object is there.
    #[error("`{0}` is immutable: only recreating the object changes it")]
    Immutable(Path),
    /// The value is known by its mask only.
    #[error("the value of `{0}` is secret")]
    Masked(Path),
    /// Live has no such list entry any more, or a value of another type stands in the way.
    #[error("`{0}` cannot be reached in the live object")]
    Unreachable(Path),
    /// A merge patch cannot say this: it has no way to write `null` into an object.
    #[error("a merge patch cannot write a `null` at `{0}`")]
    Inexpressible(Path),
}

/// Subtrees that no patch of ours ever touches.
const FORBIDDEN: [&[&str]; 9] = [
    &["apiVersion"],
    &["kind"],
    &["status"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "finalizers"],
    &["metadata", "ownerReferences"],
    &["metadata", "managedFields"],
    &["metadata", "deletionTimestamp"],
];

/// Subtrees that the server lets nobody change, by group and kind.
const IMMUTABLE: [(&str, &str, &[&str]); 40] = [
    ("", "Service", &["spec", "clusterIP"]),
    ("", "Service", &["spec", "clusterIPs"]),
    ("", "PersistentVolumeClaim", &["spec", "storageClassName"]),
    ("", "PersistentVolumeClaim", &["spec", "selector"]),
    ("", "PersistentVolumeClaim", &["spec", "accessModes"]),
    ("", "PersistentVolumeClaim", &["spec", "volumeMode"]),
    ("", "PersistentVolumeClaim", &["spec", "dataSource"]),
    ("", "PersistentVolumeClaim", &["spec", "dataSourceRef"]),
    ("", "Pod", &["spec"]),
    ("", "Secret", &["type"]),
    ("apps", "Deployment", &["spec", "selector"]),
    ("apps", "DaemonSet", &["spec", "selector"]),
    ("apps", "StatefulSet", &["spec", "selector"]),
    ("apps", "ReplicaSet", &["spec", "selector"]),
    ("apps", "StatefulSet", &["spec", "serviceName"]),
    ("apps", "StatefulSet", &["spec", "podManagementPolicy"]),
    ("apps", "StatefulSet", &["spec", "volumeClaimTemplates"]),
    ("batch", "Job", &["spec", "template"]),
    ("batch", "Job", &["spec", "selector"]),
    ("batch", "Job", &["spec", "completions"]),
    ("batch", "Job", &["spec", "completionMode"]),
    ("batch", "Job", &["spec", "podFailurePolicy"]),
    ("batch", "Job", &["spec", "successPolicy"]),
    ("batch", "Job", &["spec", "backoffLimitPerIndex"]),
    ("batch", "Job", &["spec", "managedBy"]),
    ("apiextensions.k8s.io", "CustomResourceDefinition", &["spec", "group"]),
    ("apiextensions.k8s.io", "CustomResourceDefinition", &["spec", "scope"]),
    ("discovery.k8s.io", "EndpointSlice", &["addressType"]),
    ("networking.k8s.io", "IngressClass", &["spec", "controller"]),
    ("node.k8s.io", "RuntimeClass", &["handler"]),
    ("rbac.authorization.k8s.io", "RoleBinding", &["roleRef"]),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding", &["roleRef"]),
    ("scheduling.k8s.io", "PriorityClass", &["value"]),
    ("scheduling.k8s.io", "PriorityClass", &["preemptionPolicy"]),
    ("storage.k8s.io", "StorageClass", &["provisioner"]),
    ("storage.k8s.io", "StorageClass", &["parameters"]),
    ("storage.k8s.io", "StorageClass", &["reclaimPolicy"]),
    ("storage.k8s.io", "StorageClass", &["volumeBindingMode"]),
    ("storage.k8s.io", "VolumeAttributesClass", &["driverName"]),
    ("storage.k8s.io", "VolumeAttributesClass", &["parameters"]),
];

/// What one path is to become.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wanted {
    /// This value.
    Value(Value),
    /// No value.
    Nothing,
}

/// One path to put right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mend {
    /// Where.
    pub path: Path,
    /// What it is to become.
    pub wanted: Wanted,
}

impl Mend {
    /// What puts a drift right.
    ///
    /// # Errors
    /// When only a mask of the value is known.
    pub fn of(drift: &Drift) -> Result<Self, Unpatchable> {
        let wanted = match &drift.desired {
            Some(Seen::Plain(value)) => Wanted::Value(value.clone()),
            Some(Seen::Masked(_)) => return Err(Unpatchable::Masked(drift.path.clone())),
            None => Wanted::Nothing,
        };
        Ok(Self { path: drift.path.clone(), wanted })
    }
}

/// The patch that makes the paths of these drifts what they should be in `live`. A list on the way is sent whole, rebuilt
/// from `live` with only these paths changed, so that other owners' entries stay.
///
/// `expected` tells which emptied containers should be gone.
///
/// # Errors
/// The first drift that no merge patch of ours may or can put right.
pub fn repair(live: &Live, expected: &Value, drifts: &[&Drift]) -> Result<Repair, Unpatchable> {
    let mends = drifts.iter().map(|drift| {
        check_allowed(&live.id, &live.value, &drift.path)?;
        Mend::of(drift)
    });
    let mends: Vec<Mend> = mends.collect::<Result<_, _>>()?;
    mend(&live.id, &live.value, expected, &mends)
}

/// As [`repair`], of values alone. Both may be cut down to what [`around`] keeps of them. In whatever order the paths come,
/// the patch is the same: entries are put into a list in the order in which `expected` has them.
///
/// # Errors
/// As [`repair`].
pub fn mend(id: &ObjectId, live: &Value, expected: &Value, mends: &[Mend]) -> Result<Repair, Unpatchable> {
    let mut wanted = live.clone();
    let mut mends: Vec<&Mend> = mends.iter().collect();
    mends.sort_by_cached_key(|mend| (positions_in(expected, &mend.path), mend.path.clone()));
    for mend in mends {
        check_allowed(id, live, &mend.path)?;
        let value = match &mend.wanted {
            Wanted::Value(value) => Some(as_kept(value, mend.path.find(expected))),
            Wanted::Nothing => None,
        };
        if [value, mend.path.find(live)].into_iter().flatten().any(|value| is_inexpressible(&mend.path, value)) {
            return Err(Unpatchable::Inexpressible(mend.path.clone()));
        }
        let done = match value {
            Some(value) => put(&mut wanted, Some(expected), &mend.path.0, value),
            None => take(&mut wanted, expected, &mend.path),
        };
        done.ok_or_else(|| Unpatchable::Unreachable(mend.path.clone()))?;
    }
    Ok(Repair { patch: merge_patch(live, &wanted), inverse: merge_patch(&wanted, live) })
}

/// What a repair of these paths needs of an object: the values at them, each list on the way whole, and of all that stands
/// beside the way nothing but its key, so that it can be told whether something is left beside what is taken out.
#[must_use]
pub fn around(value: &Value, paths: &[&[Segment]]) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    if paths.iter().any(|path| path.is_empty() || !matches!(path[0], Segment::Key(_))) {
        return value.clone();
    }
    let kept = fields.iter().map(|(key, inner)| {
        let below: Vec<&[Segment]> =
            paths.iter().filter(|path| path[0] == Segment::Key(key.clone())).map(|path| &path[1..]).collect();
        (key.clone(), if below.is_empty() { Value::Null } else { around(inner, &below) })
    });
    Value::Object(kept.collect())
}

/// `patch` with the preconditions under which the server takes it: this very object, in this very version.
#[must_use]
pub fn with_preconditions(patch: &Value, uid: &str, resource_version: &str) -> Value {
    let mut patch = patch.clone();
    let preconditions = json!({"metadata": {"uid": uid, "resourceVersion": resource_version}});
    json_merge(&mut patch, &preconditions);
    patch
}

/// The smallest RFC 7386 patch from `from` to `to`: changed keys only, `null` for removed ones, lists whole.
#[must_use]
pub fn merge_patch(from: &Value, to: &Value) -> Value {
    let (Value::Object(from), Value::Object(to)) = (from, to) else { return to.clone() };
    let mut patch = Map::new();
    for (key, value) in to {
        match from.get(key) {
            Some(old) if old == value => {}
            Some(old @ Value::Object(_)) if value.is_object() => {
                patch.insert(key.clone(), merge_patch(old, value));
            }
            _ => {
                patch.insert(key.clone(), value.clone());
            }
        }
    }
    for key in from.keys().filter(|key| !to.contains_key(*key)) {
        patch.insert(key.clone(), Value::Null);
    }
    Value::Object(patch)
}

/// Whether `patch` would change nothing in `value` (RFC 7386).
#[must_use]
pub fn changes_nothing(value: &Value, patch: &Value) -> bool {
    match (value, patch) {
        (Value::Object(fields), Value::Object(patch)) => patch.iter().all(|(key, change)| match (fields.get(key), change) {
            (None, Value::Null) => true,
            (Some(value), change) => changes_nothing(value, change),
            (None, _) => false,
        }),
        _ => value == patch,
    }
}

/// The part of `value` that `patch` would change: what must be kept to tell what was there.
#[must_use]
pub fn values_under(value: &Value, patch: &Value) -> Value {
    match (value, patch) {
        (Value::Object(fields), Value::Object(patch)) => {
            let kept = patch.iter().filter_map(|(key, patch)| Some((key.clone(), values_under(fields.get(key)?, patch))));
            Value::Object(kept.collect())
        }
        _ => value.clone(),
    }
}

/// Merges objects; a merge of plain keys only, for preconditions.
fn json_merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                json_merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn check_allowed(id: &ObjectId, live: &Value, path: &Path) -> Result<(), Unpatchable> {
    let forbidden =
        path.0.is_empty() || FORBIDDEN.iter().any(|keys| Path::of_keys(keys).covers(path) || path.covers(&Path::of_keys(keys)));
    if forbidden {
        return Err(Unpatchable::Forbidden(path.clone()));
    }
    if is_immutable(id, live, path) { Err(Unpatchable::Immutable(path.clone())) } else { Ok(()) }
}

fn is_immutable(id: &ObjectId, live: &Value, path: &Path) -> bool {
    let frozen = live.get("immutable") == Some(&Value::Bool(true));
    let is_data = ["data", "binaryData", "immutable"].iter().any(|key| Path::of_keys(&[key]).covers(path));
    let is_config = id.group().is_empty() && ["ConfigMap", "Secret"].contains(&id.kind.as_str());
    let of_kind = IMMUTABLE.iter().filter(|(group, kind, _)| *group == id.group() && *kind == id.kind);
    (is_config && frozen && is_data)
        || (of_kind.into_iter().any(|(_, _, keys)| Path::of_keys(keys).covers(path)) && !can_change_in_pod(path))
}

/// The part of a Pod's `spec` that can change: of a workload's, its template can.
fn can_change_in_pod(path: &Path) -> bool {
    let (first, last) = (path.0.get(1), path.0.last());
    let is =
        |segment: Option<&Segment>, names: &[&str]| matches!(segment, Some(Segment::Key(key)) if names.contains(&key.as_str()));
    path.0.first() == Some(&Segment::Key("spec".to_owned()))
        && ((is(first, &["containers", "initContainers"]) && is(last, &["image"]))
            || is(first, &["activeDeadlineSeconds", "tolerations"]))
}

/// The value as the server keeps it (`1` for `1000m`), so that what is read back is what was written. Containers stay as
/// Git has them: the server's form of them may hold values that it allocated for the dry run alone.
fn as_kept<'a>(declared: &'a Value, expected: Option<&'a Value>) -> &'a Value {
    let is_scalar = |value: &Value| !value.is_null() && !value.is_object() && !value.is_array();
    expected.filter(|expected| is_scalar(expected) && is_scalar(declared)).unwrap_or(declared)
}

/// Whether a merge patch cannot write this value at this path: a `null` in it would remove a key. A path that crosses a
/// list sends the list whole, nulls and all.
fn is_inexpressible(path: &Path, value: &Value) -> bool {
    path.0.iter().all(|segment| matches!(segment, Segment::Key(_))) && contains_null(value)
}

fn contains_null(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(fields) => fields.values().any(contains_null),
        // Inside a list, `null` is a value like any other.
        Value::Array(_) | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Sets the value at a path, with the objects and the keyed list on the way to it.
fn put(root: &mut Value, expected: Option<&Value>, path: &[Segment], value: &Value) -> Option<()> {
    let Some((first, rest)) = path.split_first() else {
        *root = value.clone();
        return Some(());
    };
    if root.is_null() {
        *root = if matches!(first, Segment::Key(_)) { json!({}) } else { json!([]) };
    }
    match first {
        Segment::Key(key) => {
            let inside = expected.and_then(|expected| expected.get(key));
            put(root.as_object_mut()?.entry(key.clone()).or_insert(Value::Null), inside, rest, value)
        }
        Segment::Index(index) => put(root.as_array_mut()?.get_mut(*index)?, None, rest, value),
        Segment::Entry(keys) => {
            let entries = root.as_array_mut()?;
            let expected = expected.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            if let Some(at) = first.position_in(entries) {
                let inside = first.position_in(expected).map(|at| &expected[at]);
                return put(&mut entries[at], inside, rest, value);
            }
            if !rest.is_empty() || entries.iter().any(|entry| first.names_entry(entry)) {
                return None;
            }
            entries.insert(place_of(first, keys, expected, entries), value.clone());
            Some(())
        }
    }
}

/// At which place of its list each entry on the way of a path stands; last where it does not.
fn positions_in(value: &Value, path: &Path) -> Vec<usize> {
    let mut at = Some(value);
    let positions = path.0.iter().filter_map(|segment| match segment {
        Segment::Key(key) => {
            at = at.and_then(|at| at.get(key));
            None
        }
        Segment::Index(index) => {
            at = at.and_then(|at| at.get(index));
            Some(*index)
        }
        Segment::Entry(_) => {
            let entries = at.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let position = segment.position_in(entries);
            at = position.map(|position| &entries[position]);
            Some(position.unwrap_or(usize::MAX))
        }
    });
    positions.collect()
}

/// Where an entry that live lacks belongs: behind the one that it follows in `expected`, or before the one that follows it.
fn place_of(name: &Segment, keys: &[(String, String)], expected: &[Value], entries: &[Value]) -> usize {
    let Some(at) = name.position_in(expected) else { return entries.len() };
    let in_live = |entry: &Value| {
        let keys: Vec<(&str, &Value)> = keys.iter().filter_map(|(key, _)| Some((key.as_str(), entry.get(key)?))).collect();
        Segment::entry(&keys).position_in(entries)
    };
    let before = expected[..at].iter().rev().find_map(in_live).map(|at| at + 1);
    before.or_else(|| expected[at + 1..].iter().find_map(in_live)).unwrap_or(entries.len())
}

/// Removes the value at a path, and the containers that this empties and that should not be there. `None` where there is
/// no such value.
fn take(root: &mut Value, expected: &Value, path: &Path) -> Option<()> {
    let (last, parent) = path.0.split_last()?;
    let parent = Path(parent.to_vec());
    let emptied = match (root.pointer_mut(&parent.pointer_in(root)?)?, last) {
        (Value::Object(fields), Segment::Key(key)) => {
            fields.remove(key)?;
            fields.is_empty()
        }
        (Value::Array(entries), Segment::Entry(_)) => {
            entries.remove(last.position_in(entries)?);
            entries.is_empty()
        }
        _ => return None,
    };
    let parent_expected = parent.find(expected).is_some_and(|value| !value.is_null());
    if emptied && !parent_expected && !parent.0.is_empty() {
        take(root, expected, &parent)?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::Tracking;
    use crate::finding::Change;
    use crate::object::ObjectId;
    use proptest::prelude::*;

    fn live(value: Value) -> Live {
        let id = ObjectId { api_version: "example.com/v1".into(), kind: "Widget".into(), namespace: None, name: "a".into() };
        Live {
            id,
            value,
            owners: Vec::new(),
            uid: None,
            resource_version: None,
            deleting_since: None,
            created: None,
            tracking: Tracking::NotShown,
            last_applied: None,
        }
    }

    fn drift(path: &str, desired: Option<Value>) -> Drift {
        let path = path.parse().expect("a path");
        Drift { path, pointer: String::new(), change: Change::Changed, desired: desired.map(Seen::Plain), live: None }
    }

    #[test]
    fn a_sidecar_survives_an_image_fix() {
        let live =
            live(json!({"spec": {"containers": [{"name": "app", "image": "b", "ports": [1]}, {"name": "proxy", "image": "p"}]}}));
        let repair = repair(&live, &json!({}), &[&drift("spec.containers[name=app].image", Some(json!("a")))]).expect("a repair");
        let whole = json!([{"name": "app", "image": "a", "ports": [1]}, {"name": "proxy", "image": "p"}]);
        assert_eq!(repair.patch, json!({"spec": {"containers": whole}}));
        assert_eq!(repair.inverse, json!({"spec": {"containers": live.value["spec"]["containers"]}}));
    }

    #[test]
    fn an_emptied_container_goes_where_none_is_expected() {
        let live = live(json!({"metadata": {"labels": {"a": "1"}}, "spec": {"x": {"y": 1}}}));
        let drifts = [drift("metadata.labels.a", None), drift("spec.x.y", None)];
        let repair = repair(&live, &json!({"spec": {"x": {}}}), &drifts.iter().collect::<Vec<_>>()).expect("a repair");
        assert_eq!(repair.patch, json!({"metadata": null, "spec": {"x": {"y": null}}}));
    }

    #[test]
    fn some_paths_are_never_written() {
        let live = live(json!({"metadata": {"finalizers": ["a"]}}));
        for path in ["metadata.finalizers", "metadata", "status.replicas", "metadata.ownerReferences[0]", "kind", "metadata.name"]
        {
            let refused = repair(&live, &json!({}), &[&drift(path, Some(json!("x")))]);
            assert!(matches!(refused, Err(Unpatchable::Forbidden(_))), "{path}: {refused:?}");
        }
    }

    fn tree() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![any::<bool>().prop_map(Value::from), (0..5u8).prop_map(Value::from), "[a-c]{0,2}".prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from), object_of(inner),]
        })
    }

    fn object_of(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
        prop::collection::btree_map("[a-d]", values, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect()))
    }

    fn apply(value: &Value, patch: &Value) -> Value {
        match (value, patch) {
            (value, Value::Object(patch)) => {
                let mut fields = value.as_object().cloned().unwrap_or_default();
                for (key, change) in patch {
                    match change {
                        Value::Null => drop(fields.remove(key)),
                        change => drop(fields.insert(key.clone(), apply(fields.get(key).unwrap_or(&Value::Null), change))),
                    }
                }
                Value::Object(fields)
            }
            (_, patch) => patch.clone(),
        }
    }

    proptest! {
        #[test]
        fn a_patch_leads_there_and_its_inverse_back(from in object_of(tree()), to in object_of(tree())) {
            let patch = merge_patch(&from, &to);
            prop_assert_eq!(&apply(&from, &patch), &to);
            prop_assert_eq!(&apply(&to, &merge_patch(&to, &from)), &from);
            prop_assert!(changes_nothing(&to, &patch));
            prop_assert_eq!(changes_nothing(&from, &patch), from == to);
        }
    }
}
