//! The entries of keyed lists, each found on the three sides by its name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::Sides;
use crate::path::Segment;

/// A keyed list's entries on each side.
pub(super) struct Entries<'n, 'a> {
    pub(super) declared: BTreeMap<&'n Segment, &'a Value>,
    pub(super) expected: BTreeMap<&'n Segment, &'a Value>,
    pub(super) live: BTreeMap<&'n Segment, &'a Value>,
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
        let get = |side: &BTreeMap<&'n Segment, &'a Value>| side.get(name).copied();
        Sides { declared: get(&self.declared), expected: get(&self.expected), live: get(&self.live) }
    }
}

/// Which declared entry became the entry of each name. Git may leave out a key that has a default, as a port's protocol:
/// such an entry is the first expected one that it agrees with and that no other entry names in full.
fn declared_entries<'n, 'a>(
    declared: &'a [Value],
    expected: &'n [Segment],
    live: &'n [Segment],
) -> BTreeMap<&'n Segment, &'a Value> {
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
