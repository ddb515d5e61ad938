//! What people decided and what still counts of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{AreaHold, Person, Ruled, Ruling};
use crate::decide::Held;
use crate::object::TargetName;

/// What people decided, as far as it still counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct People {
    holds: Vec<Said<AreaHold>>,
    earlier_writes: BTreeSet<TargetName>,
    earlier_heads: BTreeSet<String>,
}

/// Something that a person decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said<T> {
    /// What.
    pub what: T,
    /// Who.
    pub by: Person,
    /// Why.
    pub because: String,
    /// When.
    pub at: Timestamp,
}

impl<T: Clone> Said<T> {
    fn of(ruling: &Ruling, what: &T, at: Timestamp) -> Self {
        Self { what: what.clone(), by: ruling.by.clone(), because: ruling.because.clone(), at }
    }
}

impl People {
    pub(super) fn apply(&mut self, ruling: &Ruling, at: Timestamp) {
        match &ruling.what {
            Ruled::Hold(hold) => {
                self.holds.retain(|earlier| !earlier.what.area.is_same(&hold.area));
                self.holds.push(Said::of(ruling, hold, at));
            }
            Ruled::Resume { area } => self.holds.retain(|hold| !hold.what.area.is_same(area)),
            Ruled::EarlierWrites { target, heads } => {
                self.earlier_writes.insert(target.clone());
                self.earlier_heads.extend(heads.iter().cloned());
            }
            Ruled::History { .. } => {}
        }
    }

    /// What people hold at a time, the oldest first.
    pub fn holds(&self, now: Timestamp) -> impl Iterator<Item = &Said<AreaHold>> {
        self.holds.iter().filter(move |hold| hold.what.until.is_none_or(|until| now < until))
    }

    /// What of a target people hold, whether that time has come or not: who decides looks at the time.
    #[must_use]
    pub fn holds_in(&self, target: &TargetName) -> Vec<Held> {
        let held = |said: &Said<AreaHold>| {
            let Said { what: AreaHold { area, until }, by, because, at } = said;
            let end = until.map(|until| format!(", until {until:.0}")).unwrap_or_default();
            let reason = format!("{because} ({by}, since {at:.0}{end})");
            Some(Held { scope: area.scope_in(target)?, reason, until: *until })
        };
        self.holds.iter().filter_map(held).collect()
    }

    /// Whether what trueup wrote to a target before the ledger's first record counts as known.
    #[must_use]
    pub fn know_earlier_writes_of(&self, target: &TargetName) -> bool {
        self.earlier_writes.contains(target)
    }

    /// Whether this end of an earlier ledger counts as known.
    #[must_use]
    pub fn know_earlier_head(&self, head: &str) -> bool {
        self.earlier_heads.contains(head)
    }
}
