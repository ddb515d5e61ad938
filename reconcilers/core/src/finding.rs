//! A difference and what is known about it; with policy applied, a finding.

mod difference;
mod name;
mod subject;
mod surroundings;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::facts::Problem;
use crate::risk::assess;

pub use difference::{Cause, Change, Confidence, Difference, Divergence, Drift, Expectation, ObjectChange, Predicate};
pub use name::{Digests, FindingId, Place, ValueDigest};
pub use subject::{Bound, OutputId, Subject};
pub use surroundings::{History, Inside, Reach, Standing, Surroundings};

/// A difference as policy judges it.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Place and values.
    pub id: FindingId,
    /// Place alone.
    pub place: Place,
    /// What differs.
    pub difference: Difference,
    /// The policy class that named it; `None` where no class matches.
    pub class: Option<String>,
    /// All classes and ignore rules that mean it, by name.
    pub meant_by: Vec<String>,
    /// Conditions of policy that could not be evaluated.
    pub problems: Vec<Problem>,
    /// How far it may be acted on.
    pub stage: Stage,
    /// Where it goes.
    pub lane: Lane,
    /// How risky it is.
    pub risk: Risk,
    /// Why trueup never corrects it, whoever asks for it.
    pub barred: Option<String>,
    /// Why Git does not follow live here, whatever the lane: it follows something else.
    pub kept: Option<String>,
    /// Why: never empty.
    pub reasons: Vec<String>,
}

impl Finding {
    /// Takes in what happened at its place: that makes it riskier, and nothing else of it changes.
    pub fn remember(&mut self, history: History) {
        self.difference.surroundings.history = history;
        self.risk = assess(&self.difference);
    }

    /// What an approval or a lease of exactly this finding is bound to.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let (desired, live) = self.difference.values();
        Digests { desired: ValueDigest::of(&self.place, "desired", desired), live: ValueDigest::of(&self.place, "live", live) }
    }
}

/// Where a finding goes, from the loosest to the strictest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lane {
    /// Nowhere.
    Ignore,
    /// Into the report.
    Watch,
    /// Corrected by itself.
    Auto,
    /// Proposed as a pull request.
    Review,
    /// To people.
    Escalate,
}

impl Lane {
    /// As it stands in reports and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Watch => "watch",
            Self::Auto => "auto",
            Self::Review => "review",
            Self::Escalate => "escalate",
        }
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How far a class's lane may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// Reported only.
    Observe,
    /// Proposals, too.
    Recommend,
    /// Corrections, too.
    Auto,
}

impl Stage {
    /// As it stands in reports and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Recommend => "recommend",
            Self::Auto => "auto",
        }
    }
}

/// How risky a finding is: the sum of its factors, at most 100.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Risk {
    /// 0 to 100.
    pub score: u8,
    /// What it is made of.
    pub factors: Vec<Factor>,
}

/// One reason why a finding is risky.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Factor {
    /// `restarts pods`.
    pub name: String,
    /// How much it adds.
    pub points: u8,
}
