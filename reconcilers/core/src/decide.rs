//! Step 6: what is done about each finding. The only place where an action comes into being.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::facts::{Evidence, Live, Matched, Operation, Pair, Secrecy};
use crate::finding::{
    Change, Difference, Divergence, Drift, Finding, FindingId, Lane, ObjectChange, Place, Predicate, Stage, Subject,
};
use crate::object::{ObjectId, TargetName};
use crate::patch::{Repair, Unpatchable, changes_nothing, repair, values_under};
use crate::policy::{Class, Ownership, Policy};
use crate::secret;
use crate::tracking;

/// The annotation that, on the live object, stops every write to it.
pub const HOLD_ANNOTATION: &str = "trueup.dev/hold";

/// After this many writes of ours to one path within the window, somebody keeps writing it back.
pub const FIGHT_WRITES: u32 = 3;

/// One declared object (or one output) with its findings.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// What was compared; absent for outputs.
    pub pair: Option<&'a Pair>,
    /// What came of it.
    pub findings: &'a [Finding],
}

/// What a person asks for.
#[derive(Debug, Clone)]
pub enum Request {
    /// Put back what a run changed.
    Undo(Box<Undo>),
}

/// An undo: a run's effect, and the object as it is now.
#[derive(Debug, Clone)]
pub struct Undo {
    /// The target.
    pub target: TargetName,
    /// The run to undo.
    pub run: String,
    /// The object as it is now.
    pub live: Live,
    /// The uid that the run wrote to; absent in a snapshot.
    pub uid: Option<String>,
    /// What the run wrote.
    pub patch: Value,
    /// What takes it back.
    pub inverse: Value,
    /// The finding and the place of each path that the run corrected.
    pub corrected: Vec<(FindingId, Place)>,
    /// Those paths, as people read them.
    pub paths: Vec<String>,
}

/// Where a target's objects live, and so what a write needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A cluster: the object's own baseline, its uid and its resourceVersion.
    Cluster,
    /// Files: the table is all there is, preconditions are kept where the files carry them.
    Snapshot,
    /// A Terraform state: nothing is written.
    State,
}

/// What stands against acting, besides policy.
#[derive(Debug, Clone)]
pub struct Guards {
    /// Where the objects live.
    pub ground: Ground,
    /// Why nothing may be written to this target now, if so.
    pub frozen: Option<String>,
    /// Places that a person's undo holds, and why.
    pub held: BTreeMap<Place, HeldPlace>,
    /// Our writes to each place within the fight window.
    pub recent_writes: BTreeMap<Place, u32>,
    /// Our writes by each class within the last hour.
    pub class_writes: BTreeMap<String, u32>,
    /// Findings whose proposal a person closed unmerged.
    pub denied: BTreeSet<FindingId>,
    /// Findings whose correction the server did not admit, with its words.
    pub inadmissible: BTreeMap<FindingId, String>,
}

impl Guards {
    /// Guards that stop nothing.
    #[must_use]
    pub fn none(ground: Ground) -> Self {
        Self {
            ground,
            frozen: None,
            held: BTreeMap::new(),
            recent_writes: BTreeMap::new(),
            class_writes: BTreeMap::new(),
            denied: BTreeSet::new(),
            inadmissible: BTreeMap::new(),
        }
    }
}

/// A place where nothing is written for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldPlace {
    /// Why.
    pub reason: String,
    /// The findings that are held: with other values there, Git or a person has changed it, and the hold is over.
    pub findings: BTreeSet<FindingId>,
}

/// What is done about one finding, or with one object's findings.
#[derive(Debug, Clone, PartialEq)]
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
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// Which.
    pub finding: FindingId,
    /// Where.
    pub place: Place,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// One object's patch. Only [`decide`] makes one, so each write has passed every guard.
#[derive(Debug, Clone, PartialEq)]
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
    /// How long the drift may take to be gone, in seconds.
    pub window_seconds: u32,
    /// The run that this one undoes, if it does.
    pub undoes: Option<String>,
    /// Whether the object holds secret values: then nobody's words about it are repeated.
    pub secrecy: Secrecy,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// One finding that goes to review. Only [`decide`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proposal {
    /// Which finding.
    pub finding: FindingId,
    /// Where: names the branch.
    pub place: Place,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// Decides about every finding of one target. The same input gives the same decisions, in the order of the cases.
