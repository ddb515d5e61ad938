//! From written nodes to values: scalars resolved, aliases and merge keys followed, in the order in which Kubernetes' reader
//! does it (`yaml.v2`): entries are set one after the other, so that a `<<` below a key overrides that key.

use std::borrow::Cow;

use serde_json::Value;
use trueup_core::positions::{Found, Position, Positions};

use super::document::Dialect;
use super::entries::Entries;
use super::fault::{Fault, Flaw};
use super::node::{Content, NodeId, Tree};
use super::scalar::{self, Scalar, Written};
use super::{ALIAS_LIMIT, ALIASED_TEXT_LIMIT, DUPLICATES_LIMIT, NESTING_LIMIT};

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Placed {
    pub position: Position,
    pub shape: Shape,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    Leaf(Value),
    List(Vec<Placed>),
    Map(Entries),
}

impl Placed {
    /// The entry of a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<&Self> {
        match &self.shape {
            Shape::Map(entries) => entries.get(key),
            Shape::Leaf(_) | Shape::List(_) => None,
        }
    }

    /// The text of a string.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.shape {
            Shape::Leaf(value) => value.as_str(),
            Shape::List(_) | Shape::Map(_) => None,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(self.shape, Shape::Leaf(Value::Null))
    }

    /// How long the JSON pointers of all values in it are together, below one of this length.
    pub(super) fn paths_length(&self, above: usize) -> usize {
        let below = |key_length: usize, value: &Self| value.paths_length(above + 1 + key_length);
        let lengths = match &self.shape {
            Shape::Leaf(_) => 0,
            Shape::List(items) => items.iter().map(|item| below(1, item)).fold(0, usize::saturating_add),
            Shape::Map(entries) => entries.iter().map(|(key, value)| below(key.len(), value)).fold(0, usize::saturating_add),
        };
        lengths.saturating_add(above)
    }

    /// The value, and the position of each value in it by JSON pointer.
    pub(super) fn into_value(self) -> (Value, Positions) {
        let mut positions = Found::default();
        let value = self.flatten(&mut String::new(), &mut positions);
        (value, positions.into())
    }

    fn flatten(self, pointer: &mut String, positions: &mut Found) -> Value {
        positions.add(pointer, self.position);
        let length = pointer.len();
        let mut child = |token: &str, placed: Self| {
            pointer.push('/');
            pointer.push_str(token);
            let value = placed.flatten(pointer, positions);
            pointer.truncate(length);
            value
        };
        match self.shape {
            Shape::Leaf(value) => value,
            Shape::List(items) => {
                Value::Array(items.into_iter().enumerate().map(|(index, item)| child(&index.to_string(), item)).collect())
            }
            Shape::Map(entries) => Value::Object(
                entries
                    .into_iter()
                    .map(|(key, placed)| {
                        let value = child(&escaped(&key), placed);
                        (key, value)
                    })
                    .collect(),
            ),
        }
    }
}

/// A key as a token of a JSON pointer (RFC 6901).
fn escaped(key: &str) -> Cow<'_, str> {
    if key.contains(['~', '/']) { key.replace('~', "~0").replace('/', "~1").into() } else { key.into() }
}

/// What one pass over a tree keeps.
struct Composer<'a> {
    tree: &'a Tree,
    dialect: Dialect,
    /// Nodes visited, as Kubernetes' reader counts them.
    visited: u32,
    /// Those of them inside aliases.
    aliased: u32,
    /// Bytes of text inside aliases.
    aliased_text: usize,
    open_aliases: Vec<NodeId>,
    depth: usize,
    duplicates: Vec<Flaw>,
}

/// The document's value; `None` for an empty document. Either one fault that stops the reading, or all duplicate keys.
pub(super) fn compose(tree: &Tree, dialect: Dialect) -> Result<Option<Placed>, Vec<Flaw>> {
    let Some(root) = tree.root() else { return Ok(None) };
    let mut composer = Composer {
        tree,
        dialect,
        visited: 1,
        aliased: 0,
        aliased_text: 0,
        open_aliases: Vec::new(),
        depth: 0,
        duplicates: Vec::new(),
    };
    let placed = composer.value(root).map_err(|flaw| vec![flaw])?;
    let mut duplicates = composer.duplicates;
    duplicates.sort_by_key(|flaw| (flaw.line, flaw.column));
    if duplicates.is_empty() { Ok(Some(placed)) } else { Err(duplicates) }
}

