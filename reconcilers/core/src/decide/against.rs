//! What stands against a correction: guards only move a finding towards people.

use super::budget::Budget;
use super::guards::Ground;
use super::inputs::{Considered, Inputs, LiveObject, Way, Weighed, What};
use super::{FIGHT_WRITES, HOLD_ANNOTATION, hints};
use crate::facts::Evidence;
use crate::finding::{Lane, Place};
use crate::object::ObjectId;
use crate::policy::Ownership;

/// What stands against a correction.
pub(super) enum Objection {
    None,
    Hold(String),
    To(Lane, String),
}

/// The first objection to correcting a value of a live object.
pub(super) fn objection(
    (finding, object, live): (&Weighed, &Considered, &LiveObject),
    inputs: &Inputs,
    budget: &Budget<'_>,
) -> Objection {
    let guards = &inputs.guards;
    if let Some(reason) = &finding.barred {
        return Objection::To(Lane::Review, reason.clone());
    }
    if finding.weakens {
        return Objection::To(Lane::Escalate, "what loosens security, or may, is for people".to_owned());
    }
    if let Some(reason) = held_object(&live.id, live, [&finding.place], inputs).or_else(|| held_place(finding, inputs)) {
        return Objection::Hold(reason);
    }
    if let Some(freeze) = &finding.frozen {
        return Objection::Hold(freeze.clone());
    }
    if guards.recent_writes.get(&finding.place).is_some_and(|writes| *writes >= FIGHT_WRITES) {
        let words = hints::fight(FIGHT_WRITES, finding.manager.as_deref(), finding.written.as_deref());
        return Objection::To(Lane::Escalate, words);
    }
    let may_take = inputs.class_of(finding).is_some_and(|(_, class)| match class.ownership {
        Ownership::Take | Ownership::HandBack => true,
        Ownership::Review => false,
    });
    if let (Some(owner), false) = (&live.applied_by, may_take) {
        return Objection::To(
            Lane::Review,
            format!("`{owner}` applies this object server-side: a correction would take its field"),
        );
    }
    if let (Ground::Cluster, Some(reason)) = (guards.ground, too_little(live.evidence)) {
        return Objection::Hold(reason.to_owned());
    }
    if let Some(message) = guards.inadmissible.get(&finding.finding) {
        return Objection::To(Lane::Review, format!("the server does not admit the correction: {message}"));
    }
    match &finding.what {
        // Of another policy than the one that was decided by: what a patch would be was not recorded.
        What::Field { way: Way::Mend(_) | Way::Unasked, .. } => {}
        What::Field { way: Way::None(reason) | Way::Secret(reason), .. } => return Objection::To(Lane::Review, reason.clone()),
        What::Object(_) | What::Expectation { .. } => {
            return Objection::To(Lane::Review, "nobody asks for a correction".to_owned());
        }
    }
    budget.objection(finding, object).map_or(Objection::None, Objection::Hold)
}

/// Why the evidence does not carry a write to a cluster.
fn too_little(evidence: Option<Evidence>) -> Option<&'static str> {
    match evidence {
        Some(Evidence::Baseline) => None,
        Some(Evidence::Apply) => {
            Some("judged by a dry run of applying it: nothing is corrected on less than the server's own answer to a create")
        }
        Some(Evidence::Table | Evidence::State | Evidence::Plan) | None => Some(
            "judged by the table: nothing is corrected on less than the server's own answer (why there is none, the problems say; \
                 the right to ask is in `manifests/baseline`)",
        ),
    }
}

/// What holds every write to an object.
pub(super) fn held_object<'a>(
    id: &ObjectId,
    live: &LiveObject,
    places: impl IntoIterator<Item = &'a Place>,
    inputs: &Inputs,
) -> Option<String> {
    let guards = &inputs.guards;
    if let Some(reason) = &guards.frozen {
        return Some(reason.clone());
    }
    if let Some(reason) = guards.held_by_people(Some(id), places, inputs.now) {
        return Some(reason);
    }
    if let Some(since) = &live.deleting_since {
        return Some(format!("the object is being deleted since {since}"));
    }
    if let Some(reason) = &live.held {
        return Some(format!("`{HOLD_ANNOTATION}` on the live object: {reason}"));
    }
    if guards.ground == Ground::Cluster && (live.uid.is_none() || live.resource_version.is_none()) {
        return Some("the object was read without uid or resourceVersion".to_owned());
    }
    None
}

/// Why nothing is written or proposed at a finding's place, whatever its object.
pub(super) fn held_place(finding: &Weighed, inputs: &Inputs) -> Option<String> {
    let held = inputs.guards.held.get(&finding.place)?;
    held.findings.contains(&finding.finding).then(|| held.reason.clone())
}
