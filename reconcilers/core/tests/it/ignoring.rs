//! Ignore rules: they settle what they name, and nothing beside it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use trueup_core::classify::classify;
use trueup_core::diff::compare;
use trueup_core::difference::differences;
use trueup_core::facts::{
    Desired, Evidence, Expected, FieldSet, Live, Matched, Operation, Origin, Owner, Pair, Secrecy, Tracking,
};
use trueup_core::finding::{Finding, Lane};
use trueup_core::ignore::look_inside;
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::policy::Policy;
use trueup_core::positions::Positions;
use trueup_core::seen::DigestKey;
use trueup_core::shape::{Merge, Shape, Types};

use crate::policies::policy;

fn key() -> DigestKey {
    DigestKey::new(&[1; 32])
}

/// A keyed list of containers; what else there is is free.
fn types() -> Types {
    let containers = Shape::List { item: Box::new(Shape::Any), merge: Merge::Keyed(vec!["name".to_owned()]) };
    let root = BTreeMap::from([("spec".to_owned(), Shape::Object("Spec".to_owned()))]);
    let spec = BTreeMap::from([("containers".to_owned(), containers)]);
    Types(BTreeMap::from([("Root".to_owned(), root), ("Spec".to_owned(), spec)]))
}

fn owner(manager: &str, paths: &[&str]) -> Owner {
    let mut paths: Vec<_> = paths.iter().map(|path| path.parse().expect("a path")).collect();
    paths.sort();
    let fields = FieldSet { paths };
    Owner { manager: manager.to_owned(), operation: Operation::Update, subresource: None, time: None, fields }
}

fn matched(desired: &Value, live: &Value, owners: Vec<Owner>) -> Matched {
    let id = ObjectId { api_version: "a.b/v1".into(), kind: "Thing".into(), namespace: Some("shop".into()), name: "x".into() };
    let origin = Origin { file: "x.yaml".into(), line: 1, column: 1, document: 1 };
    Matched {
        desired: Desired { id: id.clone(), value: desired.clone(), origin, positions: Positions::default() }.into(),
        live: Live {
            id,
            value: live.clone(),
            owners,
            uid: None,
            resource_version: None,
            deleting_since: None,
            created: None,
            tracking: Tracking::NotShown,
            last_applied: None,
        }
        .into(),
        expected: Expected {
            value: desired.clone(),
            evidence: Evidence::Baseline,
            allowances: Vec::new(),
            filled: BTreeSet::new(),
        }
        .into(),
        secrecy: Secrecy::Open,
        former: Vec::new(),
    }
}

fn findings(matched: Matched, policy: &Policy) -> Vec<Finding> {
    let types = types();
    let compared = |matched: &Matched| compare(matched, &types, &Shape::Object("Root".to_owned()), &key()).drifts;
    let drifts = compared(&matched);
    let pair = Pair::Matched(Box::new(matched));
    let mut differences = differences(&TargetName("t".to_owned()), &pair, drifts);
    let Pair::Matched(matched) = &pair else { unreachable!() };
    look_inside(&mut differences, matched, policy, &compared);
    differences.into_iter().map(|difference| classify(difference, policy, "s", &key())).collect()
}

/// Each finding's path, and whether it is ignored.
fn ignored(desired: &Value, live: &Value, rules: &str) -> Vec<(String, bool)> {
    let class = "[[class]]\nname = \"all\"\nlane = \"auto\"\nstage = \"auto\"\nmatch = { change = [\"changed\", \"removed\", \"undeclared\"] }\n";
    let findings = findings(matched(desired, live, Vec::new()), &policy(&format!("{class}{rules}")));
    findings.iter().map(|finding| (finding.difference.path().to_string(), finding.lane == Lane::Ignore)).collect()
}

fn rule(conditions: &str) -> String {
    format!("[[ignore]]\nname = \"r\"\nmatch = {{ {conditions} }}\n")
}

