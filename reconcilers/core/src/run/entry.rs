//! What one record of the ledger says, and its stored form.
//!
//! **No secret value may be in an entry.** Two places guard that: `decide` sends an action whose patch or pre-image would
//! hold a secret value to review, so that no patch of it is ever made; whoever writes texts (reasons, messages) takes them
//! from [`Seen`](crate::seen::Seen), whose masks cannot become values. [`Entry::secret_at`] is the last look before the
//! ledger, and it knows only what a Secret's fields are called, and what [`secret`] knows by its name.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{EffectKind, Event, Fate, Outcome, Outlook, Ruling, RunId, Standing};
use crate::decide::DecisionRecord;
use crate::finding::{FindingId, Place, Subject};
use crate::health::Vitals;
use crate::object::{ObjectId, TargetName};
use crate::secret;

/// The version of the stored form. A reader refuses a later one rather than guess.
pub const FORMAT: u32 = 1;

/// One entry of the ledger as it was recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Its number, from 1 without gaps.
    pub seq: u64,
    /// When it was recorded, by the recorder's clock.
    pub at: Timestamp,
    /// What it says.
    pub entry: Entry,
}

/// What one record says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Entry {
    /// What was decided about a target, and by what; durable before the first run that comes of it.
    Decided(Box<DecisionRecord>),
    /// A run begins: durable before anything is sent.
    Intent(Box<Intent>),
    /// How its act ended.
    Outcome {
        /// The run.
        run: RunId,
        /// How it ended.
        outcome: Outcome,
    },
    /// What of a run's effect went back to the field's server-side apply owner.
    HandBack(HandBack),
    /// What verification saw.
    Verification {
        /// The run.
        run: RunId,
        /// What was seen.
        outlook: Outlook,
        /// Why it is not settled, where that can be said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// A run's proposal was opened, or brought up to date. A group of findings has one such entry for each place.
    Proposal(Proposal),
    /// A run's proposal is about to be closed by trueup: durable before the forge is asked.
    Withdrawal {
        /// The run.
        run: RunId,
        /// Why, as people read it on the forge.
        reason: String,
    },
    /// A run's proposal ended.
    ProposalClosed {
        /// The run.
        run: RunId,
        /// How it ended.
        fate: Fate,
    },
    /// Another run put this one back.
    Undone {
        /// The run that was put back.
        run: RunId,
        /// The run that did it.
        by: RunId,
    },
    /// People were told, once in an episode.
    Escalation(Escalation),
    /// Episodes ended: from now on these places may be proposed and escalated again, and nothing is denied there.
    EpisodeEnded {
        /// Where.
        places: Vec<Place>,
        /// What ended them.
        end: EpisodeEnd,
    },
    /// Nothing is written at these places until `Resume`.
    Hold(Hold),
    /// A hold ends.
    Resume {
        /// Where.
        places: Vec<Place>,
        /// Why.
        reason: String,
    },
    /// Which cluster a target is, as first seen.
    Identity {
        /// The target.
        target: TargetName,
        /// The UID of its kube-system namespace.
        cluster_uid: String,
    },
    /// A source moved on to another commit.
    Pin(Pin),
    /// A Terraform state moved on.
    State(StateSeen),
    /// A person decided something.
    Ruling(Box<Ruling>),
    /// Old records went; this one stands for them.
    Checkpoint(Box<Checkpoint>),
}

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

/// A run's proposal at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The run that opened it or last brought it up to date.
    pub run: RunId,
    /// The place that it settles.
    pub place: Place,
    /// Its branch.
    pub branch: String,
    /// The pinned commit that it stands on.
    pub base_commit: String,
    /// The commit that it proposes: the forge's head must be this one, else the proposal is foreign.
    pub head_commit: String,
    /// Where people find it: a URL, or the patch file of the local forge.
    pub url: String,
    /// Its number on the forge; 0 where the forge has no numbers.
    pub number: u64,
    /// The login that opened it; empty where the forge has no logins.
    pub author: String,
    /// Place and values: what is denied if people close it unmerged.
    pub fingerprint: FindingId,
    /// SHA-256 of the approval's file that it proposes; absent where Git is to follow live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<String>,
    /// The object or output that the place is in; absent in records from before proposals were ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Box<Subject>>,
}

/// People were told about a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Escalation {
    /// In which target.
    pub target: TargetName,
    /// The finding.
    pub finding: FindingId,
    /// Where it is.
    pub place: Place,
    /// Why it needs people.
    pub reasons: Vec<String>,
    /// In which episode.
    pub episode: Episode,
}

/// Names a finding's episode, from first seen until seen true again or Git moved; given by the round that first sees it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Episode(pub String);

/// What ended an episode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EpisodeEnd {
    /// The place was seen to be true again.
    SeenTrue,
    /// Git declares something else there.
    GitMoved,
}

/// Places where nothing is written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Where.
    pub places: Vec<Place>,
    /// Why.
    pub reason: String,
    /// The findings that are held: with other values there, Git or a person has changed it, and the hold is over.
    pub findings: Vec<FindingId>,
}

/// The commit that rounds act by from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The source's name.
    pub source: String,
    /// Its reference.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The commit.
    pub commit: String,
}

/// The state by which rounds judge a target from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateSeen {
    /// The target.
    pub target: TargetName,
    /// Its path or URL, without credentials.
    pub state: String,
    /// Its lineage.
    pub lineage: String,
    /// Its serial.
    pub serial: u64,
}

