//! Where an episode has ended: what was told to people or denied by them there counts no more, and may be told again.

use std::collections::BTreeSet;

use jiff::Timestamp;
use trueup_core::facts::Pair;
use trueup_core::finding::Place;
use trueup_core::run::{Entry, EpisodeEnd};

use crate::ledger::{Ledger, LedgerError};
use crate::target::Judged;

/// Ends the episodes of a target's places that are true again. A target that was not wholly seen tells nothing.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn end_episodes(ledger: &Ledger, judged: &Judged) -> Result<(), LedgerError> {
    if !is_wholly_seen(judged) {
        return Ok(());
    }
    let drifting: BTreeSet<&Place> = judged.findings().map(|finding| &finding.place).collect();
    let standing = ledger.standing().await?;
    let places: Vec<Place> = standing.episodes_of(&judged.name).filter(|place| !drifting.contains(place)).cloned().collect();
    if places.is_empty() {
        return Ok(());
    }
    ledger.append(&Entry::EpisodeEnded { places, end: EpisodeEnd::SeenTrue }, Timestamp::now()).await.map(drop)
}

fn is_wholly_seen(judged: &Judged) -> bool {
    let unseen = judged.cases.iter().any(|case| matches!(case.pair, Some(Pair::Unseen(..))));
    !unseen && !judged.cases.is_empty() && !judged.problems.iter().any(|problem| problem.blinds)
}
