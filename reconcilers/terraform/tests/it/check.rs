use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::facts::Evidence;
use trueup_core::finding::{Change, Difference, Divergence, OutputId, Predicate, Subject};
use trueup_core::object::TargetName;
use trueup_core::seen::{DigestKey, Seen};
use trueup_terraform::check::check;
use trueup_terraform::expect;
use trueup_terraform::state::{self, State};

use crate::{differences, state_text};

/// A state with one output `a` of this JSON value.
fn state(value: &str) -> State {
    outputs(&format!(r#"{{"a":{{"value":{value},"type":"dynamic"}}}}"#))
}

fn outputs(outputs: &str) -> State {
    state::read("infra/terraform.tfstate", state_text(outputs).as_bytes()).unwrap()
}

fn is_met(predicate: &str, value: &str) -> bool {
    differences(&format!("[output.a]\n{predicate}\n"), &state(value)).is_empty()
}

fn predicate(difference: &Difference) -> Predicate {
    match &difference.divergence {
        Divergence::Expectation(expectation) => expectation.predicate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn predicates_ask_what_they_say() {
    for (predicate, met, unmet) in [
        ("equals = 1", vec!["1", "1.0", "10e-1"], vec!["2", "\"1\"", "true", "null", "[1]"]),
        ("equals = 9007199254740993", vec!["9007199254740993"], vec!["9007199254740992", "9007199254740994"]),
        ("equals = 0.1", vec!["0.1", "1e-1"], vec!["0.1000000000000000055511151231257827"]),
        ("equals = ''", vec!["\"\""], vec!["null", "[]", "{}", "\" \""]),
        ("equals = []", vec!["[]"], vec!["{}", "\"\"", "null", "[null]"]),
        ("equals = ['b', 'a']", vec!["[\"b\", \"a\"]"], vec!["[\"a\",\"b\"]", "[\"b\"]"]),
        ("equals = { x = [1, { y = true }] }", vec!["{\"x\":[1.0,{\"y\":true}]}"], vec!["{\"x\":[1,{}]}", "{}"]),
        ("one_of = ['s', 2]", vec!["\"s\"", "2.0"], vec!["\"2\"", "\"\"", "[\"s\"]"]),
        ("matches = 'a|ab'", vec!["\"a\"", "\"ab\""], vec!["\"abc\"", "\"xa\"", "\"a\\n\"", "\"\"", "1"]),
        ("matches = '(?i)DB-.*'", vec!["\"db-\"", "\"Db-1\""], vec!["\"db\"", "\"db-\\n\""]),
        ("min = 2", vec!["2", "2.0", "1e9"], vec!["1.9999999999999999999", "\"3\"", "-5", "[]"]),
        ("max = -1.5", vec!["-1.5", "-2"], vec!["-1.4", "0", "null"]),
        ("min = 2\nmax = 5", vec!["2", "5", "3.3"], vec!["1", "6", "\"3\""]),
        ("set = ['a', 'b']", vec!["[\"b\",\"a\"]"], vec!["[\"a\"]", "[\"a\",\"b\",\"b\"]", "[\"a\",\"b\",\"c\"]", "\"a\""]),
        ("set = []", vec!["[]"], vec!["[1]", "{}", "\"\""]),
        ("subset = [1, { x = 2 }]", vec!["[{\"x\":2},1]", "[3,1,{\"x\":2.0}]"], vec!["[1]", "[]", "{}"]),
        ("present = true", vec!["\"\"", "[]", "0", "false"], vec![]),
        ("absent = true", vec![], vec!["\"\"", "null"]),
    ] {
        for value in met {
            assert!(is_met(predicate, value), "{value} meets {predicate}");
        }
        for value in unmet {
            assert!(!is_met(predicate, value), "{value} does not meet {predicate}");
        }
    }
}

#[test]
fn a_difference_names_both_values_the_state_and_the_place() {
    let found = differences("[output.a]\nmax = 9\nmin = 4\n", &state("3"));
    let [difference] = &found[..] else { panic!("{found:?}") };
    assert_eq!(difference.values(), (Some(&Seen::Plain(json!(4))), Some(&Seen::Plain(json!(3)))));
    assert_eq!(predicate(difference), Predicate::Min);
    assert_eq!(difference.origin.to_string(), "data.expect.toml:3:7");
    assert_eq!(difference.evidence, Some(Evidence::State));
    assert_eq!(difference.target, TargetName("data".into()));
    let id =
        OutputId { state: "infra/terraform.tfstate".into(), serial: 118, lineage: "l-1".into(), output: "a".into(), bound: None };
    assert_eq!(difference.subject, Subject::Output(id));
}

#[test]
fn a_missing_output_is_not_an_empty_one() {
    let missing = outputs("{}");
    for predicate in ["equals = ''", "present = true", "matches = '.*'", "set = []"] {
        let found = differences(&format!("[output.a]\n{predicate}"), &missing);
        assert_eq!(found.len(), 1, "{predicate}");
        assert_eq!((found[0].values().1, found[0].change()), (None, Change::Removed), "{predicate}");
    }
    assert_eq!(differences("[output.a]\nabsent = true", &missing), []);
    let found = differences("[output.a]\nequals = 'x'", &state("\"\""));
    assert_eq!((found[0].values().1, found[0].change()), (Some(&Seen::Plain(json!(""))), Change::Changed));
}

#[test]
fn an_output_that_nobody_expects_is_no_finding() {
    let state = outputs(r#"{"a":{"value":1,"type":"number"},"b":{"value":2,"type":"number"}}"#);
    assert_eq!(differences("[output.a]\nequals = 1", &state), []);
}

#[test]
fn differences_stand_in_the_files_order() {
    let found = differences("[output.z]\npresent = true\n[output.a]\nequals = 2\n", &state("1"));
    let names: Vec<String> = found.iter().map(|difference| difference.subject.to_string()).collect();
    assert_eq!(names, ["output z", "output a"]);
}

#[test]
fn a_secret_is_compared_by_digest_and_never_shown() {
    let state = outputs(r#"{"a":{"value":"hunter2","type":"string","sensitive":true}}"#);
    let digest = "pbkdf2-sha256:600000:MDEyMzQ1Njc4OWFiY2RlZg==:UuYdjzflKURYrCIlEmAIyh4yx4R7IoIh1XTcMF9A+M4=";
    let expected = format!("[output.a]\nsensitive = '{digest}'");
    assert_eq!(differences(&expected, &state), []);
    let changed = outputs(r#"{"a":{"value":"hunter3","type":"string","sensitive":true}}"#);
    let found = differences(&expected, &changed);
    assert!(matches!(found[0].values(), (Some(Seen::Masked(_)), Some(Seen::Masked(_)))));
    // Also where the state itself does not call it sensitive.
    let open = outputs(r#"{"a":{"value":"hunter3","type":"string"}}"#);
    let found = [found, differences(&expected, &open)].concat();
    assert!(!format!("{found:?}").contains("hunter"), "{found:?}");
    assert_eq!(found[0].values().1, found[1].values().1, "equal values have equal masks");
}

#[test]
fn a_secret_in_clear_text_in_git_is_a_problem() {
    let state = outputs(r#"{"a":{"value":"hunter3","type":"string","sensitive":true}}"#);
    let (expectations, _) = expect::read("e.toml", "[output.a]\nequals = 'hunter2'\n");
    let (found, problems) = check(&TargetName("data".into()), &expectations, &state, &DigestKey::new(&[7; 32]));
    assert_eq!(problems.len(), 1);
    assert_eq!((problems[0].code, problems[0].blinds), ("secret-in-git", false));
    assert_eq!(problems[0].origin.as_ref().unwrap().to_string(), "e.toml:2:10");
    assert_eq!(found.len(), 1, "and it is compared all the same");
    assert!(!format!("{found:?} {problems:?}").contains("hunter"), "{found:?} {problems:?}");
}

#[test]
fn two_expectations_of_one_output_are_a_problem() {
    let (mut expectations, _) = expect::read("one.toml", "[output.a]\nequals = 1\n");
    expectations.extend(expect::read("two.toml", "[output.a]\nequals = 2\n").0);
    let (found, problems) = check(&TargetName("data".into()), &expectations, &state("1"), &DigestKey::new(&[7; 32]));
    assert_eq!(found, []);
    assert_eq!(
        problems[0].to_string(),
        "two.toml:1:9: expected-twice: the output `a` is expected at one.toml:1:9 already; merge the two, only the first is judged"
    );
    assert!(problems[0].blinds);
}

/// A JSON value that TOML can say.
///
/// Where two shortest decimals of one float lie equally near, as `.2812` and `.2813` of `-903740942488.28125`, the two
/// crates write different ones: two numbers, for Terraform as for us.
fn value() -> impl Strategy<Value = Value> {
    let float = (-1e12..1e12).prop_map(Value::from);
    let float = float.prop_filter("one text in TOML and JSON", |float| {
        let (toml, json) = (toml_text(float), float.to_string());
        toml == json
    });
    let number = prop_oneof![any::<i64>().prop_map(Value::from), float];
    let leaf = prop_oneof![any::<bool>().prop_map(Value::from), number, any::<String>().prop_map(Value::from)];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z. ]{0,4}", inner, 0..4).prop_map(|members| members.into_iter().collect())
        ]
    })
}

fn toml_text(value: &Value) -> String {
    toml::Value::try_from(value).unwrap().to_string()
}

proptest! {
    #[test]
    fn every_value_equals_itself(value in value()) {
        let (toml, json) = (toml_text(&value), value.to_string());
        let (equals, one_of) = (format!("equals = {toml}"), format!("one_of = [{toml}]"));
        prop_assert!(is_met(&equals, &json), "{} {}", equals, json);
        prop_assert!(is_met(&one_of, &json), "{} {}", one_of, json);
    }

    #[test]
    fn equality_is_that_of_json(left in value(), right in value()) {
        let met = is_met(&format!("equals = {}", toml_text(&left)), &right.to_string());
        prop_assert_eq!(met, left == right);
    }

    #[test]
    fn a_range_holds_exactly_what_lies_in_it(least in -99i32..99, width in 0i32..99, live in -200i32..200) {
        let most = least + width;
        let met = is_met(&format!("min = {least}\nmax = {most}"), &live.to_string());
        prop_assert_eq!(met, (least..=most).contains(&live));
    }

    #[test]
    fn a_range_upside_down_is_refused(least in -99i32..99, width in 1i32..99) {
        let text = format!("[output.a]\nmin = {}\nmax = {least}\n", least + width);
        let (expectations, problems) = expect::read("e.toml", &text);
        prop_assert_eq!((expectations.len(), problems.len()), (0, 1));
    }

    #[test]
    fn a_set_has_no_order(members in prop::collection::btree_set("[a-z]{1,3}", 1..6), turn in 0usize..6) {
        let mut live: Vec<&String> = members.iter().collect();
        let wanted = toml_text(&json!(members));
        let (set, subset) = (format!("set = {wanted}"), format!("subset = {wanted}"));
        live.rotate_left(turn % members.len());
        live.reverse();
        let all = json!(live).to_string();
        prop_assert!(is_met(&set, &all));
        prop_assert!(is_met(&subset, &all));
        let fewer = json!(live[1..]).to_string();
        prop_assert!(!is_met(&set, &fewer));
        prop_assert!(!is_met(&subset, &fewer));
        live.push(live[0]);
        let more = json!(live).to_string();
        prop_assert!(!is_met(&set, &more));
        prop_assert!(is_met(&subset, &more));
    }

    #[test]
    fn an_escaped_text_matches_itself_alone(text: String, other: String) {
        let predicate = format!("matches = {}", toml_text(&json!(regex::escape(&text))));
        prop_assert!(is_met(&predicate, &json!(text).to_string()));
        prop_assert_eq!(is_met(&predicate, &json!(other).to_string()), text == other);
    }
}
