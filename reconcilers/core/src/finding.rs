//! A difference and what is known about it; with policy applied, a finding.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::facts::{Evidence, Operation, Origin, Problem};
use crate::object::{ObjectId, TargetName};
use crate::path::Path;
use crate::seen::{DigestKey, Seen};

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

/// What a difference is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// An object of an API server or a snapshot.
    Object(ObjectId),
    /// An output of a Terraform state.
    Output(OutputId),
}

/// One output of one Terraform state at one serial.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutputId {
    /// The state's path or URL, without credentials.
    pub state: String,
    /// The state's serial.
    pub serial: u64,
    /// The state's lineage.
    pub lineage: String,
    /// The output's name.
    pub output: String,
    /// What a binding wants it to equal, where it is about a binding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
}

/// What an output is bound to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// A field of a manifest.
    Field {
        /// The file in the source.
        file: String,
        /// `KIND/NAMESPACE/NAME`.
        object: String,
        /// Where in the object.
        path: String,
        /// Which part of the output (RFC 6901); empty for all of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
    },
    /// An output of another state.
    Output {
        /// The target of that state.
        target: String,
        /// The output's name.
        output: String,
        /// Which part of that output (RFC 6901); empty for all of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        pointer: String,
        /// Which part of this output (RFC 6901); empty for all of it.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        part: String,
    },
}

/// `ConfigMap/shop/checkout data.DB_HOST`, `output vpc_id of network`.
impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { object, path, .. } => write!(f, "{object} {path}"),
            Self::Output { target, output, pointer, .. } => write!(f, "output {output}{pointer} of {target}"),
        }
    }
}

impl Bound {
    /// Which part of the output is bound; empty for all of it.
    #[must_use]
    pub fn part(&self) -> &str {
        match self {
            Self::Field { part, .. } | Self::Output { part, .. } => part,
        }
    }
}

impl Subject {
    /// Kind, group, namespace and name as policies name them; empty where there is none.
    #[must_use]
    pub fn names(&self) -> (&str, &str, &str, &str) {
        match self {
            Self::Object(id) => (&id.kind, id.group(), id.namespace.as_deref().unwrap_or_default(), &id.name),
            Self::Output(id) => ("Output", "terraform", "", &id.output),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Object(id) => id.fmt(f),
            Self::Output(OutputId { output, bound: None, .. }) => write!(f, "output {output}"),
            Self::Output(OutputId { output, bound: Some(bound), .. }) => write!(f, "output {output}{} → {bound}", bound.part()),
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

/// What stands around a difference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surroundings {
    /// The object as Git declares it; of a secret object its names and labels alone.
    pub desired: Option<Arc<Value>>,
    /// The object as it is; of a secret object its names and labels alone.
    pub live: Option<Arc<Value>>,
    /// All field managers that own something of the live value, by managedFields.
    pub owners: BTreeSet<String>,
    /// What ignore rules name inside the values.
    pub inside: Inside,
    /// What the target is to its owners.
    pub standing: Standing,
    /// How far a change of the object reaches.
    pub reach: Reach,
    /// What happened at this place before.
    pub history: History,
}

/// What a target is to its owners, as `trueup.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// `production`, `staging`…; absent where nothing is said.
    pub environment: Option<String>,
    /// From 1, the most important; absent where nothing is said.
    pub tier: Option<u8>,
}

/// How far a change of an object reaches, as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Pods that it owns, selects, configures or grants rights to.
    pub pods: u32,
    /// Other declared objects that name it or that it names: by reference, selector or binding.
    pub objects: u32,
}

/// What happened at a place before, by the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct History {
    /// Our corrections of the last 30 days.
    pub corrections: u32,
    /// Those of them that did not hold, or were undone by a person.
    pub failures: u32,
}

/// What ignore rules name inside a difference's values, each rule as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inside {
    /// Nothing.
    #[default]
    Nothing,
    /// Some of it: something else differs, too.
    Part(Vec<String>),
    /// All that differs.
    All(Vec<String>),
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

    /// Where the difference is, without any value.
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

    /// Place and values under a key.
    #[must_use]
    pub fn id(&self, source: &str, key: &DigestKey) -> FindingId {
        let (desired, live) = self.values();
        let text = |seen: Option<&Seen>| seen.map_or_else(String::new, |seen| serde_json::to_string(seen).unwrap_or_default());
        FindingId(format!("f-{}", &key.hex(&["finding", self.place(source).as_str(), &text(desired), &text(live)])[..16]))
    }
}

/// Where a finding is: a digest of source, target, object and path, without values, the same everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Place(String);

impl Place {
    fn of(source: &str, target: &TargetName, subject: &str, path: &str) -> Self {
        let text = serde_json::json!([source, target.0, subject, path]).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(format!("p-{}", &crate::seen::hex(digest.as_ref())[..16]))
    }

    /// `p-02ab…`
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A finding's id: place and values under a key. It stays as long as object, path, desired and live value stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FindingId(pub String);

impl fmt::Display for FindingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A digest of one value at one place, the same everywhere: it tells values apart without telling them.
///
/// It carries no key, so that another machine comes to the same one; of a secret value only the mask goes into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ValueDigest(String);

impl ValueDigest {
    fn of(place: &Place, side: &str, value: Option<&Seen>) -> Self {
        let text = serde_json::json!([place.as_str(), side, value.map(|value| serde_json::json!([value]))]).to_string();
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes());
        Self(format!("v1:{}", crate::seen::hex(digest.as_ref())))
    }

    /// `v1:9f2c…`
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ValueDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// As it was printed: two digests are equal exactly when their texts are.
impl From<String> for ValueDigest {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// The digests of both of a finding's values: what an approval or a lease is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digests {
    /// Of what should be there.
    pub desired: ValueDigest,
    /// Of what is there.
    pub live: ValueDigest,
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
    /// What an approval or a lease of exactly this finding is bound to.
    #[must_use]
    pub fn digests(&self) -> Digests {
        let (desired, live) = self.difference.values();
        Digests { desired: ValueDigest::of(&self.place, "desired", desired), live: ValueDigest::of(&self.place, "live", live) }
    }
}
