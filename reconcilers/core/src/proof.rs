//! Whether a policy does what its cases say: each case is a difference that goes through classify and decide as any other.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::classify::classify;
use crate::decide::{Case, Decision, Ground, Guards, Inputs, Terms, decide};
use crate::difference::{differences, extra};
use crate::facts::{
    Desired, Evidence, Expected as ExpectedValue, FieldSet, Former, Live, Matched, Operation, Origin, Owner, Pair, Secrecy,
    Tracking,
};
use crate::finding::{
    Cause, Change, Difference, Divergence, Drift, Expectation, Finding, OutputId, Predicate, Subject, Surroundings,
};
use crate::object::{ObjectId, TargetName};
use crate::path::{Path, Segment};
use crate::policy::{Expected, Limits, Policy, PolicyCase, Proof, Remedy, Verb};
use crate::positions::Positions;
use crate::secret;
use crate::seen::DigestKey;

/// A case that does not hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Broken<'a> {
    /// Which.
    pub case: &'a PolicyCase,
    /// What came of it.
    pub found: Expected,
}

/// Marks each class with whether its cases hold.
pub(crate) fn prove(policy: &mut Policy) {
    if policy.cases.is_empty() {
        return;
    }
    let mut proofs: BTreeMap<&str, Proof> = BTreeMap::new();
    let results = broken(policy);
    for case in &policy.cases {
        let Some(class) = &case.expected.class else { continue };
        let holds = !results.iter().any(|broken| std::ptr::eq(broken.case, case));
        let proof = proofs.entry(class).or_insert(Proof::Held(0));
        *proof = match std::mem::replace(proof, Proof::Missing) {
            Proof::Held(cases) if holds => Proof::Held(cases + 1),
            Proof::Held(_) => Proof::Broken(case.name.clone()),
            other => other,
        };
    }
    let proofs: BTreeMap<String, Proof> = proofs.into_iter().map(|(class, proof)| (class.to_owned(), proof)).collect();
    policy.classes.for_each_mut(|class| class.proof = proofs.get(&class.name).cloned().unwrap_or(Proof::Missing));
}

/// The cases that do not hold, in their order. Every class counts at the stage that it names; what holds for an hour or a
/// round (freezes, limits) is left out.
#[must_use]
pub fn broken(policy: &Policy) -> Vec<Broken<'_>> {
    let mut meant = Policy { freezes: Vec::new(), limits: Limits::default(), cases: Vec::new(), ..policy.clone() };
    meant.classes.for_each_mut(|class| {
        class.proof = Proof::Held(1);
        class.writes_per_hour = None;
    });
    let results = policy.cases.iter().map(|case| Broken { case, found: outcome(case, &meant) });
    results.filter(|result| result.found != result.case.expected).collect()
}

/// What a policy makes of a case.
fn outcome(case: &PolicyCase, policy: &Policy) -> Expected {
    let (target, key) = (TargetName("case".to_owned()), DigestKey::new(b"a case has no secrets"));
    let (pair, mut difference) = put(case, &target, &key);
    difference.surroundings.standing = case.standing.clone();
    let finding = [classify(difference, policy, "case", &key)];
    let ground = if case.object.is_output() { Ground::State } else { Ground::Cluster };
    let guards = Guards::none(ground);
    let terms = Terms { target: &target, requests: &[], guards: &guards, policy, now: Timestamp::UNIX_EPOCH };
    let decisions = decide(&Inputs::of(&[Case { pair: pair.as_ref(), findings: &finding }], terms));
    let [Finding { class, lane, stage, .. }] = finding;
    Expected { class, lane, stage, decision: decisions.first().map_or(Verb::Leave, verb) }
}

fn verb(decision: &Decision) -> Verb {
    match decision {
        Decision::Leave(_) => Verb::Leave,
        Decision::Correct(_) => Verb::Correct,
        Decision::Propose(proposal) => match proposal.remedy {
            Remedy::Adopt => Verb::Propose,
            Remedy::Restore => Verb::Restore,
        },
        Decision::Escalate(_) => Verb::Escalate,
        Decision::Hold(_) => Verb::Hold,
    }
}

