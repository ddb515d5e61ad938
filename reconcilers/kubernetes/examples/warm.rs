//! Compares many pairs of desired and live objects that are in memory, on one core, and prints how long that took:
//! `cargo run --release --example warm -- 100000`. One in a thousand differs.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Matched, Origin};
use trueup_core::object::ObjectId;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::normal;
use trueup_kubernetes::table::Table;

fn main() {
    let count: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    let table = Table::load();
    let expecting = Expecting {
        defaulted: &|id, value| table.knows(id).then(|| table.expected(id, value)),
        shape: &|id| table.root_shape(id),
        types: table.types(),
        rules: Rules::load(),
    };
    let pairs: Vec<Matched> = (0..count).map(|number| pair(&expecting, number)).collect();
    let key = DigestKey::new(b"warm");
    for _ in 0..5 {
        let begun = Instant::now();
        let drifted = pairs.iter().filter(|pair| is_drifted(pair, table, &key)).count();
        println!("{}", json!({"pairs": count, "drifted": drifted, "ms": begun.elapsed().as_secs_f64() * 1000.0}));
    }
}

fn is_drifted(pair: &Matched, table: &Table, key: &DigestKey) -> bool {
    !compare(pair, table.types(), &table.root_shape(&pair.desired.id), key).drifts.is_empty()
}

fn pair(expecting: &Expecting<'_>, number: usize) -> Matched {
    let (api_version, kind, value) = declared(number);
    let id = ObjectId { api_version, kind, namespace: Some("n".to_owned()), name: format!("o{number}") };
    let origin = Origin { file: "m.yaml".to_owned(), line: 1, column: 1, document: 1 };
    let mut admitted = Table::load().expected(&id, &value);
    if number.is_multiple_of(1000) {
        admitted["metadata"]["labels"] = json!({"by": "hand"});
    }
    let live = normal::live(id.clone(), admitted);
    expecting.by_table(Desired { id, value, origin, positions: BTreeMap::new() }, live)
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
