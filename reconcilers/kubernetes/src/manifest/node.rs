//! One document as a tree of nodes: what the parser's events say, with places in the file.

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::HashMap;

use granit_parser::{ErrorKind, Event, Marker, Options, Parser, ScalarStyle, ScanError, Span, StructureStyle};
use trueup_core::positions::Position;

use super::document::{Dialect, Document, number, place};
use super::fault::{Fault, Flaw};
use super::refused::{self, Before};
use super::scalar::{Style, Tag, Written};
use super::stand_in::StandIns;
use super::{KEY_LIMIT, NESTING_LIMIT};

/// The nodes of one document; children point into the list.
#[derive(Debug, Default)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    /// The lines of the anchors before nodes.
    anchored: HashMap<NodeId, u32>,
}

/// The index of a node in its tree.
pub(super) type NodeId = usize;

/// A value or a key as it is written.
#[derive(Debug)]
pub(super) struct Node {
    pub position: Position,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Scalar(Written),
    Sequence(Vec<NodeId>),
    Mapping(Vec<(NodeId, NodeId)>),
    Alias(NodeId),
}

impl Tree {
    /// The document's value; `None` for an empty document.
    pub(super) fn root(&self) -> Option<NodeId> {
        if self.nodes.is_empty() { None } else { Some(0) }
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The line of a node's anchor.
    pub(super) fn anchor_line(&self, id: NodeId) -> u32 {
        self.anchored.get(&id).copied().unwrap_or(self.nodes[id].position.line)
    }

    /// What aliases repeat, and where these stand.
    pub(super) fn aliases(&self) -> impl Iterator<Item = (NodeId, Position)> {
        self.nodes.iter().filter_map(|node| match node.content {
            Content::Alias(target) => Some((target, node.position)),
            Content::Scalar(_) | Content::Sequence(_) | Content::Mapping(_) => None,
        })
    }
}

impl Node {
    /// The bytes of its own text.
    pub(super) fn text_length(&self) -> usize {
        match &self.content {
            Content::Scalar(written) => written.text.len(),
            Content::Sequence(_) | Content::Mapping(_) | Content::Alias(_) => 0,
        }
    }
}

/// A collection whose end is still to come.
struct Open {
    node: NodeId,
    style: StructureStyle,
    /// Where it begins on its line, from 1: lines further left than that do not belong to its values.
    column: usize,
    children: Vec<NodeId>,
}

/// Builds a tree from events.
struct Builder<'a> {
    document: Document<'a>,
    tree: Tree,
    open: Vec<Open>,
    anchors: HashMap<usize, NodeId>,
    /// Where the last token ended in the file, and what it was.
    last: (usize, Before),
    /// How far lines were counted, where the parser's own count is not to be used.
    counted: Option<Cell<Counted>>,
    /// What the parser is shown in place of some characters.
    stand_ins: Option<StandIns>,
}

/// A byte of the document, how many lines end before it, and how many characters of its line stand before it.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    byte: usize,
    lines: usize,
    characters: usize,
}

/// Parses one document.
pub(super) fn parse(document: Document<'_>) -> Result<Tree, Flaw> {
    if document.dialect == Dialect::Yaml {
        refused::check_characters(document)?;
    }
    let mut builder = Builder {
        document,
        tree: Tree::default(),
        open: Vec::new(),
        anchors: HashMap::new(),
        last: (document.start, Before::Start),
        // To YAML, a line also ends with `\r` alone; to JSON, and to whoever looks the line up, it does not.
        counted: has_lone_return(document.text).then(Cell::default),
        stand_ins: if document.dialect == Dialect::Json { StandIns::of(document.text) } else { None },
    };
    let mut ended = false;
    let text = builder.stand_ins.as_ref().map_or(Cow::Borrowed(document.text), |stand_ins| stand_ins.hide(document.text).into());
    for event in Parser::new_from_str_with_options(&text, options(document.dialect)) {
        let (event, span) = event.map_err(|error| builder.scan_flaw(&error))?;
        match event {
            Event::DocumentStart(..) if ended => return Err(builder.flaw(span.start, Fault::BehindDocumentEnd)),
            Event::DocumentEnd => {
                builder.check_gap(document.start + span.start.byte_offset().unwrap_or(0))?;
                ended = true;
            }
            event => builder.take(event, &span)?,
        }
    }
    Ok(builder.tree)
}

impl Counted {
    /// On to another byte; values stand in order, so that this is seldom a way back.
    fn on(self, text: &str, byte: usize) -> Self {
        let from = if byte < self.byte { Self::default() } else { self };
        let mut to = Self { byte, ..from };
        for character in text.get(from.byte..byte).unwrap_or_default().chars() {
            match character {
                '\n' => (to.lines, to.characters) = (to.lines + 1, 0),
                // A byte order mark has no column.
                '\u{FEFF}' if to.lines == 0 && to.characters == 0 => {}
                _ => to.characters += 1,
            }
        }
        to
    }
}

