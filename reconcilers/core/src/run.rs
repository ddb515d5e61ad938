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

mod before;
mod entry;
mod event;
mod history;
mod id;
mod intent;
mod moves;
mod resolve;
mod ruling;
mod standing;
mod state;
mod status;
mod step;
mod stored;

pub use before::Histories;
pub use entry::{About, Checkpoint, Entry, Episode, EpisodeEnd, Escalation, Hold, Pin, Proposal, Record, StateSeen};
pub use event::{Event, Fate, Outcome, Outlook};
pub use history::{HistoryError, Run, Runs, perhaps_undone_by};
pub use id::{RunId, RunIdError};
pub use intent::{Effect, EffectKind, HandBack, Intent, Owed, PatchEffect};
pub use moves::{
    Asked, Circumstances, ExecuteRepair, Move, PlanProposal, PlanRemediation, ResumeOrRollback, Rollback, Unanswered, Validate,
};
pub use resolve::{FIELD_MANAGER, Resolution, is_to_be_sighted, may_still_land, resolve, resolve_after};
pub use ruling::{Approval, Area, AreaHold, Denial, Grant, KnownBy, Person, Ruled, Ruling, Spot};
pub use standing::{Failure, Fight, Inadmissible, People, Said, Standing, Write};
pub use state::State;
pub use status::{Due, RunStatus};
pub use step::{ImpossibleStep, next_status};
pub use stored::{DecodeError, FORMAT};

#[cfg(test)]
mod tests;
