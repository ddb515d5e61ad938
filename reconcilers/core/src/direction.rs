//! Whether a difference loosens or tightens what Git declares.
//!
//! A direction is only given where it is plain from the fields' meaning; all else is unclear, and policies take that for
//! weaker. What each field means is said by the Kubernetes API reference; what a list of rules allows is compared rule by
//! rule.

mod admission;
mod network;
mod pod;
mod quota;
mod rights;
mod sets;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::finding::{Difference, Divergence, Subject};
use crate::path::Segment;
use crate::seen::Seen;

/// Whether a difference loosens or tightens what Git declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Live allows more than Git.
    Weaker,
    /// Live allows less than Git.
    Stronger,
    /// It cannot be told; policies take it for weaker.
    Unclear,
}

/// One difference at a field: its keys from the root, and both values.
#[derive(Clone, Copy)]
struct Field<'a> {
    kind: &'a str,
    keys: &'a [&'a str],
    /// Whether the path ends in a list entry: the values are whole entries.
    is_entry: bool,
    desired: Option<&'a Value>,
    live: Option<&'a Value>,
    /// The whole live object, where there is one.
    object: Option<&'a Value>,
}

impl Field<'_> {
    fn last(&self) -> &str {
        self.keys.last().copied().unwrap_or_default()
    }

    fn has(&self, key: &str) -> bool {
        self.keys.contains(&key)
    }
}

impl Direction {
    /// The direction of a difference, where it is plain; only security has one.
    #[must_use]
    pub fn of(difference: &Difference) -> Self {
        let (Subject::Object(id), Divergence::Field(drift)) = (&difference.subject, &difference.divergence) else {
            return Self::Unclear;
        };
        let (Ok(desired), Ok(live)) = (plain(drift.desired.as_ref()), plain(drift.live.as_ref())) else { return Self::Unclear };
        let keys: Vec<&str> = drift.path.0.iter().filter_map(key).collect();
        let field = Field {
            kind: &id.kind,
            keys: &keys,
            is_entry: !matches!(drift.path.0.last(), Some(Segment::Key(_))),
            // What Git leaves to its default is as if Git had said the default.
            desired,
            live,
            object: difference.surroundings.live.as_deref(),
        };
        match id.group() {
            "networking.k8s.io" if id.kind == "NetworkPolicy" => network::direction(&field),
            "rbac.authorization.k8s.io" => rights::direction(&field),
            "admissionregistration.k8s.io" => admission::direction(&field),
            "" if matches!(id.kind.as_str(), "ResourceQuota" | "LimitRange") => quota::direction(&field),
            "" if id.kind == "Namespace" => namespace(&field),
            _ => pod::direction(&field),
        }
    }

    /// Whether a policy that names `wanted` means a difference of this direction: what cannot be told counts as weaker.
    #[must_use]
    pub fn may_be(self, wanted: Self) -> bool {
        self == wanted || (self == Self::Unclear && wanted == Self::Weaker)
    }

    /// As it stands in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Weaker => "weaker",
            Self::Stronger => "stronger",
            Self::Unclear => "unclear",
        }
    }

    fn opposite(self) -> Self {
        match self {
            Self::Weaker => Self::Stronger,
            Self::Stronger => Self::Weaker,
            Self::Unclear => Self::Unclear,
        }
    }

    /// Of two values on a scale: `Greater` means that live has the higher one.
    fn of_order(order: Option<std::cmp::Ordering>, when_higher: Self) -> Self {
        match order {
            Some(std::cmp::Ordering::Greater) => when_higher,
            Some(std::cmp::Ordering::Less) => when_higher.opposite(),
            Some(std::cmp::Ordering::Equal) | None => Self::Unclear,
        }
    }
}

fn plain(seen: Option<&Seen>) -> Result<Option<&Value>, ()> {
    match seen {
        None => Ok(None),
        Some(Seen::Plain(value)) => Ok(Some(value)),
        Some(Seen::Masked(_)) => Err(()),
    }
}

fn key(segment: &Segment) -> Option<&str> {
    match segment {
        Segment::Key(key) => Some(key),
        Segment::Index(_) | Segment::Entry(_) => None,
    }
}

/// Pod Security admission: <https://kubernetes.io/docs/concepts/security/pod-security-standards/>. Without a label, what
/// the admission plugin's own configuration says holds, and that can be any of the three.
fn namespace(field: &Field<'_>) -> Direction {
    let Some(mode) = field.last().strip_prefix("pod-security.kubernetes.io/") else { return Direction::Unclear };
    if !matches!(mode, "enforce" | "audit" | "warn") {
        return Direction::Unclear;
    }
    let level = |value: &Value| ["privileged", "baseline", "restricted"].iter().position(|known| value.as_str() == Some(*known));
    let order = match (field.desired, field.live) {
        (Some(desired), Some(live)) => level(live).zip(level(desired)).map(|(live, desired)| live.cmp(&desired)),
        (Some(desired), None) => level(desired).filter(|level| *level > 0).map(|_| std::cmp::Ordering::Less),
        (None, Some(live)) => level(live).filter(|level| *level != 1).map(|level| level.cmp(&1)),
        (None, None) => None,
    };
    Direction::of_order(order, Direction::Stronger)
}
