//! Path patterns and name patterns of policies.

use std::fmt;
use std::str::FromStr;

use crate::path::{Path, PathError, Segment, Token, tokens};

/// A pattern over paths: `*` is one segment, `**` any depth, `[*]` a list entry, `[name=app]` an entry by key.
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
}

impl PathPattern {
    /// Whether the whole of `path` matches.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        // Which steps may come next, after each segment: linear in pattern × path, whatever the pattern.
        let mut reached = vec![false; self.steps.len() + 1];
        reached[0] = true;
        self.skip_depths(&mut reached);
        for segment in &path.0 {
            let mut next = vec![false; self.steps.len() + 1];
            for (at, step) in self.steps.iter().enumerate().filter(|(at, _)| reached[*at]) {
                match step {
                    Step::AnyDepth => next[at] = true,
                    step if step.takes(segment) => next[at + 1] = true,
                    Step::Exactly(_) | Step::AnySegment | Step::AnyEntry => {}
                }
            }
            self.skip_depths(&mut next);
            reached = next;
        }
        reached[self.steps.len()]
    }

    /// `**` may stand for nothing.
    fn skip_depths(&self, reached: &mut [bool]) {
        for (at, step) in self.steps.iter().enumerate() {
            if reached[at] && *step == Step::AnyDepth {
                reached[at + 1] = true;
            }
        }
    }
}

impl Step {
    fn takes(&self, segment: &Segment) -> bool {
        match (self, segment) {
            (Self::Exactly(Segment::Entry(wanted)), Segment::Entry(keys)) => wanted.iter().all(|pair| keys.contains(pair)),
            (Self::Exactly(wanted), segment) => wanted == segment,
            (Self::AnySegment, _) | (Self::AnyEntry, Segment::Entry(_) | Segment::Index(_)) => true,
            (Self::AnyEntry, Segment::Key(_)) | (Self::AnyDepth, _) => false,
        }
    }
}

impl FromStr for PathPattern {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let steps = tokens(text)?.into_iter().map(|token| match token {
            Token::Key(key) if key == "*" => Step::AnySegment,
            Token::Key(key) if key == "**" => Step::AnyDepth,
            Token::Key(key) | Token::Quoted(key) => Step::Exactly(Segment::Key(key)),
            Token::Index(index) => Step::Exactly(Segment::Index(index)),
            Token::Entry(keys) => Step::Exactly(Segment::Entry(keys)),
            Token::AnyEntry => Step::AnyEntry,
        });
        Ok(Self { text: text.to_owned(), steps: steps.collect() })
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A pattern over names: `*` stands for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamePattern(String);

impl NamePattern {
    /// A pattern of this text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the whole of `name` matches.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else { return rest.is_empty() };
        for part in parts {
            let Some(at) = rest.find(part) else { return false };
            rest = &rest[at + part.len()..];
        }
        rest.ends_with(last)
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
