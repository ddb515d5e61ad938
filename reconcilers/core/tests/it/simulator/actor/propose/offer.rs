//! One proposal is offered, as `src/act/propose/offer.rs` and `edit.rs` do it: edits, commit, intent, offer, record.

use jiff::SignedDuration;
use trueup_core::finding::{Divergence, Finding, FindingId, Subject};
use trueup_core::policy::Remedy;
use trueup_core::run::{Due, Effect, Entry, Fate, Intent, Outcome, Proposal, Run, RunId, RunStatus};
use trueup_core::seen::Seen;

use super::open::{Open, head_of, known, runs_of};
use super::{Wanted, end, fingerprint};
use crate::simulator::actor::{Basis, Judged, REFUSALS, held_by_now};
use crate::simulator::forge::{Answer, Became, Edit, Known, Offered, What};
use crate::simulator::mutations::Mutation;
use crate::simulator::source::{Approval, name};
use crate::simulator::world::{Cut, World};

pub fn offer(
    world: &mut World,
    judged: &Judged,
    (branch, open): (&str, Option<&Open>),
    wanted: &[Wanted<'_>],
    basis: &mut Basis,
) -> Result<(), Cut> {
    let (mut placed, mut edits, mut waits) = (Vec::new(), Vec::new(), false);
    for wanted in wanted {
        let object = match &wanted.finding.difference.subject {
            Subject::Object(id) => Some(id),
            Subject::Output(_) => None,
        };
        if held_by_now(world, object, [&wanted.finding.place]).is_some() {
            waits = true;
            continue;
        }
        if let Some(edit) = edit(world, judged, wanted) {
            placed.push(wanted.finding);
            edits.push(edit);
        } else {
            let record = open.and_then(|open| open.record(&wanted.finding.place));
            waits |= record.is_some_and(|record| record.fingerprint == wanted.finding.id);
        }
    }
    match open {
        Some(open) if waits => end::look_after(world, open),
        Some(open) if placed.is_empty() => end::end(world, judged, open),
        None if placed.is_empty() => Ok(()),
        Some(_) | None => offer_these(world, judged, (branch, open), (&placed, &edits), basis),
    }
}

/// What Git would say, where that can be said.
fn edit(world: &World, judged: &Judged, wanted: &Wanted<'_>) -> Option<Edit> {
    let finding = wanted.finding;
    let (Subject::Object(object), Divergence::Field(drift)) = (&finding.difference.subject, &finding.difference.divergence)
    else {
        return None;
    };
    let what = match wanted.remedy {
        Remedy::Adopt => What::Adopt(match &drift.live {
            Some(Seen::Plain(value)) => Some(value.clone()),
            Some(Seen::Masked(_)) => return None,
            None => None,
        }),
        Remedy::Restore => {
            let there = world.source.commits[judged.commit].approvals.get(&finding.place);
            // One that has been acted on is still there: consent to the same values anew is another file.
            let anew = |turn| Approval { place: finding.place.clone(), digests: finding.digests(), turn };
            let first = anew(0);
            What::Restore(if there == Some(&first) { anew(1) } else { first })
        }
    };
    let (place, fingerprint) = (finding.place.clone(), finding.id.clone());
    Some(Edit { place, fingerprint, object: object.clone(), path: drift.path.clone(), what })
}

/// What an offer is about.
struct About<'a> {
    branch: &'a str,
    open: Option<&'a Open>,
    findings: &'a [&'a Finding],
}

impl About<'_> {
    fn fingerprint(&self) -> String {
        fingerprint(self.findings.iter().map(|finding| &finding.id))
    }

    fn has_moved(&self) -> bool {
        self.open.is_some_and(|open| fingerprint(&open.findings()) != self.fingerprint())
    }
}

