//! The entries of one mapping.

use super::compose::Placed;

/// Entries by key, in the order of the keys. Mappings are many and most of them small: a tree for each would take most of the
/// memory of reading a file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entries(Vec<(String, Placed)>);

impl Entries {
    /// The entries as they were set, one after the other: the last one of each key counts.
    pub(super) fn set(mut entries: Vec<(String, Placed)>) -> Self {
        entries.sort_by(|(one, _), (other, _)| one.cmp(other));
        // Of equal neighbours the one behind is taken out, so it changes places with the one that stays.
        entries.dedup_by(|behind, kept| {
            let is_same = behind.0 == kept.0;
            if is_same {
                std::mem::swap(behind, kept);
            }
            is_same
        });
        Self(entries)
    }

    pub(super) fn get(&self, key: &str) -> Option<&Placed> {
        self.find(key).ok().map(|at| &self.0[at].1)
    }

    pub(super) fn insert(&mut self, key: &str, value: Placed) {
        match self.find(key) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key.to_owned(), value)),
        }
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<Placed> {
        self.find(key).ok().map(|at| self.0.remove(at).1)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Placed)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(own, _)| own.as_str().cmp(key))
    }
}

impl IntoIterator for Entries {
    type Item = (String, Placed);
    type IntoIter = std::vec::IntoIter<(String, Placed)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}
