//! How well an object does, and whether it does worse than before.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::object::ObjectId;

/// How well an object does, as its own status and its pods tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// It does what it is for.
    Healthy,
    /// It is on its way there.
    Progressing(String),
    /// It does not, and will not by waiting.
    Unhealthy(String),
    /// It says nothing of that, or could not be read.
    Unknown(String),
}

impl Health {
    /// As it stands in reports.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Progressing(_) => "progressing",
            Self::Unhealthy(_) => "unhealthy",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// `progressing: 1 of 2 updated replicas are available`
impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str(self.name()),
            Self::Progressing(why) | Self::Unhealthy(why) | Self::Unknown(why) => write!(f, "{}: {why}", self.name()),
        }
    }
}

/// One object's health at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// Which object.
    pub object: ObjectId,
    /// How well it does.
    pub health: Health,
    /// How often containers of its pods have been restarted, by the pod's uid; pods without a restart are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<String, u32>,
}

/// What became of health between two moments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// It is not worse.
    NotWorse,
    /// It cannot be told yet: what was healthy is on its way, or cannot be read.
    Open(String),
    /// It is worse, for this reason.
    Worse(String),
}

/// Compares the health of some objects with what it was before. What was not looked at before tells nothing; what was bad
/// before cannot get worse.
#[must_use]
pub fn change(before: &[Vitals], after: &[Vitals]) -> Change {
    let mut open = None;
    for earlier in before {
        let later = after.iter().find(|vitals| vitals.object.same_object(&earlier.object));
        match later.map_or_else(|| Change::Open("it was not looked at".to_owned()), |later| of_one(earlier, later)) {
            Change::NotWorse => {}
            Change::Worse(why) => return Change::Worse(format!("{}: {why}", earlier.object)),
            Change::Open(why) => open = open.or_else(|| Some(format!("{}: {why}", earlier.object))),
        }
    }
    open.map_or(Change::NotWorse, Change::Open)
}

fn of_one(before: &Vitals, after: &Vitals) -> Change {
    match (&before.health, &after.health) {
        (Health::Unhealthy(_), _) => Change::NotWorse,
        (_, Health::Unhealthy(why)) => Change::Worse(why.clone()),
        (_, _) if restarted(before, after) > 0 => {
            Change::Worse(format!("containers of its pods were restarted {} times since", restarted(before, after)))
        }
        (Health::Healthy, Health::Progressing(why)) | (Health::Healthy | Health::Progressing(_), Health::Unknown(why)) => {
            Change::Open(why.clone())
        }
        (Health::Healthy, Health::Healthy)
        | (Health::Progressing(_), Health::Healthy | Health::Progressing(_))
        | (Health::Unknown(_), Health::Healthy | Health::Progressing(_) | Health::Unknown(_)) => Change::NotWorse,
    }
}

/// Restarts since: a pod that was not there before begins at none.
fn restarted(before: &Vitals, after: &Vitals) -> u32 {
    let since = |(pod, count): (&String, &u32)| count.saturating_sub(before.restarts.get(pod).copied().unwrap_or_default());
    after.restarts.iter().map(since).fold(0, u32::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vitals(name: &str, health: Health, restarts: &[(&str, u32)]) -> Vitals {
        let object = ObjectId { api_version: "v1".into(), kind: "Pod".into(), namespace: None, name: name.into() };
        Vitals { object, health, restarts: restarts.iter().map(|(pod, count)| ((*pod).to_owned(), *count)).collect() }
    }

    fn any_health() -> impl Strategy<Value = Health> {
        let why = || "[a-z]{1,4}";
        prop_oneof![
            Just(Health::Healthy),
            why().prop_map(Health::Progressing),
            why().prop_map(Health::Unhealthy),
            why().prop_map(Health::Unknown),
        ]
    }

    fn any_vitals(name: &'static str) -> impl Strategy<Value = Vitals> {
        let restarts = prop::collection::btree_map("[a-c]", 1..4_u32, 0..3);
        (any_health(), restarts).prop_map(move |(health, restarts)| Vitals { restarts, ..vitals(name, health, &[]) })
    }

    fn rank(change: &Change) -> u8 {
        match change {
            Change::NotWorse => 0,
            Change::Open(_) => 1,
            Change::Worse(_) => 2,
        }
    }

    proptest! {
        #[test]
        fn what_stays_as_it_is_is_not_worse(a in any_vitals("a"), b in any_vitals("b")) {
            let seen = [a, b];
            prop_assert_eq!(change(&seen, &seen), Change::NotWorse);
        }

        #[test]
        fn the_worst_of_several_counts(before in any_vitals("a"), after in any_vitals("a"), other in any_vitals("b"), later in any_vitals("b")) {
            let alone = change(std::slice::from_ref(&before), std::slice::from_ref(&after));
            let beside = change(std::slice::from_ref(&other), std::slice::from_ref(&later));
            let both = change(&[before, other], &[later, after]);
            prop_assert_eq!(rank(&both), rank(&alone).max(rank(&beside)));
        }

        #[test]
        fn what_is_unhealthy_and_was_not_is_worse(before in any_vitals("a"), why in "[a-z]{1,4}") {
            let after = vitals("a", Health::Unhealthy(why), &[]);
            let was_bad = matches!(before.health, Health::Unhealthy(_));
            prop_assert_eq!(matches!(change(&[before], &[after]), Change::Worse(_)), !was_bad);
        }
    }

    #[test]
    fn restarts_count_from_the_write_on() {
        let before = vitals("a", Health::Healthy, &[("old", 7)]);
        let same = vitals("a", Health::Healthy, &[("old", 7)]);
        let grown = vitals("a", Health::Healthy, &[("old", 8)]);
        let fresh = vitals("a", Health::Healthy, &[("new", 1)]);
        let seen = |after: &Vitals| change(std::slice::from_ref(&before), std::slice::from_ref(after));
        assert_eq!(seen(&same), Change::NotWorse);
        for worse in [grown, fresh] {
            assert_eq!(seen(&worse), Change::Worse("Pod a: containers of its pods were restarted 1 times since".to_owned()));
        }
    }

    #[test]
    fn what_is_not_seen_any_more_is_open() {
        let before = vitals("a", Health::Healthy, &[]);
        assert!(matches!(change(&[before], &[]), Change::Open(_)));
    }
}
