//! Security and risk of a difference.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use trueup_core::direction::Direction;
use trueup_core::facts::{Evidence, Origin};
use trueup_core::finding::{Cause, Change, Confidence, Difference, Divergence, Drift, ObjectChange, Subject};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::path::Path;
use trueup_core::risk::assess;
use trueup_core::security::Category;
use trueup_core::seen::Seen;

use crate::comparing::key;

pub fn difference(kind: &str, path: &str, desired: Option<Value>, live: Option<Value>) -> Difference {
    let change = match (&desired, &live) {
        (Some(_), Some(_)) => Change::Changed,
        (Some(_), None) => Change::Removed,
        (None, _) => Change::Undeclared,
    };
    let (group, kind) = kind.rsplit_once('/').unwrap_or(("", kind));
    let api_version = if group.is_empty() { "v1".to_owned() } else { format!("{group}/v1") };
    let path: Path = path.parse().expect("a path");
    Difference {
        target: TargetName("t".into()),
        subject: Subject::Object(ObjectId { api_version, kind: kind.into(), namespace: Some("shop".into()), name: "a".into() }),
        divergence: Divergence::Field(Drift {
            path,
            pointer: String::new(),
            change,
            desired: desired.map(Seen::Plain),
            live: live.map(Seen::Plain),
        }),
        cause: Cause { confidence: Confidence::Reported, ..Cause::default() },
        evidence: Some(Evidence::Baseline),
        origin: Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 },
        labels: BTreeMap::new(),
        ignored_in_git: false,
        surroundings: trueup_core::finding::Surroundings::default(),
    }
}

#[test]
fn what_concerns_security_and_which_way_it_goes() {
    use Direction::{Stronger, Unclear, Weaker};
    let on = || Some(json!(true));
    let off = || Some(json!(false));
    let context = "spec.template.spec.containers[name=app].securityContext";
    let network = "networking.k8s.io/NetworkPolicy";
    let role = "rbac.authorization.k8s.io/Role";
    let rules = || Some(json!([{"verbs": ["*"], "apiGroups": [""], "resources": ["pods"]}]));
    let security = Some(Category::Security);
    for (kind, path, desired, live, category, direction) in [
        ("apps/Deployment", format!("{context}.privileged"), off(), on(), security, Weaker),
        ("apps/Deployment", format!("{context}.privileged"), on(), None, security, Stronger),
        ("apps/Deployment", format!("{context}.allowPrivilegeEscalation"), off(), on(), security, Weaker),
        // Removed, it is what it is by default: allowed.
        ("apps/Deployment", format!("{context}.allowPrivilegeEscalation"), off(), None, security, Weaker),
        ("apps/Deployment", format!("{context}.runAsNonRoot"), on(), None, security, Weaker),
        ("apps/Deployment", format!("{context}.runAsNonRoot"), None, on(), security, Stronger),
        ("apps/Deployment", format!("{context}.readOnlyRootFilesystem"), on(), off(), security, Weaker),
        ("apps/Deployment", format!("{context}.runAsUser"), Some(json!(1000)), Some(json!(0)), security, Weaker),
        (
            "apps/Deployment",
            "spec.template.spec.containers[name=app].image".into(),
            Some(json!("a")),
            Some(json!("b")),
            None,
            Unclear,
        ),
        // A whole container or volume brings its own fields along.
        (
            "apps/Deployment",
            "spec.template.spec.containers[name=x]".into(),
            None,
            Some(json!({"name": "x", "securityContext": {"privileged": true}})),
            security,
            Unclear,
        ),
        (
            "apps/Deployment",
            "spec.template.spec.volumes[name=x]".into(),
            None,
            Some(json!({"name": "x", "hostPath": {"path": "/"}})),
            security,
            Weaker,
        ),
        (
            "apps/Deployment",
            "spec.template.spec.volumes[name=x]".into(),
            None,
            Some(json!({"name": "x", "emptyDir": {}})),
            None,
            Unclear,
        ),
        (
            "Namespace",
            r#"metadata.labels["pod-security.kubernetes.io/enforce"]"#.into(),
            Some(json!("restricted")),
            None,
            security,
            Weaker,
        ),
        (network, "spec.ingress".into(), None, rules(), security, Weaker),
        // Without rules nothing is let in; without the whole policy everything is.
        (network, "spec.egress".into(), rules(), None, security, Unclear),
        (network, "metadata.labels.a".into(), None, Some(json!("b")), None, Unclear),
        (role, "rules".into(), rules(), None, security, Stronger),
        (role, "rules".into(), None, rules(), security, Weaker),
        (role, "rules".into(), rules(), Some(json!([])), security, Stronger),
    ] {
        let difference = difference(kind, &path, desired, live);
        assert_eq!(Category::of(&difference), category, "{kind} {path}");
        assert_eq!(Direction::of(&difference), direction, "{kind} {path}");
    }
}

