//! One document of a file is brought to say something else: one splice of bytes after the other, each proven by reading again.
//!
//! What is outside a splice stays byte for byte, as nothing prints it again. Comments above what goes stay; comments in it
//! and behind it go with it, and are named.

mod block;
mod flow;
mod line;
pub mod print;
mod scalar;

use std::ops::Range;

use serde_json::Value;
use trueup_kubernetes::manifest::outline::{Form, Outline, Part, Repeated};

use super::plan::{self, Operation, Step, Write};
use super::prove;
use print::Layout;
use scalar::Style;

/// Which value of a file is edited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// The document's number, from 1.
    pub document: u32,
    /// An item of its `items`, or the whole of it.
    pub item: Option<usize>,
}

/// A text that says something else now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edited {
    /// The text.
    pub text: String,
    /// The comments that went with what they stood in or behind.
    pub comments: Vec<String>,
}

/// Other bytes for some of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Splice {
    pub(super) span: Range<usize>,
    pub(super) with: String,
}

impl Splice {
    fn of(span: Range<usize>, with: impl Into<String>) -> Self {
        Self { span, with: with.into() }
    }

    fn apply(&self, text: &str) -> String {
        format!("{}{}{}", &text[..self.span.start], self.with, &text[self.span.end..])
    }
}

impl Target {
    /// The document's value with another one in the target's place.
    fn with(&self, document: &Value, value: Value) -> Option<Value> {
        let mut whole = document.clone();
        match self.item {
            None => whole = value,
            Some(item) => *whole.get_mut("items")?.get_mut(item)? = value,
        }
        Some(whole)
    }

    fn part<'a>(&self, outline: &'a Outline) -> Result<&'a Part, String> {
        let Some(item) = self.item else { return Ok(&outline.root) };
        let items = &outline.root.entry("items").ok_or("the list's `items` are not written out there")?.value;
        let part = items.items().get(item).ok_or("the list's item is not written out there")?;
        [&outline.root, items, part].into_iter().try_for_each(refuse_shared)?;
        Ok(part)
    }
}

/// Edits a text so that its target, which says `said`, says `intended`, and all else what it said.
///
/// # Errors
/// Why it cannot be done with certainty, in plain words.
pub fn follow(text: &str, target: Target, said: &Value, intended: &Value) -> Result<Edited, String> {
    let operations = plan::operations(said, intended);
    let mut edited = Edited { text: text.to_owned(), comments: Vec::new() };
    let mut said = said.clone();
    for operation in operations {
        said = plan::performed(&said, &operation).ok_or("the value is not written where the edit goes")?;
        let step = perform(&edited.text, target, &operation, &said)?;
        edited.text = step.text;
        edited.comments.extend(step.comments);
    }
    Ok(edited)
}

fn find(outlines: &[Outline], target: Target) -> Result<&Outline, String> {
    let document = outlines.iter().find(|outline| outline.number == target.document);
    document.ok_or_else(|| "the document cannot be read on its own".to_owned())
}

/// One operation, in the first style in which the text reads back as intended.
fn perform(text: &str, target: Target, operation: &Operation, said: &Value) -> Result<Edited, String> {
    let outlines = Outline::of(text.as_bytes());
    let outline = find(&outlines, target)?;
    let intended = target.with(&outline.value, said.clone()).ok_or("the list's item is not written out there")?;
    let document = text.get(outline.root.span.start..).unwrap_or_default();
    let mut tried = Vec::new();
    let mut reason = "the edit finds no place".to_owned();
    for style in [Style::Kept, Style::Literal, Style::Quoted] {
        let layout = Layout { newline: line::newline(text, outline.root.span.start), ..print::layout_of(document, style) };
        let splice = match splice(text, (outline, target.part(outline)?), operation, layout) {
            Ok(splice) => splice,
            Err(error) => {
                reason = error;
                continue;
            }
        };
        if tried.contains(&splice) {
            continue;
        }
        let after = splice.apply(text);
        let proven = prove::documents(&outlines, &Outline::of(after.as_bytes()), target.document, &intended)
            .and_then(|()| prove::comments(text, &after, (&splice.span, splice.with.len())));
        match proven {
            Ok(comments) if comments.is_empty() || !matches!(operation.write, Write::Insert(_)) => {
                return Ok(Edited { text: after, comments });
            }
            Ok(_) => "a comment would be lost".clone_into(&mut reason),
            Err(error) => reason = error,
        }
        tried.push(splice);
    }
    Err(reason)
}

