//! Limits that hold whatever the class.

use serde::{Deserialize, Serialize};

/// How much may be corrected in one target; what is absent is not limited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Writes to the target in an hour.
    #[serde(rename = "target_writes_per_hour")]
    pub writes_per_hour: Option<u32>,
    /// Writes to one namespace in an hour; what is in none counts as one namespace.
    pub namespace_writes_per_hour: Option<u32>,
    /// Objects that one round corrects.
    pub objects_per_round: Option<u32>,
    /// The percentage of a namespace's declared objects that one round corrects; any but 0 allows at least one object.
    pub namespace_share: Option<u32>,
}

impl Limits {
    /// Of each limit the stricter one: where several files have limits, all hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let least = |one: Option<u32>, other: Option<u32>| one.into_iter().chain(other).min();
        Self {
            writes_per_hour: least(self.writes_per_hour, other.writes_per_hour),
            namespace_writes_per_hour: least(self.namespace_writes_per_hour, other.namespace_writes_per_hour),
            objects_per_round: least(self.objects_per_round, other.objects_per_round),
            namespace_share: least(self.namespace_share, other.namespace_share),
        }
    }
}
