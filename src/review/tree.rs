//! One operation on a file's syntax tree: scalars by byte splice, keys and items by `yaml-edit`.

use std::ops::Range;
use std::str::FromStr;

use serde_json::Value;
use yaml_edit::{Document, Mapping, MappingEntry, Sequence, YamlFile, YamlNode};

use super::plan::{Operation, Step, Write};
use super::print::{self, Layout};
use super::splice;

/// Where an object stands in its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The bytes of its document in the file, separators excluded.
    pub document: Range<usize>,
    /// The object's first byte in the document: behind the document's own start where it is an item of a `List`.
    pub object: usize,
}

/// A text after an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The whole file.
    pub text: String,
    /// The bytes of the former text that were meant to go.
    pub gone: Range<usize>,
}

/// Reads a text without loss.
///
/// # Errors
/// Why the text cannot be edited, in plain words.
pub fn parse(text: &str) -> Result<YamlFile, String> {
    let file = YamlFile::from_str(text).map_err(|error| format!("its YAML cannot be taken apart: {error}"))?;
    if file.to_string() == text { Ok(file) } else { Err("its YAML cannot be taken apart without loss".to_owned()) }
}

/// Performs one operation on the object that starts at a byte of a document.
///
/// # Errors
/// Why it cannot be placed, in plain words.
pub fn perform(document: &str, object: usize, operation: &Operation, layout: Layout) -> Result<Edited, String> {
    let file = parse(document)?;
    let root = root(&file, object)?;
    let (last, ancestors) = operation.at.split_last().ok_or("the whole object differs, not one value of it")?;
    let parent = ancestors.iter().try_fold(YamlNode::Mapping(root), |node, step| child(&node, step))?;
    let outcome = match (&parent, last) {
        (YamlNode::Mapping(mapping), Step::Key(key)) => in_mapping(document, mapping, key, &operation.write, layout)?,
        (YamlNode::Sequence(sequence), Step::Index(index)) => in_sequence(document, sequence, *index, &operation.write, layout)?,
        _ => return Err(not_there(&parent)),
    };
    Ok(match outcome {
        Outcome::Spliced(text) => Edited { text, gone: 0..0 },
        Outcome::Edited(gone) => Edited { text: file.to_string(), gone },
        Outcome::Respliced { start, end, with } => {
            Edited { text: splice::replaced(&file.to_string(), start, end, &with), gone: 0..0 }
        }
    })
}

/// The document's mapping, or the item of its `items` that the object's first byte lies in.
fn root(file: &YamlFile, object: usize) -> Result<Mapping, String> {
    let mut documents = file.documents();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        return Err("its document is not one YAML document".to_owned());
    };
    let mapping = document.as_mapping().ok_or("the document is no mapping")?;
    let Some(items) = find_entry(&mapping, "items").and_then(|entry| entry.value_node()) else {
        return Ok(mapping);
    };
    let items = items.as_sequence().ok_or("the list's `items` are not written out there")?.values();
    let holds = |node: &YamlNode| {
        let range = node.byte_range();
        (range.start as usize..range.end as usize).contains(&object)
    };
    let item = items.into_iter().find(holds).ok_or("the list's item is not written out there")?;
    item.as_mapping().cloned().ok_or_else(|| "the list's item is not written out there".to_owned())
}

/// How an operation was done.
enum Outcome {
    /// By replacing bytes.
    Spliced(String),
    /// In the tree; these bytes of the text were meant to go.
    Edited(Range<usize>),
    /// In the tree, and then by replacing bytes of its text.
    Respliced { start: usize, end: usize, with: String },
}

fn child(node: &YamlNode, step: &Step) -> Result<YamlNode, String> {
    let found = match (node, step) {
        (YamlNode::Mapping(mapping), Step::Key(key)) => find_entry(mapping, key).and_then(|entry| entry.value_node()),
        (YamlNode::Sequence(sequence), Step::Index(index)) => sequence.get(*index),
        _ => return Err(not_there(node)),
    };
    found.ok_or_else(|| "the value around it is not written out there (an alias or a merge key brings it in)".to_owned())
}

fn not_there(node: &YamlNode) -> String {
    if node.is_alias() {
        "the value around it is an alias, shared with other places".to_owned()
    } else {
        "the value around it is not written as a mapping or list".to_owned()
    }
}

/// The entry whose key reads as `key`; YAML's own equality would tell `80` from `"80"`, Kubernetes does not.
fn find_entry(mapping: &Mapping, key: &str) -> Option<MappingEntry> {
    mapping
        .entries()
        .find(|entry| entry.key_node().is_some_and(|node| node.as_scalar().is_some_and(|scalar| scalar.as_string() == key)))
}

