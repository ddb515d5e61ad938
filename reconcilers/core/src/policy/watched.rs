//! Objects whose health is watched beside the one that is written.

use std::fmt;
use std::str::FromStr;

/// An object as a policy names it: `Deployment/checkout`, `Deployment/shop/checkout`, `Widget.example.com/w`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Watched {
    /// The kind.
    pub kind: String,
    /// Its API group; where it is left out, the one that every API server serves comes first.
    pub group: Option<String>,
    /// The namespace; where it is left out, that of the object that is written.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

/// Why a text names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no object: write its kind and name, as in \"Deployment/checkout\", or \"Deployment/shop/checkout\" with its namespace"
)]
pub struct WatchedError(String);

impl FromStr for Watched {
    type Err = WatchedError;

    fn from_str(text: &str) -> Result<Self, WatchedError> {
        let parts: Vec<&str> = text.split('/').collect();
        let (kind, namespace, name) = match parts[..] {
            [kind, name] => (kind, None, name),
            [kind, namespace, name] => (kind, Some(namespace), name),
            _ => return Err(WatchedError(text.to_owned())),
        };
        let (kind, group) = kind.split_once('.').map_or((kind, None), |(kind, group)| (kind, Some(group)));
        let is_word = |word: &str| !word.is_empty() && !word.contains(|c: char| c.is_whitespace() || c == '*');
        if ![Some(kind), group, namespace, Some(name)].into_iter().flatten().all(is_word) {
            return Err(WatchedError(text.to_owned()));
        }
        let owned = |word: &str| word.to_owned();
        Ok(Self { kind: owned(kind), group: group.map(owned), namespace: namespace.map(owned), name: owned(name) })
    }
}

/// As a policy names it.
impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        self.group.iter().try_for_each(|group| write!(f, ".{group}"))?;
        self.namespace.iter().try_for_each(|namespace| write!(f, "/{namespace}"))?;
        write!(f, "/{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for text in ["Deployment/checkout", "Deployment/shop/checkout", "Widget.example.com/w", "Widget.example.com/shop/w"] {
            assert_eq!(text.parse::<Watched>().map(|watched| watched.to_string()), Ok(text.to_owned()));
        }
        for text in ["", "Deployment", "Deployment/", "/a", "a/b/c/d", "Deployment/*", "Deployment/a b", ".x/a"] {
            assert!(text.parse::<Watched>().is_err(), "{text}");
        }
    }
}
