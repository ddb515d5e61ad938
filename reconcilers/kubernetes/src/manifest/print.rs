//! JSON as `kubectl … -o json` prints it: Go's `encoding/json` with four spaces.

use std::fmt::Write;

use serde_json::{Map, Number, Value, json};

use super::number::json_text;

/// Prints one object bare, and none or several as the `List` that `kubectl get` makes of them. Ends with a line break.
#[must_use]
pub fn to_kubectl_json(objects: &[Value]) -> String {
    let mut text = String::new();
    if let [object] = objects {
        print(object, 0, &mut text);
    } else {
        let list = json!({ "apiVersion": "v1", "items": objects, "kind": "List", "metadata": { "resourceVersion": "" } });
        print(&list, 0, &mut text);
    }
    text.push('\n');
    text
}

fn print(value: &Value, depth: usize, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(truth) => text.push_str(if *truth { "true" } else { "false" }),
        Value::Number(number) => text.push_str(&number_text(number)),
        Value::String(string) => print_string(string, text),
        Value::Array(items) if items.is_empty() => text.push_str("[]"),
        Value::Object(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Array(items) => {
            let mut separator = '[';
            for item in items {
                text.push(separator);
                break_line(depth + 1, text);
                print(item, depth + 1, text);
                separator = ',';
            }
            break_line(depth, text);
            text.push(']');
        }
        Value::Object(entries) => print_object(entries, depth, text),
    }
}

fn print_object(entries: &Map<String, Value>, depth: usize, text: &mut String) {
    let mut sorted: Vec<(&String, &Value)> = entries.iter().collect();
    sorted.sort_by_key(|(key, _)| *key);
    let mut separator = '{';
    for (key, value) in sorted {
        text.push(separator);
        break_line(depth + 1, text);
        print_string(key, text);
        text.push_str(": ");
        print(value, depth + 1, text);
        separator = ',';
    }
    break_line(depth, text);
    text.push('}');
}

fn break_line(depth: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n("    ", depth));
}

fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() => json_text(float),
        _ => number.to_string(),
    }
}

/// Go escapes what could end a script element or a JavaScript line.
fn print_string(string: &str, text: &mut String) {
    text.push('"');
    for c in string.chars() {
        match c {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\u{8}' => text.push_str("\\b"),
            '\u{c}' => text.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write!(text, "\\u{:04x}", u32::from(c)).expect("writing to a String cannot fail");
            }
            c => text.push(c),
        }
    }
    text.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_escaped_as_go_does() {
        let printed = to_kubectl_json(&[json!("\u{7f}\u{2028}<&>\u{8}\u{c}\u{b}\u{1b}\0é\"\\\n")]);
        assert_eq!(printed, "\"\u{7f}\\u2028\\u003c\\u0026\\u003e\\b\\f\\u000b\\u001b\\u0000é\\\"\\\\\\n\"\n");
    }

    #[test]
    fn one_object_is_bare_and_several_are_a_list() {
        assert_eq!(
            to_kubectl_json(&[json!({"b": [], "a": {"x": [1.0, {}]}})]),
            "{\n    \"a\": {\n        \"x\": [\n            1,\n            {}\n        ]\n    },\n    \"b\": []\n}\n"
        );
        assert_eq!(
            to_kubectl_json(&[json!({}), json!({})]),
            "{\n    \"apiVersion\": \"v1\",\n    \"items\": [\n        {},\n        {}\n    ],\n    \"kind\": \"List\",\n    \"metadata\": {\n        \"resourceVersion\": \"\"\n    }\n}\n"
        );
    }
}
