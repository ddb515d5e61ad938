//! Which way security goes, for each case of `testdata/directions`: read, compared and judged as a snapshot is.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};
use trueup_core::diff::compare;
use trueup_core::difference::differences;
use trueup_core::direction::Direction;
use trueup_core::facts::Pair;
use trueup_core::finding::Difference;
use trueup_core::object::TargetName;
use trueup_core::security::Category;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::allowances::Rules;
use trueup_kubernetes::expect::Expecting;
use trueup_kubernetes::manifest;
use trueup_kubernetes::observe::SecretsMode;
use trueup_kubernetes::snapshot::{self, Contents};
use trueup_kubernetes::table::Table;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    /// The same for all: then a case is a spec.
    kind: Option<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Case {
    name: String,
    kind: Option<String>,
    api_version: Option<String>,
    /// What is written are the fields of one webhook.
    #[serde(default)]
    webhooks: bool,
    git: Value,
    live: Value,
    direction: Direction,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/directions");
    let mut all = Vec::new();
    for file in ["pods.yaml", "policies.yaml"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let read: Cases = serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let kind = read.kind.clone();
        all.extend(read.cases.into_iter().map(|case| match &kind {
            Some(kind) => Case {
                git: json!({"spec": case.git}),
                live: json!({"spec": case.live}),
                kind: Some(kind.clone()),
                api_version: Some("v1".to_owned()),
                ..case
            },
            None => case,
        }));
    }
    all
}

/// A whole object of a case's fields.
fn object(case: &Case, fields: &Value) -> Value {
    let mut object = json!({"apiVersion": case.api_version, "kind": case.kind, "metadata": {}});
    let fields = if case.webhooks {
        let mut webhook = json!({
            "name": "a.example.com",
            "admissionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://a.example.com"},
            "sideEffects": "None",
        });
        json_patch::merge(&mut webhook, fields);
        json!({"webhooks": [webhook]})
    } else {
        fields.clone()
    };
    json_patch::merge(&mut object, &fields);
    object["metadata"]["name"] = json!("x");
    object["metadata"]["namespace"] = json!("shop");
    object
}

/// All differences of live from Git.
fn found(case: &Case, git: &Value, live: &Value) -> Vec<Difference> {
    let text = serde_json::to_vec(&object(case, git)).unwrap();
    let (desired, problems) = manifest::read("case.yaml", &text);
    assert_eq!(problems, [], "{}", case.name);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("live.yaml"), serde_json::to_vec(&object(case, live)).unwrap()).unwrap();
    let table = Table::load();
    let expecting = Expecting {
        defaulted: &|id, value| table.knows(id).then(|| table.expected(id, value)),
        shape: &|id| table.root_shape(id),
        types: table.types(),
        rules: Rules::load(),
    };
    let observation = snapshot::observe(Contents::of(folder.path()), desired, SecretsMode::Off, &expecting);
    let Pair::Matched(matched) = &observation.pairs[0] else { panic!("{}: {:?}", case.name, observation.pairs) };
    let drifts = compare(matched, table.types(), &table.root_shape(&matched.desired.id), &DigestKey::new(&[1; 32])).drifts;
    differences(&TargetName("t".to_owned()), &observation.pairs[0], drifts)
}

/// The direction of the one thing that a case changes; several findings of it agree.
fn direction(case: &Case, git: &Value, live: &Value) -> Direction {
    let found = found(case, git, live);
    let security: Vec<_> = found.iter().filter(|difference| Category::of(difference) == Some(Category::Security)).collect();
    assert!(!security.is_empty(), "{}: nothing that concerns security is found: {found:?}", case.name);
    let directions: Vec<Direction> = security.iter().map(|difference| Direction::of(difference)).collect();
    assert!(directions.iter().all(|direction| *direction == directions[0]), "{}: {directions:?}", case.name);
    directions[0]
}

#[test]
fn every_case_goes_the_way_it_should() {
    let cases = cases();
    let count = |wanted: Direction| cases.iter().filter(|case| case.direction == wanted).count();
    let (weaker, stronger, unclear) = (count(Direction::Weaker), count(Direction::Stronger), count(Direction::Unclear));
    assert!(weaker >= 20 && stronger >= 20 && unclear >= 10, "{weaker} weaker, {stronger} stronger, {unclear} unclear");
    let wrong = cases.iter().filter_map(|case| {
        let found = direction(case, &case.git, &case.live);
        (found != case.direction).then(|| format!("{}: {found:?}, not {:?}", case.name, case.direction))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What weakens one way round never weakens or tightens both ways round, and where it goes one way, the way back does not.
#[test]
fn no_case_goes_the_same_way_in_both_directions() {
    for case in cases() {
        let (there, back) = (direction(&case, &case.git, &case.live), direction(&case, &case.live, &case.git));
        assert!(there != back || there == Direction::Unclear, "{}: {there:?} there and back", case.name);
    }
}
