//! How risky a difference is: named factors, each with its points.

use serde_json::Value;

use crate::facts::Evidence;
use crate::finding::{Change, Confidence, Difference, Divergence, Factor, Risk, Subject};
use crate::path::Segment;
use crate::quantity::Quantity;
use crate::security::{Category, Direction};
use crate::seen::Seen;

/// The sum of all factors that hold; at most 100. More factors never lower it.
#[must_use]
pub fn assess(difference: &Difference) -> Risk {
    let held = FACTORS.iter().filter(|factor| (factor.holds)(difference));
    let factors: Vec<Factor> = held.map(|factor| Factor { name: factor.name.to_owned(), points: factor.points }).collect();
    let score = factors.iter().fold(0u8, |sum, factor| sum.saturating_add(factor.points)).min(100);
    Risk { score, factors }
}

struct Weighed {
    name: &'static str,
    points: u8,
    holds: fn(&Difference) -> bool,
}

const FACTORS: [Weighed; 15] = [
    Weighed { name: "a value in use", points: 8, holds: |_| true },
    Weighed {
        name: "restarts pods",
        points: 30,
        holds: |difference| key_of(difference, &["template", "jobTemplate", "initContainers"]),
    },
    Weighed { name: "changes what runs", points: 16, holds: |difference| key_of(difference, &["image", "command", "args"]) },
    Weighed {
        name: "changes capacity",
        points: 12,
        holds: |difference| key_of(difference, &["replicas", "resources", "parallelism"]),
    },
    Weighed {
        name: "changes who is reached",
        points: 15,
        holds: |difference| key_of(difference, &["selector", "ports", "rules", "tls"]),
    },
    Weighed { name: "concerns security", points: 25, holds: |difference| Category::of(difference).is_some() },
    Weighed {
        name: "may weaken security",
        points: 25,
        holds: |difference| Category::of(difference).is_some() && Direction::of(difference).may_be(Direction::Weaker),
    },
    Weighed { name: "serves the whole cluster", points: 20, holds: is_cluster_scoped },
    Weighed {
        name: "infrastructure",
        points: 35,
        holds: |difference| matches!(difference.divergence, Divergence::Expectation(_)),
    },
    Weighed { name: "a whole object", points: 30, holds: |difference| matches!(difference.divergence, Divergence::Object(_)) },
    Weighed { name: "not declared in Git", points: 5, holds: |difference| difference.change() == Change::Undeclared },
    Weighed { name: "secret", points: 20, holds: Difference::is_masked },
    Weighed {
        name: "writer not known",
        points: 4,
        holds: |difference| {
            difference.cause.confidence == Confidence::Unknown && matches!(difference.divergence, Divergence::Field(_))
        },
    },
    // No points: it may be less than it looks, and risk never counts on that.
    Weighed { name: "maybe the same quantity", points: 0, holds: may_be_same_quantity },
    Weighed { name: "judged without a server", points: 4, holds: |difference| difference.evidence == Some(Evidence::Table) },
];

fn key_of(difference: &Difference, names: &[&str]) -> bool {
    difference.path().0.iter().any(|segment| matches!(segment, Segment::Key(key) if names.contains(&key.as_str())))
}

/// Two spellings of one quantity in a custom resource, whose schema cannot say which text is a quantity.
fn may_be_same_quantity(difference: &Difference) -> bool {
    let Subject::Object(id) = &difference.subject else { return false };
    let is_custom = id.group().contains('.') && !id.group().ends_with(".k8s.io");
    let quantity = |seen: Option<&Seen>| match seen {
        Some(Seen::Plain(Value::String(text))) => Quantity::parse(text),
        Some(Seen::Plain(Value::Number(number))) => Quantity::parse(&number.to_string()),
        Some(Seen::Plain(_) | Seen::Masked(_)) | None => None,
    };
    let (desired, live) = difference.values();
    is_custom && quantity(desired).is_some_and(|desired| Some(desired) == quantity(live))
}

fn is_cluster_scoped(difference: &Difference) -> bool {
    matches!(&difference.subject, Subject::Object(id) if id.namespace.is_none())
}
