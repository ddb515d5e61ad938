//! Conditions in CEL: what they see, what they cannot do, and how far they may go.

use std::sync::Arc;

use serde_json::{Value, json};
use trueup_core::classify::classify;
use trueup_core::finding::{Difference, Divergence, Finding, Lane, Stage};
use trueup_core::policy::{Condition, VARIABLES};
use trueup_core::seen::{DigestKey, Seen};

use crate::policies::policy;
use crate::weighing::difference;

fn key() -> DigestKey {
    DigestKey::new(&[1; 32])
}

/// A changed image of a Deployment, with the whole object around it.
fn image() -> Difference {
    let object = |image: &str| {
        let containers = json!([{"name": "app", "image": image}, {"name": "proxy", "image": "envoy:1"}]);
        json!({"metadata": {"annotations": {"b": "2", "a": "1"}}, "spec": {"replicas": 3, "template": {"spec": {"containers": containers}}}})
    };
    let path = "spec.template.spec.containers[name=app].image";
    let mut difference = difference("apps/Deployment", path, Some(json!("app:1")), Some(json!("app:2")));
    difference.labels.insert("tier".to_owned(), "web".to_owned());
    difference.cause.manager = Some("kubectl-set".to_owned());
    difference.surroundings.owners.insert("kubectl-set".to_owned());
    difference.surroundings.desired = Some(Arc::new(object("app:1")));
    difference.surroundings.live = Some(Arc::new(object("app:2")));
    difference
}

/// What becomes of a difference by one class in this lane with this condition.
fn judged(difference: Difference, cel: &str, lane: &str) -> Finding {
    let cel = toml::Value::String(cel.to_owned());
    let text = format!("[[class]]\nname = \"a\"\nlane = \"{lane}\"\nstage = \"auto\"\nmatch = {{ cel = {cel} }}\n");
    classify(difference, &policy(&text), "s", &key())
}

