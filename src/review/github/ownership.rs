//! Whose pull request it is. Pure: what GitHub listed and what the ledger knows go in, a judgement comes out.

use super::super::{Known, Proposal};
use super::wire::PullRequest;

/// What stands in a proposal's place.
#[derive(Debug, Clone, PartialEq)]
pub enum Found {
    /// Nothing.
    None,
    /// Ours, open.
    Open(PullRequest),
    /// Ours, merged.
    Merged(PullRequest),
    /// Ours, closed unmerged, with the very same proposal.
    Denied(PullRequest),
    /// Somebody else's, open, for this reason.
    Foreign(PullRequest, String),
}

/// Judges the pull requests that GitHub lists for a branch, newest first.
///
/// One from another repository (a fork with a branch of the same name) or into another base does not count at all. An open
/// one of this repository and branch is either ours or in our way.
#[must_use]
pub fn judge(pulls: Vec<PullRequest>, proposal: &Proposal, known: &Known, base: &str) -> Found {
    let here = pulls.into_iter().filter(|pull| {
        pull.head.is_of(&pull.base) && pull.head.name == proposal.branch && pull.base.name == base
    });
    let (open, closed): (Vec<_>, Vec<_>) = here.partition(|pull| pull.state == "open");
    if let Some(pull) = open.into_iter().next() {
        return match objection(&pull, known) {
            None => Found::Open(pull),
            Some(reason) => Found::Foreign(pull, reason),
        };
    }
    let Some(pull) = closed.into_iter().find(|pull| objection(pull, known).is_none()) else {
        return Found::None;
    };
    match known {
        _ if pull.merged_at.is_some() => Found::Merged(pull),
        Known::Opened { fingerprint, .. } if *fingerprint != proposal.fingerprint => Found::None,
        Known::Opened { .. } | Known::Intended { .. } | Known::Nothing => Found::Denied(pull),
    }
}

/// Why a pull request is not the one that the ledger knows.
fn objection(pull: &PullRequest, known: &Known) -> Option<String> {
    let number = pull.number;
    match known {
        Known::Nothing => Some(format!("pull request {number} is open on our branch, and the ledger knows nothing of it")),
        Known::Intended { head } | Known::Opened { head, .. } if *head != pull.head.sha => {
            Some(format!("pull request {number} has commits on its branch that trueup did not make"))
        }
        Known::Intended { .. } => None,
        Known::Opened { identity, .. } if identity.number != number => {
            Some(format!("pull request {number} is open on our branch; the ledger knows number {}", identity.number))
        }
        Known::Opened { identity, .. } if pull.identity().author != identity.author => {
            Some(format!("pull request {number} was opened by somebody else than the ledger knows"))
        }
        Known::Opened { .. } => None,
    }
}
