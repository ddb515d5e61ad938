//! What moves a correction from state to state, and lets a proposal be asked for. Each move consumes the state that it leaves, and gives the next one only once
//! its entry is in the ledger: there is no other way to write, to look, or to take back.
//!
//! A write cannot go out of a plan that is not recorded:
//!
//! ```compile_fail,E0599
//! # use trueup_core::run::{PlanRemediation, Unanswered};
//! fn send_at_once(plan: PlanRemediation<'_>) -> Unanswered {
//!     plan.go_out()
//! }
//! ```
//!
//! while one that is recorded can, once:
//!
//! ```
//! # use trueup_core::run::{ExecuteRepair, Unanswered};
//! fn send(recorded: ExecuteRepair<'_>) -> Unanswered {
//!     recorded.go_out()
//! }
//! ```
//!
//! ```compile_fail,E0382
//! # use trueup_core::run::{ExecuteRepair, Unanswered};
//! fn send_twice(recorded: ExecuteRepair<'_>) -> [Unanswered; 2] {
//!     [recorded.go_out(), recorded.go_out()]
//! }
//! ```
//!
//! Whoever has looked at what was taken says how the run ends; no run ends as one that holds before:
//!
//! ```
//! # use trueup_core::run::{Move, Outlook, ResumeOrRollback, Validate};
//! fn end(taken: Validate) -> Move<ResumeOrRollback> {
//!     taken.seen(Outlook::Settled, None)
//! }
//! ```
//!
//! ```compile_fail,E0599
//! # use trueup_core::run::{Move, Outlook, ResumeOrRollback, Unanswered};
//! fn end_unseen(answered: Unanswered) -> Move<ResumeOrRollback> {
//!     answered.seen(Outlook::Settled, None)
//! }
//! ```

use super::{Due, Effect, Entry, HandBack, Intent, Outcome, Outlook, Owed, PatchEffect, Proposal, Run, RunId, RunStatus};
use crate::decide::Correction;
use crate::finding::Subject;
use crate::health::Vitals;

/// A move that counts once its entry is in the ledger.
#[derive(Debug)]
#[must_use = "it counts once it is in the ledger"]
pub struct Move<Next> {
    entry: Option<Entry>,
    next: Next,
}

impl<Next> Move<Next> {
    fn to(next: Next, entry: Entry) -> Self {
        Self { entry: Some(entry), next }
    }

    /// What is to be recorded; none where the last record says the same.
    #[must_use]
    pub fn entry(&self) -> Option<&Entry> {
        self.entry.as_ref()
    }

    /// The next state. For the ledger alone, when the entry is durable: core knows no ledger whose word a type could be, so the
    /// program's `clippy.toml` refuses every other caller.
    pub fn durable(self) -> Next {
        self.next
    }
}

/// By what, and in view of what, a correction is planned.
#[derive(Debug, Clone)]
pub struct Circumstances {
    /// The policy's digest.
    pub policy_digest: String,
    /// The pinned commit.
    pub commit: String,
    /// The number of the decision's record.
    pub decided: u64,
    /// How well things do before it.
    pub health: Vec<Vitals>,
    /// What is to go back to its owner after it.
    pub hand_back: Option<Owed>,
}

/// A correction with its way back. Nothing is recorded of it, and nothing may be sent.
#[derive(Debug)]
pub struct PlanRemediation<'a> {
    correction: &'a Correction,
    intent: Intent,
}

impl<'a> PlanRemediation<'a> {
    /// What a run of this id would do.
    #[must_use]
    pub fn of(run: RunId, correction: &'a Correction, circumstances: Circumstances) -> Self {
        let Circumstances { policy_digest, commit, decided, health, hand_back } = circumstances;
        let effect = PatchEffect { health, hand_back, ..PatchEffect::of(correction) };
        let (findings, places) = correction.corrected.iter().cloned().unzip();
        let intent = Intent {
            run,
            target: correction.target.clone(),
            subject: Subject::Object(correction.object.clone()),
            findings,
            places,
            paths: correction.paths.clone(),
            classes: correction.classes.clone(),
            policy_digest,
            commit,
            decided: Some(decided),
            effect: Effect::Patch(effect),
            reasons: correction.reasons.clone(),
        };
        Self { correction, intent }
    }

    /// The run begins.
    pub fn intend(self) -> Move<ExecuteRepair<'a>> {
        let next = ExecuteRepair { correction: self.correction, run: Unanswered { run: self.intent.run.clone() } };
        Move::to(next, Entry::Intent(Box::new(self.intent)))
    }
}

/// The intent is durable: this very correction may be sent, once.
#[derive(Debug)]
pub struct ExecuteRepair<'a> {
    correction: &'a Correction,
    run: Unanswered,
}

