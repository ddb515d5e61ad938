//! Proposals: one branch with one commit that makes Git follow live, and the pull request that asks for it.
//!
//! `adopt` edits the source file, `body` says to people what the edit means, and a forge opens the pull request.

pub mod adopt;
mod plan;
mod edit;
mod prove;
pub mod group;
pub mod approval;
pub mod owners;
pub mod body;
pub mod rendered;
pub mod hidden;
pub mod commit;
pub mod push;
pub mod local;
pub mod github;
pub mod forge;

use trueup_core::finding::{Finding, FindingId};
use trueup_core::policy::Remedy;

use crate::config::Readiness;

pub use adopt::{Adopted, Adoption, Refused, adopt};

/// One file as the proposal changes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file's path inside the repository, with `/`.
    pub file: String,
    /// Its bytes at the base commit.
    pub before: Vec<u8>,
    /// Its bytes on the proposal's branch.
    pub after: Vec<u8>,
    /// The comments that went with what they stood in or behind.
    pub comments: Vec<String>,
}

/// What a forge is asked to open. Everything in it derives from the findings and the base commit, so a rerun is the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// `trueup/p-02ab…`
    pub branch: String,
    /// One line.
    pub title: String,
    /// Markdown, at most [`body::LIMIT`] characters.
    pub body: String,
    /// The commit's message.
    pub commit_message: String,
    /// The commit that the proposal builds on.
    pub base_commit: String,
    /// Each file that changes, with its bytes after the change.
    pub edits: Vec<(String, Vec<u8>)>,
    /// Each file that goes.
    pub removed: Vec<String>,
    /// Set once, when the pull request is created.
    pub labels: Vec<String>,
    /// Asked once, when the pull request is created: a login, or `organisation/team`.
    pub reviewers: Vec<String>,
    /// How the pull request is created.
    pub readiness: Readiness,
    /// Places and values of all its findings: what a closed pull request denies.
    pub fingerprint: String,
}

/// Who is to look at proposals.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Audience {
    /// Labels for the pull request.
    pub labels: Vec<String>,
    /// Logins, or `organisation/team`.
    pub reviewers: Vec<String>,
    /// Whether they are asked at once.
    pub readiness: Readiness,
}

/// What a proposal is about, as one text: it stays as long as its findings and their values do.
#[must_use]
pub fn fingerprint<'a>(findings: impl IntoIterator<Item = &'a FindingId>) -> String {
    let mut ids: Vec<&str> = findings.into_iter().map(|id| id.0.as_str()).collect();
    ids.sort_unstable();
    ids.join(" ")
}

/// What a proposal is about.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// What differs; never nothing.
    pub findings: &'a [&'a Finding],
    /// What people are asked for.
    pub remedy: Remedy,
    /// The files.
    pub edits: &'a [Edit],
    /// Files of approvals that count no more: they go with it.
    pub removed: &'a [String],
}

/// The proposal of `content` on top of `base_commit`.
#[must_use]
pub fn propose(branch: &str, base_commit: &str, content: Content<'_>, audience: &Audience) -> Proposal {
    let Content { findings, edits, removed, .. } = content;
    Proposal {
        branch: branch.to_owned(),
        title: body::title(content),
        body: body::body(content, base_commit),
        commit_message: body::commit_message(content),
        base_commit: base_commit.to_owned(),
        edits: edits.iter().map(|edit| (edit.file.clone(), edit.after.clone())).collect(),
        removed: removed.to_vec(),
        labels: audience.labels.clone(),
        reviewers: audience.reviewers.clone(),
        readiness: audience.readiness,
        fingerprint: fingerprint(findings.iter().map(|finding| &finding.id)),
    }
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Where people read it: the pull request's page, or the patch file. Absent where nothing was opened.
    pub url: Option<String>,
    /// The commit on top of the branch. Absent where nothing was pushed.
    pub head: Option<String>,
    /// How it stands.
    pub standing: Standing,
}

/// How a proposal stands after it was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It was opened.
    Created(Identity),
    /// It was open, and now says what is live now.
    Updated(Identity),
    /// It was open and says the right thing.
    Unchanged(Identity),
    /// Somebody else's work is in its place, for this reason; nothing was changed.
    Foreign(String),
    /// People closed it unmerged: the value stays alone until Git or live moves.
    Denied(Identity),
    /// People merged it.
    Merged(Identity),
}

/// What the ledger keeps to know the pull request again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The pull request's number; 0 for a forge without numbers.
    pub number: u64,
    /// The login that opened it; empty for a forge without logins.
    pub author: String,
}

/// What the ledger knows of a place's earlier proposal in this episode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing was proposed.
    Nothing,
    /// A branch with this head was about to be proposed; no answer is on record.
    Intended {
        /// The commit on top of the branch.
        head: String,
        /// The newest pull request of the branch by the ledger, which has ended; 0 where there was none. Whatever people said
        /// there, the same commit or not, is no answer to this one.
        after: u64,
    },
    /// A pull request was opened.
    Opened {
        /// Which.
        identity: Identity,
        /// The commit on top of its branch when trueup last wrote it.
        head: String,
        /// What it proposed.
        fingerprint: String,
    },
}

impl Known {
    /// The branch's head as trueup last left it.
    #[must_use]
    pub fn head(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Intended { head, .. } | Self::Opened { head, .. } => Some(head),
        }
    }
}

/// What became of a proposal since it was offered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Became {
    /// It is open, and its branch is as trueup left it.
    Open {
        /// Which it is.
        identity: Identity,
        /// Where people read it.
        url: String,
    },
    /// It is open, and its branch holds what trueup did not put there, for this reason: it is left alone.
    Foreign(String),
    /// People merged it.
    Merged(Identity),
    /// People closed it unmerged.
    Closed(Identity),
    /// There is nothing of it.
    Gone,
}

/// What came of pushing a branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The branch's head is now this commit.
    To(String),
    /// The branch holds something that trueup did not put there; it was left alone.
    Foreign(String),
}
