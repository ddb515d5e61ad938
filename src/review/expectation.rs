//! Git follows a Terraform state: the `equals` of an expectation is edited by bytes.

use std::ops::Range;

use serde_json::Value;

use super::adopt::Refused;

/// Puts `value` in the place of an `equals` value of a `*.expect.toml` file; `span` is that value's bytes.
///
/// # Errors
/// [`Refused`] where TOML has no such value, the span is none of an `equals`, or anything else would change.
pub fn adopt_expectation(file: &str, bytes: &[u8], span: Range<usize>, value: &Value) -> Result<Vec<u8>, Refused> {
    let place = format!("the value at bytes {} to {}", span.start, span.end);
    edited(bytes, span, value).map_err(|reason| Refused { file: file.to_owned(), place, reason })
}

fn edited(bytes: &[u8], span: Range<usize>, value: &Value) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the file is not UTF-8")?;
    let old = text.get(span.clone()).ok_or("the place lies outside of the file")?;
    let live = toml_value(value)?;
    let edited = format!("{}{}{}", &text[..span.start], printed(old, &live), &text[span.end..]);
    let before: toml::Table = text.parse().map_err(|_| "the file is not TOML")?;
    let after: toml::Table = edited.parse().map_err(|_| "the edited file would not be TOML")?;
    let mut changes = Vec::new();
    differences(&mut changes, &[], &toml::Value::Table(before), &toml::Value::Table(after));
    match changes.as_slice() {
        [] => Err("Git already expects the live value".to_owned()),
        [(path, Some(new))] if path.last().is_some_and(|key| key == "equals") && *new == live => Ok(edited.into_bytes()),
        _ => Err("the edit would change something else than one `equals`".to_owned()),
    }
}

fn toml_value(value: &Value) -> Result<toml::Value, String> {
    Ok(match value {
        Value::Null => return Err("the live value is null, and TOML has no null".to_owned()),
        Value::Bool(flag) => toml::Value::Boolean(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => toml::Value::Integer(integer),
            (None, Some(float)) if !number.is_u64() => toml::Value::Float(float),
            _ => return Err(format!("`{number}` is too large for TOML")),
        },
        Value::String(text) => toml::Value::String(text.clone()),
        Value::Array(items) => toml::Value::Array(items.iter().map(toml_value).collect::<Result<_, _>>()?),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(key, value)| toml_value(value).map(|value| (key.clone(), value)));
            toml::Value::Table(fields.collect::<Result<_, _>>()?)
        }
    })
}

/// In single quotes where the old value has them and they can hold the new one.
fn printed(old: &str, value: &toml::Value) -> String {
    match value {
        toml::Value::String(text)
            if old.starts_with('\'') && !old.starts_with("'''") && text.chars().all(|c| c != '\'' && !c.is_control()) =>
        {
            format!("'{text}'")
        }
        toml::Value::String(text) => super::print::double_quoted(text),
        other => other.to_string(),
    }
}

/// The keys to each difference, and what stands there now. An `equals` is one value, however deep.
fn differences(
    changes: &mut Vec<(Vec<String>, Option<toml::Value>)>,
    at: &[String],
    before: &toml::Value,
    after: &toml::Value,
) {
    let is_whole = at.last().is_some_and(|key| key == "equals");
    match (before, after) {
        _ if before == after => {}
        (toml::Value::Table(old), toml::Value::Table(new)) if !is_whole => {
            let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for key in keys {
                let at: Vec<String> = at.iter().cloned().chain([key.clone()]).collect();
                match (old.get(key), new.get(key)) {
                    (Some(old), Some(new)) => differences(changes, &at, old, new),
                    (_, new) => changes.push((at, new.cloned())),
                }
            }
        }
        (toml::Value::Array(old), toml::Value::Array(new)) if !is_whole && old.len() == new.len() => {
            for (index, (old, new)) in old.iter().zip(new).enumerate() {
                let at: Vec<String> = at.iter().cloned().chain([index.to_string()]).collect();
                differences(changes, &at, old, new);
            }
        }
        _ => changes.push((at.to_vec(), Some(after.clone()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const FILE: &str = "# what the database is\n[[output]]\nname = \"db\"   # its name\nequals = 'db-a'  # since 2024\n\n[[output]]\nname = \"port\"\nequals = 5432\n";

    fn adopt(old: &str, value: &Value) -> Result<String, String> {
        let start = FILE.find(old).expect("in the file");
        let edited = adopt_expectation("db.expect.toml", FILE.as_bytes(), start..start + old.len(), value);
        edited.map(|bytes| String::from_utf8(bytes).expect("UTF-8")).map_err(|refused| refused.reason)
    }

    #[test]
    fn one_equals_changes_and_nothing_else() {
        assert_eq!(adopt("'db-a'", &json!("db-b.internal")).as_deref(), Ok(&*FILE.replace("db-a", "db-b.internal")));
        assert_eq!(adopt("5432", &json!(5433)).as_deref(), Ok(&*FILE.replace("5432", "5433")));
        assert_eq!(adopt("5432", &json!(["a", {"b": 1.5}])).as_deref(), Ok(&*FILE.replace("5432", "[\"a\", { b = 1.5 }]")));
        assert_eq!(adopt("'db-a'", &json!("it's \u{202e}")).as_deref(), Ok(&*FILE.replace("'db-a'", "\"it's \\u202e\"")));
    }

    #[test]
    fn anything_else_is_refused() {
        let elsewhere = "the edit would change something else than one `equals`";
        assert_eq!(adopt("\"port\"", &json!("x")).expect_err("a name"), elsewhere);
        assert_eq!(adopt("equals = 5432", &json!("x")).expect_err("too much"), "the edited file would not be TOML");
        assert_eq!(adopt("'db-a'", &json!(null)).expect_err("null"), "the live value is null, and TOML has no null");
        assert_eq!(adopt("5432", &json!(5432)).expect_err("same"), "Git already expects the live value");
    }
}
