//! A repair makes its paths right and touches nothing else.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::facts::Live;
use trueup_core::finding::{Change, Drift};
use trueup_core::patch::{Unpatchable, changes_nothing, repair, with_preconditions};
use trueup_core::path::Path;
use trueup_core::seen::Seen;

use crate::comparing::{Sample, found, key, matched, sample};
use crate::generate::{Dice, Schema};
use crate::judge::{Steps, leaves, verdict};

/// What a server makes of a merge patch.
fn patched(value: &Value, patch: &Value) -> Value {
    let mut value = value.clone();
    json_patch::merge(&mut value, patch);
    value
}

fn live_of(sample: &Sample) -> Live {
    (*matched(&sample.declared, &sample.expected, &sample.live).live).clone()
}

/// Some of the drifts, at least one.
fn some<'a>(drifts: &'a [Drift], dice: &mut Dice) -> Vec<&'a Drift> {
    let mut some: Vec<&Drift> = drifts.iter().filter(|_| dice.once_in(2)).collect();
    if some.is_empty() {
        some.extend(drifts.first());
    }
    some
}

/// Every leaf in its very spelling.
fn spelt(schema: &Schema, value: &Value) -> BTreeMap<Steps, String> {
    leaves(&literal(schema), value).leaves
}

/// The schema with nothing in it that compares by value.
fn literal(schema: &Schema) -> Schema {
    let fields = |fields: &[(&'static str, Schema)]| fields.iter().map(|(name, schema)| (*name, literal(schema))).collect();
    match schema {
        Schema::Struct(all) => Schema::Struct(fields(all)),
        Schema::Map(item) => Schema::Map(Box::new(literal(item))),
        Schema::Named(all) => Schema::Named(fields(all)),
        Schema::Ports(all) => Schema::Ports(fields(all)),
        _ => Schema::Text,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_repair_puts_its_paths_right_and_touches_nothing_else(seed: u64, edits in 1usize..5) {
        let mut dice = Dice(seed);
        let mut sample = sample(&mut dice, edits);
        let comparison = sample.compare();
        prop_assume!(!comparison.drifts.is_empty());
        let drifts = some(&comparison.drifts, &mut dice);
        let paths: Vec<String> = drifts.iter().map(|drift| drift.path.to_string()).collect();
        // `status/x.y` is a key of its own, and a root key `status` there is none: nothing here is forbidden.
        let repair = repair(&live_of(&sample), &sample.expected, &drifts).expect("a repair");

        let before = sample.live.clone();
        sample.live = patched(&before, &repair.patch);
        let left = verdict(&sample.schema, &sample.declared, &sample.expected, &sample.live);
        let asked: Vec<_> = found(&comparison).into_iter().filter(|(path, _)| !paths.contains(path)).collect();
        prop_assert_eq!(left.into_iter().collect::<Vec<_>>(), asked, "after {} on {}", repair.patch, before);

        let is_ours = |steps: &Steps| {
            let path = steps.concat();
            paths.iter().any(|ours| path.starts_with(ours) || ours.starts_with(&path))
        };
        let others = |value: &Value| {
            spelt(&sample.schema, value).into_iter().filter(|(steps, _)| !is_ours(steps)).collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(others(&sample.live), others(&before), "{}", repair.patch);
        prop_assert_eq!(patched(&sample.live, &repair.inverse), before, "the inverse leads back");
        prop_assert!(changes_nothing(&sample.live, &repair.patch));
        prop_assert!(repair.patch != json!({}), "a repair that writes nothing would be made again and again");
    }

    #[test]
    fn preconditions_add_uid_and_version_alone(seed: u64) {
        let sample = sample(&mut Dice(seed), 3);
        let patch = with_preconditions(&sample.live, "u", "7");
        let there = json!({"metadata": {"uid": "u", "resourceVersion": "7"}});
        prop_assert_eq!(patched(&sample.live, &there), patch);
    }
}

fn drift(path: &str, desired: Option<Value>, live: Option<Value>) -> Drift {
    let change = if live.is_some() { Change::Changed } else { Change::Removed };
    let path: Path = path.parse().expect("a path");
    Drift { path, pointer: String::new(), change, desired: desired.map(Seen::Plain), live: live.map(Seen::Plain) }
}

fn patch_of(live: &Value, expected: &Value, drifts: &[Drift]) -> Result<Value, Unpatchable> {
    let live = matched(expected, expected, live).live;
    repair(&live, expected, &drifts.iter().collect::<Vec<_>>()).map(|repair| repair.patch)
}

#[test]
fn an_entry_comes_back_to_its_place() {
    let init = |names: &[&str]| json!({"initContainers": names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()});
    for (live, missing, after) in [
        (&["mesh", "seed"][..], "migrate", &["mesh", "migrate", "seed"][..]),
        (&["mesh", "migrate"], "seed", &["mesh", "migrate", "seed"]),
        (&["migrate", "seed"], "mesh", &["mesh", "migrate", "seed"]),
        (&["migrate", "seed", "late"], "mesh", &["mesh", "migrate", "seed", "late"]),
        (&["seed", "late"], "migrate", &["migrate", "seed", "late"]),
    ] {
        let drift = drift(&format!("initContainers[name={missing}]"), Some(json!({ "name": missing })), None);
        assert_eq!(patch_of(&init(live), &init(&["mesh", "migrate", "seed"]), &[drift]), Ok(init(after)), "{live:?}");
    }
}

#[test]
fn a_value_is_written_as_the_server_keeps_it() {
    // So that what is read back after the write is what was written.
    let drift = drift("cpu", Some(json!("1000m")), Some(json!("2")));
    assert_eq!(patch_of(&json!({"cpu": "2"}), &json!({"cpu": "1"}), &[drift]), Ok(json!({"cpu": "1"})));
}

#[test]
fn what_a_patch_or_its_inverse_cannot_say_is_refused() {
    let null = json!({"spec": {"a": null}});
    let path = || "spec".parse::<Path>().expect("a path");
    let wanted = drift("spec", Some(json!({"a": null})), Some(json!("x")));
    assert_eq!(patch_of(&json!({"spec": "x"}), &null, &[wanted]), Err(Unpatchable::Inexpressible(path())));
    let there = drift("spec", Some(json!("x")), Some(json!({"a": null})));
    assert_eq!(patch_of(&null, &json!({"spec": "x"}), &[there]), Err(Unpatchable::Inexpressible(path())));
}

#[test]
fn what_is_not_there_any_more_is_not_taken() {
    let gone = drift("spec.list[name=a].x", None, Some(json!(1)));
    let path = gone.path.clone();
    assert_eq!(patch_of(&json!({"spec": {"list": [{"name": "b"}]}}), &json!({}), &[gone]), Err(Unpatchable::Unreachable(path)));
    let twins = json!({"ports": [{"port": 53}, {"port": 53, "protocol": "UDP"}]});
    let ambiguous = drift("ports[port=53].name", Some(json!("dns")), None);
    let path = ambiguous.path.clone();
    assert_eq!(patch_of(&twins, &json!({}), &[ambiguous]), Err(Unpatchable::Unreachable(path)));
}

#[test]
fn a_mask_is_never_written() {
    let mask = key().mask(&json!("secret"));
    let drift = Drift { desired: Some(Seen::Masked(mask)), ..drift("data.password", None, Some(json!("x"))) };
    let path = drift.path.clone();
    assert_eq!(patch_of(&json!({"data": {"password": "x"}}), &json!({}), &[drift]), Err(Unpatchable::Masked(path)));
}

#[test]
fn what_the_server_lets_nobody_change_is_refused() {
    for (api_version, kind, path, live) in [
        ("v1", "Service", "spec.clusterIP", json!({"spec": {"clusterIP": "x"}})),
        ("apps/v1", "Deployment", "spec.selector.matchLabels.app", json!({"spec": {"selector": {"matchLabels": {"app": "x"}}}})),
        ("v1", "ConfigMap", "data.a", json!({"data": {"a": "x"}, "immutable": true})),
    ] {
        let drift = drift(path, Some(json!("y")), Some(json!("x")));
        let mut live = matched(&json!({}), &json!({}), &live).live;
        (live.id.api_version, live.id.kind) = (api_version.into(), kind.into());
        let refused = Unpatchable::Immutable(drift.path.clone());
        assert_eq!(repair(&live, &json!({}), &[&drift]).map(|repair| repair.patch), Err(refused), "{kind} {path}");
        if kind == "ConfigMap" {
            live.value["immutable"] = json!(false);
            assert!(repair(&live, &json!({}), &[&drift]).is_ok());
        }
    }
}
