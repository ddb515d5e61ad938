//! Policy: the classes of `policies/*.toml`, read and validated.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::facts::{Origin, Problem};
use crate::finding::{Change, Difference, Lane, Stage, Subject};
use crate::known_writer::{KnownWriter, KnownWriterText};
use crate::pattern::{NamePattern, PathPattern};
use crate::security::{Category, Direction};

/// All classes, in the order of files and places in them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Policy {
    /// The classes.
    pub classes: Vec<Class>,
    /// Programs that write by right, beside those that are known anyway.
    pub known_writers: Vec<KnownWriter>,
    /// SHA-256 over the files' names and texts, as hexadecimal digits.
    pub digest: String,
}

/// A named kind of finding.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    /// Its name, unique in a policy.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// What it matches.
    pub matches: Match,
    /// Whether it counts only where no other class matches.
    pub precedence: Precedence,
    /// Where its findings go.
    pub lane: Lane,
    /// How far that lane may act.
    pub stage: Stage,
    /// What a correction does where a field belongs to somebody's server-side apply.
    pub ownership: Ownership,
    /// How many writes in an hour; no limit where absent.
    pub writes_per_hour: Option<u32>,
    /// How long after a write the drift may take to be gone, in seconds.
    pub window_seconds: u32,
    /// For people: a URL or a file.
    pub runbook: Option<String>,
}

/// Whether a class always counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// It votes whenever it matches.
    Regular,
    /// It votes only where no regular class matches.
    Fallback,
}

/// What a correction does where a field belongs to somebody's server-side apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ownership {
    /// Leaves it to review.
    #[default]
    Review,
    /// Corrects it and becomes the field's owner: the owner's next apply meets a conflict.
    Take,
}

/// Conditions that all must hold; one that is absent holds.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Match {
    kinds: Vec<NamePattern>,
    groups: Vec<NamePattern>,
    namespaces: Vec<NamePattern>,
    names: Vec<NamePattern>,
    labels: BTreeMap<String, NamePattern>,
    paths: Vec<PathPattern>,
    changes: Vec<Change>,
    managers: Vec<NamePattern>,
    category: Option<Category>,
    direction: Option<Direction>,
}

impl Match {
    /// Whether this difference is meant.
    #[must_use]
    pub fn matches(&self, difference: &Difference) -> bool {
        self.matches_subject(&difference.subject)
            && self.labels.iter().all(|(key, pattern)| difference.labels.get(key).is_some_and(|value| pattern.matches(value)))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(&difference.path())))
            && (self.changes.is_empty() || self.changes.contains(&difference.change()))
            && any(&self.managers, difference.cause.manager.as_deref().unwrap_or_default())
            && self.category.is_none_or(|category| Category::of(difference) == Some(category))
            && self.direction.is_none_or(|direction| Direction::of(difference).may_be(direction))
    }

    /// Whether the class says by name that it means this change.
    #[must_use]
    pub fn names(&self, change: Change) -> bool {
        self.changes.contains(&change)
    }

    fn matches_subject(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Object(id) => {
                any(&self.kinds, &id.kind)
                    && any(&self.groups, id.group())
                    && any(&self.namespaces, id.namespace.as_deref().unwrap_or_default())
                    && any(&self.names, &id.name)
            }
            Subject::Output(id) => {
                any(&self.kinds, "Output")
                    && any(&self.groups, "terraform")
                    && any(&self.namespaces, "")
                    && any(&self.names, &id.output)
            }
        }
    }
}

fn any(patterns: &[NamePattern], text: &str) -> bool {
    patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(text))
}

impl Policy {
    /// Reads policy files, each a name and its text. One mistake and there is no policy: a class that was not understood
    /// might have been the strict one.
    ///
    /// # Errors
    /// Every mistake that was found, each at its `file:line:column`.
    pub fn read(files: &[(String, String)]) -> Result<Self, Vec<Problem>> {
        let mut classes: Vec<Class> = Vec::new();
        let mut known_writers = Vec::new();
        let mut problems = Vec::new();
        for (file, text) in files {
            match toml::from_str::<PolicyFile>(text) {
                Ok(parsed) => {
                    parsed.class.into_iter().for_each(|entry| match compile(entry, file, text) {
                        Ok(class) => classes.push(class),
                        Err(problem) => problems.push(problem),
                    });
                    parsed.known_writer.into_iter().for_each(|entry| match known_writer(entry, file, text) {
                        Ok(writer) => known_writers.push(writer),
                        Err(problem) => problems.push(problem),
                    });
                }
                Err(error) => {
                    let at = error.span().map_or(0, |span| span.start);
                    problems.push(problem(file, text, at, first_line(error.message())));
                }
            }
        }
        let mut names = BTreeSet::new();
        for class in classes.iter().filter(|class| !names.insert(class.name.clone())) {
            let message = format!("class `{}` is defined twice: give each class its own name", class.name);
            problems.push(Problem::blind("policy", message, Some(class.origin.clone())));
        }
        if problems.is_empty() { Ok(Self { classes, known_writers, digest: digest(files) }) } else { Err(problems) }
    }
}

