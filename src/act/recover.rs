//! What an earlier process left unfinished: a run whose effect is not known is resolved by reading, and one that nobody has
//! looked at since is looked at.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_core::facts::{Live, Pair};
use trueup_core::finding::Subject;
use trueup_core::object::ObjectId;
use trueup_core::patch::changes_nothing;
use trueup_core::run::{Due, Effect, Entry, Outcome, Outlook, PatchEffect, Run, RunId};

use super::correct::{Resolution, resolve};
use crate::ledger::{Ledger, LedgerError};
use crate::target::{Judged, Sent};

/// What came of looking after unfinished runs.
#[derive(Debug, Default)]
pub struct Recovered {
    /// How many records were made.
    pub records: usize,
    /// Objects on which a run's effect is still not known, each with that run.
    pub unresolved: BTreeMap<ObjectId, RunId>,
}

/// Completes the unfinished patches of one target. What cannot be told stays as it is, and is asked again next round.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn recover(ledger: &Ledger, judged: &Judged, now: Timestamp) -> Result<Recovered, LedgerError> {
    let mut recovered = Recovered::default();
    for run in ledger.runs().await?.iter().filter(|run| run.intent.target == judged.name) {
        let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { continue };
        let entries = match run.due() {
            Due::Nothing | Due::Fate => continue,
            Due::Resolution | Due::Verification => completed(judged, run, (id, effect), now).await,
        };
        if entries.is_empty() && run.due() == Due::Resolution {
            recovered.unresolved.insert(id.clone(), run.intent.run.clone());
        }
        for entry in entries {
            ledger.append(&entry, Timestamp::now()).await?;
            recovered.records += 1;
        }
    }
    Ok(recovered)
}

/// The records that a reading of its object adds to a run; none where it tells nothing.
async fn completed(judged: &Judged, run: &Run, (id, effect): (&ObjectId, &PatchEffect), now: Timestamp) -> Vec<Entry> {
    let name = || run.intent.run.clone();
    let live = match judged.reach.read(id).await {
        Ok(live) => live,
        Err(error) => {
            tracing::warn!(run = %run.intent.run, error, "what came of it is still not known");
            return Vec::new();
        }
    };
    let verification = |outlook| Entry::Verification { run: name(), outlook };
    if run.due() == Due::Verification {
        return vec![verification(outlook(judged, run, (id, effect), live.as_ref()))];
    }
    let may_still_land = judged.reach.may_still_land(run.begun, now);
    let outcome = match live.clone().map(|live| resolve(live, effect, may_still_land)) {
        None => Outcome::Void { reason: "the object is gone".to_owned() },
        Some(Resolution::TooEarly) => return Vec::new(),
        Some(Resolution::MovedOn) => {
            Outcome::Void { reason: "read again: the object moved on without this write's values".to_owned() }
        }
        Some(Resolution::Was(Sent::Applied(live))) => Outcome::Applied { resource_version: live.resource_version },
        Some(Resolution::Was(
            Sent::Conflict(reason) | Sent::Refused(reason) | Sent::Inadmissible(reason) | Sent::Unanswered(reason),
        )) => Outcome::Void { reason },
    };
    let applied = matches!(outcome, Outcome::Applied { .. });
    let mut entries = vec![Entry::Outcome { run: name(), outcome }];
    entries.extend(applied.then(|| verification(outlook(judged, run, (id, effect), live.as_ref()))));
    entries
}

/// What became of a write since: its values are there, or this round's look finds nothing at its places.
fn outlook(judged: &Judged, run: &Run, (id, effect): (&ObjectId, &PatchEffect), live: Option<&Live>) -> Outlook {
    let Some(live) = live.filter(|live| live.uid == effect.uid) else { return Outlook::Drifting };
    let is_true = judged.case_of(id).is_some_and(|case| {
        let seen = matches!(case.pair, Some(Pair::Matched(_)));
        seen && !case.findings.iter().any(|finding| run.intent.places.contains(&finding.place))
    });
    if is_true || changes_nothing(&live.value, &effect.patch) { Outlook::Settled } else { Outlook::Drifting }
}
