//! The proposals that are open by the ledger, and what has become of their places.

use std::collections::{BTreeMap, BTreeSet};

use trueup_core::finding::{FindingId, Place, Subject};
use trueup_core::object::TargetName;
use trueup_core::policy::Remedy;
use trueup_core::run::{Due, Effect, Proposal as Record, Run, RunId, Standing};

use super::{Verdict, Verdicts, Wanted, wanted};
use crate::act::episodes::{Now, now};
use crate::target::Judged;

/// A proposal that is open by the ledger, or that may have been opened by a run that was cut off: a branch and its places.
#[derive(Debug, Clone, Default)]
pub(super) struct Open {
    pub(super) branch: String,
    /// What was recorded of each of its places.
    pub(super) records: Vec<Record>,
    /// Why trueup is about to close it, where it was cut off in that.
    pub(super) withdrawal: Option<String>,
    /// The last run of the branch, where it was cut off before it was known what came of it.
    pub(super) unresolved: Option<Run>,
}

impl Open {
    /// Its places; those that an interrupted run may have put into it, too.
    pub(super) fn places(&self) -> BTreeSet<Place> {
        let cut_off = self.unresolved.iter().flat_map(|run| &run.intent.places);
        self.records.iter().map(|record| &record.place).chain(cut_off).cloned().collect()
    }

    pub(super) fn has(&self, place: &Place) -> bool {
        self.places().contains(place)
    }

    /// What it proposes, as recorded.
    pub(super) fn findings(&self) -> Vec<FindingId> {
        let ids: BTreeSet<&FindingId> = self.records.iter().map(|record| &record.fingerprint).collect();
        ids.into_iter().cloned().collect()
    }

    /// The runs that its records are of.
    pub(super) fn runs(&self) -> Vec<RunId> {
        let runs: BTreeSet<&RunId> = self.records.iter().map(|record| &record.run).collect();
        runs.into_iter().cloned().collect()
    }

    /// What it asks for, where that is on record.
    pub(super) fn remedy(&self) -> Option<Remedy> {
        let record = self.records.first()?;
        Some(if record.approval.is_some() { Remedy::Restore } else { Remedy::Adopt })
    }

    pub(super) fn record(&self, place: &Place) -> Option<&Record> {
        self.records.iter().find(|record| record.place == *place)
    }

    pub(super) fn subject(&self, place: &Place) -> Option<&Subject> {
        let recorded = self.record(place).and_then(|record| record.subject.as_deref());
        // A run with one place says what it is in.
        let cut_off = self.unresolved.as_ref().filter(|run| run.intent.places[..] == [place.clone()]);
        recorded.or(cut_off.map(|run| &run.intent.subject))
    }
}

/// The branch of a proposal's run.
pub(super) fn branch_of(run: &Run) -> Option<&str> {
    match &run.intent.effect {
        Effect::PullRequest { branch, .. } => Some(branch),
        Effect::Patch(_) => None,
    }
}

/// The open proposals of a target, in the order of their branches.
pub(super) fn of(standing: &Standing, runs: &[Run], target: &TargetName) -> Vec<Open> {
    let mut open: BTreeMap<String, Open> = BTreeMap::new();
    for record in standing.proposals_of(target) {
        let entry = open.entry(record.branch.clone()).or_default();
        entry.records.push(record.clone());
        let run = runs.iter().find(|run| run.intent.run == record.run);
        entry.withdrawal = entry.withdrawal.take().or(run.and_then(|run| run.withdrawal.clone()));
    }
    for run in runs.iter().filter(|run| run.intent.target == *target && run.due() == Due::Resolution) {
        if let Some(branch) = branch_of(run) {
            open.entry(branch.to_owned()).or_default().unresolved = Some(run.clone());
        }
    }
    open.into_iter().map(|(branch, open)| Open { branch, ..open }).collect()
}

/// The branches of all targets' proposals that are open, or may be.
pub(super) fn branches(standing: &Standing, runs: &[Run]) -> BTreeSet<String> {
    let recorded = standing.proposals().values().map(|record| record.branch.clone());
    let cut_off = runs.iter().filter(|run| run.due() == Due::Resolution).filter_map(branch_of).map(str::to_owned);
    recorded.chain(cut_off).collect()
}

/// What has become of a place of an open proposal.
pub(super) enum Member<'a> {
    /// Its finding is still to be proposed.
    Wanted(Wanted<'a>),
    /// Nothing tells, or something else is done about it: the proposal stays as it is.
    Waits(String),
    /// It is no longer to be proposed.
    Over(String),
}

/// What has become of a place.
pub(super) fn member_of<'a>(
    judged: &'a Judged,
    verdicts: &'a Verdicts,
    (place, subject): (&Place, Option<&Subject>),
    about_all: bool,
) -> Member<'a> {
    let each = judged.cases.iter().flat_map(|case| case.findings.iter().map(move |finding| (case, finding)));
    for (case, finding) in each {
        if finding.place != *place {
            continue;
        }
        return match (wanted(case, finding, verdicts), verdicts.get(&finding.id)) {
            (Some(wanted), _) => Member::Wanted(wanted),
            (None, Some(Verdict::Over(why))) if about_all => Member::Over(why.clone()),
            (None, Some(Verdict::Waits(why) | Verdict::Over(why))) => Member::Waits(why.clone()),
            (None, Some(Verdict::Propose(..)) | None) => Member::Waits("not asked for in this round".to_owned()),
        };
    }
    match now(judged, subject) {
        Now::True if about_all => Member::Over("seen true again: live and Git agree".to_owned()),
        Now::Gone(why) if about_all => Member::Over(why.to_owned()),
        Now::True | Now::Gone(_) => Member::Waits("not asked for in this round".to_owned()),
        Now::Unseen => Member::Waits("what it is about was not seen in this round".to_owned()),
    }
}
