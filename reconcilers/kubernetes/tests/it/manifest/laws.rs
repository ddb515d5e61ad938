//! Laws of the reader: it never panics, and what is printed in any style reads back equal.

use std::fmt::Write;

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use trueup_kubernetes::manifest;

use super::{fixture, read_text};

/// JSON as it arrives from a server: no whole floats, for Go prints them without a point.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("a fraction", |number| number.fract() != 0.0).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5).prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    })
}

/// Words that mean something else without quotes, and any text.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("yes".to_owned()),
        Just("0644".to_owned()),
        Just("<<".to_owned()),
        Just("- a".to_owned()),
        Just("a: b # c".to_owned()),
        Just("two\n lines\n\n".to_owned()),
        "[a-zA-Z0-9 ._/-]{0,12}",
        any::<String>(),
    ]
}

#[derive(Debug, Clone, Copy)]
enum Layout {
    Block,
    IndentlessBlock,
    Flow,
    Go,
    CompactJson,
}

fn layout() -> impl Strategy<Value = Layout> {
    prop::sample::select(vec![Layout::Block, Layout::IndentlessBlock, Layout::Flow, Layout::Go, Layout::CompactJson])
}

fn print(value: &Value, layout: Layout) -> String {
    match layout {
        Layout::Go => manifest::to_kubectl_json(std::slice::from_ref(value)),
        Layout::CompactJson => value.to_string(),
        Layout::Flow => format!("--- # flow\n{}\n", flow(value)),
        Layout::Block | Layout::IndentlessBlock => {
            let mut text = String::new();
            block(value, 0, layout, &mut text);
            text
        }
    }
}

/// Double quotes with every character escaped that is not plain ASCII.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            c => write!(quoted, "\\U{:08x}", u32::from(c)).expect("a String"),
        }
    }
    quoted.push('"');
    quoted
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) && text.len() % 2 == 0 => {
            format!("'{}'", text.replace('\'', "''"))
        }
        Value::String(text) => quoted(text),
        value => value.to_string(),
    }
}

fn flow(value: &Value) -> String {
    match value {
        Value::Array(items) => format!("[ {} ]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("? {} : {}", quoted(key), flow(value))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
        value => scalar(value),
    }
}

fn block(value: &Value, indent: usize, layout: Layout, text: &mut String) {
    let pad = " ".repeat(indent);
    match value {
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                write!(text, "{pad}-").expect("a String");
                child(item, indent + 2, layout, text);
            }
        }
        Value::Object(entries) if !entries.is_empty() => {
            for (key, value) in entries {
                write!(text, "{pad}? {}\n{pad}:", quoted(key)).expect("a String");
                let indentless = matches!((layout, value), (Layout::IndentlessBlock, Value::Array(items)) if !items.is_empty());
                child(value, if indentless { indent } else { indent + 3 }, layout, text);
            }
        }
        value => writeln!(text, "{pad}{}", flow(value)).expect("a String"),
    }
}

fn child(value: &Value, indent: usize, layout: Layout, text: &mut String) {
    let is_block = match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(entries) => !entries.is_empty(),
        _ => false,
    };
    text.push_str(if is_block { " # deeper\n" } else { "\n" });
    block(value, indent, layout, text);
}

fn object(payload: Value) -> Value {
    let mut object = Map::new();
    object.insert("apiVersion".to_owned(), json!("v1"));
    object.insert("kind".to_owned(), json!("Payload"));
    object.insert("metadata".to_owned(), json!({ "name": "payload" }));
    object.insert("payload".to_owned(), payload);
    Value::Object(object)
}

fn positions_are_sound(text: &str, objects: &[trueup_core::facts::Desired]) -> Result<(), TestCaseError> {
    for object in objects {
        for (pointer, position) in object.positions.iter() {
            prop_assert!(object.value.pointer(pointer).is_some(), "{} names no value", pointer);
            prop_assert!(text.get(position.start..position.end).is_some(), "{} {:?}", pointer, position);
            let line = text[..position.start].matches('\n').count() + 1;
            prop_assert_eq!(position.line as usize, line, "{}", pointer);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn what_is_printed_in_any_style_reads_back_equal(payload in value(), layout in layout()) {
        let object = object(payload);
        let text = print(&object, layout);
        let (objects, problems) = read_text(&text);
        prop_assert_eq!(&problems, &[], "{}", text);
        prop_assert_eq!(&objects[0].value, &object, "{}", text);
        positions_are_sound(&text, &objects)?;
    }

    #[test]
    fn any_bytes_end_in_objects_or_problems(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let (objects, problems) = manifest::read("m.yaml", &bytes);
        prop_assert!(objects.is_empty() || problems.iter().all(|problem| problem.origin.is_some()));
    }

    #[test]
    fn damaged_yaml_ends_in_objects_or_problems(
        name in prop::sample::select(vec!["scalars.yaml", "structure.yaml", "list.yaml", "stream.json", "windows.yaml"]),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0usize..4, "[-:,#&*!|>'\"%@`{}\\[\\] \n\ta0?<.~]{0,3}"), 1..4),
    ) {
        let mut text = std::fs::read_to_string(fixture(name)).expect("the fixture");
        for (place, remove, insert) in damage {
            let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let start = floor(place.index(text.len() + 1));
            let end = floor(start + remove).max(start);
            text.replace_range(start..end, &insert);
        }
        let (objects, problems) = read_text(&text);
        prop_assert!(problems.iter().all(|problem| problem.blinds && problem.origin.is_some()));
        positions_are_sound(&text, &objects)?;
    }
}
