//! Step 4: what is live, against what the server makes of Git's words.

mod account;
mod entries;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::equal::{entry_names, is_in_order, same, same_field};
use crate::facts::{Extent, Matched};
use crate::finding::{Change, Drift};
use crate::leftover::Traces;
use crate::path::{Path, Places, Segment};
use crate::secret::seen;
use crate::seen::DigestKey;
use crate::shape::{Merge, Shape, Types};
use crate::tracking;

use entries::{Entries, in_step};

pub use account::{Account, Silence, Spelling, Verdict};

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
/// `key` masks secret values.
#[must_use]
pub fn compare(matched: &Matched, types: &Types, shape: &Shape, key: &DigestKey) -> Comparison {
    let mut comparison = Comparison::default();
    for account in walk(matched, (types, shape), key, Depth::Differences) {
        match (&account.verdict, account.drift()) {
            (Verdict::Differs(_), Some(drift)) => comparison.drifts.push(drift),
            (Verdict::Allowed(_, allowance), Some(drift)) => comparison.allowed.push((drift, allowance.reason.clone())),
            (Verdict::Silent(_), _) | (_, None) => comparison.not_admitted.push(account.path),
        }
    }
    comparison
}

/// The same comparison with the verdict on every path, also on those that do not differ: the same walk, which goes on where
/// [`compare`] has seen enough.
#[must_use]
pub fn accounts(matched: &Matched, types: &Types, shape: &Shape, key: &DigestKey) -> Vec<Account> {
    walk(matched, (types, shape), key, Depth::Everything)
}

fn walk(matched: &Matched, (types, shape): (&Types, &Shape), key: &DigestKey, depth: Depth) -> Vec<Account> {
    let mut walk = Walk {
        matched,
        types,
        key,
        depth,
        places: [&matched.live.value, &matched.expected.value, &matched.desired.value].map(Places::of),
        traces: OnceCell::new(),
        declared_at: OnceCell::new(),
        found: Vec::new(),
    };
    let sides = Sides {
        declared: Some(&matched.desired.value),
        expected: Some(&matched.expected.value),
        live: Some(&matched.live.value),
    };
    // Whatever their shape, equal values are the same.
    if depth == Depth::Everything {
        walk.value(&Path::root(), shape, sides);
    } else if matched.expected.value != matched.live.value {
        walk.inside(&Path::root(), shape, sides);
    }
    let mut found = walk.found;
    let differs = found.iter().any(|account| matches!(account.verdict, Verdict::Differs(_)));
    found.extend(tracking::loss(matched, differs).map(Account::of));
    found
}

/// How far a walk goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Depth {
    /// To what differs.
    Differences,
    /// To every value.
    Everything,
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

    fn all(self) -> impl Iterator<Item = &'a Value> {
        [self.declared, self.expected, self.live].into_iter().filter_map(present)
    }
}

struct Walk<'a> {
    matched: &'a Matched,
    types: &'a Types,
    key: &'a DigestKey,
    depth: Depth,
    /// Of live, of what is expected, and of what is declared.
    places: [Places<'a>; 3],
    /// Read at the first value that Git does not declare.
    traces: OnceCell<Traces<'a>>,
    /// The JSON pointer of each declared value, by the very value.
    declared_at: OnceCell<BTreeMap<*const Value, String>>,
    found: Vec<Account>,
}

