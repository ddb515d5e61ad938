//! Terraform states: what a plain JSON reader takes as a state of version 4 gives the same outputs.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use trueup_fuzz::FILE;
use trueup_terraform::state::{OutputValue, State, StateError, read};
use trueup_terraform::value::{ExactValue, ValueError};

fuzz_target!(|bytes: &[u8]| {
    let read_as = read(FILE, bytes);
    assert_eq!(shown(&read_as), shown(&read(FILE, bytes)), "the same bytes mean the same");
    let document = serde_json::from_slice::<Value>(bytes).ok();
    let expected = document.as_ref().filter(|_| has_no_twins(bytes)).and_then(Value::as_object).and_then(outputs);
    match (&read_as, expected) {
        (Ok(state), Some(outputs)) => is_what_it_says(state, document.as_ref().expect("it gave the outputs"), &outputs),
        (Err(error), Some(_)) => assert!(is_stricter(error), "{error}"),
        (Ok(_), None) => assert!(document.is_none() || !has_no_twins(bytes), "a state of what is none"),
        (Err(_), None) => {}
    }
});

fn shown(read: &Result<State, impl Debug>) -> String {
    format!("{read:?}")
}

/// What a state of version 4 must have, and its outputs; `None` where it is none.
fn outputs(document: &Map<String, Value>) -> Option<Map<String, Value>> {
    let relative = ["encrypted_data", "@level", "format_version"].iter().any(|key| document.contains_key(*key));
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let is_state = !relative
        && document.get("version").and_then(Value::as_u64) == Some(4)
        && document.get("serial").is_some_and(Value::is_u64)
        && text("terraform_version").is_some()
        && text("lineage").is_some_and(|lineage| !lineage.is_empty());
    let outputs = document.get("outputs")?.as_object()?;
    let is_output = |output: &Value| {
        output.get("value").is_some() && output.get("type").is_some() && output.get("sensitive").is_none_or(Value::is_boolean)
    };
    (is_state && outputs.values().all(is_output)).then(|| outputs.clone())
}

fn is_what_it_says(state: &State, document: &Value, outputs: &Map<String, Value>) {
    assert_eq!((Some(state.serial), Some(state.lineage.as_str())), (document["serial"].as_u64(), document["lineage"].as_str()));
    assert!(state.outputs.keys().eq(outputs.keys()), "{:?}", state.outputs.keys());
    for (name, output) in &state.outputs {
        assert!(same(output.value.expose(), &outputs[name]["value"]), "{name}: {}", output.value.expose());
        let is_sensitive = outputs[name].get("sensitive") == Some(&Value::Bool(true));
        assert_eq!(matches!(output.value, OutputValue::Sensitive(_)), is_sensitive, "{name}");
    }
}

/// Of a name that stands twice, plain readers take the last and forget what was wrong with the first.
fn has_no_twins(bytes: &[u8]) -> bool {
    let document = serde_json::from_slice::<&RawValue>(bytes);
    document.is_ok_and(|document| !matches!(ExactValue::of_json(document), Err(ValueError::DuplicateKey(_))))
}

/// What only trueup refuses: numbers that nobody writes, and values that are nested too deep.
fn is_stricter(error: &StateError) -> bool {
    matches!(error, StateError::Output { source: ValueError::TooDeep | ValueError::Number(_), .. })
}

/// By value; a plain reader rounds numbers to 64 bits.
fn same(exact: &ExactValue, plain: &Value) -> bool {
    match (exact, plain) {
        (ExactValue::Null, Value::Null) => true,
        (ExactValue::Bool(a), Value::Bool(b)) => a == b,
        (ExactValue::Number(a), Value::Number(b)) => {
            a.to_string() == b.to_string() || a.to_string().parse::<f64>().ok().zip(b.as_f64()).is_some_and(|(a, b)| near(a, b))
        }
        (ExactValue::String(a), Value::String(b)) => a == b,
        (ExactValue::List(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (ExactValue::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

/// serde_json's own reading of a long fraction may miss the nearest number by one place.
fn near(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= a.abs() * 1e-15 || (a - b).abs() < f64::MIN_POSITIVE
}
