//! A run: one action's way through act and verify, as states that refuse impossible steps.
//!
//! ```text
//! Intended ─┬─────────────► Refused
//!           ├─► Unknown ─┐
//!           ├────────────┼► Void
//!           ├────────────┼► Undetermined                              a patch's run
//!           ├────────────┼► Applied ─► Verified ─► Undone             a patch's run
//!           └────────────┴► Proposed ─► Closed ─► Verified ─► Undone   a proposal's run
//! ```
//!
//! These are what the entries of a run say; [`State`] names the six states that a drift passes through, and what a correction
//! may do in each is in the types of its moves ([`PlanRemediation`] and those that follow).
//!
//! A crash may cut a run off between any two states; [`RunStatus::due`] says what is then owed. Nothing is replayed: a run
//! whose effect is not known is resolved by reading.

use std::fmt;

use serde::{Deserialize, Serialize};

mod before;
mod entry;
mod history;
mod id;
mod intent;
mod moves;
mod resolve;
mod ruling;
mod standing;
mod state;
mod stored;

pub use before::Histories;
pub use entry::{About, Checkpoint, Entry, Episode, EpisodeEnd, Escalation, Hold, Pin, Proposal, Record, StateSeen};
pub use history::{HistoryError, Run, Runs, perhaps_undone_by};
pub use id::{RunId, RunIdError};
pub use intent::{Effect, HandBack, Intent, Owed, PatchEffect};
pub use moves::{
    Asked, Circumstances, ExecuteRepair, Move, PlanProposal, PlanRemediation, ResumeOrRollback, Rollback, Unanswered, Validate,
};
pub use resolve::{FIELD_MANAGER, Resolution, is_to_be_sighted, may_still_land, resolve, resolve_after};
pub use ruling::{Approval, Area, AreaHold, Denial, Grant, KnownBy, Person, Ruled, Ruling, Spot};
pub use standing::{Failure, Fight, Inadmissible, People, Said, Standing, Write};
pub use state::State;
pub use stored::{DecodeError, FORMAT};

/// What verification saw after an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outlook {
    /// The difference is gone and health is not worse.
    Settled,
    /// Not yet: the window is still open.
    Pending,
    /// The difference is back.
    Drifting,
    /// The difference is gone, but health got worse: what was written is to be taken back.
    Unhealthy,
    /// The object could not be read.
    Unseen,
}

impl Outlook {
    /// As it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Pending => "pending",
            Self::Drifting => "drifting",
            Self::Unhealthy => "unhealthy",
            Self::Unseen => "unseen",
        }
    }

    /// Whether somebody must look again.
    #[must_use]
    pub fn is_open(self) -> bool {
        match self {
            Self::Pending | Self::Unseen | Self::Unhealthy => true,
            Self::Settled | Self::Drifting => false,
        }
    }
}

impl fmt::Display for Outlook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What kind of effect a run is to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// A merge patch of one object.
    Patch,
    /// A proposal on the forge.
    PullRequest,
}

impl EffectKind {
    /// As it stands in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Patch => "patch",
            Self::PullRequest => "pull-request",
        }
    }
}

impl fmt::Display for EffectKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How an act ended where it did not end in a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The target took the patch.
    Applied {
        /// The version that it made; absent in a snapshot that has none.
        resource_version: Option<String>,
        /// What the server warned of.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        warnings: Vec<String>,
    },
    /// The server or the forge said no: nothing has changed.
    Refused {
        /// In its words.
        message: String,
    },
    /// The server judged the object that would result and does not admit it: nothing has changed, and asking again is no use.
    Inadmissible {
        /// In its words.
        message: String,
    },
    /// It never happened: not sent, or found by reading to have had no effect.
    Void {
        /// Why.
        reason: String,
    },
    /// It was sent and no answer came, so it may have happened; resolved by reading.
    Unknown {
        /// What was seen instead of an answer.
        reason: String,
    },
    /// It may have happened, and reading cannot tell any more: it counts as a write, and is not taken back.
    Undetermined {
        /// Why nothing tells.
        reason: String,
    },
}

/// How a proposal ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// People merged it.
    Merged,
    /// People closed it without merging: its fingerprint is denied for the rest of the episode.
    Denied,
    /// trueup closed it, as what it proposed is no longer wanted.
    Withdrawn {
        /// Why.
        reason: String,
    },
    /// A later run took the proposal over with new values.
    Replaced {
        /// That run.
        by: RunId,
    },
}

