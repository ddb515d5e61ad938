//! What comparing an object showed becomes differences: each with who wrote it, where Git says otherwise, and what is around it.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use crate::facts::{Former, Live, Matched, Owner, Pair, Secrecy};
use crate::finding::{Cause, Change, Confidence, Difference, Divergence, Drift, Inside, ObjectChange, Subject, Surroundings};
use crate::ignore::ignored_paths;
use crate::leftover::Traces;
use crate::object::TargetName;
use crate::path::{Path, Places};
use crate::pattern::PathPattern;
use crate::seen::DigestKey;

/// The differences of a declared object: it is missing, or these drifts are in it.
#[must_use]
pub fn differences(target: &TargetName, pair: &Pair, drifts: Vec<Drift>) -> Vec<Difference> {
    match pair {
        Pair::Missing(desired) => vec![Difference {
            target: target.clone(),
            subject: Subject::Object(desired.id.clone()),
            divergence: Divergence::Object(ObjectChange::Missing),
            cause: Cause::default(),
            evidence: None,
            origin: desired.origin.clone(),
            labels: labels(&desired.value),
            ignored_in_git: false,
            surroundings: Surroundings { desired: Some(Arc::new(desired.value.clone())), ..Surroundings::default() },
        }],
        Pair::Matched(matched) => {
            if drifts.is_empty() {
                return Vec::new();
            }
            let ignored = ignored_paths(&matched.desired.value);
            let around = Around {
                target,
                matched,
                declared: Places::of(&matched.desired.value),
                traces: OnceCell::new(),
                ignored: &ignored,
                desired: shown(matched, &matched.desired.value),
                live: shown(matched, &matched.live.value),
            };
            drifts.into_iter().map(|drift| around.difference(drift)).collect()
        }
        Pair::Unseen(..) | Pair::Skipped(..) => Vec::new(),
    }
}

/// The difference that an object is: Git declared it once, no longer does, and it is still there.
#[must_use]
pub fn extra(target: &TargetName, former: &Former, live: &Live) -> Difference {
    let Former { desired, until } = former;
    let last = live.owners.iter().max_by(|a, b| a.time.cmp(&b.time));
    let formerly = Some(format!("Git declared it at {} until {until}", desired.origin));
    Difference {
        target: target.clone(),
        subject: Subject::Object(live.id.clone()),
        divergence: Divergence::Object(ObjectChange::Extra),
        cause: Cause { formerly, ..last.map_or_else(Cause::default, written_by) },
        evidence: None,
        origin: desired.origin.clone(),
        labels: labels(&desired.value),
        ignored_in_git: false,
        surroundings: Surroundings::default(),
    }
}

/// What all differences of one object share.
struct Around<'a> {
    target: &'a TargetName,
    matched: &'a Matched,
    declared: Places<'a>,
    /// Read at the first value that Git declared once.
    traces: OnceCell<Traces<'a>>,
    ignored: &'a [PathPattern],
    desired: Arc<Value>,
    live: Arc<Value>,
}

impl Around<'_> {
    fn difference(&self, drift: Drift) -> Difference {
        let matched = self.matched;
        Difference {
            target: self.target.clone(),
            subject: Subject::Object(matched.desired.id.clone()),
            cause: self.cause(&drift),
            evidence: Some(matched.expected.evidence),
            origin: matched.desired.origin_among(&self.declared, &drift.path),
            labels: labels(&matched.desired.value),
            ignored_in_git: self.ignored.iter().any(|pattern| pattern.covers_at(&drift.path, &drift.pointer)),
            surroundings: Surroundings {
                desired: Some(Arc::clone(&self.desired)),
                live: Some(Arc::clone(&self.live)),
                owners: matched.live.owners_of(&drift.path),
                inside: Inside::Nothing,
                ..Surroundings::default()
            },
            divergence: Divergence::Field(drift),
        }
    }

    /// Who wrote a path. What was removed is owned by nobody, so nothing tells who removed it.
    fn cause(&self, drift: &Drift) -> Cause {
        let formerly = match drift.change {
            Change::Leftover => self.traces.get_or_init(|| Traces::of(self.matched)).declared_once(&drift.path),
            Change::Changed | Change::Removed | Change::Undeclared | Change::MissingObject | Change::ExtraObject => None,
        };
        let written = match drift.change {
            Change::Removed | Change::MissingObject => Cause::default(),
            Change::Changed | Change::Undeclared | Change::Leftover | Change::ExtraObject => {
                cause_at(&self.matched.live, &drift.path)
            }
        };
        Cause { formerly, ..written }
    }
}

/// An object as conditions of policy may see it: of a secret one, what it is called and labelled.
fn shown(matched: &Matched, value: &Value) -> Arc<Value> {
    let at = |pointer: &str| value.pointer(pointer).cloned().unwrap_or_default();
    Arc::new(match matched.secrecy {
        // Values that are secret by their names are masked; conditions tell nobody what they see, so any key will do.
        Secrecy::Open => crate::secret::shown(matched.secrecy, value, &DigestKey::new(b"what conditions may see")),
        Secrecy::Secret => json!({
            "apiVersion": at("/apiVersion"),
            "kind": at("/kind"),
            "metadata": {"name": at("/metadata/name"), "namespace": at("/metadata/namespace"), "labels": at("/metadata/labels")},
        }),
    })
}

/// Who wrote the value at a path last, by managedFields.
#[must_use]
pub fn cause_at(live: &Live, path: &Path) -> Cause {
    live.writer_of(path).map_or_else(Cause::default, written_by)
}

fn written_by(owner: &Owner) -> Cause {
    Cause {
        manager: Some(owner.manager.clone()),
        operation: Some(owner.operation),
        subresource: owner.subresource.clone(),
        time: owner.time.clone(),
        confidence: Confidence::Reported,
        formerly: None,
    }
}

fn labels(value: &Value) -> BTreeMap<String, String> {
    let labels = value.pointer("/metadata/labels").and_then(Value::as_object);
    let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    labels.map(|labels| labels.iter().filter_map(text).collect()).unwrap_or_default()
}
