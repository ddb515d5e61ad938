//! Edits as people would make them, and the law that holds for every edit: proven or refused.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use serde_json::json;
use trueup_core::path::{Path, Segment};

use super::*;

mod entries;
mod json;
mod law;
mod refused;
mod style;

const FILE: &str = "manifests/web.yaml";

/// The drift that `live` has at `path`, with nothing masked.
fn drift(desired: &Desired, path: &Path, live: &Value) -> Drift {
    let (old, new) = (path.find(&desired.value), path.find(live));
    let change = match (old, new) {
        (Some(_), Some(_)) => Change::Changed,
        (Some(_), None) => Change::Removed,
        _ => Change::Undeclared,
    };
    let plain = |value: Option<&Value>| value.cloned().map(Seen::Plain);
    Drift { path: path.clone(), pointer: String::new(), change, desired: plain(old), live: plain(new) }
}

/// The object with `value` (or nothing) at `path`; what is on the way there comes into being.
fn with(object: &Value, path: &Path, value: Option<&Value>) -> Option<Value> {
    let mut live = object.clone();
    let Some(value) = value else {
        let (parent, last) = (path.parent()?.find_mut(&mut live)?, path.0.last()?);
        match (parent, last) {
            (Value::Object(fields), Segment::Key(key)) => drop(fields.remove(key)?),
            (Value::Array(items), Segment::Index(index)) if *index < items.len() => drop(items.remove(*index)),
            (Value::Array(items), Segment::Entry(_)) => drop(items.remove(last.position_in(items)?)),
            _ => return None,
        }
        return Some(live);
    };
    let mut place = &mut live;
    for segment in &path.0 {
        place = step_into(place, segment)?;
    }
    *place = value.clone();
    Some(live)
}

fn step_into<'a>(place: &'a mut Value, segment: &Segment) -> Option<&'a mut Value> {
    match segment {
        Segment::Key(key) => {
            if place.is_null() {
                *place = json!({});
            }
            Some(place.as_object_mut()?.entry(key).or_insert(Value::Null))
        }
        Segment::Index(_) | Segment::Entry(_) => {
            if place.is_null() {
                *place = json!([]);
            }
            let items = place.as_array_mut()?;
            let (at, blank) = match segment {
                Segment::Index(index) => (*index, Value::Null),
                other => (other.position_in(items).unwrap_or(items.len()), merge_keys(other)),
            };
            if at == items.len() {
                items.push(blank);
            }
            items.get_mut(at)
        }
    }
}

fn merge_keys(segment: &Segment) -> Value {
    let Segment::Entry(keys) = segment else { return Value::Null };
    keys.iter()
        .map(|(key, text)| (key.clone(), serde_json::from_str(text).expect("JSON")))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Adopts `value` (or its absence) at `path` of the object named `name`.
fn adopt_at(text: &str, name: &str, path: &str, value: Option<&Value>) -> Result<String, String> {
    let (objects, _) = trueup_kubernetes::manifest::read(FILE, text.as_bytes());
    let desired = objects.iter().find(|object| object.id.name == name).expect("the object is declared");
    let path: Path = path.parse().expect("a path");
    let live = with(&desired.value, &path, value).unwrap_or_else(|| desired.value.clone());
    let adoption = Adoption { desired, drift: &drift(desired, &path, &live), live: &live };
    let edited = adopt(FILE, text.as_bytes(), &[adoption]);
    edited.map(|adopted| String::from_utf8(adopted.bytes).expect("UTF-8")).map_err(|refused| refused.reason)
}

/// The lines that an edit took and gave.
fn lines(text: &str, name: &str, path: &str, value: Option<&Value>) -> String {
    match adopt_at(text, name, path, value) {
        Ok(edited) => {
            let diff = similar::TextDiff::from_lines(text, &edited);
            let shown = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
            shown.map(|change| format!("{}{}", change.tag(), change.value().replace('\r', "␍"))).collect::<Vec<_>>().concat()
        }
        Err(reason) => format!("refused: {reason}\n"),
    }
}

const WEB: &str = r#"# licence
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings, labels: {app: web}}  # one line
data:
  LEVEL: info      # how much to say
  QUOTED: "yes"
  SINGLE: 'it''s'
  # what nginx reads
  nginx.conf: |  # kept short
    user nginx;
    worker_processes 1;

  LAST: x
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  annotations:
    only: one
spec:
  replicas: 3   # enough
  paused:
  template:
    spec:
      containers:
      # the program itself
      - name: app
        image: shop/web:1.4.2  # pinned
        args: [serve, "--port=80"]
        ports:
        - containerPort: 80
        # for metrics
        - containerPort: 9090
      - name: sidecar
        image: shop/proxy:2
"#;

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        (-5i64..5000).prop_map(Value::from),
        Just(json!(1.5)),
        "[ -~]{0,8}".prop_map(Value::from),
        "\\PC{0,4}".prop_map(Value::from),
        "(?s).{0,4}".prop_map(Value::from),
        Just(json!("a\nb\n")),
        Just(json!("a\n\nb")),
        Just(json!("0o17")),
        Just(json!("12:30")),
        Just(json!("yes")),
        Just(json!("1e3")),
    ];
    leaf.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,3}", inner, 0..3).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Every path in `value` at and below `at`.
fn paths(value: &Value, at: &Path, found: &mut Vec<Path>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                let inside = at.key(key);
                found.push(inside.clone());
                paths(value, &inside, found);
            }
            found.push(at.key("zz-added"));
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                let segment = match value.get("name") {
                    Some(name) => Segment::entry(&[("name", name)]),
                    None => Segment::Index(index),
                };
                let inside = at.child(segment);
                found.push(inside.clone());
                paths(value, &inside, found);
            }
            found.push(at.child(Segment::Index(items.len())));
        }
        _ => {}
    }
}
