//! What `case.toml` of a scenario says: which row it is of, the verdict as a person thought it out, and how its live objects
//! came to be. It is never written by a test.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use trueup_core::decide::Decision;
use trueup_core::finding::{Difference, Stage};
use trueup_core::policy::Policy;

use super::Judged;

/// A scenario's `case.toml`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// The row of the conformance table.
    pub row: Option<String>,
    /// What it shows, in a sentence.
    pub shows: String,
    /// Every finding: object, path and change, as `ConfigMap shop/settings data.a changed`.
    pub finds: Vec<String>,
    /// What becomes of the findings, where the row says.
    pub fate: Option<Fate>,
    /// The `kubectl` commands after which the live objects are as they are; `shop` is the namespace. `eventually COMMAND`
    /// is tried until it succeeds, `until TEXT: COMMAND` until its output holds the text.
    #[serde(default)]
    pub steps: Vec<String>,
    /// Why there are no steps.
    pub made: Option<String>,
    /// Commands that the server refuses at the end.
    #[serde(default)]
    pub refused: Vec<String>,
    /// Other objects that are recorded beside the declared ones.
    #[serde(default)]
    pub also: Vec<String>,
    /// Commands that clean up.
    #[serde(default)]
    pub after: Vec<String>,
}

/// What becomes of a scenario's findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// One patch puts all of them right.
    Corrected,
    /// Policy would correct them, and none of them is.
    Reviewed,
}

impl Case {
    /// Reads the `case.toml` of a folder.
    pub fn read(folder: &Path) -> Self {
        let file = folder.join("case.toml");
        let text = fs::read_to_string(&file)
            .unwrap_or_else(|error| panic!("{}: {error}; it holds row, shows, finds and steps", file.display()));
        Self::parse(&text, folder)
    }

    /// Reads the text of a `case.toml`.
    pub fn parse(text: &str, folder: &Path) -> Self {
        let case: Self = toml::from_str(text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        assert!(case.steps.is_empty() == case.made.is_some(), "{}: either `steps`, or why there are none", folder.display());
        case
    }

    /// What is wrong with what was found, by the verdict that a person wrote.
    pub fn objections(&self, judged: &Judged, policy: &Policy) -> Vec<String> {
        let (found, wanted) = (found(judged), sorted(&self.finds));
        let mut objections: Vec<String> =
            found.iter().filter(|place| !wanted.contains(place)).map(|place| format!("false: {place}")).collect();
        objections.extend(wanted.iter().filter(|place| !found.contains(place)).map(|place| format!("missed: {place}")));
        objections.extend(self.fate.and_then(|fate| fate.objection(judged, policy)));
        objections
    }
}

impl Fate {
    fn objection(self, judged: &Judged, policy: &Policy) -> Option<String> {
        let findings: Vec<_> = judged.findings.iter().flatten().collect();
        let corrected = |decision: &&Decision| matches!(decision, Decision::Correct(_));
        let count: usize = judged.decisions.iter().filter(corrected).count();
        match self {
            Self::Corrected if count == 0 || judged.decisions.len() != count => {
                Some(format!("not corrected: {:#?}", judged.decisions))
            }
            Self::Reviewed if count > 0 => Some("it is corrected".to_owned()),
            Self::Reviewed => {
                let wanted = |name: &String| policy.classes.iter().any(|class| class.name == *name && class.stage == Stage::Auto);
                let idle = findings.iter().any(|finding| !finding.class.as_ref().is_some_and(wanted));
                (idle || findings.is_empty()).then(|| "its policy would correct nothing".to_owned())
            }
            Self::Corrected => None,
        }
    }
}

fn sorted(places: &[String]) -> Vec<String> {
    let mut places = places.to_vec();
    places.sort();
    places
}

/// Object, path and change of each finding, sorted.
pub fn found(judged: &Judged) -> Vec<String> {
    let differences = judged.findings.iter().flatten().map(|finding| &finding.difference);
    sorted(&differences.map(place).collect::<Vec<_>>())
}

fn place(difference: &Difference) -> String {
    let parts = [difference.subject.to_string(), difference.path().to_string(), difference.change().to_string()];
    parts.iter().filter(|part| !part.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
}