#[test]
fn a_policy_that_means_weaker_means_what_cannot_be_told() {
    assert!(Direction::Unclear.may_be(Direction::Weaker));
    assert!(!Direction::Unclear.may_be(Direction::Stronger));
    assert!(!Direction::Stronger.may_be(Direction::Weaker));
}

/// Changes to a difference each of which adds a factor and takes none away.
const WORSE: [fn(&mut Difference); 14] = [
    |difference| difference.surroundings.standing.environment = Some("production".to_owned()),
    |difference| difference.surroundings.standing.tier = Some(2),
    |difference| difference.surroundings.reach.pods = 5,
    |difference| difference.surroundings.reach.objects = 2,
    |difference| difference.surroundings.history.corrections = 3,
    |difference| difference.surroundings.history.failures = 1,
    |difference| {
        if let Subject::Object(id) = &mut difference.subject {
            "PersistentVolumeClaim".clone_into(&mut id.kind);
        }
    },
    |difference| difference.cause.confidence = Confidence::Unknown,
    |difference| difference.evidence = Some(Evidence::Table),
    |difference| set(difference, |drift| drift.live = Some(Seen::Masked(key().mask(&json!("x"))))),
    |difference| set(difference, |drift| drift.path = drift.path.key("template")),
    |difference| set(difference, |drift| drift.path = drift.path.key("securityContext")),
    |difference| set(difference, |drift| drift.path = drift.path.key("image")),
    |difference| {
        if let Subject::Object(id) = &mut difference.subject {
            id.namespace = None;
        }
    },
];

fn set(difference: &mut Difference, change: impl Fn(&mut Drift)) {
    if let Divergence::Field(drift) = &mut difference.divergence {
        change(drift);
    }
}

proptest! {
    #[test]
    fn a_factor_more_never_lowers_the_score(chosen in prop::collection::vec(0..WORSE.len(), 0..12)) {
        let mut difference = difference("ConfigMap", "data.a", Some(json!("x")), Some(json!("y")));
        let mut last = assess(&difference);
        for at in chosen {
            WORSE[at](&mut difference);
            let next = assess(&difference);
            prop_assert!(next.score >= last.score && next.score <= 100, "{:?} after {:?}", next, last);
            for factor in &last.factors {
                prop_assert!(next.factors.contains(factor), "{} went away", factor.name);
            }
            let sum: u32 = next.factors.iter().map(|factor| u32::from(factor.points)).sum();
            prop_assert_eq!(u32::from(next.score), sum.min(100));
            last = next;
        }
    }
}

/// More of what a factor counts, and a more important target, never weigh less.
#[test]
fn more_of_a_factor_never_lowers_the_score() {
    let plain = difference("ConfigMap", "data.a", Some(json!("x")), Some(json!("y")));
    let score = |change: &dyn Fn(&mut trueup_core::finding::Surroundings)| {
        let mut difference = plain.clone();
        change(&mut difference.surroundings);
        assess(&difference).score
    };
    let rises = |scores: Vec<u8>| scores.windows(2).all(|pair| pair[0] <= pair[1]) && scores.first() < scores.last();
    let counts = [0, 1, 2, 9, 10, 99, 100, u32::MAX];
    assert!(rises(counts.iter().map(|pods| score(&|around| around.reach.pods = *pods)).collect()));
    assert!(rises(counts.iter().map(|objects| score(&|around| around.reach.objects = *objects)).collect()));
    assert!(rises(counts.iter().map(|count| score(&|around| around.history.corrections = *count)).collect()));
    assert!(rises(counts.iter().map(|count| score(&|around| around.history.failures = *count)).collect()));
    assert!(rises((1..=9).rev().map(|tier| score(&|around| around.standing.tier = Some(tier))).collect()));
    let environment = |name: &str| score(&|around| around.standing.environment = Some(name.to_owned()));
    assert!(environment("staging") < environment("production") && environment("production") == environment("no word of ours"));
}

#[test]
fn a_whole_object_weighs_more_than_a_value_in_it() {
    let value = difference("ConfigMap", "data.a", Some(json!("x")), Some(json!("y")));
    let mut object = value.clone();
    object.divergence = Divergence::Object(ObjectChange::Missing);
    assert!(assess(&object).score > assess(&value).score);
}
