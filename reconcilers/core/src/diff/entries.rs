//! The entries of keyed lists, each found on the three sides by its name.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::Value;

use super::Sides;
use crate::path::Segment;

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

/// Names by the values of their keys: to try each name on each entry takes minutes for some thousand entries.
struct Names<'n> {
    keys: BTreeSet<&'n str>,
    exact: HashSet<&'n Segment>,
    by_value: HashMap<(&'n str, &'n str), Vec<(usize, &'n Segment)>>,
}

impl<'n> Names<'n> {
    fn of(names: impl IntoIterator<Item = &'n Segment>) -> Self {
        let mut found = Self { keys: BTreeSet::new(), exact: HashSet::new(), by_value: HashMap::new() };
        for (order, name) in names.into_iter().enumerate() {
            let Segment::Entry(keys) = name else { continue };
            if !found.exact.insert(name) {
                continue;
            }
            for (key, text) in keys {
                found.keys.insert(key);
                found.by_value.entry((key, text)).or_default().push((order, name));
            }
        }
        found
    }

    /// The entry's keys, each with its value as JSON text.
    fn values_of(&self, entry: &Value) -> Vec<(String, String)> {
        self.keys.iter().filter_map(|key| Some(((*key).to_owned(), entry.get(key)?.to_string()))).collect()
    }

    /// The name that has all of the entry's keys.
    fn named_by(&self, entry: &Value) -> Option<&'n Segment> {
        self.exact.get(&Segment::Entry(self.values_of(entry))).copied()
    }

    /// The names that share a key's value with the entry, in their order.
    fn alike(&self, entry: &Value) -> impl Iterator<Item = &'n Segment> + use<'n> {
        let values = self.values_of(entry);
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