impl Walk<'_> {
    fn value(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>) {
        if same_field(self.types, shape, field_name(at), sides.expected, sides.live) {
            return self.silent(at, shape, sides);
        }
        self.inside(at, shape, sides);
    }

    /// A value of which it is not known that live is what is expected.
    fn inside(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>) {
        // Live is what Git says, whatever admission would make of it today.
        if present(sides.declared).is_some() && same_field(self.types, shape, field_name(at), sides.declared, sides.live) {
            return self.silent(at, shape, sides);
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
            (None, Some(Value::Array(live))) if !live.is_empty() => self.entries(at, shape, sides, &[], live),
            (Some(Value::Array(expected)), None) if !expected.is_empty() => self.entries(at, shape, sides, expected, &[]),
            _ => self.leaf(at, sides),
        }
    }

    fn fields(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>, expected: &Map<String, Value>, live: &Map<String, Value>) {
        let mut keys: BTreeSet<&String> = expected.keys().chain(live.keys()).collect();
        if self.depth == Depth::Everything {
            keys.extend(sides.declared.and_then(Value::as_object).into_iter().flat_map(Map::keys));
        }
        let shapes = self.types.fields(shape);
        for key in keys {
            let (at, shape, sides) = (at.key(key), shapes.of(key), sides.field(key));
            // An object of so many fields is the same if each of them is: to ask that of the whole first, at each level, would
            // compare what is deep as often as it is deep.
            let is_object = matches!(shape, Shape::Object(_)) && sides.expected.or(sides.live).is_some_and(Value::is_object);
            if is_object && self.depth == Depth::Differences {
                self.inside(&at, shape, sides);
            } else {
                self.value(&at, shape, sides);
            }
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
        let Some(expected_names) = entry_names(expected, keys) else { return self.leaf(at, whole) };
        if let Some(all) = in_step(keys, sides.declared, expected, live) {
            for (name, entry) in expected_names.into_iter().zip(all) {
                self.entry(|| at.child(name), item, entry);
            }
            return;
        }
        let Some(live_names) = entry_names(live, keys) else { return self.leaf(at, whole) };
        if !is_in_order(shape, field_name(at), sides.expected, sides.live) {
            return self.leaf(at, whole);
        }
        let by_name = Entries::of(sides.declared, (&expected_names, expected), (&live_names, live));
        let added = live_names.iter().filter(|name| !by_name.expected.contains_key(name));
        for name in expected_names.iter().chain(added) {
            self.entry(|| at.child(name.clone()), item, by_name.sides(name));
        }
    }

    /// One entry of a keyed list; of most of them no path is needed.
    fn entry(&mut self, at: impl FnOnce() -> Path, item: &Shape, sides: Sides<'_>) {
        if sides.expected.is_none() || sides.live.is_none() {
            self.leaf(&at(), sides);
        } else if self.depth == Depth::Everything {
            self.value(&at(), item, sides);
        } else if !same(self.types, item, sides.expected, sides.live) {
            self.inside(&at(), item, sides);
        }
    }

    /// One difference that is not taken apart any further.
    fn leaf(&mut self, at: &Path, sides: Sides<'_>) {
        // `null` in Git declares nothing.
        let change = match (present(sides.declared), present(sides.live)) {
            (None, None) if self.matched.expected.filled.contains(at) => Change::Removed,
            (None, None) => return self.record(at, sides, Verdict::Silent(Silence::NotAdmitted)),
            (Some(_), None) => Change::Removed,
            (Some(_), Some(_)) => Change::Changed,
            (None, Some(_)) if self.was_declared(at) => Change::Leftover,
            (None, Some(_)) => Change::Undeclared,
        };
        let allowance = self.matched.expected.allowances.iter().find(|allowance| {
            let gives_way = allowance.extent == Extent::Declared || present(sides.declared).is_none();
            gives_way && allowance.path.covers(at)
        });
        let verdict = allowance.map_or(Verdict::Differs(change), |allowance| Verdict::Allowed(change, allowance.clone()));
        self.record(at, sides, verdict);
    }

    /// No difference: where every path is asked for, the walk goes on to the values that are judged for themselves.
    fn silent(&mut self, at: &Path, shape: &Shape, sides: Sides<'_>) {
        if self.depth == Depth::Differences {
            return;
        }
        let keys: BTreeSet<&String> = sides.all().filter_map(Value::as_object).flat_map(Map::keys).collect();
        if !keys.is_empty() && sides.all().all(Value::is_object) {
            for key in keys {
                self.silent(&at.key(key), self.types.field(shape, key), sides.field(key));
            }
            return;
        }
        if let Some(entries) = silent_entries(shape, sides) {
            let (item, _) = shape.entries();
            for (name, entry) in entries {
                self.silent(&at.child(name), item, entry);
            }
            return;
        }
        self.record(at, sides, Verdict::Silent(self.silence(at, shape, sides)));
    }

    fn silence(&self, at: &Path, shape: &Shape, sides: Sides<'_>) -> Silence {
        let is_none = |side| shape.is_absent(side);
        let same = |a, b| same_field(self.types, shape, field_name(at), a, b);
        match (present(sides.declared), present(sides.live)) {
            (_, None) if !is_none(sides.expected) => Silence::NotAdmitted,
            (None, live) if is_none(live) => Silence::SameAsNone,
            (None, _) => Silence::Default,
            (declared, None) if is_none(declared) => Silence::SameAsNone,
            (Some(_), None) => Silence::NotKept,
            (Some(declared), Some(live)) if declared == live && same(sides.expected, sides.live) => Silence::AsDeclared,
            (Some(declared), Some(live)) if declared == live => Silence::AsWritten,
            (Some(_), Some(_)) if !same(sides.declared, sides.live) => Silence::AsAdmitted,
            (Some(_), Some(live)) => Silence::Respelt(spelling(shape, live)),
        }
    }

    fn was_declared(&self, at: &Path) -> bool {
        self.traces.get_or_init(|| Traces::of(self.matched)).declared_once(at).is_some()
    }

    /// The JSON pointer (RFC 6901) of this very value as Git declares it: Git may write an entry without all of its keys, so
    /// that its path does not lead to it.
    fn declared_at(&self, declared: &Value) -> Option<String> {
        let all = self.declared_at.get_or_init(|| {
            let mut all = BTreeMap::new();
            pointers(&self.matched.desired.value, "", &mut all);
            all
        });
        all.get(&std::ptr::from_ref(declared)).cloned()
    }

    fn record(&mut self, at: &Path, sides: Sides<'_>, verdict: Verdict) {
        let everything = self.depth == Depth::Everything;
        let mut sides_at = [sides.live, sides.expected, sides.declared].into_iter().zip(&self.places);
        let places = sides_at.find(|(side, _)| side.is_some()).map(|(_, places)| places);
        let shown = |side| present(side).map(|value| seen(self.matched.secrecy, at, value, self.key));
        self.found.push(Account {
            path: at.clone(),
            pointer: places.and_then(|places| places.pointer(at)).unwrap_or_default(),
            declared_at: sides.declared.filter(|_| everything).and_then(|declared| self.declared_at(declared)),
            declared: shown(sides.declared),
            expected: shown(sides.expected),
            live: shown(sides.live),
            verdict,
        });
    }
}

