//! A path into an object: printed for people by merge keys, for programs as a JSON pointer (RFC 6901).

mod places;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use places::Places;

/// One step from a value to a value inside it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Segment {
    /// A key of an object.
    Key(String),
    /// A place in a list that has no merge key.
    Index(usize),
    /// An entry of a keyed list, by its merge keys in alphabetical order, each value as JSON text (`"app"`, `80`).
    Entry(Vec<(String, String)>),
}

/// The way from an object's root to a value in it; empty for the object itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Path(pub Vec<Segment>);

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a path: {reason} at character {at}")]
pub struct PathError {
    /// The text as it was given.
    pub text: String,
    /// What is wrong.
    pub reason: &'static str,
    /// Where, counted in characters from 1.
    pub at: usize,
}

impl Path {
    /// The object itself.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of plain keys.
    #[must_use]
    pub fn of_keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|key| Segment::Key((*key).to_owned())).collect())
    }

    /// This path and one key more.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        self.child(Segment::Key(key.to_owned()))
    }

    /// This path and one segment more.
    #[must_use]
    pub fn child(&self, segment: Segment) -> Self {
        let mut segments = self.0.clone();
        segments.push(segment);
        Self(segments)
    }

    /// The path without its last segment; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        self.0.split_last().map(|(_, init)| Self(init.to_vec()))
    }

    /// Whether `other` is this path or lies below it.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }

    /// The value at this path, if there is one. For many paths into one value, see [`Places`].
    #[must_use]
    pub fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        Places::of(root).find(self)
    }

    /// The value at this path, to be changed.
    #[must_use]
    pub fn find_mut<'a>(&self, root: &'a mut Value) -> Option<&'a mut Value> {
        self.0.iter().try_fold(root, |value, segment| match segment {
            Segment::Key(key) => value.get_mut(key),
            Segment::Index(index) => value.get_mut(index),
            Segment::Entry(_) => {
                let entries = value.as_array_mut()?;
                let index = segment.position_in(entries)?;
                entries.get_mut(index)
            }
        })
    }

    /// The JSON pointer (RFC 6901) of this path in `root`: entries become indices. `None` where `root` has no such value.
    #[must_use]
    pub fn pointer_in(&self, root: &Value) -> Option<String> {
        Places::of(root).pointer(self)
    }
}

/// A segment as a token of a JSON pointer; `at` is where a list entry stands.
fn token(segment: &Segment, at: usize) -> String {
    match segment {
        Segment::Key(key) => key.replace('~', "~0").replace('/', "~1"),
        Segment::Index(_) | Segment::Entry(_) => at.to_string(),
    }
}

impl Segment {
    /// The entry of a keyed list that carries these merge keys.
    #[must_use]
    pub fn entry(keys: &[(&str, &Value)]) -> Self {
        let mut keys: Vec<(String, String)> = keys.iter().map(|(key, value)| ((*key).to_owned(), value.to_string())).collect();
        keys.sort_unstable();
        Self::Entry(keys)
    }

    /// Whether `value` is an entry with these merge keys. Only for [`Segment::Entry`].
    #[must_use]
    pub fn names_entry(&self, value: &Value) -> bool {
        match self {
            Self::Entry(keys) => keys.iter().all(|(key, text)| value.get(key).is_some_and(|value| is_written(value, text))),
            Self::Key(_) | Self::Index(_) => false,
        }
    }

    /// Where the one entry with these merge keys stands; `None` where there is none, or more than one (an entry may lack a
    /// key that another one has).
    #[must_use]
    pub fn position_in(&self, entries: &[Value]) -> Option<usize> {
        let mut positions = entries.iter().enumerate().filter(|(_, entry)| self.names_entry(entry)).map(|(at, _)| at);
        positions.next().filter(|_| positions.next().is_none())
    }
}

