//! What Git declared once and no longer does; objects whose managers were stripped.

use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::difference::differences;
use trueup_core::facts::{Desired, FieldSet, Former, Matched, Operation, Origin, Owner, Pair, Tracking};
use trueup_core::object::TargetName;
use trueup_core::positions::Position;
use trueup_core::shape::{Shape, Types};

use crate::comparing::{key, matched};

fn object(data: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "data": data})
}

/// Git declares `a` alone; live has `b`, too.
fn with_more() -> Matched {
    let declared = object(&json!({"a": "1", "c": "3"}));
    matched(&declared, &declared, &object(&json!({"a": "1", "b": "2", "c": "3"})))
}

fn owner(manager: &str, operation: Operation, paths: &[&str]) -> Owner {
    let paths = paths.iter().map(|path| path.parse().expect("a path")).collect();
    Owner { manager: manager.to_owned(), operation, subresource: None, time: None, fields: FieldSet { paths } }
}

fn found(matched: &Matched) -> Vec<(String, &'static str)> {
    let drifts = compare(matched, &Types::default(), &Shape::Any, &key()).drifts;
    drifts.iter().map(|drift| (drift.path.to_string(), drift.change.name())).collect()
}

fn one(path: &str, change: &'static str) -> Vec<(String, &'static str)> {
    vec![(path.to_owned(), change)]
}

#[test]
fn what_nobody_declared_is_undeclared() {
    assert_eq!(found(&with_more()), one("data.b", "undeclared"));
    let mut other = with_more();
    other.live.last_applied = Some(object(&json!({"a": "0"})).to_string());
    assert_eq!(found(&other), one("data.b", "undeclared"));
    other.live.last_applied = Some("{\"data\": {\"b\"".to_owned());
    assert_eq!(found(&other), one("data.b", "undeclared"), "what cannot be read tells nothing");
}

#[test]
fn what_was_applied_last_is_left_over() {
    let mut more = with_more();
    more.live.last_applied = Some(object(&json!({"a": "0", "b": "0"})).to_string());
    assert_eq!(found(&more), one("data.b", "leftover"));
}

#[test]
fn what_git_declared_before_is_left_over_and_names_the_place() {
    let mut more = with_more();
    let position = Position { line: 7, column: 6, start: 0, end: 1 };
    let desired = Desired {
        positions: [("/data/b".to_owned(), position)].into_iter().collect(),
        origin: Origin { file: "old.yaml".into(), line: 1, column: 1, document: 1 },
        value: object(&json!({"b": "2"})),
        ..(*more.desired).clone()
    };
    more.former = vec![Former { desired, until: "commit 4f2c9e1".to_owned() }];
    let drifts = compare(&more, &Types::default(), &Shape::Any, &key()).drifts;
    let differences = differences(&TargetName("t".to_owned()), &Pair::Matched(Box::new(more)), drifts);
    let formerly: Vec<_> = differences.iter().map(|difference| difference.cause.formerly.as_deref()).collect();
    assert_eq!(formerly, [Some("Git declared it at old.yaml:7:6 until commit 4f2c9e1")]);
}

#[test]
fn who_applies_the_object_declared_what_it_owns() {
    use Operation::{Apply, Update};
    for (name, operation, paths, change) in [
        ("argocd", Apply, &["data.a", "data.b", "data.c"][..], "leftover"),
        ("kubectl-client-side-apply", Update, &["data.a", "data.b", "data.c"], "leftover"),
        // Not the one who applies what Git declares.
        ("operator", Apply, &["data.b"], "undeclared"),
        ("operator", Apply, &["data.a", "data.b"], "undeclared"),
        ("kubectl-edit", Update, &["data.a", "data.b", "data.c"], "undeclared"),
        ("trueup", Apply, &["data.a", "data.b", "data.c"], "undeclared"),
    ] {
        let mut more = with_more();
        more.live.owners = vec![owner(name, operation, paths)];
        assert_eq!(found(&more), one("data.b", change), "{name} {operation:?} {paths:?}");
    }
    // kubectl's copy of the manifest knows better than its entry, which holds defaults and what webhooks added.
    let mut more = with_more();
    more.live.owners = vec![owner("kubectl-client-side-apply", Update, &["data.a", "data.b", "data.c"])];
    more.live.last_applied = Some(object(&json!({"a": "1", "c": "3"})).to_string());
    assert_eq!(found(&more), one("data.b", "undeclared"));
}

#[test]
fn stripped_managers_are_a_finding() {
    let declared = object(&json!({"a": "1", "b": "2", "c": "3"}));
    let mut same = matched(&declared, &declared, &declared);
    assert_eq!(found(&same), [], "a file without managers tells nothing");
    same.live.tracking = Tracking::Shown;
    assert_eq!(found(&same), one("metadata.managedFields", "removed"));
    same.live.owners = vec![owner("kubectl", Operation::Apply, &["data.a"])];
    assert_eq!(found(&same), [], "no more is looked at where nothing else differs");
    same.live.value["data"]["d"] = json!("4");
    let both = [("data.d".to_owned(), "undeclared"), ("metadata.managedFields".to_owned(), "changed")];
    assert_eq!(found(&same), both);
    same.live.owners.push(owner("kubectl-edit", Operation::Update, &["data.b"]));
    assert_eq!(found(&same), one("data.d", "undeclared"));
    // An object that declares nothing but its name has no managers.
    let bare = json!({"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "n"}});
    let mut bare = matched(&bare, &bare, &bare);
    bare.live.tracking = Tracking::Shown;
    assert_eq!(found(&bare), []);
}
