//! Step 4: what is live, against what the server makes of Git's words.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::equal::{entry_names, is_in_order, same_field};
use crate::facts::{Extent, Matched, Secrecy};
use crate::finding::{Change, Drift};
use crate::leftover::Traces;
use crate::path::{Path, Segment};
use crate::seen::{DigestKey, Seen};
use crate::shape::{Merge, Shape, Types};
use crate::tracking;

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
    let mut walk = Walk { matched, types, key, traces: OnceCell::new(), found: Comparison::default() };
    let sides = Sides {
        declared: Some(&matched.desired.value),
        expected: Some(&matched.expected.value),
        live: Some(&matched.live.value),
    };
    walk.value(&Path::root(), shape, sides);
    let mut found = walk.found;
    found.drifts.extend(tracking::loss(matched, !found.drifts.is_empty()));
    found
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
    /// Read at the first value that Git does not declare.
    traces: OnceCell<Traces<'a>>,
    found: Comparison,
}

impl Walk<'_> {
    fn value(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>) {
        if same_field(self.types, shape, field_name(at), sides.expected, sides.live) {
            return;
        }
        // Live is what Git says, whatever admission would make of it today.
        if present(sides.declared).is_some() && same_field(self.types, shape, field_name(at), sides.declared, sides.live) {
            return;
        }
        // To declare an empty list or map is to declare none.
        let sides = Sides { declared: sides.declared.filter(|value| !shape.is_absent(Some(value))), ..sides };
        match (present(sides.expected), present(sides.live)) {
            (Some(Value::Object(expected)), Some(Value::Object(live))) => self.fields(at, shape, sides, expected, live),
            (None, Some(Value::Object(live))) if self.is_filled(shape, live) => self.fields(at, shape, sides, &Map::new(), live),
            (Some(Value::Object(expected)), None) if self.is_filled(shape, expected) && !self.declares_empty(shape, sides) => {
                self.fields(at, shape, sides, expected, &Map::new());
            }
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

    /// Whether there is anything in an object that the server keeps.
    fn is_filled(&self, shape: &Shape, fields: &Map<String, Value>) -> bool {
        matches!(shape, Shape::Map(_)) || fields.iter().any(|(key, value)| !self.types.field(shape, key).is_absent(Some(value)))
    }

    /// Whether Git asks for the object itself and for nothing in it, as in `emptyDir: {}`.
    fn declares_empty(&self, shape: &Shape, sides: Sides<'_>) -> bool {
        sides.declared.and_then(Value::as_object).is_some_and(|fields| !self.is_filled(shape, fields))
    }

    fn entries(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>, expected: &[Value], live: &[Value]) {
        let (item, merge) = shape.entries();
        let Merge::Keyed(keys) = merge else { return self.leaf(at, sides) };
        // Admission adds entries to keyed lists; a whole one is put right with them.
        let whole = Sides { declared: present(sides.declared).and(sides.expected), ..sides };
        let (Some(expected_names), Some(live_names)) = (entry_names(expected, keys), entry_names(live, keys)) else {
            return self.leaf(at, whole);
        };
        if !is_in_order(shape, field_name(at), sides.expected, sides.live) {
            return self.leaf(at, whole);
        }
        let declared = sides.declared.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let by_name = Entries {
            declared: declared_entries(declared, &expected_names, &live_names),
            expected: expected_names.iter().zip(expected).collect(),
            live: live_names.iter().zip(live).collect(),
        };
        let added = live_names.iter().filter(|name| !by_name.expected.contains_key(name));
        for name in expected_names.iter().chain(added) {
            let entry = by_name.sides(name);
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
        // `null` in Git declares nothing.
        let declared = present(sides.declared);
        let change = match (declared, present(sides.live)) {
            (None, None) => {
                self.found.not_admitted.push(at.clone());
                return;
            }
            (Some(_), None) => Change::Removed,
            (Some(_), Some(_)) => Change::Changed,
            (None, Some(_)) if self.was_declared(at) => Change::Leftover,
            (None, Some(_)) => Change::Undeclared,
        };
        let root = if sides.live.is_some() { &self.matched.live.value } else { &self.matched.expected.value };
        let drift = Drift {
            path: at.clone(),
            pointer: at.pointer_in(root).unwrap_or_default(),
            change,
            desired: declared.or(present(sides.expected)).map(|value| self.seen(value)),
            live: present(sides.live).map(|value| self.seen(value)),
        };
        let allowance = self.matched.expected.allowances.iter().find(|allowance| {
            let gives_way = allowance.extent == Extent::Declared || declared.is_none();
            gives_way && allowance.path.covers(at)
        });
        match allowance {
            Some(allowance) => self.found.allowed.push((drift, allowance.reason.clone())),
            None => self.found.drifts.push(drift),
        }
    }

    fn was_declared(&self, at: &Path) -> bool {
        self.traces.get_or_init(|| Traces::of(self.matched)).declared_once(at).is_some()
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

/// The field whose value stands at this path; none for the root and for list entries.
fn field_name(at: &Path) -> &str {
    match at.0.last() {
        Some(Segment::Key(key)) => key,
        Some(Segment::Index(_) | Segment::Entry(_)) | None => "",
    }
}

/// A keyed list's entries on each side.
struct Entries<'a> {
    declared: BTreeMap<&'a Segment, &'a Value>,
    expected: BTreeMap<&'a Segment, &'a Value>,
    live: BTreeMap<&'a Segment, &'a Value>,
}

impl<'a> Entries<'a> {
    fn sides(&self, name: &Segment) -> Sides<'a> {
        let get = |side: &BTreeMap<&'a Segment, &'a Value>| side.get(name).copied();
        Sides { declared: get(&self.declared), expected: get(&self.expected), live: get(&self.live) }
    }
}

/// Which declared entry became the entry of each name. Git may leave out a key that has a default, as a port's protocol:
/// such an entry is the first expected one that it agrees with and that no other entry names in full.
fn declared_entries<'a>(declared: &'a [Value], expected: &'a [Segment], live: &'a [Segment]) -> BTreeMap<&'a Segment, &'a Value> {
    let mut by_name = BTreeMap::new();
    let mut in_part = Vec::new();
    for entry in declared {
        match expected.iter().chain(live).find(|name| agreement(name, entry) == Agreement::Full) {
            Some(name) => drop(by_name.insert(name, entry)),
            None => in_part.push(entry),
        }
    }
    for entry in in_part {
        let free = expected.iter().find(|name| !by_name.contains_key(name) && agreement(name, entry) == Agreement::InPart);
        if let Some(name) = free {
            by_name.insert(name, entry);
        }
    }
    by_name
}

/// How far an entry carries the merge keys of a name.
#[derive(PartialEq, Eq)]
enum Agreement {
    Full,
    InPart,
    None,
}

fn agreement(name: &Segment, entry: &Value) -> Agreement {
    let Segment::Entry(keys) = name else { return Agreement::None };
    let agrees = |(key, text): &(String, String)| Some(entry.get(key).map(Value::to_string)? == *text);
    let given: Vec<bool> = keys.iter().filter_map(agrees).collect();
    match given.len() {
        _ if given.contains(&false) => Agreement::None,
        0 => Agreement::None,
        all if all == keys.len() => Agreement::Full,
        _ => Agreement::InPart,
    }
}
