//! What differs, before policy has judged it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{FindingId, Place, Subject, Surroundings};
use crate::facts::{Evidence, Operation, Origin, Pair};
use crate::object::TargetName;
use crate::path::Path;
use crate::seen::{DigestKey, Seen};

/// One difference before policy has judged it.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// In which target.
    pub target: TargetName,
    /// Of what.
    pub subject: Subject,
    /// What differs.
    pub divergence: Divergence,
    /// What wrote it.
    pub cause: Cause,
    /// On what the expected value rests; for a missing object on nothing but Git.
    pub evidence: Option<Evidence>,
    /// Where Git declares it, or what is nearest around it.
    pub origin: Origin,
    /// The desired object's labels, for policies.
    pub labels: std::collections::BTreeMap<String, String>,
    /// `trueup.dev/ignore` in Git names this path.
    pub ignored_in_git: bool,
    /// What stands around it, for policies.
    pub surroundings: Surroundings,
}

impl Difference {
    /// The path inside the object; the root for whole objects and outputs.
    #[must_use]
    pub fn path(&self) -> Path {
        match &self.divergence {
            Divergence::Field(drift) => drift.path.clone(),
            Divergence::Object(_) | Divergence::Expectation(_) => Path::root(),
        }
    }

    /// What happened; an unmet expectation is a changed value.
    #[must_use]
    pub fn change(&self) -> Change {
        match &self.divergence {
            Divergence::Field(drift) => drift.change,
            Divergence::Object(ObjectChange::Missing) => Change::MissingObject,
            Divergence::Object(ObjectChange::Extra) => Change::ExtraObject,
            Divergence::Expectation(Expectation { live: None, .. }) => Change::Removed,
            Divergence::Expectation(_) => Change::Changed,
        }
    }

    /// What should be and what is.
    #[must_use]
    pub fn values(&self) -> (Option<&Seen>, Option<&Seen>) {
        match &self.divergence {
            Divergence::Field(drift) => (drift.desired.as_ref(), drift.live.as_ref()),
            Divergence::Expectation(expectation) => (expectation.desired.as_ref(), expectation.live.as_ref()),
            Divergence::Object(_) => (None, None),
        }
    }

    /// Whether a secret value takes part.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        let (desired, live) = self.values();
        [desired, live].iter().any(|seen| matches!(seen, Some(Seen::Masked(_))))
    }

    /// Where the difference is: a digest of source, target, object and path, without any value.
    #[must_use]
    pub fn place(&self, source: &str) -> Place {
        let subject = match &self.subject {
            Subject::Object(id) => {
                format!("{}\n{}\n{}\n{}", id.group(), id.kind, id.namespace.as_deref().unwrap_or_default(), id.name)
            }
            Subject::Output(id) => {
                let bound = id.bound.as_ref().map(|bound| format!("\n{}", serde_json::json!(bound))).unwrap_or_default();
                format!("output\n{}\n{}{bound}", id.state, id.output)
            }
        };
        Place::of(source, &self.target, &subject, &self.path().to_string())
    }

    /// The id of its finding: a digest of its place and its values under a key. Other values are another finding.
    #[must_use]
    pub fn id(&self, source: &str, key: &DigestKey) -> FindingId {
        let (desired, live) = self.values();
        let text = |seen: Option<&Seen>| seen.map_or_else(String::new, |seen| serde_json::to_string(seen).unwrap_or_default());
        FindingId(format!("f-{}", &key.hex(&["finding", self.place(source).as_str(), &text(desired), &text(live)])[..16]))
    }
}

/// What differs from what is declared.
#[derive(Debug, Clone, PartialEq)]
pub enum Divergence {
    /// A value at a path of an object.
    Field(Drift),
    /// A whole object.
    Object(ObjectChange),
    /// A Terraform output against its expectation.
    Expectation(Expectation),
}

/// One declared-is-not-observed difference at one path of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Drift {
    /// Where.
    pub path: Path,
    /// The same place as a JSON pointer into the live object (into the expected one where live has no such value).
    pub pointer: String,
    /// What happened.
    pub change: Change,
    /// What should be there: Git's value, or the server's default for what Git does not declare.
    pub desired: Option<Seen>,
    /// What is there.
    pub live: Option<Seen>,
}

impl Drift {
    /// Whether this value is still the one that should be there, as Git spells it or as the server keeps it. Of a secret value
    /// that cannot be told.
    #[must_use]
    pub fn wants(&self, pair: Option<&Pair>, value: &Value) -> bool {
        let expected = match pair {
            Some(Pair::Matched(matched)) => self.path.find(&matched.expected.value),
            Some(Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..)) | None => None,
        };
        match &self.desired {
            Some(Seen::Plain(desired)) => desired == value || expected == Some(value),
            Some(Seen::Masked(_)) => false,
            None => value.is_null(),
        }
    }
}

/// What happened at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Git declares a value, live has another.
    Changed,
    /// Git declares a value, or the API server fills it in of its own, and live has none.
    Removed,
    /// Git declares nothing, live differs from what the server makes of that.
    Undeclared,
    /// Git declared it once and no longer does; live still has it.
    Leftover,
    /// Git declares an object that is not there.
    MissingObject,
    /// An object is there that Git once declared and no longer does.
    ExtraObject,
}

impl Change {
    /// As it stands in reports and policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Undeclared => "undeclared",
            Self::Leftover => "leftover",
            Self::MissingObject => "missing-object",
            Self::ExtraObject => "extra-object",
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A difference of a whole object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectChange {
    /// Declared, not there.
    Missing,
    /// There, no longer declared.
    Extra,
}

/// A Terraform output that does not meet what Git expects of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The predicate that failed: `equals`, `matches`, `min`…
    pub predicate: Predicate,
    /// What the predicate asks for.
    pub desired: Option<Seen>,
    /// What the state holds; absent where the state has no such output.
    pub live: Option<Seen>,
}

/// What an expectation asks of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predicate {
    /// The very value.
    Equals,
    /// One of some values.
    OneOf,
    /// A regular expression over a string.
    Matches,
    /// A number at least this.
    Min,
    /// A number at most this.
    Max,
    /// A list with these members in any order.
    Set,
    /// A list with at least these members.
    Subset,
    /// There is such an output.
    Present,
    /// There is none.
    Absent,
    /// A secret value with this salted digest.
    Sensitive,
    /// The value of the field to which it is bound.
    Bound,
    /// The value of the other state's output to which it is bound.
    SameAs,
}

impl Predicate {
    /// As it stands in an expectation file.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Equals => "equals",
            Self::OneOf => "one_of",
            Self::Matches => "matches",
            Self::Min => "min",
            Self::Max => "max",
            Self::Set => "set",
            Self::Subset => "subset",
            Self::Present => "present",
            Self::Absent => "absent",
            Self::Sensitive => "sensitive",
            Self::Bound => "bound",
            Self::SameAs => "same_as",
        }
    }
}

/// What wrote a value, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Default)]
pub struct Cause {
    /// The field manager.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
    /// How it wrote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Through which subresource; `null` for the object itself.
    pub subresource: Option<String>,
    /// When, RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// How sure this is.
    pub confidence: Confidence,
    /// For what was declared once and no longer is: where, or by whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formerly: Option<String>,
}

/// How sure a cause is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Nothing tells.
    #[default]
    Unknown,
    /// managedFields says so; a writer chooses its name itself.
    Reported,
    /// The audit log says so.
    Certain,
}
