//! One object of a file in new words, with the bytes around it left alone.

use serde_json::Value;
use trueup_core::facts::Desired;

use crate::manifest;

/// The file with `object` replaced by `value`; `None` if the result would not read as just that.
pub(super) fn replace(bytes: &[u8], object: &Desired, value: &Value) -> Option<Vec<u8>> {
    let place = object.positions.get("")?;
    let (before, after) = (bytes.get(..place.start)?, bytes.get(place.end..)?);
    let column = usize::try_from(place.column).ok()?.checked_sub(1)?;
    let text = if bytes.get(place.start) == Some(&b'{') {
        serde_json::to_string_pretty(value).ok()?
    } else {
        // The first line stands where the object stood, behind the file's own indentation.
        block(value, column).trim_start().to_owned()
    };
    let break_lost = text.ends_with('\n') && after.first() == Some(&b'\n');
    let text = if break_lost { text.trim_end_matches('\n') } else { &text };
    let rewritten = [before, text.as_bytes(), after].concat();
    reads_as(bytes, &rewritten, object, value).then_some(rewritten)
}

/// Whether all other objects read as before, and this one as it should.
fn reads_as(before: &[u8], after: &[u8], object: &Desired, value: &Value) -> bool {
    let file = &object.origin.file;
    let (old, problems_before) = manifest::read(file, before);
    let (new, problems_after) = manifest::read(file, after);
    let count = |problems: &[trueup_core::facts::Problem]| problems.len();
    old.len() == new.len()
        && count(&problems_before) == count(&problems_after)
        && old.iter().zip(&new).all(|(old, new)| {
            let is_ours = old.id == object.id && old.origin == object.origin;
            let wanted = if is_ours { value } else { &old.value };
            new.id == old.id && new.value == *wanted
        })
}

/// Block YAML that every reader takes for the same: a text that could be taken for anything else stands in quotes.
fn block(value: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let parts: Vec<String> = match value {
        Value::Object(fields) if !fields.is_empty() => {
            fields.iter().map(|(key, below)| format!("{margin}{}:{}", scalar_text(key), behind(below, indent))).collect()
        }
        Value::Array(entries) if !entries.is_empty() => entries.iter().map(|entry| item(entry, indent)).collect(),
        scalar => vec![format!("{margin}{}\n", scalar_value(scalar))],
    };
    parts.concat()
}

fn item(entry: &Value, indent: usize) -> String {
    let margin = " ".repeat(indent);
    if is_nested(entry) {
        format!("{margin}- {}", block(entry, indent + 2).trim_start())
    } else {
        format!("{margin}-{}", behind(entry, indent))
    }
}

/// What follows `key:` or `-`.
fn behind(value: &Value, indent: usize) -> String {
    match value {
        Value::Array(_) if is_nested(value) => format!("\n{}", block(value, indent)),
        Value::Object(_) if is_nested(value) => format!("\n{}", block(value, indent + 2)),
        Value::String(text) if is_literal(text) => literal(text, indent + 2),
        scalar => format!(" {}\n", scalar_value(scalar)),
    }
}

fn literal(text: &str, indent: usize) -> String {
    let margin = " ".repeat(indent);
    let lines: Vec<String> =
        text.lines().map(|line| if line.is_empty() { "\n".to_owned() } else { format!("{margin}{line}\n") }).collect();
    format!(" {}\n{}", if text.ends_with('\n') { "|" } else { "|-" }, lines.concat())
}

fn is_nested(value: &Value) -> bool {
    match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(entries) => !entries.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// Whether a text reads well, and the same, as a literal block.
fn is_literal(text: &str) -> bool {
    let body = text.strip_suffix('\n').unwrap_or(text);
    body.contains('\n')
        && !body.starts_with([' ', '\n', '\t'])
        && !body.ends_with('\n')
        && !body.contains(|c: char| is_unprintable(c) && c != '\n')
        && body.split('\n').all(|line| line.trim_end() == line)
}

fn scalar_value(value: &Value) -> String {
    match value {
        Value::String(text) => scalar_text(text),
        other => other.to_string(),
    }
}

/// Plain where nobody could take it for anything but this text, else in JSON's double quotes, which YAML reads alike.
fn scalar_text(text: &str) -> String {
    const TAKEN: [&str; 10] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/'))
        && !TAKEN.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { quoted(text) }
}

/// JSON's double quotes, with an escape for what YAML does not take as it stands.
fn quoted(text: &str) -> String {
    let escape = |c: char| if is_unprintable(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Value::String(text.to_owned()).to_string().chars().map(escape).collect()
}

fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Map, json};

    fn read_back(value: &Value) -> Value {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": value});
        let text = block(&object, 0);
        let (objects, problems) = manifest::read("a.yaml", text.as_bytes());
        assert_eq!(problems, [], "{text}");
        objects[0].value["data"].clone()
    }

    #[test]
    fn doubtful_texts_are_quoted() {
        let value = json!({"yes": "on", "a": "0644", "b": "1e3", "c": "~", "d": "x: y", "e": "# no", "f": "12:30", "g": "", "h": " a",
            "i": "a\n  b\n\nc\n", "j": "a\nb", "k": "a \nb", "l": "\ta\nb", "m": "a\n\n", "n": [[1, 2], {"x": [], "y": {}}, "- z"],
            "o": "é\u{2028}x\ny", "p": null, "q": 1.5, "r": "{{ x }}", "s": "a\r\nb", "t": "0x1F", "u": "2026-11-21"});
        assert_eq!(read_back(&value), value);
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~\n\té\u{85}\u{2028}]{0,12}".prop_map(Value::from),
            "[a-zA-Z0-9.:_+-]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            let fields = prop::collection::btree_map("[ -~]{1,6}", inner.clone(), 0..4);
            prop_oneof![
                prop::collection::vec(inner, 0..4).prop_map(Value::from),
                fields.prop_map(|fields| Value::Object(fields.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in values().prop_filter("a template", |value| !value.to_string().contains("{{"))) {
            let value = json!({ "x": value });
            prop_assert_eq!(read_back(&value), value);
        }
    }
}
