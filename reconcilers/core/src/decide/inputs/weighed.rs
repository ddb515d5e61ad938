//! One finding, as far as a decision asks for it, and how it would be put right.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::grounds::Grounds;
use super::super::hints;
use crate::facts::{Matched, Origin};
use crate::finding::{
    Change, Digests, Divergence, Drift, Finding, FindingId, Lane, ObjectChange, Place, Predicate, Stage, Subject,
};
use crate::patch::{Mend, Repair, repair};
use crate::path::Path;
use crate::policy::{Facts, Freeze};
use crate::secret;

/// One finding, as far as a decision asks for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weighed {
    /// Place and values.
    pub finding: FindingId,
    /// Place alone.
    pub place: Place,
    /// Its values, told apart without being told.
    pub digests: Digests,
    /// The class that named it.
    pub class: Option<String>,
    /// Where it goes.
    pub lane: Lane,
    /// How far it may be acted on.
    pub stage: Stage,
    /// How risky it is.
    pub risk: u8,
    /// Why.
    pub reasons: Vec<String>,
    /// What differs.
    pub what: What,
    /// Where Git declares it.
    pub origin: Origin,
    /// What wrote it last.
    pub manager: Option<String>,
    /// When that was.
    pub written: Option<String>,
    /// Whether it loosens security, or may.
    pub weakens: bool,
    /// Why trueup never corrects it, whoever asks.
    pub barred: Option<String>,
    /// Why Git does not follow live here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
    /// The freeze in force for it.
    pub frozen: Option<String>,
    /// What another policy would ask of it.
    pub grounds: Grounds,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// A value at a path.
    Field {
        /// Where.
        path: Path,
        /// What happened.
        change: Change,
        /// How it would be put right.
        way: Way,
    },
    /// A whole object.
    Object(ObjectChange),
    /// An output against its expectation.
    Expectation {
        /// What is asked of it.
        predicate: Predicate,
        /// Whether a secret value takes part.
        masked: bool,
    },
}

/// How a value would be put right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// By a patch that makes the path so.
    Mend(Mend),
    /// By none, because of this.
    None(String),
    /// By none: a secret value takes part.
    Secret(String),
    /// Nobody asks for a correction: neither its lane and stage, nor a person.
    Unasked,
}

/// What is asked of each finding.
pub(super) struct Asking<'a> {
    pub(super) freezes: &'a [(&'a Freeze, Timestamp)],
    pub(super) restored: BTreeSet<&'a Place>,
    /// Classes whose proposals ask for a correction.
    pub(super) restoring: BTreeSet<&'a str>,
}

impl Asking<'_> {
    /// Whether anything asks for a correction.
    fn correction_of(&self, finding: &Finding) -> bool {
        let is_to_be_restored =
            finding.lane == Lane::Review && finding.class.as_deref().is_some_and(|class| self.restoring.contains(class));
        let is_acted_on = finding.stage > Stage::Observe;
        self.restored.contains(&finding.place) || (is_acted_on && (finding.lane == Lane::Auto || is_to_be_restored))
    }

    fn freeze_of(&self, finding: &Finding) -> Option<String> {
        let facts = Facts::of(&finding.difference);
        self.freezes.iter().find_map(|(freeze, until)| freeze.is_for(&facts).then(|| freeze.reason(*until)))
    }
}

impl Weighed {
    pub(super) fn of(finding: &Finding, matched: Option<&Matched>, asking: &Asking<'_>) -> Self {
        let difference = &finding.difference;
        let what = match &difference.divergence {
            Divergence::Field(drift) => {
                What::Field { path: drift.path.clone(), change: drift.change, way: way(finding, drift, matched, asking) }
            }
            Divergence::Object(change) => What::Object(*change),
            Divergence::Expectation(expectation) => {
                What::Expectation { predicate: expectation.predicate, masked: difference.is_masked() }
            }
        };
        Self {
            finding: finding.id.clone(),
            place: finding.place.clone(),
            digests: finding.digests(),
            class: finding.class.clone(),
            lane: finding.lane,
            stage: finding.stage,
            risk: finding.risk.score,
            reasons: finding.reasons.clone(),
            what,
            origin: difference.origin.clone(),
            manager: difference.cause.manager.clone(),
            written: difference.cause.time.clone(),
            weakens: crate::security::may_weaken(difference),
            barred: finding.barred.clone(),
            kept: finding.kept.clone(),
            frozen: asking.freeze_of(finding),
            grounds: Grounds::of(finding),
        }
    }

    pub(super) fn path(&self) -> String {
        match &self.what {
            What::Field { path, .. } => path.to_string(),
            What::Object(_) | What::Expectation { .. } => String::new(),
        }
    }

    /// Whether nobody asked how it would be put right.
    pub(in crate::decide) fn is_unasked(&self) -> bool {
        matches!(&self.what, What::Field { way: Way::Unasked, .. })
    }

    pub(in crate::decide) fn mend(&self) -> Option<&Mend> {
        match &self.what {
            What::Field { way: Way::Mend(mend), .. } => Some(mend),
            What::Field { way: Way::None(_) | Way::Secret(_) | Way::Unasked, .. }
            | What::Object(_)
            | What::Expectation { .. } => None,
        }
    }
}

/// How a drift is put right by itself. What cannot be said in a patch, or may not be in one, is settled here, where the
/// values are known.
fn way(finding: &Finding, drift: &Drift, matched: Option<&Matched>, asking: &Asking<'_>) -> Way {
    if finding.difference.is_masked() {
        return Way::Secret("secret values are never proposed".to_owned());
    }
    if matches!(&finding.difference.subject, Subject::Object(id) if id.is_secret()) {
        return Way::Secret("values of Secrets are never proposed".to_owned());
    }
    let is_asked = asking.correction_of(finding);
    let Some(matched) = matched.filter(|_| is_asked || finding.lane == Lane::Escalate) else { return Way::Unasked };
    match (repair(&matched.live, &matched.expected.value, &[drift]), Mend::of(drift)) {
        // The ledger keeps both, for good.
        (Ok(Repair { patch, inverse }), _) if secret::is_within(&patch) || secret::is_within(&inverse) => {
            Way::None("its patch would carry a secret value".to_owned())
        }
        (Ok(_), Ok(mend)) if is_asked => Way::Mend(mend),
        // People who are told learn what stands in the way, and need nothing else.
        (Ok(_), Ok(_)) => Way::Unasked,
        (Err(error), _) | (_, Err(error)) => Way::None(hints::in_full(&error, finding)),
    }
}
