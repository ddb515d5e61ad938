//! Rounds follow a Terraform state forward only: an older one, or another in its place, tells nothing of what is true now.

use jiff::Timestamp;
use trueup_core::facts::Problem;
use trueup_core::run::{Entry, Standing, StateSeen};
use trueup_terraform::state::{Edition, State, StateError};

use crate::ledger::{Ledger, LedgerError};
use crate::target::{Judged, Reach};

/// A state as the ledger keeps it.
#[must_use]
pub fn seen(judged: &Judged, state: &State) -> StateSeen {
    let Edition { lineage, serial } = state.edition();
    StateSeen { target: judged.name.clone(), state: state.location.clone(), lineage, serial }
}

/// Why a target's state does not follow the last one by which it was judged; `None` where it does, or there is no state.
#[must_use]
pub fn went_back(standing: &Standing, judged: &Judged) -> Option<StateError> {
    let Reach::State(state) = &judged.reach else { return None };
    let last = standing.last_state(&judged.name, &state.location)?;
    state.refuse_before(&Edition { lineage: last.lineage.clone(), serial: last.serial }).err()
}

/// Takes back what was judged by a state that does not follow the last one: its target is unknown.
pub fn refuse_before(standing: &Standing, targets: &mut [Judged]) {
    for judged in targets {
        let Some(error) = went_back(standing, judged) else { continue };
        let message = format!("{error}; or accept it with `trueup resume --target {} --because \"…\"`", judged.name);
        judged.cases.clear();
        judged.problems.push(Problem::blind("state-went-back", message, None));
    }
}

/// Records the state by which a target is judged in this round, where it is another one than before and follows it.
///
/// # Errors
/// When the ledger cannot be appended to.
pub async fn record(ledger: &Ledger, standing: &Standing, judged: &Judged) -> Result<(), LedgerError> {
    let Reach::State(state) = &judged.reach else { return Ok(()) };
    let seen = seen(judged, state);
    let is_known = standing.last_state(&judged.name, &seen.state) == Some(&seen);
    if is_known || went_back(standing, judged).is_some() {
        return Ok(());
    }
    ledger.append(&Entry::State(seen), Timestamp::now()).await.map(drop)
}