///
/// First what settles a finding (its lane and stage, a denial), then guards, which only move it towards people.
#[must_use]
pub fn decide(cases: &[Case<'_>], requests: &[Request], guards: &Guards, policy: &Policy) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = requests.iter().filter_map(|Request::Undo(undo)| decide_undo(undo, guards)).collect();
    let mut class_writes = guards.class_writes.clone();
    for case in cases {
        let mut correctable: Vec<(&Finding, &Drift)> = Vec::new();
        for finding in case.findings {
            match course(finding, case.pair, guards, policy, &class_writes) {
                Course::Correct(drift) => correctable.push((finding, drift)),
                Course::Settled(decision) => decisions.push(decision),
            }
        }
        if let (Some(Pair::Matched(matched)), false) = (case.pair, correctable.is_empty()) {
            decisions.extend(correct(matched, &correctable, policy, &mut class_writes));
        }
    }
    decisions
}

/// Where a finding's way leads.
enum Course<'a> {
    Correct(&'a Drift),
    Settled(Decision),
}

fn course<'a>(
    finding: &'a Finding,
    pair: Option<&Pair>,
    guards: &Guards,
    policy: &Policy,
    class_writes: &BTreeMap<String, u32>,
) -> Course<'a> {
    if let Some(reason) = left(finding, guards) {
        return Course::Settled(Decision::Leave(settled(finding, reason)));
    }
    let (lane, reason) = match (finding.lane, &finding.difference.divergence, pair) {
        (Lane::Auto, Divergence::Field(drift), Some(Pair::Matched(matched))) => {
            match against_correcting(finding, drift, matched, guards, class_of(finding, policy), class_writes) {
                Objection::None if finding.stage == Stage::Auto => return Course::Correct(drift),
                Objection::None => (Lane::Review, "its stage is `recommend`: proposed, not corrected".to_owned()),
                Objection::Hold(reason) => return Course::Settled(Decision::Hold(settled(finding, reason))),
                Objection::To(lane, reason) => (lane, reason),
            }
        }
        (Lane::Auto, _, _) => (Lane::Review, "only a value inside a live object is corrected".to_owned()),
        (lane, _, _) => (lane, format!("lane {lane}")),
    };
    Course::Settled(towards_people(finding, lane, reason, guards))
}

/// What settles a finding before any guard.
fn left(finding: &Finding, guards: &Guards) -> Option<String> {
    match (finding.lane, finding.stage) {
        (Lane::Ignore, _) => Some("ignored".to_owned()),
        (Lane::Watch, _) => Some("watched: reported only".to_owned()),
        _ if guards.denied.contains(&finding.id) => {
            Some("its proposal was closed unmerged: left as it is until live or Git moves".to_owned())
        }
        (lane, Stage::Observe) => Some(format!("stage observe: reported only; at a later stage it would go to {lane}")),
        (Lane::Auto | Lane::Review | Lane::Escalate, Stage::Recommend | Stage::Auto) => None,
    }
}

/// What stands against a correction.
enum Objection {
    None,
    Hold(String),
    To(Lane, String),
}

fn against_correcting(
    finding: &Finding,
    drift: &Drift,
    matched: &Matched,
    guards: &Guards,
    class: Option<&Class>,
    class_writes: &BTreeMap<String, u32>,
) -> Objection {
    if let Some(reason) = held(finding, &matched.live, guards) {
        return Objection::Hold(reason);
    }
    if guards.recent_writes.get(&finding.place).is_some_and(|writes| *writes >= FIGHT_WRITES) {
        return Objection::To(Lane::Escalate, fight(&finding.difference));
    }
    if let Some(owner) = apply_owner(&matched.live)
        && class.is_none_or(|class| class.ownership == Ownership::Review)
    {
        return Objection::To(
            Lane::Review,
            format!("`{owner}` applies this object server-side: a correction would take its field"),
        );
    }
    if guards.ground == Ground::Cluster && matched.expected.evidence > Evidence::Baseline {
        let reason = if matched.expected.evidence == Evidence::Apply {
            "judged by a dry run of applying it: nothing is corrected on less than the server's own answer to a create"
        } else {
            "judged by the table: nothing is corrected on less than the server's own answer (overlay `manifests/baseline`)"
        };
        return Objection::Hold(reason.to_owned());
    }
    if let Some(message) = guards.inadmissible.get(&finding.id) {
        return Objection::To(Lane::Review, format!("the server does not admit the correction: {message}"));
    }
    match repair(&matched.live, &matched.expected.value, &[drift]) {
        Err(error) => return Objection::To(Lane::Review, in_full(&error, finding)),
        // The ledger keeps both, for good.
        Ok(Repair { patch, inverse }) if secret::is_within(&patch) || secret::is_within(&inverse) => {
            return Objection::To(Lane::Review, "its patch would carry a secret value".to_owned());
        }
        Ok(_) => {}
    }
    match class.and_then(|class| Some((&class.name, class.writes_per_hour?))) {
        Some((name, limit)) if class_writes.get(name).copied().unwrap_or_default() >= limit => {
            Objection::Hold(format!("class {name} has made its {limit} writes of this hour"))
        }
        _ => Objection::None,
    }
}

