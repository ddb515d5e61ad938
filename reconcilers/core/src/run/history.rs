//! Runs as their records tell them.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{Due, Effect, Entry, HandBack, ImpossibleStep, Intent, Outcome, Proposal, Record, RunId, RunStatus, next_status};
use crate::finding::Place;

/// One run: what it meant to do and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// What it meant to do.
    pub intent: Intent,
    /// When the intent was recorded.
    pub begun: Timestamp,
    /// Where it stands.
    pub status: RunStatus,
    /// When it came to stand there.
    pub changed: Timestamp,
    /// Its proposals by place, as they were last.
    pub proposals: BTreeMap<Place, Proposal>,
    /// Why its proposal is about to be closed by trueup, since that was recorded.
    pub withdrawal: Option<String>,
    /// What became of the fields that it owes to their owner.
    pub hand_back: Option<HandBack>,
    /// When it was recorded that no answer of its act is known, the oldest first.
    pub unanswered: Vec<Timestamp>,
    /// The numbers of its records.
    pub records: Vec<u64>,
}

/// All runs in the order in which they began.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    runs: Vec<Run>,
    by_id: HashMap<RunId, usize>,
}

/// Why an entry cannot follow what is recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Its run never began.
    #[error("run `{0}` has no intent: an intent is recorded before anything else of a run")]
    NoIntent(RunId),
    /// Its run has begun already.
    #[error("run `{0}` has begun already: each intent has a new id")]
    BegunAlready(RunId),
    /// Its run cannot go this way.
    #[error("run `{run}` cannot go on")]
    Step {
        /// The run.
        run: RunId,
        /// Why.
        #[source]
        source: ImpossibleStep,
    },
}

impl Run {
    /// What the run still owes.
    #[must_use]
    pub fn due(&self) -> Due {
        self.status.due()
    }

    /// The run that put this one back.
    #[must_use]
    pub fn undone_by(&self) -> Option<&RunId> {
        match &self.status {
            RunStatus::Undone { by } => Some(by),
            RunStatus::Intended(_)
            | RunStatus::Unknown { .. }
            | RunStatus::Void { .. }
            | RunStatus::Refused { .. }
            | RunStatus::Inadmissible { .. }
            | RunStatus::Undetermined { .. }
            | RunStatus::Applied { .. }
            | RunStatus::Proposed { .. }
            | RunStatus::Closed(_)
            | RunStatus::Verified(_) => None,
        }
    }

    /// Whether it may have taken this run back, and that is not known: what is there by now may be somebody else's.
    fn may_have_taken_back(&self, run: &RunId) -> bool {
        let Effect::Patch(effect) = &self.intent.effect else { return false };
        let is_open = matches!(self.status, RunStatus::Undetermined { .. }) || self.due() == Due::Resolution;
        is_open && effect.takes_back.as_ref() == Some(run)
    }
}

/// The run that may have taken this one back, where that is not known.
#[must_use]
pub fn perhaps_undone_by<'a>(runs: &'a [Run], run: &RunId) -> Option<&'a RunId> {
    runs.iter().find(|other| other.may_have_taken_back(run)).map(|other| &other.intent.run)
}

impl Runs {
    /// Takes in the next record. What is refused changes nothing.
    ///
    /// # Errors
    /// Where the entry cannot follow what came before.
    pub fn apply(&mut self, record: &Record) -> Result<(), HistoryError> {
        if let Entry::Intent(intent) = &record.entry {
            return self.begin(intent, record);
        }
        let Some(id) = record.entry.run() else { return Ok(()) };
        let Some(run) = self.by_id.get(id).and_then(|index| self.runs.get_mut(*index)) else {
            return Err(HistoryError::NoIntent(id.clone()));
        };
        if let Some(event) = record.entry.event() {
            let step = |source| HistoryError::Step { run: id.clone(), source };
            run.status = next_status(&run.status, &event).map_err(step)?;
            run.changed = record.at;
        }
        if let Entry::Outcome { outcome: Outcome::Unknown { .. }, .. } = &record.entry {
            run.unanswered.push(record.at);
        }
        if let Entry::HandBack(back) = &record.entry {
            run.hand_back = Some(back.clone());
        }
        if let Entry::Withdrawal { reason, .. } = &record.entry {
            run.withdrawal = Some(reason.clone());
        }
        run.records.push(record.seq);
        if let Entry::Proposal(proposal) = &record.entry {
            run.proposals.insert(proposal.place.clone(), proposal.clone());
        }
        Ok(())
    }

    /// The runs, the oldest first.
    #[must_use]
    pub fn all(&self) -> &[Run] {
        &self.runs
    }

    /// The runs, the oldest first.
    #[must_use]
    pub fn into_all(self) -> Vec<Run> {
        self.runs
    }

    /// The run of this id.
    #[must_use]
    pub fn get(&self, id: &RunId) -> Option<&Run> {
        self.by_id.get(id).and_then(|index| self.runs.get(*index))
    }

    fn begin(&mut self, intent: &Intent, record: &Record) -> Result<(), HistoryError> {
        if self.by_id.contains_key(&intent.run) {
            return Err(HistoryError::BegunAlready(intent.run.clone()));
        }
        self.by_id.insert(intent.run.clone(), self.runs.len());
        self.runs.push(Run {
            status: RunStatus::Intended(intent.effect.kind()),
            intent: intent.clone(),
            begun: record.at,
            changed: record.at,
            proposals: BTreeMap::new(),
            withdrawal: None,
            hand_back: None,
            unanswered: Vec::new(),
            records: vec![record.seq],
        });
        Ok(())
    }
}
