//! Path patterns and name patterns of policies.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde_json::Value;

use crate::path::{Path, PathError, Segment, Token, tokens};

/// A pattern over paths: `*` is one segment, `**` any depth, `[*]` a list entry, `[name=app]` an entry by key. What begins
/// with `/` is a JSON pointer (RFC 6901): list entries by their number, `~1` for `/` and `~0` for `~` in a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathPattern {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Exactly(Segment),
    AnySegment,
    AnyDepth,
    AnyEntry,
    /// A reference token of a JSON pointer: a key, or an entry's number.
    Token(String),
}

/// How far a pattern has come after some segments: which of its steps may come next.
#[derive(Debug, Clone)]
struct Reached(Vec<bool>);

impl Reached {
    fn is_end(&self) -> bool {
        self.0.last() == Some(&true)
    }

    fn goes_on(&self) -> bool {
        self.0[..self.0.len() - 1].contains(&true)
    }
}

impl PathPattern {
    /// Whether the whole of `path` matches. A pointer's number meets only entries of lists that have no merge key: where
    /// the pointer to the path is known, see [`PathPattern::matches_at`].
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        self.matches_at(path, "")
    }

    /// Whether the whole of `path` matches; `pointer` is the same place as a JSON pointer.
    #[must_use]
    pub fn matches_at(&self, path: &Path, pointer: &str) -> bool {
        // Most rules are about something else, and the last step tells.
        if let (Some(step), Some(segment)) = (self.steps.last(), path.0.last()) {
            let token = pointer.rsplit('/').next().map(unescaped);
            if *step != Step::AnyDepth && !step.takes(segment, token.as_deref()) {
                return false;
            }
        }
        self.follow(path, pointer, |_| ()).is_end()
    }

    /// Whether `path` or a value around it matches: what a rule names, it names with all that is inside.
    #[must_use]
    pub fn covers_at(&self, path: &Path, pointer: &str) -> bool {
        let mut covers = false;
        self.follow(path, pointer, |reached| covers |= reached.is_end());
        covers
    }

    /// Whether something below `path` might match, and neither `path` nor a value around it does.
    #[must_use]
    pub fn reaches_below(&self, path: &Path, pointer: &str) -> bool {
        let mut covers = false;
        let reached = self.follow(path, pointer, |reached| covers |= reached.is_end());
        !covers && reached.goes_on()
    }

    /// Takes all that matches below `path` out of `value`, which stands there; whether there was any. Entries of a list
    /// match by their number, and by any of their fields.
    #[must_use]
    pub fn leave_out(&self, path: &Path, pointer: &str, value: &mut Value) -> bool {
        self.leave_out_of(&self.follow(path, pointer, |_| ()), value)
    }

    fn leave_out_of(&self, reached: &Reached, value: &mut Value) -> bool {
        let mut any = false;
        let mut keeps = |next: &Reached, inner: &mut Value| {
            let taken = next.is_end();
            any |= taken || (next.goes_on() && self.leave_out_of(next, inner));
            !taken
        };
        match value {
            Value::Object(fields) => fields.retain(|key, inner| {
                let segment = Segment::Key(key.clone());
                keeps(&self.advanced(reached, |step| step.takes(&segment, Some(key))), inner)
            }),
            Value::Array(entries) => {
                let mut at = 0;
                entries.retain_mut(|entry| {
                    let next = self.advanced(reached, |step| step.takes_entry(at, entry));
                    at += 1;
                    keeps(&next, entry)
                });
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
        any
    }

    /// The steps that are one text: each is a text ([`texts_of`]) of every path that the pattern matches or covers.
    pub(crate) fn literals(&self) -> impl Iterator<Item = String> {
        self.steps.iter().filter_map(|step| match step {
            Step::Exactly(Segment::Key(text)) | Step::Token(text) => Some(text.clone()),
            Step::Exactly(Segment::Index(index)) => Some(index.to_string()),
            Step::Exactly(Segment::Entry(_)) | Step::AnySegment | Step::AnyDepth | Step::AnyEntry => None,
        })
    }

    /// How far the pattern has come at the end of a path; `passes` is told at the root and after each segment. Linear in
    /// pattern × path, whatever the pattern.
    fn follow(&self, path: &Path, pointer: &str, mut passes: impl FnMut(&Reached)) -> Reached {
        let mut tokens = pointer.split('/').skip(1).map(unescaped);
        let mut reached = self.begun();
        let mut next = Reached(vec![false; reached.0.len()]);
        passes(&reached);
        for segment in &path.0 {
            let token = tokens.next();
            self.advance(&reached, &mut next, |step| step.takes(segment, token.as_deref()));
            std::mem::swap(&mut reached, &mut next);
            passes(&reached);
        }
        reached
    }

    fn begun(&self) -> Reached {
        let mut reached = Reached(vec![false; self.steps.len() + 1]);
        reached.0[0] = true;
        self.skip_depths(&mut reached);
        reached
    }

    fn advanced(&self, reached: &Reached, takes: impl Fn(&Step) -> bool) -> Reached {
        let mut next = Reached(vec![false; reached.0.len()]);
        self.advance(reached, &mut next, takes);
        next
    }

    fn advance(&self, reached: &Reached, next: &mut Reached, takes: impl Fn(&Step) -> bool) {
        next.0.fill(false);
        for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| reached.0[*at]) {
            match step {
                Step::AnyDepth => next.0[at] = true,
                step if takes(step) => next.0[at + 1] = true,
                Step::Exactly(_) | Step::AnySegment | Step::AnyEntry | Step::Token(_) => {}
            }
        }
        self.skip_depths(next);
    }

    /// `**` may stand for nothing.
    fn skip_depths(&self, reached: &mut Reached) {
        for (at, step) in self.steps.iter().enumerate() {
            if reached.0[at] && *step == Step::AnyDepth {
                reached.0[at + 1] = true;
            }
        }
    }

    /// Whether this pattern matches whatever `narrower` matches: `true` is proven, `false` only means that it is not.
    #[must_use]
    pub fn includes(&self, narrower: &Self) -> bool {
        let mut reached = self.begun();
        for theirs in &narrower.steps {
            reached = self.advanced(&reached, |step| step.includes(theirs));
        }
        reached.is_end()
    }
}