/// Where a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunStatus {
    /// It is in the ledger; whether anything was sent is not known.
    Intended(EffectKind),
    /// Something was sent and no answer came.
    Unknown {
        /// What was sent.
        effect: EffectKind,
        /// What was seen instead of an answer.
        reason: String,
    },
    /// It never happened.
    Void {
        /// Why.
        reason: String,
    },
    /// The server or the forge said no.
    Refused {
        /// In its words.
        message: String,
    },
    /// The server does not admit the object that would result.
    Inadmissible {
        /// In its words.
        message: String,
    },
    /// It may have happened, and nothing will ever tell.
    Undetermined {
        /// Why.
        reason: String,
    },
    /// The target took the patch; nobody has looked yet.
    Applied {
        /// The version that it made.
        resource_version: Option<String>,
    },
    /// The proposal is open.
    Proposed {
        /// Where people find it.
        url: String,
    },
    /// The proposal is closed.
    Closed(Fate),
    /// Somebody has looked.
    Verified(Outlook),
    /// It was put back.
    Undone {
        /// The run that did it.
        by: RunId,
    },
}

/// Something that happens to a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The act ended.
    Outcome(Outcome),
    /// A proposal was opened, or brought up to date.
    Proposed {
        /// Where people find it.
        url: String,
    },
    /// The proposal ended.
    Closed(Fate),
    /// Verification looked.
    Looked(Outlook),
    /// Another run put this one back.
    Undone {
        /// That run.
        by: RunId,
    },
}

/// What a run still owes: the first thing that the next round does about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Due {
    /// To find out by reading whether its effect happened. Nothing else may be done at its place before.
    Resolution,
    /// To ask the forge what became of its proposal.
    Fate,
    /// To look whether the difference is gone.
    Verification,
    /// Nothing.
    Nothing,
}

/// A step that no run can take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a run that is `{status}` cannot become `{event}`")]
pub struct ImpossibleStep {
    /// Where the run stands.
    pub status: &'static str,
    /// What was said to have happened.
    pub event: &'static str,
}

impl RunStatus {
    /// As it stands in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Intended(_) => "intended",
            Self::Unknown { .. } => "unknown",
            Self::Void { .. } => "void",
            Self::Refused { .. } => "refused",
            Self::Inadmissible { .. } => "inadmissible",
            Self::Undetermined { .. } => "undetermined",
            Self::Applied { .. } => "applied",
            Self::Proposed { .. } => "proposed",
            Self::Closed(fate) => fate.name(),
            Self::Verified(outlook) => outlook.name(),
            Self::Undone { .. } => "undone",
        }
    }

    /// What the run still owes.
    #[must_use]
    pub fn due(&self) -> Due {
        match self {
            Self::Intended(_) | Self::Unknown { .. } => Due::Resolution,
            Self::Proposed { .. } => Due::Fate,
            Self::Applied { .. } | Self::Closed(Fate::Merged) => Due::Verification,
            Self::Verified(outlook) if outlook.is_open() => Due::Verification,
            Self::Verified(_)
            | Self::Void { .. }
            | Self::Refused { .. }
            | Self::Inadmissible { .. }
            | Self::Undetermined { .. }
            | Self::Closed(_)
            | Self::Undone { .. } => Due::Nothing,
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Fate {
    /// As it stands in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Merged => "merged",
            Self::Denied => "denied",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Replaced { .. } => "replaced",
        }
    }
}

impl Event {
    /// The name of the status that this event leads to.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Outcome(Outcome::Applied { .. }) => "applied",
            Self::Outcome(Outcome::Refused { .. }) => "refused",
            Self::Outcome(Outcome::Inadmissible { .. }) => "inadmissible",
            Self::Outcome(Outcome::Void { .. }) => "void",
            Self::Outcome(Outcome::Unknown { .. }) => "unknown",
            Self::Outcome(Outcome::Undetermined { .. }) => "undetermined",
            Self::Proposed { .. } => "proposed",
            Self::Closed(fate) => fate.name(),
            Self::Looked(outlook) => outlook.name(),
            Self::Undone { .. } => "undone",
        }
    }
}

