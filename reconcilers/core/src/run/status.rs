//! Where a run stands, and what it still owes.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{EffectKind, Fate, Outlook, RunId};

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