#[test]
fn a_rule_names_its_value_with_all_inside_and_nothing_beside_it() {
    let desired = json!({"spec": {"a": {"b": 1, "c/d": 1, "e~f": 1}, "list": [1, 2], "containers": [{"name": "app", "image": "1", "tag": "1"}, {"name": "web", "image": "1"}]}});
    let live = json!({"spec": {"a": {"b": 2, "c/d": 2, "e~f": 2}, "list": [1, 3], "containers": [{"name": "app", "image": "2", "tag": "2"}, {"name": "web", "image": "2"}]}});
    for (conditions, expected) in [
        ("path = '/spec/a/b'", &["spec.a.b"][..]),
        ("path = '/spec/a/c~1d'", &["spec.a.c/d"]),
        ("path = '/spec/a/e~0f'", &["spec.a.e~f"]),
        ("path = 'spec.a'", &["spec.a.b", "spec.a.c/d", "spec.a.e~f"]),
        ("path = '/spec/a'", &["spec.a.b", "spec.a.c/d", "spec.a.e~f"]),
        ("path = '/spec/containers/1/image'", &["spec.containers[name=web].image"]),
        ("path = '/spec/containers/0'", &["spec.containers[name=app].image", "spec.containers[name=app].tag"]),
        ("path = 'spec.containers[name=app].image'", &["spec.containers[name=app].image"]),
        ("path = 'spec.containers[*].image'", &["spec.containers[name=app].image", "spec.containers[name=web].image"]),
        ("path = '/spec/none/0/such'", &[]),
        ("path = '/spec/containers/7/image'", &[]),
        ("path = '/spec/a/b', kind = 'Other'", &[]),
        ("path = '/spec/a/b', group = 'a.b', namespace = 'sh*', name = 'x'", &["spec.a.b"]),
        ("path = '/spec/a/b', namespace = 'other'", &[]),
        ("path = '/spec/a/b', labels = { app = 'x' }", &[]),
        (
            "name = 'x'",
            &[
                "spec.a.b",
                "spec.a.c/d",
                "spec.a.e~f",
                "spec.containers[name=app].image",
                "spec.containers[name=app].tag",
                "spec.containers[name=web].image",
                "spec.list",
            ],
        ),
    ] {
        let found = ignored(&desired, &live, &rule(conditions));
        let hidden: Vec<&str> = found.iter().filter(|(_, ignored)| *ignored).map(|(path, _)| path.as_str()).collect();
        assert_eq!(hidden, expected, "{conditions}");
        assert_eq!(found.len(), 7, "{conditions}: what is ignored is still told");
    }
}

#[test]
fn a_rule_inside_a_whole_value_hides_what_it_names_and_no_more() {
    let entry =
        |status: &str, port: u32| json!({"spec": {"list": [{"name": "a", "status": status, "port": port}, {"name": "b"}]}});
    for path in
        ["/spec/list/0/status", "spec.list[*].status", "spec.list[name=a].status", "spec.list[0].status", "spec.**.status"]
    {
        let rule = rule(&format!("path = '{path}'"));
        assert_eq!(ignored(&entry("x", 1), &entry("y", 1), &rule), [("spec.list".to_owned(), true)], "{path}");
        assert_eq!(ignored(&entry("x", 1), &entry("y", 2), &rule), [("spec.list".to_owned(), false)], "{path}");
    }
    let rule = rule("path = 'spec.list[name=b].status'");
    assert_eq!(ignored(&entry("x", 1), &entry("y", 1), &rule), [("spec.list".to_owned(), false)]);
}

/// A patch of the whole list would write over what is ignored in it.
#[test]
fn what_holds_something_ignored_is_not_corrected() {
    let entry = |status: &str, port: u32| json!({"spec": {"list": [{"status": status, "port": port}]}});
    let class = "[[class]]\nname = \"all\"\nlane = \"auto\"\nstage = \"auto\"\n";
    let lanes = |rules: &str| {
        let found = findings(matched(&entry("x", 1), &entry("y", 2), Vec::new()), &policy(&format!("{class}{rules}")));
        found.into_iter().map(|finding| (finding.lane, finding.reasons.last().cloned().unwrap_or_default())).collect::<Vec<_>>()
    };
    assert_eq!(lanes("")[0].0, Lane::Auto);
    let (lane, reason) = lanes(&rule("path = '/spec/list/0/status'")).remove(0);
    assert_eq!(lane, Lane::Review);
    assert!(reason.contains("would write over what is ignored inside it: policies/a.toml:5: ignore rule r"), "{reason}");
}

