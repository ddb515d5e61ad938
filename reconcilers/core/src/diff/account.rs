//! What became of each path of an object, and why.

use crate::facts::Allowance;
use crate::finding::{Change, Drift};
use crate::path::Path;
use crate::seen::Seen;

/// One path and its verdict. Values stand in it as they may be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// Where: the smallest value that is judged for itself.
    pub path: Path,
    /// The same place as a JSON pointer into the live object (into the expected or declared one where live has no such value).
    pub pointer: String,
    /// The place of Git's value as a JSON pointer into the declared object; `None` where Git declares none.
    pub declared_at: Option<String>,
    /// What Git declares.
    pub declared: Option<Seen>,
    /// What the server makes of Git's words.
    pub expected: Option<Seen>,
    /// What is there.
    pub live: Option<Seen>,
    /// What came of comparing them.
    pub verdict: Verdict,
}

/// What came of comparing one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It differs.
    Differs(Change),
    /// It differs by right, and by this one.
    Allowed(Change, Allowance),
    /// It does not differ.
    Silent(Silence),
}

/// Why a path is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Silence {
    /// Live has what Git declares.
    AsDeclared,
    /// Live has what Git declares in another spelling.
    Respelt(Spelling),
    /// Live has Git's own words, of which the server would make something else today.
    AsWritten,
    /// Live has what the server makes of Git's words, which is something else than they say.
    AsAdmitted,
    /// Git declares nothing, and live has what the server makes of that: a default.
    Default,
    /// Git declares an empty value or `null`, or live has one: to the server, that is none.
    SameAsNone,
    /// Git declares it, and the server keeps nothing of it.
    NotKept,
    /// The server would add it to Git's words today, and live was made before.
    NotAdmitted,
}

/// In what two spellings of one value differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spelling {
    /// `1000m` and `1`.
    Quantity,
    /// `90s` and `1m30s`.
    Duration,
    /// `2026-11-21T03:00:00+01:00` and `2026-11-21T02:00:00Z`.
    Time,
    /// `1` and `1.0`.
    Number,
    /// The order of a list in which it means nothing.
    Order,
    /// In values inside a list that is judged as a whole.
    Inside,
}

impl Account {
    /// A difference that was found beside the walk.
    pub(super) fn of(drift: Drift) -> Self {
        Self {
            path: drift.path,
            pointer: drift.pointer,
            declared_at: None,
            declared: drift.desired,
            expected: None,
            live: drift.live,
            verdict: Verdict::Differs(drift.change),
        }
    }

    /// The difference, where there is one.
    #[must_use]
    pub fn drift(&self) -> Option<Drift> {
        let (Verdict::Differs(change) | Verdict::Allowed(change, _)) = self.verdict else { return None };
        Some(Drift {
            path: self.path.clone(),
            pointer: self.pointer.clone(),
            change,
            desired: self.declared.clone().or_else(|| self.expected.clone()),
            live: self.live.clone(),
        })
    }
}
