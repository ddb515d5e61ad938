//! The corrections of one target: of each class one goes first and alone, through its whole window. Where that one settled,
//! the others follow with their windows side by side; where one made something worse, no further one of the class is begun.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures::{StreamExt, TryStreamExt, stream};
use trueup_core::decide::{Correction, Guards};
use trueup_core::run::Outlook;

use super::correct::correct;
use super::{Acting, report};
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

/// Corrects one after the other, or side by side where a class has been tried; each with its number among the decisions.
pub(super) async fn correct_all(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    corrections: Vec<(usize, Correction)>,
) -> Result<Vec<(usize, Vec<RunReport>)>, LedgerError> {
    let told = Mutex::new(Told::default());
    let mut waiting = VecDeque::from(corrections);
    let mut reports = Vec::new();
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
        reports.extend(done);
    }
    Ok(reports)
}

async fn tried(
    acting: Acting<'_>,
    judged: &Judged,
    guards: &Guards,
    correction: Correction,
    told: &Mutex<Told>,
) -> Result<Vec<RunReport>, LedgerError> {
    if acting.stop.is_requested() {
        return Ok(Vec::new());
    }
    let stopped = locked(told).stopped(&correction).cloned();
    if let Some(why) = stopped {
        let reasons: Vec<String> = correction.reasons.iter().cloned().chain([why]).collect();
        return Ok(vec![report(ActionName::None, "held", correction.corrected.iter().map(|(id, _)| id.to_string()), &reasons)]);
    }
    let classes = correction.classes.clone();
    let (reports, outlook) = correct(acting, judged, guards, correction).await?;
    locked(told).hear(&classes, outlook);
    Ok(reports)
}

/// What a panic elsewhere left is whole: each change is one insertion.
fn locked(told: &Mutex<Told>) -> MutexGuard<'_, Told> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