#[test]
fn the_annotation_in_git_reads_pointers_and_looks_inside_too() {
    let object = |image: &str, status: &str, other: &str| {
        let annotations = json!({"trueup.dev/ignore": "/spec/containers/0/image, spec.list[*].status"});
        let list = json!([{"status": status, "other": other}]);
        json!({"metadata": {"annotations": annotations}, "spec": {"containers": [{"name": "app", "image": image}], "list": list}})
    };
    let found = ignored(&object("1", "x", "x"), &object("2", "y", "x"), "");
    assert_eq!(found, [("spec.containers[name=app].image".to_owned(), true), ("spec.list".to_owned(), true)]);
    let found = ignored(&object("1", "x", "x"), &object("1", "y", "y"), "");
    assert_eq!(found, [("spec.list".to_owned(), false)]);
}

#[test]
fn a_rule_by_owner_needs_every_owner_and_never_hides_security_alone() {
    let desired = json!({"spec": {"containers": [{"name": "app"}]}});
    let live = json!({"spec": {"containers": [{"name": "app", "x": "1", "y": {"a": 1, "b": 1}, "hostNetwork": true}]}});
    let at = |rest: &str| format!("spec.containers[name=app]{rest}");
    let owners = || vec![owner("robot", &[&at(".x"), &at(".y.a"), &at(".hostNetwork")]), owner("kubectl-edit", &[&at(".y.b")])];
    let hidden = |conditions: &str| {
        let found = findings(matched(&desired, &live, owners()), &policy(&rule(conditions)));
        let hidden = found.iter().filter(|finding| finding.lane == Lane::Ignore);
        hidden.map(|finding| finding.difference.path().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(hidden("owned_by = 'robot'"), [at(".x"), at(".y.a")]);
    assert_eq!(hidden("owned_by = ['robot', 'kubectl-*']"), [at(".x"), at(".y.a"), at(".y.b")]);
    assert_eq!(hidden("owned_by = 'other'"), [""; 0]);
    assert_eq!(hidden("manager = 'robot'"), [at(".x"), at(".y.a")]);
    assert_eq!(hidden("owned_by = 'robot', path = 'spec.containers[*].hostNetwork'"), [at(".hostNetwork")]);
    assert_eq!(hidden("owned_by = 'robot', category = 'security'"), [at(".hostNetwork")]);
    // A whole entry that several own belongs to none of them alone.
    let live = json!({"spec": {"containers": [{"name": "app"}, {"name": "z", "image": "i", "v": 1}]}});
    let of_two = vec![owner("robot", &["spec.containers[name=z].image"]), owner("kubectl-edit", &["spec.containers[name=z].v"])];
    let found = findings(matched(&desired, &live, of_two), &policy(&rule("owned_by = 'robot'")));
    assert_eq!(found.iter().map(|finding| finding.lane).collect::<Vec<_>>(), [Lane::Review]);
}

#[test]
fn a_rule_settles_before_any_class_votes_and_says_so() {
    let text = "[[class]]\nname = \"all\"\nlane = \"escalate\"\n\n[[ignore]]\nname = \"a\"\nreason = \"a robot writes it\"\nmatch = { path = 'spec.a' }\n";
    let found = findings(matched(&json!({"spec": {"a": 1}}), &json!({"spec": {"a": 2}}), Vec::new()), &policy(text));
    assert_eq!(found[0].lane, Lane::Ignore);
    assert_eq!(found[0].reasons, ["policies/a.toml:5: ignore rule a: a robot writes it"]);
    assert_eq!(found[0].meant_by, ["a", "all"]);
}

/// Conditions see the whole object; of a secret one its names and labels.
#[test]
fn a_secret_object_is_not_shown_to_conditions() {
    let object = |value: &str| {
        let annotations = json!({"kubectl.kubernetes.io/last-applied-configuration": format!("{{\"data\":\"{value}\"}}")});
        json!({"kind": "Thing", "metadata": {"name": "x", "labels": {"a": "b"}, "annotations": annotations}, "spec": {"a": value}})
    };
    let mut secret = matched(&object("hunter2-one"), &object("hunter2-two"), Vec::new());
    secret.secrecy = Secrecy::Secret;
    for finding in findings(secret, &policy("")) {
        let shown = format!("{:?}", finding.difference.surroundings);
        assert!(shown.contains("\"a\": String(\"b\")") && !shown.contains("hunter2"), "{shown}");
    }
    let open = findings(matched(&object("one"), &object("two"), Vec::new()), &policy(""));
    assert!(format!("{:?}", open[0].difference.surroundings).contains("two"));
}
