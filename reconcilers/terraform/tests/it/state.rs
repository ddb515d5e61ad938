use std::io::{self, Read};

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_terraform::state::{Edition, StateError, read};

use crate::state_text;

fn error(text: &str) -> StateError {
    read("s", text.as_bytes()).expect_err(text)
}

#[test]
fn a_state_is_read() {
    let outputs = r#"{"url":{"value":"a","type":"string"},"key":{"value":"hunter2","type":"string","sensitive":true}}"#;
    let state = read("infra/terraform.tfstate", state_text(outputs).as_bytes()).unwrap();
    assert_eq!((state.serial, state.lineage.as_str(), state.terraform_version.as_str()), (118, "l-1", "1.11.4"));
    assert_eq!(state.outputs["url"].value.expose().shown(), json!("a"));
    assert_eq!(state.outputs["url"].declared_type, json!("string"));
    assert_eq!(state.outputs["key"].value.expose().shown(), json!("hunter2"));
    let printed = format!("{state:?}");
    assert!(!printed.contains("hunter2"), "{printed}");
}

#[test]
fn the_order_of_keys_does_not_matter() {
    let text = r#"{"resources":[{}],"outputs":{},"lineage":"l","serial":1,"check_results":null,"terraform_version":"1.5.0","version":4}"#;
    assert_eq!(read("s", text.as_bytes()).unwrap().serial, 1);
}

