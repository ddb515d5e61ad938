//! All that one target is decided by, and nothing else: a value that can be kept and decided by again.
//!
//! No secret value is in it. Of an object it holds what a patch of its findings needs and no more; what a patch may not
//! carry is an obstacle in words instead.

mod weighed;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::HOLD_ANNOTATION;
use super::guards::Guards;
use super::request::{Asked, Request};
use crate::facts::{Evidence, Live, Matched, Operation, Pair, Secrecy};
use crate::finding::{Change, Finding, FindingId, Place, Subject};
use crate::object::{ObjectId, TargetName};
use crate::patch::around;
use crate::path::Segment;
use crate::policy::{Limits, Ownership, Policy, Remedy};
use crate::secret;
use crate::seen::DigestKey;

use weighed::Asking;
pub use weighed::{Way, Weighed, What};

/// One declared object (or one output) with its findings.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was compared; absent for outputs.
    pub pair: Option<&'a Pair>,
    /// What came of it.
    pub findings: &'a [Finding],
}

/// By what a target's cases are decided.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The target.
    pub target: &'a TargetName,
    /// What people ask for.
    pub requests: &'a [Request],
    /// What stands against acting.
    pub guards: &'a Guards,
    /// The classes, limits and freezes.
    pub policy: &'a Policy,
    /// The time of the decision.
    pub now: Timestamp,
}

/// All that one target is decided by: [`decide`](super::decide) looks at nothing else.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// The target.
    pub target: TargetName,
    /// The time of the decision.
    pub now: Timestamp,
    /// The digest of the policy.
    pub policy: String,
    /// What the policy says of the classes that take part.
    pub classes: BTreeMap<String, ClassTerms>,
    /// The limits that hold whatever the class.
    pub limits: Limits,
    /// The freezes in force, for people.
    pub freezes: Vec<String>,
    /// What stands against acting on the places that take part.
    pub guards: Guards,
    /// How many objects Git declares in each namespace; `""` stands for those in none.
    pub declared: BTreeMap<String, u32>,
    /// The objects that have findings, in order.
    pub objects: Vec<Considered>,
    /// What people ask for.
    pub requests: Vec<Asked>,
}

/// What the policy says of one class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassTerms {
    /// What a correction does where a field belongs to somebody's server-side apply.
    pub ownership: Ownership,
    /// What its proposals ask for, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Remedy>,
    /// How many writes in an hour; no limit where absent.
    pub writes_per_hour: Option<u32>,
    /// How long after a write the drift may take to be gone, in seconds.
    pub window_seconds: u32,
}

/// One object or output and its findings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Considered {
    /// Which.
    pub subject: Subject,
    /// The object as it is, where there is one that Git declares.
    pub live: Option<LiveObject>,
    /// What differs, in the order of paths.
    pub findings: Vec<Weighed>,
}

/// What is known of a live object, as far as a decision asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LiveObject {
    /// Its id, in the version in which it was read.
    pub id: ObjectId,
    /// `metadata.uid`; absent in a snapshot that has none.
    pub uid: Option<String>,
    /// `metadata.resourceVersion`; absent in a snapshot that has none.
    pub resource_version: Option<String>,
    /// Since when it is being deleted.
    pub deleting_since: Option<String>,
    /// What its annotation that stops writes says.
    pub held: Option<String>,
    /// Somebody else who applies it server-side.
    pub applied_by: Option<String>,
    /// On what the expected value rests; absent where nothing was compared.
    pub evidence: Option<Evidence>,
    /// Whether it holds secret values: then nobody's words about it are repeated.
    pub secrecy: Secrecy,
    /// What a patch of its findings needs of the live value.
    pub value: Value,
    /// The same of the expected one.
    pub expected: Value,
}

impl Inputs {
    /// Takes in what a target's decisions depend on. Which order the cases, their findings and the requests come in makes no
    /// difference.
    #[must_use]
    pub fn of(cases: &[Case<'_>], terms: Terms<'_>) -> Self {
        let Terms { policy, now, .. } = terms;
        let mut requests: Vec<Asked> = terms.requests.iter().map(Asked::of).collect();
        requests.sort_by_cached_key(|request| serde_json::to_string(request).unwrap_or_default());
        let freezes: Vec<_> = policy.freezes.iter().filter_map(|freeze| Some((freeze, freeze.ends(now)?))).collect();
        let restoring = policy.classes.iter().filter(|class| class.review == Some(Remedy::Restore));
        let asking = Asking {
            freezes: &freezes,
            restored: requests.iter().flat_map(Asked::places).collect(),
            restoring: restoring.map(|class| class.name.as_str()).collect(),
        };
        let mut objects: Vec<Considered> =
            cases.iter().filter(|case| !case.findings.is_empty()).map(|case| Considered::of(*case, &asking)).collect();
        objects.sort_by(|a, b| a.order().cmp(&b.order()));
        let classes = ClassTerms::of(policy, &objects);
        Self {
            target: terms.target.clone(),
            now,
            policy: policy.digest.clone(),
            guards: about(terms.guards, &objects, &requests, &classes),
            classes,
            limits: policy.limits,
            freezes: freezes.iter().map(|(freeze, until)| freeze.reason(*until)).collect(),
            declared: declared(cases),
            objects,
            requests,
        }
    }

    /// What is kept of each object's values as they are; expected ones are masked.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (&ObjectId, Vec<&Value>)> {
        let objects = self.objects.iter().filter_map(|object| {
            let live = object.live.as_ref()?;
            Some((&live.id, vec![&live.value]))
        });
        objects.chain(self.requests.iter().filter_map(Asked::kept))
    }

    /// The finding's class, as the policy has it.
    pub(super) fn class_of(&self, finding: &Weighed) -> Option<(&String, &ClassTerms)> {
        self.classes.get_key_value(finding.class.as_ref()?)
    }
}