#[test]
fn every_variable_holds_what_its_line_says() {
    let mut seen = Vec::new();
    for (cel, names) in [
        (r#"target == "t" && group == "apps" && kind == "Deployment""#, &["target", "group", "kind"][..]),
        (r#"object_namespace == "shop" && name == "a" && labels.tier == "web""#, &["object_namespace", "name", "labels"]),
        (r#"path == "spec.template.spec.containers[name=app].image" && pointer == """#, &["path", "pointer"]),
        (r#"change == "changed" && desired == "app:1" && live == "app:2""#, &["change", "desired", "live"]),
        (r#"manager == "kubectl-set" && "kubectl-set" in owners"#, &["manager", "owners"]),
        (r#"category == "" && direction == "unclear""#, &["category", "direction"]),
        (r#"environment == "" && tier == 0"#, &["environment", "tier"]),
        (r"object.desired.spec.replicas == 3 && object.live.spec.replicas > 2", &["object"]),
        (r#"object.live.spec.template.spec.containers.all(c, c.image.contains(":"))"#, &["object"]),
        (r#"object.live.spec.template.spec.containers.exists(c, c.name == "proxy")"#, &["object"]),
        (r#"object.live.spec.template.spec.containers.filter(c, c.image.matches("^app:")).size() == 1"#, &["object"]),
        ("!has(object.live.spec.paused) && has(object.live.spec.replicas)", &["object"]),
        (r#"int(live.contains("2") ? "2" : "0") == 2"#, &["live"]),
    ] {
        let finding = judged(image(), cel, "watch");
        assert_eq!((finding.lane, finding.problems.len()), (Lane::Watch, 0), "{cel}: {:?}", finding.reasons);
        let not = judged(image(), &format!("!({cel})"), "watch");
        assert_eq!(not.lane, Lane::Review, "not {cel}");
        seen.extend(names);
    }
    for (name, _) in VARIABLES {
        assert!(seen.contains(&name), "`{name}` is tried");
    }
}

/// The library's own maps come in any order, another one in each process: ours do not.
#[test]
fn the_keys_of_a_map_come_in_one_order() {
    let mut object = json!({});
    for at in 0..40 {
        object[format!("k{at:02}")] = json!(at);
    }
    let mut difference = image();
    difference.surroundings.live = Some(Arc::new(object));
    let finding = judged(difference, r#"object.live.map(k, k)[0] == "k00" && object.live.map(k, k)[39] == "k39""#, "watch");
    assert_eq!(finding.lane, Lane::Watch, "{:?}", finding.reasons);
}

#[test]
fn what_cannot_be_evaluated_is_the_strict_side_and_named() {
    for (cel, why) in [
        ("object.live.spec.paused", "there is no field `paused`: ask with has(…) first"),
        ("live > 3", "found no matching overload for '_>_' applied to '(string, int)'"),
        ("live", "it gives a value of type `string`, not true or false"),
        ("object.live.spec.template.spec.containers[7].image == live", "a list has no entry of that number"),
    ] {
        for (lane, expected) in [
            ("ignore", Lane::Review),
            ("watch", Lane::Review),
            ("auto", Lane::Review),
            ("review", Lane::Review),
            ("escalate", Lane::Escalate),
        ] {
            let finding = judged(image(), cel, lane);
            assert_eq!(finding.lane, expected, "{cel} in lane {lane}");
            let messages: Vec<&str> = finding.problems.iter().map(|problem| problem.message.as_str()).collect();
            assert_eq!(messages, [format!("class `a` could not be evaluated and counts as strict: {why}")]);
            assert!(!finding.problems[0].blinds && finding.problems[0].origin.is_some());
        }
    }
    // It corrects nothing together with a class that would.
    let text = "[[class]]\nname = \"a\"\nlane = \"auto\"\nstage = \"auto\"\n\n[[class]]\nname = \"b\"\nlane = \"watch\"\nmatch = { cel = 'live > 3' }\n";
    let finding = classify(image(), &policy(text), "s", &key());
    assert_eq!((finding.lane, finding.stage), (Lane::Review, Stage::Observe));
    // An ignore rule that cannot be evaluated hides nothing.
    let text = "[[ignore]]\nname = \"a\"\nmatch = { cel = 'live > 3' }\n";
    let finding = classify(image(), &policy(text), "s", &key());
    assert_eq!((finding.lane, finding.problems.len()), (Lane::Review, 1));
}

#[test]
fn a_secret_value_is_never_seen() {
    let secret = "hunter2-hunter2";
    let mut difference = image();
    let Divergence::Field(drift) = &mut difference.divergence else { panic!("a field") };
    drift.desired = Some(Seen::Masked(key().mask(&json!(secret))));
    drift.live = Some(Seen::Masked(key().mask(&json!("other"))));
    for cel in [format!("live == \"{secret}\" || desired == \"{secret}\""), format!("live.contains(\"{}\")", &secret[..3])] {
        assert_eq!(judged(difference.clone(), &cel, "escalate").lane, Lane::Review, "{cel}");
    }
    assert_eq!(judged(difference.clone(), "desired != live && live.startsWith('k1:')", "escalate").lane, Lane::Escalate);
    // No error carries a value.
    let mut difference = image();
    let Divergence::Field(drift) = &mut difference.divergence else { panic!("a field") };
    drift.live = Some(Seen::Plain(json!([secret, {"a": secret}])));
    for cel in [
        "live < 3",
        "live[9]",
        "live[0] + 1 == 2",
        "int(live[0]) == 1",
        "live[1].b",
        "-live[0] == 1",
        "live[live[0]]",
        "live[0] in 3",
        "1 / (size(live) - 2) == 1",
        "live[1][live[0]] == 1",
    ] {
        for reason in judged(difference.clone(), cel, "escalate").reasons.iter().skip(usize::from(cel.contains("[live[0]]"))) {
            assert!(!reason.contains(secret) || cel.contains("][live"), "{cel}: {reason}");
        }
    }
}

/// `depth` loops over the containers, one in the other.
fn loops(depth: usize) -> String {
    let list = "object.live.spec.template.spec.containers";
    (0..depth).fold("true".to_owned(), |body, at| format!("{list}.all(x{at}, {body})"))
}

#[test]
fn no_condition_takes_longer_than_its_bound() {
    let with = |containers: usize| {
        let containers: Vec<Value> = (0..containers).map(|at| json!({"name": format!("c{at}"), "image": "a:1"})).collect();
        let mut difference = image();
        difference.surroundings.live = Some(Arc::new(json!({"spec": {"template": {"spec": {"containers": containers}}}})));
        difference
    };
    // What people write fits, on the largest objects there are.
    for cel in [
        loops(1),
        "object.live.spec.template.spec.containers.filter(c, c.image.startsWith('a')).exists(c, c.name == 'c7')".to_owned(),
    ] {
        let finding = judged(with(10_000), &cel, "watch");
        assert_eq!(finding.lane, Lane::Watch, "{cel}: {:?}", finding.reasons);
    }
    assert_eq!(judged(with(20), &loops(3), "watch").lane, Lane::Watch);
    // What would take 10¹² steps, or 4⁴⁰ bytes, is not begun. This test ends only if it is not.
    let doubling = format!("['aaaaaaaaaaaaaaaa']{}.size() == 1", ".map(x, x + x + x + x)".repeat(40));
    for (difference, cel) in [(with(10_000), loops(3)), (with(300), loops(6)), (image(), doubling)] {
        let finding = judged(difference, &cel, "escalate");
        assert_eq!(finding.lane, Lane::Escalate);
        assert!(finding.reasons[0].contains("might take more than 1000000 steps"), "{:?}", finding.reasons);
    }
}

#[test]
fn hostile_texts_are_refused_when_they_are_read() {
    for text in [
        "(".repeat(5000),
        "(".repeat(900) + "true" + &")".repeat(900),
        "true ? ".repeat(200) + "true" + &" : true".repeat(200),
        "[".repeat(900) + &"]".repeat(900),
        "path.matches(\"(a{1000}){1000}\")".to_owned(),
        "path.matches(name)".to_owned(),
        "{'a': 1}.a == 1".to_owned(),
        "kind{a: 1}".to_owned(),
        "x.all(x, x)".to_owned(),
        "[1].all(x, y)".to_owned(),
        "type(kind) == string".to_owned(),
        "\u{0}".to_owned(),
        String::new(),
    ] {
        let shown: String = text.chars().take(40).collect();
        assert!(Condition::new(&text).is_err(), "{shown}");
    }
    assert_eq!(Condition::new("1 == 2").expect("a condition").constant(), Some(false));
    assert_eq!(Condition::new("kind == 'Pod'").expect("a condition").constant(), None);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z0-9 .()\\[\\]{}'\"+*/!<>=&|?:,-]{0,60}") {
        if let Ok(condition) = Condition::new(&text) {
            let cel = condition.text().to_owned();
            let _ = judged(image(), &cel, "watch");
        }
    }
}
