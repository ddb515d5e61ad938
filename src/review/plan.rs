//! What an edit has to do: from the value that Git declares and the one that it is to declare, single steps.

use serde_json::{Map, Value};
use trueup_core::path::{Path, Segment};

/// One step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a mapping.
    Key(String),
    /// Into a list.
    Index(usize),
}

/// One change of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// Where, from the object's root; never empty.
    pub at: Vec<Step>,
    /// What.
    pub write: Write,
}

/// What happens at a place.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// The value there becomes this one.
    Replace(Value),
    /// A new key, or an item before the one at the index.
    Insert(Value),
    /// The key or item goes.
    Remove,
}

/// `declared` with the value at `path` set to the one that `live` has there, or removed where it has none. Ancestors that are
/// not declared come into being; a new list entry goes where live has it.
///
/// # Errors
/// Why there is no such place, in plain words.
pub fn intended(declared: &Value, path: &Path, live: &Value) -> Result<Value, String> {
    if path.0.is_empty() {
        return Err("the whole object differs, not one value of it".to_owned());
    }
    let mut result = declared.clone();
    put(&mut result, Some(live), &path.0)?;
    Ok(result)
}

/// Brings `place` to what `live`, which is at the same place, has at the path's rest.
fn put(place: &mut Value, live: Option<&Value>, segments: &[Segment]) -> Result<(), String> {
    let Some((segment, rest)) = segments.split_first() else {
        if let Some(value) = live {
            *place = value.clone();
        }
        return Ok(());
    };
    let is_there = Path(segments.to_vec()).find(live.unwrap_or(&Value::Null)).is_some();
    match segment {
        Segment::Key(key) => put_key(place, key, (live.and_then(|live| live.get(key)), is_there), rest),
        Segment::Index(_) | Segment::Entry(_) => put_item(place, segment, (live, is_there), rest),
    }
}

fn put_key(place: &mut Value, key: &str, (live, is_there): (Option<&Value>, bool), rest: &[Segment]) -> Result<(), String> {
    if place.is_null() && is_there {
        *place = Value::Object(Map::new());
    }
    let not_declared = || format!("Git does not declare `{key}` there");
    let fields = place.as_object_mut().ok_or_else(|| format!("`{key}` stands below a value that is no mapping"))?;
    if is_there {
        return put(fields.entry(key).or_insert(Value::Null), live, rest);
    }
    if rest.is_empty() {
        return fields.remove(key).map(drop).ok_or_else(not_declared);
    }
    put(fields.get_mut(key).ok_or_else(not_declared)?, live, rest)
}

fn put_item(
    place: &mut Value,
    segment: &Segment,
    (live, is_there): (Option<&Value>, bool),
    rest: &[Segment],
) -> Result<(), String> {
    if place.is_null() && is_there {
        *place = Value::Array(Vec::new());
    }
    let items = place.as_array_mut().ok_or("a list entry stands below a value that is no list")?;
    let found = position(segment, items);
    let there = live.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let live = position(segment, there).and_then(|index| there.get(index));
    match (found, is_there) {
        (Some(index), false) if rest.is_empty() => drop(items.remove(index)),
        (Some(index), _) => put(&mut items[index], live, rest)?,
        (None, false) => return Err("Git does not declare such a list entry".to_owned()),
        (None, true) => {
            let index = behind_neighbour(segment, items, there)?;
            let mut item = blank_item(segment)?;
            put(&mut item, live, rest)?;
            items.insert(index, item);
        }
    }
    Ok(())
}

/// Where the one entry stands that a segment names.
fn position(segment: &Segment, items: &[Value]) -> Option<usize> {
    match segment {
        Segment::Index(index) => (*index < items.len()).then_some(*index),
        Segment::Entry(_) | Segment::Key(_) => segment.position_in(items),
    }
}

/// Where a new entry goes: behind the nearest entry before it in live that Git declares, else first.
fn behind_neighbour(segment: &Segment, declared: &[Value], live: &[Value]) -> Result<usize, String> {
    let Segment::Entry(keys) = segment else {
        let Segment::Index(index) = segment else { return Ok(declared.len()) };
        let is_next = *index == declared.len();
        return is_next.then_some(*index).ok_or_else(|| "the list that Git declares is shorter than the live one".to_owned());
    };
    let at = segment.position_in(live).unwrap_or(live.len());
    let same = |entry: &Value| {
        let own: Option<Vec<_>> = keys.iter().map(|(key, _)| Some((key.as_str(), entry.get(key)?))).collect();
        Segment::entry(&own?).position_in(declared)
    };
    Ok(live[..at].iter().rev().find_map(same).map_or(0, |index| index + 1))
}