/// What is left of records that went: where the chain goes on, how many they were, and all of them that still counts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The number of the last record that went.
    pub through: u64,
    /// Its hash, in hexadecimal: the next record follows from it.
    pub hash: String,
    /// When the last of them was recorded.
    pub until: Timestamp,
    /// How many went by now, by kind; those of earlier checkpoints too.
    pub counts: BTreeMap<String, u64>,
    /// How things stood behind the last of them.
    pub standing: Standing,
}

/// Why stored bytes are no entry.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// A later trueup wrote it.
    #[error("an entry of format `{0}`, and this trueup knows `{FORMAT}`: use the trueup that wrote it, or a later one")]
    Later(u32),
    /// The bytes do not read.
    #[error("bytes that do not read as an entry")]
    Malformed(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

#[derive(Deserialize)]
struct Stored {
    entry: Entry,
}

#[derive(Serialize)]
struct ToStore<'a> {
    format: u32,
    entry: &'a Entry,
}

impl Entry {
    /// The kind's name in the stored form.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Decided(_) => "decided",
            Self::Intent(_) => "intent",
            Self::Outcome { .. } => "outcome",
            Self::HandBack(_) => "hand-back",
            Self::Verification { .. } => "verification",
            Self::Proposal(_) => "proposal",
            Self::Withdrawal { .. } => "withdrawal",
            Self::ProposalClosed { .. } => "proposal-closed",
            Self::Undone { .. } => "undone",
            Self::Escalation(_) => "escalation",
            Self::EpisodeEnded { .. } => "episode-ended",
            Self::Hold(_) => "hold",
            Self::Resume { .. } => "resume",
            Self::Identity { .. } => "identity",
            Self::Pin(_) => "pin",
            Self::State(_) => "state",
            Self::Ruling(_) => "ruling",
            Self::Checkpoint(_) => "checkpoint",
        }
    }

    /// The run that it is about.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        match self {
            Self::Intent(intent) => Some(&intent.run),
            Self::Proposal(proposal) => Some(&proposal.run),
            Self::HandBack(back) => Some(&back.run),
            Self::Outcome { run, .. }
            | Self::Verification { run, .. }
            | Self::Withdrawal { run, .. }
            | Self::ProposalClosed { run, .. }
            | Self::Undone { run, .. } => Some(run),
            Self::Decided(_)
            | Self::Escalation(_)
            | Self::EpisodeEnded { .. }
            | Self::Hold(_)
            | Self::Resume { .. }
            | Self::Identity { .. }
            | Self::Pin(_)
            | Self::State(_)
            | Self::Ruling(_)
            | Self::Checkpoint(_) => None,
        }
    }

    /// What it makes happen to that run; `None` for a run's intent and for entries about no run.
    #[must_use]
    pub fn event(&self) -> Option<Event> {
        match self {
            Self::Outcome { outcome, .. } => Some(Event::Outcome(outcome.clone())),
            Self::Verification { outlook, .. } => Some(Event::Looked(*outlook)),
            Self::Proposal(proposal) => Some(Event::Proposed { url: proposal.url.clone() }),
            Self::ProposalClosed { fate, .. } => Some(Event::Closed(fate.clone())),
            Self::Undone { by, .. } => Some(Event::Undone { by: by.clone() }),
            Self::Decided(_)
            | Self::Intent(_)
            | Self::HandBack(_)
            | Self::Withdrawal { .. }
            | Self::Escalation(_)
            | Self::EpisodeEnded { .. }
            | Self::Hold(_)
            | Self::Resume { .. }
            | Self::Identity { .. }
            | Self::Pin(_)
            | Self::State(_)
            | Self::Ruling(_)
            | Self::Checkpoint(_) => None,
        }
    }

    /// The stored form: JSON with the format's version.
    ///
    /// # Errors
    /// Where a value has no JSON form.
    pub fn encode(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(&ToStore { format: FORMAT, entry: self })
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// [`DecodeError::Later`] for a later format, [`DecodeError::Malformed`] for anything else that is no entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Version { format } = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
        if format != FORMAT {
            return Err(DecodeError::Later(format));
        }
        let Stored { entry } = serde_json::from_slice(bytes).map_err(DecodeError::Malformed)?;
        Ok(entry)
    }

    /// The field whose secret value this entry would keep, if there is one. Such an entry is a defect of its maker
    /// and is never recorded.
    #[must_use]
    pub fn secret_at(&self) -> Option<&'static str> {
        match self {
            Self::Decided(record) => record.inputs.kept().find_map(|(id, kept)| secret_in(id, &kept)),
            Self::Intent(intent) => {
                let (Subject::Object(id), Effect::Patch(effect)) = (&intent.subject, &intent.effect) else { return None };
                secret_in(id, &[&effect.patch, &effect.pre_image, &effect.inverse])
            }
            _ => None,
        }
    }
}

/// The field of this object whose secret value is in what is to be kept of it.
fn secret_in(id: &ObjectId, kept: &[&Value]) -> Option<&'static str> {
    if !id.is_secret() {
        return kept.iter().copied().any(secret::is_within).then_some("env");
    }
    ["data", "stringData"].into_iter().find(|field| kept.iter().any(|value| value.get(field).is_some()))
}

impl Effect {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> EffectKind {
        match self {
            Self::Patch(_) => EffectKind::Patch,
            Self::PullRequest { .. } => EffectKind::PullRequest,
        }
    }
}