fn splice(text: &str, (outline, root): (&Outline, &Part), operation: &Operation, layout: Layout) -> Result<Splice, String> {
    let (last, ancestors) = operation.at.split_last().ok_or("the whole object differs, not one value of it")?;
    let mut parent = root;
    refuse_shared(root)?;
    for step in ancestors {
        parent = child(parent, step)?;
        refuse_shared(parent)?;
    }
    let spot = Spot { text, parent, document: &outline.root, layout, is_json: outline.is_json };
    if let Write::Replace(_) | Write::Remove = &operation.write {
        let part = child(parent, last)?;
        refuse_shared(part)?;
        refuse_inner_anchors(part)?;
    } else if let Step::Key(key) = last {
        refuse_merged(parent, key)?;
    }
    if is_flow(text, parent) { flow::splice(&spot, last, &operation.write) } else { block::splice(&spot, last, &operation.write) }
}

/// Where an operation takes place.
#[derive(Clone, Copy)]
struct Spot<'a> {
    text: &'a str,
    /// The collection that changes.
    parent: &'a Part,
    /// The document's value.
    document: &'a Part,
    layout: Layout,
    is_json: bool,
}

impl Spot<'_> {
    /// The entry or item that a step leads to.
    fn index(&self, step: &Step) -> Result<usize, String> {
        let missing = || "the value is not written where the edit goes".to_owned();
        match (&self.parent.form, step) {
            (Form::Map(entries), Step::Key(key)) => {
                entries.iter().position(|entry| entry.name.as_deref() == Some(key)).ok_or_else(missing)
            }
            (Form::List(items), Step::Index(index)) if *index < items.len() => Ok(*index),
            _ => Err(missing()),
        }
    }
}

fn is_flow(text: &str, part: &Part) -> bool {
    text[part.span.clone()].starts_with(['{', '['])
}

fn child<'a>(part: &'a Part, step: &Step) -> Result<&'a Part, String> {
    match step {
        Step::Key(key) => {
            let entry = part.entry(key);
            if entry.is_none() {
                refuse_merged(part, key)?;
            }
            entry.map(|entry| &entry.value).ok_or_else(|| "the value around it is not written as a mapping".to_owned())
        }
        Step::Index(index) => part.items().get(*index).ok_or_else(|| "the value around it is not written as a list".to_owned()),
    }
}

/// What an alias repeats changes wherever it is repeated.
fn refuse_shared(part: &Part) -> Result<(), String> {
    if let Form::Alias { anchor } = part.form {
        return Err(format!(
            "line {} repeats the anchor on line {anchor}, so that a change there is a change in both places",
            part.line
        ));
    }
    match part.repeated {
        Some(Repeated { anchor, line, .. }) => {
            Err(format!("it stands in the anchor on line {anchor}, which line {line} repeats"))
        }
        None => Ok(()),
    }
}

/// What goes may hold an anchor that is repeated behind it.
fn refuse_inner_anchors(part: &Part) -> Result<(), String> {
    let mut open = vec![part];
    while let Some(inner) = open.pop() {
        if let Some(Repeated { anchor, line, .. }) = inner.repeated.filter(|repeated| !part.span.contains(&repeated.at)) {
            return Err(format!("the anchor on line {anchor} would go, which line {line} repeats"));
        }
        open.extend(inner.children());
    }
    Ok(())
}

/// A key that a merge key brings in is not written there.
fn refuse_merged(part: &Part, key: &str) -> Result<(), String> {
    let Form::Map(entries) = &part.form else { return Ok(()) };
    for merge in entries.iter().filter(|entry| entry.name.is_none()) {
        let sources = if merge.value.items().is_empty() { vec![&merge.value] } else { merge.value.children() };
        for source in sources {
            let (line, from) = match source.form {
                Form::Alias { anchor } => (merge.value.line, anchor),
                _ if source.entry(key).is_some() => (merge.value.line, source.line),
                _ => continue,
            };
            return Err(format!(
                "the merge key on line {line} brings values in from line {from}, and `{key}` may be one of them"
            ));
        }
    }
    Ok(())
}
