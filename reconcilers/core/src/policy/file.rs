//! The format of policy files. `policies/policy.schema.json` describes it for editors.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{IntoDeserializer, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use super::cases::{CaseEntry, PolicyCase, case};
use super::freeze::{Freeze, Times};
use super::limits::Limits;
use super::{Approvers, Class, Condition, IgnoreRule, Match, Ownership, Precedence, Proof, Remedy, TIERS, Watched};
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
    #[serde(default)]
    freeze: Vec<Spanned<FreezeEntry>>,
    #[serde(default)]
    limits: Option<Spanned<Limits>>,
    #[serde(default)]
    case: Vec<Spanned<CaseEntry>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FreezeEntry {
    name: String,
    from: String,
    until: String,
    zone: Option<String>,
    #[serde(rename = "match", default)]
    matches: MatchEntry,
    reason: Option<String>,
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
    review: Option<Remedy>,
    #[serde(default)]
    approval: Approvers,
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
    #[serde(default)]
    health: Vec<Spanned<String>>,
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
    environment: Option<Spanned<Words>>,
    tier: Option<Spanned<Tiers>>,
    cel: Option<Spanned<String>>,
}

/// One tier, or a list of them.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a tier from 1 to 9, or a list of tiers")]
enum Tiers {
    One(u8),
    Many(Vec<u8>),
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
    pub(super) freezes: Vec<Freeze>,
    pub(super) limits: Limits,
    pub(super) cases: Vec<PolicyCase>,
    pub(super) problems: Vec<Problem>,
}

/// Reads one file as far as it can be read.
pub(super) fn read(file: &str, text: &str) -> Read {
    let place = Lines::of(file, text);
    let mut read = Read::default();
    let parsed = match toml::from_str::<PolicyFile>(text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let at = error.span().map_or(0, |span| span.start);
            let message = error.message().lines().next().unwrap_or_default();
            read.problems.push(place.problem(at, with_hint(message)));
            return read;
        }
    };
    let problems = &mut read.problems;
    read.classes = each(parsed.class, problems, |entry| class(entry, &place));
    read.ignores = each(parsed.ignore, problems, |entry| ignore_rule(entry, &place));
    read.freezes = each(parsed.freeze, problems, |entry| freeze(entry, &place));
    read.cases = each(parsed.case, problems, |entry| case(entry, &place));
    read.known_writers = each(parsed.known_writer, problems, |entry| {
        let at = entry.span().start;
        KnownWriter::try_from(entry.into_inner()).map_err(|error| place.problem(at, error.to_string()))
    });
    if let Some(limits) = parsed.limits {
        if limits.get_ref().namespace_share.is_some_and(|percent| percent > 100) {
            problems.push(place.problem(limits.span().start, "`namespace_share` is a percentage: write 0 to 100"));
        }
        read.limits = limits.into_inner();
    }
    read
}

/// Reads all entries of one table: what cannot be read is a problem, and the others are read.
fn each<E, T>(entries: Vec<E>, problems: &mut Vec<Problem>, read: impl Fn(E) -> Result<T, Problem>) -> Vec<T> {
    let mut items = Vec::new();
    for entry in entries {
        match read(entry) {
            Ok(item) => items.push(item),
            Err(problem) => problems.push(problem),
        }
    }
    items
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
pub(super) struct Lines<'a> {
    file: &'a str,
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(super) fn of(file: &'a str, text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { file, text, starts }
    }

    pub(super) fn origin(&self, at: usize) -> Origin {
        let at = self.text.floor_char_boundary(at);
        let line = self.starts.partition_point(|start| *start <= at);
        let column = self.text[self.starts[line - 1]..at].chars().count() + 1;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Origin { file: self.file.to_owned(), line: count(line), column: count(column), document: 1 }
    }

    pub(super) fn problem(&self, at: usize, message: impl Into<String>) -> Problem {
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
    let watched = |named: &Spanned<String>| {
        named.get_ref().parse::<Watched>().map_err(|error| place.problem(named.span().start, error.to_string()))
    };
    let health = entry.verify.health.iter().map(watched).collect::<Result<Vec<_>, _>>()?;
    Ok(Class {
        matches: entry.matches.compile(place)?,
        name: entry.name,
        origin,
        precedence: if entry.fallback { Precedence::Fallback } else { Precedence::Regular },
        lane: entry.lane,
        stage: entry.stage.unwrap_or(default_stage(entry.lane)),
        ownership: entry.ownership,
        review: entry.review,
        approval: entry.approval,
        writes_per_hour: entry.limits.writes_per_hour,
        window_seconds,
        health,
        runbook: entry.runbook,
        proof: Proof::Missing,
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

fn freeze(entry: Spanned<FreezeEntry>, place: &Lines<'_>) -> Result<Freeze, Problem> {
    let at = entry.span().start;
    let entry = entry.into_inner();
    let times = Times::read(&entry.from, &entry.until, entry.zone.as_deref());
    let times = times.map_err(|error| place.problem(at, format!("freeze `{}`: {error}", entry.name)))?;
    let matches = entry.matches.compile(place)?;
    Ok(Freeze { name: entry.name, origin: place.origin(at), matches, times, reason: entry.reason })
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
            environments: names(self.environment)?,
            tiers: self.tier.map(|tiers| read_tiers(tiers, place)).transpose()?.unwrap_or_default(),
            cel: self.cel.map(|text| condition(&text, place)).transpose()?,
        })
    }
}

fn read_tiers(tiers: Spanned<Tiers>, place: &Lines<'_>) -> Result<Vec<u8>, Problem> {
    let at = tiers.span().start;
    let tiers = match tiers.into_inner() {
        Tiers::One(tier) => vec![tier],
        Tiers::Many(tiers) => tiers,
    };
    if tiers.is_empty() || tiers.iter().any(|tier| !TIERS.contains(tier)) {
        return Err(place.problem(at, "a tier is a number from 1, the most important, to 9: name one or several"));
    }
    Ok(tiers)
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
