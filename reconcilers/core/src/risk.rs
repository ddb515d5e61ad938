//! How risky a difference is: named factors, each with its points.

use serde_json::Value;

use crate::direction::Direction;
use crate::facts::Evidence;
use crate::finding::{Change, Confidence, Difference, Divergence, Factor, Risk, Subject};
use crate::path::Segment;
use crate::quantity::Quantity;
use crate::security::Category;
use crate::seen::Seen;

/// The sum of all factors that hold; at most 100. More factors, or more of what one counts, never lower it.
#[must_use]
pub fn assess(difference: &Difference) -> Risk {
    let held = FACTORS.iter().filter_map(|factor| Some((factor.name, (factor.points)(difference)?)));
    let factors: Vec<Factor> = held.map(|(name, points)| Factor { name: name.to_owned(), points }).collect();
    let score = factors.iter().fold(0u8, |sum, factor| sum.saturating_add(factor.points)).min(100);
    Risk { score, factors }
}

struct Weighed {
    name: &'static str,
    /// `None` where it does not hold.
    points: fn(&Difference) -> Option<u8>,
}

const FACTORS: [Weighed; 22] = [
    Weighed { name: "a value in use", points: |_| Some(8) },
    Weighed {
        name: "restarts pods",
        points: |difference| on_key(difference, &["template", "jobTemplate", "initContainers"], 30),
    },
    Weighed { name: "changes what runs", points: |difference| on_key(difference, &["image", "command", "args"], 16) },
    Weighed { name: "changes capacity", points: |difference| on_key(difference, &["replicas", "resources", "parallelism"], 12) },
    Weighed {
        name: "changes who is reached",
        points: |difference| on_key(difference, &["selector", "ports", "rules", "tls"], 15),
    },
    Weighed { name: "concerns security", points: |difference| Category::of(difference).is_some().then_some(25) },
    Weighed {
        name: "may weaken security",
        points: |difference| {
            (Category::of(difference).is_some() && Direction::of(difference).may_be(Direction::Weaker)).then_some(25)
        },
    },
    Weighed { name: "serves the whole cluster", points: |difference| is_cluster_scoped(difference).then_some(20) },
    Weighed {
        name: "infrastructure",
        points: |difference| matches!(difference.divergence, Divergence::Expectation(_)).then_some(35),
    },
    Weighed { name: "a whole object", points: |difference| matches!(difference.divergence, Divergence::Object(_)).then_some(30) },
    Weighed { name: "not declared in Git", points: |difference| (difference.change() == Change::Undeclared).then_some(5) },
    Weighed { name: "secret", points: |difference| difference.is_masked().then_some(20) },
    Weighed { name: "cannot be put back", points: |difference| holds_data(difference).then_some(15) },
    Weighed {
        name: "in production",
        points: |difference| {
            let environment = difference.surroundings.standing.environment.as_deref();
            environment.is_some_and(|name| !REHEARSALS.contains(&name)).then_some(10)
        },
    },
    Weighed {
        name: "an important target",
        points: |difference| match difference.surroundings.standing.tier {
            Some(1) => Some(10),
            Some(2) => Some(5),
            Some(_) | None => None,
        },
    },
    Weighed {
        name: "reaches several pods",
        points: |difference| match difference.surroundings.reach.pods {
            0..=1 => None,
            2..=9 => Some(4),
            10..=99 => Some(8),
            100.. => Some(14),
        },
    },
    Weighed {
        name: "other objects depend on it",
        points: |difference| match difference.surroundings.reach.objects {
            0 => None,
            1..=4 => Some(3),
            5.. => Some(8),
        },
    },
    Weighed {
        name: "corrected again and again",
        points: |difference| (difference.surroundings.history.corrections >= 3).then_some(6),
    },
    Weighed {
        name: "a correction did not hold before",
        points: |difference| (difference.surroundings.history.failures > 0).then_some(12),
    },
    Weighed {
        name: "writer not known",
        points: |difference| {
            let is_field = matches!(difference.divergence, Divergence::Field(_));
            (difference.cause.confidence == Confidence::Unknown && is_field).then_some(4)
        },
    },
    // No points: it may be less than it looks, and risk never counts on that.
    Weighed { name: "maybe the same quantity", points: |difference| may_be_same_quantity(difference).then_some(0) },
    Weighed { name: "judged without a server", points: |difference| (difference.evidence == Some(Evidence::Table)).then_some(4) },
];

/// Environments whose loss nobody outside notices; any other name counts as production.
const REHEARSALS: [&str; 10] = ["development", "dev", "test", "testing", "staging", "stage", "qa", "sandbox", "preview", "local"];

/// Kinds in which a wrong value can lose what no patch brings back: volumes, and what is deleted along with a definition.
const HOLDERS_OF_DATA: [(&str, &str); 5] = [
    ("", "PersistentVolumeClaim"),
    ("", "PersistentVolume"),
    ("", "Namespace"),
    ("apiextensions.k8s.io", "CustomResourceDefinition"),
    ("storage.k8s.io", "StorageClass"),
];

fn on_key(difference: &Difference, names: &[&str], points: u8) -> Option<u8> {
    key_of(difference, names).then_some(points)
}

fn holds_data(difference: &Difference) -> bool {
    let Subject::Object(id) = &difference.subject else { return false };
    let names_it = HOLDERS_OF_DATA.contains(&(id.group(), id.kind.as_str()));
    let is_label = difference.path().0.first() == Some(&Segment::Key("metadata".to_owned()));
    names_it && !is_label
}

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
