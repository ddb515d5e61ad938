//! What stands against acting, besides policy.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::finding::{Finding, FindingId, Place, ValueDigest};
use crate::object::ObjectId;

/// Where a target's objects live, and so what a write needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ground {
    /// A cluster: the object's own baseline, its uid and its resourceVersion.
    Cluster,
    /// Files: the table is all there is, preconditions are kept where the files carry them.
    Snapshot,
    /// A Terraform state: nothing is written.
    State,
}

/// What stands against acting on one target, besides policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Guards {
    /// Where the objects live.
    pub ground: Ground,
    /// Why nothing may be written to this target now, if so: it cannot be told which one it is.
    pub frozen: Option<String>,
    /// What people hold: nothing is written and nothing is proposed there.
    pub holds: Vec<Held>,
    /// Values that may stay for a while, as a person granted it.
    pub leases: Vec<Lease>,
    /// Places that a person's undo holds, and why.
    pub held: BTreeMap<Place, HeldPlace>,
    /// Our writes to each place within the fight window.
    pub recent_writes: BTreeMap<Place, u32>,
    /// Our writes by each class within the last hour, in all targets.
    pub class_writes: BTreeMap<String, u32>,
    /// Our writes to each namespace of this target within the last hour; `""` stands for what is in none.
    pub namespace_writes: BTreeMap<String, u32>,
    /// Our writes to this target within the last hour.
    pub target_writes: u32,
    /// Findings that a person denied: by closing its proposal unmerged, or by a command.
    pub denied: BTreeSet<FindingId>,
    /// Findings whose correction the server did not admit, with its words.
    pub inadmissible: BTreeMap<FindingId, String>,
}

impl Guards {
    /// Guards that stop nothing.
    #[must_use]
    pub fn none(ground: Ground) -> Self {
        Self {
            ground,
            frozen: None,
            holds: Vec::new(),
            leases: Vec::new(),
            held: BTreeMap::new(),
            recent_writes: BTreeMap::new(),
            class_writes: BTreeMap::new(),
            namespace_writes: BTreeMap::new(),
            target_writes: 0,
            denied: BTreeSet::new(),
            inadmissible: BTreeMap::new(),
        }
    }

    /// The hold of people that stands at a time for an object, or for one of these places.
    #[must_use]
    pub fn held_by_people<'a>(
        &self,
        id: Option<&ObjectId>,
        places: impl IntoIterator<Item = &'a Place>,
        now: Timestamp,
    ) -> Option<String> {
        let places: Vec<&Place> = places.into_iter().collect();
        let stands = |scope: &Scope| match scope {
            Scope::Target => true,
            Scope::Object(held) => id.is_some_and(|id| held.same_object(id)),
            Scope::Place(place) => places.contains(&place),
        };
        let mut in_force = self.holds.iter().filter(|hold| hold.until.is_none_or(|until| now < until));
        let hold = in_force.find(|hold| stands(&hold.scope))?;
        let what = match &hold.scope {
            Scope::Target => "this target is held",
            Scope::Object(_) => "this object is held",
            Scope::Place(_) => "this place is held",
        };
        Some(format!("{what}: {}", hold.reason))
    }
}

/// A place where nothing is written for now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldPlace {
    /// Why.
    pub reason: String,
    /// The findings that are held: with other values there, Git or a person has changed it, and the hold is over.
    pub findings: BTreeSet<FindingId>,
}

/// What a person holds until it is resumed, or until a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Held {
    /// What of this target.
    pub scope: Scope,
    /// Why, with who said so.
    pub reason: String,
    /// The first instant at which it no longer holds; `None`: until it is resumed.
    pub until: Option<Timestamp>,
}

/// What a hold is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The whole target; a hold of all targets is one of each.
    Target,
    /// One object, in whatever version it is read.
    Object(ObjectId),
    /// One place.
    Place(Place),
}

/// An exception that a person granted: a place may have this live value until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lease {
    /// Where.
    pub place: Place,
    /// The live value that may stay: [`Finding::digests`](crate::finding::Finding::digests).
    pub live: ValueDigest,
    /// The first instant at which it no longer counts.
    pub until: Timestamp,
    /// Why, with who granted it.
    pub because: String,
}

impl Lease {
    /// Whether it lets a finding's live value stay at a time. What loosens security, or may, stays under no lease.
    #[must_use]
    pub fn counts_for(&self, finding: &Finding, now: Timestamp) -> bool {
        let weakens = crate::security::may_weaken(&finding.difference);
        self.is_for(&finding.place, &finding.digests().live, now) && !weakens
    }

    pub(super) fn is_for(&self, place: &Place, live: &ValueDigest, now: Timestamp) -> bool {
        self.place == *place && self.live == *live && now < self.until
    }
}
