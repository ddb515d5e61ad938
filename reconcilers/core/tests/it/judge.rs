//! A slow judge: both values written out as one line a leaf, then compared line by line. It shares no code with the core.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::generate::Schema;

/// One step as people read it: `alpha`, `[name=app]`.
pub type Steps = Vec<String>;

/// A value as a table of its leaves.
#[derive(Debug, Default)]
pub struct Leaves {
    /// What stands at each leaf, in one spelling.
    pub leaves: BTreeMap<Steps, String>,
    /// Where list entries begin.
    pub entries: BTreeSet<Steps>,
}

/// What the judge expects to be found: path and kind of change.
pub type Verdict = BTreeSet<(String, &'static str)>;

/// Every difference of `live` from `expected`, of which Git declares `declared`.
pub fn verdict(schema: &Schema, declared: &Value, expected: &Value, live: &Value) -> Verdict {
    let (declared, expected, live) = (leaves(schema, declared), leaves(schema, expected), leaves(schema, live));
    let mut found = Verdict::new();
    for path in expected.leaves.keys().chain(live.leaves.keys()) {
        if expected.leaves.get(path) == live.leaves.get(path) || is_filled(&expected, path) || is_filled(&live, path) {
            continue;
        }
        let mut around = (1..path.len()).map(|length| &path[..length]);
        let is_whole = |place: &&[String]| is_lone_entry(place, &expected, &live) || is_lone_container(place, &declared, &live);
        let place = around.find(is_whole).unwrap_or(path);
        match (declared.has(place), live.has(place)) {
            (true, true) => found.insert((place.concat(), "changed")),
            (true, false) => found.insert((place.concat(), "removed")),
            (false, true) => found.insert((place.concat(), "undeclared")),
            (false, false) => false,
        };
    }
    found
}

impl Leaves {
    /// Whether anything stands at this path or below it.
    pub fn has(&self, path: &[String]) -> bool {
        self.leaves.keys().any(|leaf| leaf.starts_with(path))
    }
}

/// `{}` here, and something inside it there: no leaf of its own.
fn is_filled(side: &Leaves, path: &Steps) -> bool {
    side.leaves.keys().any(|leaf| leaf.len() > path.len() && leaf.starts_with(path))
}

/// A list entry that only one side has: it is found as a whole.
fn is_lone_entry(place: &[String], expected: &Leaves, live: &Leaves) -> bool {
    expected.entries.contains(place) != live.entries.contains(place)
}

/// The `{}` that Git declares around a default inside it, and that live does not have at all.
fn is_lone_container(place: &[String], declared: &Leaves, live: &Leaves) -> bool {
    declared.leaves.get(place).is_some_and(|leaf| leaf == "{}") && !live.has(place)
}

/// The table of a value's leaves.
pub fn leaves(schema: &Schema, value: &Value) -> Leaves {
    let mut leaves = Leaves::default();
    walk(schema, value, &Vec::new(), &mut leaves);
    leaves
}

fn walk(schema: &Schema, value: &Value, at: &Steps, out: &mut Leaves) {
    let text = match (schema, value) {
        (Schema::Struct(fields), Value::Object(values)) => return walk_fields(fields, values, at, out),
        (Schema::Map(item), Value::Object(values)) => {
            return values.iter().for_each(|(key, value)| walk(item, value, &key_step(at, key), out));
        }
        (Schema::Named(fields) | Schema::Ports(fields), Value::Array(entries)) => {
            for entry in entries.iter().filter_map(Value::as_object) {
                let mut below = at.clone();
                below.push(entry_step(schema, entry));
                out.entries.insert(below.clone());
                let mut entry = entry.clone();
                if matches!(schema, Schema::Ports(_)) {
                    entry.entry("protocol").or_insert_with(|| "TCP".into());
                }
                walk_fields(fields, &entry, &below, out);
            }
            return;
        }
        (Schema::Quantity, value) => format!("{:?} thousandths", thousandths(value)),
        (Schema::Duration, Value::String(text)) => format!("{:?} seconds", seconds(text)),
        (Schema::Set, Value::Array(entries)) if !entries.is_empty() => {
            format!("{:?}", entries.iter().map(Value::to_string).collect::<BTreeSet<_>>())
        }
        (Schema::Atomic | Schema::Set, Value::Array(entries)) if entries.is_empty() => return,
        (_, value) => value.to_string(),
    };
    out.leaves.insert(at.clone(), text);
}

fn walk_fields(fields: &[(&'static str, Schema)], values: &Map<String, Value>, at: &Steps, out: &mut Leaves) {
    let before = out.leaves.len();
    for (key, value) in values {
        let schema = fields.iter().find(|(name, _)| name == key).map_or(&Schema::Text, |(_, schema)| schema);
        walk(schema, value, &key_step(at, key), out);
    }
    if out.leaves.len() == before {
        out.leaves.insert(at.clone(), "{}".to_owned());
    }
}

fn key_step(at: &Steps, key: &str) -> Steps {
    let mut steps = at.clone();
    let plain = key.chars().all(|c| c.is_alphanumeric() || c == '-');
    steps.push(match (plain, at.is_empty()) {
        (true, true) => key.to_owned(),
        (true, false) => format!(".{key}"),
        (false, _) if !key.contains(['.', '[', ']']) => {
            if at.is_empty() {
                key.to_owned()
            } else {
                format!(".{key}")
            }
        }
        (false, _) => format!("[{key:?}]"),
    });
    steps
}

fn entry_step(schema: &Schema, entry: &Map<String, Value>) -> String {
    let text = |key: &str| entry.get(key).map(Value::to_string).unwrap_or_default();
    match schema {
        Schema::Ports(_) => {
            let protocol = entry.get("protocol").and_then(Value::as_str).unwrap_or("TCP");
            format!("[port={},protocol={protocol}]", text("port"))
        }
        // A text that could be read as a number, a boolean or the list's own grammar keeps its quotes.
        _ => match entry.get("name").and_then(Value::as_str).unwrap_or_default() {
            name @ ("80" | "true" | "a,b]") => format!("[name={name:?}]"),
            name => format!("[name={name}]"),
        },
    }
}

/// A generated quantity in thousandths, by plain arithmetic.
pub fn thousandths(value: &Value) -> Option<i64> {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let text = text.trim_start_matches('+');
    if let Some((number, _)) = text.split_once(['e', 'E']) {
        return number.parse().ok();
    }
    if let Some(number) = text.strip_suffix('m') {
        return number.parse().ok();
    }
    if let Some(number) = text.strip_suffix('u') {
        return Some(number.parse::<i64>().ok()? / 1000);
    }
    if let Some(number) = text.strip_suffix("Ki") {
        return Some(number.parse::<i64>().ok()? * 1_024_000);
    }
    match text.split_once('.') {
        Some((whole, fraction)) => Some(whole.parse::<i64>().ok()? * 1000 + fraction.parse::<i64>().ok()?),
        None => Some(text.parse::<i64>().ok()? * 1000),
    }
}

/// A generated duration in seconds, by plain arithmetic.
pub fn seconds(text: &str) -> Option<usize> {
    let text = text.trim_start_matches('+');
    if let Some(number) = text.strip_suffix("ms") {
        return Some(number.parse::<usize>().ok()? / 1000);
    }
    let text = text.strip_suffix('s')?;
    if let Some(whole) = text.strip_suffix(".0") {
        return whole.parse().ok();
    }
    match text.split_once('m') {
        Some((minutes, seconds)) => Some(minutes.parse::<usize>().ok()? * 60 + seconds.parse::<usize>().ok()?),
        None => text.parse().ok(),
    }
}