fn has_lone_return(text: &str) -> bool {
    text.match_indices('\r').any(|(at, _)| text.as_bytes().get(at + 1) != Some(&b'\n'))
}

fn options(dialect: Dialect) -> Options {
    let mut options = Options::default();
    options.set_emit_comments(false);
    options.emit_anchor_events = true;
    options.flow_nesting_limit = NESTING_LIMIT;
    options.block_nesting_limit = NESTING_LIMIT;
    if dialect == Dialect::Json {
        options.simple_key_max_lookahead = KEY_LIMIT;
    }
    options
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) -> Result<(), Flaw> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let tag = tag.map_or(Tag::Absent, |tag| tag_of(&tag));
                let text = match &self.stand_ins {
                    Some(stand_ins) => stand_ins.reveal(&text),
                    None => text.into_owned(),
                };
                self.scalar(text, style, tag, anchor, span)?;
            }
            Event::SequenceStart(style, anchor, _) => self.open(Content::Sequence(Vec::new()), style, anchor, span)?,
            Event::MappingStart(style, anchor, _) => self.open(Content::Mapping(Vec::new()), style, anchor, span)?,
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
            Event::Anchor(id, name) => {
                refused::check_anchor(&name).map_err(|fault| self.flaw(span.start, fault))?;
                let (line, _) = self.place(span.start);
                self.anchors.get(&id).map(|node| self.tree.anchored.insert(*node, line));
            }
            Event::Alias(anchor) => {
                let position = self.position(span);
                self.check_gap(position.start)?;
                let name = self.source(position).trim_start_matches('*');
                refused::check_anchor(name).map_err(|fault| Flaw::at(position, fault))?;
                let target = *self
                    .anchors
                    .get(&anchor)
                    .ok_or_else(|| self.flaw(span.start, Fault::Syntax { reason: "an alias without an anchor".to_owned() }))?;
                self.add(position, Content::Alias(target), 0);
                self.last = (position.end, Before::Value);
            }
            _ => {}
        }
        Ok(())
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, tag: Tag, anchor: usize, span: &Span) -> Result<(), Flaw> {
        let position = self.scalar_position(span, style);
        let is_plain = style == ScalarStyle::Plain;
        if is_plain && span.is_empty() {
            // An absent value; the parser gives it as `~`.
            self.add(position, Content::Scalar(Written { text: String::new(), style: Style::Plain, tag }), anchor);
            return Ok(());
        }
        self.check_gap(position.start)?;
        if self.document.dialect == Dialect::Yaml && style == ScalarStyle::DoubleQuoted {
            refused::check_escapes(self.source(position)).map_err(|fault| Flaw::at(position, fault))?;
        }
        let before = match self.open.last() {
            Some(open) if is_plain => Before::Plain(open.column),
            None if is_plain => Before::Plain(0),
            _ => Before::Value,
        };
        let style = if is_plain { Style::Plain } else { Style::Quoted };
        self.add(position, Content::Scalar(Written { text, style, tag }), anchor);
        self.last = (position.end, before);
        Ok(())
    }

    /// Looks for refused tabs between the last token and the next, in a block.
    fn check_gap(&self, next: usize) -> Result<(), Flaw> {
        let in_flow = self.open.last().is_some_and(|open| open.style == StructureStyle::Flow);
        let (end, before) = self.last;
        let start = self.document.start;
        let Some(gap) = self.document.text.get(end - start..next - start) else { return Ok(()) };
        if in_flow || self.document.dialect == Dialect::Json {
            return Ok(());
        }
        let Some(tab) = refused::find_tab(gap, before) else { return Ok(()) };
        let (line, column) = place(self.document.text, end - start + tab);
        Err(Flaw { fault: Fault::Tab, line: self.document.line + line - 1, column: column + 1 })
    }

    fn add(&mut self, position: Position, content: Content, anchor: usize) -> NodeId {
        let id = self.tree.nodes.len();
        self.tree.nodes.push(Node { position, content });
        if anchor > 0 {
            self.anchors.insert(anchor, id);
        }
        if let Some(parent) = self.open.last_mut() {
            parent.children.push(id);
        }
        id
    }

    fn open(&mut self, content: Content, style: StructureStyle, anchor: usize, span: &Span) -> Result<(), Flaw> {
        if self.open.len() >= NESTING_LIMIT {
            return Err(self.flaw(span.start, Fault::TooDeep { limit: NESTING_LIMIT }));
        }
        let position = self.position(span);
        self.check_gap(position.start)?;
        self.last = (position.start, Before::Value);
        let node = self.add(position, content, anchor);
        let column = position.column as usize;
        self.open.push(Open { node, style, column, children: Vec::new() });
        Ok(())
    }

    fn close(&mut self, span: &Span) {
        let Some(Open { node, style, children, .. }) = self.open.pop() else { return };
        let end = match (style, children.last()) {
            (StructureStyle::Block, Some(last)) => self.tree.nodes[*last].position.end,
            (StructureStyle::Block, None) => self.tree.nodes[node].position.end,
            (StructureStyle::Flow, _) => self.position(span).end,
        };
        if style == StructureStyle::Flow {
            self.last = (end, Before::Value);
        }
        let node = &mut self.tree.nodes[node];
        node.position.end = end.max(node.position.start);
        match &mut node.content {
            Content::Sequence(items) => *items = children,
            Content::Mapping(entries) => *entries = children.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect(),
            Content::Scalar(_) | Content::Alias(_) => {}
        }
    }

    fn position(&self, span: &Span) -> Position {
        let (line, column) = self.place(span.start);
        let byte = |marker: Marker| self.document.start + marker.byte_offset().unwrap_or(0).min(self.document.text.len());
        Position { line, column, start: byte(span.start), end: byte(span.end) }
    }

    /// The parser's span of a block scalar begins behind the header, that of an absent value before the `:`; a value begins
    /// with its `|` or `>`, an absent one behind the `:`.
    fn scalar_position(&self, span: &Span, style: ScalarStyle) -> Position {
        let position = self.position(span);
        if span.is_empty() && self.document.text[position.start - self.document.start..].starts_with(':') {
            let Position { line, column, start, end } = position;
            return Position { line, column: column + 1, start: start + 1, end: end + 1 };
        }
        if !matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
            return position;
        }
        // It ends with its last line, not with the indentation of the next.
        let end = position.start + self.source(position).trim_end_matches(' ').len();
        let before = &self.document.text[..position.start - self.document.start];
        let Some((at, line_start)) = block_header(before) else { return position };
        let lines = number(before[line_start..].matches('\n').count());
        Position {
            line: position.line - lines,
            column: number(before[line_start..at].chars().count()) + 1,
            start: self.document.start + at,
            end,
        }
    }

    fn source(&self, position: Position) -> &str {
        let start = self.document.start;
        self.document.text.get(position.start - start..position.end - start).unwrap_or_default()
    }

    fn place(&self, marker: Marker) -> (u32, u32) {
        let (line, column) = match (&self.counted, marker.byte_offset()) {
            (Some(counted), Some(byte)) => {
                let Counted { lines, characters, .. } = counted.get().on(self.document.text, byte);
                counted.set(Counted { byte, lines, characters });
                (number(lines) + 1, number(characters) + 1)
            }
            _ => (number(marker.line()), number(marker.col()) + 1),
        };
        let shift = if line == 1 { self.document.column } else { 0 };
        (self.document.line + line.saturating_sub(1), column + shift)
    }

    fn flaw(&self, marker: Marker, fault: Fault) -> Flaw {
        let (line, column) = self.place(marker);
        Flaw { fault, line, column }
    }

    fn scan_flaw(&self, error: &ScanError) -> Flaw {
        let fault = match error.kind() {
            ErrorKind::RecursionLimitExceeded => Fault::TooDeep { limit: NESTING_LIMIT },
            _ => Fault::Syntax { reason: error.info() },
        };
        self.flaw(*error.marker(), fault)
    }
}

fn tag_of(tag: &granit_parser::Tag) -> Tag {
    tag.suffix_in_namespace("tag:yaml.org,2002:").map_or(Tag::Opaque, |name| Tag::of_core_name(&name))
}

/// Where the `|` or `>` of the block scalar stands whose content follows `before`, and where that line starts.
fn block_header(before: &str) -> Option<(usize, usize)> {
    let header_end = before.trim_end().len();
    let line_start = before[..header_end].rfind('\n').map_or(0, |at| at + 1);
    let line = &before[line_start..header_end];
    line.match_indices(['|', '>']).map(|(at, _)| (line_start + at, at)).find_map(|(at, column)| {
        let behind = line[column + 1..].trim_start_matches(['+', '-']).trim_start_matches(|c: char| c.is_ascii_digit());
        let behind = behind.trim_start_matches(['+', '-']);
        let is_header = behind.is_empty() || behind.starts_with([' ', '\t']) && behind.trim_start().starts_with('#');
        let is_apart = column == 0 || line[..column].ends_with([' ', '\t']);
        (is_header && is_apart).then_some((at, line_start))
    })
}
