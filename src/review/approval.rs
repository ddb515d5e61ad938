//! The approval of a restore: a file whose merge lets live follow Git again, as Git already says the right thing.
//!
//! `.trueup/approvals/<place>.toml` names what may be restored and what stood there when people were asked, and no value. Its
//! digests carry no key: another machine comes to the same ones. A forge's word that something was merged approves nothing;
//! this file on the pinned commit does, byte for byte as the ledger says that it was proposed.

mod wire;

use jiff::{SignedDuration, Timestamp};
use trueup_core::decide::{Request, Restore};
use trueup_core::facts::{Origin, Problem};
use trueup_core::finding::{Digests, Finding, Place, Subject};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::run::Run;
use trueup_core::seen::hex;

use crate::source::{self, Pinned};

pub use wire::{FOLDER, SCHEMA, Unreadable, file_of, place_of, read, write};

/// Approvals that are proposed in one week all end with a later one, so that a rerun proposes the same file.
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Consent to put back Git's value at one place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Where the finding is; names the file.
    pub place: Place,
    /// The target.
    pub target: TargetName,
    /// The object.
    pub object: ObjectId,
    /// The path, as people read it.
    pub path: String,
    /// What Git declared and what was live when people were asked.
    pub digests: Digests,
    /// The first instant at which it no longer counts.
    pub expires: Timestamp,
}

impl Approval {
    /// The approval that is asked for; `None` for what is not about a value of an object.
    #[must_use]
    pub fn asked(finding: &Finding, expires: Timestamp) -> Option<Self> {
        let Subject::Object(object) = &finding.difference.subject else { return None };
        let path = finding.difference.path();
        (!path.0.is_empty()).then(|| Self {
            place: finding.place.clone(),
            target: finding.difference.target.clone(),
            object: object.clone(),
            path: path.to_string(),
            digests: finding.digests(),
            expires,
        })
    }

    /// What is asked of the decision.
    #[must_use]
    pub fn request(&self, by: String) -> Restore {
        Restore {
            place: self.place.clone(),
            desired: self.digests.desired.clone(),
            live: self.digests.live.clone(),
            expires: self.expires,
            by,
        }
    }
}

/// When an approval that is proposed now ends: between one week and two from now, the same for all of a week.
#[must_use]
pub fn expiry(now: Timestamp) -> Timestamp {
    let week = WEEK.as_secs();
    let begun = now.as_second().div_euclid(week);
    Timestamp::from_second((begun + 2) * week).unwrap_or(Timestamp::MAX)
}

/// The digest by which the ledger knows an approval that it has proposed.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes).as_ref())
}

/// What the approvals of one target come to.
#[derive(Debug, Clone, Default)]
pub struct Approved {
    /// What is asked of the decision.
    pub requests: Vec<Request>,
    /// Files that will never count again: the next proposal removes them.
    pub over: Vec<String>,
}

/// An approval as it is on the pinned commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The approval.
    pub approval: Approval,
    /// Its file.
    pub file: String,
    /// [`digest`] of its bytes.
    pub digest: String,
}

/// The approvals of the pinned commit, and what stands there and is none.
#[must_use]
pub fn on_commit(pinned: &Pinned) -> (Vec<Merged>, Vec<Problem>) {
    let files = match source::list_toml(pinned, FOLDER) {
        Ok(files) => files,
        Err(error) => return (Vec::new(), vec![Problem::note("approval-unreadable", error.to_string(), None)]),
    };
    let (mut merged, mut problems) = (Vec::new(), Vec::new());
    for file in files {
        match source::read(pinned, &file) {
            Ok(Some(bytes)) => match read(&file, &bytes) {
                Ok(approval) => merged.push(Merged { approval, digest: digest(&bytes), file }),
                Err(error) => {
                    problems.push(note("approval-unreadable", &file, error.line(), format!("{error}; it approves nothing")));
                }
            },
            Ok(None) => {}
            Err(error) => problems.push(note("approval-unreadable", &file, 1, error.to_string())),
        }
    }
    (merged, problems)
}

/// A problem of an approval's file. It blinds nothing.
#[must_use]
pub fn note(code: &'static str, file: &str, line: u32, message: String) -> Problem {
    Problem::note(code, message, Some(Origin { file: file.to_owned(), line, column: 1, document: 1 }))
}

/// What an approval is worth now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Worth {
    /// Ask for the restore.
    Asks(Restore),
    /// Nothing: what it is about is true now.
    Used,
    /// Nothing, for this reason; people are told.
    Void {
        /// A code for reports.
        code: &'static str,
        /// Why, in plain words.
        why: String,
        /// Whether it will never count again, so that its file can go.
        is_over: bool,
    },
    /// Nothing tells.
    Unseen,
}

/// What was seen of an approval's place.
#[derive(Debug, Clone, Copy)]
pub enum Seen<'a> {
    /// This is found there.
    Drifts(&'a Finding),
    /// It is as Git declares it, or gone.
    True,
    /// Nothing tells.
    Unseen,
}

/// Judges an approval of a target that is looked at, by what the ledger proposed.
#[must_use]
pub fn worth(merged: &Merged, seen: Seen<'_>, runs: &[Run], now: Timestamp) -> Worth {
    let Merged { approval, digest, .. } = merged;
    let void = |code, why: String, is_over| Worth::Void { code, why, is_over };
    let proposed = runs.iter().filter_map(|run| Some((run, run.proposals.get(&approval.place)?)));
    let mut proposed = proposed.filter(|(_, record)| record.approval.is_some());
    let Some((run, record)) = proposed.clone().find(|(_, record)| record.approval.as_ref() == Some(digest)) else {
        return if proposed.next().is_some() {
            void("approval-forged", "it is not as trueup proposed it, so it approves nothing".to_owned(), false)
        } else {
            void("approval-forged", "the ledger knows no proposal of it, so it approves nothing".to_owned(), false)
        };
    };
    if now >= approval.expires {
        return void("approval-expired", format!("it expired at {}, so it approves nothing", approval.expires), true);
    }
    match seen {
        Seen::Unseen => Worth::Unseen,
        Seen::True => Worth::Used,
        Seen::Drifts(finding) if finding.digests() != approval.digests => void(
            "approval-stale",
            "it was given for other values than these, so it approves nothing; the new ones are proposed anew".to_owned(),
            true,
        ),
        Seen::Drifts(_) => {
            let who = if record.author.is_empty() { record.branch.clone() } else { record.url.clone() };
            Worth::Asks(approval.request(format!("`{}`, merged from {who} (run {})", merged.file, run.intent.run)))
        }
    }
}

#[cfg(test)]
mod tests;