impl Composer<'_> {
    fn value(&mut self, id: NodeId) -> Result<Placed, Flaw> {
        self.visit(id)?;
        let node = self.tree.node(id);
        let shape = match &node.content {
            Content::Scalar(written) => {
                let value = self.resolve(written).and_then(Scalar::into_value);
                Shape::Leaf(value.map_err(|fault| Flaw::at(node.position, fault))?)
            }
            Content::Sequence(items) => {
                self.deeper(id, |composer| items.iter().map(|item| composer.value(*item)).collect()).map(Shape::List)?
            }
            Content::Mapping(_) => {
                let mut entries = Vec::new();
                self.deeper(id, |composer| composer.fill(id, &mut entries))?;
                Shape::Map(Entries::set(entries))
            }
            Content::Alias(target) => self.inside_alias(id, |composer| composer.value(*target))?.shape,
        };
        Ok(Placed { position: node.position, shape })
    }

    /// Sets the entries of a mapping, those of its merge keys included.
    fn fill(&mut self, id: NodeId, into: &mut Vec<(String, Placed)>) -> Result<(), Flaw> {
        let Content::Mapping(entries) = &self.tree.node(id).content else { return Ok(()) };
        into.reserve_exact(entries.len());
        let mut own = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            if self.is_merge_key(*key) {
                self.merge(*value, into)?;
                continue;
            }
            own.push((into.len(), self.tree.node(*key).position));
            let name = self.key(*key)?;
            let placed = self.value(*value)?;
            into.push((name, placed));
        }
        self.find_duplicates(own, into);
        Ok(())
    }

    /// The keys that stand in one mapping more than once; each stands at an index of `entries`, and in the file.
    fn find_duplicates(&mut self, mut own: Vec<(usize, Position)>, entries: &[(String, Placed)]) {
        own.sort_by(|(one, _), (other, _)| entries[*one].0.cmp(&entries[*other].0));
        let pairs = own.windows(2).filter(|pair| entries[pair[0].0].0 == entries[pair[1].0].0);
        let mut found: Vec<_> = pairs.map(|pair| (pair[1], pair[0].1.line)).collect();
        found.sort_by_key(|((at, _), _)| *at);
        let room = DUPLICATES_LIMIT.saturating_sub(self.duplicates.len());
        self.duplicates.extend(found.into_iter().take(room).map(|((at, position), first)| {
            let fault = Fault::DuplicateKey { key: entries[at].0.clone(), first, second: position.line };
            Flaw::at(position, fault)
        }));
    }

    fn is_merge_key(&self, id: NodeId) -> bool {
        match &self.tree.node(id).content {
            Content::Scalar(written) => written.is_merge_key(),
            Content::Sequence(_) | Content::Mapping(_) | Content::Alias(_) => false,
        }
    }

    fn key(&mut self, id: NodeId) -> Result<String, Flaw> {
        self.visit(id)?;
        let node = self.tree.node(id);
        match &node.content {
            Content::Scalar(written) => {
                let key = self.resolve(written).and_then(Scalar::into_key);
                key.map_err(|fault| Flaw::at(node.position, fault))
            }
            Content::Alias(target) => self.inside_alias(id, |composer| composer.key(*target)),
            Content::Sequence(_) | Content::Mapping(_) => Err(Flaw::at(node.position, Fault::KeyIsCollection)),
        }
    }

    /// A mapping, an alias of one, or a list of those, of which the first has the last word.
    fn merge(&mut self, id: NodeId, into: &mut Vec<(String, Placed)>) -> Result<(), Flaw> {
        match &self.tree.node(id).content {
            Content::Sequence(items) => items.iter().rev().try_for_each(|item| self.merge_one(*item, into)),
            Content::Scalar(_) | Content::Mapping(_) | Content::Alias(_) => self.merge_one(id, into),
        }
    }

    fn merge_one(&mut self, id: NodeId, into: &mut Vec<(String, Placed)>) -> Result<(), Flaw> {
        let node = self.tree.node(id);
        match &node.content {
            Content::Mapping(_) => {
                self.visit(id)?;
                self.deeper(id, |composer| composer.fill(id, into))
            }
            Content::Alias(target) if matches!(self.tree.node(*target).content, Content::Mapping(_)) => {
                self.visit(id)?;
                self.inside_alias(id, |composer| {
                    composer.visit(*target)?;
                    composer.deeper(*target, |composer| composer.fill(*target, into))
                })
            }
            Content::Scalar(_) | Content::Sequence(_) | Content::Alias(_) => Err(Flaw::at(node.position, Fault::MergesNoMapping)),
        }
    }

    fn resolve(&self, written: &Written) -> Result<Scalar, Fault> {
        match (self.dialect, written.style) {
            (Dialect::Json, scalar::Style::Plain) => scalar::resolve_json(&written.text),
            _ => written.resolve(),
        }
    }

    fn deeper<T>(&mut self, id: NodeId, inside: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.depth >= NESTING_LIMIT {
            return Err(Flaw::at(self.tree.node(id).position, Fault::TooDeep { limit: NESTING_LIMIT }));
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    fn inside_alias<T>(&mut self, id: NodeId, inside: impl FnOnce(&mut Self) -> Result<T, Flaw>) -> Result<T, Flaw> {
        if self.open_aliases.contains(&id) {
            return Err(Flaw::at(self.tree.node(id).position, Fault::CircularAlias));
        }
        self.open_aliases.push(id);
        let result = inside(self);
        self.open_aliases.pop();
        result
    }

    fn visit(&mut self, id: NodeId) -> Result<(), Flaw> {
        self.visited += 1;
        if !self.open_aliases.is_empty() {
            self.aliased += 1;
            self.aliased_text += self.tree.node(id).text_length();
        }
        let is_long = self.aliased > ALIAS_LIMIT || self.aliased_text > ALIASED_TEXT_LIMIT;
        if is_long || is_excessive(self.visited, self.aliased) {
            return Err(Flaw::at(self.tree.node(id).position, Fault::TooManyAliases));
        }
        Ok(())
    }
}

/// Kubernetes' own limit: of up to 400,000 nodes at most 99 % may come from aliases (our [`ALIAS_LIMIT`] ends before its
/// share begins to fall).
fn is_excessive(visited: u32, aliased: u32) -> bool {
    visited > 1000 && aliased > 100 && f64::from(aliased) / f64::from(visited) > allowed_share(visited)
}

fn allowed_share(visited: u32) -> f64 {
    const FALLS_FROM: f64 = 400_000.0;
    const FALLS_TO: f64 = 4_000_000.0;
    0.99 - 0.89 * ((f64::from(visited) - FALLS_FROM) / (FALLS_TO - FALLS_FROM)).clamp(0.0, 1.0)
}
