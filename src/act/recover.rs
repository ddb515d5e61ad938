//! What an earlier process left unfinished: a run whose effect is not known is resolved by reading.

use jiff::Timestamp;
use trueup_core::finding::Subject;
use trueup_core::run::{Effect, Entry, Outcome};

use super::correct::resolve;
use crate::ledger::{Ledger, LedgerError};
use crate::target::{Judged, Sent};

/// Resolves the unfinished patches of one target. What cannot be read stays as it is, and is asked again next round.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn recover(ledger: &Ledger, judged: &Judged) -> Result<(), LedgerError> {
    for run in ledger.unfinished().await? {
        let (Subject::Object(id), Effect::Patch(effect)) = (&run.intent.subject, &run.intent.effect) else { continue };
        if run.intent.target != judged.name {
            continue;
        }
        let sent = match judged.reach.read(id).await {
            Ok(Some(live)) => resolve(live, effect.uid.as_deref(), effect.resource_version.as_deref(), &effect.patch),
            Ok(None) => Some(Sent::Conflict("the object is gone".to_owned())),
            Err(error) => {
                tracing::warn!(run = %run.intent.run, error, "its effect is still not known");
                continue;
            }
        };
        let outcome = match sent {
            Some(Sent::Applied(live)) => Outcome::Applied { resource_version: live.resource_version },
            Some(Sent::Conflict(reason) | Sent::Refused(reason) | Sent::Unanswered(reason)) => Outcome::Void { reason },
            None => Outcome::Void { reason: "read again: the object moved on without this write's values".to_owned() },
        };
        ledger.append(&Entry::Outcome { run: run.intent.run.clone(), outcome }, Timestamp::now()).await?;
    }
    Ok(())
}