/// The entries of a list that are judged each for itself.
fn silent_entries<'a>(shape: &Shape, sides: Sides<'a>) -> Option<Vec<(Segment, Sides<'a>)>> {
    let (_, Merge::Keyed(keys)) = shape.entries() else { return None };
    let list = |side: Option<&'a Value>| side.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let (expected, live) = (list(sides.expected), list(sides.live));
    let (expected_names, live_names) = (entry_names(expected, keys)?, entry_names(live, keys)?);
    let by_name = Entries::of(sides.declared, (&expected_names, expected), (&live_names, live));
    let added = expected_names.iter().filter(|name| !by_name.live.contains_key(name));
    let entries: Vec<_> = live_names.iter().chain(added).map(|name| (name.clone(), by_name.sides(name))).collect();
    (!entries.is_empty() && sides.all().all(Value::is_array)).then_some(entries)
}

/// In what a value's two spellings differ, by its shape.
fn spelling(shape: &Shape, live: &Value) -> Spelling {
    match shape {
        Shape::Quantity => Spelling::Quantity,
        Shape::Duration => Spelling::Duration,
        Shape::Time | Shape::MicroTime => Spelling::Time,
        Shape::Verbatim(inner) => spelling(inner, live),
        Shape::List { merge: Merge::Set | Merge::Keyed(_), .. } => Spelling::Order,
        Shape::Any | Shape::IntOrString | Shape::Object(_) | Shape::Map(_) | Shape::List { merge: Merge::Atomic, .. } => {
            if live.is_number() { Spelling::Number } else { Spelling::Inside }
        }
    }
}

/// The JSON pointers (RFC 6901) of a value that stands at `at`, and of all values in it.
fn pointers(value: &Value, at: &str, all: &mut BTreeMap<*const Value, String>) {
    all.insert(value, at.to_owned());
    match value {
        Value::Object(fields) => {
            for (key, inside) in fields {
                pointers(inside, &format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), all);
            }
        }
        Value::Array(entries) => {
            for (index, inside) in entries.iter().enumerate() {
                pointers(inside, &format!("{at}/{index}"), all);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
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
