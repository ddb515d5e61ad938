//! What stands around a difference, for policies and for its risk.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What stands around a difference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Surroundings {
    /// The object as Git declares it; of a secret object its names and labels alone.
    pub desired: Option<Arc<Value>>,
    /// The object as it is; of a secret object its names and labels alone.
    pub live: Option<Arc<Value>>,
    /// All field managers that own something of the live value, by managedFields.
    pub owners: BTreeSet<String>,
    /// What ignore rules name inside the values.
    pub inside: Inside,
    /// What the target is to its owners.
    pub standing: Standing,
    /// How far a change of the object reaches.
    pub reach: Reach,
    /// What happened at this place before.
    pub history: History,
}

/// What a target is to its owners, as `trueup.toml` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Standing {
    /// `production`, `staging`…; absent where nothing is said.
    pub environment: Option<String>,
    /// From 1, the most important; absent where nothing is said.
    pub tier: Option<u8>,
}

/// How far a change of an object reaches, as far as it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Reach {
    /// Pods that it owns, selects, configures or grants rights to.
    pub pods: u32,
    /// Other declared objects that name it or that it names: by reference, selector or binding.
    pub objects: u32,
}

/// What happened at a place before, by the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Our corrections of the last 30 days.
    pub corrections: u32,
    /// Those of them that did not hold, made something worse, or were undone.
    pub failures: u32,
}

impl History {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What ignore rules name inside a difference's values, each rule as reports show it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Inside {
    /// Nothing.
    #[default]
    Nothing,
    /// Some of it: something else differs, too.
    Part(Vec<String>),
    /// All that differs.
    All(Vec<String>),
}
