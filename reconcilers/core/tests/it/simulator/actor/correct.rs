//! One object put right, as `src/act/correct.rs`, `src/act/attempt.rs` and `src/act/verify.rs` do it.

use jiff::SignedDuration;
use serde_json::{Value, json};
use trueup_core::decide::{Case, Correction, Decision, Guards, Inputs, Proposal, Request, Settled, Terms, Undo};
use trueup_core::facts::{Evidence, Pair};
use trueup_core::finding::{Finding, Subject};
use trueup_core::patch::{changes_nothing, with_preconditions};
use trueup_core::run::{
    Effect, Entry, Hold, Intent, Outcome, Outlook, PatchEffect, Resolution, Run, RunId, RunStatus, perhaps_undone_by, resolve,
};

use super::{Basis, Judged, Judgement, REFUSALS, escalate, held_by_now, judge, live, look, managed, matched, recover};
use crate::simulator::mutations::Mutation;
use crate::simulator::server::{Object, Reply, Write};
use crate::simulator::source::name;
use crate::simulator::world::{Cut, World};

const ATTEMPTS: u32 = 3;

/// What came of a write.
enum Sent {
    Applied(Object),
    Void(String),
    Inadmissible(String),
    Unanswered(String),
}

pub fn correct(
    world: &mut World,
    (judged, guards, requests): (&Judged, &Guards, &[Request]),
    (first, first_basis): (Correction, &mut Basis),
    left: &mut Vec<(Basis, Proposal)>,
) -> Result<(), Cut> {
    if refused_lately(world, &first) {
        for (finding, place) in first.corrected {
            escalate(world, judged, Settled { finding, place, reasons: vec!["refused".to_owned()] })?;
        }
        return Ok(());
    }
    let (mut correction, mut guards, mut anew) = (first, guards.clone(), None);
    for _ in 0..ATTEMPTS {
        if held_by_now(world, Some(&correction.object), correction.corrected.iter().map(|(_, place)| place)).is_some() {
            return Ok(());
        }
        match attempt(world, judged, &correction, anew.as_mut().unwrap_or(first_basis))? {
            Sent::Applied(_) | Sent::Unanswered(_) => return Ok(()),
            Sent::Void(_) => {}
            Sent::Inadmissible(message) => {
                guards.inadmissible.extend(correction.corrected.iter().map(|(id, _)| (id.clone(), message.clone())));
            }
        }
        let Some((basis, decisions)) = decide_again(world, (judged, &guards, requests), &correction)? else { return Ok(()) };
        let mut again = None;
        for decision in decisions {
            match decision {
                Decision::Correct(next) => again = Some(*next),
                Decision::Leave(_) | Decision::Hold(_) => {}
                Decision::Escalate(settled) => escalate(world, judged, settled)?,
                Decision::Propose(proposal) => left.push((basis.clone(), proposal)),
            }
        }
        let Some(next) = again else { return Ok(()) };
        (correction, anew) = (next, Some(basis));
    }
    Ok(())
}

fn refused_lately(world: &World, correction: &Correction) -> bool {
    let since = world.now() - SignedDuration::from_hours(1);
    let ids: Vec<_> = correction.corrected.iter().map(|(id, _)| id.clone()).collect();
    let is_refused =
        |run: &&Run| run.begun >= since && run.intent.findings == ids && matches!(run.status, RunStatus::Refused { .. });
    world.disk.runs.all().iter().filter(is_refused).count() >= REFUSALS
}

fn attempt(world: &mut World, judged: &Judged, correction: &Correction, basis: &mut Basis) -> Result<Sent, Cut> {
    let run = world.new_run();
    let decided = basis.recorded(world)?;
    hold_before(world, &run, correction)?;
    let intent = intent(world, judged, (&run, correction), decided);
    if world.is_broken(Mutation::SendsBeforeTheIntent) {
        let body = with_preconditions(
            &correction.patch,
            correction.uid.as_deref().unwrap_or_default(),
            correction.resource_version.as_deref().unwrap_or_default(),
        );
        world.write(&Write { run: run.clone(), object: correction.object.clone(), body, durable: 0 })?;
    }
    world.append(&intent)?;
    let sent = send(world, judged, (&run, correction))?;
    let outcome = match &sent {
        Sent::Applied(object) => Outcome::Applied { resource_version: Some(object.version.to_string()), warnings: Vec::new() },
        Sent::Void(reason) => Outcome::Void { reason: reason.clone() },
        Sent::Inadmissible(message) => Outcome::Inadmissible { message: message.clone() },
        Sent::Unanswered(reason) => Outcome::Unknown { reason: reason.clone() },
    };
    world.append(&Entry::Outcome { run: run.clone(), outcome })?;
    if let Sent::Applied(written) = &sent {
        let outlook = verify(world, judged, correction, written)?;
        world.append(&Entry::Verification { run: run.clone(), outlook, why: None })?;
        if let Some(undone) = &correction.undoes {
            let undone = undone.parse().expect("a run of the ledger");
            world.append(&Entry::Undone { run: undone, by: run })?;
        }
    }
    Ok(sent)
}

