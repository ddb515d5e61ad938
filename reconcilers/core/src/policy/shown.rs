//! Conditions as people read them.

use std::fmt;

use super::matching::Match;
use crate::security::Category;

/// `kind ConfigMap, path data.*, change changed or removed`; `everything` where there is no condition.
impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn words<T: fmt::Display>(key: &str, words: &[T]) -> Option<String> {
            let words: Vec<String> = words.iter().map(ToString::to_string).collect();
            (!words.is_empty()).then(|| format!("{key} {}", words.join(" or ")))
        }
        let labels = self.labels.iter().map(|(key, pattern)| format!("label {key}={pattern}"));
        let conditions = [
            words("kind", &self.kinds),
            words("group", &self.groups),
            words("namespace", &self.namespaces),
            words("name", &self.names),
            words("path", &self.paths),
            words("change", &self.changes),
            words("manager", &self.managers),
            words("owned by", &self.owned_by),
            self.category.map(|category: Category| format!("category {}", category.name())),
            self.direction.map(|direction| format!("direction {}", direction.name())),
            words("environment", &self.environments),
            words("tier", &self.tiers),
            self.cel.as_ref().map(|condition| format!("cel {}", condition.text())),
        ];
        let all: Vec<String> = conditions.into_iter().flatten().chain(labels).collect();
        f.write_str(if all.is_empty() { "everything" } else { "" })?;
        f.write_str(&all.join(", "))
    }
}
