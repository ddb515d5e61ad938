//! What an API server notes on a write: the next resourceVersion, and whose the changed fields are now.

use jiff::{RoundMode, Timestamp, TimestampRound, Unit};
use serde_json::{Map, Value, json};

/// Notes a write by `trueup` that turned `before` into `object`.
pub(super) fn record(object: &mut Value, before: &Value, now: Timestamp) {
    let mut changed = Vec::new();
    changes(before, object, &mut Vec::new(), &mut changed);
    changed.retain(|tokens| tokens.first().is_none_or(|first| first != "f:status"));
    if changed.is_empty() {
        return;
    }
    let api_version = object["apiVersion"].clone();
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    let version = metadata.get("resourceVersion").and_then(Value::as_str).and_then(|text| text.parse::<u64>().ok());
    if let Some(version) = version {
        metadata.insert("resourceVersion".to_owned(), (version + 1).to_string().into());
    }
    let Some(entries) = metadata.get_mut("managedFields").and_then(Value::as_array_mut) else { return };
    for entry in entries.iter_mut() {
        for tokens in &changed {
            forget(&mut entry["fieldsV1"], tokens);
        }
    }
    entries.retain(|entry| entry["fieldsV1"].as_object().is_some_and(|fields| !fields.is_empty()));
    own(entries, &api_version, &changed, now);
}

fn own(entries: &mut Vec<Value>, api_version: &Value, changed: &[Vec<String>], now: Timestamp) {
    let seconds = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Trunc);
    let time = now.round(seconds).unwrap_or(now).to_string();
    let is_ours =
        |entry: &Value| entry["manager"] == "trueup" && entry["operation"] == "Update" && entry["subresource"].is_null();
    let at = entries.iter().position(is_ours).unwrap_or_else(|| {
        entries.push(json!({"manager": "trueup", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {}}));
        entries.len() - 1
    });
    entries[at]["apiVersion"] = api_version.clone();
    entries[at]["time"] = time.into();
    for tokens in changed {
        let mut fields = &mut entries[at]["fieldsV1"];
        for token in tokens {
            fields = &mut fields[token.as_str()];
        }
        if fields.is_null() {
            *fields = Value::Object(Map::new());
        }
    }
}

/// The changed leaves in the words of `FieldsV1`. Entries of a list go by `name` where each has one of its own, as in nearly
/// all keyed lists; any other list is one leaf.
fn changes(before: &Value, after: &Value, at: &mut Vec<String>, found: &mut Vec<Vec<String>>) {
    match (before, after) {
        _ if before == after => {}
        (Value::Object(old), Value::Object(new)) => {
            for key in new.keys().chain(old.keys().filter(|key| !new.contains_key(*key))) {
                let is_server_field =
                    at.len() == 1 && at[0] == "f:metadata" && ["managedFields", "resourceVersion"].contains(&key.as_str());
                if !is_server_field {
                    at.push(format!("f:{key}"));
                    changes(old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null), at, found);
                    at.pop();
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => match (by_name(old), by_name(new)) {
            (Some(old), Some(new)) => {
                for (name, entry) in &new {
                    at.push(format!("k:{}", json!({ "name": name })));
                    let before = old.iter().find(|(other, _)| other == name).map_or(&Value::Null, |(_, entry)| entry);
                    changes(before, entry, at, found);
                    at.pop();
                }
                for (name, _) in old.iter().filter(|(name, _)| !new.iter().any(|(other, _)| other == name)) {
                    at.push(format!("k:{}", json!({ "name": name })));
                    found.push(at.clone());
                    at.pop();
                }
            }
            _ => found.push(at.clone()),
        },
        _ => found.push(at.clone()),
    }
}

fn by_name(entries: &[Value]) -> Option<Vec<(&str, &Value)>> {
    let mut named = Vec::new();
    for entry in entries {
        let name = entry.get("name")?.as_str()?;
        if named.iter().any(|(other, _)| *other == name) {
            return None;
        }
        named.push((name, entry));
    }
    Some(named)
}

/// Takes a field from a manager, and what held nothing else.
fn forget(fields: &mut Value, tokens: &[String]) {
    let (Some((first, rest)), Some(fields)) = (tokens.split_first(), fields.as_object_mut()) else { return };
    let is_empty = match fields.get_mut(first) {
        None => return,
        Some(_) if rest.is_empty() => true,
        Some(below) => {
            forget(below, rest);
            below.as_object().is_some_and(Map::is_empty)
        }
    };
    if is_empty {
        fields.remove(first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_field_changes_hands() {
        let before = json!({"apiVersion": "apps/v1", "metadata": {"resourceVersion": "41", "managedFields": [
                {"manager": "kubectl-set", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {
                    "f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}},
                {"manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}}]},
            "spec": {"replicas": 2, "containers": [{"name": "app", "image": "x:2"}, {"name": "side", "image": "y:1"}]}});
        let mut after = before.clone();
        after["spec"]["containers"][0]["image"] = "x:1".into();
        record(&mut after, &before, "2026-11-21T02:31:40.5Z".parse().expect("a time"));
        assert_eq!(after["metadata"]["resourceVersion"], "42");
        assert_eq!(
            after["metadata"]["managedFields"],
            json!([
                {"manager": "kubectl", "operation": "Apply", "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
                {"manager": "trueup", "operation": "Update", "fieldsType": "FieldsV1", "apiVersion": "apps/v1",
                    "time": "2026-11-21T02:31:40Z",
                    "fieldsV1": {"f:spec": {"f:containers": {"k:{\"name\":\"app\"}": {"f:image": {}}}}}}
            ])
        );
    }

    #[test]
    fn a_patch_that_changes_nothing_is_no_write() {
        let before = json!({"metadata": {"resourceVersion": "41", "managedFields": []}, "data": {"k": "v"}});
        let mut after = before.clone();
        record(&mut after, &before, Timestamp::UNIX_EPOCH);
        assert_eq!(after, before);
    }
}
