//! A forge: pull requests on branches, which people merge, close and push to. Offers and looks are answered as
//! `src/review/github.rs`, its `ownership.rs` and its `end.rs` judge what GitHub lists.

use std::collections::BTreeMap;

use serde_json::Value;
use trueup_core::finding::{FindingId, Place};
use trueup_core::object::ObjectId;
use trueup_core::path::Path;

use super::source::Approval;

/// What a head that people pushed ends with.
pub const PUSHED: &str = "+pushed";

#[derive(Debug, Clone, PartialEq)]
pub struct PullRequest {
    pub number: u64,
    pub branch: String,
    pub head: String,
    pub state: State,
    pub edits: Vec<Edit>,
}

/// What Git would say at one place if it were merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub place: Place,
    pub fingerprint: FindingId,
    pub object: ObjectId,
    pub path: Path,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// Git follows live.
    Adopt(Option<Value>),
    /// Live follows Git: the file of an approval.
    Restore(Approval),
}

impl What {
    /// What the ledger knows of an approval that it asks for.
    pub fn approval(&self) -> Option<String> {
        match self {
            Self::Adopt(_) => None,
            Self::Restore(approval) => Some(approval.digest()),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Merged,
    /// By people, without having been merged.
    Closed,
    /// By the program itself: the forge shows that as closed.
    Withdrawn,
}

/// What the ledger knows of a branch.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    Nothing,
    /// It was pushed, perhaps, with this head.
    Intended(String),
    /// A proposal was opened there, with this head, about these findings.
    Opened {
        number: u64,
        head: String,
        fingerprint: String,
    },
}

impl Known {
    pub fn head(&self) -> Option<&str> {
        match self {
            Self::Nothing => None,
            Self::Intended(head) | Self::Opened { head, .. } => Some(head),
        }
    }

    fn is(&self, pull: &PullRequest) -> bool {
        match self {
            Self::Nothing => false,
            Self::Intended(head) => pull.head == *head,
            Self::Opened { number, head, .. } => pull.number == *number && pull.head == *head,
        }
    }
}

/// What is offered.
#[derive(Debug, Clone)]
pub struct Offered {
    pub branch: String,
    pub head: String,
    pub fingerprint: String,
    pub edits: Vec<Edit>,
}

#[derive(Debug, Clone, PartialEq, Copy)]
pub enum Answer {
    Created(u64),
    Updated(u64),
    Unchanged(u64),
    Foreign,
    Denied,
    Merged,
}

/// What became of a proposal.
#[derive(Debug, Clone, PartialEq, Copy)]
pub enum Became {
    Open(u64),
    Foreign,
    Merged,
    Closed,
    Gone,
}

#[derive(Debug, Clone, Default)]
pub struct Forge {
    pub pulls: Vec<PullRequest>,
    /// The heads of its branches.
    branches: BTreeMap<String, String>,
}

impl Forge {
    /// Offers a proposal: what is open on its branch is looked for first.
    pub fn offer(&mut self, offered: &Offered, known: &Known) -> Answer {
        let Offered { branch, head, fingerprint, edits } = offered;
        if let Some(pull) = self.pulls.iter_mut().rev().find(|pull| pull.branch == *branch && pull.state == State::Open) {
            if !known.is(pull) {
                return Answer::Foreign;
            }
            if pull.head == *head && pull.edits == *edits {
                return Answer::Unchanged(pull.number);
            }
            (pull.head, pull.edits) = (head.clone(), edits.clone());
            self.branches.insert(branch.clone(), head.clone());
            return Answer::Updated(pull.number);
        }
        let is_same = !matches!(known, Known::Opened { fingerprint: of, .. } if of != fingerprint);
        let closed = self.pulls.iter().rev().find(|pull| pull.branch == *branch && known.is(pull)).filter(|_| is_same);
        match closed.map(|pull| pull.state) {
            Some(State::Merged) => return Answer::Merged,
            Some(State::Closed | State::Withdrawn) => return Answer::Denied,
            Some(State::Open) | None => {}
        }
        let there = self.branches.get(branch).map(String::as_str);
        if there.is_some() && there != Some(head) && there != known.head() {
            return Answer::Foreign;
        }
        self.branches.insert(branch.clone(), head.clone());
        let number = u64::try_from(self.pulls.len()).expect("few") + 1;
        let (branch, head, edits) = (branch.clone(), head.clone(), edits.clone());
        self.pulls.push(PullRequest { number, branch, head, state: State::Open, edits });
        Answer::Created(number)
    }

    /// What became of a proposal, whoever pushed to it.
    pub fn look(&self, branch: &str, known: &Known) -> Became {
        let is_it = |pull: &&PullRequest| match known {
            Known::Nothing => false,
            Known::Intended(head) => pull.head == *head,
            Known::Opened { number, .. } => pull.number == *number,
        };
        let Some(pull) = self.pulls.iter().rev().filter(|pull| pull.branch == branch).find(is_it) else { return Became::Gone };
        match pull.state {
            State::Open if known.head() == Some(&pull.head) => Became::Open(pull.number),
            State::Open => Became::Foreign,
            State::Merged => Became::Merged,
            State::Closed | State::Withdrawn => Became::Closed,
        }
    }

    /// The head of a branch, whoever pushed it.
    pub fn head(&self, branch: &str) -> Option<String> {
        self.branches.get(branch).cloned()
    }

    /// The program closes an open one.
    pub fn withdraw(&mut self, number: u64) {
        if let Some(pull) = self.pulls.iter_mut().find(|pull| pull.number == number && pull.state == State::Open) {
            pull.state = State::Withdrawn;
        }
    }

    /// People merge it; the forge may remove its branch.
    pub fn merge(&mut self, at: usize, removes: bool) -> Vec<Edit> {
        let pull = &mut self.pulls[at];
        pull.state = State::Merged;
        if removes {
            self.branches.remove(&pull.branch);
        }
        pull.edits.clone()
    }

    /// People push a commit of their own.
    pub fn push(&mut self, at: usize) {
        let pull = &mut self.pulls[at];
        pull.head.push_str(PUSHED);
        self.branches.insert(pull.branch.clone(), pull.head.clone());
    }
}
