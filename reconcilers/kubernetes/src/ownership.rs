//! A field back to whom it belongs: what a patch of ours made ours goes to its server-side apply owner again, so that the
//! owner's next apply meets no conflict (KEP-555).
//!
//! A server takes `metadata.managedFields` as it is sent where nothing else is sent with it.

use serde_json::{Map, Value, json};
use trueup_core::path::Path;

use crate::owners::segment;

/// Our field manager, as every patch of ours names it.
const OURS: &str = "trueup";

/// Why a field cannot be given back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HandBackError {
    /// Nobody of that name applies the object, or several entries do.
    #[error("`{0}` has not one entry of its own among the managers: to whom the field belongs cannot be told")]
    NoOwner(String),
    /// The owner's entry speaks of another version of the object.
    #[error("`{owner}` applies the object as `{version}`, which is not the version that was patched")]
    OtherVersion {
        /// The owner.
        owner: String,
        /// Its entry's `apiVersion`.
        version: String,
    },
}

/// The object's `metadata.managedFields` with what is ours at these paths in `owner`'s apply entry; `None` where nothing at
/// them is ours any more.
///
/// # Errors
/// Where it cannot be told to whom the fields go.
pub fn handed_back(managed_fields: &Value, paths: &[Path], owner: &str) -> Result<Option<Value>, HandBackError> {
    let mut entries = managed_fields.as_array().cloned().unwrap_or_default();
    let Some(ours) = entries.iter().position(|entry| is(entry, OURS, "Update")) else { return Ok(None) };
    let mut leaves = Vec::new();
    collect(&entries[ours]["fieldsV1"], &mut Vec::new(), &Path::root(), paths, &mut leaves);
    if leaves.is_empty() {
        return Ok(None);
    }
    let theirs = entry_of(&entries, owner)?;
    if entries[theirs]["apiVersion"] != entries[ours]["apiVersion"] {
        let version = entries[theirs]["apiVersion"].as_str().unwrap_or_default().to_owned();
        return Err(HandBackError::OtherVersion { owner: owner.to_owned(), version });
    }
    for leaf in &leaves {
        remove(&mut entries[ours]["fieldsV1"], leaf);
        insert(&mut entries[theirs]["fieldsV1"], leaf);
    }
    entries.retain(|entry| !is(entry, OURS, "Update") || entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    Ok(Some(Value::Array(entries)))
}

/// The one server-side apply owner of an object beside us; none where there are several, or none.
#[must_use]
pub fn sole_owner(managed_fields: &Value) -> Option<&str> {
    let entries = managed_fields.as_array()?;
    let is_owner = |entry: &&Value| {
        entry["operation"] == "Apply" && entry["subresource"].as_str().is_none_or(str::is_empty) && entry["manager"] != OURS
    };
    let mut owners = entries.iter().filter(is_owner);
    let owner = owners.next()?["manager"].as_str();
    owner.filter(|_| owners.next().is_none())
}

fn is(entry: &Value, manager: &str, operation: &str) -> bool {
    entry["manager"] == manager
        && entry["operation"] == operation
        && entry["subresource"].as_str().is_none_or(str::is_empty)
        && entry["fieldsType"] == "FieldsV1"
}

fn entry_of(entries: &[Value], owner: &str) -> Result<usize, HandBackError> {
    let mut places = entries.iter().enumerate().filter(|(_, entry)| is(entry, owner, "Apply")).map(|(place, _)| place);
    match (places.next(), places.next()) {
        (Some(place), None) => Ok(place),
        (None, _) | (Some(_), Some(_)) => Err(HandBackError::NoOwner(owner.to_owned())),
    }
}

/// The leaves at, below, or as a whole around one of the paths, each as its tokens.
fn collect(fields: &Value, tokens: &mut Vec<String>, at: &Path, paths: &[Path], found: &mut Vec<Vec<String>>) {
    for (token, below) in fields.as_object().into_iter().flatten() {
        tokens.push(token.clone());
        // `.` is the container itself: whoever has it around our path keeps it.
        if token == "." {
            if paths.iter().any(|path| path.covers(at)) {
                found.push(tokens.clone());
            }
        } else if let Some(segment) = segment(token) {
            let inside = at.child(segment);
            let is_leaf = below.as_object().is_some_and(Map::is_empty);
            if !is_leaf {
                collect(below, tokens, &inside, paths, found);
            } else if paths.iter().any(|path| path.covers(&inside) || inside.covers(path)) {
                found.push(tokens.clone());
            }
        }
        tokens.pop();
    }
}

/// Takes a leaf out, and what held nothing else.
fn remove(fields: &mut Value, tokens: &[String]) {
    let (Some((first, rest)), Some(fields)) = (tokens.split_first(), fields.as_object_mut()) else { return };
    let is_empty = fields.get_mut(first).is_some_and(|below| {
        if !rest.is_empty() {
            remove(below, rest);
        }
        below.as_object().is_none_or(Map::is_empty)
    });
    if is_empty {
        fields.remove(first);
    }
}

fn insert(fields: &mut Value, tokens: &[String]) {
    let mut at = fields;
    for token in tokens {
        if !at.is_object() {
            *at = json!({});
        }
        at = &mut at[token.as_str()];
    }
    if at.is_null() {
        *at = json!({});
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::owners::owners;
    use proptest::prelude::*;
    use trueup_core::facts::Operation;

    fn entry(manager: &str, operation: &str, fields: &Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn path(text: &str) -> Path {
        text.parse().expect("a path")
    }

    #[test]
    fn a_field_goes_back_and_the_rest_stays() {
        let image = json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}, "f:paused": {}}});
        let theirs = json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}}}}});
        let managed = json!([
            entry("team", "Apply", &theirs),
            entry("kubectl-edit", "Update", &json!({"f:x": {}})),
            entry("trueup", "Update", &image)
        ]);
        let after = handed_back(&managed, &[path("spec.containers[name=app].image")], "team").expect("an owner").expect("ours");
        assert_eq!(
            after,
            json!([
                entry(
                    "team",
                    "Apply",
                    &json!({"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:name": {}, "f:image": {}}}}})
                ),
                entry("kubectl-edit", "Update", &json!({"f:x": {}})),
                entry("trueup", "Update", &json!({"f:spec": {"f:paused": {}}})),
            ])
        );
        let all = handed_back(&after, &[path("spec")], "team").expect("an owner").expect("ours");
        assert_eq!(all.as_array().map(Vec::len), Some(2), "an entry of nothing is gone: {all:#}");
        assert_eq!(handed_back(&all, &[path("spec")], "team"), Ok(None));
    }

    #[test]
    fn a_list_that_is_owned_as_a_whole_goes_back_as_a_whole_and_the_map_around_it_stays() {
        let ours = json!({"f:spec": {".": {}, "f:args": {}}});
        let managed = json!([entry("team", "Apply", &json!({"f:metadata": {}})), entry("trueup", "Update", &ours)]);
        let after = handed_back(&managed, &[path("spec.args[0]")], "team").expect("an owner").expect("ours");
        assert_eq!(after[0]["fieldsV1"]["f:spec"], json!({"f:args": {}}));
        assert_eq!(after[1]["fieldsV1"], json!({"f:spec": {".": {}}}));
    }

    #[test]
    fn to_whom_it_cannot_be_told_nothing_goes() {
        let ours = entry("trueup", "Update", &json!({"f:a": {}}));
        let team = entry("team", "Apply", &json!({"f:b": {}}));
        let paths = [path("a")];
        assert_eq!(handed_back(&json!([ours]), &paths, "team"), Err(HandBackError::NoOwner("team".to_owned())));
        assert_eq!(handed_back(&json!([ours, team, team]), &paths, "team"), Err(HandBackError::NoOwner("team".to_owned())));
        let mut other = team.clone();
        other["apiVersion"] = json!("apps/v1beta1");
        assert!(matches!(handed_back(&json!([ours, other]), &paths, "team"), Err(HandBackError::OtherVersion { .. })));
        assert_eq!(
            (sole_owner(&json!([ours, team])), sole_owner(&json!([team, entry("flux", "Apply", &json!({}))]))),
            (Some("team"), None)
        );
        let mut status = team.clone();
        status["subresource"] = json!("status");
        assert_eq!(sole_owner(&json!([status, ours])), None);
    }

    proptest! {
        /// Together, the two own before and after exactly the same; at the paths, nothing is ours any more.
        #[test]
        fn nothing_is_lost_and_nothing_is_made_up(ours in fields(), theirs in fields(), at in "[a-c]") {
            let managed = json!([entry("team", "Apply", &theirs), entry("trueup", "Update", &ours)]);
            let paths = [path(&at)];
            let Some(after) = handed_back(&managed, &paths, "team").expect("an owner") else { return Ok(()) };
            let owned = |managed: &Value| {
                let mut owned: Vec<Path> = owners(managed).into_iter().flat_map(|owner| owner.fields.paths).collect();
                owned.sort();
                owned.dedup();
                owned
            };
            prop_assert_eq!(owned(&after), owned(&managed));
            let left = owners(&after).into_iter().filter(|owner| owner.operation == Operation::Update);
            prop_assert!(left.flat_map(|owner| owner.fields.paths).all(|left| !paths[0].covers(&left)));
        }
    }

    /// Leaves below `f:a` to `f:c`, two deep: never both a leaf and a container, as a server writes them.
    fn fields() -> impl Strategy<Value = Value> {
        let below = prop::collection::btree_set("[a-c]", 1..3)
            .prop_map(|names| Value::Object(names.into_iter().map(|name| (format!("f:{name}"), json!({}))).collect()));
        prop::collection::btree_map("[a-c]", below, 1..4)
            .prop_map(|fields| Value::Object(fields.into_iter().map(|(name, below)| (format!("f:{name}"), below)).collect()))
    }
}
