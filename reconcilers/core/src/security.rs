//! Which differences concern security.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::direction::Direction;
use crate::finding::{Difference, Subject};
use crate::path::Segment;
use crate::seen::Seen;

/// A field of concern that policies can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Category {
    /// Who may do what, what may talk to what, and how contained a workload is.
    Security,
}

/// Kinds all of whose fields concern security.
const SECURITY_KINDS: [(&str, &str); 13] = [
    ("networking.k8s.io", "NetworkPolicy"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
    ("", "ResourceQuota"),
    ("", "LimitRange"),
];

/// Fields that concern security wherever a pod is described.
const SECURITY_FIELDS: [&str; 11] = [
    "securityContext",
    "hostNetwork",
    "hostPID",
    "hostIPC",
    "shareProcessNamespace",
    "hostPath",
    "hostPort",
    "serviceAccountName",
    "serviceAccount",
    "automountServiceAccountToken",
    "hostUsers",
];

/// Labels and annotations that bind: Pod Security admission's on a Namespace, a pod's `AppArmor` profiles.
const BINDING_PREFIXES: [&str; 2] = ["pod-security.kubernetes.io/", "container.apparmor.security.beta.kubernetes.io/"];

impl Category {
    /// As it stands in policies.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Security => "security",
        }
    }

    /// The category of a difference, if it has one.
    #[must_use]
    pub fn of(difference: &Difference) -> Option<Self> {
        let Subject::Object(id) = &difference.subject else { return None };
        let by_kind = SECURITY_KINDS.contains(&(id.group(), id.kind.as_str())) && !is_descriptive(difference);
        let (desired, live) = difference.values();
        let by_field = keys(difference).any(concerns_security) || [desired, live].into_iter().flatten().any(is_within);
        (by_kind || by_field).then_some(Self::Security)
    }
}

/// Whether a difference loosens security, or may: what cannot be told counts as loosened.
#[must_use]
pub fn may_weaken(difference: &Difference) -> bool {
    Category::of(difference).is_some() && Direction::of(difference).may_be(Direction::Weaker)
}

fn concerns_security(key: &str) -> bool {
    SECURITY_FIELDS.contains(&key) || BINDING_PREFIXES.iter().any(|prefix| key.starts_with(prefix))
}

/// Whether a whole value, as an added container or volume, has such a field in it.
fn is_within(seen: &Seen) -> bool {
    fn search(value: &Value) -> bool {
        match value {
            Value::Object(fields) => fields.iter().any(|(key, value)| concerns_security(key) || search(value)),
            Value::Array(entries) => entries.iter().any(search),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        }
    }
    seen.shown().is_some_and(search)
}

/// Names and notes bind nothing: labels and annotations other than the binding ones.
fn is_descriptive(difference: &Difference) -> bool {
    keys(difference).next() == Some("metadata")
}

fn keys(difference: &Difference) -> impl Iterator<Item = &str> {
    let path = match &difference.divergence {
        crate::finding::Divergence::Field(drift) => drift.path.0.as_slice(),
        crate::finding::Divergence::Object(_) | crate::finding::Divergence::Expectation(_) => &[],
    };
    path.iter().filter_map(|segment| match segment {
        Segment::Key(key) => Some(key.as_str()),
        Segment::Index(_) | Segment::Entry(_) => None,
    })
}
