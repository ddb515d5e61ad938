//! Whether a path that Git does not declare was declared once: by Git's history, by what was applied last, or by who applies
//! the object.

use serde_json::Value;

use crate::facts::{Former, Matched, Operation, Owner};
use crate::path::{Path, Segment};
use crate::tracking::{declared_leaves, owns};

/// kubectl's name in managedFields where it applies on the client's side.
const CLIENT_SIDE_APPLY: &str = "kubectl-client-side-apply";

/// What tells of one object's earlier declarations.
pub struct Traces<'a> {
    former: &'a [Former],
    last_applied: Option<Value>,
    appliers: Vec<&'a Owner>,
}

impl<'a> Traces<'a> {
    /// Reads what is known of an object. A copy of the manifest that cannot be read tells nothing.
    #[must_use]
    pub fn of(matched: &'a Matched) -> Self {
        let live = &matched.live;
        let last_applied = live.last_applied.as_deref().and_then(|text| serde_json::from_str(text).ok());
        let leaves = declared_leaves(matched);
        // Somebody who applies a few fields of his own, say an operator, is not the one who applies what Git declares.
        let applies_it = |owner: &&Owner| leaves.iter().filter(|leaf| owns(owner, leaf)).count() * 2 > leaves.len();
        let may_apply = |owner: &&Owner| match owner.operation {
            Operation::Apply => owner.subresource.is_none() && owner.manager != "trueup",
            // It owns defaults and what webhooks added, too; its copy of the manifest knows better.
            Operation::Update => owner.manager == CLIENT_SIDE_APPLY && live.last_applied.is_none(),
        };
        let appliers = live.owners.iter().filter(may_apply).filter(applies_it).collect();
        Self { former: &matched.former, last_applied, appliers }
    }

    /// Where a path was declared, if it was: a sentence for people.
    #[must_use]
    pub fn declared_once(&self, path: &Path) -> Option<String> {
        if let Some(Former { desired, until }) = self.former.iter().find(|former| declares(&former.desired.value, &path.0)) {
            return Some(format!("Git declared it at {} until {until}", desired.origin_of(path)));
        }
        if self.last_applied.as_ref().is_some_and(|applied| declares(applied, &path.0)) {
            return Some("the last `kubectl apply` declared it (its copy is an annotation of the live object)".to_owned());
        }
        let applier = self.appliers.iter().find(|owner| owns(owner, path))?;
        Some(format!("`{}` applies what Git declares of this object, and declared it, too", applier.manager))
    }
}

/// Whether a manifest declares something at a path.
fn declares(value: &Value, path: &[Segment]) -> bool {
    let Some((first, rest)) = path.split_first() else { return !value.is_null() };
    match first {
        Segment::Key(key) => value.get(key).is_some_and(|inside| declares(inside, rest)),
        Segment::Index(index) => value.get(index).is_some_and(|inside| declares(inside, rest)),
        Segment::Entry(keys) => {
            let entries = value.as_array().map_or(&[][..], Vec::as_slice);
            entries.iter().any(|entry| is_entry(keys, entry) && declares(entry, rest))
        }
    }
}

/// Whether a declared entry has these merge keys. A manifest may leave out a port's protocol, which is then TCP.
fn is_entry(keys: &[(String, String)], entry: &Value) -> bool {
    keys.iter().all(|(key, text)| match entry.get(key) {
        Some(value) => serde_json::from_str::<Value>(text).is_ok_and(|key| key == *value),
        None => key == "protocol" && text == "\"TCP\"",
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_entry_is_declared_by_its_keys_and_a_protocol_that_is_left_out_is_tcp() {
        let service = json!({"spec": {"ports": [{"port": 53, "name": "dns"}, {"port": 80, "protocol": "UDP"}], "x": null}});
        let declared = |path: &str| declares(&service, &path.parse::<Path>().expect("a path").0);
        assert!(declared("spec.ports[port=53,protocol=TCP]"));
        assert!(declared("spec.ports[port=53,protocol=TCP].name"));
        assert!(declared("spec.ports[port=80,protocol=UDP]"));
        assert!(!declared("spec.ports[port=53,protocol=UDP]"));
        assert!(!declared("spec.ports[port=80,protocol=TCP]"));
        assert!(!declared("spec.ports[port=53,protocol=TCP].nodePort"));
        assert!(!declared("spec.x"));
    }
}
