//! Episodes that are over: a place that is seen to be true again may be proposed, escalated and corrected anew.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_core::facts::Pair;
use trueup_core::finding::{FindingId, Place};
use trueup_core::run::{Entry, EpisodeEnd, Standing};

use crate::ledger::{Ledger, LedgerError};
use crate::round::Round;
use crate::session::{Scope, Session};
use crate::source::Revision;
use crate::target::Judged;

/// Ends what is over by this round's look: denials and escalations where nothing differs any more, and holds whose values
/// are gone. A look that did not see all there is, or at another revision than the source's own, ends nothing.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn end(session: &Session, round: &Round, ledger: &Ledger) -> Result<(), LedgerError> {
    let whole = session.scope == Scope::Whole && session.revision == Revision::Reference;
    if !whole || !round.targets.iter().all(is_seen) {
        return Ok(());
    }
    let findings = round.targets.iter().flat_map(Judged::findings);
    let found = findings.map(|finding| (&finding.place, &finding.id)).collect();
    for entry in over(&ledger.standing().await?, &found) {
        ledger.append(&entry, Timestamp::now()).await?;
    }
    Ok(())
}

/// Whether all that Git declares of a target was seen.
fn is_seen(judged: &Judged) -> bool {
    let unseen = judged.cases.iter().any(|case| matches!(case.pair, Some(Pair::Unseen(..))));
    !unseen && !judged.problems.iter().any(|problem| problem.blinds)
}

fn over(standing: &Standing, found: &BTreeMap<&Place, &FindingId>) -> Vec<Entry> {
    let mut ended: Vec<Place> = standing.denied().keys().chain(standing.escalated().keys()).cloned().collect();
    ended.sort();
    ended.dedup();
    ended.retain(|place| !found.contains_key(place));
    let is_held =
        |(place, hold): &(&Place, &trueup_core::run::Hold)| found.get(place).is_some_and(|id| hold.findings.contains(id));
    let resumed: Vec<Place> = standing.holds().iter().filter(|held| !is_held(held)).map(|(place, _)| place.clone()).collect();
    let mut entries = Vec::new();
    if !ended.is_empty() {
        entries.push(Entry::EpisodeEnded { places: ended, end: EpisodeEnd::SeenTrue });
    }
    if !resumed.is_empty() {
        entries.push(Entry::Resume { places: resumed, reason: "Git or a person has changed what was held".to_owned() });
    }
    entries
}