/// Where a run stands after an event. Total: every pair gives a status or says that it is impossible.
///
/// # Errors
/// [`ImpossibleStep`] where no run can go this way: a write without an answer is never refused later, what never happened
/// is never verified, a run ends once.
pub fn next_status(status: &RunStatus, event: &Event) -> Result<RunStatus, ImpossibleStep> {
    let next = match status {
        RunStatus::Intended(effect) => after_intent(*effect, event),
        RunStatus::Unknown { effect, .. } => after_no_answer(*effect, event),
        RunStatus::Applied { .. } | RunStatus::Closed(Fate::Merged) => looked_or_undone(event),
        RunStatus::Verified(outlook) if outlook.is_open() => looked_or_undone(event),
        RunStatus::Verified(_) => undone(event),
        RunStatus::Proposed { .. } => after_proposal(event),
        RunStatus::Void { .. }
        | RunStatus::Refused { .. }
        | RunStatus::Inadmissible { .. }
        | RunStatus::Undetermined { .. }
        | RunStatus::Undone { .. }
        | RunStatus::Closed(Fate::Denied | Fate::Withdrawn { .. } | Fate::Replaced { .. }) => None,
    };
    next.ok_or_else(|| ImpossibleStep { status: status.name(), event: event.name() })
}

fn after_intent(effect: EffectKind, event: &Event) -> Option<RunStatus> {
    match event {
        Event::Outcome(Outcome::Refused { message }) => Some(RunStatus::Refused { message: message.clone() }),
        Event::Outcome(Outcome::Inadmissible { message }) => match effect {
            EffectKind::Patch => Some(RunStatus::Inadmissible { message: message.clone() }),
            EffectKind::PullRequest => None,
        },
        Event::Outcome(Outcome::Unknown { reason }) => Some(RunStatus::Unknown { effect, reason: reason.clone() }),
        Event::Outcome(Outcome::Applied { .. } | Outcome::Void { .. } | Outcome::Undetermined { .. })
        | Event::Proposed { .. }
        | Event::Closed(_)
        | Event::Looked(_)
        | Event::Undone { .. } => resolved(effect, event),
    }
}

/// Of a patch it may be recorded again that nothing is known: that is when somebody looked for it.
fn after_no_answer(effect: EffectKind, event: &Event) -> Option<RunStatus> {
    match (event, effect) {
        (Event::Outcome(Outcome::Unknown { reason }), EffectKind::Patch) => {
            Some(RunStatus::Unknown { effect, reason: reason.clone() })
        }
        (
            Event::Outcome(_) | Event::Proposed { .. } | Event::Closed(_) | Event::Looked(_) | Event::Undone { .. },
            EffectKind::Patch | EffectKind::PullRequest,
        ) => resolved(effect, event),
    }
}

/// What reading can tell about an act whose answer was lost: it happened, or it did not. A refusal cannot be read.
fn resolved(effect: EffectKind, event: &Event) -> Option<RunStatus> {
    match (event, effect) {
        (Event::Outcome(Outcome::Applied { resource_version, .. }), EffectKind::Patch) => {
            Some(RunStatus::Applied { resource_version: resource_version.clone() })
        }
        (Event::Proposed { url }, EffectKind::PullRequest) => Some(RunStatus::Proposed { url: url.clone() }),
        (Event::Outcome(Outcome::Void { reason }), EffectKind::Patch | EffectKind::PullRequest) => {
            Some(RunStatus::Void { reason: reason.clone() })
        }
        (Event::Outcome(Outcome::Undetermined { reason }), EffectKind::Patch) => {
            Some(RunStatus::Undetermined { reason: reason.clone() })
        }
        (Event::Outcome(Outcome::Applied { .. } | Outcome::Undetermined { .. }), EffectKind::PullRequest)
        | (Event::Proposed { .. }, EffectKind::Patch)
        | (
            Event::Outcome(Outcome::Refused { .. } | Outcome::Inadmissible { .. } | Outcome::Unknown { .. })
            | Event::Closed(_)
            | Event::Looked(_)
            | Event::Undone { .. },
            EffectKind::Patch | EffectKind::PullRequest,
        ) => None,
    }
}

fn after_proposal(event: &Event) -> Option<RunStatus> {
    match event {
        Event::Proposed { url } => Some(RunStatus::Proposed { url: url.clone() }),
        Event::Closed(fate) => Some(RunStatus::Closed(fate.clone())),
        Event::Outcome(_) | Event::Looked(_) | Event::Undone { .. } => undone(event),
    }
}

fn looked_or_undone(event: &Event) -> Option<RunStatus> {
    match event {
        Event::Looked(outlook) => Some(RunStatus::Verified(*outlook)),
        Event::Outcome(_) | Event::Proposed { .. } | Event::Closed(_) | Event::Undone { .. } => undone(event),
    }
}

fn undone(event: &Event) -> Option<RunStatus> {
    match event {
        Event::Undone { by } => Some(RunStatus::Undone { by: by.clone() }),
        Event::Outcome(_) | Event::Proposed { .. } | Event::Closed(_) | Event::Looked(_) => None,
    }
}

#[cfg(test)]
mod tests;
