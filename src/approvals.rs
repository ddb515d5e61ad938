//! What people have approved: files on the pinned commit that were merged, as requests into the decision.

use jiff::Timestamp;
use trueup_core::decide::Request;
use trueup_core::facts::Problem;
use trueup_core::run::{Effect, Run, RunStatus};

use crate::act::{Now, now};
use crate::config::Settings;
use crate::ledger::Ledger;
use crate::review::approval::{self, Approved, Merged, Seen, Worth, note, worth};
use crate::session::Session;
use crate::source::Pinned;
use crate::target::Judged;

/// Judges what is written on the pinned commit, each approval by what its target is now. One that approves nothing is a
/// problem of its target, or of none, which is returned.
pub async fn judge(session: &Session, pinned: &Pinned, targets: &mut [Judged]) -> Vec<Problem> {
    let (merged, mut problems) = approval::on_commit(pinned);
    if merged.is_empty() {
        return problems;
    }
    problems.extend(foreign(&merged, &session.settings));
    let runs = match Ledger::open_if_there(&session.ledger).await {
        Ok(Some(ledger)) => ledger.runs().await,
        Ok(None) => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    // Without the ledger nothing tells what was proposed; that it cannot be read is told by whoever needs it.
    let Ok(runs) = runs else { return problems };
    for judged in targets {
        let own: Vec<&Merged> = merged.iter().filter(|merged| merged.approval.target == judged.name).collect();
        for merged in own {
            judge_one(judged, merged, &runs);
        }
    }
    problems
}

fn judge_one(judged: &mut Judged, merged: &Merged, runs: &[Run]) {
    let mut found = worth(merged, seen(judged, merged), runs, Timestamp::now());
    if let (Worth::Asks(_), Some(run)) = (&found, acted_on(merged, runs)) {
        let why =
            format!("run {} has acted on it, so it approves nothing more; what differs now is proposed anew", run.intent.run);
        found = Worth::Void { code: "approval-used", why, is_over: true };
    }
    let Approved { requests, over } = &mut judged.approved;
    match found {
        Worth::Asks(restore) => requests.push(Request::Restore(restore)),
        Worth::Used => over.push(merged.file.clone()),
        Worth::Unseen => {}
        Worth::Void { code, why, is_over } => {
            judged.problems.push(note(code, &merged.file, 1, format!("the approval of `{}`: {why}", merged.approval.path)));
            over.extend(is_over.then(|| merged.file.clone()));
        }
    }
}

/// Approvals of targets that there are none of.
fn foreign(merged: &[Merged], settings: &Settings) -> Vec<Problem> {
    // Of some targets alone nothing tells which others there are.
    if settings.targets.len() != settings.targets_in_file {
        return Vec::new();
    }
    let is_foreign = |merged: &&Merged| settings.targets.iter().all(|target| target.name != merged.approval.target);
    let problem = |merged: &Merged| {
        let target = &merged.approval.target;
        let message = format!("it names the target `{target}`, which is not in trueup.toml: it approves nothing");
        note("approval-foreign", &merged.file, 1, message)
    };
    merged.iter().filter(is_foreign).map(problem).collect()
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