fn offer_these(
    world: &mut World,
    judged: &Judged,
    (branch, open): (&str, Option<&Open>),
    (findings, edits): (&[&Finding], &[Edit]),
    basis: &mut Basis,
) -> Result<(), Cut> {
    let runs = world.disk.runs.all().to_vec();
    let about = About { branch, open: open.filter(|open| !open.records.is_empty()), findings };
    if answered(world, &about, &runs)? {
        return Ok(());
    }
    let (base, head) = committed(world, judged, &about, edits);
    let same = about.open.filter(|open| {
        let is_it = open.newest().is_some_and(|record| record.head_commit == head);
        is_it && open.runs().len() == 1 && !about.has_moved() && open.withdrawal.is_none()
    });
    let run = if let Some(record) = same.and_then(Open::newest) {
        record.run.clone()
    } else {
        if refused_lately(world, findings, &head) {
            return Ok(());
        }
        let run = world.new_run();
        let decided = basis.recorded(world)?;
        world.append(&intent(judged, &about, (&run, &head), decided))?;
        run
    };
    let earlier: Vec<&Run> = runs_of(branch, &runs).into_iter().filter(|earlier| earlier.intent.run != run).collect();
    let mut all_known = known(about.open, &earlier);
    let mut offered =
        Offered { branch: branch.to_owned(), head: head.clone(), fingerprint: about.fingerprint(), edits: edits.to_vec() };
    if world.is_broken(Mutation::ProposesOnNewBranches) {
        (offered.branch, all_known) = (format!("{branch}-{run}"), vec![(Known::Nothing, None)]);
    }
    let mut answer = (Some(Answer::Foreign), None);
    for (known, left_by) in all_known {
        answer = (world.at_forge(|forge| forge.offer(&offered, &known))?, left_by);
        if answer.0 != Some(Answer::Foreign) {
            break;
        }
    }
    let interrupted = answer.1.map(|run| end::found_again(world, &run, 0));
    let end = End { run: &run, open: about.open, interrupted, is_same: same.is_some() };
    for entry in entries(&end, (&base, &offered), findings, answer.0) {
        world.append(&entry)?;
    }
    take_over(world, &run, &earlier)
}

/// Where the open proposal is about something else, or its branch was not ours when it was offered to last, it is looked at first.
fn answered(world: &mut World, about: &About<'_>, runs: &[Run]) -> Result<bool, Cut> {
    let was_refused = runs_of(about.branch, runs).last().is_some_and(|run| matches!(run.status, RunStatus::Refused { .. }))
        && !world.is_broken(Mutation::OffersToPeoplesBranches);
    let unopened = Open { branch: about.branch.to_owned(), ..Open::default() };
    let open = match about.open {
        Some(open) => Some(open).filter(|open| about.has_moved() || open.withdrawal.is_some() || was_refused),
        None => Some(&unopened).filter(|_| was_refused),
    };
    let Some(open) = open else { return Ok(false) };
    let became = end::look(world, open, runs)?;
    if about.open.is_some() && end::ended_by_people(world, open, became)? {
        return Ok(true);
    }
    match became {
        // Where nobody answered what became of it, it may be theirs.
        Some(Became::Foreign) | None => Ok(true),
        Some(Became::Gone | Became::Closed | Became::Merged) if was_refused => {
            let there = world.at_forge(|forge| forge.head(about.branch))?.flatten();
            Ok(there.is_some_and(|there| runs_of(about.branch, runs).into_iter().all(|run| head_of(run) != Some(&there))))
        }
        Some(_) => Ok(false),
    }
}

/// On which commit the proposal stands, and its own. An open one stays on its commit while its files are the same there and now.
fn committed(world: &mut World, judged: &Judged, about: &About<'_>, edits: &[Edit]) -> (String, String) {
    let texts: Vec<String> = edits
        .iter()
        .map(|edit| match &edit.what {
            What::Adopt(_) => edit.fingerprint.to_string(),
            What::Restore(approval) => format!("{}?{}", edit.fingerprint, approval.turn),
        })
        .collect();
    let make = |base: usize| format!("{}+{}", name(base), texts.join("+"));
    let open = about.open.and_then(Open::newest);
    let stays = open.and_then(|record| {
        let base = usize::from_str_radix(&record.base_commit, 16).ok()?;
        let (then, now) = (&world.source.commits[base], &world.source.commits[judged.commit]);
        let is_same = |edit: &Edit| match &edit.what {
            What::Adopt(_) => then.desired.get(&edit.object) == now.desired.get(&edit.object),
            What::Restore(_) => then.approvals.get(&edit.place) == now.approvals.get(&edit.place),
        };
        let is_it = world.source.descends(judged.commit, base) && edits.iter().all(is_same) && make(base) == record.head_commit;
        is_it.then_some(base)
    });
    let base = stays.unwrap_or(judged.commit);
    world.committed.insert(make(base), edits.to_vec());
    (name(base), make(base))
}

/// Whether the very same proposal was refused too often within the last hour.
fn refused_lately(world: &World, findings: &[&Finding], head: &str) -> bool {
    let since = world.now() - SignedDuration::from_hours(1);
    let is_refused = |run: &&Run| {
        let is_same = run.intent.findings.iter().eq(findings.iter().map(|finding| &finding.id)) && head_of(run) == Some(head);
        is_same && matches!(run.status, RunStatus::Refused { .. }) && run.begun >= since
    };
    world.disk.runs.all().iter().filter(is_refused).count() >= REFUSALS
}

