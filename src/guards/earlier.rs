//! What earlier writes came to: places that somebody writes back each time, and classes that have made something worse.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use trueup_core::decide::{FIGHT_WRITES, Guards, HeldPlace};
use trueup_core::finding::{Divergence, Finding, Place, Subject};
use trueup_core::policy::Policy;
use trueup_core::run::{RunId, Standing};

use crate::target::Judged;

/// A fight is counted over this long.
const FIGHT_WINDOW: SignedDuration = SignedDuration::from_hours(1);
/// After this many writes that made something worse, a class is held.
const FAILURES: usize = 2;

/// How often each place was written that somebody writes back each time. Frozen once, it stays so until a person or Git
/// changes something, or it is seen true again: not until the window has passed.
pub(super) fn fights(standing: &Standing, judged: &Judged) -> BTreeMap<Place, u32> {
    let fights = standing.fights(FIGHT_WRITES as usize, FIGHT_WINDOW);
    let fought = |finding: &Finding| {
        let fight = fights.get(&finding.place)?;
        let last = fight.times.last()?;
        let is_lasting = standing.escalated().contains_key(&finding.place) || written_back(finding, *last);
        let count = u32::try_from(fight.times.len()).unwrap_or(u32::MAX);
        (is_lasting && wants(judged, finding, &fight.value)).then(|| (finding.place.clone(), count))
    };
    judged.findings().filter_map(fought).collect()
}

/// Whether somebody wrote it back soon after our write; where nobody knows when, it counts as soon.
fn written_back(finding: &Finding, last: Timestamp) -> bool {
    let written: Option<Timestamp> = finding.difference.cause.time.as_deref().and_then(|time| time.parse().ok());
    written.is_none_or(|written| written.duration_since(last) <= FIGHT_WINDOW)
}

/// Whether Git still wants the value that was written: else Git has changed something, and it is no fight any more.
fn wants(judged: &Judged, finding: &Finding, written: &Value) -> bool {
    let (Subject::Object(id), Divergence::Field(drift)) = (&finding.difference.subject, &finding.difference.divergence) else {
        return false;
    };
    drift.wants(judged.case_of(id).and_then(|case| case.pair.as_ref()), written)
}

/// Holds what a class would correct that has made something worse twice under this very policy.
pub(super) fn hold_failed(guards: &mut Guards, standing: &Standing, (judged, policy): (&Judged, &Policy)) {
    let mut failures: BTreeMap<&str, Vec<&RunId>> = BTreeMap::new();
    for failure in standing.failures_under(&policy.digest) {
        for class in &failure.classes {
            failures.entry(class).or_default().push(&failure.run);
        }
    }
    failures.retain(|_, runs| runs.len() >= FAILURES);
    for finding in judged.findings() {
        let Some((class, runs)) = finding.class.as_deref().and_then(|class| failures.get_key_value(class)) else { continue };
        let runs: Vec<String> = runs.iter().map(ToString::to_string).collect();
        let reason = format!(
            "class {class} has made something worse {} times (runs {}): held until the policy changes",
            runs.len(),
            runs.join(", ")
        );
        // A hold of this very value keeps its own reason; one of an earlier value there says nothing of this one.
        if guards.held.get(&finding.place).is_none_or(|held| !held.findings.contains(&finding.id)) {
            let held = HeldPlace { reason, findings: BTreeSet::from([finding.id.clone()]) };
            guards.held.insert(finding.place.clone(), held);
        }
    }
}
