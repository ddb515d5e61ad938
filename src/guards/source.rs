//! Rounds follow the source forward only: a history that was rewritten stops every effect until a person accepts it.

use jiff::Timestamp;
use trueup_core::facts::Problem;
use trueup_core::run::{Entry, Pin, Standing};

use crate::ledger::{Ledger, LedgerError};
use crate::source::history::{Moved, moved, tip};
use crate::source::{CommitId, Pinned};

/// How the source's reference stands to the commit by which rounds acted last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Onward {
    /// There is none yet, or it descends from that one.
    Forward,
    /// It is that one, or there is nothing to go by: the files on disk have no history.
    Same,
    /// It does not descend from that one.
    Rewritten(CommitId),
    /// That cannot be told, and why.
    Unknown(String),
}

/// How the source moved since rounds acted last.
#[must_use]
pub fn onward(standing: &Standing, pinned: &Pinned) -> Onward {
    if !pinned.is_fixed() {
        return Onward::Same;
    }
    let Some(last) = standing.last_commit(&pinned.name, &pinned.reference) else { return Onward::Forward };
    let moved = last.parse().and_then(|last: CommitId| Ok((moved(pinned, &last)?, last)));
    match moved {
        Ok((Moved::Same, _)) => Onward::Same,
        Ok((Moved::Forward, _)) => Onward::Forward,
        Ok((Moved::Rewritten, last)) => Onward::Rewritten(last),
        Err(error) => Onward::Unknown(error.to_string()),
    }
}

/// Why nothing is done by this source now; `None` where nothing speaks against it.
pub(super) fn stopped(standing: &Standing, pinned: &Pinned) -> Option<String> {
    let (reference, tip) = (&pinned.reference, tip(pinned));
    match onward(standing, pinned) {
        Onward::Forward | Onward::Same => None,
        Onward::Rewritten(last) => Some(format!(
            "the history of `{reference}` was rewritten: {tip} does not descend from {last}, by which trueup acted last; look \
             at what changed, then accept it with `trueup resume --source --because \"…\"`"
        )),
        Onward::Unknown(error) => {
            let last = standing.last_commit(&pinned.name, &pinned.reference).unwrap_or_default();
            Some(format!(
                "whether {tip} of `{reference}` descends from {last}, by which trueup acted last, cannot be told: {error}"
            ))
        }
    }
}

/// The same as a problem, for reports.
#[must_use]
pub fn problem(standing: &Standing, pinned: &Pinned) -> Option<Problem> {
    let why = stopped(standing, pinned)?;
    Some(Problem::note("source-rewritten", format!("nothing is written or proposed: {why}"), None))
}

/// Records the commit by which this round acts, where it is another one than before, and it went forward.
///
/// # Errors
/// When the ledger cannot be read or appended to.
pub async fn pin(ledger: &Ledger, pinned: &Pinned) -> Result<(), LedgerError> {
    let standing = ledger.standing().await?;
    if onward(&standing, pinned) != Onward::Forward {
        return Ok(());
    }
    let Pinned { name, reference, .. } = pinned;
    let pin = Pin { source: name.clone(), reference: reference.clone(), commit: tip(pinned).to_string() };
    ledger.append(&Entry::Pin(pin), Timestamp::now()).await.map(drop)
}
