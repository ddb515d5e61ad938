//! `accounts` against `compare`: the same walk, so that what is explained is what is found.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::diff::{Account, Comparison, Silence, Spelling, Verdict, accounts, compare};
use trueup_core::facts::{Allowance, Extent, Matched, Rule, Secrecy};
use trueup_core::finding::Change;
use trueup_core::path::Path;
use trueup_core::seen::Seen;
use trueup_core::shape::{Merge, Shape, Types};

use crate::comparing::{key, matched, sample};
use crate::generate::{Dice, respelt};

/// What the accounts say of differences, in the comparison's own words.
fn told(accounts: &[Account]) -> Comparison {
    let mut told = Comparison::default();
    for account in accounts {
        match &account.verdict {
            Verdict::Differs(_) => told.drifts.extend(account.drift()),
            Verdict::Allowed(_, allowance) => {
                told.allowed.extend(account.drift().map(|drift| (drift, allowance.reason.clone())));
            }
            Verdict::Silent(_) => {}
        }
    }
    told
}

/// The paths of all scalars of an object, as JSON pointers.
fn scalars(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| scalars(value, &format!("{at}/{key}"), found)),
        Value::Array(entries) => {
            for (index, value) in entries.iter().enumerate() {
                scalars(value, &format!("{at}/{index}"), found);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => found.push(at.to_owned()),
    }
}