#[test]
fn what_is_no_whole_state_has_an_error_of_its_own() {
    let whole = state_text("{}");
    assert!(matches!(error(""), StateError::Empty));
    assert!(matches!(error(&whole[..whole.len() - 1]), StateError::Truncated { .. }));
    assert!(matches!(error("resource \"x\" \"y\" {}"), StateError::NotJson(_)));
    assert!(matches!(error("[]"), StateError::Malformed(_)));
    assert!(matches!(error("null"), StateError::Malformed(_)));
    assert!(matches!(error(&format!("{whole}}}")), StateError::TrailingBytes { .. }));
    assert!(matches!(error(&format!("{whole}\0")), StateError::TrailingBytes { .. }));
    assert!(matches!(error("PK\u{3}\u{4}rest"), StateError::PlanFile));
    assert!(matches!(error(r#"{"format_version":"1.2","planned_values":{},"resource_changes":[]}"#), StateError::PlanJson));
    assert!(matches!(error(r#"{"format_version":"1.0","terraform_version":"1.11.4","values":{}}"#), StateError::ShowJson));
    assert!(matches!(error(r#"{"format_version":"1.0"}"#), StateError::ShowJson));
    assert!(matches!(error(r#"{"url":{"sensitive":false,"type":"string","value":"a"}}"#), StateError::NotAState));
    assert!(matches!(error("{}"), StateError::NotAState));
}

#[test]
fn other_versions_and_encryption_are_refused() {
    assert!(matches!(error(r#"{"version":3,"serial":1,"lineage":"l","modules":[]}"#), StateError::OlderVersion(3)));
    assert!(matches!(error(&state_text("{}").replace(":4,", ":5,")), StateError::NewerVersion(5)));
    assert!(matches!(error(&state_text("{}").replace(":4,", ":\"4\",")), StateError::Malformed(_)));
    // As OpenTofu writes it with `encryption { … }`.
    let encrypted = r#"{"serial":1,"lineage":"l","meta":{"key_provider.pbkdf2.k":"eyJ9"},"encrypted_data":"c2VjcmV0","encryption_version":"v0"}"#;
    assert!(matches!(error(encrypted), StateError::Encrypted));
}

#[test]
fn nothing_that_terraform_always_writes_may_be_missing_or_twice() {
    for (key, text) in [("lineage", r#","lineage":"l-1""#), ("serial", r#","serial":118"#), ("outputs", r#","outputs":{}"#)] {
        let whole = state_text("{}");
        assert!(matches!(error(&whole.replace(text, "")), StateError::Missing(missing) if missing == key), "{key}");
        let twice = whole.replace(text, &format!("{text}{text}"));
        assert!(matches!(error(&twice), StateError::DuplicateKey(twin) if twin == key), "{key}");
    }
    assert!(matches!(error(&state_text("{}").replace("l-1", "")), StateError::Missing("lineage")));
    assert!(matches!(error(&state_text("null")), StateError::Malformed(_)));
    let output = r#""a":{"value":1,"type":"number"}"#;
    assert!(matches!(error(&state_text(&format!("{{{output},{output}}}"))), StateError::DuplicateOutput(name) if name == "a"));
    assert!(matches!(error(&state_text(r#"{"a":{"type":"number"}}"#)), StateError::Malformed(_)));
    assert!(matches!(error(&state_text(r#"{"a":{"value":1,"value":2,"type":"number"}}"#)), StateError::Malformed(_)));
    let twin = r#"{"a":{"value":{"k":1,"k":2},"type":["map","number"]}}"#;
    assert!(matches!(error(&state_text(twin)), StateError::Output { output, .. } if output == "a"));
}

#[test]
fn a_state_does_not_go_back() {
    let state = read("s", state_text("{}").as_bytes()).unwrap();
    let edition = |lineage: &str, serial| Edition { lineage: lineage.to_owned(), serial };
    assert_eq!(state.edition(), edition("l-1", 118));
    assert!(state.refuse_before(&edition("l-1", 118)).is_ok());
    assert!(state.refuse_before(&edition("l-1", 7)).is_ok());
    let back = state.refuse_before(&edition("l-1", 119));
    assert!(matches!(back, Err(StateError::SerialWentBack { before: 119, now: 118 })));
    let other = state.refuse_before(&edition("l-0", 1));
    assert!(matches!(other, Err(StateError::OtherLineage { before, .. }) if before == "l-0"));
}

#[test]
fn a_source_that_fails_is_not_a_short_state() {
    struct Fails;
    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::ConnectionReset.into())
        }
    }
    let text = state_text("{}");
    let half = text.as_bytes()[..40].chain(Fails);
    assert!(matches!(read("s", half), Err(StateError::Read(source)) if source.kind() == io::ErrorKind::ConnectionReset));
    // Behind a whole document, too: more may have been to come.
    assert!(matches!(read("s", text.as_bytes().chain(Fails)), Err(StateError::Read(_))));
}

/// Any value that an output may have.
fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e300..1e300).prop_map(Value::from)
    ];
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), number, any::<String>().prop_map(Value::from)];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..5).prop_map(|members| members.into_iter().collect())
        ]
    })
}

/// A state of Terraform's shape with these outputs.
fn document(outputs: &[(String, Value, bool)]) -> String {
    let outputs: Value = outputs
        .iter()
        .map(|(name, value, sensitive)| (name.clone(), json!({"value": value, "type": "dynamic", "sensitive": sensitive})))
        .collect();
    state_text(&outputs.to_string())
}

/// Equality in which 2.0 is 2.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        (a, b) => a == b,
    }
}

fn outputs() -> impl Strategy<Value = Vec<(String, Value, bool)>> {
    prop::collection::btree_map("[a-z_]{1,8}", (value(), any::<bool>()), 0..5)
        .prop_map(|outputs| outputs.into_iter().map(|(name, (value, sensitive))| (name, value, sensitive)).collect())
}

proptest! {
    #[test]
    fn random_outputs_are_read_as_they_are(outputs in outputs()) {
        let state = read("s", document(&outputs).as_bytes()).unwrap();
        prop_assert_eq!(state.outputs.len(), outputs.len());
        for (name, value, sensitive) in outputs {
            let read = &state.outputs[&name].value;
            prop_assert!(same(&read.expose().shown(), &value), "{} is not {}", read.expose(), value);
            prop_assert_eq!(matches!(read, trueup_terraform::state::OutputValue::Sensitive(_)), sensitive);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn no_beginning_of_a_state_is_a_state(outputs in outputs()) {
        let text = document(&outputs);
        for end in 0..text.len() {
            prop_assert!(read("s", &text.as_bytes()[..end]).is_err(), "{} bytes of {}", end, text);
        }
    }

    #[test]
    fn one_changed_byte_never_panics(outputs in outputs(), at: prop::sample::Index, byte: u8) {
        let mut bytes = document(&outputs).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let _ = read("s", bytes.as_slice());
    }
}
