//! Whose pull request it is. Pure: what GitHub listed and what the ledger knows go in, a judgement comes out.

use super::super::{Known, Proposal};
use super::pull::PullRequest;

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
/// one of this repository and branch is either ours or in our way. A closed one answers its own proposal, not the next.
#[must_use]
pub fn judge(pulls: Vec<PullRequest>, proposal: &Proposal, known: &Known, base: &str) -> Found {
    let here = pulls
        .into_iter()
        .filter(|pull| pull.head.is_of(&pull.base) && pull.head.name == proposal.branch && pull.base.name == base);
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
        Known::Opened { fingerprint, .. } if *fingerprint != proposal.fingerprint => Found::None,
        _ if pull.merged_at.is_some() => Found::Merged(pull),
        Known::Opened { .. } | Known::Intended { .. } | Known::Nothing => Found::Denied(pull),
    }
}

/// Why a pull request is not the one that the ledger knows.
fn objection(pull: &PullRequest, known: &Known) -> Option<String> {
    let number = pull.number;
    match known {
        Known::Nothing => Some(format!("pull request {number} is open on our branch, and the ledger knows nothing of it")),
        Known::Intended { head, .. } | Known::Opened { head, .. } if *head != pull.head.sha => {
            Some(format!("pull request {number} has commits on its branch that trueup did not make"))
        }
        Known::Intended { after, .. } if number <= *after => {
            Some(format!("pull request {number} is open on our branch, and by the ledger it has ended"))
        }
        Known::Opened { identity, .. } if identity.number != number => {
            Some(format!("pull request {number} is open on our branch; the ledger knows number {}", identity.number))
        }
        Known::Opened { identity, .. } if pull.identity().author != identity.author => {
            Some(format!("pull request {number} was opened by somebody else than the ledger knows"))
        }
        Known::Intended { .. } | Known::Opened { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::Identity;
    use super::*;
    use crate::config::Readiness;

    const HEAD: &str = "aaaa";

    fn pull(number: u64, changes: &serde_json::Value) -> PullRequest {
        let mut value = json!({
            "number": number, "state": "open", "merged_at": null, "html_url": "https://github.com/acme/platform/pull/1",
            "title": "t", "body": null, "user": {"login": "trueup-bot"},
            "head": {"ref": "trueup/p-1", "sha": HEAD, "repo": {"full_name": "acme/platform"}},
            "base": {"ref": "main", "sha": "bbbb", "repo": {"full_name": "Acme/Platform"}},
        });
        json_patch::merge(&mut value, changes);
        serde_json::from_value(value).expect("a pull request")
    }

    fn proposal() -> Proposal {
        Proposal {
            branch: "trueup/p-1".to_owned(),
            title: "t".to_owned(),
            body: String::new(),
            commit_message: String::new(),
            base_commit: "bbbb".to_owned(),
            edits: Vec::new(),
            removed: Vec::new(),
            labels: Vec::new(),
            reviewers: Vec::new(),
            readiness: Readiness::Ready,
            fingerprint: "f-1".to_owned(),
        }
    }

    fn opened(fingerprint: &str) -> Known {
        let identity = Identity { number: 1, author: "trueup-bot".to_owned() };
        Known::Opened { identity, head: HEAD.to_owned(), fingerprint: fingerprint.to_owned() }
    }

    fn verdict(pulls: Vec<PullRequest>, known: &Known) -> &'static str {
        match judge(pulls, &proposal(), known, "main") {
            Found::None => "none",
            Found::Open(_) => "ours",
            Found::Merged(_) => "merged",
            Found::Denied(_) => "denied",
            Found::Foreign(..) => "foreign",
        }
    }

    #[test]
    fn ours_only_if_everything_agrees() {
        let intended = Known::Intended { head: HEAD.to_owned(), after: 0 };
        for (changes, known, expected) in [
            (json!({}), opened("f-1"), "ours"),
            (json!({}), intended.clone(), "ours"),
            (json!({}), Known::Nothing, "foreign"),
            (json!({"head": {"sha": "cccc"}}), opened("f-1"), "foreign"),
            (json!({"head": {"sha": "cccc"}}), intended, "foreign"),
            (json!({"number": 2}), opened("f-1"), "foreign"),
            (json!({"user": {"login": "stranger"}}), opened("f-1"), "foreign"),
            (json!({"user": null}), opened("f-1"), "foreign"),
            (json!({"head": {"repo": {"full_name": "fork/platform"}}}), opened("f-1"), "none"),
            (json!({"head": {"repo": null}}), opened("f-1"), "none"),
            (json!({"head": {"ref": "trueup/p-2"}}), opened("f-1"), "none"),
            (json!({"base": {"ref": "release"}}), opened("f-1"), "none"),
        ] {
            assert_eq!(verdict(vec![pull(1, &changes)], &known), expected, "{changes} {known:?}");
        }
    }

    #[test]
    fn a_closed_one_answers_its_own_proposal() {
        let (closed, merged) = (json!({"state": "closed"}), json!({"state": "closed", "merged_at": "2026-11-21T02:40:00Z"}));
        assert_eq!(verdict(vec![pull(1, &closed)], &opened("f-1")), "denied");
        assert_eq!(verdict(vec![pull(1, &closed)], &opened("f-0")), "none");
        assert_eq!(verdict(vec![pull(1, &merged)], &opened("f-1")), "merged");
        assert_eq!(verdict(vec![pull(1, &merged)], &opened("f-0")), "none");
        assert_eq!(verdict(vec![pull(1, &closed)], &Known::Nothing), "none");
        for (after, expected) in [(0, "denied"), (1, "none")] {
            let intended = Known::Intended { head: HEAD.to_owned(), after };
            assert_eq!(verdict(vec![pull(1, &closed)], &intended), expected, "an earlier proposal of the same commit: {after}");
        }
        assert_eq!(verdict(vec![pull(2, &json!({})), pull(1, &closed)], &opened("f-1")), "foreign", "an open one is in the way");
    }
}
