//! Drifts to plant: drawn from a file's own bytes, so that each run plants the same.

use serde_json::{Value, json};
use trueup_core::facts::Desired;
use trueup_core::finding::{Change, Drift};
use trueup_core::path::{Path, Segment};
use trueup_core::seen::Seen;

/// What changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Value,
    Text,
    Form,
    KeyAdded,
    KeyRemoved,
    EntryAdded,
    EntryRemoved,
    Together,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Value, Self::Text, Self::Form, Self::KeyAdded, Self::KeyRemoved, Self::EntryAdded, Self::EntryRemoved];

    pub fn name(self) -> &'static str {
        match self {
            Self::Value => "another value of the same type",
            Self::Text => "a text that needs care",
            Self::Form => "a value becomes or ceases to be a map or list",
            Self::KeyAdded => "a key is added",
            Self::KeyRemoved => "a key is removed",
            Self::EntryAdded => "a list entry is added",
            Self::EntryRemoved => "a list entry is removed",
            Self::Together => "all of a file's drifts in one edit",
        }
    }
}

/// One drift of one object.
pub struct Planted {
    pub kind: Kind,
    pub object: usize,
    pub drift: Drift,
    pub value: Option<Value>,
    pub live: Value,
}

impl Planted {
    /// Whether two drifts may be about the same lines.
    pub fn touches(&self, other: &Self) -> bool {
        let parent = |planted: &Self| planted.drift.path.parent().unwrap_or_default();
        let (own, its) = (&self.drift.path, &other.drift.path);
        self.object == other.object
            && (own.covers(its) || its.covers(own) || parent(self).covers(its) || parent(other).covers(own))
    }

    /// Whether a line is part of a text that the drift replaces.
    pub fn went_with(&self, objects: &[Desired], line: &str) -> bool {
        fn has(value: &Value, line: &str) -> bool {
            match value {
                Value::String(text) => text.lines().any(|own| own.trim() == line),
                Value::Array(items) => items.iter().any(|item| has(item, line)),
                Value::Object(fields) => fields.values().any(|value| has(value, line)),
                _ => false,
            }
        }
        self.drift.path.find(&objects[self.object].value).is_some_and(|value| has(value, line))
    }
}

/// Numbers that look random and are the same for the same file (splitmix64).
pub struct Draw(u64);

