//! One proposal, as `src/act/propose.rs` makes it: intent, offer, record; what was cut off is taken over.

use jiff::SignedDuration;
use trueup_core::decide::Proposal as Proposed;
use trueup_core::finding::{Divergence, Finding, Subject};
use trueup_core::run::{Due, Effect, Entry, Fate, Intent, Outcome, Proposal, Run, RunId, RunStatus};
use trueup_core::seen::Seen;

use super::{Basis, Judged, REFUSALS};
use crate::simulator::forge::{Answer, Edit, Known};
use crate::simulator::mutations::Mutation;
use crate::simulator::source::name;
use crate::simulator::world::{Cut, World};

pub fn propose(world: &mut World, judged: &Judged, proposed: &Proposed, basis: &mut Basis) -> Result<(), Cut> {
    let Some(finding) = judged.finding(&proposed.finding) else { return Ok(()) };
    let Some(edit) = edit(finding) else { return Ok(()) };
    let head = format!("{}+{}", name(judged.commit), finding.id);
    let open = world.disk.standing.proposals().get(&finding.place).cloned();
    let same = open.as_ref().filter(|open| open.head_commit == head && open.fingerprint == finding.id);
    let run = if let Some(open) = same {
        open.run.clone()
    } else {
        if refused_lately(world, finding, &head) {
            return Ok(());
        }
        let run = world.new_run();
        let decided = basis.recorded(world)?;
        world.append(&intent(judged, finding, (&run, &head), decided))?;
        run
    };
    let earlier: Vec<Run> = world.disk.runs.all().iter().filter(|earlier| is_earlier(earlier, &run, finding)).cloned().collect();
    let mut branch = format!("trueup/{}", finding.place);
    let mut known = known(open.as_ref(), &earlier);
    if world.is_broken(Mutation::ProposesOnNewBranches) {
        (branch, known) = (format!("{branch}-{run}"), vec![(Known::Nothing, None)]);
    }
    let mut answer = (Some(Answer::Foreign), None);
    for (known, left_by) in known {
        answer = (world.at_forge(|forge| forge.offer(&branch, &head, &edit, &known))?, left_by);
        if answer.0 != Some(Answer::Foreign) {
            break;
        }
    }
    let end = End { run: &run, open: open.as_ref(), interrupted: answer.1.as_ref(), is_same: same.is_some(), head: &head };
    for entry in entries(&end, finding, judged, answer.0) {
        world.append(&entry)?;
    }
    take_over(world, &earlier)
}

/// Whether the very same proposal was refused too often within the last hour.
fn refused_lately(world: &World, finding: &Finding, commit: &str) -> bool {
    let since = world.now() - SignedDuration::from_hours(1);
    let is_refused = |run: &&Run| {
        let is_same = run.intent.findings.contains(&finding.id) && head(run) == Some(commit);
        is_same && matches!(run.status, RunStatus::Refused { .. }) && run.begun >= since
    };
    world.disk.runs.all().iter().filter(is_refused).count() >= REFUSALS
}

fn is_earlier(run: &Run, own: &RunId, finding: &Finding) -> bool {
    run.intent.run != *own && run.intent.places.contains(&finding.place) && head(run).is_some()
}

fn edit(finding: &Finding) -> Option<Edit> {
    let (Subject::Object(object), Divergence::Field(drift)) = (&finding.difference.subject, &finding.difference.divergence)
    else {
        return None;
    };
    let value = match &drift.live {
        Some(Seen::Plain(value)) => Some(value.clone()),
        Some(Seen::Masked(_)) => return None,
        None => None,
    };
    let (place, fingerprint) = (finding.place.clone(), finding.id.clone());
    Some(Edit { place, fingerprint, object: object.clone(), path: drift.path.clone(), value })
}

fn head(run: &Run) -> Option<&str> {
    match &run.intent.effect {
        Effect::PullRequest { head_commit, .. } => Some(head_commit),
        Effect::Patch(_) => None,
    }
}