fn in_mapping(text: &str, mapping: &Mapping, key: &str, write: &Write, layout: Layout) -> Result<Outcome, String> {
    let entry = find_entry(mapping, key);
    match (write, entry) {
        (Write::Remove, None) => Err(format!("`{key}` is not written out there (an alias or a merge key brings it in)")),
        (Write::Remove, Some(entry)) => {
            let range = entry.byte_range();
            let gone = whole_lines(text, range.start as usize, range.end as usize);
            // `MappingEntry::remove` leaves the line's indentation behind.
            let node = entry.key_node().ok_or_else(|| format!("`{key}` has no key of its own"))?;
            mapping.remove(node).ok_or_else(|| format!("`{key}` cannot be taken out"))?;
            Ok(Outcome::Edited(gone))
        }
        (Write::Replace(value) | Write::Insert(value), Some(entry)) => {
            if let Some(outcome) = entry.value_node().and_then(|node| spliced(text, &node, value, layout)) {
                return outcome;
            }
            let (_, printed) = printed_entry(key, value, layout)?;
            let gone = emptied(text, entry.value_node().as_ref(), value);
            match entry.key_node().filter(|_| mapping.is_flow_style()) {
                Some(key) => mapping.set(key, printed),
                None => entry.set_value(printed, false),
            }
            Ok(Outcome::Edited(gone))
        }
        (Write::Replace(value) | Write::Insert(value), None) => {
            let is_list = value.as_array().is_some_and(|items| !items.is_empty());
            if is_list && !mapping.is_flow_style() {
                return inserted_list(text, mapping, key, value, layout);
            }
            let (key, printed) = printed_entry(key, value, layout)?;
            mapping.set(key, printed);
            Ok(Outcome::Edited(0..0))
        }
    }
}

/// `yaml-edit` indents a new list by its own rule: it gets to place the key alone, and the list is spliced in as the file has
/// its others.
fn inserted_list(text: &str, mapping: &Mapping, key: &str, value: &Value, layout: Layout) -> Result<Outcome, String> {
    let first = mapping.entries().next().ok_or("the mapping has no key to align with")?.byte_range().start as usize;
    let column = first - text[..first].rfind('\n').map_or(0, |newline| newline + 1);
    let (key_node, nothing) = printed_entry(key, &Value::Null, layout)?;
    mapping.set(key_node, nothing);
    let entry = find_entry(mapping, key).ok_or("the new key found no place")?.byte_range();
    let printed = print::entry(key, value, column, layout);
    let with = printed.trim_start().to_owned() + layout.newline;
    Ok(Outcome::Respliced { start: entry.start as usize, end: entry.end as usize, with })
}

fn in_sequence(text: &str, sequence: &Sequence, index: usize, write: &Write, layout: Layout) -> Result<Outcome, String> {
    match write {
        Write::Insert(value) => {
            sequence.insert(index, printed_item(value, layout)?);
            Ok(Outcome::Edited(0..0))
        }
        Write::Replace(value) => {
            let node = sequence.get(index).ok_or("the list has no such item")?;
            if let Some(outcome) = spliced(text, &node, value, layout) {
                return outcome;
            }
            let gone = emptied(text, Some(&node), value);
            sequence.set(index, printed_item(value, layout)?);
            Ok(Outcome::Edited(gone))
        }
        Write::Remove => {
            let range = sequence.get(index).ok_or("the list has no such item")?.byte_range();
            let gone = whole_lines(text, range.start as usize, range.end as usize);
            sequence.remove(index).ok_or("the list has no such item")?;
            Ok(Outcome::Edited(gone))
        }
    }
}

/// The splice that puts a scalar in a scalar's place; `None` where the place or the value is no scalar.
fn spliced(text: &str, node: &YamlNode, value: &Value, layout: Layout) -> Option<Result<Outcome, String>> {
    let is_scalar = match value {
        Value::Object(fields) => fields.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    let range = node.byte_range();
    let (start, end) = (range.start as usize, range.end as usize);
    if !is_scalar || start == end || !(node.is_scalar() || node.is_alias()) {
        return None;
    }
    let old = &text[start..end];
    Some(match splice::replacement(old, value, layout) {
        Some(with) => Ok(Outcome::Spliced(splice::replaced(text, start, end, &with))),
        None => Err("the block of text cannot hold the live value in its style".to_owned()),
    })
}

fn printed_entry(key: &str, value: &Value, layout: Layout) -> Result<(YamlNode, YamlNode), String> {
    let printed = print::entry(key, value, 0, layout) + layout.newline;
    let unprintable = || format!("`{key}` cannot be printed as YAML");
    let document = Document::from_str(&printed).map_err(|_| unprintable())?;
    let entry = document.as_mapping().and_then(|mapping| mapping.entries().next()).ok_or_else(unprintable)?;
    entry.key_node().zip(entry.value_node()).ok_or_else(unprintable)
}

fn printed_item(value: &Value, layout: Layout) -> Result<YamlNode, String> {
    let printed = print::item(value, 0, layout) + layout.newline;
    let document = Document::from_str(&printed).map_err(|_| "the live value cannot be printed as YAML")?;
    document
        .as_sequence()
        .and_then(|sequence| sequence.get(0))
        .ok_or_else(|| "the live value cannot be printed as YAML".to_owned())
}

/// The lines of a collection whose last member goes.
fn emptied(text: &str, node: Option<&YamlNode>, value: &Value) -> Range<usize> {
    let is_empty = value.as_object().is_some_and(serde_json::Map::is_empty) || value.as_array().is_some_and(Vec::is_empty);
    match node.map(YamlNode::byte_range) {
        Some(range) if is_empty => whole_lines(text, range.start as usize, range.end as usize),
        _ => 0..0,
    }
}

/// From `start` to the end of the last line that the range touches.
fn whole_lines(text: &str, start: usize, end: usize) -> Range<usize> {
    let last = end.saturating_sub(usize::from(text[start..end].ends_with('\n')));
    let line_end = text[last..].find('\n').map_or(text.len(), |offset| last + offset);
    start..line_end.max(end)
}