/// Each segment of a path as a literal step names it: a key, or the number of an entry, where the pointer tells it.
pub(crate) fn texts_of(path: &Path, pointer: &str) -> impl Iterator<Item = String> {
    let mut tokens = pointer.split('/').skip(1).map(unescaped);
    path.0.iter().filter_map(move |segment| {
        let token = tokens.next();
        match segment {
            Segment::Key(key) => Some(key.clone()),
            Segment::Index(index) => Some(index.to_string()),
            Segment::Entry(_) => token.map(Cow::into_owned),
        }
    })
}

/// A reference token of a JSON pointer as the key that it stands for.
fn unescaped(token: &str) -> Cow<'_, str> {
    if token.contains('~') { Cow::Owned(token.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(token) }
}

impl Step {
    fn takes(&self, segment: &Segment, token: Option<&str>) -> bool {
        match (self, segment) {
            (Self::Exactly(Segment::Entry(wanted)), Segment::Entry(keys)) => wanted.iter().all(|pair| keys.contains(pair)),
            (Self::Exactly(wanted), segment) => wanted == segment,
            (Self::AnySegment, _) | (Self::AnyEntry, Segment::Entry(_) | Segment::Index(_)) => true,
            (Self::Token(wanted), Segment::Key(key)) => wanted == key,
            (Self::Token(wanted), Segment::Index(index)) => *wanted == index.to_string(),
            (Self::Token(wanted), Segment::Entry(_)) => token == Some(wanted),
            (Self::AnyEntry, Segment::Key(_)) | (Self::AnyDepth, _) => false,
        }
    }

    /// Whether the step takes an entry of a list of which nothing tells how it is keyed.
    fn takes_entry(&self, at: usize, entry: &Value) -> bool {
        match self {
            Self::Exactly(segment) => segment.names_entry(entry) || *segment == Segment::Index(at),
            Self::AnySegment | Self::AnyEntry => true,
            Self::Token(wanted) => *wanted == at.to_string(),
            Self::AnyDepth => false,
        }
    }

    /// Whether the step takes whatever `narrower` takes; `**` is dealt with by its pattern.
    fn includes(&self, narrower: &Self) -> bool {
        match (self, narrower) {
            (Self::Exactly(Segment::Entry(wanted)), Self::Exactly(Segment::Entry(keys))) => {
                wanted.iter().all(|pair| keys.contains(pair))
            }
            (_, Self::AnyDepth) => false,
            (Self::AnySegment, _) | (Self::AnyEntry, Self::AnyEntry | Self::Exactly(Segment::Entry(_) | Segment::Index(_))) => {
                true
            }
            (Self::Exactly(_) | Self::Token(_), narrower) => self == narrower,
            (Self::AnyEntry | Self::AnyDepth, _) => false,
        }
    }
}

