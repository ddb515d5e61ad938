//! What people have approved: files on the pinned commit that were merged, as requests into the decision.

use jiff::Timestamp;
use trueup_core::decide::Request;
use trueup_core::facts::Problem;
use trueup_core::run::{Effect, Run, RunStatus};

use super::episodes::{Now, now};
use crate::config::Settings;
use crate::ledger::{Ledger, LedgerError};
use crate::review::approval::{self, Merged, Seen, Worth, note, worth};
use crate::source::Pinned;
use crate::target::Judged;

/// The approvals of one target.
#[derive(Debug, Default)]
pub struct Approvals {
    /// What is asked of the decision.
    pub requests: Vec<Request>,
    /// Files that will never count again: the next proposal removes them.
    pub over: Vec<String>,
}

/// What is written on the pinned commit, each approval judged by what the target is now; one that approves nothing is a
/// problem of the target.
///
/// # Errors
/// When the ledger cannot be read.
pub async fn approvals(pinned: &Pinned, ledger: Option<&Ledger>, judged: &mut Judged) -> Result<Approvals, LedgerError> {
    let (merged, _) = approval::on_commit(pinned);
    let own: Vec<&Merged> = merged.iter().filter(|merged| merged.approval.target == judged.name).collect();
    let mut approvals = Approvals::default();
    if own.is_empty() {
        return Ok(approvals);
    }
    let runs = match ledger {
        Some(ledger) => ledger.runs().await?,
        None => Vec::new(),
    };
    for merged in own {
        let mut found = worth(merged, seen(judged, merged), &runs, Timestamp::now());
        if let (Worth::Asks(_), Some(run)) = (&found, acted_on(merged, &runs)) {
            let why =
                format!("run {} has acted on it, so it approves nothing more; what differs now is proposed anew", run.intent.run);
            found = Worth::Void { code: "approval-used", why, is_over: true };
        }
        match found {
            Worth::Asks(restore) => approvals.requests.push(Request::Restore(restore)),
            Worth::Used => approvals.over.push(merged.file.clone()),
            Worth::Unseen => {}
            Worth::Void { code, why, is_over } => {
                judged.problems.push(note(code, &merged.file, 1, format!("the approval of `{}`: {why}", merged.approval.path)));
                approvals.over.extend(is_over.then(|| merged.file.clone()));
            }
        }
    }
    Ok(approvals)
}

/// What is no approval of any target, told once for all of them.
#[must_use]
pub fn unplaced(pinned: &Pinned, settings: &Settings) -> Vec<Problem> {
    let (merged, mut problems) = approval::on_commit(pinned);
    // Of some targets alone nothing tells which others there are.
    if settings.targets.len() == settings.targets_in_file {
        let is_foreign = |merged: &&Merged| settings.targets.iter().all(|target| target.name != merged.approval.target);
        problems.extend(merged.iter().filter(is_foreign).map(|merged| {
            let target = &merged.approval.target;
            note(
                "approval-foreign",
                &merged.file,
                1,
                format!("it names the target `{target}`, which is not in trueup.toml: it approves nothing"),
            )
        }));
    }
    problems
}

fn seen<'a>(judged: &'a Judged, merged: &Merged) -> Seen<'a> {
    let approval = &merged.approval;
    if let Some(finding) = judged.findings().find(|finding| finding.place == approval.place) {
        return Seen::Drifts(finding);
    }
    let subject = trueup_core::finding::Subject::Object(approval.object.clone());
    match now(judged, Some(&subject)) {
        Now::True | Now::Gone(_) => Seen::True,
        Now::Unseen => Seen::Unseen,
    }
}

/// The patch that went to an approval's place since it was proposed: consent is for once.
fn acted_on<'a>(merged: &Merged, runs: &'a [Run]) -> Option<&'a Run> {
    let place = &merged.approval.place;
    let is_its = |run: &Run| {
        let record = run.proposals.get(place);
        record.is_some_and(|record| record.approval.as_ref() == Some(&merged.digest))
    };
    let proposed = runs.iter().rposition(is_its)?;
    let went_out = |run: &&Run| {
        let is_patch = matches!(run.intent.effect, Effect::Patch(_)) && run.intent.places.contains(place);
        let is_void = matches!(run.status, RunStatus::Void { .. } | RunStatus::Refused { .. } | RunStatus::Inadmissible { .. });
        is_patch && !is_void
    };
    runs[proposed..].iter().find(went_out)
}
