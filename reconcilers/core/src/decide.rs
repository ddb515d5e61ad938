//! Step 6: what is done about each finding. The only place where an action comes into being.

mod against;
mod budget;
mod grounds;
mod guards;
mod hints;
mod inputs;
mod record;
mod request;

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::facts::Secrecy;
use crate::finding::{Change, FindingId, Lane, Place, Predicate, Stage, Subject};
use crate::object::{ObjectId, TargetName};
use crate::patch::{Mend, Repair, mend, values_under};
use crate::policy::Remedy;
use crate::tracking;

use against::{Objection, held_place, objection};
use budget::Budget;
use request::{Approval, Asked, approval};

pub use grounds::Grounds;
pub use guards::{Ground, Guards, Held, HeldPlace, Lease, Scope};
pub use inputs::{Case, ClassTerms, Considered, Inputs, LiveObject, Terms, Way, Weighed, What};
pub use record::{DecisionRecord, RecordError, Replayed};
pub use request::{Request, Restore, Undo};

/// The annotation that, on the live object, stops every write to it.
pub const HOLD_ANNOTATION: &str = "trueup.dev/hold";

/// After this many writes of ours to one path within the window, somebody keeps writing it back.
pub const FIGHT_WRITES: u32 = 3;

/// What is done about one finding, or with one object's findings.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// Nothing.
    Leave(Settled),
    /// One patch for all findings of an object that may be corrected.
    Correct(Box<Correction>),
    /// A pull request.
    Propose(Proposal),
    /// People are told.
    Escalate(Settled),
    /// Nothing now: a guard stands against it.
    Hold(Settled),
}

/// A finding for which nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Settled {
    /// Which.
    pub finding: FindingId,
    /// Where.
    pub place: Place,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// One object's patch. Only [`decide`] makes one, so each write has passed every guard.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Correction {
    /// The target.
    pub target: TargetName,
    /// The object.
    pub object: ObjectId,
    /// The very object that was judged; absent in a snapshot that has none.
    pub uid: Option<String>,
    /// The very version that was judged; absent in a snapshot that has none.
    pub resource_version: Option<String>,
    /// From live to right, without preconditions.
    pub patch: Value,
    /// From right back to live.
    pub inverse: Value,
    /// The live values on the patched paths before the write.
    pub pre_image: Value,
    /// What it corrects.
    pub corrected: Vec<(FindingId, Place)>,
    /// The paths, as people read them.
    pub paths: Vec<String>,
    /// The classes whose limits count it; none for an undo.
    pub classes: Vec<String>,
    /// Which corrections go before it, and which after it.
    pub batch: Batch,
    /// How long the drift may take to be gone, in seconds.
    pub window_seconds: u32,
    /// The run that this one undoes, if it does.
    pub undoes: Option<String>,
    /// Who approved it, where a person did.
    pub approved_by: Vec<String>,
    /// Whether the object holds secret values: then nobody's words about it are repeated.
    pub secrecy: Secrecy,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// A correction's place among the others of its round. Of each class the least risky one goes first and alone, through its
/// whole window; the others wait for that, and are not made if it did not hold.
///
/// Decisions stand in an order in which what goes first stands first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Batch {
    /// The classes whose first correction it is.
    pub first_of: Vec<String>,
    /// The classes whose first correction another one is.
    pub follows: Vec<String>,
}

/// One finding that goes to review. Only [`decide`] makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Proposal {
    /// Which finding.
    pub finding: FindingId,
    /// Where: names the branch.
    pub place: Place,
    /// What people are asked for.
    pub remedy: Remedy,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// Decides about every finding of one target. Nothing but the inputs counts: the same inputs give the same bytes. What people