impl FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let steps = match text.strip_prefix('/') {
            Some(pointer) => pointer_steps(text, pointer)?,
            None => path_steps(text)?,
        };
        Ok(Self { text: text.to_owned(), steps })
    }
}

fn path_steps(text: &str) -> Result<Vec<Step>, PathError> {
    let step = |token| match token {
        Token::Key(key) if key == "*" => Step::AnySegment,
        Token::Key(key) if key == "**" => Step::AnyDepth,
        Token::Key(key) | Token::Quoted(key) => Step::Exactly(Segment::Key(key)),
        Token::Index(index) => Step::Exactly(Segment::Index(index)),
        Token::Entry(keys) => Step::Exactly(Segment::Entry(keys)),
        Token::AnyEntry => Step::AnyEntry,
    };
    Ok(tokens(text)?.into_iter().map(step).collect())
}

fn pointer_steps(text: &str, pointer: &str) -> Result<Vec<Step>, PathError> {
    for (at, _) in text.match_indices('~') {
        if !matches!(text[at + 1..].chars().next(), Some('0' | '1')) {
            let reason = "in a JSON pointer `~` is written `~0`, and `/` in a key `~1`:";
            return Err(PathError { text: text.to_owned(), reason, at: text[..at].chars().count() + 1 });
        }
    }
    Ok(pointer.split('/').map(|token| Step::Token(unescaped(token).into_owned())).collect())
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A pattern over names: `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "\"\"" } else { &self.0 })
    }
}

impl NamePattern {
    /// A pattern of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether it means this one name.
    #[must_use]
    pub fn is_exactly(&self, name: &str) -> bool {
        self.0 == name && !name.contains('*')
    }

    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, behind)) = self.0.split_once('*') else { return self.0 == name };
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts = behind.split('*');
        let last = parts.next_back().unwrap_or_default();
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
    }

    /// What every name begins with that matches, and whether that is the whole name.
    #[must_use]
    pub fn beginning(&self) -> (&str, bool) {
        self.0.split_once('*').map_or((&self.0, true), |(first, _)| (first, false))
    }

    /// Whether this pattern matches whatever `narrower` matches: `true` is proven, `false` only means that it is not.
    #[must_use]
    pub fn includes(&self, narrower: &Self) -> bool {
        // A letter that is in no name stands for whatever `*` stands for: only a `*` of ours can take it.
        self.matches(&narrower.0.replace('*', "\u{0}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_over_paths() {
        for (pattern, path, matches) in [
            ("data.*", "data.LOG_LEVEL", true),
            ("data.*", "data", false),
            ("data.*", "data.a.b", false),
            ("spec.**", "spec.a.b[name=x]", true),
            ("spec.**", "spec", true),
            ("**.image", "spec.template.spec.containers[name=app].image", true),
            ("spec.containers[*].image", "spec.containers[name=app].image", true),
            ("spec.containers[name=app].image", "spec.containers[name=web].image", false),
            ("spec.ports[protocol=TCP].port", "spec.ports[port=80,protocol=TCP].port", true),
            (r#"metadata.annotations["a.b/c"]"#, r#"metadata.annotations["a.b/c"]"#, true),
            ("*.replicas", "spec.replicas", true),
        ] {
            let pattern: PathPattern = pattern.parse().expect(pattern);
            assert_eq!(pattern.matches(&path.parse().expect(path)), matches, "{pattern} on {path}");
        }
    }

    proptest::proptest! {
        #[test]
        fn what_is_a_path_is_its_own_pattern(keys in proptest::collection::vec("[a-c/.*~=\\[\\]\"é ]{1,4}", 1..4)) {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            let path = Path::of_keys(&keys);
            let printed = path.to_string();
            proptest::prop_assert_eq!(printed.parse::<Path>(), Ok(path.clone()));
            proptest::prop_assert!(printed.parse::<PathPattern>().expect("a pattern").matches(&path), "{}", printed);
        }
    }

    #[test]
    fn patterns_over_names() {
        for (pattern, name, matches) in [
            ("prod-*", "prod-eu", true),
            ("*", "", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abcb", false),
            ("x", "xy", false),
            ("*ab", "aab", true),
        ] {
            assert_eq!(NamePattern::new(pattern).matches(name), matches, "{pattern} on {name}");
        }
    }
}
