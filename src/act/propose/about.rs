//! What a proposal is about.

use trueup_core::finding::{Finding, FindingId};
use trueup_core::policy::Remedy;
use trueup_core::run::{Effect, Intent, PlanProposal, RunId};

use super::open::Open;
use super::reported;
use crate::act::Acting;
use crate::report::RunReport;
use crate::review;
use crate::source::CommitId;

/// A branch, what is open on it by the ledger, and the findings that it is to be about now.
pub(super) struct About<'a> {
    pub(super) branch: &'a str,
    pub(super) open: Option<&'a Open>,
    pub(super) remedy: Remedy,
    pub(super) findings: &'a [Finding],
}

impl About<'_> {
    fn ids(&self) -> Vec<&FindingId> {
        self.findings.iter().map(|finding| &finding.id).collect()
    }

    /// Whether the open proposal is about other values or places than these.
    pub(super) fn has_moved(&self) -> bool {
        let now = review::fingerprint(self.ids());
        self.open.is_some_and(|open| review::fingerprint(&open.findings()) != now)
    }

    pub(super) fn report(&self, status: &str) -> RunReport {
        let mut reasons: Vec<String> = Vec::new();
        for reason in self.findings.iter().flat_map(|finding| &finding.reasons) {
            if !reasons.contains(reason) {
                reasons.push(reason.clone());
            }
        }
        reported(status, self.ids(), &reasons)
    }

    pub(super) fn plan(&self, (acting, decided): (Acting<'_>, u64), run: &RunId, commit: &CommitId) -> PlanProposal {
        let first = &self.findings[0].difference;
        let path = |finding: &Finding| {
            let Finding { difference, .. } = finding;
            let of = if difference.subject == first.subject { String::new() } else { format!(" of {}", difference.subject) };
            format!("{}{of}", difference.path())
        };
        let mut classes: Vec<String> = self.findings.iter().filter_map(|finding| finding.class.clone()).collect();
        classes.sort();
        classes.dedup();
        PlanProposal::of(Intent {
            run: run.clone(),
            target: first.target.clone(),
            subject: first.subject.clone(),
            findings: self.findings.iter().map(|finding| finding.id.clone()).collect(),
            places: self.findings.iter().map(|finding| finding.place.clone()).collect(),
            paths: self.findings.iter().map(path).collect(),
            classes,
            policy_digest: acting.policy.digest.clone(),
            commit: acting.pinned.commit.to_string(),
            decided: Some(decided),
            effect: Effect::PullRequest { branch: self.branch.to_owned(), head_commit: commit.to_string() },
            reasons: self.report("").reasons,
        })
    }
}