/// ask for stands first, then corrections, then all else.
///
/// First what settles a finding (its lane and stage, a lease, a denial), then guards, which only move it towards people.
#[must_use]
pub fn decide(inputs: &Inputs) -> Vec<Decision> {
    let undos = inputs.requests.iter().filter_map(|request| match request {
        Asked::Undo(undo) => undo.decide(inputs),
        Asked::Restore(_) => None,
    });
    let mut settled: Vec<Decision> = Vec::new();
    let mut corrections: Vec<(u8, Correction)> = Vec::new();
    let mut budget = Budget::of(inputs);
    for object in &inputs.objects {
        let mut correctable: Vec<Correctable<'_>> = Vec::new();
        for finding in &object.findings {
            match course(finding, object, inputs, &budget) {
                Course::Correct(correct) => correctable.push(correct),
                Course::Settled(decision) => settled.push(decision),
            }
        }
        if let (Some(live), false) = (&object.live, correctable.is_empty()) {
            match correct(live, &correctable, inputs) {
                Ok(correction) => {
                    let classes = correctable.iter().filter_map(|one| one.finding.class.as_deref()).collect();
                    budget.spend(object, &classes);
                    corrections.push((correctable.iter().map(|one| one.finding.risk).max().unwrap_or(0), correction));
                }
                Err(held) => settled.extend(held),
            }
        }
    }
    undos.chain(in_batches(corrections)).chain(settled).collect()
}

/// Corrections in the order in which they are made: the least risky first, and of each class the first one alone.
fn in_batches(mut corrections: Vec<(u8, Correction)>) -> impl Iterator<Item = Decision> {
    corrections.sort_by_key(|(risk, _)| *risk);
    let mut begun: BTreeSet<String> = BTreeSet::new();
    corrections.into_iter().map(move |(_, mut correction)| {
        let (follows, first_of) = correction.classes.iter().cloned().partition(|class| begun.contains(class));
        begun.extend(correction.classes.iter().cloned());
        correction.batch = Batch { first_of, follows };
        Decision::Correct(Box::new(correction))
    })
}

/// Where a finding's way leads.
enum Course<'a> {
    Correct(Correctable<'a>),
    Settled(Decision),
}

/// A finding that nothing stands against.
struct Correctable<'a> {
    finding: &'a Weighed,
    mend: &'a Mend,
    approved_by: Option<&'a str>,
}

/// What another policy than the one that was decided by would make of a finding, where it cannot be told.
const UNASKED_CORRECTION: &str = "it would be corrected; what would be written was not recorded, as nobody asked for it";
const UNASKED_RESTORE: &str = "people would be asked to restore it if a patch can put Git's value back: whether one can was not \
                               recorded, as nobody asked for it";

