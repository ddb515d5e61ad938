//! Whether the server still knows who wrote an object: stripped managedFields are a finding, and excuse nothing.

use serde_json::Value;

use crate::facts::{Matched, Owner, Tracking};
use crate::finding::{Change, Drift};
use crate::object::is_built_in;
use crate::path::{Path, Segment};
use crate::seen::Seen;

/// What names the object or is written by the server, and so has no manager.
const UNTRACKED: [&[&str]; 5] =
    [&["apiVersion"], &["kind"], &["metadata", "name"], &["metadata", "namespace"], &["metadata", "creationTimestamp"]];

/// Kinds whose declared fields the server gives to nobody.
const UNTRACKED_KINDS: [(&str, &str); 1] = [("certificates.k8s.io", "CertificateSigningRequest")];

/// The path at which a finding about an object's managers stands: `metadata.managedFields`.
#[must_use]
pub fn path() -> Path {
    Path::of_keys(&["metadata", "managedFields"])
}

/// The finding that an object's managers are gone: all of them, or, where something else differs as well, those of most that
/// Git declares. Of its own kinds a server never forgets them by itself.
#[must_use]
pub fn loss(matched: &Matched, differs: bool) -> Option<Drift> {
    let live = &matched.live;
    let group = live.id.group();
    // Of a custom resource a server forgets the managers by itself, at the first write after the version that they wrote in is
    // no longer served.
    let is_untracked = !is_built_in(group) || UNTRACKED_KINDS.contains(&(group, live.id.kind.as_str()));
    if is_untracked || live.tracking == Tracking::NotShown || !(live.owners.is_empty() || differs) {
        return None;
    }
    let leaves = declared_leaves(matched);
    let owned = leaves.iter().filter(|leaf| live.owners.iter().any(|owner| owns(owner, leaf))).count();
    if owned * 2 >= leaves.len() {
        return None;
    }
    let (change, found) = if live.owners.is_empty() {
        (Change::Removed, None)
    } else {
        (Change::Changed, Some(format!("{owned} of {} declared fields have a manager", leaves.len())))
    };
    Some(Drift {
        path: path(),
        pointer: "/metadata/managedFields".to_owned(),
        change,
        desired: Some(Seen::Plain("as the API server keeps it".into())),
        live: found.map(|text| Seen::Plain(text.into())),
    })
}

/// Whether a manager owns a path, something below it, or a value around it as a whole.
pub(crate) fn owns(owner: &Owner, path: &Path) -> bool {
    owner.fields.touches(path) || owner.fields.encloses(path)
}

/// The paths of keys alone at which Git declares a plain value or a list that live has, too.
pub(crate) fn declared_leaves(matched: &Matched) -> Vec<Path> {
    let mut leaves = Vec::new();
    collect(&Path::root(), &matched.desired.value, Some(&matched.live.value), &mut leaves);
    leaves.retain(|leaf| !UNTRACKED.iter().any(|keys| Path::of_keys(keys) == *leaf));
    leaves
}

fn collect(at: &Path, declared: &Value, live: Option<&Value>, leaves: &mut Vec<Path>) {
    match (declared, live) {
        (Value::Object(fields), Some(live)) => {
            for (key, below) in fields {
                collect(&at.child(Segment::Key(key.clone())), below, live.get(key), leaves);
            }
        }
        (Value::Bool(_) | Value::Number(_) | Value::String(_), Some(_)) => leaves.push(at.clone()),
        (Value::Array(entries), Some(_)) if !entries.is_empty() => leaves.push(at.clone()),
        (Value::Null | Value::Array(_), Some(_)) | (_, None) => {}
    }
}