/// Why a repair cannot be made; where only recreating helps, how a person does that and what it costs.
fn in_full(error: &Unpatchable, finding: &Finding) -> String {
    let (Unpatchable::Immutable(_), Subject::Object(id)) = (error, &finding.difference.subject) else { return error.to_string() };
    let file = &finding.difference.origin.file;
    format!(
        "{error}. trueup recreates nothing: `kubectl replace --force -f {file}` would, and then {}",
        cost_of_recreating(&id.kind)
    )
}

/// What stops or is lost while an object is deleted and made anew.
fn cost_of_recreating(kind: &str) -> &'static str {
    match kind {
        "Deployment" | "DaemonSet" | "StatefulSet" | "ReplicaSet" | "Job" | "Pod" => "all its pods end and are started anew",
        "Service" => "its cluster address changes and its connections break",
        "PersistentVolumeClaim" => "the data of its volume may be deleted with it",
        "CustomResourceDefinition" => "all its custom resources are deleted with it",
        "RoleBinding" | "ClusterRoleBinding" => "its subjects are without these rights until it is there again",
        "StorageClass" | "VolumeAttributesClass" => {
            "claims that name it wait until it is there again; volumes that it made stay as they are"
        }
        "PriorityClass" | "RuntimeClass" | "IngressClass" => "what names it is refused or unserved until it is there again",
        "ConfigMap" | "Secret" => {
            "pods that start meanwhile wait for it, and running ones keep its old values until they restart"
        }
        _ => "it is gone until it is there again",
    }
}

/// What holds every write to an object or a place.
fn held(finding: &Finding, live: &Live, guards: &Guards) -> Option<String> {
    held_object(live, guards).or_else(|| held_place(finding, guards))
}

/// What holds every write to an object.
fn held_object(live: &Live, guards: &Guards) -> Option<String> {
    if let Some(reason) = &guards.frozen {
        return Some(reason.clone());
    }
    if let Some(since) = &live.deleting_since {
        return Some(format!("the object is being deleted since {since}"));
    }
    if let Some(reason) = hold_annotation(live) {
        return Some(format!("`{HOLD_ANNOTATION}` on the live object: {reason}"));
    }
    if guards.ground == Ground::Cluster && (live.uid.is_none() || live.resource_version.is_none()) {
        return Some("the object was read without uid or resourceVersion".to_owned());
    }
    None
}

