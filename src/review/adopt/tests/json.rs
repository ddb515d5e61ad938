//! Files of JSON.

use super::super::super::edit::print;
use super::*;

/// JSON is as its printer would print the live object: the printer is not ours.
#[test]
fn json_stays_as_it_is_printed() {
    let print = |value: &Value, indent: Option<&[u8]>| -> String {
        let Some(indent) = indent else { return value.to_string() };
        let mut bytes = Vec::new();
        let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
        serde::Serialize::serialize(value, &mut serde_json::Serializer::with_formatter(&mut bytes, formatter)).expect("JSON");
        String::from_utf8(bytes).expect("UTF-8")
    };
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let indents: [Option<&[u8]>; 4] = [None, Some(b"  "), Some(b"    "), Some(b"\t")];
    let mut tried = 0;
    for round in 0..300 {
        let case = (json_value(), any::<prop::sample::Index>(), prop_oneof![2 => json_value().prop_map(Some), 1 => Just(None)]);
        let (spec, choice, value) = case.new_tree(&mut runner).expect("a case").current();
        let whole =
            json!({"apiVersion": "v1", "kind": "Foo", "metadata": {"name": "a"}, "spec": {"a": spec, "b": [1, {"c": "d"}]}});
        let printable = |value: &Value| value.to_string().chars().all(print::is_visible);
        if !printable(&whole) || value.as_ref().is_some_and(|value| !printable(value)) {
            continue;
        }
        let (indent, end) = (indents[round % 4], if round % 3 == 0 { "" } else { "\n" });
        let text = print(&whole, indent) + end;
        let (objects, problems) = trueup_kubernetes::manifest::read("a.json", text.as_bytes());
        assert_eq!(problems, []);
        let mut places = Vec::new();
        paths(&objects[0].value["spec"], &Path::of_keys(&["spec"]), &mut places);
        let path = choice.get(&places);
        let Some(live) = with(&objects[0].value, path, value.as_ref()) else { continue };
        if live == objects[0].value || path.find(&live) != value.as_ref() {
            continue;
        }
        let adoption = Adoption { desired: &objects[0], drift: &drift(&objects[0], path, &live), live: &live };
        let adopted = adopt("a.json", text.as_bytes(), &[adoption]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let edited = String::from_utf8(adopted.bytes).expect("UTF-8");
        assert_eq!(edited, print(&live, indent) + end, "{path} := {value:?}\n{text}");
        tried += 1;
    }
    assert!(tried > 100, "{tried}");
}
