//! The proposals that are open by the ledger, as `src/act/propose/open.rs` and `known.rs` tell them.

use std::collections::{BTreeMap, BTreeSet};

use trueup_core::facts::Pair;
use trueup_core::finding::{FindingId, Place, Subject};
use trueup_core::policy::Remedy;
use trueup_core::run::{Due, Effect, Proposal, Run, RunId};

use super::{Judged, Verdict, Verdicts, Wanted, fingerprint};
use crate::simulator::forge::Known;
use crate::simulator::world::World;

/// A proposal that is open by the ledger, or that may have been opened by a run that was cut off.
#[derive(Debug, Clone, Default)]
pub struct Open {
    pub branch: String,
    pub records: Vec<Proposal>,
    pub withdrawal: Option<String>,
    pub unresolved: Option<Run>,
}

impl Open {
    pub fn places(&self) -> BTreeSet<Place> {
        let cut_off = self.unresolved.iter().flat_map(|run| &run.intent.places);
        self.records.iter().map(|record| &record.place).chain(cut_off).cloned().collect()
    }

    pub fn findings(&self) -> BTreeSet<FindingId> {
        self.records.iter().map(|record| record.fingerprint.clone()).collect()
    }

    pub fn runs(&self) -> BTreeSet<RunId> {
        self.records.iter().map(|record| record.run.clone()).collect()
    }

    pub fn remedy(&self) -> Option<Remedy> {
        let record = self.records.first()?;
        Some(if record.approval.is_some() { Remedy::Restore } else { Remedy::Adopt })
    }

    pub fn record(&self, place: &Place) -> Option<&Proposal> {
        self.records.iter().find(|record| record.place == *place)
    }

    pub fn newest(&self) -> Option<&Proposal> {
        self.records.iter().max_by(|one, other| one.run.cmp(&other.run))
    }

    fn subject(&self, place: &Place) -> Option<&Subject> {
        let recorded = self.record(place).and_then(|record| record.subject.as_deref());
        let cut_off = self.unresolved.as_ref().filter(|run| run.intent.places[..] == [place.clone()]);
        recorded.or(cut_off.map(|run| &run.intent.subject))
    }
}

pub fn branch_of(run: &Run) -> Option<&str> {
    match &run.intent.effect {
        Effect::PullRequest { branch, .. } => Some(branch),
        Effect::Patch(_) => None,
    }
}

pub fn head_of(run: &Run) -> Option<&str> {
    match &run.intent.effect {
        Effect::PullRequest { head_commit, .. } => Some(head_commit),
        Effect::Patch(_) => None,
    }
}

pub fn of(world: &World) -> Vec<Open> {
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    for record in world.disk.standing.proposals().values() {
        let entry = open.entry(record.branch.clone()).or_default();
        entry.records.push(record.clone());
        let withdrawal = world.disk.runs.get(&record.run).and_then(|run| run.withdrawal.clone());
        entry.withdrawal = entry.withdrawal.take().or(withdrawal);
    }
    for run in world.disk.runs.all().iter().filter(|run| run.due() == Due::Resolution) {
        if let Some(branch) = branch_of(run) {
            open.entry(branch.to_owned()).or_default().unresolved = Some(run.clone());
        }
    }
    open.into_iter().map(|(branch, open)| Open { branch, ..open }).collect()
}

/// The branches that are open, or may be.
pub fn branches(world: &World) -> BTreeSet<String> {
    of(world).into_iter().map(|open| open.branch).collect()
}

/// What has become of a place of an open proposal.
pub enum Member<'a> {
    Wanted(Wanted<'a>),
    Waits,
    Over,
}

pub fn member_of<'a>(judged: &'a Judged, verdicts: &Verdicts, open: &Open, place: &Place) -> Member<'a> {
    if let Some(finding) = judged.findings().find(|finding| finding.place == *place) {
        return match verdicts.get(&finding.id) {
            Some(Verdict::Propose(number, remedy)) => Member::Wanted(Wanted { number: *number, finding, remedy: *remedy }),
            Some(Verdict::Over) => Member::Over,
            Some(Verdict::Waits) | None => Member::Waits,
        };
    }
    if is_seen(judged, open.subject(place)) { Member::Over } else { Member::Waits }
}

/// Whether something was seen of an object or output at whose place nothing was found.
pub fn is_seen(judged: &Judged, subject: Option<&Subject>) -> bool {
    let is_whole = !judged.cases.iter().any(|case| matches!(case.pair, Pair::Unseen(..)));
    let case = match subject {
        Some(Subject::Object(id)) => judged.case_of(id),
        Some(Subject::Output(_)) | None => return is_whole,
    };
    match case.map(|case| &case.pair) {
        Some(Pair::Matched(_) | Pair::Missing(_)) => true,
        Some(Pair::Skipped(..) | Pair::Unseen(..)) => false,
        None => is_whole,
    }
}

pub fn runs_of<'a>(branch: &str, runs: &'a [Run]) -> Vec<&'a Run> {
    runs.iter().filter(|run| branch_of(run) == Some(branch)).collect()
}

/// What the branch may hold by the ledger, the likeliest first, with the run that was cut off if it was that one's.
pub fn known(open: Option<&Open>, earlier: &[&Run]) -> Vec<(Known, Option<Run>)> {
    let recorded = earlier.iter().rposition(|run| !run.proposals.is_empty());
    let last = recorded.and_then(|at| earlier[at].proposals.values().next());
    let unrecorded = earlier.iter().skip(recorded.map_or(0, |at| at + 1)).rev().take(3);
    let open = open.filter(|open| !open.records.is_empty());
    let fingerprint = open.map(|open| fingerprint(&open.findings())).unwrap_or_default();
    let opened = |record: &Proposal, head: &str| Known::Opened {
        number: record.number,
        head: head.to_owned(),
        fingerprint: fingerprint.clone(),
    };
    let record = open.and_then(Open::newest).or(last);
    let recorded = record.map(|record| (opened(record, &record.head_commit), None));
    let is_cut_off = earlier.iter().any(|run| run.due() == Due::Resolution);
    let unrecorded = unrecorded.filter_map(|run| {
        let head = head_of(run)?;
        match open.and_then(Open::newest).or(last.filter(|_| !is_cut_off)) {
            Some(record) => Some((opened(record, head), None)),
            None => Some((Known::Intended(head.to_owned()), (run.due() == Due::Resolution).then(|| (*run).clone()))),
        }
    });
    let mut all: Vec<_> =
        if open.is_some() { recorded.into_iter().chain(unrecorded).collect() } else { unrecorded.chain(recorded).collect() };
    if all.is_empty() {
        all.push((Known::Nothing, None));
    }
    all
}
