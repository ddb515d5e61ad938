//! Cases of a policy: differences, and what it is meant to make of each.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toml::Spanned;

use super::TIERS;
use super::file::Lines;
use crate::facts::{Origin, Problem};
use crate::finding::{Change, Lane, Stage, Standing};
use crate::path::Path;

/// One difference, and what the policy is meant to make of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCase {
    /// What it shows, for people.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// What differs.
    pub object: CaseObject,
    /// Where in it; the root for whole objects and outputs.
    pub path: Path,
    /// What happened.
    pub change: Change,
    /// What Git says.
    pub desired: Option<Value>,
    /// What is there.
    pub live: Option<Value>,
    /// Who wrote that.
    pub manager: Option<String>,
    /// What the target is.
    pub standing: Standing,
    /// What is meant to come of it.
    pub expected: Expected,
}

/// An object of a case; an output of Terraform has the kind `Output` and no version.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct CaseObject {
    /// `v1`, `apps/v1`.
    #[serde(default)]
    pub api_version: String,
    /// `ConfigMap`.
    pub kind: String,
    /// Absent where it is in none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its labels in Git.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

impl CaseObject {
    /// Whether it is an output of a Terraform state.
    #[must_use]
    pub fn is_output(&self) -> bool {
        self.kind == "Output" && self.api_version.is_empty()
    }
}

/// What is meant to come of a case, or came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Expected {
    /// The class that names it; `None` where none does.
    pub class: Option<String>,
    /// Its lane.
    pub lane: Lane,
    /// Its stage.
    pub stage: Stage,
    /// What is done where nothing stands against it.
    pub decision: Verb,
}

/// What is done about a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Nothing.
    Leave,
    /// Git's value is put back.
    Correct,
    /// A pull request, after which Git says what is live.
    Propose,
    /// A pull request, after which Git's value is put back.
    Restore,
    /// People are told.
    Escalate,
    /// Nothing now.
    Hold,
}

/// `class config-value, lane auto, stage auto, decision correct`
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.class {
            Some(class) => write!(f, "class {class}")?,
            None => f.write_str("no class")?,
        }
        let decision = match self.decision {
            Verb::Leave => "leave",
            Verb::Correct => "correct",
            Verb::Propose => "propose",
            Verb::Restore => "restore",
            Verb::Escalate => "escalate",
            Verb::Hold => "hold",
        };
        write!(f, ", lane {}, stage {}, decision {decision}", self.lane, self.stage.name())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CaseEntry {
    name: String,
    object: CaseObject,
    path: Option<Spanned<String>>,
    change: Option<Change>,
    desired: Option<Value>,
    live: Option<Value>,
    manager: Option<String>,
    environment: Option<String>,
    tier: Option<u8>,
    class: Option<String>,
    lane: Lane,
    stage: Stage,
    decision: Verb,
}

pub(super) fn case(entry: Spanned<CaseEntry>, place: &Lines<'_>) -> Result<PolicyCase, Problem> {
    let at = entry.span().start;
    let entry = entry.into_inner();
    let wrong = |message: &str| place.problem(at, format!("case `{}`: {message}", entry.name));
    let path = match &entry.path {
        Some(path) => path.get_ref().parse().map_err(|error| place.problem(path.span().start, format!("{error}")))?,
        None => Path::root(),
    };
    let change = match (entry.change, &entry.desired, &entry.live) {
        (Some(change), ..) => change,
        (None, Some(_), Some(_)) => Change::Changed,
        (None, Some(_), None) => Change::Removed,
        (None, None, Some(_)) => Change::Undeclared,
        (None, None, None) => return Err(wrong("say what differs: `desired`, `live` or both, or `change` of a whole object")),
    };
    let is_whole = matches!(change, Change::MissingObject | Change::ExtraObject) || entry.object.is_output();
    if is_whole != path.0.is_empty() {
        let message = if is_whole { "a whole object or an output has no `path`" } else { "say where it differs: `path`" };
        return Err(wrong(message));
    }
    if !entry.object.is_output() && entry.object.api_version.is_empty() {
        return Err(wrong("say which version its object has, as in apiVersion = \"apps/v1\""));
    }
    let has = (entry.desired.is_some(), entry.live.is_some());
    let fits = match change {
        Change::Changed => has == (true, true) || entry.object.is_output(),
        Change::Removed => has == (true, false),
        // What Git does not declare may have a default that live differs from.
        Change::Undeclared | Change::Leftover => has.1,
        Change::MissingObject | Change::ExtraObject => has == (false, false),
    };
    if !fits {
        return Err(wrong(&format!("`desired` and `live` are not those of change = \"{change}\"")));
    }
    if entry.tier.is_some_and(|tier| !TIERS.contains(&tier)) {
        return Err(wrong("a tier is a number from 1 to 9"));
    }
    Ok(PolicyCase {
        name: entry.name,
        origin: place.origin(at),
        object: entry.object,
        path,
        change,
        desired: entry.desired,
        live: entry.live,
        manager: entry.manager,
        standing: Standing { environment: entry.environment, tier: entry.tier },
        expected: Expected { class: entry.class, lane: entry.lane, stage: entry.stage, decision: entry.decision },
    })
}