/// `spec.template.spec.containers[name=app].image`, `metadata.labels["app.kubernetes.io/name"]`, `args[0]`.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) if is_plain_key(key) => {
                    if index > 0 {
                        f.write_str(".")?;
                    }
                    f.write_str(key)?;
                }
                Segment::Key(key) => write!(f, "[{}]", Value::String(key.clone()))?,
                Segment::Index(index) => write!(f, "[{index}]")?,
                Segment::Entry(keys) => {
                    f.write_str("[")?;
                    for (index, (key, text)) in keys.iter().enumerate() {
                        if index > 0 {
                            f.write_str(",")?;
                        }
                        write!(f, "{key}={}", entry_text(text))?;
                    }
                    f.write_str("]")?;
                }
            }
        }
        Ok(())
    }
}

/// Reads what [`Path`]'s `Display` prints. An entry's value reads as a number where it is one, else as a string.
impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut segments = Vec::new();
        for token in tokens(text)? {
            segments.push(match token {
                Token::Key(key) | Token::Quoted(key) => Segment::Key(key),
                Token::Index(index) => Segment::Index(index),
                Token::Entry(keys) => Segment::Entry(keys),
                Token::AnyEntry => {
                    return Err(PathError { text: text.to_owned(), reason: "`[*]` belongs in a pattern", at: 1 });
                }
            });
        }
        Ok(Self(segments))
    }
}

/// One token of a path or of a path pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Key(String),
    /// A key in quotes: it is itself, whatever it looks like.
    Quoted(String),
    Index(usize),
    Entry(Vec<(String, String)>),
    AnyEntry,
}

/// Splits a path's text into its tokens; shared by paths and patterns.
pub(crate) fn tokens(text: &str) -> Result<Vec<Token>, PathError> {
    let error = |reason, at: usize| PathError { text: text.to_owned(), reason, at: text[..at].chars().count() + 1 };
    let mut tokens = Vec::new();
    let mut rest = text;
    let mut after_dot = true;
    while !rest.is_empty() {
        let at = text.len() - rest.len();
        if let Some(inside) = rest.strip_prefix('[') {
            let (token, length) = bracket(inside).map_err(|reason| error(reason, at))?;
            tokens.push(token);
            rest = &inside[length..];
            after_dot = false;
        } else if let Some(next) = rest.strip_prefix('.') {
            if after_dot || next.is_empty() {
                return Err(error("an empty segment", at));
            }
            rest = next;
            after_dot = true;
        } else {
            if !after_dot {
                return Err(error("a `.` or `[` is missing", at));
            }
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            tokens.push(Token::Key(rest[..end].to_owned()));
            rest = &rest[end..];
            after_dot = false;
        }
    }
    if tokens.is_empty() {
        return Err(error("it is empty", 0));
    }
    Ok(tokens)
}

/// What stands between `[` and `]`, and how long it is with the closing bracket.
fn bracket(inside: &str) -> Result<(Token, usize), &'static str> {
    if inside.starts_with('"') {
        let mut stream = serde_json::Deserializer::from_str(inside).into_iter::<String>();
        let key = stream.next().and_then(Result::ok).ok_or("a quoted key that does not end")?;
        let end = stream.byte_offset();
        if !inside[end..].starts_with(']') {
            return Err("a `]` is missing");
        }
        return Ok((Token::Quoted(key), end + 1));
    }
    let mut keys = Vec::new();
    let mut at = 0;
    loop {
        let end = at + inside[at..].find([']', ',']).ok_or("a `]` is missing")?;
        let part = &inside[at..end];
        let (key, value) = match part.split_once('=') {
            Some(pair) => pair,
            None if keys.is_empty() && part == "*" => return Ok((Token::AnyEntry, end + 1)),
            None if keys.is_empty() => {
                let index = part.parse().map_err(|_| "neither an index, `*`, a quoted key nor `key=value`")?;
                return Ok((Token::Index(index), end + 1));
            }
            None => return Err("`key=value` is missing"),
        };
        if value.starts_with('"') {
            let from = at + key.len() + 1;
            let mut stream = serde_json::Deserializer::from_str(&inside[from..]).into_iter::<String>();
            let quoted = stream.next().and_then(Result::ok).ok_or("a quoted value that does not end")?;
            keys.push((key.to_owned(), Value::String(quoted).to_string()));
            at = from + stream.byte_offset();
        } else {
            keys.push((key.to_owned(), json_text(value)));
            at = end;
        }
        match inside[at..].chars().next() {
            Some(',') => at += 1,
            Some(']') => return Ok((Token::Entry(keys), at + 1)),
            _ => return Err("a `]` is missing"),
        }
    }
}

