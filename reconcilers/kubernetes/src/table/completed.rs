//! What the server adds to Git's words.

use serde_json::{Map, Value};
use trueup_core::shape::Shape;

use super::Table;
use super::place::Place;
use super::rule::Rule;

impl Table {
    /// The value with the defaults of its type and of everything in it.
    pub(super) fn completed(&self, shape: &Shape, value: Value, holder: &str, around: Option<&Place<'_>>) -> Value {
        match (shape, value) {
            (Shape::Object(type_name), Value::Object(declared)) => {
                Value::Object(self.completed_object(&Place { holder, type_name, declared: &declared, around }))
            }
            (Shape::Map(inner), Value::Object(entries)) => {
                let completed = |(key, entry)| (key, self.completed(inner, entry, holder, around));
                Value::Object(entries.into_iter().map(completed).collect())
            }
            (Shape::List { item, .. }, Value::Array(entries)) => {
                let completed = |entry| self.completed(item, entry, holder, around);
                Value::Array(entries.into_iter().map(completed).collect())
            }
            (_, value) => value,
        }
    }

    fn completed_object(&self, place: &Place<'_>) -> Map<String, Value> {
        let mut fields = place.declared.clone();
        for rule in self.defaults.get(place.type_name).into_iter().flatten() {
            apply(rule, &mut fields, place);
        }
        let shape = Shape::Object(place.type_name.to_owned());
        let completed = |(field, value): (String, Value)| {
            let holder = format!("{}.{field}", place.type_name);
            let value = self.completed(self.types.field(&shape, &field), value, &holder, Some(place));
            (field, value)
        };
        fields.into_iter().map(completed).collect()
    }
}

fn apply(rule: &Rule, fields: &mut Map<String, Value>, place: &Place<'_>) {
    let declared = fields.get(&rule.field);
    if declared.is_some() && !rule.from.adds() {
        return;
    }
    if !rule.when.iter().all(|condition| condition.holds(place.declared, fields, place)) {
        return;
    }
    if let Some(value) = rule.from.value(declared, fields, place) {
        fields.insert(rule.field.clone(), value);
    }
}