fn intent(judged: &Judged, about: &About<'_>, (run, head): (&RunId, &str), decided: u64) -> Entry {
    let findings = about.findings;
    let mut classes: Vec<String> = findings.iter().filter_map(|finding| finding.class.clone()).collect();
    classes.sort();
    classes.dedup();
    Entry::Intent(Box::new(Intent {
        run: run.clone(),
        target: World::target(),
        subject: findings[0].difference.subject.clone(),
        findings: findings.iter().map(|finding| finding.id.clone()).collect(),
        places: findings.iter().map(|finding| finding.place.clone()).collect(),
        paths: findings.iter().map(|finding| finding.difference.path().to_string()).collect(),
        classes,
        policy_digest: judged.policy.digest.clone(),
        commit: name(judged.commit),
        decided: Some(decided),
        effect: Effect::PullRequest { branch: about.branch.to_owned(), head_commit: head.to_owned() },
        reasons: findings[0].reasons.clone(),
    }))
}

/// The run of an offer, the proposal that was open before it, or what was not recorded of the run that was cut off before it.
struct End<'a> {
    run: &'a RunId,
    open: Option<&'a Open>,
    interrupted: Option<Vec<Proposal>>,
    is_same: bool,
}

fn entries(end: &End<'_>, (base, offered): (&str, &Offered), findings: &[&Finding], answer: Option<Answer>) -> Vec<Entry> {
    let record = |number: u64, (finding, edit): (&&Finding, &Edit)| {
        Entry::Proposal(Proposal {
            run: end.run.clone(),
            place: finding.place.clone(),
            branch: offered.branch.clone(),
            base_commit: base.to_owned(),
            head_commit: offered.head.clone(),
            url: number.to_string(),
            number,
            author: "trueup".to_owned(),
            fingerprint: finding.id.clone(),
            approval: edit.what.approval(),
            subject: Some(Box::new(finding.difference.subject.clone())),
        })
    };
    let outcome = |outcome: Outcome| vec![Entry::Outcome { run: end.run.clone(), outcome }];
    match answer {
        Some(Answer::Unchanged(_) | Answer::Foreign) | None if end.is_same => Vec::new(),
        Some(Answer::Created(number) | Answer::Updated(number) | Answer::Unchanged(number)) => {
            let mut entries: Vec<Entry> = findings.iter().zip(&offered.edits).map(|one| record(number, one)).collect();
            let replaced = end.open.map(Open::runs).unwrap_or_default().into_iter().filter(|run| run != end.run);
            entries.extend(replaced.map(|run| Entry::ProposalClosed { run, fate: Fate::Replaced { by: end.run.clone() } }));
            entries
        }
        Some(Answer::Foreign) => outcome(Outcome::Refused { message: "the branch is somebody else's".to_owned() }),
        Some(Answer::Denied) => answered_by_people(end, &Fate::Denied),
        Some(Answer::Merged) => answered_by_people(end, &Fate::Merged),
        None => outcome(Outcome::Unknown { reason: "no answer".to_owned() }),
    }
}

/// People have ended the proposal: that is recorded of the runs that it was of, and the offer's own run never happened.
fn answered_by_people(end: &End<'_>, fate: &Fate) -> Vec<Entry> {
    let closed = |run: RunId| Entry::ProposalClosed { run, fate: fate.clone() };
    let mut entries: Vec<Entry> = Vec::new();
    match (end.open, &end.interrupted) {
        (Some(open), _) => entries.extend(open.runs().into_iter().map(closed)),
        (None, Some(records)) => {
            entries.extend(records.iter().cloned().map(Entry::Proposal));
            entries.extend(records.first().map(|record| closed(record.run.clone())));
        }
        (None, None) => {}
    }
    if !end.is_same {
        let outcome = Outcome::Void { reason: "its branch's proposal had ended".to_owned() };
        entries.push(Entry::Outcome { run: end.run.clone(), outcome });
    }
    entries
}

/// What was cut off on this branch is this run's now.
fn take_over(world: &mut World, own: &RunId, earlier: &[&Run]) -> Result<(), Cut> {
    for run in earlier.iter().filter(|run| run.due() == Due::Resolution) {
        let name = run.intent.run.clone();
        if world.disk.runs.get(&name).is_some_and(|now| now.due() == Due::Resolution) {
            let outcome = Outcome::Void { reason: format!("taken over by run {own}") };
            world.append(&Entry::Outcome { run: name, outcome })?;
        }
    }
    Ok(())
}

/// The findings of a run with their places.
pub fn corrected(run: &Run) -> impl Iterator<Item = (&FindingId, &trueup_core::finding::Place)> {
    run.intent.findings.iter().zip(&run.intent.places)
}