impl Draw {
    pub fn of(name: &str, text: &str) -> Self {
        // FNV-1a of the last part of the name and the text: the folder's place on this machine does not count.
        let bytes = name.rsplit('/').next().unwrap_or_default().bytes().chain(text.bytes());
        Self(bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn one_of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let count = u64::try_from(choices.len()).ok().filter(|count| *count > 0)?;
        choices.get(usize::try_from(self.next() % count).ok()?)
    }
}

const TEXTS: [&str; 20] = [
    "yes",
    "0644",
    "1_000",
    "12:30",
    "null",
    "~",
    "",
    " padded ",
    "a: b #c",
    "it's \"said\"",
    "{a}",
    "- x",
    "two\nlines\n",
    "no end\nof line",
    "  indented\nfirst\n",
    "tab\there",
    "\u{fc}n\u{ed}\u{2603}",
    "trailing  \n\n\n",
    "%TAG",
    "key: |\n  block\n",
];

/// A drift of this kind in an object; `None` where it has no place for one.
pub fn plant(objects: &[Desired], object: usize, kind: Kind, draw: &mut Draw) -> Option<Planted> {
    let desired = &objects[object];
    let mut places = Vec::new();
    collect(&desired.value, &Path::root(), &mut places);
    places.retain(|(path, _)| !is_identity(path));
    let fits = |(_, value): &&(Path, &Value)| match kind {
        Kind::Value | Kind::Text => !value.is_object() && !value.is_array() && !value.is_null(),
        Kind::Form | Kind::KeyRemoved | Kind::EntryRemoved | Kind::Together => true,
        Kind::KeyAdded => value.as_object().is_some_and(|fields| !fields.is_empty()),
        Kind::EntryAdded => value.as_array().is_some_and(|items| !items.is_empty()),
    };
    let is_entry = |path: &Path| matches!(path.0.last(), Some(Segment::Index(_) | Segment::Entry(_)));
    let fitting: Vec<&(Path, &Value)> = places
        .iter()
        .filter(fits)
        .filter(|(path, _)| match kind {
            Kind::KeyRemoved => !is_entry(path),
            Kind::EntryRemoved => is_entry(path),
            _ => true,
        })
        .collect();
    let (path, old) = *draw.one_of(&fitting)?;
    let (path, value) = drifted(kind, path, old, draw)?;
    let mut live = desired.value.clone();
    put(&mut live, &path, value.as_ref())?;
    // What names an entry cannot change: it would be another entry.
    if path.find(&live) != value.as_ref() || live == desired.value {
        return None;
    }
    let plain = |value: Option<&Value>| value.cloned().map(Seen::Plain);
    let desired_value = path.find(&desired.value);
    let change = match (desired_value, &value) {
        (_, None) => Change::Removed,
        (Some(_), Some(_)) => Change::Changed,
        (None, Some(_)) => Change::Undeclared,
    };
    let drift = Drift { pointer: String::new(), change, desired: plain(desired_value), live: plain(value.as_ref()), path };
    Some(Planted { kind, object, drift, value, live })
}

fn is_identity(path: &Path) -> bool {
    let text = path.to_string();
    ["apiVersion", "kind", "metadata", "metadata.name", "metadata.namespace", "metadata.generateName"].contains(&text.as_str())
}

/// The value that drifts, and to what.
fn drifted(kind: Kind, path: &Path, old: &Value, draw: &mut Draw) -> Option<(Path, Option<Value>)> {
    let word = format!("t{}", draw.next() % 1000);
    let value = match (kind, old) {
        (Kind::Value, Value::String(text)) => Some(json!(format!("{text}-{word}"))),
        (Kind::Value, Value::Bool(truth)) => Some(json!(!truth)),
        (Kind::Value, _) => Some(json!(draw.next() % 70_000)),
        (Kind::Text, _) => Some(json!(draw.one_of(&TEXTS)?)),
        (Kind::Form, Value::Object(_) | Value::Array(_)) => Some(
            draw.one_of(&[json!("plain"), json!({}), json!([]), json!(["a", {"b": [1, "2"]}]), json!({"yes": {"a": "b"}})])?
                .clone(),
        ),
        (Kind::Form, _) => {
            Some(draw.one_of(&[json!({"a": {"b": "on"}, "c": []}), json!(["a", ["b"], {"c": 1, "d": {}}]), json!({})])?.clone())
        }
        (Kind::KeyAdded, _) => {
            let key = draw.one_of(&["added", "example.com/added", "yes", "7", "a b"])?;
            let value = draw.one_of(&[json!("on"), json!({"x": ["y", 2]}), json!(true), json!("two\nlines\n")])?.clone();
            return Some((path.key(key), Some(value)));
        }
        (Kind::EntryAdded, Value::Array(items)) => {
            if items.iter().all(|item| item.get("name").is_some_and(Value::is_string)) {
                let segment = Segment::entry(&[("name", &json!(word))]);
                return Some((path.child(segment), Some(json!({"name": word, "image": "busybox:1", "args": ["-c", "a: b"]}))));
            }
            return Some((path.child(Segment::Index(items.len())), Some(json!("added entry"))));
        }
        (Kind::KeyRemoved | Kind::EntryRemoved, _) => None,
        (Kind::EntryAdded | Kind::Together, _) => return None,
    };
    Some((path.clone(), value))
}

/// Each path with its value; entries of lists with names by their names.
fn collect<'a>(value: &'a Value, at: &Path, places: &mut Vec<(Path, &'a Value)>) {
    let mut inside = |path: Path, value: &'a Value| {
        places.push((path.clone(), value));
        collect(value, &path, places);
    };
    match value {
        Value::Object(fields) => fields.iter().for_each(|(key, value)| inside(at.key(key), value)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let named = item.get("name").filter(|name| name.is_string()).map(|name| Segment::entry(&[("name", name)]));
                let segment = named.filter(|segment| segment.position_in(items) == Some(index)).unwrap_or(Segment::Index(index));
                inside(at.child(segment), item);
            }
        }
        _ => {}
    }
}

/// Sets or removes what stands at a path whose parent is there.
pub fn put(object: &mut Value, path: &Path, value: Option<&Value>) -> Option<()> {
    let parent = path.parent()?.find_mut(object)?;
    let last = path.0.last()?;
    match (parent, last, value) {
        (Value::Object(fields), Segment::Key(key), Some(value)) => drop(fields.insert(key.clone(), value.clone())),
        (Value::Object(fields), Segment::Key(key), None) => drop(fields.remove(key)?),
        (Value::Array(items), segment, value) => {
            let index = match segment {
                Segment::Index(index) => *index,
                other => other.position_in(items).unwrap_or(items.len()),
            };
            match value {
                Some(value) if index == items.len() => items.push(value.clone()),
                Some(value) => *items.get_mut(index)? = value.clone(),
                None if index < items.len() => drop(items.remove(index)),
                None => return None,
            }
        }
        (_, _, _) => return None,
    }
    Some(())
}
