//! The corrections of one target: of each class one goes first and alone, through its whole window. Where that one settled,
//! the others follow with their windows side by side; where one made something worse, no further one of the class is begun.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use trueup_core::decide::{Correction, Guards, Proposal};
use trueup_core::run::Outlook;

use super::correct::{Corrected, correct};
use super::{Acting, Basis, report};
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::target::Judged;

/// How many corrections have their windows at once.
const SIDE_BY_SIDE: usize = 8;

/// What the corrections of this round have told about their classes.
#[derive(Debug, Default)]
struct Told {
    settled: BTreeSet<String>,
    /// With why.
    stopped: BTreeMap<String, String>,
}

impl Told {
    /// Whether it need not go alone: it is nobody's first, and those that it follows held.
    fn is_settled(&self, correction: &Correction) -> bool {
        let batch = &correction.batch;
        batch.first_of.is_empty() && batch.follows.iter().all(|class| self.settled.contains(class))
    }

    fn stopped(&self, correction: &Correction) -> Option<&String> {
        correction.classes.iter().find_map(|class| self.stopped.get(class))
    }

    fn hear(&mut self, classes: &[String], outlook: Option<Outlook>) {
        match outlook {
            Some(Outlook::Settled) => self.settled.extend(classes.iter().cloned()),
            Some(Outlook::Unhealthy) => {
                let why =
                    |class: &String| format!("a correction of class {class} made something worse in this round: the others wait");
                self.stopped.extend(classes.iter().map(|class| (class.clone(), why(class))));
            }
            // Nothing is proven, and nothing is against trying the next one alone.
            Some(Outlook::Pending | Outlook::Drifting | Outlook::Unseen) | None => {}
        }
    }
}

/// Reports and what is left to review, each with its number among the decisions; the latter with by what it was decided.
type Results = (Vec<(usize, Vec<RunReport>)>, Vec<(usize, Arc<Basis>, Proposal)>);

/// Corrects one after the other, or side by side where a class has been tried.
pub(super) async fn correct_all(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    corrections: Vec<(usize, Correction)>,
) -> Result<Results, LedgerError> {
    let told = Mutex::new(Told::default());
    let mut waiting = VecDeque::from(corrections);
    let (mut reports, mut left) = (Vec::new(), Vec::new());
    while let Some(next) = waiting.pop_front() {
        let is_settled = |(_, correction): &(usize, Correction)| locked(&told).is_settled(correction);
        let tried_before = is_settled(&next);
        let mut together = vec![next];
        while tried_before && waiting.front().is_some_and(is_settled) {
            together.extend(waiting.pop_front());
        }
        let one = |(number, correction): (usize, Correction)| {
            let told = &told;
            async move { Ok::<_, LedgerError>((number, tried(acting, judged, guards, correction, told).await?)) }
        };
        let done: Vec<_> = stream::iter(together).map(one).buffered(SIDE_BY_SIDE).try_collect().await?;
        for (number, corrected) in done {
            reports.push((number, corrected.reports));
            left.extend(corrected.left.into_iter().map(|(basis, proposal)| (number, basis, proposal)));
        }
    }
    Ok((reports, left))
}

async fn tried(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    correction: Correction,
    told: &Mutex<Told>,
) -> Result<Corrected, LedgerError> {
    if acting.stop.is_requested() {
        return Ok(Corrected::default());
    }
    let stopped = locked(told).stopped(&correction).cloned();
    if let Some(why) = stopped {
        let reasons: Vec<String> = correction.reasons.iter().cloned().chain([why]).collect();
        let ids = correction.corrected.iter().map(|(id, _)| id.to_string());
        let reports = vec![report(ActionName::None, "held", ids, &reasons)];
        return Ok(Corrected { reports, ..Corrected::default() });
    }
    let classes = correction.classes.clone();
    let corrected = correct(acting, judged, guards, correction).await?;
    locked(told).hear(&classes, corrected.outlook);
    Ok(corrected)
}

/// What a panic elsewhere left is whole: each change is one insertion.
fn locked(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