/// What the branch may hold by the ledger, the likeliest first, with the run that was cut off if it was that one's.
fn known(open: Option<&Proposal>, earlier: &[Run]) -> Vec<(Known, Option<Run>)> {
    let recorded = earlier.iter().rposition(|run| !run.proposals.is_empty());
    let unrecorded = earlier.iter().skip(recorded.map_or(0, |at| at + 1)).rev().take(3);
    let mut all: Vec<(Known, Option<Run>)> = Vec::new();
    if let Some(open) = open {
        all.push((Known::Opened(open.number, open.head_commit.clone()), None));
        all.extend(unrecorded.filter_map(|run| Some((Known::Opened(open.number, head(run)?.to_owned()), None))));
    } else {
        let is_cut_off = |run: &Run| (run.due() == Due::Resolution).then(|| run.clone());
        all.extend(unrecorded.filter_map(|run| Some((Known::Intended(head(run)?.to_owned()), is_cut_off(run)))));
    }
    if all.is_empty() {
        all.push((Known::Nothing, None));
    }
    all
}

fn intent(judged: &Judged, finding: &Finding, (run, head): (&RunId, &str), decided: u64) -> Entry {
    Entry::Intent(Box::new(Intent {
        run: run.clone(),
        target: World::target(),
        subject: finding.difference.subject.clone(),
        findings: vec![finding.id.clone()],
        places: vec![finding.place.clone()],
        paths: vec![finding.difference.path().to_string()],
        classes: finding.class.iter().cloned().collect(),
        policy_digest: judged.policy.digest.clone(),
        commit: name(judged.commit),
        decided: Some(decided),
        effect: Effect::PullRequest { branch: format!("trueup/{}", finding.place), head_commit: head.to_owned() },
        reasons: finding.reasons.clone(),
    }))
}

struct End<'a> {
    run: &'a RunId,
    open: Option<&'a Proposal>,
    interrupted: Option<&'a Run>,
    is_same: bool,
    head: &'a str,
}

fn entries(end: &End<'_>, finding: &Finding, judged: &Judged, answer: Option<Answer>) -> Vec<Entry> {
    let record = |run: &RunId, number: u64, head: &str| {
        Entry::Proposal(Proposal {
            run: run.clone(),
            place: finding.place.clone(),
            branch: format!("trueup/{}", finding.place),
            base_commit: name(judged.commit),
            head_commit: head.to_owned(),
            url: number.to_string(),
            number,
            author: "trueup".to_owned(),
            fingerprint: finding.id.clone(),
            approval: None,
            subject: Some(Box::new(finding.difference.subject.clone())),
        })
    };
    let outcome = |outcome: Outcome| vec![Entry::Outcome { run: end.run.clone(), outcome }];
    let closed = |fate: Fate| {
        let mut entries = Vec::new();
        match (end.open, end.interrupted) {
            (Some(open), _) => entries.push(Entry::ProposalClosed { run: open.run.clone(), fate }),
            (None, Some(run)) => {
                let fingerprint = run.intent.findings.first().cloned().unwrap_or_else(|| finding.id.clone());
                if let Entry::Proposal(proposal) = record(&run.intent.run, 0, head(run).unwrap_or_default()) {
                    entries.push(Entry::Proposal(Proposal { fingerprint, ..proposal }));
                }
                entries.push(Entry::ProposalClosed { run: run.intent.run.clone(), fate });
            }
            (None, None) => {}
        }
        if !end.is_same {
            entries.extend(outcome(Outcome::Void { reason: "its place's proposal had ended".to_owned() }));
        }
        entries
    };
    match answer {
        Some(Answer::Unchanged(_) | Answer::Foreign) | None if end.is_same => Vec::new(),
        Some(Answer::Created(number) | Answer::Updated(number) | Answer::Unchanged(number)) => {
            let mut entries = vec![record(end.run, number, end.head)];
            if let Some(open) = end.open.filter(|open| open.run != *end.run) {
                entries.push(Entry::ProposalClosed { run: open.run.clone(), fate: Fate::Replaced { by: end.run.clone() } });
            }
            entries
        }
        Some(Answer::Foreign) => outcome(Outcome::Refused { message: "the branch is somebody else's".to_owned() }),
        Some(Answer::Denied) => closed(Fate::Denied),
        Some(Answer::Merged) => closed(Fate::Merged),
        None => outcome(Outcome::Unknown { reason: "no answer".to_owned() }),
    }
}

/// What was cut off at this place is this run's now.
fn take_over(world: &mut World, earlier: &[Run]) -> Result<(), Cut> {
    for run in earlier.iter().filter(|run| run.due() == Due::Resolution) {
        let name = run.intent.run.clone();
        if world.disk.runs.get(&name).is_some_and(|now| now.due() == Due::Resolution) {
            let outcome = Outcome::Void { reason: "taken over".to_owned() };
            world.append(&Entry::Outcome { run: name, outcome })?;
        }
    }
    Ok(())
}