fn course<'a>(finding: &'a Weighed, object: &'a Considered, inputs: &'a Inputs, budget: &Budget<'_>) -> Course<'a> {
    let given = approval(&inputs.requests, &finding.place, (&finding.digests.desired, &finding.digests.live), inputs.now);
    let void = match &given {
        Approval::Void(reason) => Some((*reason).to_owned()),
        Approval::Given(_) | Approval::None => None,
    };
    let approved_by = match &given {
        Approval::Given(restore) if matches!(finding.lane, Lane::Auto | Lane::Review) => Some(restore.by.as_str()),
        Approval::Given(_) | Approval::Void(_) | Approval::None => None,
    };
    let settle = |decision: fn(Settled) -> Decision, reason: String| {
        Course::Settled(decision(settled(finding, void.iter().cloned().chain([reason]))))
    };
    if let Some(reason) = left(finding, approved_by.is_some(), inputs) {
        return settle(Decision::Leave, reason);
    }
    let asks = finding.lane == Lane::Auto || approved_by.is_some();
    let said = inputs.class_of(finding).and_then(|(_, class)| class.review);
    let mut remedy = said.unwrap_or(Remedy::of(finding.lane));
    let (lane, reason) = match (&finding.what, &object.live) {
        (What::Field { .. }, Some(live)) if asks || (finding.lane == Lane::Review && remedy == Remedy::Restore) => {
            match (objection((finding, object, live), inputs, budget), finding.mend()) {
                (Objection::None | Objection::Hold(_), Some(_)) if !asks => (finding.lane, format!("lane {}", finding.lane)),
                (Objection::None | Objection::Hold(_), None) if !asks && finding.is_unasked() => {
                    return settle(Decision::Hold, UNASKED_RESTORE.to_owned());
                }
                (Objection::None | Objection::Hold(_), None) if !asks => {
                    (Lane::Escalate, "Git's value cannot be put back by a patch".to_owned())
                }
                (Objection::To(_, reason), _) if !asks => {
                    (Lane::Escalate, format!("Git's value cannot be put back by an approval: {reason}"))
                }
                (Objection::None, Some(mend)) if finding.stage == Stage::Auto || approved_by.is_some() => {
                    return Course::Correct(Correctable { finding, mend, approved_by });
                }
                // Of another policy than the one that was decided by.
                (Objection::None, None) if finding.stage == Stage::Auto && finding.is_unasked() => {
                    return settle(Decision::Hold, UNASKED_CORRECTION.to_owned());
                }
                (Objection::None, _) => (Lane::Review, "its stage is `recommend`: proposed, not corrected".to_owned()),
                (Objection::Hold(reason), _) => return settle(Decision::Hold, reason),
                // People want Git's value back: to propose the live one would be to ask them again.
                (Objection::To(Lane::Review, reason), _) if approved_by.is_some() => return settle(Decision::Hold, reason),
                // What stands against a correction stands against one that is approved.
                (Objection::To(Lane::Review, reason), _) if said == Some(Remedy::Restore) => (Lane::Escalate, reason),
                (Objection::To(lane, reason), _) => {
                    remedy = Remedy::Adopt;
                    (lane, reason)
                }
            }
        }
        (What::Expectation { .. }, _) if said == Some(Remedy::Restore) && finding.lane < Lane::Escalate => {
            (Lane::Escalate, "infrastructure is put right by its own tools: trueup never writes it".to_owned())
        }
        (What::Expectation { .. }, _) if asks => {
            remedy = Remedy::Adopt;
            (Lane::Review, "only a value inside a live object is corrected".to_owned())
        }
        _ if asks => (Lane::Review, "only a value inside a live object is corrected".to_owned()),
        _ => (finding.lane, format!("lane {}", finding.lane)),
    };
    let settled = settled(finding, void.into_iter().chain([reason]));
    Course::Settled(towards_people((finding, remedy), &object.subject, lane, settled, inputs))
}

/// What settles a finding before any guard. An approval stands above the stage, and above nothing else.
fn left(finding: &Weighed, approved: bool, inputs: &Inputs) -> Option<String> {
    let lease = leased(finding, inputs);
    match (finding.lane, finding.stage) {
        (Lane::Ignore, _) => Some("ignored".to_owned()),
        (Lane::Watch, _) => Some("watched: reported only".to_owned()),
        _ if lease.is_some() => lease,
        _ if inputs.guards.denied.contains(&finding.finding) => {
            Some("denied by people: left as it is until live or Git moves".to_owned())
        }
        (lane, Stage::Observe) if !approved => {
            Some(format!("stage observe: reported only; at a later stage it would go to {lane}"))
        }
        (Lane::Auto | Lane::Review | Lane::Escalate, Stage::Observe | Stage::Recommend | Stage::Auto) => None,
    }
}

/// The lease under which the live value may stay now. What loosens security, or may, stays under none.
fn leased(finding: &Weighed, inputs: &Inputs) -> Option<String> {
    if finding.weakens {
        return None;
    }
    let is_for_it = |lease: &&Lease| lease.is_for(&finding.place, &finding.digests.live, inputs.now);
    let lease = inputs.guards.leases.iter().filter(is_for_it).max_by_key(|lease| lease.until)?;
    Some(format!("leased until {:.0}: {}", lease.until, lease.because))
}