/// Whether this is the value's JSON text; a string is looked at without writing it out, as lists are searched by it.
fn is_written(value: &Value, json: &str) -> bool {
    match (value, json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))) {
        (Value::String(text), Some(inside)) if !text.contains(|c: char| c == '"' || c == '\\' || c.is_ascii_control()) => {
            text == inside
        }
        (Value::String(_), None) => false,
        _ => value.to_string().as_str() == json,
    }
}

/// What begins with `/` would be a JSON pointer in a policy.
fn is_plain_key(key: &str) -> bool {
    let is_pointer = key.starts_with('/');
    !key.is_empty()
        && !is_pointer
        && !key.contains(|c: char| matches!(c, '.' | '[' | ']' | '"' | '*') || c.is_whitespace() || c.is_control())
}

/// An entry's value for people: strings without quotes where they cannot be mistaken.
fn entry_text(json: &str) -> String {
    match serde_json::from_str::<Value>(json) {
        Ok(Value::String(text)) if is_plain_value(&text) => text,
        _ => json.to_owned(),
    }
}

fn is_plain_value(text: &str) -> bool {
    !text.is_empty()
        && !text.contains(|c: char| matches!(c, ',' | ']' | '"' | '=') || c.is_whitespace() || c.is_control())
        && json_text(text).starts_with('"')
}

/// The JSON text of an unquoted entry value: a number or boolean as it stands, anything else a string.
fn json_text(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Number(_) | Value::Bool(_))) => value.to_string(),
        _ => Value::String(text.to_owned()).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn printed_for_people() {
        let path = Path::of_keys(&["spec", "containers"])
            .child(Segment::entry(&[("containerPort", &json!(80)), ("protocol", &json!("TCP"))]))
            .key("app.kubernetes.io/name");
        assert_eq!(path.to_string(), r#"spec.containers[containerPort=80,protocol=TCP]["app.kubernetes.io/name"]"#);
        assert_eq!(Path::of_keys(&["/x", "y/z"]).to_string(), r#"["/x"].y/z"#);
        assert_eq!(Segment::entry(&[("name", &json!("80"))]), Segment::Entry(vec![("name".into(), "\"80\"".into())]));
    }

    #[test]
    fn the_pointer_leads_through_entries() {
        let live = json!({"c": [{"name": "a"}, {"name": "b", "x/y": 1}]});
        let path: Path = r"c[name=b].x/y".parse().expect("a path");
        assert_eq!(path.find(&live), Some(&json!(1)));
        assert_eq!(path.pointer_in(&live).as_deref(), Some("/c/1/x~1y"));
    }

    #[test]
    fn errors_name_the_place() {
        for (text, expected) in [
            ("", "`` is not a path: it is empty at character 1"),
            ("a..b", "`a..b` is not a path: an empty segment at character 3"),
            ("a[name=x", "`a[name=x` is not a path: a `]` is missing at character 2"),
            ("a[x]b", "`a[x]b` is not a path: neither an index, `*`, a quoted key nor `key=value` at character 2"),
        ] {
            assert_eq!(text.parse::<Path>().expect_err(text).to_string(), expected);
        }
    }

    fn segment() -> impl Strategy<Value = Segment> {
        prop_oneof![
            ".{1,8}".prop_map(Segment::Key),
            (0usize..40).prop_map(Segment::Index),
            prop::collection::vec(
                ("[a-zA-Z]{1,6}", prop_oneof![".{0,6}".prop_map(Value::from), any::<u16>().prop_map(Value::from)]),
                1..3
            )
            .prop_map(|keys| Segment::Entry(keys.into_iter().map(|(key, value)| (key, value.to_string())).collect())),
        ]
    }

    proptest! {
        #[test]
        fn what_is_printed_reads_back(segments in prop::collection::vec(segment(), 1..6)) {
            let path = Path(segments);
            prop_assert_eq!(path.to_string().parse::<Path>(), Ok(path));
        }
    }
}
