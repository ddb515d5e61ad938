//! The invariants, each checked after each step over all that has happened by then. None asks the actor: what counts is what
//! the server took, what is on the disk and at the forge, and what the world showed.

mod ends;
mod offers;
mod records;
mod verdicts;
mod writes;

use std::fmt;

use super::world::World;

pub use ends::{end, is_denied, noninterference};

/// An invariant, by what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    PolicyGate,
    NoStaleWrite,
    ReadYourWrites,
    NoWriteWithoutEntry,
    OneProposal,
    Convergence,
    NoNoOp,
    Minimality,
    Budget,
    NoFight,
    FailClosed,
    Deletes,
    Noninterference,
    Rollback,
    Replay,
    Ledger,
    Pinning,
    Isolation,
    TriggerIndependence,
    VerdictTruth,
}

/// All that are checked here. I11, I19, I20 and I22 are not: there is one process a state folder (a lock holds the other off), and no
/// memory, no webhook and no report in this world.
pub const ALL: [Invariant; 20] = [
    Invariant::PolicyGate,
    Invariant::NoStaleWrite,
    Invariant::ReadYourWrites,
    Invariant::NoWriteWithoutEntry,
    Invariant::OneProposal,
    Invariant::Convergence,
    Invariant::NoNoOp,
    Invariant::Minimality,
    Invariant::Budget,
    Invariant::NoFight,
    Invariant::FailClosed,
    Invariant::Deletes,
    Invariant::Noninterference,
    Invariant::Rollback,
    Invariant::Replay,
    Invariant::Ledger,
    Invariant::Pinning,
    Invariant::Isolation,
    Invariant::TriggerIndependence,
    Invariant::VerdictTruth,
];

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PolicyGate => "I1 policy gate",
            Self::NoStaleWrite => "I2 no stale write",
            Self::ReadYourWrites => "I3 read your writes",
            Self::NoWriteWithoutEntry => "I4 no write without entry",
            Self::OneProposal => "I5 one proposal a place",
            Self::Convergence => "I6 convergence",
            Self::NoNoOp => "I7 no no-op",
            Self::Minimality => "I8 minimality",
            Self::Budget => "I9 budget",
            Self::NoFight => "I10 no fight",
            Self::FailClosed => "I12 fail closed",
            Self::Deletes => "I13 deletes",
            Self::Noninterference => "I14 secret noninterference",
            Self::Rollback => "I15 rollback",
            Self::Replay => "I16 replay",
            Self::Ledger => "I17 ledger",
            Self::Pinning => "I18 pinning",
            Self::Isolation => "I21 isolation",
            Self::TriggerIndependence => "I23 trigger independence",
            Self::VerdictTruth => "I24 verdict truth",
        })
    }
}

/// What broke, and how that shows.
#[derive(Debug, Clone)]
pub struct Violation {
    pub invariant: Invariant,
    pub how: String,
}

/// What was found, and how much was looked at.
#[derive(Debug, Default)]
pub struct Findings {
    pub violations: Vec<Violation>,
    pub checks: std::collections::BTreeMap<Invariant, u64>,
    writes: usize,
    records: usize,
    rounds: usize,
    pulls: offers::Pulls,
}

impl Findings {
    /// Counts one look, and keeps what it showed.
    fn look(&mut self, invariant: Invariant, holds: bool, how: impl FnOnce() -> String) {
        *self.checks.entry(invariant).or_default() += 1;
        if !holds {
            self.violations.push(Violation { invariant, how: how() });
        }
    }
}

/// Looks at all that is new since the last look, against all that happened before.
pub fn check(world: &World, findings: &mut Findings) {
    records::check(world, findings);
    writes::check(world, findings);
    offers::check(world, findings);
    verdicts::check(world, findings);
}