fn digest(files: &[(String, String)]) -> String {
    let text = serde_json::json!(files).to_string();
    crate::seen::hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

fn first_line(message: &str) -> String {
    message.lines().next().unwrap_or_default().to_owned()
}

fn problem(file: &str, text: &str, at: usize, message: impl Into<String>) -> Problem {
    Problem::blind("policy", message, Some(origin_at(file, text, at)))
}

/// The place of a byte in a file's text.
#[must_use]
pub fn origin_at(file: &str, text: &str, at: usize) -> Origin {
    let before = &text[..text.floor_char_boundary(at)];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let count = |n: usize| u32::try_from(n + 1).unwrap_or(u32::MAX);
    Origin {
        file: file.to_owned(),
        line: count(before.matches('\n').count()),
        column: count(before[line_start..].chars().count()),
        document: 1,
    }
}

// The file format.

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    class: Vec<Spanned<ClassEntry>>,
    #[serde(default, rename = "known-writer")]
    known_writer: Vec<Spanned<KnownWriterText>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClassEntry {
    name: String,
    #[serde(rename = "match", default)]
    matches: MatchEntry,
    #[serde(default)]
    fallback: bool,
    lane: Lane,
    stage: Option<Stage>,
    #[serde(default)]
    ownership: Ownership,
    #[serde(default)]
    limits: LimitsEntry,
    #[serde(default)]
    verify: VerifyEntry,
    runbook: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct LimitsEntry {
    writes_per_hour: Option<u32>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct VerifyEntry {
    window: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct MatchEntry {
    kind: Option<Spanned<Words>>,
    group: Option<Spanned<Words>>,
    namespace: Option<Spanned<Words>>,
    name: Option<Spanned<Words>>,
    labels: BTreeMap<String, String>,
    path: Option<Spanned<Words>>,
    change: Option<Spanned<Words>>,
    manager: Option<Spanned<Words>>,
    category: Option<Category>,
    direction: Option<Direction>,
}

/// One string, or a list of them, each at its place in the file.
enum Words {
    One(String),
    Many(Vec<Spanned<String>>),
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E>(self, text: &str) -> Result<Words, E> {
        Ok(Words::One(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = sequence.next_element()? {
            words.push(word);
        }
        Ok(Words::Many(words))
    }
}

fn known_writer(entry: Spanned<KnownWriterText>, file: &str, text: &str) -> Result<KnownWriter, Problem> {
    let at = entry.span().start;
    KnownWriter::try_from(entry.into_inner()).map_err(|error| problem(file, text, at, error.to_string()))
}

fn compile(entry: Spanned<ClassEntry>, file: &str, text: &str) -> Result<Class, Problem> {
    let origin = origin_at(file, text, entry.span().start);
    let entry = entry.into_inner();
    let window_seconds = match &entry.verify.window {
        Some(window) => seconds(window.get_ref()).ok_or_else(|| {
            let message = format!("`{}` is no window: write seconds or minutes, as in \"30s\" or \"5m\"", window.get_ref());
            problem(file, text, window.span().start, message)
        })?,
        None => 10,
    };
    Ok(Class {
        matches: entry.matches.compile(file, text)?,
        name: entry.name,
        origin,
        precedence: if entry.fallback { Precedence::Fallback } else { Precedence::Regular },
        lane: entry.lane,
        stage: entry.stage.unwrap_or(default_stage(entry.lane)),
        ownership: entry.ownership,
        writes_per_hour: entry.limits.writes_per_hour,
        window_seconds,
        runbook: entry.runbook,
    })
}

impl MatchEntry {
    fn compile(self, file: &str, text: &str) -> Result<Match, Problem> {
        let names = |words| read_words(words, file, text, |word| Ok(NamePattern::new(word)));
        Ok(Match {
            kinds: names(self.kind)?,
            groups: names(self.group)?,
            namespaces: names(self.namespace)?,
            names: names(self.name)?,
            labels: self.labels.into_iter().map(|(key, value)| (key, NamePattern::new(&value))).collect(),
            paths: read_words(self.path, file, text, |word| word.parse::<PathPattern>().map_err(|error| error.to_string()))?,
            changes: read_words(self.change, file, text, change)?,
            managers: names(self.manager)?,
            category: self.category,
            direction: self.direction,
        })
    }
}

/// Reads each word of a condition; an absent condition has none. An empty list is refused: it would hold for everything.
fn read_words<T>(
    words: Option<Spanned<Words>>,
    file: &str,
    text: &str,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let Some(words) = words else { return Ok(Vec::new()) };
    let at = words.span().start;
    let words = match words.into_inner() {
        Words::One(word) => vec![(at, word)],
        Words::Many(words) => words.into_iter().map(|word| (word.span().start, word.into_inner())).collect(),
    };
    if words.is_empty() {
        return Err(problem(file, text, at, "an empty list matches nothing: leave the key out, or name something"));
    }
    words.iter().map(|(at, word)| read(word).map_err(|message| problem(file, text, *at, message))).collect()
}

fn change(word: &str) -> Result<Change, String> {
    let word: StrDeserializer<'_, serde::de::value::Error> = word.into_deserializer();
    Change::deserialize(word).map_err(|error| error.to_string())
}

/// A class that names no stage corrects nothing; its proposals and escalations go out.
fn default_stage(lane: Lane) -> Stage {
    match lane {
        Lane::Ignore | Lane::Watch | Lane::Auto => Stage::Observe,
        Lane::Review | Lane::Escalate => Stage::Recommend,
    }
}

/// `30s`, `5m`.
fn seconds(text: &str) -> Option<u32> {
    let (number, factor) = match text.strip_suffix('s') {
        Some(number) => (number, 1),
        None => (text.strip_suffix('m')?, 60),
    };
    number.parse::<u32>().ok()?.checked_mul(factor)
}

/// `policies/drift.toml:14: class image-change`
impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: class {}", self.origin.file, self.origin.line, self.name)
    }
}
