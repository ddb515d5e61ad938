//! Where an episode has ended: what was told to people or denied by them there counts no more, and may be told again.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_core::facts::Pair;
use trueup_core::finding::{FindingId, Place, Subject};
use trueup_core::run::{Entry, EpisodeEnd, Hold, Standing};

use crate::ledger::{Ledger, LedgerError};
use crate::target::Judged;

/// Ends the episodes of a target's places that are true again, and the holds of values that are gone. A target that was not wholly seen tells nothing;
/// nor does the look at it of what began after it, as a hold of what this very round took back: `before` is how things stood then.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn end_episodes(ledger: &Ledger, judged: &Judged, before: &Standing) -> Result<(), LedgerError> {
    if !is_wholly_seen(judged) {
        return Ok(());
    }
    let drifting: BTreeMap<&Place, &FindingId> = judged.findings().map(|finding| (&finding.place, &finding.id)).collect();
    let standing = ledger.standing().await?;
    let was_running = |place: &&Place| before.episodes_of(&judged.name).any(|known| known == *place);
    let was_held = |(place, hold): &(&Place, &Hold)| before.holds().get(*place) == Some(*hold);
    let ended = standing.episodes_of(&judged.name).filter(|place| !drifting.contains_key(place));
    let ended = ended.filter(was_running).cloned().collect();
    let is_held = |place: &Place, hold: &Hold| drifting.get(place).is_some_and(|id| hold.findings.contains(id));
    let freed = standing.holds_of(&judged.name).filter(was_held).filter(|(place, hold)| !is_held(place, hold));
    let freed = freed.map(|(place, _)| place.clone());
    append(ledger, ended, |places| Entry::EpisodeEnded { places, end: EpisodeEnd::SeenTrue }).await?;
    let reason = "Git or a person has changed what was held".to_owned();
    append(ledger, freed.collect(), |places| Entry::Resume { places, reason }).await
}

async fn append(ledger: &Ledger, places: Vec<Place>, entry: impl FnOnce(Vec<Place>) -> Entry) -> Result<(), LedgerError> {
    if places.is_empty() {
        return Ok(());
    }
    ledger.append(&entry(places), Timestamp::now()).await.map(drop)
}

/// Whether nothing of a target was hidden from this round.
fn is_wholly_seen(judged: &Judged) -> bool {
    let unseen = judged.cases.iter().any(|case| matches!(case.pair, Some(Pair::Unseen(..))));
    !unseen && !judged.cases.is_empty() && !judged.problems.iter().any(|problem| problem.blinds)
}

/// What was seen of a place without a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// It is as Git declares it.
    True,
    /// There is nothing to compare any more.
    Gone(&'static str),
    /// Nothing tells.
    Unseen,
}

/// What was seen of an object or output at whose place nothing was found.
#[must_use]
pub fn now(judged: &Judged, subject: Option<&Subject>) -> Now {
    let whole = is_wholly_seen(judged);
    let case = match subject {
        Some(Subject::Object(id)) => judged.case_of(id),
        Some(Subject::Output(_)) | None if whole => return Now::True,
        Some(Subject::Output(_)) | None => return Now::Unseen,
    };
    match case.and_then(|case| case.pair.as_ref()) {
        Some(Pair::Matched(_)) => Now::True,
        Some(Pair::Missing(_)) => Now::Gone("the object is no longer there"),
        None if whole => Now::Gone("Git no longer declares the object"),
        Some(Pair::Skipped(..) | Pair::Unseen(..)) | None => Now::Unseen,
    }
}
