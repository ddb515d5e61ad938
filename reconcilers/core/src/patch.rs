//! The smallest merge patch (RFC 7386) that makes some paths of an object right and touches nothing else.

use serde_json::{Map, Value, json};

use crate::facts::Live;
use crate::finding::Drift;
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

/// The patch that makes the paths of these drifts what they should be in `live`. A list on the way is sent whole, rebuilt
/// from `live` with only these paths changed, so that other owners' entries stay.
///
/// `expected` tells which emptied containers should be gone.
///
/// # Errors
/// The first drift that no merge patch of ours may or can put right.
pub fn repair(live: &Live, expected: &Value, drifts: &[&Drift]) -> Result<Repair, Unpatchable> {
    let mut wanted = live.value.clone();
    for drift in drifts {
        check_allowed(&drift.path)?;
        match &drift.desired {
            Some(Seen::Plain(value)) if contains_null(value) => return Err(Unpatchable::Inexpressible(drift.path.clone())),
            Some(Seen::Plain(value)) => {
                put(&mut wanted, &drift.path.0, value).ok_or_else(|| Unpatchable::Unreachable(drift.path.clone()))?;
            }
            Some(Seen::Masked(_)) => return Err(Unpatchable::Masked(drift.path.clone())),
            None => take(&mut wanted, expected, &drift.path),
        }
    }
    Ok(Repair { patch: merge_patch(&live.value, &wanted), inverse: merge_patch(&wanted, &live.value) })
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

fn check_allowed(path: &Path) -> Result<(), Unpatchable> {
    let forbidden =
        path.0.is_empty() || FORBIDDEN.iter().any(|keys| Path::of_keys(keys).covers(path) || path.covers(&Path::of_keys(keys)));
    if forbidden { Err(Unpatchable::Forbidden(path.clone())) } else { Ok(()) }
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
fn put(root: &mut Value, path: &[Segment], value: &Value) -> Option<()> {
    let Some((first, rest)) = path.split_first() else {
        *root = value.clone();
        return Some(());
    };
    if root.is_null() {
        *root = if matches!(first, Segment::Key(_)) { json!({}) } else { json!([]) };
    }
    match first {
        Segment::Key(key) => put(root.as_object_mut()?.entry(key.clone()).or_insert(Value::Null), rest, value),
        Segment::Index(index) => put(root.as_array_mut()?.get_mut(*index)?, rest, value),
        Segment::Entry(_) => {
            let entries = root.as_array_mut()?;
            match entries.iter().position(|entry| first.names_entry(entry)) {
                Some(at) => put(&mut entries[at], rest, value),
                None if rest.is_empty() => {
                    entries.push(value.clone());
                    Some(())
                }
                None => None,
            }
        }
    }
}

/// Removes the value at a path, and the containers that this empties and that should not be there.
fn take(root: &mut Value, expected: &Value, path: &Path) {
    let Some((last, parent)) = path.0.split_last() else { return };
    let parent = Path(parent.to_vec());
    let emptied = match (parent.pointer_in(root).and_then(|pointer| root.pointer_mut(&pointer)), last) {
        (Some(Value::Object(fields)), Segment::Key(key)) => {
            fields.remove(key);
            fields.is_empty()
        }
        (Some(Value::Array(entries)), Segment::Entry(_)) => {
            entries.retain(|entry| !last.names_entry(entry));
            entries.is_empty()
        }
        _ => false,
    };
    let parent_expected = parent.find(expected).is_some_and(|value| !value.is_null());
    if emptied && !parent_expected {
        take(root, expected, &parent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Change;
    use crate::object::ObjectId;
    use proptest::prelude::*;

    fn live(value: Value) -> Live {
        let id = ObjectId { api_version: "v1".into(), kind: "Pod".into(), namespace: None, name: "a".into() };
        Live { id, value, owners: Vec::new(), uid: None, resource_version: None, deleting_since: None }
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
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-d]", inner, 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
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
        fn a_patch_leads_there_and_its_inverse_back(from in tree(), to in tree()) {
            prop_assume!(from.is_object() && to.is_object());
            let patch = merge_patch(&from, &to);
            prop_assert_eq!(&apply(&from, &patch), &to);
            prop_assert_eq!(&apply(&to, &merge_patch(&to, &from)), &from);
            prop_assert!(changes_nothing(&to, &patch));
            prop_assert_eq!(changes_nothing(&from, &patch), from == to);
        }
    }
}
