//! The ends of proposals, as `src/act/propose/end.rs` finds and makes them.

use trueup_core::run::{Entry, Fate, Outcome, Proposal, Run};

use super::offer::corrected;
use super::open::{Open, branch_of, head_of, known, runs_of};
use crate::simulator::actor::Judged;
use crate::simulator::forge::Became;
use crate::simulator::source::name;
use crate::simulator::world::{Cut, World};

/// What became of an open proposal; none where no answer comes.
pub fn look(world: &mut World, open: &Open, runs: &[Run]) -> Result<Option<Became>, Cut> {
    let mut looked = None;
    for (known, _) in known(Some(open), &runs_of(&open.branch, runs)) {
        let became = world.at_forge(|forge| forge.look(&open.branch, &known))?;
        let is_told = !matches!(became, Some(Became::Foreign | Became::Gone));
        if is_told || looked.is_none() || became == Some(Became::Foreign) {
            looked = Some(became);
        }
        if is_told {
            break;
        }
    }
    Ok(looked.unwrap_or(Some(Became::Gone)))
}

/// Looks what people did about a proposal that stays as it is for now.
pub fn look_after(world: &mut World, open: &Open) -> Result<(), Cut> {
    let runs = world.disk.runs.all().to_vec();
    let became = look(world, open, &runs)?;
    ended_by_people(world, open, became).map(drop)
}

/// Records what people did, if they have merged or closed it.
pub fn ended_by_people(world: &mut World, open: &Open, became: Option<Became>) -> Result<bool, Cut> {
    let fate = match (became, open.withdrawal.clone()) {
        (Some(Became::Merged), _) => Fate::Merged,
        (Some(Became::Closed), Some(reason)) => Fate::Withdrawn { reason },
        (Some(Became::Closed), None) => Fate::Denied,
        (Some(Became::Open(_) | Became::Foreign | Became::Gone) | None, _) => return Ok(false),
    };
    close(world, open, &fate)?;
    Ok(true)
}

/// A proposal of which nothing is left to decide.
pub fn end(world: &mut World, judged: &Judged, open: &Open) -> Result<(), Cut> {
    let runs = world.disk.runs.all().to_vec();
    let became = look(world, open, &runs)?;
    if ended_by_people(world, open, became)? {
        return Ok(());
    }
    match became {
        Some(Became::Open(number)) => withdraw(world, judged, open, number),
        Some(Became::Gone | Became::Merged | Became::Closed) => {
            close(world, open, &Fate::Withdrawn { reason: "nothing of it is to be found".to_owned() })
        }
        Some(Became::Foreign) | None => Ok(()),
    }
}

/// Closes an open proposal of ours: the intent first, then the forge, then the outcome.
fn withdraw(world: &mut World, judged: &Judged, open: &Open, number: u64) -> Result<(), Cut> {
    let mut open = open.clone();
    if let (true, Some(run)) = (open.records.is_empty(), open.unresolved.take()) {
        open.records = found_again(world, &run, number);
        for record in &open.records {
            world.append(&Entry::Proposal(record.clone()))?;
        }
    }
    let reason = format!("over by commit {}", name(judged.commit));
    let reason = if let Some(begun) = open.withdrawal.clone() {
        begun
    } else {
        for run in open.runs() {
            world.append(&Entry::Withdrawal { run, reason: reason.clone() })?;
        }
        reason
    };
    match world.at_forge(|forge| forge.withdraw(number))? {
        Some(()) => close(world, &open, &Fate::Withdrawn { reason }),
        None => Ok(()),
    }
}

/// Records an end for each run that the proposal is of; a run that had been cut off ends with it.
fn close(world: &mut World, open: &Open, fate: &Fate) -> Result<(), Cut> {
    for run in open.runs() {
        world.append(&Entry::ProposalClosed { run, fate: fate.clone() })?;
    }
    let Some(run) = &open.unresolved else { return Ok(()) };
    let name = run.intent.run.clone();
    if open.records.is_empty() && matches!(fate, Fate::Merged | Fate::Denied) {
        for record in found_again(world, run, 0) {
            world.append(&Entry::Proposal(record))?;
        }
        world.append(&Entry::ProposalClosed { run: name, fate: fate.clone() }).map(drop)
    } else {
        let outcome = Outcome::Void { reason: "its proposal had ended, or was never opened".to_owned() };
        world.append(&Entry::Outcome { run: name, outcome }).map(drop)
    }
}

/// What was not recorded of a run's proposal when it was cut off.
pub fn found_again(world: &World, run: &Run, number: u64) -> Vec<Proposal> {
    let head = head_of(run).unwrap_or_default();
    let edits = world.committed.get(head).cloned().unwrap_or_default();
    let subject = (run.intent.places.len() == 1).then(|| Box::new(run.intent.subject.clone()));
    let record = |(finding, place): (&trueup_core::finding::FindingId, &trueup_core::finding::Place)| Proposal {
        run: run.intent.run.clone(),
        place: place.clone(),
        branch: branch_of(run).unwrap_or_default().to_owned(),
        base_commit: run.intent.commit.clone(),
        head_commit: head.to_owned(),
        url: String::new(),
        number,
        author: String::new(),
        fingerprint: finding.clone(),
        approval: edits.iter().find(|edit| edit.place == *place).and_then(|edit| edit.what.approval()),
        subject: subject.clone(),
    };
    corrected(run).map(record).collect()
}