impl<'a> ExecuteRepair<'a> {
    /// The id of the run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run.run
    }

    /// What is to be written.
    #[must_use]
    pub fn correction(&self) -> &'a Correction {
        self.correction
    }

    /// It goes out: from here on it may have happened.
    #[must_use]
    pub fn go_out(self) -> Unanswered {
        self.run
    }
}

/// A proposal and what it asks for. Nothing is recorded of it, and no forge may be asked.
#[derive(Debug)]
pub struct PlanProposal {
    intent: Intent,
}

impl PlanProposal {
    /// What the run of this intent would do.
    #[must_use]
    pub fn of(intent: Intent) -> Self {
        Self { intent }
    }

    /// The run begins.
    pub fn intend(self) -> Move<Asked> {
        Move::to(Asked { run: self.intent.run.clone() }, Entry::Intent(Box::new(self.intent)))
    }
}

/// The intent of a proposal is durable: a forge may be asked for it, and asked again, as one branch and commit are one proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    run: RunId,
}

impl Asked {
    /// By what the ledger keeps of an open proposal, which follows its intent.
    #[must_use]
    pub fn before(proposal: &Proposal) -> Self {
        Self { run: proposal.run.clone() }
    }

    /// The id of the run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }
}

/// It may have happened. It is never sent again; its answer tells, or reading.
#[derive(Debug)]
pub struct Unanswered {
    run: RunId,
}

impl Unanswered {
    /// A patch's run that was cut off before it was known what came of it.
    #[must_use]
    pub fn of(run: &Run) -> Option<Self> {
        let is_it = run.due() == Due::Resolution && matches!(run.intent.effect, Effect::Patch(_));
        is_it.then(|| Self { run: run.intent.run.clone() })
    }

    /// It is known what came of it, or that nothing tells yet.
    pub fn ended(self, outcome: Outcome) -> Move<Option<Validate>> {
        let applied = match outcome {
            Outcome::Applied { .. } => true,
            Outcome::Refused { .. }
            | Outcome::Inadmissible { .. }
            | Outcome::Void { .. }
            | Outcome::Unknown { .. }
            | Outcome::Undetermined { .. } => false,
        };
        let next = applied.then(|| Validate { run: self.run.clone(), last: None });
        Move::to(next, Entry::Outcome { run: self.run, outcome })
    }
}

/// The target took it. What is owed to a field's owner may go back, and somebody is to look.
#[derive(Debug)]
pub struct Validate {
    run: RunId,
    last: Option<Outlook>,
}

impl Validate {
    /// A patch's run at which somebody has yet to look, or to look again.
    #[must_use]
    pub fn of(run: &Run) -> Option<Self> {
        let is_it = run.due() == Due::Verification && matches!(run.intent.effect, Effect::Patch(_));
        let last = if let RunStatus::Verified(outlook) = run.status { Some(outlook) } else { None };
        is_it.then(|| Self { run: run.intent.run.clone(), last })
    }

    /// The id of the run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// What became of the fields that go back to their owner. Somebody has yet to look.
    pub fn handed_back(self, to: String, outcome: Outcome) -> Move<Self> {
        let entry = Entry::HandBack(HandBack { run: self.run.clone(), to, outcome });
        Move::to(self, entry)
    }

    /// Somebody has looked. A look that shows what the last one showed is not recorded again.
    pub fn seen(self, outlook: Outlook, why: Option<String>) -> Move<ResumeOrRollback> {
        let entry = Entry::Verification { run: self.run.clone(), outlook, why: why.clone() };
        let entry = Some(entry).filter(|_| self.last != Some(outlook));
        Move { entry, next: ResumeOrRollback { run: self.run, outlook, why } }
    }
}

/// It is known what came of it.
#[derive(Debug)]
pub struct ResumeOrRollback {
    run: RunId,
    outlook: Outlook,
    why: Option<String>,
}

impl ResumeOrRollback {
    /// What was seen.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.outlook
    }

    /// Why it is not settled, where that can be said.
    #[must_use]
    pub fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Where it made something worse: it is to be taken back.
    #[must_use]
    pub fn rollback(&self) -> Option<Rollback> {
        match self.outlook {
            Outlook::Unhealthy => Some(Rollback { run: self.run.clone(), why: self.why.clone().unwrap_or_default() }),
            Outlook::Settled | Outlook::Pending | Outlook::Drifting | Outlook::Unseen => None,
        }
    }

    /// It has taken an earlier run back: that is noted of the earlier one.
    pub fn undid(self, earlier: RunId) -> Move<Self> {
        let entry = Entry::Undone { run: earlier, by: self.run.clone() };
        Move::to(self, entry)
    }
}

/// A run that made something worse. It is taken back by a run of its own, which is decided like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollback {
    run: RunId,
    why: String,
}

impl Rollback {
    /// The id of the run.
    #[must_use]
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// What got worse.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}
