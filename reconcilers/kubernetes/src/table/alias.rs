//! Fields with two names. The server keeps both alike; of words that give one of them alone, an apply takes the other from live.

use serde_json::Value;
use trueup_core::shape::Shape;

use super::Table;
use super::rule::Source;

impl Table {
    /// The value with both names of each field that has two, as the server makes them of these words alone: of
    /// `serviceAccount: a` it makes `serviceAccountName: a`, too.
    pub(crate) fn with_both_names(&self, shape: &Shape, value: Value) -> Value {
        match (shape, value) {
            (Shape::Object(type_name), Value::Object(mut fields)) => {
                for (field, other) in self.aliases(type_name) {
                    let is_given = fields.get(field).is_some_and(|value| !value.is_null() && value != "");
                    if let Some(value) = fields.get(other).filter(|_| !is_given).cloned() {
                        fields.insert(field.to_owned(), value);
                    }
                }
                let both = |(field, value): (String, Value)| {
                    let value = self.with_both_names(self.types.field(shape, &field), value);
                    (field, value)
                };
                Value::Object(fields.into_iter().map(both).collect())
            }
            (Shape::Map(inner), Value::Object(entries)) => {
                Value::Object(entries.into_iter().map(|(key, entry)| (key, self.with_both_names(inner, entry))).collect())
            }
            (Shape::List { item, .. }, Value::Array(entries)) => {
                Value::Array(entries.into_iter().map(|entry| self.with_both_names(item, entry)).collect())
            }
            (_, value) => value,
        }
    }

    /// The fields of a type that are always copied from each other.
    fn aliases(&self, type_name: &str) -> impl Iterator<Item = (&str, &str)> {
        let rules = self.defaults.get(type_name).map_or(&[][..], Vec::as_slice);
        let copies = rules.iter().filter(|rule| rule.when.is_empty());
        let copies =
            copies.filter_map(|rule| if let Source::Copy(other) = &rule.from { Some((&*rule.field, &**other)) } else { None });
        let all: Vec<(&str, &str)> = copies.collect();
        all.clone().into_iter().filter(move |(field, other)| all.contains(&(*other, *field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trueup_core::object::ObjectId;

    #[test]
    fn a_service_account_has_two_names() {
        let id = ObjectId { api_version: "v1".into(), kind: "ReplicationController".into(), namespace: None, name: "a".into() };
        let table = Table::load();
        let both = |spec: &Value| table.with_both_names(&table.root_shape(&id), json!({"spec": {"template": {"spec": spec}}}));
        for (given, expected) in [
            (json!({"serviceAccount": "a"}), json!({"serviceAccount": "a", "serviceAccountName": "a"})),
            (json!({"serviceAccountName": "a"}), json!({"serviceAccount": "a", "serviceAccountName": "a"})),
            (json!({"serviceAccount": "a", "serviceAccountName": ""}), json!({"serviceAccount": "a", "serviceAccountName": "a"})),
            (
                json!({"serviceAccount": "a", "serviceAccountName": "b"}),
                json!({"serviceAccount": "a", "serviceAccountName": "b"}),
            ),
            (json!({"hostNetwork": true}), json!({"hostNetwork": true})),
        ] {
            assert_eq!(both(&given)["spec"]["template"]["spec"], expected);
        }
    }
}
