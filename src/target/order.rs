//! In which order missing objects can be put in place: trueup creates nothing, but says what comes first.

use std::collections::BTreeMap;

use trueup_core::facts::{Origin, Pair};

use super::JudgedCase;

/// Adds to each missing object what has to be there before it: its namespace, where Git declares that and it is missing, too.
/// (A custom resource without its definition is unseen, and says so itself.)
pub(super) fn say(cases: &mut [JudgedCase]) {
    let missing = cases.iter().filter_map(|case| match &case.pair {
        Some(Pair::Missing(desired)) if desired.id.kind == "Namespace" && desired.id.group().is_empty() => {
            Some((desired.id.name.clone(), desired.origin.clone()))
        }
        Some(Pair::Missing(_) | Pair::Matched(_) | Pair::Skipped(..) | Pair::Unseen(..)) | None => None,
    });
    let missing: BTreeMap<String, Origin> = missing.collect();
    for case in cases {
        let Some(Pair::Missing(desired)) = &case.pair else { continue };
        let Some((name, namespace)) = desired.id.namespace.as_ref().and_then(|name| missing.get_key_value(name)) else {
            continue;
        };
        let first = namespace.how_to_apply();
        let then = desired.origin.how_to_apply();
        let order = if first == then { first } else { format!("first {first}, then {then}") };
        for finding in &mut case.findings {
            finding.reasons.push(format!("its namespace `{name}` is missing, too: {order}"));
        }
    }
}
