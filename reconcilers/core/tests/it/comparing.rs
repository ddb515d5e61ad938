//! `compare` against the slow judge.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::diff::{Comparison, compare};
use trueup_core::facts::{Desired, Evidence, Expected, Live, Matched, Origin, Secrecy, Tracking};
use trueup_core::finding::Change;
use trueup_core::object::ObjectId;
use trueup_core::path::{Path, Segment};
use trueup_core::positions::Positions;
use trueup_core::seen::{DigestKey, Seen};
use trueup_core::shape::{Merge, Shape, Types};

use crate::generate::{Dice, Schema, declared, edit, respelt, schema, value};
use crate::judge::{Verdict, verdict};

/// A schema in the core's words.
pub fn shape(schema: &Schema, types: &mut Types) -> Shape {
    let keyed = |fields: &[(&'static str, Schema)], keys: &[&str], types: &mut Types| Shape::List {
        item: Box::new(object_shape(fields, types)),
        merge: Merge::Keyed(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    match schema {
        Schema::Text | Schema::Integer => Shape::Any,
        Schema::Quantity => Shape::Quantity,
        Schema::Duration => Shape::Duration,
        Schema::IntOrString => Shape::IntOrString,
        Schema::Struct(fields) => object_shape(fields, types),
        Schema::Map(item) => Shape::Map(Box::new(shape(item, types))),
        Schema::Named(fields) => keyed(fields, &["name"], types),
        Schema::Ports(fields) => keyed(fields, &["port", "protocol"], types),
        Schema::Atomic => Shape::List { item: Box::new(Shape::Any), merge: Merge::Atomic },
        Schema::Set => Shape::List { item: Box::new(Shape::Any), merge: Merge::Set },
    }
}

fn object_shape(fields: &[(&'static str, Schema)], types: &mut Types) -> Shape {
    let shapes = fields.iter().map(|(name, schema)| ((*name).to_owned(), shape(schema, types))).collect();
    let name = format!("type {}", types.0.len());
    types.0.insert(name.clone(), shapes);
    Shape::Object(name)
}

/// A declared object, what the server makes of it, and what is live.
pub fn matched(declared: &Value, expected: &Value, live: &Value) -> Matched {
    let id = ObjectId { api_version: "v1".into(), kind: "Thing".into(), namespace: Some("shop".into()), name: "a".into() };
    let origin = Origin { file: "thing.yaml".into(), line: 1, column: 1, document: 1 };
    Matched {
        desired: Desired { id: id.clone(), value: declared.clone(), origin, positions: Positions::default() }.into(),
        live: Live {
            id,
            value: live.clone(),
            owners: Vec::new(),
            uid: Some("u".into()),
            resource_version: Some("7".into()),
            deleting_since: None,
            created: None,
            tracking: Tracking::NotShown,
            last_applied: None,
        }
        .into(),
        expected: Expected {
            value: expected.clone(),
            evidence: Evidence::Baseline,
            allowances: Vec::new(),
            filled: BTreeSet::new(),
        }
        .into(),
        secrecy: Secrecy::Open,
        former: Vec::new(),
    }
}

pub fn key() -> DigestKey {
    DigestKey::new(&[7; 32])
}

/// What the core finds, in the judge's words.
pub fn found(comparison: &Comparison) -> Verdict {
    comparison.drifts.iter().map(|drift| (drift.path.to_string(), drift.change.name())).collect()
}

/// A random object: its schema, the core's shape of it, and the three sides with some edits between them.
pub struct Sample {
    pub schema: Schema,
    pub types: Types,
    pub shape: Shape,
    pub declared: Value,
    pub expected: Value,
    pub live: Value,
}

pub fn sample(dice: &mut Dice, edits: usize) -> Sample {
    let schema = schema(dice);
    let mut types = Types::default();
    let shape = shape(&schema, &mut types);
    let expected = value(&schema, dice);
    let declared = declared(&schema, &expected, dice);
    let mut live = expected.clone();
    (0..edits).for_each(|_| edit(&schema, &mut live, dice));
    Sample { schema, types, shape, declared, expected, live }
}

impl Sample {
    pub fn compare(&self) -> Comparison {
        compare(&matched(&self.declared, &self.expected, &self.live), &self.types, &self.shape, &key())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn an_object_never_differs_from_itself(seed: u64) {
        let sample = sample(&mut Dice(seed), 0);
        prop_assert_eq!(sample.compare(), Comparison::default());
    }

    #[test]
    fn other_spellings_and_orders_are_no_difference(seed: u64) {
        let mut dice = Dice(seed);
        let mut sample = sample(&mut dice, 0);
        sample.live = respelt(&sample.schema, &sample.live, &mut dice);
        sample.declared = respelt(&sample.schema, &sample.declared, &mut dice);
        prop_assert_eq!(sample.compare(), Comparison::default());
    }

    #[test]
    fn every_edit_is_found_where_it_is_and_nothing_else(seed: u64, edits in 1usize..5) {
        let mut dice = Dice(seed);
        let mut sample = sample(&mut dice, edits);
        sample.live = respelt(&sample.schema, &sample.live, &mut dice);
        let expected = verdict(&sample.schema, &sample.declared, &sample.expected, &sample.live);
        prop_assert_eq!(found(&sample.compare()), expected, "declared {}\nexpected {}\nlive {}\nschema {:?}",
            sample.declared, sample.expected, sample.live, sample.schema);
    }

    #[test]
    fn every_pointer_leads_to_the_value_that_is_reported(seed: u64, edits in 1usize..5) {
        let sample = sample(&mut Dice(seed), edits);
        for drift in sample.compare().drifts {
            let root = if drift.live.is_some() { &sample.live } else { &sample.expected };
            let there = root.pointer(&drift.pointer);
            prop_assert!(there.is_some(), "{} is {}", drift.path, drift.pointer);
            if let Some(Seen::Plain(live)) = &drift.live {
                prop_assert_eq!(there, Some(live));
            }
        }
    }
}

/// The finest shapes of a pod template, as far as the cases below need them.
fn pod() -> (Types, Shape) {
    let text = || Shape::Any;
    let keyed = |name: &str, keys: &[&str]| Shape::List {
        item: Box::new(Shape::Object(name.to_owned())),
        merge: Merge::Keyed(keys.iter().map(|key| (*key).to_owned()).collect()),
    };
    let fields = |fields: Vec<(&str, Shape)>| fields.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
    let types = BTreeMap::from([
        (
            "Pod".to_owned(),
            fields(vec![
                ("containers", keyed("Container", &["name"])),
                ("initContainers", keyed("Container", &["name"])),
                ("labels", Shape::Map(Box::new(text()))),
                ("context", Shape::Object("Context".to_owned())),
            ]),
        ),
        (
            "Container".to_owned(),
            fields(vec![("env", keyed("Env", &["name"])), ("ports", keyed("Port", &["containerPort", "protocol"]))]),
        ),
        ("Context".to_owned(), fields(vec![("groups", Shape::List { item: Box::new(text()), merge: Merge::Atomic })])),
        ("Env".to_owned(), BTreeMap::new()),
        ("Port".to_owned(), BTreeMap::new()),
    ]);
    (Types(types), Shape::Object("Pod".to_owned()))
}

fn findings(declared: &Value, expected: &Value, live: &Value) -> Vec<(String, Change, Option<Value>, Option<Value>)> {
    let (types, shape) = pod();
    let plain = |seen: Option<Seen>| match seen {
        Some(Seen::Plain(value)) => Some(value),
        Some(Seen::Masked(_)) | None => None,
    };
    let comparison = compare(&matched(declared, expected, live), &types, &shape, &key());
    let drifts = comparison.drifts.into_iter();
    drifts.map(|drift| (drift.path.to_string(), drift.change, plain(drift.desired), plain(drift.live))).collect()
}

fn container(fields: &Value) -> Value {
    let mut container = json!({"name": "app"});
    container.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    json!({"containers": [container]})
}

#[test]
fn the_order_of_variables_counts_where_one_refers_to_another() {
    let env = |names: &[(&str, &str)]| -> Value {
        container(&json!({"env": names.iter().map(|(name, value)| json!({"name": name, "value": value})).collect::<Vec<_>>()}))
    };
    let git = env(&[("HOST", "db"), ("URL", "tcp://$(HOST)")]);
    let live = env(&[("URL", "tcp://$(HOST)"), ("HOST", "db")]);
    let found = findings(&git, &git, &live);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!((found[0].0.as_str(), found[0].1), ("containers[name=app].env", Change::Changed));

    let git = env(&[("A", "1"), ("B", "2")]);
    assert_eq!(findings(&git, &git, &env(&[("B", "2"), ("A", "1")])), []);
}

#[test]
fn the_order_of_init_containers_counts() {
    let init = |names: &[&str]| json!({"initContainers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    let found = findings(&init(&["migrate", "seed"]), &init(&["migrate", "seed"]), &init(&["seed", "migrate"]));
    assert_eq!(found.len(), 1, "{found:?}");
    // Containers run side by side.
    let side = |names: &[&str]| json!({"containers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    assert_eq!(findings(&side(&["a", "b"]), &side(&["a", "b"]), &side(&["b", "a"])), []);
}

#[test]
fn putting_an_order_right_keeps_what_admission_added() {
    let init = |names: &[&str]| json!({"initContainers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    let found = findings(&init(&["migrate", "seed"]), &init(&["mesh", "migrate", "seed"]), &init(&["mesh", "seed", "migrate"]));
    assert_eq!(found[0].2, Some(json!([{"name": "mesh"}, {"name": "migrate"}, {"name": "seed"}])));
}

#[test]
fn a_port_without_protocol_is_one_entry_and_not_its_twin() {
    let ports = |ports: Value| container(&json!({ "ports": ports }));
    let git = ports(json!([{"containerPort": 53}]));
    let expected = ports(json!([{"containerPort": 53, "protocol": "TCP"}]));
    let live = ports(json!([{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]));
    let added = json!({"containerPort": 53, "protocol": "UDP"});
    let path = "containers[name=app].ports[containerPort=53,protocol=UDP]".to_owned();
    assert_eq!(findings(&git, &expected, &live), [(path, Change::Undeclared, None, Some(added))]);
}

#[test]
fn entries_that_lack_a_merge_key_are_not_taken_for_others() {
    let ports = |ports: Value| container(&json!({ "ports": ports }));
    let one = json!([{"containerPort": 53}, {"containerPort": 53, "protocol": "UDP", "name": "dns"}]);
    let other = json!([{"containerPort": 53, "protocol": "UDP", "name": "dns"}, {"containerPort": 53}]);
    assert_eq!(findings(&ports(one.clone()), &ports(one), &ports(other)), []);
}

#[test]
fn null_in_git_declares_nothing() {
    let found = findings(&json!({"class": null, "labels": null}), &json!({"class": "default"}), &json!({"class": "other"}));
    assert_eq!(found, [("class".to_owned(), Change::Undeclared, Some(json!("default")), Some(json!("other")))]);
    assert_eq!(findings(&json!({"class": null}), &json!({"class": null}), &json!({})), []);
}

#[test]
fn empty_is_absent_for_maps_and_lists_and_a_value_for_structs() {
    let nothing = json!({});
    for absent in [json!({"labels": {}}), json!({"labels": null}), json!({"containers": []}), json!({"containers": null})] {
        assert_eq!(findings(&absent, &absent, &nothing), [], "{absent}");
        assert_eq!(findings(&nothing, &nothing, &absent), [], "{absent}");
    }
    for there in [json!({"context": {}}), json!({"context": {"groups": []}})] {
        assert_eq!(findings(&nothing, &nothing, &there).len(), 1, "{there}");
        assert_eq!(findings(&there, &there, &nothing).len(), 1, "{there}");
    }
    let (git, expected) = (json!({"context": {}}), json!({"context": {"policy": "default"}}));
    let path = "context".to_owned();
    assert_eq!(findings(&git, &expected, &nothing), [(path, Change::Removed, Some(json!({})), None)]);
}

#[test]
fn numbers_are_exact() {
    let same = |a: Value, b: Value| findings(&json!({ "n": a }), &json!({ "n": a }), &json!({ "n": b })).is_empty();
    assert!(same(json!(1), json!(1.0)));
    assert!(same(json!(9_007_199_254_740_992_i64), json!(9_007_199_254_740_992.0)));
    assert!(!same(json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992.0)));
    assert!(!same(json!(9_007_199_254_740_993_i64), json!(9_007_199_254_740_992_i64)));
    assert!(!same(json!(u64::MAX), json!(-1)));
}

#[test]
fn a_list_with_two_entries_of_one_name_is_one_value() {
    let env = |values: &[&str]| -> Value {
        container(&json!({"env": values.iter().map(|value| json!({"name": "A", "value": value})).collect::<Vec<_>>()}))
    };
    assert_eq!(findings(&env(&["1", "2"]), &env(&["1", "2"]), &env(&["1", "2"])), []);
    let found = findings(&env(&["1", "2"]), &env(&["1", "2"]), &env(&["2"]));
    assert_eq!((found.len(), found[0].0.as_str()), (1, "containers[name=app].env"));
}

#[test]
fn secret_values_never_leave_the_comparison() {
    let mut matched = matched(&json!({"data": {"a": "x"}}), &json!({"data": {"a": "x"}}), &json!({"data": {"a": "y", "b": "x"}}));
    matched.secrecy = Secrecy::Secret;
    let comparison = compare(&matched, &Types::default(), &Shape::Any, &key());
    let masks: Vec<_> = comparison.drifts.iter().flat_map(|drift| [&drift.desired, &drift.live]).flatten().collect();
    assert_eq!(masks.len(), 3);
    assert!(masks.iter().all(|seen| matches!(seen, Seen::Masked(_))), "{masks:?}");
    assert_eq!(masks[0], masks[2], "equal values have equal masks");
    assert_ne!(masks[0], masks[1]);
}

#[test]
fn the_last_writer_of_an_atomic_value_wrote_all_of_it() {
    let mut matched = matched(&json!({}), &json!({}), &json!({}));
    let owner = |manager: &str, paths: &[&str]| trueup_core::facts::Owner {
        manager: manager.to_owned(),
        operation: trueup_core::facts::Operation::Update,
        subresource: None,
        time: Some("2026-11-21T00:00:00Z".to_owned()),
        fields: trueup_core::facts::FieldSet { paths: paths.iter().map(|path| path.parse().expect("a path")).collect() },
    };
    matched.live.owners = vec![owner("edit", &["spec.selector"]), owner("deploy", &["spec", "spec.ports"])];
    let at = |path: &str| matched.live.writer_of(&path.parse::<Path>().expect("a path")).map(|owner| owner.manager.as_str());
    assert_eq!(at("spec.selector.app"), Some("edit"));
    assert_eq!(at("spec.ports"), Some("deploy"));
    // Owning a container is not owning what others put into it.
    assert_eq!(at("spec.type"), None);
    assert_eq!(Segment::entry(&[("b", &json!(1)), ("a", &json!(2))]), Segment::entry(&[("a", &json!(2)), ("b", &json!(1))]));
}

#[test]
fn durations_of_one_length_are_the_same() {
    let same = |a: &str, b: &str| trueup_core::equal::same(&Types::default(), &Shape::Duration, Some(&json!(a)), Some(&json!(b)));
    assert!(same("90s", "1m30s") && same("1h", "60m") && same("0s", "0"));
    assert!(!same("90s", "90m") && !same("90", "90s"), "what is no duration is text");
}

#[test]
fn a_set_has_each_entry_once_and_finalizers_keep_their_order() {
    let shape = Shape::List { item: Box::new(Shape::Any), merge: Merge::Set };
    let same = |key: &str, a: Value, b: Value| trueup_core::equal::same_field(&Types::default(), &shape, key, Some(&a), Some(&b));
    assert!(same("metrics", json!(["a", "b"]), json!(["b", "a", "b"])));
    assert!(!same("metrics", json!(["a", "b"]), json!(["a", "a"])));
    assert!(!same("finalizers", json!(["a", "b"]), json!(["b", "a"])));
}
