//! Which steps a run can take: where it stands after an event.

use super::{EffectKind, Event, Fate, Outcome, RunStatus};

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

/// A step that no run can take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a run that is `{status}` cannot become `{event}`")]
pub struct ImpossibleStep {
    /// Where the run stands.
    pub status: &'static str,
    /// What was said to have happened.
    pub event: &'static str,
}
