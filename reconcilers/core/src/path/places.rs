//! Many paths into one value: a keyed list is looked through twice at most, and not for each path that leads into it.

use std::cell::RefCell;
use std::collections::BTreeMap;

use serde_json::Value;

use super::{Path, Segment, token};

/// A value in which paths are looked for again and again.
pub struct Places<'a> {
    root: &'a Value,
    /// The lists that were looked through once, by the keys that were asked for; from the second time on, with an index.
    lists: RefCell<BTreeMap<ListByKeys, Option<Positions>>>,
}

/// A list, and the keys by which its entries are looked for.
type ListByKeys = (*const Value, Vec<String>);

/// Where the entries of a list stand, by the JSON texts of some of their keys; none where two have the same.
type Positions = BTreeMap<Vec<String>, Option<usize>>;

impl<'a> Places<'a> {
    /// The places of this value.
    #[must_use]
    pub fn of(root: &'a Value) -> Self {
        Self { root, lists: RefCell::default() }
    }

    /// The value at a path, as [`Path::find`] finds it.
    #[must_use]
    pub fn find(&self, path: &Path) -> Option<&'a Value> {
        self.follow(path, |_, _| ())
    }

    /// The JSON pointer of a path, as [`Path::pointer_in`] makes it.
    #[must_use]
    pub fn pointer(&self, path: &Path) -> Option<String> {
        let mut pointer = String::new();
        self.follow(path, |segment, at| {
            pointer.push('/');
            pointer.push_str(&token(segment, at));
        })?;
        Some(pointer)
    }

    /// Follows a path and tells of each segment, and of each list entry where it stands.
    fn follow(&self, path: &Path, mut passed: impl FnMut(&Segment, usize)) -> Option<&'a Value> {
        path.0.iter().try_fold(self.root, |value, segment| {
            let (at, found) = match segment {
                Segment::Key(key) => (0, value.get(key)?),
                Segment::Index(index) => (*index, value.get(index)?),
                Segment::Entry(keys) => {
                    let entries = value.as_array()?;
                    let at = self.position(value, entries, (segment, keys))?;
                    (at, &entries[at])
                }
            };
            passed(segment, at);
            Some(found)
        })
    }

    /// As [`Segment::position_in`], which holds the JSON text of each key's value against the wanted one.
    fn position(&self, list: &Value, entries: &[Value], (name, keys): (&Segment, &[(String, String)])) -> Option<usize> {
        let (names, texts): (Vec<String>, Vec<String>) = keys.iter().cloned().unzip();
        let mut lists = self.lists.borrow_mut();
        let key = (std::ptr::from_ref(list), names);
        match lists.get_mut(&key) {
            None => {
                lists.insert(key, None);
                name.position_in(entries)
            }
            Some(positions) => {
                let positions = positions.get_or_insert_with(|| index(&key.1, entries));
                positions.get(&texts).copied().flatten()
            }
        }
    }
}

fn index(names: &[String], entries: &[Value]) -> Positions {
    let mut positions = Positions::new();
    for (at, entry) in entries.iter().enumerate() {
        let texts: Option<Vec<String>> = names.iter().map(|name| entry.get(name).map(Value::to_string)).collect();
        if let Some(texts) = texts {
            positions.entry(texts).and_modify(|position| *position = None).or_insert(Some(at));
        }
    }
    positions
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Entries that have some of their keys, some of them twice, by numbers and texts that look alike.
    fn list() -> impl Strategy<Value = Value> {
        let value = prop::sample::select(vec![json!(1), json!("1"), json!(1.0), json!("a\"b"), json!(true), json!(null)]);
        let entry = prop::collection::btree_map("[ab]", value, 0..3);
        let entries = prop::collection::vec(entry, 0..8);
        entries.prop_map(|entries| json!({"l": entries, "o": {"0": 1}}))
    }

    fn paths() -> Vec<Path> {
        let values = [json!(1), json!("1"), json!(1.0), json!("a\"b"), json!(true), json!(null)];
        let one = ["a", "b"].into_iter().flat_map(|key| values.iter().map(move |value| Segment::entry(&[(key, value)])));
        let both = values.iter().flat_map(|a| values.iter().map(move |b| Segment::entry(&[("a", a), ("b", b)])));
        let list = Path::of_keys(&["l"]);
        let entries = one.chain(both).chain([Segment::Index(1), Segment::Key("0".to_owned()), Segment::Entry(Vec::new())]);
        entries.flat_map(|entry| [list.child(entry.clone()), list.child(entry.clone()).key("a"), Path(vec![entry])]).collect()
    }

    /// By the definition, without any memory: each segment for itself.
    fn found<'a>(path: &Path, root: &'a Value) -> Option<(String, &'a Value)> {
        path.0.iter().try_fold((String::new(), root), |(pointer, value), segment| {
            let (at, found) = match segment {
                Segment::Key(key) => (0, value.get(key)?),
                Segment::Index(index) => (*index, value.get(index)?),
                Segment::Entry(_) => {
                    let at = segment.position_in(value.as_array()?)?;
                    (at, &value[at])
                }
            };
            Some((format!("{pointer}/{}", token(segment, at)), found))
        })
    }

    proptest! {
        /// Whatever was asked before, the answer is that of a look at the whole list.
        #[test]
        fn what_is_kept_of_a_list_changes_no_answer(root in list()) {
            let places = Places::of(&root);
            for _ in 0..3 {
                for path in paths() {
                    let expected = found(&path, &root);
                    prop_assert_eq!(places.pointer(&path), expected.as_ref().map(|(pointer, _)| pointer.clone()), "{}", &path);
                    prop_assert_eq!(places.find(&path), expected.map(|(_, value)| value), "{}", &path);
                }
            }
        }
    }
}
