//! The judge: what differs between an object before and after an edit, as the server has it. A plain comparison of JSON
//! that shares nothing with trueup's but the way in which paths are printed.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use trueup_core::path::{Path, Segment};

use super::schema::{Keys, Schemas, keys};

/// What the server writes about an object, and not what the object says.
const BESIDE: [&str; 4] = ["managedFields", "resourceVersion", "generation", "creationTimestamp"];

/// kubectl's own copy of the manifest: no program of Kubernetes reads it as a wish.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The paths at which two versions of an object differ.
pub fn changes(schemas: &Schemas, before: &Value, after: &Value) -> BTreeSet<Path> {
    let (before, after) = (said(before), said(after));
    let mut found = BTreeSet::new();
    let root = schemas.root(&before);
    let kind = before["kind"].as_str().unwrap_or_default();
    Comparing { schemas, found: &mut found, kind }.values(&Path::root(), root, Some(&before), Some(&after));
    found
}

/// Whether an object's kind is one that the corpus itself defines.
pub fn is_custom(object: &Value) -> bool {
    object["apiVersion"].as_str().is_some_and(|version| version.contains(".monitoring.coreos.com/"))
}

/// An object without its status and what the server writes about it.
pub fn said(object: &Value) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove("status");
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in BESIDE {
            metadata.remove(key);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
    object
}

/// Whether Git says something at a path. A key of an entry that Git leaves to its default is as good as said.
pub fn is_said(declared: &Value, path: &Path) -> bool {
    let mut at = declared;
    for segment in &path.0 {
        let inside = match segment {
            Segment::Key(key) => at.get(key),
            Segment::Index(index) => at.get(*index),
            Segment::Entry(keys) => at.as_array().and_then(|entries| entries.iter().find(|entry| is_named(entry, keys))),
        };
        match inside {
            Some(value) if !value.is_null() => at = value,
            Some(_) | None => return false,
        }
    }
    true
}

fn is_named(entry: &Value, keys: &[(String, String)]) -> bool {
    let own = |text: &str| serde_json::from_str::<Value>(text).ok();
    let mut same = keys.iter().filter_map(|(key, text)| Some(Some(entry.get(key)?) == own(text).as_ref())).peekable();
    same.peek().is_some() && same.all(|same| same)
}

/// Lists whose order and repetitions nobody means, whatever the server keeps: an autoscaler takes the largest of its metrics,
/// and Endpoints are a set of sets.
const WITHOUT_ORDER: [(&str, &str); 2] = [("HorizontalPodAutoscaler", "spec.metrics"), ("Endpoints", "subsets")];

/// A list without its order.
fn unordered(value: &Value) -> Value {
    match value {
        Value::Array(entries) => {
            let mut entries: Vec<Value> = entries.iter().map(unordered).collect();
            entries.sort_by_key(Value::to_string);
            entries.dedup();
            entries.into()
        }
        Value::Object(fields) => fields.iter().map(|(key, value)| (key.clone(), unordered(value))).collect(),
        other => other.clone(),
    }
}

struct Comparing<'a> {
    kind: &'a str,
    schemas: &'a Schemas,
    found: &'a mut BTreeSet<Path>,
}

impl Comparing<'_> {
    fn values(&mut self, at: &Path, schema: Option<&Value>, a: Option<&Value>, b: Option<&Value>) {
        let (a, b) = (a.filter(|value| !value.is_null()), b.filter(|value| !value.is_null()));
        match (a, b) {
            _ if a == b => {}
            (Some(Value::Object(a)), Some(Value::Object(b))) => self.objects(at, schema, a, b),
            (Some(Value::Object(one)), None) if !one.is_empty() => self.objects(at, schema, one, &Map::new()),
            (None, Some(Value::Object(one))) if !one.is_empty() => self.objects(at, schema, &Map::new(), one),
            (Some(Value::Array(a)), Some(Value::Array(b))) => self.lists(at, schema, a, b),
            (Some(Value::Array(one)), None) => self.lists(at, schema, one, &[]),
            (None, Some(Value::Array(one))) => self.lists(at, schema, &[], one),
            _ => self.differs(at),
        }
    }

    fn differs(&mut self, at: &Path) {
        self.found.insert(at.clone());
    }

    fn objects(&mut self, at: &Path, schema: Option<&Value>, a: &Map<String, Value>, b: &Map<String, Value>) {
        for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
            self.values(&at.key(key), self.schemas.field(schema, key), a.get(key), b.get(key));
        }
    }

    fn lists(&mut self, at: &Path, schema: Option<&Value>, a: &[Value], b: &[Value]) {
        if WITHOUT_ORDER.contains(&(self.kind, at.to_string().as_str())) {
            let is_same = unordered(&a.into()) == unordered(&b.into());
            if !is_same {
                self.differs(at);
            }
            return;
        }
        let names = match keys(schema) {
            Keys::Set if sorted(a) == sorted(b) => return,
            Keys::Set | Keys::Whole => return self.differs(at),
            Keys::By(names) => names,
        };
        let (Some(named_a), Some(named_b)) = (named(a, &names), named(b, &names)) else { return self.differs(at) };
        if is_ordered(at, a) && common(a, &named_a, &named_b, &names) != common(b, &named_b, &named_a, &names) {
            return self.differs(at);
        }
        for name in named_a.keys().chain(named_b.keys()).collect::<BTreeSet<_>>() {
            let path = at.child(name.clone());
            match (named_a.get(name), named_b.get(name)) {
                (Some(a), Some(b)) => self.values(&path, self.schemas.item(schema), Some(*a), Some(*b)),
                _ => self.differs(&path),
            }
        }
    }
}

/// The server keeps any order; these two mean something by it: init containers run one after the other, and a variable may
/// refer to those before it.
fn is_ordered(at: &Path, entries: &[Value]) -> bool {
    let refers = |entry: &Value| entry["value"].as_str().is_some_and(|text| text.contains("$("));
    match at.0.last() {
        Some(Segment::Key(key)) => key == "initContainers" || (key == "env" && entries.iter().any(refers)),
        _ => false,
    }
}

fn name_of(entry: &Value, keys: &[String]) -> Option<Segment> {
    let parts: Vec<(&str, &Value)> = keys.iter().filter_map(|key| Some((key.as_str(), entry.get(key)?))).collect();
    (!parts.is_empty()).then(|| Segment::entry(&parts))
}

/// Entries by name; `None` where one has none or two have the same.
fn named<'a>(entries: &'a [Value], keys: &[String]) -> Option<BTreeMap<Segment, &'a Value>> {
    let named: Option<BTreeMap<_, _>> = entries.iter().map(|entry| Some((name_of(entry, keys)?, entry))).collect();
    named.filter(|named| named.len() == entries.len())
}

/// The names of those entries of `entries` that the other list has, too, in order.
fn common(
    entries: &[Value],
    own: &BTreeMap<Segment, &Value>,
    other: &BTreeMap<Segment, &Value>,
    keys: &[String],
) -> Vec<Segment> {
    let names = entries.iter().filter_map(|entry| name_of(entry, keys));
    names.filter(|name| own.contains_key(name) && other.contains_key(name)).collect()
}

fn sorted(entries: &[Value]) -> Vec<String> {
    let mut texts: Vec<String> = entries.iter().map(Value::to_string).collect();
    texts.sort();
    texts
}