fn intent(world: &World, judged: &Judged, (run, correction): (&RunId, &Correction), decided: u64) -> Entry {
    let effect = PatchEffect {
        uid: correction.uid.clone(),
        resource_version: correction.resource_version.clone(),
        patch: correction.patch.clone(),
        pre_image: correction.pre_image.clone(),
        inverse: correction.inverse.clone(),
        takes_back: correction.undoes.as_ref().map(|run| run.parse().expect("a run of the ledger")),
        ..PatchEffect::default()
    };
    let commit = if world.is_broken(Mutation::MovesInTheMiddle) { world.source.head } else { judged.commit };
    Entry::Intent(Box::new(Intent {
        run: run.clone(),
        target: World::target(),
        subject: Subject::Object(correction.object.clone()),
        findings: correction.corrected.iter().map(|(id, _)| id.clone()).collect(),
        places: correction.corrected.iter().map(|(_, place)| place.clone()).collect(),
        paths: correction.paths.clone(),
        classes: correction.classes.clone(),
        policy_digest: judged.policy.digest.clone(),
        commit: name(commit),
        decided: Some(decided),
        effect: Effect::Patch(effect),
        reasons: correction.reasons.clone(),
    }))
}

/// What takes something back holds its places before it writes; what takes that back lets them go on.
fn hold_before(world: &mut World, run: &RunId, correction: &Correction) -> Result<(), Cut> {
    let Some(undone) = &correction.undoes else { return Ok(()) };
    let places = correction.corrected.iter().map(|(_, place)| place.clone()).collect();
    let takes_back = |id: &str| {
        let run = world.disk.runs.all().iter().find(|run| run.intent.run.as_str() == id)?;
        match &run.intent.effect {
            Effect::Patch(effect) => effect.takes_back.as_ref().map(ToString::to_string),
            Effect::PullRequest { .. } => None,
        }
    };
    let puts_right = std::iter::successors(takes_back(undone), |id| takes_back(id)).count() % 2 == 1;
    let entry = if puts_right {
        Entry::Resume { places, reason: format!("undone by run {run}") }
    } else {
        let findings = correction.corrected.iter().map(|(id, _)| id.clone()).collect();
        Entry::Hold(Hold { places, reason: format!("undone by run {run}"), findings })
    };
    world.append(&entry).map(drop)
}

/// First as a dry run, then as it is; without an answer it is resolved by reading.
fn send(world: &mut World, judged: &Judged, (run, correction): (&RunId, &Correction)) -> Result<Sent, Cut> {
    let (uid, version) = (correction.uid.as_deref(), correction.resource_version.as_deref());
    let (Some(uid), Some(version)) = (uid, version) else { return Ok(Sent::Void("without a version".to_owned())) };
    let body = with_preconditions(&altered(world, judged, correction), uid, version);
    let mut write = Write { run: run.clone(), object: correction.object.clone(), body, durable: 0 };
    if world.is_broken(Mutation::LeavesOutPreconditions) {
        write.body.as_object_mut().expect("an object").remove("metadata");
    }
    match world.dry_run(&write)? {
        Reply::Taken(after) => {
            if correction.undoes.is_none() && is_rewritten(judged, correction, &after) {
                return Ok(Sent::Inadmissible("admission writes another value".to_owned()));
            }
        }
        Reply::Conflict(reason) => return Ok(Sent::Void(reason)),
        Reply::Denied(message) => return Ok(Sent::Inadmissible(message)),
        Reply::TooMany | Reply::Lost => return Ok(Sent::Void("the dry run was not answered".to_owned())),
    }
    let mut reply = world.write(&write)?;
    if matches!(reply, Reply::Lost) && world.is_broken(Mutation::SendsAgainBlindly) {
        let now = world.server.objects.get(&write.object).map(|object| object.version.to_string());
        write.body["metadata"]["resourceVersion"] = json!(now);
        reply = world.write(&write)?;
    }
    if world.is_broken(Mutation::DeletesWhatDrifts) {
        world.server.deleted.push(correction.object.clone());
    }
    let sent = match reply {
        Reply::Taken(object) => Sent::Applied(object),
        Reply::Conflict(reason) => Sent::Void(reason),
        Reply::Denied(message) => Sent::Inadmissible(message),
        Reply::TooMany => Sent::Void("asked to wait".to_owned()),
        Reply::Lost => Sent::Unanswered("no answer".to_owned()),
    };
    settle(world, correction, sent)
}

/// The patch, or what a broken program makes of it.
fn altered(world: &World, judged: &Judged, correction: &Correction) -> Value {
    let mut patch = correction.patch.clone();
    if world.is_broken(Mutation::WritesWhatIsForPeople) {
        patch["spec"]["alarm"] = json!("on");
    }
    if world.is_broken(Mutation::SendsTheWholeObject)
        && let Some(Pair::Matched(matched)) = judged.case_of(&correction.object).map(|case| &case.pair)
    {
        patch.clone_from(&matched.expected.value);
    }
    patch
}

