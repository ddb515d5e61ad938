//! What Git says in the server's eyes: the manifest as it is decoded into Kubernetes' types and written out again.

use serde_json::{Map, Value};
use trueup_core::shape::Shape;

use super::Table;

impl Table {
    /// The value without what decoding loses: unknown fields, nulls, empty lists and maps, and zero values that are written
    /// out as nothing. `None` where nothing is left.
    pub(super) fn said(&self, shape: &Shape, value: &Value) -> Option<Value> {
        match (shape, value) {
            (_, Value::Null) => None,
            (Shape::Object(name), Value::Object(fields)) => Some(Value::Object(self.said_fields(name, fields))),
            (Shape::Map(inner), Value::Object(entries)) => {
                let said = |(key, entry): (&String, &Value)| (key.clone(), self.said_entry(inner, entry));
                Some(entries.iter().map(said).collect::<Map<_, _>>().into()).filter(|said| !shape.is_absent(Some(said)))
            }
            (Shape::List { item, .. }, Value::Array(entries)) => {
                let said: Vec<_> = entries.iter().map(|entry| self.said_entry(item, entry)).collect();
                Some(Value::Array(said)).filter(|said| !shape.is_absent(Some(said)))
            }
            _ => Some(value.clone()),
        }
    }

    fn said_fields(&self, name: &str, fields: &Map<String, Value>) -> Map<String, Value> {
        let (known, zeros) = (self.types.0.get(name), self.zeros.get(name));
        let said = |(field, value): (&String, &Value)| {
            let said = self.said(known?.get(field)?, value)?;
            let is_nothing = is_zero(&said) && zeros.is_some_and(|zeros| zeros.contains(field));
            if is_nothing { None } else { Some((field.clone(), said)) }
        };
        fields.iter().filter_map(said).collect()
    }

    /// An entry of a list or map stays; null decodes to its type's zero value.
    fn said_entry(&self, shape: &Shape, entry: &Value) -> Value {
        self.said(shape, entry).unwrap_or_else(|| match shape {
            Shape::Any | Shape::Duration | Shape::Time | Shape::MicroTime => "".into(),
            Shape::Verbatim(_) => Value::Null,
            Shape::Quantity => "0".into(),
            Shape::IntOrString => 0.into(),
            Shape::Object(_) | Shape::Map(_) => Value::Object(Map::new()),
            Shape::List { .. } => Value::Array(Vec::new()),
        })
    }
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
