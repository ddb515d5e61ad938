//! The entries of keyed lists, each found on the three sides by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::Sides;
use crate::path::Segment;

/// The entries of a keyed list that has the same ones in the same order on each side, as most lists have: then no name is needed
/// to find them.
pub(super) fn in_step<'a>(
    keys: &[String],
    declared: Option<&'a Value>,
    expected: &'a [Value],
    live: &'a [Value],
) -> Option<impl Iterator<Item = Sides<'a>>> {
    let declared = declared?.as_array()?;
    let is_same = |(one, other): (&Value, &Value)| keys.iter().all(|key| one.get(key) == other.get(key));
    let are_same = |others: &[Value]| others.len() == expected.len() && expected.iter().zip(others).all(is_same);
    let sides = |((declared, expected), live)| Sides { declared: Some(declared), expected: Some(expected), live: Some(live) };
    (are_same(declared) && are_same(live)).then(|| declared.iter().zip(expected).zip(live).map(sides))
}

/// A keyed list's entries on each side.
pub(super) struct Entries<'n, 'a> {
    pub(super) declared: HashMap<&'n Segment, &'a Value>,
    pub(super) expected: HashMap<&'n Segment, &'a Value>,
    pub(super) live: HashMap<&'n Segment, &'a Value>,
}

impl<'n, 'a> Entries<'n, 'a> {
    pub(super) fn of(
        declared: Option<&'a Value>,
        (expected_names, expected): (&'n [Segment], &'a [Value]),
        (live_names, live): (&'n [Segment], &'a [Value]),
    ) -> Self {
        let declared = declared.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        Self {
            declared: declared_entries(declared, expected_names, live_names),
            expected: expected_names.iter().zip(expected).collect(),
            live: live_names.iter().zip(live).collect(),
        }
    }

    pub(super) fn sides(&self, name: &Segment) -> Sides<'a> {
        let get = |side: &HashMap<&'n Segment, &'a Value>| side.get(name).copied();
        Sides { declared: get(&self.declared), expected: get(&self.expected), live: get(&self.live) }
    }
}

/// Which declared entry became the entry of each name. Git may leave out a key that has a default, as a port's protocol:
/// such an entry is the first expected one that it agrees with and that no other entry names in full.
fn declared_entries<'n, 'a>(
    declared: &'a [Value],
    expected: &'n [Segment],
    live: &'n [Segment],
) -> HashMap<&'n Segment, &'a Value> {
    if let Some(by_name) = all_named(declared, expected, live) {
        return by_name;
    }
    let all = Names::of(expected.iter().chain(live));
    let expected = Names::of(expected);
    let mut by_name = HashMap::new();
    let mut in_part = Vec::new();
    for entry in declared {
        match all.named_by(entry).or_else(|| all.alike(entry).find(|name| agreement(name, entry) == Agreement::Full)) {
            Some(name) => drop(by_name.insert(name, entry)),
            None => in_part.push(entry),
        }
    }
    for entry in in_part {
        let is_free = |name: &&Segment| !by_name.contains_key(name) && agreement(name, entry) == Agreement::InPart;
        let free = expected.alike(entry).find(is_free);
        if let Some(name) = free {
            by_name.insert(name, entry);
        }
    }
    by_name
}

/// The declared entries by their names, where each of them has all keys of one.
fn all_named<'n, 'a>(
    declared: &'a [Value],
    expected: &'n [Segment],
    live: &'n [Segment],
) -> Option<HashMap<&'n Segment, &'a Value>> {
    let all: HashSet<&Segment> = expected.iter().chain(live).collect();
    let keys = keys_of(all.iter().copied());
    declared.iter().map(|entry| Some((*all.get(&Segment::Entry(values_of(&keys, entry)))?, entry))).collect()
}

/// The keys that names have.
fn keys_of<'n>(names: impl Iterator<Item = &'n Segment>) -> BTreeSet<&'n str> {
    let entries = names.filter_map(|name| if let Segment::Entry(keys) = name { Some(keys) } else { None });
    entries.flatten().map(|(key, _)| key.as_str()).collect()
}

/// Those of these keys that an entry has, each with its value as JSON text.
fn values_of(keys: &BTreeSet<&str>, entry: &Value) -> Vec<(String, String)> {
    keys.iter().filter_map(|key| Some(((*key).to_owned(), entry.get(key)?.to_string()))).collect()
}

/// Names by the values of their keys: to try each name on each entry takes minutes for some thousand entries.
struct Names<'n> {
    keys: BTreeSet<&'n str>,
    exact: HashSet<&'n Segment>,
    by_value: HashMap<(&'n str, &'n str), Vec<(usize, &'n Segment)>>,
}

impl<'n> Names<'n> {
    fn of(names: impl IntoIterator<Item = &'n Segment>) -> Self {
        let names: Vec<&Segment> = names.into_iter().collect();
        let mut found = Self { keys: keys_of(names.iter().copied()), exact: HashSet::new(), by_value: HashMap::new() };
        for (order, name) in names.into_iter().enumerate() {
            let Segment::Entry(keys) = name else { continue };
            if !found.exact.insert(name) {
                continue;
            }
            for (key, text) in keys {
                found.by_value.entry((key, text)).or_default().push((order, name));
            }
        }
        found
    }

    /// The name that has all of the entry's keys.
    fn named_by(&self, entry: &Value) -> Option<&'n Segment> {
        self.exact.get(&Segment::Entry(values_of(&self.keys, entry))).copied()
    }

    /// The names that share a key's value with the entry, in their order.
    fn alike(&self, entry: &Value) -> impl Iterator<Item = &'n Segment> + use<'n> {
        let values = values_of(&self.keys, entry);
        let names = values.iter().filter_map(|(key, text)| self.by_value.get(&(key.as_str(), text.as_str())));
        names.flatten().copied().collect::<BTreeMap<usize, &Segment>>().into_values()
    }
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
