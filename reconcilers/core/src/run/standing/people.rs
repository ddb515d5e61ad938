//! What people decided and what still counts of it.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::super::{Approval, AreaHold, Grant, Person, Ruled, Ruling};
use crate::decide::{Held, Lease};
use crate::finding::{Finding, Place};
use crate::object::TargetName;

/// What people decided, as far as it still counts.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct People {
    holds: Vec<Said<AreaHold>>,
    earlier_writes: BTreeSet<TargetName>,
    earlier_heads: BTreeSet<String>,
    /// Those that were not used up.
    approvals: BTreeMap<Place, Said<Approval>>,
    leases: BTreeMap<Place, Said<Grant>>,
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
            Ruled::Approve(approval) => {
                self.approvals.insert(approval.spot.place.clone(), Said::of(ruling, approval, at));
            }
            Ruled::Deny(denial) => self.use_up(&denial.spot.place),
            Ruled::Lease(grant) => {
                self.leases.insert(grant.spot.place.clone(), Said::of(ruling, grant, at));
            }
            Ruled::EndLease(spot) => {
                self.leases.remove(&spot.place);
            }
            Ruled::State(_) | Ruled::History { .. } => {}
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

    /// A write went to a place: an approval is for one.
    pub(super) fn use_up(&mut self, place: &Place) {
        self.approvals.remove(place);
    }

    /// The approval for a finding's place, whatever it is worth by now.
    #[must_use]
    pub fn approval(&self, place: &Place) -> Option<&Said<Approval>> {
        self.approvals.get(place)
    }

    /// The leases at a time, also of values that are not live.
    pub fn leases(&self, now: Timestamp) -> impl Iterator<Item = &Said<Grant>> {
        self.leases.values().filter(move |lease| now < lease.what.until)
    }

    /// The lease under which a finding's live value may stay at a time.
    #[must_use]
    pub fn lease_of(&self, finding: &Finding, now: Timestamp) -> Option<&Said<Grant>> {
        let lease = self.leases.get(&finding.place)?;
        lease.granted().counts_for(finding, now).then_some(lease)
    }

    /// The leases, as guards know them.
    #[must_use]
    pub fn granted(&self) -> Vec<Lease> {
        self.leases.values().map(Said::granted).collect()
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

impl Said<Grant> {
    fn granted(&self) -> Lease {
        let Self { what: Grant { spot, live, until, .. }, by, because, .. } = self;
        Lease { place: spot.place.clone(), live: live.clone(), until: *until, because: format!("{because} ({by})") }
    }
}