/// Why nothing is written at a finding's place, whatever its object.
fn held_place(finding: &Finding, guards: &Guards) -> Option<String> {
    let held = guards.held.get(&finding.place)?;
    held.findings.contains(&finding.id).then(|| held.reason.clone())
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

fn fight(difference: &Difference) -> String {
    let opponent = difference.cause.manager.as_deref().unwrap_or("something unknown");
    let time = difference.cause.time.as_deref().unwrap_or("unknown");
    format!(
        "written {FIGHT_WRITES} times within the window and written back each time, last by {opponent} at {time}: left to people"
    )
}

/// Review or escalation, or the reason why there can be none.
fn towards_people(finding: &Finding, lane: Lane, reason: String, guards: &Guards) -> Decision {
    let settled = settled(finding, reason);
    match (lane, &finding.difference.divergence) {
        (Lane::Escalate, _) => Decision::Escalate(settled),
        _ if finding.difference.is_masked() => because(settled, "secret values are never proposed"),
        (_, Divergence::Field(_)) if is_of_secret(finding) => because(settled, "values of Secrets are never proposed"),
        (_, Divergence::Object(change)) => because(settled, &hint(*change, &finding.difference)),
        (_, Divergence::Field(Drift { change: Change::Leftover, .. })) => because(
            settled,
            "Git took it out, so it is not proposed for Git: take it out of live, or let a class with lane auto and `change = \"leftover\"`",
        ),
        (_, Divergence::Field(drift)) if drift.path == tracking::path() => because(
            settled,
            "Git says nothing of managers: find out who stripped them; the next server-side apply makes new ones",
        ),
        (_, Divergence::Expectation(expectation)) if expectation.predicate != Predicate::Equals => Decision::Escalate(settled),
        (_, Divergence::Field(_) | Divergence::Expectation(_)) => match held_place(finding, guards) {
            Some(hold) => Decision::Hold(Settled { reasons: vec![hold], ..settled }),
            None => Decision::Propose(Proposal { finding: settled.finding, place: settled.place, reasons: settled.reasons }),
        },
    }
}

fn is_of_secret(finding: &Finding) -> bool {
    matches!(&finding.difference.subject, Subject::Object(id) if id.is_secret())
}

/// Whether an object holds secret values.
fn secrecy(id: &ObjectId, values: [&Value; 2]) -> Secrecy {
    if id.is_secret() || values.into_iter().any(secret::is_within) { Secrecy::Secret } else { Secrecy::Open }
}

/// What a person can do about a whole object.
fn hint(change: ObjectChange, difference: &Difference) -> String {
    match (change, &difference.subject) {
        (ObjectChange::Extra, Subject::Object(id)) => {
            let namespace = id.namespace.as_ref().map_or_else(String::new, |namespace| format!(" -n {namespace}"));
            let (kind, name) = (&id.kind, &id.name);
            format!("trueup deletes nothing: `kubectl delete {kind}{namespace} {name}`, or put it back into Git")
        }
        (ObjectChange::Extra | ObjectChange::Missing, _) => {
            format!("trueup creates and deletes nothing: `kubectl apply -f {}`", difference.origin.file)
        }
    }
}

fn because(mut settled: Settled, reason: &str) -> Decision {
    settled.reasons.push(reason.to_owned());
    Decision::Leave(settled)
}

/// One patch for all of an object's correctable drifts; where they cannot go together, each waits for people.
fn correct(
    matched: &Matched,
    correctable: &[(&Finding, &Drift)],
    policy: &Policy,
    class_writes: &mut BTreeMap<String, u32>,
) -> Vec<Decision> {
    let drifts: Vec<&Drift> = correctable.iter().map(|(_, drift)| *drift).collect();
    let Repair { patch, inverse } = match repair(&matched.live, &matched.expected.value, &drifts) {
        Ok(repair) => repair,
        Err(error) => {
            let hold = |(finding, _): &(&Finding, &Drift)| Decision::Hold(settled(finding, error.to_string()));
            return correctable.iter().map(hold).collect();
        }
    };
    let classes: Vec<&Class> = correctable.iter().filter_map(|(finding, _)| class_of(finding, policy)).collect();
    // One write, and one of each class that takes part.
    let names: BTreeSet<String> = classes.iter().map(|class| class.name.clone()).collect();
    for name in &names {
        *class_writes.entry(name.clone()).or_default() += 1;
    }
    vec![Decision::Correct(Box::new(Correction {
        target: correctable[0].0.difference.target.clone(),
        object: matched.live.id.clone(),
        uid: matched.live.uid.clone(),
        resource_version: matched.live.resource_version.clone(),
        pre_image: values_under(&matched.live.value, &patch),
        patch,
        inverse,
        corrected: correctable.iter().map(|(finding, _)| (finding.id.clone(), finding.place.clone())).collect(),
        paths: drifts.iter().map(|drift| drift.path.to_string()).collect(),
        classes: names.into_iter().collect(),
        window_seconds: classes.iter().map(|class| class.window_seconds).max().unwrap_or(10),
        undoes: None,
        secrecy: secrecy(&matched.live.id, [&matched.live.value, &matched.expected.value]),
        reasons: correctable.iter().flat_map(|(finding, _)| finding.reasons.clone()).collect(),
    }))]
}

/// An undo is a correction like any other: it needs the very object, still as the run left it. A run that corrected
/// nothing leaves nothing to undo.
fn decide_undo(undo: &Undo, guards: &Guards) -> Option<Decision> {
    let (finding, place) = undo.corrected.first().cloned()?;
    let hold = |reason: String| Some(Decision::Hold(Settled { finding, place, reasons: vec![reason] }));
    let live = &undo.live;
    if let Some(reason) = held_object(live, guards) {
        return hold(reason);
    }
    if live.uid != undo.uid {
        return hold("the object was replaced by another of the same name".to_owned());
    }
    if !changes_nothing(&live.value, &undo.patch) {
        return hold(format!("the object moved on since run {}: what it wrote is no longer there", undo.run));
    }
    if [&undo.patch, &undo.inverse].into_iter().any(secret::is_within) {
        return hold("its patch would carry a secret value: put it back by hand".to_owned());
    }
    Some(Decision::Correct(Box::new(Correction {
        target: undo.target.clone(),
        object: live.id.clone(),
        uid: live.uid.clone(),
        resource_version: live.resource_version.clone(),
        pre_image: values_under(&live.value, &undo.inverse),
        patch: undo.inverse.clone(),
        inverse: undo.patch.clone(),
        corrected: undo.corrected.clone(),
        paths: undo.paths.clone(),
        classes: Vec::new(),
        window_seconds: 0,
        undoes: Some(undo.run.clone()),
        secrecy: secrecy(&live.id, [&live.value, &undo.inverse]),
        reasons: vec![format!("undo of run {}", undo.run)],
    })))
}

fn class_of<'a>(finding: &Finding, policy: &'a Policy) -> Option<&'a Class> {
    let name = finding.class.as_ref()?;
    policy.classes.iter().find(|class| class.name == *name)
}

fn settled(finding: &Finding, reason: String) -> Settled {
    let mut reasons = finding.reasons.clone();
    reasons.push(reason);
    Settled { finding: finding.id.clone(), place: finding.place.clone(), reasons }
}
