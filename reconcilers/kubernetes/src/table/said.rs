//! What Git says in the server's eyes: the manifest as it is decoded into Kubernetes' types and written out again.

use std::borrow::Cow;

use serde_json::{Map, Value};
use trueup_core::shape::Shape;

use super::Table;

impl Table {
    /// The value without what decoding loses: unknown fields, nulls, empty lists and maps, and zero values that are written
    /// out as nothing. `None` where nothing is left; the very value where nothing is lost.
    pub(super) fn said<'a>(&self, shape: &Shape, value: &'a Value) -> Option<Cow<'a, Value>> {
        let said = match (shape, value) {
            (_, Value::Null) => return None,
            (Shape::Object(name), Value::Object(fields)) => return Some(self.said_fields(name, value, fields)),
            (Shape::Map(inner), Value::Object(entries)) => {
                let said: Vec<_> = entries.values().map(|entry| self.said_entry(inner, entry)).collect();
                let keyed =
                    |said: Vec<Cow<'_, Value>>| entries.keys().cloned().zip(said.into_iter().map(Cow::into_owned)).collect();
                if are_kept(said.iter()) { Cow::Borrowed(value) } else { Cow::Owned(Value::Object(keyed(said))) }
            }
            (Shape::List { item, .. }, Value::Array(entries)) => {
                let said: Vec<_> = entries.iter().map(|entry| self.said_entry(item, entry)).collect();
                let owned = |said: Vec<Cow<'_, Value>>| said.into_iter().map(Cow::into_owned).collect();
                if are_kept(said.iter()) { Cow::Borrowed(value) } else { Cow::Owned(Value::Array(owned(said))) }
            }
            _ => return Some(Cow::Borrowed(value)),
        };
        Some(said).filter(|said| !shape.is_absent(Some(said)))
    }

    fn said_fields<'a>(&self, name: &str, value: &'a Value, fields: &'a Map<String, Value>) -> Cow<'a, Value> {
        let (known, zeros) = (self.types.0.get(name), self.zeros.get(name));
        let said = |(field, value): (&'a String, &'a Value)| {
            let said = self.said(known?.get(field)?, value)?;
            let is_nothing = is_zero(&said) && zeros.is_some_and(|zeros| zeros.contains(field));
            if is_nothing { None } else { Some((field, said)) }
        };
        let said: Vec<_> = fields.iter().filter_map(said).collect();
        if said.len() == fields.len() && are_kept(said.iter().map(|(_, said)| said)) {
            return Cow::Borrowed(value);
        }
        let owned = |(field, said): (&String, Cow<'_, Value>)| (field.clone(), said.into_owned());
        Cow::Owned(Value::Object(said.into_iter().map(owned).collect()))
    }

    /// An entry of a list or map stays; null decodes to its type's zero value.
    fn said_entry<'a>(&self, shape: &Shape, entry: &'a Value) -> Cow<'a, Value> {
        self.said(shape, entry).unwrap_or_else(|| {
            Cow::Owned(match shape {
                Shape::Any | Shape::Duration | Shape::Time | Shape::MicroTime => "".into(),
                Shape::Verbatim(_) => Value::Null,
                Shape::Quantity => "0".into(),
                Shape::IntOrString => 0.into(),
                Shape::Object(_) | Shape::Map(_) => Value::Object(Map::new()),
                Shape::List { .. } => Value::Array(Vec::new()),
            })
        })
    }
}

/// Whether all of these are what Git says, unchanged.
fn are_kept<'s, 'a: 's>(mut said: impl Iterator<Item = &'s Cow<'a, Value>>) -> bool {
    said.all(|said| matches!(said, Cow::Borrowed(_)))
}

/// Whether Go's zero value is written like this.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(entries) => entries.is_empty(),
        Value::Object(fields) => fields.is_empty(),
    }
}
