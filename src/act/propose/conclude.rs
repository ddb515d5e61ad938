//! What the ledger keeps of an offer, and what people are told of it.

use jiff::Timestamp;
use trueup_core::finding::Finding;
use trueup_core::run::{Entry, Fate, Outcome, Proposal as Record, RunId};

use super::open::Open;
use super::restore::approval_in;
use crate::act::Acting;
use crate::failpoint;
use crate::ledger::LedgerError;
use crate::report::RunReport;
use crate::review::forge::Failed;
use crate::review::{self, Identity, Opened, Standing};

/// The run of an offer, the proposal that was open before it, or the run that was cut off before it was recorded.
pub(super) struct End<'a> {
    pub(super) run: &'a RunId,
    pub(super) open: Option<&'a Open>,
    pub(super) interrupted: Option<Vec<Record>>,
    pub(super) same: bool,
}

pub(super) async fn conclude(
    acting: Acting<'_>,
    end: &End<'_>,
    (proposal, findings): (&review::Proposal, &[Finding]),
    offered: Result<Opened, Failed>,
    mut report: RunReport,
) -> Result<RunReport, LedgerError> {
    let (entries, status, reason) = match offered {
        Ok(opened) => {
            report.url.clone_from(&opened.url);
            entries(end, proposal, findings, &opened)
        }
        // The next round looks before it offers again.
        Err(Failed::Refused(reason) | Failed::Unanswered(reason) | Failed::Later(reason)) if end.same => {
            (Vec::new(), "not answered", Some(reason))
        }
        Err(Failed::Unanswered(reason)) => {
            let outcome = Outcome::Unknown { reason: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "unknown", Some(reason))
        }
        // Nobody has said no, so it does not count as refused.
        Err(Failed::Later(reason)) => {
            let outcome = Outcome::Void { reason: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "later", Some(reason))
        }
        Err(Failed::Refused(reason)) => {
            let outcome = Outcome::Refused { message: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "refused", Some(reason))
        }
    };
    for entry in entries {
        report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
        failpoint::reached("offer: recorded in part");
    }
    status.clone_into(&mut report.status);
    report.reasons.extend(reason);
    tracing::info!(run = %end.run, branch = proposal.branch, status, url = report.url, "proposed");
    Ok(report)
}

/// What the ledger keeps of one place of an open proposal.
fn record(run: &RunId, (proposal, opened): (&review::Proposal, &Opened), identity: &Identity, finding: &Finding) -> Record {
    Record {
        run: run.clone(),
        place: finding.place.clone(),
        branch: proposal.branch.clone(),
        base_commit: proposal.base_commit.clone(),
        head_commit: opened.head.clone().unwrap_or_default(),
        url: opened.url.clone().unwrap_or_default(),
        number: identity.number,
        author: identity.author.clone(),
        fingerprint: finding.id.clone(),
        approval: approval_in(&proposal.edits, finding),
        subject: Some(Box::new(finding.difference.subject.clone())),
    }
}

/// What the ledger keeps of an offer, and what people are told.
fn entries(
    end: &End<'_>,
    proposal: &review::Proposal,
    findings: &[Finding],
    opened: &Opened,
) -> (Vec<Entry>, &'static str, Option<String>) {
    match &opened.standing {
        Standing::Unchanged(_) if end.same => (Vec::new(), "unchanged", None),
        Standing::Created(identity) | Standing::Updated(identity) | Standing::Unchanged(identity) => {
            let created = matches!(opened.standing, Standing::Created(_));
            let mut entries: Vec<Entry> =
                findings.iter().map(|finding| Entry::Proposal(record(end.run, (proposal, opened), identity, finding))).collect();
            let replaced = end.open.map(Open::runs).unwrap_or_default().into_iter().filter(|run| run != end.run);
            let fate = || Fate::Replaced { by: end.run.clone() };
            entries.extend(replaced.map(|run| Entry::ProposalClosed { run, fate: fate() }));
            (entries, if created { "opened" } else { "updated" }, None)
        }
        Standing::Foreign(reason) if end.same => (Vec::new(), "foreign", Some(reason.clone())),
        Standing::Foreign(reason) => {
            let outcome = Outcome::Refused { message: reason.clone() };
            (vec![Entry::Outcome { run: end.run.clone(), outcome }], "foreign", Some(reason.clone()))
        }
        Standing::Denied(_) => (
            answered_by_people(end, &Fate::Denied),
            "denied",
            Some("closed unmerged: left as it is until live or Git moves".to_owned()),
        ),
        Standing::Merged(_) => {
            (answered_by_people(end, &Fate::Merged), "merged", Some("merged: the next round sees it in Git".to_owned()))
        }
    }
}

/// People have ended the proposal: that is recorded of the runs that it was of, and the offer's own run never happened.
fn answered_by_people(end: &End<'_>, fate: &Fate) -> Vec<Entry> {
    let mut entries = Vec::new();
    match (end.open, &end.interrupted) {
        (Some(open), _) => {
            entries.extend(open.runs().into_iter().map(|run| Entry::ProposalClosed { run, fate: fate.clone() }));
        }
        // It had been opened after all.
        (None, Some(records)) => {
            entries.extend(records.iter().cloned().map(Entry::Proposal));
            let run = records.first().map(|record| record.run.clone());
            entries.extend(run.map(|run| Entry::ProposalClosed { run, fate: fate.clone() }));
        }
        (None, None) => {}
    }
    if !end.same {
        let outcome = Outcome::Void { reason: "its branch's proposal had ended".to_owned() };
        entries.push(Entry::Outcome { run: end.run.clone(), outcome });
    }
    entries
}

#[cfg(test)]
mod tests;