fn settle(world: &mut World, correction: &Correction, sent: Sent) -> Result<Sent, Cut> {
    let Sent::Unanswered(reason) = sent else { return Ok(sent) };
    let effect = PatchEffect {
        uid: correction.uid.clone(),
        resource_version: correction.resource_version.clone(),
        patch: correction.patch.clone(),
        ..PatchEffect::default()
    };
    Ok(match world.read(&correction.object)? {
        Ok(Some(object)) => match resolve(Some(&managed(&object)), (&effect, &correction.paths), true) {
            Resolution::Applied => Sent::Applied(object),
            Resolution::NoEffect | Resolution::Undetermined(_) | Resolution::TooEarly => Sent::Unanswered(reason),
        },
        Ok(None) => Sent::Unanswered(reason),
        Err(error) => Sent::Unanswered(error),
    })
}

fn is_rewritten(judged: &Judged, correction: &Correction, after: &Object) -> bool {
    !changes_nothing(&after.value, &correction.patch) && still_drifting(judged, correction, after)
}

fn still_drifting(judged: &Judged, correction: &Correction, now: &Object) -> bool {
    let Some(case) = judged_again(judged, now) else { return true };
    correction.corrected.iter().any(|(_, place)| case.findings.iter().any(|finding| finding.place == *place))
}

/// An object as it is now, compared and classified from scratch.
fn judged_again(judged: &Judged, now: &Object) -> Option<Judgement> {
    let Pair::Matched(before) = &judged.case_of(&now.id)?.pair else { return None };
    let desired = (*before.desired).clone();
    let evidence: Evidence = before.expected.evidence;
    Some(judge(Pair::Matched(Box::new(matched(desired, now, evidence))), judged.policy))
}

fn verify(world: &mut World, judged: &Judged, correction: &Correction, written: &Object) -> Result<Outlook, Cut> {
    Ok(match world.read(&correction.object)? {
        Ok(Some(now)) if now.uid != written.uid => Outlook::Drifting,
        Ok(Some(now)) if changes_nothing(&now.value, &correction.patch) => Outlook::Settled,
        Ok(Some(now)) if still_drifting(judged, correction, &now) => Outlook::Drifting,
        Ok(Some(_)) => Outlook::Settled,
        Ok(None) | Err(_) => Outlook::Unseen,
    })
}

/// The object as it is now, decided about from scratch, at the places that were to be corrected and have the same values yet.
fn decide_again(
    world: &mut World,
    (judged, guards, requests): (&Judged, &Guards, &[Request]),
    correction: &Correction,
) -> Result<Option<(Basis, Vec<Decision>)>, Cut> {
    if correction.undoes.is_some() {
        return Ok(None);
    }
    let Ok(Some(now)) = world.read(&correction.object)? else { return Ok(None) };
    let Some(case) = judged_again(judged, &now) else { return Ok(None) };
    let is_same = |finding: &&Finding| correction.corrected.iter().any(|(id, _)| *id == finding.id);
    let same: Vec<Finding> = case.findings.iter().filter(is_same).cloned().collect();
    let cases = [Case { pair: Some(&case.pair), findings: &same }];
    let target = World::target();
    let terms = Terms { target: &target, requests, guards, policy: judged.policy, now: world.now() };
    Ok(Some(Basis::decide(&Inputs::of(&cases, terms))))
}

/// `trueup undo`, as `src/command/undo.rs` does it: a person asks for a run to be taken back.
pub fn undo(world: &mut World, run: &Run) -> Result<(), Cut> {
    let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { return Ok(()) };
    // A person asks for one thing alone: nothing else is looked at.
    let judged = Judged { cases: Vec::new(), ..look(world)? };
    let (guards, unresolved) = recover::guarded(world, &judged)?;
    let runs = &world.disk.runs;
    let is_standing = |run: &Run| matches!(run.status, RunStatus::Applied { .. } | RunStatus::Verified(_));
    let is_open = unresolved.contains_key(id) || perhaps_undone_by(runs.all(), &run.intent.run).is_some();
    if is_open || !runs.get(&run.intent.run).is_some_and(is_standing) {
        return Ok(());
    }
    let Ok(Some(object)) = world.read(id)? else { return Ok(()) };
    let forced = world.is_broken(Mutation::UndoesOverOthers);
    let request = Request::Undo(Box::new(Undo {
        target: World::target(),
        run: run.intent.run.to_string(),
        live: live(&object),
        uid: effect.uid.clone(),
        // A broken program calls whatever is there its own.
        patch: if forced { json!({}) } else { effect.patch.clone() },
        inverse: effect.inverse.clone(),
        corrected: run.intent.findings.iter().cloned().zip(run.intent.places.iter().cloned()).collect(),
        paths: run.intent.paths.clone(),
    }));
    let (target, requests) = (World::target(), [request]);
    let terms = Terms { target: &target, requests: &requests, guards: &guards, policy: judged.policy, now: world.now() };
    let (mut basis, decisions) = Basis::decide(&Inputs::of(&[], terms));
    for decision in decisions {
        if let Decision::Correct(correction) = decision {
            correct(world, (&judged, &guards, &requests), (*correction, &mut basis), &mut Vec::new())?;
        }
    }
    Ok(())
}
