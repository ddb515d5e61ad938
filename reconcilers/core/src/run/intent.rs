//! What a run is about to do, with its way back.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Outcome, RunId};
use crate::decide::Correction;
use crate::finding::{FindingId, Place, Subject};
use crate::health::Vitals;
use crate::object::TargetName;

/// What a run is about to do, and all that is needed to undo or to judge it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The run.
    pub run: RunId,
    /// In which target.
    pub target: TargetName,
    /// To which object or output.
    pub subject: Subject,
    /// Which findings it settles.
    pub findings: Vec<FindingId>,
    /// Where they are.
    pub places: Vec<Place>,
    /// Their paths, for people.
    pub paths: Vec<String>,
    /// The policy classes that allow it, each of which counts it against its limit; none where a person asked for it.
    #[serde(default)]
    pub classes: Vec<String>,
    /// The digest of the policy that was judged by.
    pub policy_digest: String,
    /// The pinned commit.
    pub commit: String,
    /// The number of the record of its decision; absent in runs from before such records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided: Option<u64>,
    /// What will be done.
    pub effect: Effect,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

/// What a run will do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// A merge patch of one object.
    Patch(PatchEffect),
    /// A proposal on the forge.
    PullRequest {
        /// Its branch.
        branch: String,
        /// The commit that the branch is to hold.
        head_commit: String,
    },
}

/// Which of the two effects a run is to have, without what it writes.
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

/// A merge patch (RFC 7386) and its way back.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PatchEffect {
    /// The object's `metadata.uid`, a precondition; absent in a snapshot that has none.
    pub uid: Option<String>,
    /// The object's `metadata.resourceVersion`, a precondition; absent in a snapshot that has none.
    pub resource_version: Option<String>,
    /// The patch, byte for byte as it is sent.
    pub patch: Value,
    /// What the patched paths held before.
    pub pre_image: Value,
    /// The merge patch that restores the pre-image.
    pub inverse: Value,
    /// How well the object and what its classes name did before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub health: Vec<Vitals>,
    /// To whom which paths go back after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_back: Option<Owed>,
    /// The run that it takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takes_back: Option<RunId>,
}

/// Fields that go back to whoever applies them server-side.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owed {
    /// The field manager.
    pub to: String,
    /// Which paths.
    pub paths: Vec<String>,
}

/// A run's fields went back to their server-side apply owner, or did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HandBack {
    /// The run.
    pub run: RunId,
    /// The field manager.
    pub to: String,
    /// How it ended; `Void` where nothing was ours any more.
    pub outcome: Outcome,
}

impl Effect {
    /// Which of the two it is.
    #[must_use]
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Patch(_) => EffectKind::Patch,
            Self::PullRequest { .. } => EffectKind::PullRequest,
        }
    }
}

impl PatchEffect {
    /// What a correction writes, and its way back.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an undo names a run of the ledger")]
    pub fn of(correction: &Correction) -> Self {
        Self {
            uid: correction.uid.clone(),
            resource_version: correction.resource_version.clone(),
            patch: correction.patch.clone(),
            pre_image: correction.pre_image.clone(),
            inverse: correction.inverse.clone(),
            takes_back: correction.undoes.as_ref().map(|run| run.parse().expect("an undo names a run of the ledger")),
            ..Self::default()
        }
    }
}
