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

/// `declared` with the value at `path` set to `value`, or removed. Ancestors that are not declared come into being.
///
/// # Errors
/// Why there is no such place, in plain words.
pub fn intended(declared: &Value, path: &Path, value: Option<&Value>) -> Result<Value, String> {
    if path.0.is_empty() {
        return Err("the whole object differs, not one value of it".to_owned());
    }
    let mut result = declared.clone();
    put(&mut result, &path.0, value)?;
    Ok(result)
}

fn put(place: &mut Value, segments: &[Segment], value: Option<&Value>) -> Result<(), String> {
    let Some((segment, rest)) = segments.split_first() else {
        if let Some(value) = value {
            *place = value.clone();
        }
        return Ok(());
    };
    match segment {
        Segment::Key(key) => put_key(place, key, rest, value),
        Segment::Index(_) | Segment::Entry(_) => put_item(place, segment, rest, value),
    }
}

fn put_key(place: &mut Value, key: &str, rest: &[Segment], value: Option<&Value>) -> Result<(), String> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    let fields = place.as_object_mut().ok_or_else(|| format!("`{key}` stands below a value that is no mapping"))?;
    if rest.is_empty() && value.is_none() {
        return fields.remove(key).map(|_| ()).ok_or_else(|| format!("Git does not declare `{key}` there"));
    }
    put(fields.entry(key).or_insert(Value::Null), rest, value)
}

fn put_item(place: &mut Value, segment: &Segment, rest: &[Segment], value: Option<&Value>) -> Result<(), String> {
    if place.is_null() {
        *place = Value::Array(Vec::new());
    }
    let items = place.as_array_mut().ok_or("a list entry stands below a value that is no list")?;
    let found = match segment {
        Segment::Index(index) => (*index < items.len()).then_some(*index),
        other => items.iter().position(|item| other.names_entry(item)),
    };
    match (found, value) {
        (Some(index), None) if rest.is_empty() => {
            items.remove(index);
            Ok(())
        }
        (Some(index), value) => put(&mut items[index], rest, value),
        (None, None) => Err("Git does not declare such a list entry".to_owned()),
        (None, Some(value)) => {
            let mut item = blank_item(segment, items.len())?;
            put(&mut item, rest, Some(value))?;
            items.push(item);
            Ok(())
        }
    }
}

/// A new entry: its merge keys, or nothing for the place just behind the list's end.
fn blank_item(segment: &Segment, length: usize) -> Result<Value, String> {
    match segment {
        Segment::Entry(keys) => keys
            .iter()
            .map(|(key, text)| serde_json::from_str(text).map(|value: Value| (key.clone(), value)))
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object)
            .map_err(|_| "a merge key is no JSON value".to_owned()),
        Segment::Index(index) if *index == length => Ok(Value::Null),
        Segment::Index(_) | Segment::Key(_) => Err("the list that Git declares is shorter than the live one".to_owned()),
    }
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
