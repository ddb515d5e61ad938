//! Classifies many differences by policies of many rules, on one core, and prints how long one difference takes:
//! `cargo run --release --example policy -- 1000 10000`.

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::json;
use trueup_core::classify::classify;
use trueup_core::facts::{Evidence, Origin};
use trueup_core::finding::{Cause, Change, Difference, Divergence, Drift, Subject, Surroundings};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::path::Path;
use trueup_core::policy::Policy;
use trueup_core::seen::{DigestKey, Seen};

const REPEATS: usize = 5;

/// The text of the rule of a number.
type Rule = fn(usize) -> String;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<usize>().ok());
    let (rules, findings) = (numbers.next().unwrap_or(1000), numbers.next().unwrap_or(10_000));
    let policies: [(&str, Rule); 4] = [
        ("none", |_| String::new()),
        ("one for each application", of_application),
        ("one in a hundred hostile", |at| if at % 100 == 0 { hostile(at) } else { of_application(at) }),
        ("all hostile, and all have to be asked", hostile),
    ];
    let key = DigestKey::new(b"policy");
    let differences: Vec<Difference> = (0..findings).map(difference).collect();
    for (name, rule) in policies {
        let text: String = (0..rules).map(rule).collect();
        let begun = Instant::now();
        let policy = Policy::read(&[("bench.toml".to_owned(), text)]).expect("a policy");
        let read = begun.elapsed();
        let mut seconds: Vec<f64> = Vec::new();
        let mut meant = 0;
        for _ in 0..REPEATS {
            let differences = differences.clone();
            let begun = Instant::now();
            let found = differences.into_iter().map(|difference| classify(difference, &policy, "bench", &key));
            meant = found.filter(|finding| !finding.meant_by.is_empty()).count();
            seconds.push(begun.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "some thousand findings")]
        let micros = |seconds: f64| (seconds * 1e8 / findings as f64).round() / 100.0;
        let row = json!({"policy": name, "rules": rules, "findings": findings, "meant": meant,
            "read_ms": (read.as_secs_f64() * 1e4).round() / 10.0, "us_a_finding": micros(seconds[REPEATS / 2]),
            "min": micros(seconds[0]), "max": micros(seconds[REPEATS - 1])});
        println!("{row}");
    }
}

/// Each application has its own rule; in turn for an image, a label and a key of a `ConfigMap`.
fn of_application(at: usize) -> String {
    let matches = match at % 3 {
        0 => format!("kind = \"Deployment\", name = \"app-{at}\", path = \"**.image\""),
        1 => format!("namespace = \"team-{}\", name = \"app-{at}-*\", path = \"metadata.labels.*\"", at % 20),
        _ => format!("kind = \"ConfigMap\", namespace = \"team-{}\", path = \"data.key-{at}\"", at % 20),
    };
    format!("[[class]]\nname = \"c{at}\"\nlane = \"review\"\nmatch = {{ {matches} }}\n")
}

/// Patterns that take long where every way is tried, and that nothing can be looked up by.
fn hostile(at: usize) -> String {
    let (names, path) = ("*a".repeat(20), "**.*.".repeat(10));
    format!("[[class]]\nname = \"h{at}\"\nlane = \"review\"\nmatch = {{ name = \"{names}*z{at}*\", path = \"{path}**\" }}\n")
}

fn difference(at: usize) -> Difference {
    let (kind, api_version, path) = match at % 3 {
        0 => ("Deployment", "apps/v1", "spec.template.spec.containers[name=app].image".to_owned()),
        1 => ("Service", "v1", "metadata.labels.tier".to_owned()),
        _ => ("ConfigMap", "v1", format!("data.key-{}", at % 1000)),
    };
    let name = format!("app-{}{}", at % 1000, if at % 3 == 1 { "-web" } else { "" });
    Difference {
        target: TargetName("bench".to_owned()),
        subject: Subject::Object(ObjectId {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: Some(format!("team-{}", at % 20)),
            name,
        }),
        divergence: Divergence::Field(Drift {
            path: path.parse::<Path>().expect("a path"),
            pointer: String::new(),
            change: Change::Changed,
            desired: Some(Seen::Plain(json!("registry.example/app:1"))),
            live: Some(Seen::Plain(json!("registry.example/app:2"))),
        }),
        cause: Cause { manager: Some("kubectl-edit".to_owned()), ..Cause::default() },
        evidence: Some(Evidence::Baseline),
        origin: Origin { file: "a.yaml".to_owned(), line: 1, column: 1, document: 1 },
        labels: BTreeMap::new(),
        ignored_in_git: false,
        surroundings: Surroundings::default(),
    }
}
