//! Values as Terraform and expectation files hold them: JSON whose numbers are exact.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::number::{Decimal, NumberError};

/// A JSON value with exact numbers. Two of them are equal when numbers are equal by value, lists member by member, and
/// objects key by key in any order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExactValue {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// `3`, `0.5`
    Number(Decimal),
    /// `"a"`
    String(String),
    /// `[…]`
    List(Vec<ExactValue>),
    /// `{…}`
    Object(BTreeMap<String, ExactValue>),
}

/// Why a JSON text is not a value that can be compared.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Not JSON.
    #[error("a value is not valid JSON: {0}")]
    NotJson(#[source] serde_json::Error),
    /// Nested too deep.
    #[error("a value is nested deeper than {MAX_DEPTH} levels; Terraform's own values are not, look where it comes from")]
    TooDeep,
    /// A key twice in one object, of which readers take different ones.
    #[error("the key `{0}` stands twice in one object; whatever wrote it is not Terraform")]
    DuplicateKey(String),
    /// A number that is none.
    #[error(transparent)]
    Number(NumberError),
}

const MAX_DEPTH: usize = 128;

impl ExactValue {
    /// Reads a JSON text.
    ///
    /// # Errors
    /// Where it is not JSON, is nested too deep, or has a key twice in one object.
    pub fn of_json(raw: &RawValue) -> Result<Self, ValueError> {
        of_raw(raw, 0)
    }

    /// The value for reports. A number that JSON readers would round (they hold 64 bits) becomes a string of its digits, so
    /// that what is shown is what is there.
    #[must_use]
    pub fn shown(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(bool) => Value::Bool(*bool),
            Self::Number(number) => number.to_json().map_or_else(|| Value::String(number.to_string()), Value::Number),
            Self::String(text) => Value::String(text.clone()),
            Self::List(members) => members.iter().map(Self::shown).collect(),
            Self::Object(members) => Value::Object(members.iter().map(|(key, member)| (key.clone(), member.shown())).collect()),
        }
    }
}

/// Canonical JSON: no white space, keys sorted by their bytes, each number in its one form.
impl fmt::Display for ExactValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => write!(f, "{bool}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::String(text) => write!(f, "{}", Value::from(text.as_str())),
            Self::List(members) => {
                f.write_str("[")?;
                for (index, member) in members.iter().enumerate() {
                    write!(f, "{}{member}", if index > 0 { "," } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(members) => {
                f.write_str("{")?;
                for (index, (key, member)) in members.iter().enumerate() {
                    write!(f, "{}{}:{member}", if index > 0 { "," } else { "" }, Value::from(key.as_str()))?;
                }
                f.write_str("}")
            }
        }
    }
}

/// `RawValue` is the one way to see a number's digits: serde's own number types would round them.
fn of_raw(raw: &RawValue, depth: usize) -> Result<ExactValue, ValueError> {
    if depth > MAX_DEPTH {
        return Err(ValueError::TooDeep);
    }
    let text = raw.get();
    Ok(match text.as_bytes().first() {
        Some(b'{') => {
            let members: Members<'_> = serde_json::from_str(text).map_err(ValueError::NotJson)?;
            ExactValue::Object(object(members, depth)?)
        }
        Some(b'[') => {
            let members: Vec<&RawValue> = serde_json::from_str(text).map_err(ValueError::NotJson)?;
            ExactValue::List(members.into_iter().map(|member| of_raw(member, depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'"') => ExactValue::String(serde_json::from_str(text).map_err(ValueError::NotJson)?),
        Some(b't' | b'f') => ExactValue::Bool(serde_json::from_str(text).map_err(ValueError::NotJson)?),
        Some(b'n') => ExactValue::Null,
        Some(_) | None => ExactValue::Number(text.parse().map_err(ValueError::Number)?),
    })
}

fn object(members: Members<'_>, depth: usize) -> Result<BTreeMap<String, ExactValue>, ValueError> {
    let mut object = BTreeMap::new();
    for (key, raw) in members.0 {
        match object.entry(key) {
            Entry::Occupied(entry) => return Err(ValueError::DuplicateKey(entry.key().clone())),
            Entry::Vacant(entry) => entry.insert(of_raw(raw, depth + 1)?),
        };
    }
    Ok(object)
}

/// An object's members as they stand, twins included: a map would drop one of them unseen.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Deserialize<'a> for Members<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'a> Visitor<'a> for Object {
            type Value = Members<'a>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Members<'a>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<ExactValue, ValueError> {
        ExactValue::of_json(&RawValue::from_string(text.to_owned()).unwrap())
    }

    #[test]
    fn canonical_json_is_the_same_for_equal_values() {
        let left = value(r#"{ "b": [1.0, true, null], "a": "é\u00e9\n" }"#).unwrap();
        let right = value(r#"{"a":"éé\n","b":[10e-1,true,null]}"#).unwrap();
        assert_eq!(left, right);
        assert_eq!(left.to_string(), "{\"a\":\"éé\\n\",\"b\":[1,true,null]}");
    }

    #[test]
    fn a_number_that_json_would_round_is_shown_by_its_digits() {
        let shown = value("[123456789012345678901234567890, 3]").unwrap().shown();
        assert_eq!(shown, serde_json::json!(["123456789012345678901234567890", 3]));
    }

    #[test]
    fn twins_and_depth_are_errors() {
        assert!(matches!(value(r#"{"a":{"x":1,"x":2}}"#), Err(ValueError::DuplicateKey(key)) if key == "x"));
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(value(&deep(100)).is_ok());
        assert!(matches!(value(&deep(200)), Err(ValueError::TooDeep)));
        assert!(matches!(value(&deep(100_000)), Err(ValueError::TooDeep | ValueError::NotJson(_))));
    }
}
