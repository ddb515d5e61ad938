//! The format of policy files. `policies/policy.schema.json` describes it for editors.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::{Class, Condition, IgnoreRule, Match, Ownership, Precedence};
use crate::direction::Direction;
use crate::facts::{Origin, Problem};
use crate::finding::{Change, Lane, Stage};
use crate::known_writer::{KnownWriter, KnownWriterText};
use crate::pattern::{NamePattern, PathPattern};
use crate::security::Category;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    #[serde(default)]
    class: Vec<Spanned<ClassEntry>>,
    #[serde(default)]
    ignore: Vec<Spanned<IgnoreEntry>>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IgnoreEntry {
    name: String,
    #[serde(rename = "match")]
    matches: Spanned<MatchEntry>,
    reason: Option<String>,
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
    owned_by: Option<Spanned<Words>>,
    category: Option<Category>,
    direction: Option<Direction>,
    cel: Option<Spanned<String>>,
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

/// What one file holds.
#[derive(Default)]
pub(super) struct Read {
    pub(super) classes: Vec<Class>,
    pub(super) ignores: Vec<IgnoreRule>,
    pub(super) known_writers: Vec<KnownWriter>,
    pub(super) problems: Vec<Problem>,
}

/// Reads one file as far as it can be read.
pub(super) fn read(file: &str, text: &str) -> Read {
    let place = Lines::of(file, text);
    let mut read = Read::default();
    match toml::from_str::<PolicyFile>(text) {
        Ok(parsed) => {
            for entry in parsed.class {
                match class(entry, &place) {
                    Ok(class) => read.classes.push(class),
                    Err(problem) => read.problems.push(problem),
                }
            }
            for entry in parsed.ignore {
                match ignore_rule(entry, &place) {
                    Ok(rule) => read.ignores.push(rule),
                    Err(problem) => read.problems.push(problem),
                }
            }
            for entry in parsed.known_writer {
                let at = entry.span().start;
                match KnownWriter::try_from(entry.into_inner()) {
                    Ok(writer) => read.known_writers.push(writer),
                    Err(error) => read.problems.push(place.problem(at, error.to_string())),
                }
            }
        }
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().lines().next().unwrap_or_default();
            read.problems.push(place.problem(at, with_hint(message)));
        }
    }
    read
}

/// What a message of the TOML reader leaves open: what to write.
fn with_hint(message: &str) -> String {
    let hint = match message {
        "missing field `lane`" => ": say where it goes, as in lane = \"review\" (ignore, watch, auto, review or escalate)",
        "missing field `name`" => ": give it a name of its own, as in name = \"config-value\"",
        "missing field `match`" => ": say what is ignored, as in match = { kind = \"Deployment\", path = \"spec.replicas\" }",
        _ => "",
    };
    format!("{message}{hint}")
}

/// A file's text with its lines counted, so that a place in it is found without reading it again.
struct Lines<'a> {
    file: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(file: &'a str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, starts }
    }

    fn origin(&self, at: usize) -> Origin {
        let at = self.text.floor_char_boundary(at);
        let line = self.starts.partition_point(|start| *start <= at);
        let column = self.text[self.starts[line - 1]..at].chars().count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Origin { file: self.file.to_owned(), line: count(line), column: count(column), document: 1 }
    }

    fn problem(&self, at: usize, message: impl Into<String>) -> Problem {
        Problem::blind("policy", message, Some(self.origin(at)))
    }

    /// Where the character `at` of a string stands that is written at `span`: exactly, where it is written without escapes.
    fn inside(&self, span: std::ops::Range<usize>, value: &str, at: usize) -> usize {
        let written = &self.text[span.clone()];
        let opening = if written.starts_with("\"\"\"") || written.starts_with("'''") { 3 } else { 1 };
        let inside = &written[opening.min(written.len())..];
        let skipped = inside.len() - inside.trim_start_matches(['\r', '\n']).len();
        if inside[skipped..].starts_with(value) {
            let offset = value.char_indices().nth(at).map_or(value.len(), |(offset, _)| offset);
            span.start + opening + skipped + offset
        } else {
            span.start
        }
    }
}

fn class(entry: Spanned<ClassEntry>, place: &Lines<'_>) -> Result<Class, Problem> {
    let origin = place.origin(entry.span().start);
    let entry = entry.into_inner();
    let window_seconds = match &entry.verify.window {
        Some(window) => seconds(window.get_ref()).ok_or_else(|| {
            let message = format!("`{}` is no window: write seconds or minutes, as in \"30s\" or \"5m\"", window.get_ref());
            place.problem(window.span().start, message)
        })?,
        None => 10,
    };
    Ok(Class {
        matches: entry.matches.compile(place)?,
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

fn ignore_rule(entry: Spanned<IgnoreEntry>, place: &Lines<'_>) -> Result<IgnoreRule, Problem> {
    let origin = place.origin(entry.span().start);
    let entry = entry.into_inner();
    let at = entry.matches.span().start;
    let matches = entry.matches.into_inner().compile(place)?;
    if matches == Match::default() {
        let message = "an ignore rule without any condition would hide everything: name a kind, a name or a path";
        return Err(place.problem(at, message));
    }
    Ok(IgnoreRule { name: entry.name, origin, matches, reason: entry.reason })
}

impl MatchEntry {
    fn compile(self, place: &Lines<'_>) -> Result<Match, Problem> {
        let names = |words| read_words(words, place, |word| Ok(NamePattern::new(word)));
        Ok(Match {
            kinds: names(self.kind)?,
            groups: names(self.group)?,
            namespaces: names(self.namespace)?,
            names: names(self.name)?,
            labels: self.labels.into_iter().map(|(key, value)| (key, NamePattern::new(&value))).collect(),
            paths: read_words(self.path, place, |word| word.parse::<PathPattern>().map_err(|error| error.to_string()))?,
            changes: read_words(self.change, place, change)?,
            managers: names(self.manager)?,
            owned_by: names(self.owned_by)?,
            category: self.category,
            direction: self.direction,
            cel: self.cel.map(|text| condition(&text, place)).transpose()?,
        })
    }
}

fn condition(text: &Spanned<String>, place: &Lines<'_>) -> Result<Condition, Problem> {
    Condition::new(text.get_ref()).map_err(|error| {
        let at = place.inside(text.span(), text.get_ref(), error.at);
        place.problem(at, error.to_string())
    })
}

/// Reads each word of a condition; an absent condition has none. An empty list is refused: it would hold for everything.
fn read_words<T>(
    words: Option<Spanned<Words>>,
    place: &Lines<'_>,
    read: impl Fn(&str) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let Some(words) = words else { return Ok(Vec::new()) };
    let at = words.span().start;
    let words = match words.into_inner() {
        Words::One(word) => vec![(at, word)],
        Words::Many(words) => words.into_iter().map(|word| (word.span().start, word.into_inner())).collect(),
    };
    if words.is_empty() {
        return Err(place.problem(at, "an empty list matches nothing: leave the key out, or name something"));
    }
    words.iter().map(|(at, word)| read(word).map_err(|message| place.problem(*at, message))).collect()
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
