//! Step 4: what is live, against what the server makes of Git's words.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::equal::{entry_names, same};
use crate::facts::{Extent, Matched, Secrecy};
use crate::finding::{Change, Drift};
use crate::path::{Path, Segment};
use crate::seen::{DigestKey, Seen};
use crate::shape::{Merge, Shape, Types};

/// Everything that one object's comparison showed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Comparison {
    /// What differs.
    pub drifts: Vec<Drift>,
    /// What differs by right, and by which.
    pub allowed: Vec<(Drift, String)>,
    /// What the server would add to Git's words and live does not have: not yet admitted, no finding.
    pub not_admitted: Vec<Path>,
}

/// Compares one object. Every path is judged by its shape: lists by their keys, quantities by value.
///
/// `key` masks the values of secret objects.
#[must_use]
pub fn compare(matched: &Matched, types: &Types, shape: &Shape, key: &DigestKey) -> Comparison {
    let mut walk = Walk { matched, types, key, found: Comparison::default() };
    let sides = Sides {
        declared: Some(&matched.desired.value),
        expected: Some(&matched.expected.value),
        live: Some(&matched.live.value),
    };
    walk.value(&Path::root(), shape, sides);
    walk.found
}

/// One path's three values.
#[derive(Clone, Copy)]
struct Sides<'a> {
    declared: Option<&'a Value>,
    expected: Option<&'a Value>,
    live: Option<&'a Value>,
}

impl<'a> Sides<'a> {
    fn field(self, key: &str) -> Self {
        let get = |side: Option<&'a Value>| side.and_then(|value| value.get(key));
        Self { declared: get(self.declared), expected: get(self.expected), live: get(self.live) }
    }
}

struct Walk<'a> {
    matched: &'a Matched,
    types: &'a Types,
    key: &'a DigestKey,
    found: Comparison,
}

impl Walk<'_> {
    fn value(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>) {
        if same(self.types, shape, sides.expected, sides.live) {
            return;
        }
        // Live is what Git says, whatever admission would make of it today.
        if present(sides.declared).is_some() && same(self.types, shape, sides.declared, sides.live) {
            return;
        }
        match (present(sides.expected), present(sides.live)) {
            (Some(Value::Object(expected)), Some(Value::Object(live))) => self.fields(at, shape, sides, expected, live),
            (None, Some(Value::Object(live))) if !live.is_empty() => self.fields(at, shape, sides, &Map::new(), live),
            (Some(Value::Object(expected)), None) if !expected.is_empty() => self.fields(at, shape, sides, expected, &Map::new()),
            (Some(Value::Array(expected)), Some(Value::Array(live))) => self.entries(at, shape, sides, expected, live),
            (None, Some(Value::Array(live))) => self.entries(at, shape, sides, &[], live),
            (Some(Value::Array(expected)), None) => self.entries(at, shape, sides, expected, &[]),
            _ => self.leaf(at, sides),
        }
    }

    fn fields(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>, expected: &Map<String, Value>, live: &Map<String, Value>) {
        let keys: BTreeSet<&String> = expected.keys().chain(live.keys()).collect();
        for key in keys {
            self.value(&at.key(key), self.types.field(shape, key), sides.field(key));
        }
    }

    fn entries(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>, expected: &[Value], live: &[Value]) {
        let (item, merge) = shape.entries();
        let Merge::Keyed(keys) = merge else { return self.leaf(at, sides) };
        let (Some(expected_names), Some(live_names)) = (entry_names(expected, keys), entry_names(live, keys)) else {
            return self.leaf(at, sides);
        };
        if order_matters(at, expected) && is_reordered(&expected_names, &live_names) {
            return self.leaf(at, sides);
        }
        let declared = sides.declared.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let added = live_names.iter().filter(|name| !expected_names.contains(name));
        for name in expected_names.iter().chain(added) {
            let entry = Sides {
                declared: declared_entry(declared, name),
                expected: expected.iter().find(|entry| name.names_entry(entry)),
                live: live.iter().find(|entry| name.names_entry(entry)),
            };
            let path = at.child(name.clone());
            if entry.expected.is_some() && entry.live.is_some() {
                self.value(&path, item, entry);
            } else {
                self.leaf(&path, entry);
            }
        }
    }

    /// One difference that is not taken apart any further.
    fn leaf(&mut self, at: &Path, sides: Sides<'_>) {
        let change = match (sides.declared, present(sides.live)) {
            (Some(Value::Null) | None, None) => {
                self.found.not_admitted.push(at.clone());
                return;
            }
            (Some(_), None) => Change::Removed,
            (Some(_), Some(_)) => Change::Changed,
            (None, Some(_)) => Change::Undeclared,
        };
        let root = if sides.live.is_some() { &self.matched.live.value } else { &self.matched.expected.value };
        let drift = Drift {
            path: at.clone(),
            pointer: at.pointer_in(root).unwrap_or_default(),
            change,
            desired: sides.declared.or(present(sides.expected)).map(|value| self.seen(value)),
            live: present(sides.live).map(|value| self.seen(value)),
        };
        let allowance = self.matched.expected.allowances.iter().find(|allowance| {
            let gives_way = allowance.extent == Extent::Declared || change == Change::Undeclared;
            gives_way && allowance.path.covers(at)
        });
        match allowance {
            Some(allowance) => self.found.allowed.push((drift, allowance.reason.clone())),
            None => self.found.drifts.push(drift),
        }
    }

    fn seen(&self, value: &Value) -> Seen {
        match self.matched.secrecy {
            Secrecy::Open => Seen::Plain(value.clone()),
            Secrecy::Secret => Seen::Masked(self.key.mask(value)),
        }
    }
}

/// A value that is there: `null` is none.
fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// The declared entry that became the entry of this name: the one that agrees on most merge keys and contradicts none
/// (Git may leave out a key that has a default, as a port's protocol).
fn declared_entry<'a>(declared: &'a [Value], name: &Segment) -> Option<&'a Value> {
    let Segment::Entry(keys) = name else { return None };
    let agreeing = |entry: &Value| {
        let given: Vec<&(String, String)> = keys.iter().filter(|(key, _)| entry.get(key).is_some()).collect();
        let agrees = given.iter().all(|(key, text)| entry.get(key).map(Value::to_string).as_ref() == Some(text));
        (agrees && !given.is_empty()).then_some(given.len())
    };
    declared
        .iter()
        .filter_map(|entry| Some((agreeing(entry)?, entry)))
        .max_by_key(|(agreeing, _)| *agreeing)
        .map(|(_, entry)| entry)
}

/// Init containers run in order, and an environment value may refer to those before it.
fn order_matters(at: &Path, entries: &[Value]) -> bool {
    match at.0.last() {
        Some(Segment::Key(key)) if key == "initContainers" => true,
        Some(Segment::Key(key)) if key == "env" => {
            entries.iter().any(|entry| entry.get("value").and_then(Value::as_str).is_some_and(|text| text.contains("$(")))
        }
        _ => false,
    }
}

/// Whether the entries that both lists have stand in another order.
fn is_reordered(expected: &[Segment], live: &[Segment]) -> bool {
    let common = live.iter().filter(|name| expected.contains(name));
    let in_order = expected.iter().filter(|name| live.contains(name));
    !common.eq(in_order)
}
