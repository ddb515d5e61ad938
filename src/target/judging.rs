//! Steps 4 and 5: what differs in the objects of one look, and what policy makes of that.

use trueup_core::classify::classify;
use trueup_core::diff::{Comparison, compare};
use trueup_core::difference::differences;
use trueup_core::facts::{Matched, Observation, Pair, Problem};
use trueup_core::finding::{Change, Difference, Finding, Standing, Subject};
use trueup_core::ignore::look_inside;
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::policy::Policy;
use trueup_core::reach::Topology;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::verdicts::Verdicts;

use super::{Judged, Reach, order};
use crate::config::Target;
use crate::desired::twice::told_apart;

/// One declared object (or expected output) and what came of it.
#[derive(Debug)]
pub struct JudgedCase {
    /// What was compared; absent for outputs.
    pub pair: Option<Pair>,
    /// All that comparing showed.
    pub comparison: Comparison,
    /// What policy makes of it.
    pub findings: Vec<Finding>,
}

impl JudgedCase {
    /// Whether this is about an object that Git no longer declares.
    #[must_use]
    pub fn is_extra(&self) -> bool {
        self.findings.iter().any(|finding| finding.difference.change() == Change::ExtraObject)
    }

    /// Steps 4 and 5 for one object.
    #[must_use]
    pub fn of(pair: Pair, (target, kinds): (&TargetName, &Kinds), judging: Judging<'_>) -> Self {
        let compared = |matched: &Matched| compare(matched, kinds.types(), &kinds.shape(&matched.desired.id), judging.key);
        let comparison = match &pair {
            Pair::Matched(matched) => compared(matched),
            Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => Comparison::default(),
        };
        let mut differences = differences(target, &pair, comparison.drifts.clone());
        if let Pair::Matched(matched) = &pair {
            look_inside(&mut differences, matched, judging.policy, &|matched| compared(matched).drifts);
        }
        Self {
            findings: differences.into_iter().map(|difference| judging.classify(difference)).collect(),
            pair: Some(pair),
            comparison,
        }
    }
}

/// What differences are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judging<'a> {
    /// The source's name, for places.
    pub source: &'a str,
    /// The classes.
    pub policy: &'a Policy,
    /// For ids and masks.
    pub key: &'a DigestKey,
    /// What the target is to its owners.
    pub standing: &'a Standing,
    /// How the target's objects hang together, as far as that is known by now.
    pub topology: &'a Topology,
}

impl Judging<'_> {
    pub(crate) fn classify(self, mut difference: Difference) -> Finding {
        difference.surroundings.standing = self.standing.clone();
        let seen = difference.surroundings.live.as_deref().or(difference.surroundings.desired.as_deref());
        if let (Subject::Object(id), Some(value)) = (&difference.subject, seen) {
            difference.surroundings.reach = self.topology.reach(id, value);
        }
        classify(difference, self.policy, self.source, self.key)
    }
}

/// The judged target of an observation.
pub(super) fn judged(
    target: &Target,
    observation: Observation,
    mut problems: Vec<Problem>,
    (judging, verdicts): (Judging<'_>, Option<&Verdicts>),
    (reach, kinds): (Reach, Kinds),
) -> Judged {
    problems.extend(observation.problems);
    let rewriters = observation.rewriters;
    let (pairs, ambiguous) = told_apart(observation.pairs);
    let ambiguous: Vec<_> = ambiguous.into_iter().filter(|problem| !problems.contains(problem)).collect();
    problems.extend(ambiguous);
    let topology = Topology::of(pairs.iter().map(seen));
    let judging = Judging { topology: &topology, ..judging };
    let mut cases: Vec<_> = pairs.into_iter().map(|pair| case_of(pair, (&target.name, &kinds), judging, verdicts)).collect();
    order::say(&mut cases);
    Judged { cases, reach, kinds, rewriters, topology, ..Judged::unseen(target, problems) }
}

/// Steps 4 and 5 for one object. What was true and is the very same is not walked again: nothing differs, so there is nothing
/// that policy could make of it.
fn case_of(pair: Pair, known: (&TargetName, &Kinds), judging: Judging<'_>, verdicts: Option<&Verdicts>) -> JudgedCase {
    let before = match &pair {
        Pair::Matched(matched) => verdicts.and_then(|verdicts| verdicts.comparison(matched)),
        Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => None,
    };
    if let Some(comparison) = before {
        return JudgedCase { pair: Some(pair), comparison, findings: Vec::new() };
    }
    let case = JudgedCase::of(pair, known, judging);
    if let (Some(verdicts), Some(Pair::Matched(matched))) = (verdicts, &case.pair) {
        verdicts.keep(matched, &case.comparison);
    }
    case
}

/// An object as it is, or as Git declares it where it is not seen.
fn seen(pair: &Pair) -> (&ObjectId, &serde_json::Value) {
    match pair {
        Pair::Matched(matched) => (&matched.desired.id, &matched.live.value),
        Pair::Missing(desired) | Pair::Unseen(desired, _) | Pair::Skipped(desired, _) => (&desired.id, &desired.value),
    }
}
