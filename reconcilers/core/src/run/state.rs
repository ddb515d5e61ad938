//! The six states that a drift passes through on its way to being put right. What the ledger says of a run tells its state.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Fate, Outlook, RunStatus};

/// Where a drift is on its way. Each state is a type, whose moves are the only way to the next one:
///
/// | state | type | what lets it go on |
/// |---|---|---|
/// | `ClassifyFailure` | [`Finding`](crate::finding::Finding) | a policy judged the difference |
/// | `CollectEvidence` | [`Inputs`](crate::decide::Inputs) | all that it is decided by was taken in |
/// | `PlanRemediation` | [`PlanRemediation`](super::PlanRemediation), made of a [`Correction`](crate::decide::Correction), which only `decide` makes | its intent is in the ledger |
/// | `ExecuteRepair` | [`ExecuteRepair`](super::ExecuteRepair), and [`Unanswered`](super::Unanswered) once it went out | its outcome is in the ledger |
/// | `Validate` | [`Validate`](super::Validate) | what was seen is in the ledger |
/// | `ResumeOrRollback` | [`ResumeOrRollback`](super::ResumeOrRollback) | nothing, or a run that takes this one back |
///
/// A run begins with its intent: what is cut off in the first three states has done nothing, and the next round begins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum State {
    /// Which class, lane and risk a difference has.
    ClassifyFailure,
    /// What stands for and against acting on it.
    CollectEvidence,
    /// What would put it right, and what would take that back.
    PlanRemediation,
    /// The intent is recorded; whether it had an effect is not known, or people are asked.
    ExecuteRepair,
    /// It had an effect; whether it holds is not known.
    Validate,
    /// It is known what came of it: things go on, or it is taken back.
    ResumeOrRollback,
}

impl State {
    /// All states, in the order in which a drift passes through them.
    pub const ALL: [Self; 6] = [
        Self::ClassifyFailure,
        Self::CollectEvidence,
        Self::PlanRemediation,
        Self::ExecuteRepair,
        Self::Validate,
        Self::ResumeOrRollback,
    ];

    /// As it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ClassifyFailure => "ClassifyFailure",
            Self::CollectEvidence => "CollectEvidence",
            Self::PlanRemediation => "PlanRemediation",
            Self::ExecuteRepair => "ExecuteRepair",
            Self::Validate => "Validate",
            Self::ResumeOrRollback => "ResumeOrRollback",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl RunStatus {
    /// The state of a run that stands so.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            // An open proposal is carried out by the people who merge it.
            Self::Intended(_) | Self::Unknown { .. } | Self::Proposed { .. } => State::ExecuteRepair,
            Self::Applied { .. } | Self::Closed(Fate::Merged) | Self::Verified(Outlook::Pending | Outlook::Unseen) => {
                State::Validate
            }
            Self::Verified(Outlook::Settled | Outlook::Drifting | Outlook::Unhealthy)
            | Self::Void { .. }
            | Self::Refused { .. }
            | Self::Inadmissible { .. }
            | Self::Undetermined { .. }
            | Self::Closed(Fate::Denied | Fate::Withdrawn { .. } | Fate::Replaced { .. })
            | Self::Undone { .. } => State::ResumeOrRollback,
        }
    }
}