/// A new entry: its merge keys, or nothing for the place just behind the list's end.
fn blank_item(segment: &Segment) -> Result<Value, String> {
    match segment {
        Segment::Entry(keys) => keys
            .iter()
            .map(|(key, text)| serde_json::from_str(text).map(|value: Value| (key.clone(), value)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object)
            .map_err(|_| "a merge key is no JSON value".to_owned()),
        Segment::Index(_) | Segment::Key(_) => Ok(Value::Null),
    }
}

/// The value after one operation; `None` where it has no such place.
#[must_use]
pub fn performed(value: &Value, operation: &Operation) -> Option<Value> {
    let mut result = value.clone();
    let (last, ancestors) = operation.at.split_last()?;
    let parent = ancestors.iter().try_fold(&mut result, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.get_mut(index),
    })?;
    match (parent, last, &operation.write) {
        (Value::Object(fields), Step::Key(key), Write::Remove) => drop(fields.remove(key)?),
        (Value::Object(fields), Step::Key(key), Write::Replace(value) | Write::Insert(value)) => {
            drop(fields.insert(key.clone(), value.clone()));
        }
        (Value::Array(items), Step::Index(index), Write::Remove) if *index < items.len() => drop(items.remove(*index)),
        (Value::Array(items), Step::Index(index), Write::Insert(value)) if *index <= items.len() => {
            items.insert(*index, value.clone());
        }
        (Value::Array(items), Step::Index(index), Write::Replace(value)) => *items.get_mut(*index)? = value.clone(),
        _ => return None,
    }
    Some(result)
}

/// The steps from one value to another, in an order in which each finds its place.
#[must_use]
pub fn operations(from: &Value, to: &Value) -> Vec<Operation> {
    let mut operations = Vec::new();
    compare(&mut operations, &[], from, to);
    operations
}

fn compare(operations: &mut Vec<Operation>, at: &[Step], from: &Value, to: &Value) {
    match (from, to) {
        _ if from == to => {}
        (Value::Object(old), Value::Object(new)) if !old.is_empty() && !new.is_empty() => {
            compare_fields(operations, at, old, new);
        }
        (Value::Array(old), Value::Array(new)) if !old.is_empty() && !new.is_empty() => {
            compare_items(operations, at, old, new);
        }
        _ => operations.push(Operation { at: at.to_vec(), write: Write::Replace(to.clone()) }),
    }
}

fn compare_fields(operations: &mut Vec<Operation>, at: &[Step], old: &Map<String, Value>, new: &Map<String, Value>) {
    let inside = |key: &String| below(at, Step::Key(key.clone()));
    for (key, value) in new {
        match old.get(key) {
            Some(before) => compare(operations, &inside(key), before, value),
            None => operations.push(Operation { at: inside(key), write: Write::Insert(value.clone()) }),
        }
    }
    for key in old.keys().filter(|key| !new.contains_key(*key)) {
        operations.push(Operation { at: inside(key), write: Write::Remove });
    }
}

/// What both lists share at the start and at the end stays; in between, items are compared one by one.
fn compare_items(operations: &mut Vec<Operation>, at: &[Step], old: &[Value], new: &[Value]) {
    let shared = |pairs: &mut dyn Iterator<Item = (&Value, &Value)>| pairs.take_while(|(a, b)| a == b).count();
    let head = shared(&mut old.iter().zip(new));
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = shared(&mut old_rest.iter().rev().zip(new_rest.iter().rev()));
    let (old_rest, new_rest) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let both = old_rest.len().min(new_rest.len());
    for (index, (before, after)) in old_rest.iter().zip(new_rest).enumerate() {
        compare(operations, &below(at, Step::Index(head + index)), before, after);
    }
    for index in (both..old_rest.len()).rev() {
        operations.push(Operation { at: below(at, Step::Index(head + index)), write: Write::Remove });
    }
    for (index, value) in new_rest.iter().enumerate().skip(both) {
        operations.push(Operation { at: below(at, Step::Index(head + index)), write: Write::Insert(value.clone()) });
    }
}

fn below(at: &[Step], step: Step) -> Vec<Step> {
    at.iter().cloned().chain([step]).collect()
}
