//! Objects that Git declared once: whether a live one by that name is still the one that Git meant, and nobody else's.

use jiff::Timestamp;
use serde_json::Value;
use trueup_core::facts::{Desired, Live};
use trueup_core::object::ObjectId;

/// By what another tool says that an object is its own now.
const TRACKED_BY_OTHERS: [&str; 5] = [
    "/metadata/annotations/meta.helm.sh~1release-name",
    "/metadata/annotations/argocd.argoproj.io~1tracking-id",
    "/metadata/labels/kustomize.toolkit.fluxcd.io~1name",
    "/metadata/labels/helm.toolkit.fluxcd.io~1name",
    "/metadata/labels/app.kubernetes.io~1managed-by",
];

/// What asks to keep an object that is no longer declared.
const KEPT: [(&str, &str); 4] = [
    ("/metadata/annotations/helm.sh~1resource-policy", "keep"),
    ("/metadata/annotations/argocd.argoproj.io~1sync-options", "Prune=false"),
    ("/metadata/annotations/kustomize.toolkit.fluxcd.io~1prune", "disabled"),
    ("/metadata/annotations/client.lifecycle.config.k8s.io~1deletion", "detach"),
];

/// What marks objects that live for one deployment alone.
const HOOKS: [&str; 2] = ["/metadata/annotations/helm.sh~1hook", "/metadata/annotations/argocd.argoproj.io~1hook"];

/// Whether `live` is what is left of an object that Git declared as `former` until then. It is not where a controller or another
/// tool owns it, where it was made later, where it is to be kept or lives for one deployment alone, and while it is deleted.
#[must_use]
pub fn is_left(former: &Desired, until: Timestamp, live: &Live) -> bool {
    let (declared, live_value) = (&former.value, &live.value);
    let is_owned = live_value.pointer("/metadata/ownerReferences").is_some_and(|owners| !owners.is_null());
    let is_taken = TRACKED_BY_OTHERS.iter().any(|pointer| {
        let mark = live_value.pointer(pointer);
        mark.is_some() && mark != declared.pointer(pointer)
    });
    let says = |value: &Value, (pointer, word): &(&str, &str)| {
        value.pointer(pointer).and_then(Value::as_str).is_some_and(|text| text.contains(word))
    };
    let is_kept = KEPT.iter().any(|keep| says(declared, keep) || says(live_value, keep));
    let is_hook = HOOKS.iter().any(|pointer| declared.pointer(pointer).is_some());
    let created = live.created.as_deref().and_then(|text| text.parse::<Timestamp>().ok());
    let is_later = created.is_some_and(|created| created > until);
    !(is_owned || is_taken || is_kept || is_hook || is_later || live.deleting_since.is_some())
}

/// Whether two ids may name one object: a manifest may leave out the namespace.
#[must_use]
pub fn may_be_same(one: &ObjectId, other: &ObjectId) -> bool {
    let same_namespace = match (&one.namespace, &other.namespace) {
        (Some(one), Some(other)) => one == other,
        (None, _) | (_, None) => true,
    };
    same_namespace && one.name == other.name && one.kind == other.kind && one.group() == other.group()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normal;
    use serde_json::json;
    use trueup_core::facts::Origin;
    use trueup_core::positions::Positions;

    /// Whether an object is left that Git declared with `declared` in its metadata, and that has `live` in it.
    fn left(declared: &Value, live: &Value) -> bool {
        let id = ObjectId { api_version: "v1".into(), kind: "ConfigMap".into(), namespace: Some("n".into()), name: "a".into() };
        let origin = Origin { file: "a.yaml".into(), line: 1, column: 1, document: 1 };
        let former = Desired { id: id.clone(), value: json!({"metadata": declared}), origin, positions: Positions::default() };
        let until = "2026-11-21T02:00:00Z".parse().expect("a time");
        is_left(&former, until, &normal::live(id, json!({"metadata": live})))
    }

    #[test]
    fn only_what_git_meant_is_left() {
        let created = "2026-11-20T00:00:00Z";
        assert!(left(&json!({}), &json!({"creationTimestamp": created})));
        assert!(left(&json!({}), &json!({})), "a snapshot may not say when");
        assert!(!left(&json!({}), &json!({"creationTimestamp": "2026-11-21T02:00:01Z"})), "made later");
        let child = json!({"ownerReferences": [{"kind": "ReplicaSet", "name": "x", "uid": "u", "apiVersion": "apps/v1"}]});
        assert!(!left(&json!({}), &child), "a controller's");
        assert!(!left(&json!({}), &json!({"deletionTimestamp": created})), "on its way");
        let managed_by = |who: &str| json!({"labels": {"app.kubernetes.io/managed-by": who}});
        assert!(!left(&json!({}), &managed_by("Helm")), "another tool's");
        assert!(left(&managed_by("Helm"), &managed_by("Helm")), "as Git declared it");
        for (key, value) in [
            ("helm.sh/resource-policy", "keep"),
            ("argocd.argoproj.io/sync-options", "Validate=false,Prune=false"),
            ("kustomize.toolkit.fluxcd.io/prune", "disabled"),
            ("helm.sh/hook", "pre-install"),
        ] {
            let marked = json!({"annotations": {key: value}});
            assert!(!left(&marked, &marked), "{key}");
        }
    }
}
