//! Step 8 for proposals: a merged one is verified when each of its places was seen true.

use jiff::Timestamp;
use trueup_core::finding::Place;
use trueup_core::run::{Due, Entry, Outlook, Run};

use super::is_asked_for_all;
use super::open::branch_of;
use crate::act::Acting;
use crate::act::episodes::{Now, now};
use crate::ledger::LedgerError;
use crate::target::Judged;

/// Records that merged proposals have settled. What still differs may not be in the pinned commit yet, or is found anew.
pub(super) async fn verify_merged(acting: Acting<'_>, judged: &Judged, runs: &[Run]) -> Result<(), LedgerError> {
    if !is_asked_for_all(acting) {
        return Ok(());
    }
    let merged = runs.iter().filter(|run| branch_of(run).is_some() && run.due() == Due::Verification);
    for run in merged.filter(|run| run.intent.target == judged.name) {
        let is_settled = |place: &Place| {
            let drifts = judged.findings().any(|finding| finding.place == *place);
            let subject = run.proposals.get(place).and_then(|record| record.subject.as_deref());
            !drifts && !matches!(now(judged, subject), Now::Unseen)
        };
        if run.intent.places.iter().all(is_settled) {
            let entry = Entry::Verification { run: run.intent.run.clone(), outlook: Outlook::Settled, why: None };
            acting.ledger.append(&entry, Timestamp::now()).await?;
        }
    }
    Ok(())
}
