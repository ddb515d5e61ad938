//! What happened at each place before, as the runs tell it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{Effect, Outlook, Run, RunStatus};
use crate::finding::{Finding, History, Place};

/// What is older tells nothing of how things are now.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// What happened at each place in the last 30 days, as far back as the ledger goes.
#[derive(Debug, Clone, Default)]
pub struct Histories(BTreeMap<Place, History>);

impl Histories {
    /// By all runs. A correction counts once it is known that the target took it; what takes something back is none.
    #[must_use]
    pub fn of(runs: &[Run], now: Timestamp) -> Self {
        let mut histories: BTreeMap<Place, History> = BTreeMap::new();
        for run in runs.iter().filter(|run| now.duration_since(run.begun) <= REMEMBERED && is_correction(run)) {
            let Some(held) = has_held(&run.status) else { continue };
            for place in &run.intent.places {
                let history = histories.entry(place.clone()).or_default();
                history.corrections = history.corrections.saturating_add(1);
                history.failures = history.failures.saturating_add(u32::from(!held));
            }
        }
        Self(histories)
    }

    /// Tells a finding what happened at its place.
    pub fn tell(&self, finding: &mut Finding) {
        if let Some(history) = self.0.get(&finding.place) {
            finding.remember(*history);
        }
    }
}

fn is_correction(run: &Run) -> bool {
    match &run.intent.effect {
        Effect::Patch(effect) => effect.takes_back.is_none(),
        Effect::PullRequest { .. } => false,
    }
}

/// Whether what was written has held so far; `None` where it is not known to have been written.
fn has_held(status: &RunStatus) -> Option<bool> {
    match status {
        RunStatus::Applied { .. } | RunStatus::Verified(Outlook::Settled | Outlook::Pending | Outlook::Unseen) => Some(true),
        RunStatus::Verified(Outlook::Drifting | Outlook::Unhealthy) | RunStatus::Undone { .. } => Some(false),
        RunStatus::Intended(_)
        | RunStatus::Unknown { .. }
        | RunStatus::Void { .. }
        | RunStatus::Refused { .. }
        | RunStatus::Inadmissible { .. }
        | RunStatus::Undetermined { .. }
        | RunStatus::Proposed { .. }
        | RunStatus::Closed(_) => None,
    }
}
