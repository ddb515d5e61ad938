//! How a file is written: where each key and value of its documents stands, for whoever edits it.
//!
//! It comes from the very tree that the objects are read from, so an edit at one of its places is an edit of what is read.

use std::collections::HashMap;
use std::ops::Range;

use granit_parser::{Event, Options, Parser};
use serde_json::Value;

use super::document::{self, Dialect, Document};
use super::node::{Content, NodeId, Tree};
use super::scalar::Scalar;
use super::{KEY_LIMIT, PATHS_LIMIT, compose, decode, node};

/// One document as it is written. All ranges are bytes of the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Outline {
    /// Which document of the file, from 1.
    pub number: u32,
    /// What Kubernetes reads in it, lists not taken apart.
    pub value: Value,
    /// Its value as it is written.
    pub root: Part,
    /// Whether it is read as JSON.
    pub is_json: bool,
}

/// A value as it is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its bytes, without anchor and tag; empty behind the `:` or `-` where nothing is written.
    pub span: Range<usize>,
    /// The line of its first byte, from 1.
    pub line: u32,
    /// What it is.
    pub form: Form,
    /// The first alias that repeats it.
    pub repeated: Option<Repeated>,
}

/// Where an anchored value is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Repeated {
    /// The anchor's line.
    pub anchor: u32,
    /// The alias's first byte.
    pub at: usize,
    /// The alias's line.
    pub line: u32,
}

/// What a value is written as.
#[derive(Debug, Clone, PartialEq)]
pub enum Form {
    /// Text, in whatever style.
    Scalar,
    /// A list.
    List(Vec<Part>),
    /// A mapping.
    Map(Vec<Entry>),
    /// A repetition of what an anchor names.
    Alias {
        /// The anchor's line.
        anchor: u32,
    },
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key's bytes.
    pub key: Range<usize>,
    /// The key as Kubernetes reads it; `None` for a merge key (`<<`) and for what is no key there.
    pub name: Option<String>,
    /// The value.
    pub value: Part,
}

impl Outline {
    /// The documents of a file; those that are empty or cannot be read are left out.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Vec<Self> {
        let Ok(text) = decode(bytes) else { return Vec::new() };
        document::split(&text).into_iter().filter_map(|document| Self::of_document(&text, document.ok()?, bytes.len())).collect()
    }

    fn of_document(text: &str, document: Document<'_>, file_end: usize) -> Option<Self> {
        let tree = node::parse(document).ok()?;
        let root = tree.root()?;
        let composed = compose::compose(&tree, document.dialect).ok()??;
        if composed.paths_length(0) > PATHS_LIMIT {
            return None;
        }
        let mut repeated = HashMap::new();
        for (target, position) in tree.aliases() {
            let anchor = tree.anchor_line(target);
            repeated.entry(target).or_insert(Repeated { anchor, at: position.start, line: position.line });
        }
        let sketch = Sketch { text, tree: &tree, repeated, file_end };
        Some(Self {
            number: document.number,
            value: composed.into_value().0,
            root: sketch.part(root),
            is_json: document.dialect == Dialect::Json,
        })
    }
}

impl Part {
    /// The entry of a mapping with this key.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.form {
            Form::Map(entries) => entries.iter().find(|entry| entry.name.as_deref() == Some(key)),
            Form::Scalar | Form::List(_) | Form::Alias { .. } => None,
        }
    }

    /// The items of a list.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.form {
            Form::List(items) => items,
            Form::Scalar | Form::Map(_) | Form::Alias { .. } => &[],
        }
    }

    /// The values directly inside.
    #[must_use]
    pub fn children(&self) -> Vec<&Self> {
        match &self.form {
            Form::List(items) => items.iter().collect(),
            Form::Map(entries) => entries.iter().map(|entry| &entry.value).collect(),
            Form::Scalar | Form::Alias { .. } => Vec::new(),
        }
    }
}

/// The dash of a block list's item, from the item's first byte: on the item's line, or above it where comments stand between.
#[must_use]
pub fn dash_of(text: &str, item: usize) -> Option<usize> {
    let mut end = item;
    loop {
        let start = text[..end].rfind('\n').map_or(0, |newline| newline + 1);
        let line = &text[start..end];
        let comment = line.match_indices('#').find(|(at, _)| end != item && (*at == 0 || line[..*at].ends_with([' ', '\t'])));
        let mut head = line[..comment.map_or(line.len(), |(at, _)| at)].trim_end();
        while let Some((before, _)) = head.rsplit_once([' ', '\t']).filter(|(_, property)| property.starts_with(['&', '!'])) {
            head = before.trim_end();
        }
        if let Some(before) = head.strip_suffix('-') {
            return (before.is_empty() || before.ends_with([' ', '\t', '\u{feff}'])).then_some(start + before.len());
        }
        if !head.is_empty() || start == 0 {
            return None;
        }
        end = start - 1;
    }
}

struct Sketch<'a> {
    text: &'a str,
    tree: &'a Tree,
    repeated: HashMap<NodeId, Repeated>,
    file_end: usize,
}

