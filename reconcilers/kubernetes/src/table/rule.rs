//! The forms of rules by which the server adds a field: a closed set, made by `scripts/defaults`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::image::is_latest;
use super::place::{Fields, Place};

/// How one field of a type gets a value that Git does not give. A type's rules are tried in order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The field that gets the value.
    pub field: String,
    /// Where the value comes from.
    pub from: Source,
    /// What must hold, all of it.
    #[serde(default)]
    pub when: Vec<Condition>,
}

/// Where a value comes from. Fields are those of the same object, dots lead into it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Source {
    /// This value. `{}` for an object: its own type's rules say what stands in it.
    Value(Value),
    /// Another field's value.
    Copy(String),
    /// A list of another field's value alone.
    List(String),
    /// Another field's text in lower case.
    Lowercase(String),
    /// Another field's text and a suffix.
    Suffixed {
        /// The field.
        field: String,
        /// What is put behind it.
        suffix: String,
    },
    /// A field of an enclosing object.
    Outer {
        /// The enclosing object's type.
        #[serde(rename = "type")]
        type_name: String,
        /// Its field.
        field: String,
    },
    /// One entry of a list, behind what is declared in it.
    Append(Value),
    /// One key of a map, beside what is declared in it.
    Entry {
        /// The key.
        key: String,
        /// The field whose value it gets.
        field: String,
    },
    /// The keys of these maps, in order, beside what is declared.
    Fill(Vec<String>),
}

/// What must hold for a rule to act. Rules of fields that a condition looks at stand before it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Condition {
    /// None of these fields has a value, declared or by default.
    Absent(BTreeSet<String>),
    /// All of these fields have one.
    Present(BTreeSet<String>),
    /// Git gives none of these fields.
    Undeclared(BTreeSet<String>),
    /// A field has one of these texts.
    Is {
        /// The field.
        field: String,
        /// The texts.
        values: BTreeSet<String>,
    },
    /// The object hangs at one of these fields, as `TYPE.FIELD` of the object around it.
    Under(BTreeSet<String>),
    /// The whole object is of one of these types.
    Root(BTreeSet<String>),
    /// A declared field of an enclosing object has one of these values.
    Outer {
        /// The enclosing object's type.
        #[serde(rename = "type")]
        type_name: String,
        /// Its field.
        field: String,
        /// The values.
        values: Vec<Value>,
    },
    /// A field names an image whose tag is `latest`, as written or for want of tag and digest.
    LatestImage(String),
}

impl Source {
    /// The value for a field that holds `declared` now; `None` where the source gives nothing.
    pub(super) fn value(&self, declared: Option<&Value>, fields: &Fields<'_>, place: &Place<'_>) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value.clone()),
            Self::Copy(path) => find(|first| fields.get(first), path).cloned(),
            Self::List(field) => Some(Value::Array(vec![fields.get(field)?.clone()])),
            Self::Lowercase(field) => Some(fields.get(field)?.as_str()?.to_lowercase().into()),
            Self::Suffixed { field, suffix } => Some(format!("{}{suffix}", fields.get(field)?.as_str()?).into()),
            Self::Outer { type_name, field } => {
                let enclosing = place.enclosing(type_name)?;
                find(|first| enclosing.get(first), field).cloned()
            }
            Self::Append(entry) => {
                let mut entries = declared.and_then(Value::as_array).cloned().unwrap_or_default();
                if !entries.contains(entry) {
                    entries.push(entry.clone());
                }
                Some(Value::Array(entries))
            }
            Self::Entry { key, field } => {
                let entry = Map::from_iter([(key.clone(), fields.get(field)?.clone())]);
                Some(beside(declared, [&entry]))
            }
            Self::Fill(names) => {
                let maps: Vec<_> = names.iter().filter_map(|name| fields.get(name)?.as_object()).collect();
                if maps.is_empty() { None } else { Some(beside(declared, maps)) }
            }
        }
    }

    /// Whether the source adds to a value that is there already.
    pub(super) fn adds(&self) -> bool {
        match self {
            Self::Append(_) | Self::Entry { .. } | Self::Fill(_) => true,
            Self::Value(_) | Self::Copy(_) | Self::List(_) | Self::Lowercase(_) | Self::Suffixed { .. } | Self::Outer { .. } => {
                false
            }
        }
    }
}

impl Condition {
    /// Whether it holds for an object of which `declared` is given and `fields` are known by now.
    pub(super) fn holds(&self, declared: &Map<String, Value>, fields: &Fields<'_>, place: &Place<'_>) -> bool {
        match self {
            Self::Absent(names) => names.iter().all(|name| fields.get(name).is_none()),
            Self::Present(names) => names.iter().all(|name| fields.get(name).is_some()),
            Self::Undeclared(names) => names.iter().all(|name| !declared.contains_key(name)),
            Self::Is { field, values } => text(fields, field).is_some_and(|text| values.contains(text)),
            Self::Under(holders) => place.holder.is_some_and(|(type_name, field)| {
                holders.iter().any(|holder| holder.rsplit_once('.') == Some((type_name, field)))
            }),
            Self::Root(types) => types.contains(place.root()),
            Self::Outer { type_name, field, values } => {
                place.enclosing(type_name).and_then(|enclosing| enclosing.get(field)).is_some_and(|value| values.contains(value))
            }
            Self::LatestImage(field) => text(fields, field).is_some_and(is_latest),
        }
    }
}

/// What is declared, and the entries of `maps` whose keys it lacks.
fn beside<'a>(declared: Option<&Value>, maps: impl IntoIterator<Item = &'a Map<String, Value>>) -> Value {
    let mut all = declared.and_then(Value::as_object).cloned().unwrap_or_default();
    for (key, value) in maps.into_iter().flatten() {
        all.entry(key.clone()).or_insert_with(|| value.clone());
    }
    Value::Object(all)
}

/// The value at keys that dots divide.
fn find<'a>(get: impl FnOnce(&str) -> Option<&'a Value>, path: &str) -> Option<&'a Value> {
    let mut keys = path.split('.');
    let first = get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

fn text<'a>(fields: &'a Fields<'_>, field: &str) -> Option<&'a str> {
    fields.get(field)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_form_is_an_error() {
        for text in [
            r#"{"field": "a", "from": {"guess": 1}}"#,
            r#"{"field": "a", "from": {"value": 1}, "unless": []}"#,
            r#"{"field": "a", "from": {"value": 1}, "when": [{"maybe": ["b"]}]}"#,
        ] {
            assert!(serde_json::from_str::<Rule>(text).is_err(), "{text}");
        }
    }
}
