//! What happens to a run: how its act ended, what became of its proposal, what verification saw.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::RunId;

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
