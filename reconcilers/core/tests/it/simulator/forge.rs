//! A forge: proposals on branches, which people merge, close and push to.

use trueup_core::finding::{FindingId, Place};
use trueup_core::object::ObjectId;
use trueup_core::path::Path;

/// What a head that people pushed ends with.
pub const PUSHED: &str = "+pushed";

#[derive(Debug, Clone, PartialEq)]
pub struct PullRequest {
    pub number: u64,
    pub branch: String,
    pub head: String,
    pub state: State,
    pub edit: Edit,
}

/// What Git would say if it were merged.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    pub place: Place,
    pub fingerprint: FindingId,
    pub object: ObjectId,
    pub path: Path,
    pub value: Option<serde_json::Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open,
    Merged,
    Closed,
}

/// What is known of a branch.
#[derive(Debug, Clone, PartialEq)]
pub enum Known {
    Nothing,
    /// It was pushed, perhaps, with this head.
    Intended(String),
    /// A proposal was open there, with this head.
    Opened(u64, String),
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

#[derive(Debug, Clone, Default)]
pub struct Forge {
    pub pulls: Vec<PullRequest>,
}

impl Forge {
    /// Offers a proposal: what is open on its branch is looked for first.
    pub fn offer(&mut self, branch: &str, head: &str, edit: &Edit, known: &Known) -> Answer {
        let mine = |pull: &&mut PullRequest| match known {
            Known::Nothing => false,
            Known::Intended(head) => pull.branch == branch && pull.head == *head,
            Known::Opened(number, _) => pull.number == *number,
        };
        if let Some(pull) = self.pulls.iter_mut().rev().find(mine) {
            let expected = match known {
                Known::Opened(_, head) | Known::Intended(head) => head,
                Known::Nothing => "",
            };
            match pull.state {
                State::Merged => return Answer::Merged,
                State::Closed => return Answer::Denied,
                State::Open if pull.head == head => return Answer::Unchanged(pull.number),
                State::Open if pull.head != *expected => return Answer::Foreign,
                State::Open => {
                    (pull.head, pull.edit) = (head.to_owned(), edit.clone());
                    return Answer::Updated(pull.number);
                }
            }
        }
        if self.pulls.iter().any(|pull| pull.branch == branch && pull.state == State::Open) {
            return Answer::Foreign;
        }
        let number = u64::try_from(self.pulls.len()).expect("few") + 1;
        let pull =
            PullRequest { number, branch: branch.to_owned(), head: head.to_owned(), state: State::Open, edit: edit.clone() };
        self.pulls.push(pull);
        Answer::Created(number)
    }
}
