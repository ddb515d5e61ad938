//! Whether two values are the same to Kubernetes, by their shape.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::path::Segment;
use crate::quantity::{Quantity, duration_nanoseconds, time_microseconds};
use crate::shape::{Merge, Shape, Types};

/// Whether the server keeps no difference between `a` and `b`.
#[must_use]
pub fn same(types: &Types, shape: &Shape, a: Option<&Value>, b: Option<&Value>) -> bool {
    if shape.is_absent(a) || shape.is_absent(b) {
        return shape.is_absent(a) && shape.is_absent(b);
    }
    match (a, b) {
        (Some(a), Some(b)) => same_values(types, shape, a, b),
        _ => false,
    }
}

fn same_values(types: &Types, shape: &Shape, a: &Value, b: &Value) -> bool {
    match (shape, a, b) {
        (Shape::Quantity, _, _) => match (quantity(a), quantity(b)) {
            (Some(a), Some(b)) => a == b,
            _ => a == b,
        },
        (Shape::Duration, Value::String(x), Value::String(y)) => match (duration_nanoseconds(x), duration_nanoseconds(y)) {
            (Some(x), Some(y)) => x == y,
            _ => x == y,
        },
        (Shape::Time, Value::String(x), Value::String(y)) => same_instant(x, y, 1_000_000),
        (Shape::MicroTime, Value::String(x), Value::String(y)) => same_instant(x, y, 1),
        (_, Value::Object(x), Value::Object(y)) => same_objects(types, shape, x, y),
        (_, Value::Array(x), Value::Array(y)) => same_lists(types, shape, x, y),
        (_, Value::Number(x), Value::Number(y)) => same_numbers(x, y),
        _ => a == b,
    }
}

fn same_objects(types: &Types, shape: &Shape, a: &Map<String, Value>, b: &Map<String, Value>) -> bool {
    let shapes = types.fields(shape);
    a.iter().all(|(key, value)| same_field(types, shapes.of(key), key, Some(value), b.get(key)))
        && b.iter().all(|(key, value)| a.contains_key(key) || same(types, shapes.of(key), None, Some(value)))
}

/// [`same`], for the values of a field of this name: in some keyed lists the order means something.
#[must_use]
pub fn same_field(types: &Types, shape: &Shape, key: &str, a: Option<&Value>, b: Option<&Value>) -> bool {
    same(types, shape, a, b) && is_in_order(shape, key, a, b)
}

/// Whether the entries that both lists have stand in one order, where this field's order means something.
#[must_use]
pub fn is_in_order(shape: &Shape, key: &str, a: Option<&Value>, b: Option<&Value>) -> bool {
    let (Some(Value::Array(a)), Some(Value::Array(b))) = (a, b) else { return true };
    let keys = match shape.entries().1 {
        Merge::Keyed(keys) => keys,
        // Finalizers run in any order, but who reads them should not have to know that.
        Merge::Set => return key != "finalizers" || a == b,
        Merge::Atomic => return true,
    };
    if !order_matters(key, a) {
        return true;
    }
    let (Some(a), Some(b)) = (entry_names(a, keys), entry_names(b, keys)) else { return true };
    let (in_a, in_b): (HashSet<&Segment>, HashSet<&Segment>) = (a.iter().collect(), b.iter().collect());
    a.iter().filter(|name| in_b.contains(name)).eq(b.iter().filter(|name| in_a.contains(name)))
}

/// Init containers run in order, and an environment value may refer to those before it.
fn order_matters(key: &str, entries: &[Value]) -> bool {
    let refers = |entry: &Value| entry.get("value").and_then(Value::as_str).is_some_and(|text| text.contains("$("));
    key == "initContainers" || (key == "env" && entries.iter().any(refers))
}

fn same_lists(types: &Types, shape: &Shape, a: &[Value], b: &[Value]) -> bool {
    let (item, merge) = shape.entries();
    if a.len() != b.len() && *merge != Merge::Set {
        return false;
    }
    let pairwise = || a.iter().zip(b).all(|(a, b)| same(types, item, Some(a), Some(b)));
    match merge {
        Merge::Atomic => pairwise(),
        Merge::Set => same_sets(types, item, a, b),
        // In most lists the same entries stand in the same order, and no name is needed to find them.
        Merge::Keyed(keys) if a.iter().zip(b).all(|(a, b)| keys.iter().all(|key| a.get(key) == b.get(key))) => pairwise(),
        Merge::Keyed(keys) => match (entry_names(a, keys), entry_names(b, keys)) {
            (Some(names), Some(others)) => {
                let others: HashMap<Segment, &Value> = others.into_iter().zip(b).collect();
                a.iter().zip(&names).all(|(entry, name)| same(types, item, Some(entry), others.get(name).copied()))
            }
            _ => pairwise(),
        },
    }
}

/// Each entry of the one is in the other; what stands there twice is there once. Most entries are spelt alike, and need no
/// search.
fn same_sets(types: &Types, item: &Shape, a: &[Value], b: &[Value]) -> bool {
    let within = |some: &[Value], others: &[Value]| {
        let spelt: BTreeSet<String> = others.iter().map(Value::to_string).collect();
        let stands_there = |entry| others.iter().any(|other| same(types, item, Some(entry), Some(other)));
        some.iter().all(|entry| spelt.contains(&entry.to_string()) || stands_there(entry))
    };
    within(a, b) && within(b, a)
}

/// Each entry's name by its merge keys; `None` where an entry has no name or two share one: such a list is one value.
#[must_use]
pub fn entry_names(entries: &[Value], keys: &[String]) -> Option<Vec<Segment>> {
    let mut names: Vec<Segment> = Vec::with_capacity(entries.len());
    for entry in entries {
        let name: Vec<(&str, &Value)> = keys.iter().filter_map(|key| Some((key.as_str(), entry.get(key)?))).collect();
        if name.is_empty() {
            return None;
        }
        names.push(Segment::entry(&name));
    }
    let mut seen = HashSet::with_capacity(names.len());
    let unique = names.iter().all(|name| seen.insert(name));
    unique.then_some(names)
}

/// Whether two times are the same to so many microseconds.
fn same_instant(a: &str, b: &str, precision: i64) -> bool {
    match (time_microseconds(a), time_microseconds(b)) {
        (Some(a), Some(b)) => a.div_euclid(precision) == b.div_euclid(precision),
        _ => a == b,
    }
}

fn quantity(value: &Value) -> Option<Quantity> {
    match value {
        Value::String(text) => Quantity::parse(text),
        Value::Number(number) => Quantity::parse(&number.to_string()),
        _ => None,
    }
}

/// `1` is `1.0`; integers compare exactly, however large.
fn same_numbers(a: &serde_json::Number, b: &serde_json::Number) -> bool {
    match (a.as_i128(), b.as_i128()) {
        (Some(a), Some(b)) => a == b,
        (Some(integer), None) => is_float_of(integer, b),
        (None, Some(integer)) => is_float_of(integer, a),
        (None, None) => a.as_f64() == b.as_f64(),
    }
}

/// Whether `float` is this integer and no neighbour of it.
fn is_float_of(integer: i128, float: &serde_json::Number) -> bool {
    // Both are printed with all their digits.
    float.as_f64().is_some_and(|float| format!("{float:.0}") == integer.to_string() && float.fract() == 0.0)
}