impl ClassTerms {
    /// Of each class that names a finding.
    pub(super) fn of(policy: &Policy, objects: &[Considered]) -> BTreeMap<String, Self> {
        let named: BTreeSet<&str> =
            objects.iter().flat_map(|object| &object.findings).filter_map(|finding| finding.class.as_deref()).collect();
        let classes = policy.classes.iter().filter(|class| named.contains(class.name.as_str())).map(|class| {
            let terms = Self {
                ownership: class.ownership,
                review: class.review,
                writes_per_hour: class.writes_per_hour,
                window_seconds: class.window_seconds,
            };
            (class.name.clone(), terms)
        });
        classes.collect()
    }
}

/// How many objects Git declares in each namespace.
fn declared(cases: &[Case<'_>]) -> BTreeMap<String, u32> {
    let is_extra = |case: &&Case<'_>| case.findings.iter().any(|finding| finding.difference.change() == Change::ExtraObject);
    let mut declared: BTreeMap<String, u32> = BTreeMap::new();
    for pair in cases.iter().filter(|case| !is_extra(case)).filter_map(|case| case.pair) {
        *declared.entry(pair.desired().id.namespace.clone().unwrap_or_default()).or_default() += 1;
    }
    declared
}

/// The guards as far as they are about what is decided: what else the ledger knows is no part of it.
fn about(guards: &Guards, objects: &[Considered], requests: &[Asked], classes: &BTreeMap<String, ClassTerms>) -> Guards {
    let weighed = || objects.iter().flat_map(|object| &object.findings);
    let ids: BTreeSet<&FindingId> = weighed().map(|finding| &finding.finding).collect();
    let places: BTreeSet<&Place> =
        weighed().map(|finding| &finding.place).chain(requests.iter().flat_map(Asked::places)).collect();
    let mut about = guards.clone();
    about.leases.retain(|lease| places.contains(&lease.place));
    about.held.retain(|place, _| places.contains(place));
    about.recent_writes.retain(|place, _| places.contains(place));
    about.class_writes.retain(|class, _| classes.contains_key(class));
    about.denied.retain(|finding| ids.contains(finding));
    about.inadmissible.retain(|finding, _| ids.contains(finding));
    about
}

impl Considered {
    fn of(case: Case<'_>, asking: &Asking<'_>) -> Self {
        let matched = match case.pair {
            Some(Pair::Matched(matched)) => Some(matched.as_ref()),
            Some(Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..)) | None => None,
        };
        let mut findings: Vec<Weighed> = case.findings.iter().map(|finding| Weighed::of(finding, matched, asking)).collect();
        findings.sort_by(|a, b| (a.path(), &a.finding).cmp(&(b.path(), &b.finding)));
        let mends: Vec<&[Segment]> = findings.iter().filter_map(Weighed::mend).map(|mend| mend.path.0.as_slice()).collect();
        Self {
            subject: case.findings[0].difference.subject.clone(),
            live: matched.map(|matched| LiveObject::compared(matched, &mends)),
            findings,
        }
    }

    fn order(&self) -> (&str, &str, &str, &str) {
        match &self.subject {
            Subject::Object(id) => (id.namespace.as_deref().unwrap_or_default(), &id.kind, id.group(), &id.name),
            Subject::Output(id) => ("", "", &id.state, &id.output),
        }
    }

    /// The namespace whose limits count it.
    pub(super) fn namespace(&self) -> &str {
        match &self.subject {
            Subject::Object(id) => id.namespace.as_deref().unwrap_or_default(),
            Subject::Output(_) => "",
        }
    }
}

impl LiveObject {
    /// Of an object that nothing is compared with.
    pub(super) fn of(live: &Live, patch: &Value) -> Self {
        Self {
            id: live.id.clone(),
            uid: live.uid.clone(),
            resource_version: live.resource_version.clone(),
            deleting_since: live.deleting_since.clone(),
            held: hold_annotation(live).map(str::to_owned),
            applied_by: apply_owner(live).map(str::to_owned),
            evidence: None,
            secrecy: secrecy(&live.id, [&live.value, patch]),
            value: Value::Null,
            expected: Value::Null,
        }
    }

    fn compared(matched: &Matched, mends: &[&[Segment]]) -> Self {
        let Matched { live, expected, .. } = matched;
        let part = |value: &Value| if mends.is_empty() { Value::Null } else { around(value, mends) };
        Self {
            evidence: Some(expected.evidence),
            secrecy: secrecy(&live.id, [&live.value, &expected.value]),
            value: part(&live.value),
            expected: masked(part(&expected.value)),
            ..Self::of(live, &Value::Null)
        }
    }
}

/// Whether an object holds secret values.
fn secrecy(id: &ObjectId, values: [&Value; 2]) -> Secrecy {
    if id.is_secret() || values.into_iter().any(secret::is_within) { Secrecy::Secret } else { Secrecy::Open }
}

/// What is expected beside what is to be written: it tells places and keys, and its secret values tell nothing.
fn masked(expected: Value) -> Value {
    if secret::is_within(&expected) {
        secret::shown(Secrecy::Open, &expected, &DigestKey::new(b"what decisions may see"))
    } else {
        expected
    }
}

fn hold_annotation(live: &Live) -> Option<&str> {
    live.value.get("metadata")?.get("annotations")?.get(HOLD_ANNOTATION)?.as_str()
}

/// Somebody else who applies this object server-side.
fn apply_owner(live: &Live) -> Option<&str> {
    let other = |owner: &&crate::facts::Owner| {
        owner.operation == Operation::Apply && owner.subresource.is_none() && owner.manager != "trueup"
    };
    live.owners.iter().find(other).map(|owner| owner.manager.as_str())
}
