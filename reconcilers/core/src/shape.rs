//! What a type says about its values: which lists are keyed, which strings are quantities.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The shape of a value, as far as comparing it needs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Nothing is known: numbers by value, strings by letter, lists whole and in order.
    #[default]
    Any,
    /// A `resource.Quantity`: `1000m` is `1`.
    Quantity,
    /// A number or a string that are never the same: `80` is not `"80"`.
    IntOrString,
    /// A `metav1.Duration`: `90s` is `1m30s`.
    Duration,
    /// A `metav1.Time`: `2026-11-21T03:00:00+01:00` is `2026-11-21T02:00:00Z`, and fractions of a second are dropped.
    Time,
    /// A `metav1.MicroTime`: the same to the microsecond.
    MicroTime,
    /// A list or a map of a custom resource: what is written is kept, so an empty one is not the same as absent.
    Verbatim(Box<Shape>),
    /// An object of a named type in [`Types`]. `{}` is not the same as absent.
    Object(String),
    /// An object with free keys, each value of one shape. Empty is the same as absent.
    Map(Box<Shape>),
    /// A list. Empty is the same as absent.
    List {
        /// Each entry's shape.
        item: Box<Shape>,
        /// How entries find each other.
        #[serde(default, skip_serializing_if = "Merge::is_atomic")]
        merge: Merge,
    },
}

/// How the entries of two lists find each other.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Merge {
    /// Not at all: the list is one value, in order.
    #[default]
    Atomic,
    /// By value; the order means nothing.
    Set,
    /// By these fields of each entry.
    Keyed(Vec<String>),
}

impl Merge {
    fn is_atomic(&self) -> bool {
        matches!(self, Self::Atomic)
    }
}

/// Named object types: type name → field → shape. Fields that are not named have [`Shape::Any`].
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Types(pub BTreeMap<String, BTreeMap<String, Shape>>);

impl Types {
    /// The shape of `value`'s field `key`, where `value` has `shape`.
    #[must_use]
    pub fn field<'a>(&'a self, shape: &'a Shape, key: &str) -> &'a Shape {
        self.fields(shape).of(key)
    }

    /// The shapes of a value's fields, where the value has `shape`: its type is looked up once for all of them.
    #[must_use]
    pub fn fields<'a>(&'a self, shape: &'a Shape) -> FieldShapes<'a> {
        match shape {
            Shape::Object(name) => self.0.get(name).map_or(FieldShapes::Each(&Shape::Any), FieldShapes::Named),
            Shape::Map(values) => FieldShapes::Each(values),
            Shape::Verbatim(inner) => self.fields(inner),
            Shape::Any
            | Shape::Quantity
            | Shape::IntOrString
            | Shape::Duration
            | Shape::Time
            | Shape::MicroTime
            | Shape::List { .. } => FieldShapes::Each(&Shape::Any),
        }
    }
}

/// The shapes of one value's fields.
#[derive(Debug, Clone, Copy)]
pub enum FieldShapes<'a> {
    /// By their names; others have [`Shape::Any`].
    Named(&'a BTreeMap<String, Shape>),
    /// All of them have this one.
    Each(&'a Shape),
}

impl<'a> FieldShapes<'a> {
    /// The shape of the field with this name.
    #[must_use]
    pub fn of(self, key: &str) -> &'a Shape {
        match self {
            Self::Named(fields) => fields.get(key).unwrap_or(&Shape::Any),
            Self::Each(shape) => shape,
        }
    }
}

impl Shape {
    /// The shape of a list's entries, and how they find each other.
    #[must_use]
    pub fn entries(&self) -> (&Shape, &Merge) {
        match self {
            Self::List { item, merge } => (item, merge),
            Self::Verbatim(inner) => inner.entries(),
            Self::Any
            | Self::Quantity
            | Self::IntOrString
            | Self::Duration
            | Self::Time
            | Self::MicroTime
            | Self::Object(_)
            | Self::Map(_) => (&Shape::Any, &Merge::Atomic),
        }
    }

    /// Whether the server keeps no difference between this value and none at all.
    #[must_use]
    pub fn is_absent(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (_, None | Some(Value::Null)) => true,
            (Self::Map(_), Some(Value::Object(fields))) => fields.is_empty(),
            (Self::List { .. }, Some(Value::Array(entries))) => entries.is_empty(),
            _ => false,
        }
    }
}
