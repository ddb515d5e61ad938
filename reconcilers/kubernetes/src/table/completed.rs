//! What the server adds to Git's words.

use std::borrow::Cow;

use serde_json::{Map, Value};
use trueup_core::shape::Shape;

use super::Table;
use super::place::{Fields, Holder, Place};
use super::rule::Rule;

impl Table {
    /// The value with the defaults of its type and of everything in it.
    pub(super) fn completed(
        &self,
        shape: &Shape,
        value: Cow<'_, Value>,
        holder: Holder<'_>,
        around: Option<&Place<'_>>,
    ) -> Value {
        match (shape, &*value) {
            (Shape::Object(type_name), Value::Object(declared)) => {
                Value::Object(self.completed_object(&Place { holder, type_name, declared, around }))
            }
            (Shape::Map(inner), Value::Object(entries)) => {
                let completed = |(key, entry): (&String, &Value)| (key.clone(), self.completed_in(inner, entry, holder, around));
                Value::Object(entries.iter().map(completed).collect())
            }
            (Shape::List { item, .. }, Value::Array(entries)) => {
                Value::Array(entries.iter().map(|entry| self.completed_in(item, entry, holder, around)).collect())
            }
            _ => value.into_owned(),
        }
    }

    fn completed_in(&self, shape: &Shape, value: &Value, holder: Holder<'_>, around: Option<&Place<'_>>) -> Value {
        self.completed(shape, Cow::Borrowed(value), holder, around)
    }

    fn completed_object(&self, place: &Place<'_>) -> Map<String, Value> {
        let mut fields = Fields::of(place.declared);
        for rule in self.defaults.get(place.type_name).into_iter().flatten() {
            apply(rule, &mut fields, place);
        }
        let known = self.types.0.get(place.type_name);
        let completed = |(field, value): (Cow<'_, str>, Cow<'_, Value>)| {
            let shape = known.and_then(|known| known.get(&*field)).unwrap_or(&Shape::Any);
            let value = self.completed(shape, value, Some((place.type_name, &field)), Some(place));
            (field.into_owned(), value)
        };
        fields.into_all().map(completed).collect()
    }
}

fn apply(rule: &Rule, fields: &mut Fields<'_>, place: &Place<'_>) {
    let declared = fields.get(&rule.field);
    if declared.is_some() && !rule.from.adds() {
        return;
    }
    if !rule.when.iter().all(|condition| condition.holds(place.declared, fields, place)) {
        return;
    }
    if let Some(value) = rule.from.value(declared, fields, place) {
        fields.add(&rule.field, value);
    }
}
