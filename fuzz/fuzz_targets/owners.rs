//! `FieldsV1` (KEP-555): the paths are those that the fields name, every one and no other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use trueup_core::path::{Path, Segment};
use trueup_kubernetes::owners::owners;

fuzz_target!(|bytes: &[u8]| {
    let Ok(fields) = serde_json::from_slice::<Value>(bytes) else { return };
    // Whole lists of entries, too, as a server that is not Kubernetes might send them.
    drop(owners(&fields));
    let managed = json!([{"manager": "m", "operation": "Update", "fieldsType": "FieldsV1", "fieldsV1": fields}]);
    let found = owners(&managed);
    assert_eq!(found, owners(&managed), "the same fields mean the same");
    let Some(owner) = found.first() else { return };
    let fields = fields.as_object().expect("nothing else is read");
    assert!(owner.fields.paths.is_sorted(), "`touches` searches in order");
    assert_eq!(owner.fields.paths.len(), leaves(fields), "one path for each leaf and each dot");
    for path in &owner.fields.paths {
        assert!(is_named(path, fields), "nobody named {path}");
        assert!(owner.fields.touches(path), "{path}");
    }
});

/// Leaves and dots.
fn leaves(fields: &Map<String, Value>) -> usize {
    let below = |(name, below): (&String, &Value)| match below.as_object() {
        _ if name == "." => 1,
        Some(below) if !below.is_empty() => leaves(below),
        _ => 1,
    };
    fields.iter().map(below).sum()
}

/// Whether the fields lead along the path to a leaf or to a dot. Two spellings of one key (`k:{"a":1}`, `k:{"a": 1}`) are two
/// ways.
fn is_named(path: &Path, fields: &Map<String, Value>) -> bool {
    let mut reached = vec![fields];
    for (index, segment) in path.0.iter().enumerate() {
        let is_last = index + 1 == path.0.len();
        let steps: Vec<&Map<String, Value>> = reached
            .iter()
            .flat_map(|fields| fields.iter())
            .filter(|(name, _)| says(name, segment))
            .filter_map(|(_, below)| below.as_object())
            .collect();
        if is_last && steps.iter().any(|below| below.is_empty() || below.contains_key(".")) {
            return true;
        }
        reached = steps;
    }
    path.0.is_empty() && fields.contains_key(".")
}

/// Whether a name of `FieldsV1` means this segment.
fn says(name: &str, segment: &Segment) -> bool {
    let Some((form, text)) = name.split_once(':') else { return false };
    let value = || serde_json::from_str::<Value>(text).ok();
    match segment {
        Segment::Key(key) => form == "f" && text == key,
        Segment::Index(index) => form == "i" && text.parse() == Ok(*index),
        Segment::Entry(keys) => match &keys[..] {
            [(key, json)] if form == "v" => key.is_empty() && value().is_some_and(|value| value.to_string() == *json),
            _ if form == "k" => value().and_then(|value| Some(value.as_object()?.clone())).is_some_and(|named| {
                named.len() == keys.len()
                    && keys.iter().all(|(key, json)| named.get(key).is_some_and(|value| value.to_string() == *json))
            }),
            _ => false,
        },
    }
}
