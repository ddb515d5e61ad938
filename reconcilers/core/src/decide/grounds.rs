//! What a policy asks of a finding beside its values, so that what was recorded can be judged by another policy.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::inputs::{ClassTerms, Considered, Inputs, Weighed, What};
use crate::classify::judged;
use crate::direction::Direction;
use crate::finding::{
    Cause, Difference, Divergence, Drift, Expectation, Finding, History, Inside, Standing, Subject, Surroundings,
};
use crate::object::TargetName;
use crate::policy::{Facts, Freeze, Policy};
use crate::security::Category;
use crate::seen::{Mask, Seen};

/// What conditions of a policy ask of a finding, but for conditions in CEL: those see whole objects, which are not kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grounds {
    /// Where it is, as a JSON pointer; `""` for whole objects and outputs.
    pub pointer: String,
    /// The desired object's labels.
    pub labels: BTreeMap<String, String>,
    /// All field managers that own something of the live value.
    pub owners: BTreeSet<String>,
    /// What it concerns.
    pub category: Option<Category>,
    /// Whether it loosens or tightens.
    pub direction: Direction,
    /// What the target is for.
    pub environment: Option<String>,
    /// How important it is.
    pub tier: Option<u8>,
    /// Whether an annotation in Git names the path.
    pub ignored_in_git: bool,
    /// What ignore rules name inside the values.
    pub inside: Inside,
    /// Whether a secret value takes part.
    pub masked: bool,
    /// Where it was declared before, or by whom.
    pub formerly: Option<String>,
    /// What happened there before.
    #[serde(default, skip_serializing_if = "History::is_empty")]
    pub history: History,
}

impl Grounds {
    pub(super) fn of(finding: &Finding) -> Self {
        let difference = &finding.difference;
        let (facts, surroundings) = (Facts::of(difference), &difference.surroundings);
        let pointer = match &difference.divergence {
            Divergence::Field(drift) => drift.pointer.clone(),
            Divergence::Object(_) | Divergence::Expectation(_) => String::new(),
        };
        Self {
            pointer,
            labels: difference.labels.clone(),
            owners: surroundings.owners.clone(),
            category: facts.category(),
            direction: facts.direction(),
            environment: surroundings.standing.environment.clone(),
            tier: surroundings.standing.tier,
            ignored_in_git: difference.ignored_in_git,
            inside: surroundings.inside.clone(),
            masked: difference.is_masked(),
            formerly: difference.cause.formerly.clone(),
            history: surroundings.history,
        }
    }

    /// The difference again, without its values.
    fn difference(&self, weighed: &Weighed, subject: &Subject, target: &TargetName) -> Difference {
        let seen = || self.masked.then(|| Seen::Masked(Mask::of_parts(Value::Null)));
        let divergence = match &weighed.what {
            What::Field { path, change, .. } => Divergence::Field(Drift {
                path: path.clone(),
                pointer: self.pointer.clone(),
                change: *change,
                desired: None,
                live: seen(),
            }),
            What::Object(change) => Divergence::Object(*change),
            What::Expectation { predicate, .. } => {
                Divergence::Expectation(Expectation { predicate: *predicate, desired: None, live: seen() })
            }
        };
        Difference {
            target: target.clone(),
            subject: subject.clone(),
            divergence,
            cause: Cause { manager: weighed.manager.clone(), formerly: self.formerly.clone(), ..Cause::default() },
            evidence: None,
            origin: weighed.origin.clone(),
            labels: self.labels.clone(),
            ignored_in_git: self.ignored_in_git,
            surroundings: Surroundings {
                owners: self.owners.clone(),
                inside: self.inside.clone(),
                standing: Standing { environment: self.environment.clone(), tier: self.tier },
                history: self.history,
                ..Surroundings::default()
            },
        }
    }
}

impl Inputs {
    /// The same at the same time, judged by another policy. Its conditions in CEL cannot be evaluated, and count as strict; what
    /// a correction would write is known only where one was asked for.
    #[must_use]
    pub fn under(&self, policy: &Policy) -> Self {
        let freezes: Vec<_> = policy.freezes.iter().filter_map(|freeze| Some((freeze, freeze.ends(self.now)?))).collect();
        let of_object = |object: &Considered| {
            let judged = |weighed: &Weighed| weighed.under(&object.subject, &self.target, policy, &freezes);
            Considered { findings: object.findings.iter().map(judged).collect(), ..object.clone() }
        };
        let objects: Vec<Considered> = self.objects.iter().map(of_object).collect();
        let classes = ClassTerms::of(policy, &objects);
        Self {
            policy: policy.digest.clone(),
            classes,
            limits: policy.limits,
            freezes: freezes.iter().map(|(freeze, until)| freeze.reason(*until)).collect(),
            objects,
            ..self.clone()
        }
    }
}

impl Weighed {
    fn under(&self, subject: &Subject, target: &TargetName, policy: &Policy, freezes: &[(&Freeze, jiff::Timestamp)]) -> Self {
        let difference = self.grounds.difference(self, subject, target);
        let facts = Facts::recorded(&difference, self.grounds.category, self.grounds.direction);
        let judged = judged(&facts, policy);
        let frozen = freezes.iter().find_map(|(freeze, until)| freeze.is_for(&facts).then(|| freeze.reason(*until)));
        Self {
            class: judged.class,
            lane: judged.lane,
            stage: judged.stage,
            reasons: judged.reasons,
            barred: judged.barred,
            frozen,
            ..self.clone()
        }
    }
}
