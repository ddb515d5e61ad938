//! Paths with `*` in them, and the places in an object that they name.

use serde_json::Value;
use trueup_core::equal::entry_names;
use trueup_core::path::{Path, Segment};
use trueup_core::pattern::NamePattern;
use trueup_core::shape::{Merge, Shape, Types};

/// All paths in `value` (of this shape) that `pattern` names: `*` in a key or in an entry's value is any text.
#[must_use]
pub fn places(pattern: &Path, value: &Value, types: &Types, shape: &Shape) -> Vec<Path> {
    let mut found = Vec::new();
    walk(&pattern.0, value, (types, shape), &Path::root(), &mut found);
    found
}

fn walk(pattern: &[Segment], value: &Value, (types, shape): (&Types, &Shape), at: &Path, found: &mut Vec<Path>) {
    let Some((first, rest)) = pattern.split_first() else {
        found.push(at.clone());
        return;
    };
    match (first, value) {
        (Segment::Key(wanted), Value::Object(fields)) => {
            for (key, below) in fields.iter().filter(|(key, _)| matches(wanted, key)) {
                walk(rest, below, (types, types.field(shape, key)), &at.key(key), found);
            }
        }
        (Segment::Entry(wanted), Value::Array(entries)) => {
            let (item, merge) = shape.entries();
            let names = names(entries, merge);
            for (entry, name) in entries.iter().zip(names).filter(|(entry, _)| is_entry(wanted, entry)) {
                walk(rest, entry, (types, item), &at.child(name), found);
            }
        }
        (Segment::Index(index), Value::Array(entries)) => {
            if let Some(entry) = entries.get(*index) {
                walk(rest, entry, (types, shape.entries().0), &at.child(first.clone()), found);
            }
        }
        (Segment::Key(_) | Segment::Entry(_) | Segment::Index(_), _) => {}
    }
}

/// The entries' segments, as comparing them names them.
fn names(entries: &[Value], merge: &Merge) -> Vec<Segment> {
    let by_key = match merge {
        Merge::Keyed(keys) => entry_names(entries, keys),
        Merge::Atomic | Merge::Set => None,
    };
    by_key.unwrap_or_else(|| (0..entries.len()).map(Segment::Index).collect())
}

fn is_entry(wanted: &[(String, String)], entry: &Value) -> bool {
    wanted.iter().all(|(key, pattern)| match (entry.get(key), serde_json::from_str(pattern)) {
        (Some(Value::String(text)), Ok(Value::String(pattern))) => matches(&pattern, text),
        (Some(found), Ok(pattern)) => pattern == "*" || pattern == *found,
        (None, _) | (_, Err(_)) => false,
    })
}

fn matches(pattern: &str, text: &str) -> bool {
    NamePattern::new(pattern).matches(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::collections::BTreeMap;

    #[test]
    fn entries_are_named_by_their_merge_keys_or_their_place() {
        let value = json!({"ports": [{"port": 80, "protocol": "TCP", "nodePort": 1}, {"port": 81, "protocol": "TCP"}]});
        let keyed = Shape::List { item: Box::default(), merge: Merge::Keyed(vec!["port".into(), "protocol".into()]) };
        let types = Types(BTreeMap::from([("T".to_owned(), BTreeMap::from([("ports".to_owned(), keyed)]))]));
        let pattern: Path = "ports[port=*].nodePort".parse().expect("a path");
        let texts = |shape| -> Vec<String> { places(&pattern, &value, &types, &shape).iter().map(ToString::to_string).collect() };
        assert_eq!(texts(Shape::Object("T".into())), ["ports[port=80,protocol=TCP].nodePort"]);
        assert_eq!(texts(Shape::Any), ["ports[0].nodePort"]);
    }
}