fn covers(account: &Account, pointer: &str) -> bool {
    pointer.strip_prefix(account.pointer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_explained_is_what_is_found(seed: u64, edits in 0usize..5) {
        let mut dice = Dice(seed);
        let mut sample = sample(&mut dice, edits);
        sample.live = respelt(&sample.schema, &sample.live, &mut dice);
        let matched = matched(&sample.declared, &sample.expected, &sample.live);
        let found = compare(&matched, &sample.types, &sample.shape, &key());
        let told = told(&accounts(&matched, &sample.types, &sample.shape, &key()));
        prop_assert_eq!((found.drifts, found.allowed), (told.drifts, told.allowed));
    }

    #[test]
    fn every_live_value_has_exactly_one_account(seed: u64, edits in 0usize..5) {
        let mut dice = Dice(seed);
        let mut sample = sample(&mut dice, edits);
        sample.live = respelt(&sample.schema, &sample.live, &mut dice);
        let matched = matched(&sample.declared, &sample.expected, &sample.live);
        let accounts = accounts(&matched, &sample.types, &sample.shape, &key());
        let mut pointers = Vec::new();
        scalars(&sample.live, "", &mut pointers);
        for pointer in pointers {
            let of_it: Vec<_> = accounts.iter().filter(|account| account.live.is_some() && covers(account, &pointer)).collect();
            prop_assert_eq!(of_it.len(), 1, "{}: {:?}\nlive {}", pointer, of_it, sample.live);
        }
    }

    #[test]
    fn a_verdict_says_what_its_values_are(seed: u64, edits in 0usize..5) {
        let mut dice = Dice(seed);
        let mut sample = sample(&mut dice, edits);
        sample.live = respelt(&sample.schema, &sample.live, &mut dice);
        let matched = matched(&sample.declared, &sample.expected, &sample.live);
        for account in accounts(&matched, &sample.types, &sample.shape, &key()) {
            let holds = match &account.verdict {
                Verdict::Differs(Change::Changed) => account.declared.is_some() && account.live.is_some() && account.declared != account.live,
                Verdict::Differs(Change::Removed) => account.declared.is_some() && account.live.is_none(),
                Verdict::Differs(Change::Undeclared) => account.declared.is_none() && account.live.is_some(),
                Verdict::Differs(Change::Leftover | Change::MissingObject | Change::ExtraObject) | Verdict::Allowed(..) => false,
                Verdict::Silent(Silence::AsDeclared | Silence::AsWritten) => account.declared.is_some() && account.declared == account.live,
                Verdict::Silent(Silence::Respelt(_) | Silence::AsAdmitted) => {
                    account.declared.is_some() && account.live.is_some() && account.declared != account.live
                }
                Verdict::Silent(Silence::Default) => {
                    account.declared.is_none() && account.live.is_some() && account.expected.is_some()
                }
                Verdict::Silent(Silence::SameAsNone) => true,
                Verdict::Silent(Silence::NotKept) => account.declared.is_some() && account.live.is_none() && account.expected.is_none(),
                Verdict::Silent(Silence::NotAdmitted) => account.live.is_none() && account.expected.is_some(),
            };
            prop_assert!(holds, "{account:?}");
        }
    }
}

/// A shape with one of each: a quantity, a duration, a set, a keyed list, and the rest as it comes.
fn shapes() -> (Types, Shape) {
    let list = |merge| Shape::List { item: Box::new(Shape::Any), merge };
    let fields = [
        ("cpu", Shape::Quantity),
        ("timeout", Shape::Duration),
        ("modes", list(Merge::Set)),
        ("env", Shape::List { item: Box::new(Shape::Object("Env".to_owned())), merge: Merge::Keyed(vec!["name".to_owned()]) }),
        ("args", list(Merge::Atomic)),
        ("labels", Shape::Map(Box::new(Shape::Any))),
    ];
    let fields = fields.into_iter().map(|(name, shape)| (name.to_owned(), shape)).collect();
    (Types([("Thing".to_owned(), fields), ("Env".to_owned(), [].into())].into()), Shape::Object("Thing".to_owned()))
}

fn verdicts(matched: &Matched) -> Vec<(String, Verdict)> {
    let (types, shape) = shapes();
    let accounts = accounts(matched, &types, &shape, &key());
    accounts.into_iter().map(|account| (account.path.to_string(), account.verdict)).collect()
}

#[test]
fn each_silence_has_its_reason() {
    let declared = json!({
        "same": "a", "cpu": "1000m", "timeout": "90s", "modes": ["x", "y"], "count": 1, "labels": {}, "nothing": null,
        "rewritten": "app:1", "kept": "app:1", "dropped": "x", "args": ["a", 1],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    });
    let expected = json!({
        "same": "a", "cpu": "1", "timeout": "1m30s", "modes": ["x", "y"], "count": 1, "rewritten": "cache/app:1",
        "kept": "cache/app:1", "filled": "default", "added": {"by": "admission"}, "args": ["a", 1],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    });
    let live = json!({
        "same": "a", "cpu": "1", "timeout": "1m30s", "modes": ["y", "x"], "count": 1.0, "rewritten": "cache/app:1",
        "kept": "app:1", "filled": "default", "args": ["a", 1.0],
        "env": [{"name": "B", "value": "2"}, {"name": "A", "value": "1"}],
    });
    let found = verdicts(&matched(&declared, &expected, &live));
    let silent = |path: &str, silence| (path.to_owned(), Verdict::Silent(silence));
    assert_eq!(
        found,
        [
            silent("added.by", Silence::NotAdmitted),
            silent("args", Silence::Respelt(Spelling::Inside)),
            silent("count", Silence::Respelt(Spelling::Number)),
            silent("cpu", Silence::Respelt(Spelling::Quantity)),
            silent("dropped", Silence::NotKept),
            silent("env[name=B].name", Silence::AsDeclared),
            silent("env[name=B].value", Silence::AsDeclared),
            silent("env[name=A].name", Silence::AsDeclared),
            silent("env[name=A].value", Silence::AsDeclared),
            silent("filled", Silence::Default),
            silent("kept", Silence::AsWritten),
            silent("labels", Silence::SameAsNone),
            silent("modes", Silence::Respelt(Spelling::Order)),
            silent("nothing", Silence::SameAsNone),
            silent("rewritten", Silence::AsAdmitted),
            silent("same", Silence::AsDeclared),
            silent("timeout", Silence::Respelt(Spelling::Duration)),
        ]
    );
}

#[test]
fn what_the_api_server_fills_in_and_somebody_took_away_is_removed() {
    let declared = json!({"spec": {"template": {"role": "web"}}});
    let expected = json!({"labels": {"role": "web", "by": "admission"}, "spec": {"template": {"role": "web"}}});
    let mut matched = matched(&declared, &expected, &json!({"labels": {"app": "x"}, "spec": {"template": {"role": "web"}}}));
    matched.expected.filled = BTreeSet::from(["labels.role".parse().expect("a path")]);
    let found: BTreeMap<String, Verdict> = verdicts(&matched).into_iter().collect();
    assert_eq!(found["labels.role"], Verdict::Differs(Change::Removed));
    assert_eq!(found["labels.by"], Verdict::Silent(Silence::NotAdmitted));
    let (types, shape) = shapes();
    let drifts = compare(&matched, &types, &shape, &key()).drifts;
    let role = drifts.iter().find(|drift| drift.change == Change::Removed).expect("found");
    assert_eq!((&role.desired, &role.live), (&Some(Seen::Plain(json!("web"))), &None));
}

#[test]
fn an_allowance_names_its_rule() {
    let mut matched = matched(&json!({"a": "x"}), &json!({"a": "x"}), &json!({"a": "x", "ip": "10.96.0.7"}));
    let allowance = Allowance {
        path: "ip".parse().expect("a path"),
        extent: Extent::Undeclared,
        rule: Rule::Allocated,
        reason: "the API server allocates it".to_owned(),
    };
    matched.expected.allowances = vec![allowance.clone()];
    let found = verdicts(&matched);
    assert_eq!(found[1], ("ip".to_owned(), Verdict::Allowed(Change::Undeclared, allowance)));
}

#[test]
fn git_without_a_key_is_found_where_it_stands() {
    let ports = |ports: Value| json!({ "ports": ports });
    let git = ports(json!([{"port": 53, "name": "dns"}]));
    let live = ports(json!([{"port": 53, "protocol": "TCP", "name": "dns"}]));
    let merge = Merge::Keyed(vec!["port".to_owned(), "protocol".to_owned()]);
    let list = Shape::List { item: Box::new(Shape::Any), merge };
    let types = Types([("Thing".to_owned(), [("ports".to_owned(), list)].into())].into());
    let accounts = accounts(&matched(&git, &live, &live), &types, &Shape::Object("Thing".to_owned()), &key());
    let name: Path = "ports[port=53,protocol=TCP].name".parse().expect("a path");
    let account = accounts.iter().find(|account| account.path == name).expect("an account");
    assert_eq!(account.declared_at.as_deref(), Some("/ports/0/name"));
    let protocol = accounts.iter().find(|account| account.path == name.parent().expect("a parent").key("protocol"));
    assert_eq!(
        protocol.map(|account| (&account.declared_at, &account.verdict)),
        Some((&None, &Verdict::Silent(Silence::Default)))
    );
}

#[test]
fn no_account_of_a_secret_holds_a_value() {
    let mut matched = matched(
        &json!({"data": {"same": "hunter2", "other": "hunter2"}, "type": "Opaque"}),
        &json!({"data": {"same": "hunter2", "other": "hunter2"}, "type": "Opaque"}),
        &json!({"data": {"same": "hunter2", "other": "hunter3"}, "type": "Opaque"}),
    );
    matched.secrecy = Secrecy::Secret;
    let accounts = accounts(&matched, &Types::default(), &Shape::Any, &key());
    assert!(!format!("{accounts:?}").contains("hunter"), "{accounts:?}");
    let open: Vec<_> = accounts.iter().filter(|account| matches!(account.live, Some(Seen::Plain(_)))).collect();
    assert_eq!(open.iter().map(|account| account.path.to_string()).collect::<Vec<_>>(), ["type"]);
}
