//! One imported rule: its conditions, and what they say in words.

use std::fmt::Write;

use trueup_core::facts::Origin;

use super::place;
use crate::visible::visible;

/// What one entry of a file came to.
pub(super) enum Found {
    Rule(Rule),
    /// It cannot be said in a policy.
    Refused {
        origin: Origin,
        from: String,
        what: String,
        why: String,
    },
}

/// An ignore rule.
pub(super) struct Rule {
    /// Not yet unique.
    pub(super) name: String,
    pub(super) origin: Origin,
    /// `Argo CD: Application shop`.
    pub(super) from: String,
    pub(super) conditions: Conditions,
    /// What differs from how it was meant there.
    pub(super) notes: Vec<String>,
}

/// What a rule matches; an empty list is no condition.
#[derive(Clone, Default)]
pub(super) struct Conditions {
    pub(super) groups: Vec<String>,
    pub(super) kinds: Vec<String>,
    pub(super) namespaces: Vec<String>,
    pub(super) names: Vec<String>,
    pub(super) labels: Vec<(String, String)>,
    pub(super) changes: Vec<String>,
    pub(super) paths: Vec<String>,
    pub(super) owned_by: Vec<String>,
}

impl Rule {
    pub(super) fn print(&self, name: &str) -> String {
        let mut text = String::new();
        let mut line = |line: String| writeln!(text, "{}", visible(&line)).expect("writing to a String cannot fail");
        line(format!("# {} ({})", place(&self.origin), self.from));
        line(format!("# Ignores {} in {}.", self.conditions.what(), self.conditions.objects()));
        for note in &self.notes {
            line(format!("# {note}"));
        }
        line("[[ignore]]".to_owned());
        line(format!("name = {}", quoted(name)));
        line(format!("match = {{ {} }}", self.conditions.print()));
        line(format!("reason = {}", quoted(&format!("imported from {}", self.from))));
        text
    }
}

impl Conditions {
    pub(super) fn is_empty(&self) -> bool {
        self.print().is_empty()
    }

    fn lists(&self) -> [(&'static str, &[String]); 7] {
        [
            ("group", &self.groups),
            ("kind", &self.kinds),
            ("namespace", &self.namespaces),
            ("name", &self.names),
            ("change", &self.changes),
            ("path", &self.paths),
            ("owned_by", &self.owned_by),
        ]
    }

    fn print(&self) -> String {
        let list = |words: &[String]| match words {
            [word] => quoted(word),
            words => format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")),
        };
        let given = self.lists().into_iter().filter(|(_, words)| !words.is_empty());
        let mut parts: Vec<String> = given.map(|(key, words)| format!("{key} = {}", list(words))).collect();
        if !self.labels.is_empty() {
            let labels = self.labels.iter().map(|(key, value)| format!("{} = {}", quoted(key), quoted(value)));
            parts.push(format!("labels = {{ {} }}", labels.collect::<Vec<_>>().join(", ")));
        }
        parts.join(", ")
    }

    fn what(&self) -> String {
        let mut parts = Vec::new();
        if !self.paths.is_empty() {
            parts.push(format!("what stands at {}, with all inside it,", self.paths.join(", ")));
        }
        if !self.owned_by.is_empty() {
            let managers = self.owned_by.join(", ");
            parts.push(format!("what {managers} alone owns by managedFields (but nothing that concerns security),"));
        }
        match self.changes.as_slice() {
            [] => {}
            [change] if change == "undeclared" => parts.push("what somebody added and Git does not declare".to_owned()),
            changes => parts.push(format!("what is {}", changes.join(" or "))),
        }
        if parts.is_empty() { "every difference".to_owned() } else { parts.join(" and ") }
    }

    fn objects(&self) -> String {
        let list = |words: &[String]| {
            words.iter().map(|word| if word.is_empty() { "none" } else { word }.to_owned()).collect::<Vec<_>>().join(" or ")
        };
        let kind = if self.kinds.is_empty() { "every object".to_owned() } else { format!("every {}", list(&self.kinds)) };
        let parts = [("of group", &self.groups), ("named", &self.names), ("in namespace", &self.namespaces)];
        let more = parts.into_iter().filter(|(_, words)| !words.is_empty()).map(|(word, words)| {
            let core = if word == "of group" && *words == [String::new()] { "core".to_owned() } else { list(words) };
            format!(" {word} {core}")
        });
        let labels = self.labels.iter().map(|(key, value)| format!(" labelled {key}={value}"));
        kind + &more.chain(labels).collect::<Vec<_>>().concat()
    }
}

/// A TOML string: in single quotes where that spares escapes.
fn quoted(text: &str) -> String {
    let is_literal = text.contains(['"', '\\']) && !text.contains('\'') && !text.contains(char::is_control);
    if is_literal { format!("'{text}'") } else { serde_json::Value::from(text).to_string() }
}
