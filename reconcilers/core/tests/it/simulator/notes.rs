//! What the invariants are told of each round, by the world and not by the actor's own account.

use std::collections::BTreeMap;

use trueup_core::facts::Evidence;
use trueup_core::object::ObjectId;

use super::server::Object;
use crate::judge::Verdict;

#[derive(Debug, Clone, Default)]
pub struct Notes {
    pub rounds: Vec<RoundNote>,
}

/// One round: what the world gave to it.
#[derive(Debug, Clone)]
pub struct RoundNote {
    pub commit: usize,
    /// The record with which it begins.
    pub from: u64,
    pub evidence: Evidence,
    /// What it was shown, and what it found there; `None` where it gave no verdict.
    pub judged: BTreeMap<ObjectId, (Object, Option<Verdict>)>,
    /// Whether it went through to its end.
    pub is_whole: bool,
}