impl Sketch<'_> {
    fn part(&self, id: NodeId) -> Part {
        let node = self.tree.node(id);
        let form = match &node.content {
            Content::Scalar(_) => Form::Scalar,
            Content::Sequence(items) => Form::List(items.iter().map(|item| self.part(*item)).collect()),
            Content::Mapping(entries) => Form::Map(entries.iter().map(|(key, value)| self.entry(*key, *value)).collect()),
            Content::Alias(target) => Form::Alias { anchor: self.tree.anchor_line(*target) },
        };
        let mut span = self.span(id);
        // The parser lets a list that stands as far left as its key begin behind its first dash.
        if let Form::List(items) = &form {
            let dash = items.first().and_then(|first| dash_of(self.text, first.span.start));
            span.start = dash.map_or(span.start, |dash| dash.min(span.start));
        }
        Part { span, line: node.position.line, form, repeated: self.repeated.get(&id).copied() }
    }

    fn entry(&self, key: NodeId, value: NodeId) -> Entry {
        let mut named = key;
        if let Content::Alias(target) = self.tree.node(key).content {
            named = target;
        }
        let name = match &self.tree.node(named).content {
            Content::Scalar(written) if !written.is_merge_key() => written.resolve().and_then(Scalar::into_key).ok(),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) | Content::Alias(_) => None,
        };
        Entry { key: self.span(key), name, value: self.part(value) }
    }

    /// The line break that the reader may add is not in the file.
    fn span(&self, id: NodeId) -> Range<usize> {
        let position = self.tree.node(id).position;
        position.start.min(self.file_end)..position.end.min(self.file_end)
    }
}

/// The comments of a file's documents, each from its `#` to the end of its line; of documents that cannot be read, those before
/// what is wrong.
#[must_use]
pub fn comments(bytes: &[u8]) -> Vec<Range<usize>> {
    let Ok(text) = decode(bytes) else { return Vec::new() };
    let documents = document::split(&text).into_iter().filter_map(Result::ok);
    documents.flat_map(|document| comments_of(document, bytes.len())).collect()
}

fn comments_of(document: Document<'_>, file_end: usize) -> Vec<Range<usize>> {
    if document.dialect == Dialect::Json {
        return Vec::new();
    }
    let mut options = Options::default();
    options.set_emit_comments(true);
    options.simple_key_max_lookahead = KEY_LIMIT;
    let parser = Parser::new_from_str_with_options(document.text, options);
    let spans = parser.map_while(Result::ok).filter(|(event, _)| matches!(event, Event::Comment(..))).filter_map(|(_, span)| {
        let (start, end) = (span.start.byte_offset()?, span.end.byte_offset()?);
        let text = document.text.get(start..end)?;
        let length = text.trim_end_matches(['\r', '\n']).len();
        Some(document.start + start..(document.start + start + length).min(file_end))
    });
    spans.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Line and text of each value that is one, and all keys.
    fn walk<'a>(text: &'a str, part: &Part, leaves: &mut Vec<(u32, &'a str)>, keys: &mut Vec<Option<String>>) {
        if let Form::Map(entries) = &part.form {
            keys.extend(entries.iter().map(|entry| entry.name.clone()));
        }
        if matches!(part.form, Form::Scalar | Form::Alias { .. }) {
            leaves.push((part.line, &text[part.span.clone()]));
        }
        part.children().into_iter().for_each(|child| walk(text, child, leaves, keys));
    }

    #[test]
    fn every_part_stands_where_it_is_written() {
        let text = "\u{feff}# top\na: &x\n  b: 1 # one\n8: *x\nc:\n- # first\n  d: |  # text\n    e\n\n-\n- - x\n  - y\nf: {g, h: [i, 'j']}\n<<: *x";
        let outlines = Outline::of(text.as_bytes());
        let [outline] = &outlines[..] else { panic!("{outlines:?}") };
        let (mut leaves, mut keys) = (Vec::new(), Vec::new());
        walk(text, &outline.root, &mut leaves, &mut keys);
        let expected = [
            (3, "1"),
            (4, "*x"),
            (7, "|  # text\n    e\n\n"),
            (10, ""),
            (11, "x"),
            (12, "y"),
            (13, ""),
            (13, "i"),
            (13, "'j'"),
            (14, "*x"),
        ];
        assert_eq!(leaves, expected);
        let names: Vec<Option<&str>> = keys.iter().map(Option::as_deref).collect();
        assert_eq!(names, [Some("a"), Some("8"), Some("c"), Some("f"), None, Some("b"), Some("d"), Some("g"), Some("h")]);
        assert_eq!(
            comments(text.as_bytes()).into_iter().map(|span| &text[span]).collect::<Vec<_>>(),
            ["# top", "# one", "# first", "# text"]
        );
        let list = &outline.root.entry("c").expect("a list").value;
        assert!(text[list.span.clone()].starts_with("- # first"), "from its first dash");
        assert_eq!(dash_of(text, list.items()[2].span.start).map(|at| &text[at..at + 5]), Some("- - x"));
        let anchored = &outline.root.entry("a").expect("a mapping").value;
        assert_eq!(anchored.repeated.map(|repeated| (repeated.anchor, repeated.line)), Some((2, 4)));
        assert_eq!(outline.root.entry("8").expect("an alias").value.form, Form::Alias { anchor: 2 });
    }

    #[test]
    fn what_cannot_be_read_is_left_out() {
        let outlines = Outline::of(b"a: 1\n---\nb: [\n---\nc: 3\n");
        assert_eq!(outlines.iter().map(|outline| outline.number).collect::<Vec<_>>(), [1, 3]);
        assert!(Outline::of(b"\xff").is_empty() && comments(b"\xff").is_empty());
    }
}
