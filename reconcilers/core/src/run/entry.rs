//! What one record of the ledger says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Event, Fate, HandBack, Intent, Outcome, Outlook, Ruling, RunId, Standing};
use crate::decide::DecisionRecord;
use crate::finding::{FindingId, Place, Subject};
use crate::object::TargetName;

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

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct About<'a> {
    /// The kind's name in the stored form.
    pub kind: &'static str,
    /// The run.
    pub run: Option<&'a RunId>,
    /// The target, where the entry names it.
    pub target: Option<&'a TargetName>,
    /// The places, where they are not those of its run.
    pub places: &'a [Place],
    /// The person whom it names.
    pub person: Option<&'a str>,
}

impl<'a> About<'a> {
    fn kind(kind: &'static str) -> Self {
        Self { kind, run: None, target: None, places: &[], person: None }
    }

    fn run(kind: &'static str, run: &'a RunId) -> Self {
        Self { run: Some(run), ..Self::kind(kind) }
    }

    fn target(kind: &'static str, target: &'a TargetName) -> Self {
        Self { target: Some(target), ..Self::kind(kind) }
    }

    fn places(kind: &'static str, places: &'a [Place]) -> Self {
        Self { places, ..Self::kind(kind) }
    }
}

impl Entry {
    /// Which kind of entry it is, and which run, target, places or person it names.
    #[must_use]
    pub fn about(&self) -> About<'_> {
        match self {
            Self::Decided(record) => About::target("decided", &record.inputs.target),
            Self::Intent(intent) => {
                About { target: Some(&intent.target), places: &intent.places, ..About::run("intent", &intent.run) }
            }
            Self::Outcome { run, .. } => About::run("outcome", run),
            Self::HandBack(back) => About::run("hand-back", &back.run),
            Self::Verification { run, .. } => About::run("verification", run),
            Self::Proposal(proposal) => {
                let person = Some(proposal.author.as_str()).filter(|author| !author.is_empty());
                About { person, ..About::run("proposal", &proposal.run) }
            }
            Self::Withdrawal { run, .. } => About::run("withdrawal", run),
            Self::ProposalClosed { run, .. } => About::run("proposal-closed", run),
            Self::Undone { run, .. } => About::run("undone", run),
            Self::Escalation(escalation) => {
                let places = std::slice::from_ref(&escalation.place);
                About { places, ..About::target("escalation", &escalation.target) }
            }
            Self::EpisodeEnded { places, .. } => About::places("episode-ended", places),
            Self::Hold(hold) => About::places("hold", &hold.places),
            Self::Resume { places, .. } => About::places("resume", places),
            Self::Identity { target, .. } => About::target("identity", target),
            Self::Pin(_) => About::kind("pin"),
            Self::State(seen) => About::target("state", &seen.target),
            Self::Ruling(ruling) => {
                let places = ruling.what.place().map(std::slice::from_ref).unwrap_or_default();
                About { target: ruling.what.target(), person: Some(&ruling.by.name), ..About::places("ruling", places) }
            }
            Self::Checkpoint(_) => About::kind("checkpoint"),
        }
    }

    /// The kind's name in the stored form.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        self.about().kind
    }

    /// The run that it is about.
    #[must_use]
    pub fn run(&self) -> Option<&RunId> {
        self.about().run
    }

    /// What it makes happen to that run; `None` for a run's intent, for what is beside its way, and for entries about no run.
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
}
