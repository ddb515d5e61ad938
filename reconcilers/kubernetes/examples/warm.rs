//! What a round does with objects that were looked at before, once lists are read: on one core, in memory, with the functions
//! that the program's loop calls. `cargo run --release --example warm -- 100000`. One in a thousand differs, and otherwise in
//! each round; beside it, the same with nothing remembered.

use std::time::Instant;

use serde_json::{Value, json};
use trueup_core::diff::{Comparison, compare};
use trueup_core::facts::{Desired, Live, Matched, Origin};
use trueup_core::object::ObjectId;
use trueup_core::positions::Positions;
use trueup_core::seen::DigestKey;
use trueup_core::shared::Shared;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::normal;
use trueup_kubernetes::table::Table;
use trueup_kubernetes::verdicts::{Ground, Verdicts};

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let (kinds, key) = (Kinds::built_in(), DigestKey::new(b"warm"));
    let expecting = Expecting {
        defaulted: &|id, value| kinds.defaulted(id, value),
        shape: &|id| kinds.shape(id),
        types: kinds.types(),
        rules: Rules::load(),
    };
    let mut pairs: Vec<(Shared<Desired>, Shared<Live>)> = (0..count).map(pair).collect();
    let remembering = Verdicts::default();
    for round in 0..8 {
        for (_, live) in pairs.iter_mut().step_by(1000) {
            live.value["metadata"]["labels"] = json!({"by": format!("hand {round}")});
        }
        for (name, verdicts) in [("remembered", &remembering), ("anew", &Verdicts::default())] {
            let begun = Instant::now();
            verdicts.begin(Ground::new(&kinds, &[], &key));
            let judged = |(desired, live): &(Shared<Desired>, Shared<Live>)| {
                let desired = verdicts.placed(desired.clone(), Some("n"));
                judged(verdicts, (&desired, live), &expecting, &|matched| {
                    compare(matched, kinds.types(), &kinds.shape(&matched.desired.id), &key)
                })
            };
            let cases: Vec<(Matched, Comparison)> = pairs.iter().map(judged).collect();
            let ms = begun.elapsed().as_secs_f64() * 1000.0;
            let drifted = cases.iter().filter(|(_, comparison)| !comparison.drifts.is_empty()).count();
            println!("{}", json!({"round": round, "verdicts": name, "pairs": count, "drifted": drifted, "ms": ms}));
        }
    }
}

/// As `expect` and the program's `case_of`: what is known is not walked.
fn judged(
    verdicts: &Verdicts,
    (desired, live): (&Shared<Desired>, &Shared<Live>),
    expecting: &Expecting<'_>,
    compare: &dyn Fn(&Matched) -> Comparison,
) -> (Matched, Comparison) {
    let matched = verdicts.known(desired, live).unwrap_or_else(|| expecting.by_table(desired.clone(), live.clone()));
    if let Some(comparison) = verdicts.comparison(&matched) {
        return (matched, comparison);
    }
    let comparison = compare(&matched);
    verdicts.keep(&matched, &comparison);
    (matched, comparison)
}

fn pair(number: usize) -> (Shared<Desired>, Shared<Live>) {
    let (api_version, kind, value) = declared(number);
    let id = ObjectId { api_version, kind, namespace: Some("n".to_owned()), name: format!("o{number}") };
    let origin = Origin { file: "m.yaml".to_owned(), line: 1, column: 1, document: 1 };
    let live = normal::live(id.clone(), Table::load().expected(&id, &value));
    (Desired { id, value, origin, positions: Positions::default() }.into(), live.into())
}

/// A Deployment or a `ConfigMap` in turn.
fn declared(number: usize) -> (String, String, Value) {
    let metadata = json!({"name": format!("o{number}"), "namespace": "n"});
    if number % 2 == 1 {
        let value = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"key": number.to_string(), "other": "value"}});
        return ("v1".to_owned(), "ConfigMap".to_owned(), value);
    }
    let container =
        json!({"name": "app", "image": format!("registry.example/app:{number}"), "resources": {"requests": {"cpu": "250m"}}});
    let value = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {
        "replicas": 0, "selector": {"matchLabels": {"app": "a"}},
        "template": {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [container]}}}});
    ("apps/v1".to_owned(), "Deployment".to_owned(), value)
}