/// Review or escalation, or the reason why there can be none.
fn towards_people(
    (finding, remedy): (&Weighed, Remedy),
    subject: &Subject,
    lane: Lane,
    settled: Settled,
    inputs: &Inputs,
) -> Decision {
    let mut settled = settled;
    match &finding.what {
        What::Field { way: Way::None(obstacle), .. } if lane == Lane::Escalate => {
            settled.reasons.push(obstacle.clone());
            Decision::Escalate(settled)
        }
        _ if lane == Lane::Escalate => Decision::Escalate(settled),
        What::Field { way: Way::Secret(reason), .. } => because(settled, reason),
        What::Expectation { masked: true, .. } => because(settled, "secret values are never proposed"),
        What::Object(change) => because(settled, &hints::of_object(*change, subject, &finding.origin)),
        What::Field { change: Change::Leftover, .. } if remedy == Remedy::Adopt => because(
            settled,
            "Git took it out, so it is not proposed for Git: take it out of live, or let a class with lane auto and `change = \"leftover\"`",
        ),
        What::Field { path, .. } if *path == tracking::path() => because(
            settled,
            "Git says nothing of managers: find out who stripped them; the next server-side apply makes new ones",
        ),
        What::Field { .. } if finding.kept.is_some() => because(settled, finding.kept.as_deref().unwrap_or_default()),
        What::Expectation { predicate, .. } if !matches!(predicate, Predicate::Equals | Predicate::Bound) => {
            Decision::Escalate(settled)
        }
        What::Field { .. } if finding.weakens => {
            settled.reasons.push("what loosens security, or may, is never proposed for Git: left to people".to_owned());
            Decision::Escalate(settled)
        }
        What::Field { .. } | What::Expectation { .. } => propose((finding, remedy), subject, settled, inputs),
    }
}

fn propose((finding, remedy): (&Weighed, Remedy), subject: &Subject, settled: Settled, inputs: &Inputs) -> Decision {
    let id = match subject {
        Subject::Object(id) => Some(id),
        Subject::Output(_) => None,
    };
    match held_place(finding, inputs).or_else(|| inputs.guards.held_by_people(id, [&finding.place], inputs.now)) {
        Some(hold) => Decision::Hold(Settled { reasons: vec![hold], ..settled }),
        None => Decision::Propose(Proposal { finding: settled.finding, place: settled.place, remedy, reasons: settled.reasons }),
    }
}

fn because(mut settled: Settled, reason: &str) -> Decision {
    settled.reasons.push(reason.to_owned());
    Decision::Leave(settled)
}

/// One patch for all of an object's correctable drifts; where they cannot go together, each waits for people.
fn correct(live: &LiveObject, correctable: &[Correctable<'_>], inputs: &Inputs) -> Result<Correction, Vec<Decision>> {
    let mends: Vec<Mend> = correctable.iter().map(|one| one.mend.clone()).collect();
    let Repair { patch, inverse } = mend(&live.id, &live.value, &live.expected, &mends).map_err(|error| {
        let hold = |one: &Correctable<'_>| Decision::Hold(settled(one.finding, [error.to_string()]));
        correctable.iter().map(hold).collect::<Vec<_>>()
    })?;
    let classes = correctable.iter().filter_map(|one| inputs.class_of(one.finding));
    let names: BTreeSet<String> = classes.clone().map(|(name, _)| name.clone()).collect();
    let approvers: BTreeSet<&str> = correctable.iter().filter_map(|one| one.approved_by).collect();
    let approved = approvers.iter().map(|by| format!("approved: {by}"));
    let reasons = correctable.iter().flat_map(|one| one.finding.reasons.iter().cloned()).chain(approved).collect();
    Ok(Correction {
        target: inputs.target.clone(),
        object: live.id.clone(),
        uid: live.uid.clone(),
        resource_version: live.resource_version.clone(),
        pre_image: values_under(&live.value, &patch),
        patch,
        inverse,
        corrected: correctable.iter().map(|one| (one.finding.finding.clone(), one.finding.place.clone())).collect(),
        paths: mends.iter().map(|mend| mend.path.to_string()).collect(),
        classes: names.into_iter().collect(),
        batch: Batch::default(),
        window_seconds: classes.map(|(_, class)| class.window_seconds).max().unwrap_or(10),
        undoes: None,
        approved_by: approvers.into_iter().map(str::to_owned).collect(),
        secrecy: live.secrecy,
        reasons,
    })
}

fn settled(finding: &Weighed, more: impl IntoIterator<Item = String>) -> Settled {
    let reasons = finding.reasons.iter().cloned().chain(more).collect();
    Settled { finding: finding.finding.clone(), place: finding.place.clone(), reasons }
}
