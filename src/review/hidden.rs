//! The lines of a file that hold secret values: no difference that people are shown repeats them, not even around what changed.

use std::collections::BTreeSet;
use std::path::Path;

use trueup_core::facts::{Desired, Secrecy};
use trueup_core::secret;
use trueup_kubernetes::manifest;

/// Stands for such a line.
pub const HIDDEN: &str = "(not shown: a secret value)";

/// The lines (from 1) of a manifest that hold secret values. Of a file that cannot be read whole, all lines are held to, if
/// anything in it looks like a secret.
#[must_use]
pub fn secret_lines(file: &str, bytes: &[u8]) -> BTreeSet<u32> {
    let is_manifest = Path::new(file)
        .extension()
        .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known)));
    if !is_manifest {
        return BTreeSet::new();
    }
    let (objects, problems) = manifest::read(file, bytes);
    if !problems.is_empty() && secret::is_secret_name(&String::from_utf8_lossy(bytes)) {
        return (1..=breaks(bytes).saturating_add(1)).collect();
    }
    objects.iter().flat_map(|object| lines_of(object, bytes)).collect()
}

fn lines_of(object: &Desired, bytes: &[u8]) -> BTreeSet<u32> {
    let secrecy = if object.id.is_secret() { Secrecy::Secret } else { Secrecy::Open };
    let positions = secret::places(secrecy, &object.value).into_iter().filter_map(|pointer| object.positions.get(&pointer));
    let lines = positions.flat_map(|position| {
        let text = bytes.get(position.start..position.end).unwrap_or_default();
        position.line..=position.line.saturating_add(breaks(text))
    });
    lines.collect()
}

fn breaks(text: &[u8]) -> u32 {
    u32::try_from(String::from_utf8_lossy(text).matches('\n').count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      \
        containers:\n      - name: app\n        env:\n        - name: LEVEL\n          value: info\n        - name: DB_PASSWORD\n          \
        value: |\n            first\n            second\n";

    #[test]
    fn a_value_hides_all_of_its_lines_and_no_others() {
        assert_eq!(secret_lines("a.yaml", DEPLOYMENT.as_bytes()), BTreeSet::from([13, 14, 15, 16]));
        let secret = "kind: Secret\napiVersion: v1\nmetadata:\n  name: a\ntype: Opaque\nstringData:\n  password: x\n";
        assert_eq!(secret_lines("a.yaml", secret.as_bytes()), BTreeSet::from([7]));
        assert_eq!(secret_lines("a.toml", secret.as_bytes()), BTreeSet::new());
    }

    #[test]
    fn what_cannot_be_read_is_hidden_where_it_may_be_secret() {
        assert_eq!(secret_lines("a.yaml", b"kind: Secret\ndata: [").len(), 2);
        assert_eq!(secret_lines("a.yaml", b"level: info\n").len(), 0);
    }
}