/// A case as a look at a target would give it.
fn put(case: &PolicyCase, target: &TargetName, key: &DigestKey) -> (Option<Pair>, Difference) {
    if case.object.is_output() {
        return (None, output(case, target));
    }
    let desired = desired(case);
    match case.change {
        Change::MissingObject => {
            let pair = Pair::Missing(desired.into());
            let difference = differences(target, &pair, Vec::new()).remove(0);
            (Some(pair), difference)
        }
        Change::ExtraObject => {
            let live = live(case, desired.value.clone());
            (None, extra(target, &Former { desired, until: "the case".to_owned() }, &live))
        }
        Change::Changed | Change::Removed | Change::Undeclared | Change::Leftover => {
            let secrecy = if desired.id.is_secret() { Secrecy::Secret } else { Secrecy::Open };
            let seen = |value: &Option<Value>| value.as_ref().map(|value| secret::seen(secrecy, &case.path, value, key));
            let at = |value: &Option<Value>| with(skeleton(case), &case.path, value.as_ref());
            let declared = if case.change == Change::Changed || case.change == Change::Removed { &case.desired } else { &None };
            let expected = ExpectedValue {
                value: at(&case.desired),
                evidence: Evidence::Baseline,
                allowances: Vec::new(),
                filled: std::collections::BTreeSet::new(),
            };
            let matched = Matched {
                live: live(case, at(&case.live)).into(),
                expected: expected.into(),
                desired: Desired { value: at(declared), ..desired }.into(),
                secrecy,
                former: Vec::new(),
            };
            let pointer = [&matched.live.value, &matched.expected.value].iter().find_map(|value| case.path.pointer_in(value));
            let drift = Drift {
                path: case.path.clone(),
                pointer: pointer.unwrap_or_default(),
                change: case.change,
                desired: seen(&case.desired),
                live: seen(&case.live),
            };
            let pair = Pair::Matched(Box::new(matched));
            let difference = differences(target, &pair, vec![drift]).remove(0);
            (Some(pair), difference)
        }
    }
}

fn output(case: &PolicyCase, target: &TargetName) -> Difference {
    let plain = |value: &Option<Value>| value.clone().map(crate::seen::Seen::Plain);
    let id =
        OutputId { state: "case".to_owned(), serial: 1, lineage: String::new(), output: case.object.name.clone(), bound: None };
    Difference {
        target: target.clone(),
        subject: Subject::Output(id),
        divergence: Divergence::Expectation(Expectation {
            predicate: Predicate::Equals,
            desired: plain(&case.desired),
            live: plain(&case.live),
        }),
        cause: Cause::default(),
        evidence: Some(Evidence::State),
        origin: case.origin.clone(),
        labels: BTreeMap::new(),
        ignored_in_git: false,
        surroundings: Surroundings::default(),
    }
}

fn id(case: &PolicyCase) -> ObjectId {
    let object = &case.object;
    ObjectId {
        api_version: object.api_version.clone(),
        kind: object.kind.clone(),
        namespace: object.namespace.clone(),
        name: object.name.clone(),
    }
}

fn desired(case: &PolicyCase) -> Desired {
    let origin: Origin = case.origin.clone();
    Desired { id: id(case), value: skeleton(case), origin, positions: Positions::default() }
}

fn live(case: &PolicyCase, value: Value) -> Live {
    let owner = case.manager.as_ref().map(|manager| Owner {
        manager: manager.clone(),
        operation: Operation::Update,
        subresource: None,
        time: None,
        fields: FieldSet { paths: vec![case.path.clone()] },
    });
    Live {
        id: id(case),
        value,
        owners: owner.into_iter().collect(),
        uid: Some("case".to_owned()),
        resource_version: Some("1".to_owned()),
        deleting_since: None,
        created: None,
        tracking: Tracking::NotShown,
        last_applied: None,
    }
}

/// The object without what differs.
fn skeleton(case: &PolicyCase) -> Value {
    let object = &case.object;
    let mut metadata = json!({"name": object.name});
    if let Some(namespace) = &object.namespace {
        metadata["namespace"] = json!(namespace);
    }
    if !object.labels.is_empty() {
        metadata["labels"] = json!(object.labels);
    }
    json!({"apiVersion": object.api_version, "kind": object.kind, "metadata": metadata})
}

/// A value with another one at a path; without one, the containers on the way are there all the same.
fn with(mut root: Value, path: &Path, value: Option<&Value>) -> Value {
    set(&mut root, &path.0, value);
    root
}

fn set(root: &mut Value, path: &[Segment], value: Option<&Value>) {
    let Some((first, rest)) = path.split_first() else {
        *root = value.cloned().unwrap_or_default();
        return;
    };
    if rest.is_empty() && value.is_none() {
        if root.is_null() {
            *root = if matches!(first, Segment::Key(_)) { json!({}) } else { json!([]) };
        }
        if let (Segment::Key(key), Value::Object(fields)) = (first, root) {
            fields.remove(key);
        }
        return;
    }
    match first {
        Segment::Key(key) => {
            if !root.is_object() {
                *root = json!({});
            }
            set(&mut root[key.as_str()], rest, value);
        }
        Segment::Index(index) => {
            let mut entries = vec![Value::Null; *index + 1];
            set(&mut entries[*index], rest, value);
            *root = Value::Array(entries);
        }
        Segment::Entry(keys) => {
            let keys = keys.iter().filter_map(|(key, text)| Some((key.clone(), serde_json::from_str(text).ok()?)));
            let mut entry = Value::Object(keys.collect::<Map<_, _>>());
            if rest.is_empty() {
                entry = value.cloned().unwrap_or(entry);
            } else {
                set(&mut entry, rest, value);
            }
            *root = json!([entry]);
        }
    }
}
