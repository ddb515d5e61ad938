//! What a branch may hold by the ledger.

use trueup_core::run::{Due, Effect, Proposal as Record, Run};

use super::open::{Open, branch_of};
use crate::review::{self, Known};

/// The commit that a run puts on its branch.
pub(super) fn head(run: &Run) -> Option<&str> {
    match &run.intent.effect {
        Effect::PullRequest { head_commit, .. } => Some(head_commit),
        Effect::Patch(_) => None,
    }
}

/// The runs of a branch, the oldest first.
pub(super) fn runs_of<'a>(branch: &str, runs: &'a [Run]) -> Vec<&'a Run> {
    runs.iter().filter(|run| branch_of(run) == Some(branch)).collect()
}

/// What the branch may hold, the likeliest first, with the run that was cut off if it was that one's: the head that was
/// recorded last, or one that was pushed and then not recorded.
pub(super) fn known<'a>(open: Option<&Open>, earlier: &[&'a Run]) -> Vec<(Known, Option<&'a Run>)> {
    let recorded = earlier.iter().rposition(|run| !run.proposals.is_empty());
    let last = recorded.and_then(|at| earlier[at].proposals.values().next());
    let unrecorded = earlier.iter().skip(recorded.map_or(0, |at| at + 1)).rev().take(3);
    let open = open.filter(|open| !open.records.is_empty());
    // What an ended proposal was about is no answer to the next one.
    let fingerprint = open.map(|open| review::fingerprint(&open.findings())).unwrap_or_default();
    let opened = |record: &Record, head: &str| Known::Opened {
        identity: review::Identity { number: record.number, author: record.author.clone() },
        head: head.to_owned(),
        fingerprint: fingerprint.clone(),
    };
    let record = open.and_then(newest).or(last);
    let recorded = record.map(|record| (opened(record, &record.head_commit), None));
    let after = earlier.iter().flat_map(|run| run.proposals.values()).map(|record| record.number).max().unwrap_or_default();
    let is_cut_off = earlier.iter().any(|run| run.due() == Due::Resolution);
    let unrecorded = unrecorded.filter_map(|run| {
        let head = head(run)?;
        // Where no run was cut off, nothing was opened since the last record, and what that one is of has ended.
        match open.and_then(newest).or(last.filter(|_| !is_cut_off)) {
            Some(record) => Some((opened(record, head), None)),
            None => Some((Known::Intended { head: head.to_owned(), after }, (run.due() == Due::Resolution).then_some(*run))),
        }
    });
    let mut all: Vec<_> =
        if open.is_some() { recorded.into_iter().chain(unrecorded).collect() } else { unrecorded.chain(recorded).collect() };
    if all.is_empty() {
        all.push((Known::Nothing, None));
    }
    all
}

/// The record of the run that wrote the branch last; runs sort by when they began.
pub(super) fn newest(open: &Open) -> Option<&Record> {
    open.records.iter().max_by(|one, other| one.run.cmp(&other.run))
}
