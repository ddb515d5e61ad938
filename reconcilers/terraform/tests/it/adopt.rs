use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::finding::Predicate;
use trueup_terraform::adopt::{AdoptError, adopt};
use trueup_terraform::state::{self, OutputValue};

use crate::{differences, state_text};

fn live(value: &str, sensitive: bool) -> OutputValue {
    let text = state_text(&format!(r#"{{"a":{{"value":{value},"type":"dynamic","sensitive":{sensitive}}}}}"#));
    state::read("s", text.as_bytes()).unwrap().outputs["a"].value.clone()
}

const FILE: &str = "# who asks: team data\r\n[output.b] # ä\nmin = 1\n\n[output.a]\n  equals  =  'x'  # since spring\n[output.c]\npresent = true\n";

fn adopted(value: &str) -> Result<String, AdoptError> {
    adopt("e.toml", FILE, "a", &live(value, false))
}

#[test]
fn exactly_the_value_is_replaced() {
    for (value, toml) in [
        ("\"db-b\"", "\"db-b\""),
        ("\"a\\\"\\n\\u007f\\u00e9\"", "\"a\\\"\\n\\u007Fé\""),
        ("3.0", "3"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("[1, \"x\", []]", "[1, \"x\", []]"),
        ("{\"a.b\": {\"c\": true}, \"d\": {}}", "{ \"a.b\" = { c = true }, d = {} }"),
    ] {
        assert_eq!(adopted(value).unwrap(), FILE.replace("'x'", toml));
    }
}

#[test]
fn what_cannot_be_placed_is_refused() {
    assert_eq!(adopted("{\"x\":[null]}"), Err(AdoptError::Null("a".into())));
    assert_eq!(adopt("e.toml", FILE, "a", &live("\"hunter2\"", true)), Err(AdoptError::Secret("a".into())));
    let rule = AdoptError::NotAValue { output: "b".into(), predicate: Predicate::Min };
    assert_eq!(adopt("e.toml", FILE, "b", &live("0", false)), Err(rule));
    let nothing = AdoptError::NotExpected { file: "e.toml".into(), output: "z".into() };
    assert_eq!(adopt("e.toml", FILE, "z", &live("0", false)), Err(nothing));
    let commented = "[output.a]\nequals = [\n  1, # the first\n]\n";
    assert_eq!(adopt("e.toml", commented, "a", &live("[2]", false)), Err(AdoptError::Commented("a".into())));
    let broken = "[output.a]\nequals = 1\n[output.b]\nequal = 1\n";
    assert_eq!(adopt("e.toml", broken, "a", &live("2", false)), Err(AdoptError::NotExact("a".into())));
}

fn value() -> impl Strategy<Value = Value> {
    let number = prop_oneof![any::<i64>().prop_map(Value::from), (-1e300..1e300).prop_map(Value::from)];
    let leaf = prop_oneof![any::<bool>().prop_map(Value::from), number, any::<String>().prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4).prop_map(|members| members.into_iter().collect())
        ]
    })
}

proptest! {
    #[test]
    fn what_was_adopted_is_met(value in value()) {
        let edited = adopted(&value.to_string()).unwrap();
        let outputs = json!({"a": {"value": value, "type": "dynamic"}, "b": {"value": 1, "type": "number"}, "c": {"value": "", "type": "string"}});
        let state = state::read("s", state_text(&outputs.to_string()).as_bytes()).unwrap();
        prop_assert_eq!(differences(&edited, &state), []);
        let (before, after) = FILE.split_once("'x'").unwrap();
        prop_assert!(edited.starts_with(before) && edited.ends_with(after));
    }
}
