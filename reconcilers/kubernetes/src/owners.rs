//! Who wrote what: `metadata.managedFields` (KEP-555) as paths.

use serde::Deserialize;
use serde_json::{Map, Value};
use trueup_core::facts::{FieldSet, Operation, Owner};
use trueup_core::path::{Path, Segment};

/// An object's field managers.
///
/// What cannot be read is no owner: it explains nothing and excuses nothing.
#[must_use]
pub fn owners(managed_fields: &Value) -> Vec<Owner> {
    let entries = managed_fields.as_array().map_or(&[][..], Vec::as_slice);
    entries.iter().filter_map(owner).collect()
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    manager: String,
    operation: Operation,
    subresource: Option<String>,
    time: Option<String>,
    fields_type: String,
    #[serde(default)]
    fields_v1: Value,
}

fn owner(entry: &Value) -> Option<Owner> {
    let entry = Entry::deserialize(entry).ok().filter(|entry| entry.fields_type == "FieldsV1")?;
    let mut paths = Paths::default();
    paths.collect(&Path::root(), 0, entry.fields_v1.as_object()?)?;
    let mut paths = paths.found;
    paths.sort();
    let subresource = entry.subresource.filter(|name| !name.is_empty());
    let fields = FieldSet { paths };
    Some(Owner { manager: entry.manager, operation: entry.operation, subresource, time: entry.time, fields })
}

/// What the paths of one entry may take together. A path repeats every key above it, so that long keys around many fields
/// would take far more than the object has.
const PATHS_LIMIT: usize = 64 << 20;

/// Paths as they are collected.
#[derive(Default)]
struct Paths {
    found: Vec<Path>,
    length: usize,
}

impl Paths {
    /// Adds the paths of a `FieldsV1` map: its leaves, and what `.` marks as owned itself. `length` is that of `at`.
    fn collect(&mut self, at: &Path, length: usize, fields: &Map<String, Value>) -> Option<()> {
        for (name, below) in fields {
            if name == "." {
                self.add(at.clone(), length)?;
                continue;
            }
            let length = length + name.len() + size_of::<Segment>();
            let below = below.as_object()?;
            if length > PATHS_LIMIT {
                return None;
            }
            let path = at.child(segment(name)?);
            if below.is_empty() { self.add(path, length)? } else { self.collect(&path, length, below)? }
        }
        Some(())
    }

    fn add(&mut self, path: Path, length: usize) -> Option<()> {
        self.length = self.length.saturating_add(length);
        self.found.push(path);
        (self.length <= PATHS_LIMIT).then_some(())
    }
}

/// `f:image` is a field, `k:{"name":"app"}` an entry by its merge keys, `v:"a"` an entry of a set by its value (kept as
/// an entry whose one key has no name), `i:0` an index.
pub(crate) fn segment(name: &str) -> Option<Segment> {
    let (form, text) = name.split_once(':')?;
    match form {
        "f" => Some(Segment::Key(text.to_owned())),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(text).ok()?;
            Some(Segment::Entry(keys.into_iter().map(|(key, value)| (key, value.to_string())).collect()))
        }
        "v" => {
            let value: Value = serde_json::from_str(text).ok()?;
            Some(Segment::Entry(vec![(String::new(), value.to_string())]))
        }
        "i" => text.parse().ok().map(Segment::Index),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_become_paths() {
        let managed = json!([{
            "manager": "kubectl-set", "operation": "Update", "apiVersion": "apps/v1", "time": "2026-11-21T02:31:40Z",
            "fieldsType": "FieldsV1", "subresource": "scale",
            "fieldsV1": {
                "f:metadata": {"f:annotations": {".": {}, "f:a.b/c": {}}, "f:finalizers": {".": {}, "v:\"x/y\"": {}}},
                "f:spec": {
                    "f:replicas": {},
                    "f:containers": {"k:{\"name\":\"app\"}": {".": {}, "f:image": {},
                        "f:ports": {"k:{\"containerPort\":80,\"protocol\":\"TCP\"}": {"f:name": {}}}}},
                    "f:args": {"i:1": {}}
                }
            }
        }]);
        let owners = owners(&managed);
        assert_eq!(owners.len(), 1);
        assert_eq!(owners[0].subresource.as_deref(), Some("scale"));
        let mut texts: Vec<String> = owners[0].fields.paths.iter().map(ToString::to_string).collect();
        texts.sort();
        assert_eq!(
            texts,
            [
                "metadata.annotations",
                r#"metadata.annotations["a.b/c"]"#,
                "metadata.finalizers",
                "metadata.finalizers[=x/y]",
                "spec.args[1]",
                "spec.containers[name=app]",
                "spec.containers[name=app].image",
                "spec.containers[name=app].ports[containerPort=80,protocol=TCP].name",
                "spec.replicas",
            ]
        );
        let image: Path = "spec.containers[name=app].image".parse().expect("a path");
        assert!(owners[0].fields.touches(&image));
        assert!(!owners[0].fields.touches(&image.key("x")));
    }

    #[test]
    fn what_cannot_be_read_is_no_owner() {
        let entry =
            |fields: Value, kind: &str| json!([{"manager": "m", "operation": "Update", "fieldsType": kind, "fieldsV1": fields}]);
        assert_eq!(owners(&Value::Null), []);
        assert_eq!(owners(&entry(json!({"f:a": {}}), "FieldsV2")), []);
        assert_eq!(owners(&entry(json!({"q:a": {}}), "FieldsV1")), []);
        assert_eq!(owners(&entry(json!({"f:a": 1}), "FieldsV1")), []);
        let long = json!({format!("f:{}", "k".repeat(100_000)): (0..1000).map(|at| (format!("f:{at}"), json!({}))).collect::<Map<_, _>>()});
        assert_eq!(owners(&entry(long, "FieldsV1")), [], "the paths would take a thousand times what the object has");
        assert_eq!(owners(&json!([{"operation": "Create", "fieldsType": "FieldsV1"}])), []);
    }
}
