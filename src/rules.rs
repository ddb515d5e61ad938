//! What a round tells about the policy's own rules: conditions that could not be evaluated, and ignore rules that match
//! nothing for long. The state folder keeps when each ignore rule last matched.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use trueup_core::facts::Problem;
use trueup_core::finding::{Finding, Inside};
use trueup_core::policy::{IgnoreRule, Policy, unproven};
use trueup_core::seen::hex;

use crate::session::Session;
use crate::source::Revision;
use crate::target::Judged;

/// An ignore rule that matches nothing for this long is told.
const LONG: SignedDuration = SignedDuration::from_hours(30 * 24);

/// A rule that goes on matching is written down this often.
const OFTEN: SignedDuration = SignedDuration::from_hours(1);

const SCHEMA: &str = "trueup.ignore-rules/v1";

/// When each rule last matched, by name.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema: String,
    rules: BTreeMap<String, Used>,
}

/// One rule's use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Used {
    /// Of what the rule matches: with other conditions it is another rule.
    digest: String,
    /// When it was first seen.
    since: Timestamp,
    /// When it last matched.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    matched: Option<Timestamp>,
}

impl Used {
    fn last(&self) -> Timestamp {
        self.matched.unwrap_or(self.since)
    }
}

/// What a look showed about the rules; what matched is written down. Only a look at the source's own ref counts.
#[must_use]
pub fn notes(session: &Session, policy: &Policy, targets: &[Judged]) -> Vec<Problem> {
    let mut problems = failures(targets.iter().flat_map(Judged::findings));
    problems.extend(unproven(policy));
    if policy.ignores.is_empty() || session.revision != Revision::Reference {
        return problems;
    }
    let path = session.state.rules();
    let mut record = read(&path);
    let now = Timestamp::now();
    if mark(&mut record, policy, targets, now)
        && let Err(error) = write(&path, &record)
    {
        tracing::warn!("cannot keep when ignore rules matched: {error:#}");
    }
    // What was not looked at may hold what a rule matches.
    let is_whole = targets.len() == session.settings.targets_in_file
        && targets.iter().all(|judged| judged.problems.iter().all(|problem| !problem.blinds));
    if is_whole {
        problems.extend(too_long(&record, policy, now));
    }
    problems
}

/// The ignore rules of which the record says that they have matched nothing for long.
#[must_use]
pub fn unused(session: &Session, policy: &Policy) -> Vec<Problem> {
    too_long(&read(&session.state.rules()), policy, Timestamp::now())
}

/// Each class or rule that could not be evaluated, once: by its place and what went wrong.
fn failures<'a>(findings: impl Iterator<Item = &'a Finding>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for problem in findings.flat_map(|finding| &finding.problems) {
        if !problems.contains(problem) {
            problems.push(problem.clone());
        }
    }
    problems
}

/// Brings the record to now; whether it has to be written.
fn mark(record: &mut Record, policy: &Policy, targets: &[Judged], now: Timestamp) -> bool {
    let before = record.rules.clone();
    let (names, inside) = used_by(targets.iter().flat_map(Judged::findings));
    let known = |rule: &IgnoreRule| {
        let digest = digest(rule);
        let known = before.get(&rule.name).filter(|used| used.digest == digest);
        let mut used = known.cloned().unwrap_or(Used { digest, since: now, matched: None });
        let is_due = used.matched.is_none_or(|matched| now.duration_since(matched) >= OFTEN);
        if is_due && (names.contains(rule.name.as_str()) || inside.contains(rule.to_string().as_str())) {
            used.matched = Some(now);
        }
        (rule.name.clone(), used)
    };
    record.rules = policy.ignores.iter().map(known).collect();
    record.rules != before
}

/// The rules that cover a finding, by name, and those that name something inside its values, as reports show them.
fn used_by<'a>(findings: impl Iterator<Item = &'a Finding>) -> (BTreeSet<&'a str>, BTreeSet<&'a str>) {
    let (mut names, mut within) = (BTreeSet::new(), BTreeSet::new());
    for finding in findings {
        names.extend(finding.meant_by.iter().map(String::as_str));
        match &finding.difference.surroundings.inside {
            Inside::Nothing => {}
            Inside::Part(rules) | Inside::All(rules) => within.extend(rules.iter().map(String::as_str)),
        }
    }
    (names, within)
}

fn too_long(record: &Record, policy: &Policy, now: Timestamp) -> Vec<Problem> {
    let unused = policy.ignores.iter().filter_map(|rule| {
        let used = record.rules.get(&rule.name).filter(|used| used.digest == digest(rule))?;
        let days = now.duration_since(used.last()).as_hours() / 24;
        (now.duration_since(used.last()) >= LONG).then(|| {
            let message =
                format!("ignore rule `{}` has matched nothing for {days} days: remove it, or correct what it names", rule.name);
            Problem::note("ignore-unused", message, Some(rule.origin.clone()))
        })
    });
    unused.collect()
}

fn digest(rule: &IgnoreRule) -> String {
    let text = format!("{:?}", rule.matches);
    hex(&aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref()[..8])
}

/// The record; a new one where there is none, or none that can be read: then every rule begins anew.
fn read(path: &Path) -> Record {
    let text = std::fs::read(path).unwrap_or_default();
    let record = serde_json::from_slice::<Record>(&text).ok().filter(|record| record.schema == SCHEMA);
    record.unwrap_or_else(|| Record { schema: SCHEMA.to_owned(), rules: BTreeMap::new() })
}

/// Writes the record in one step: a reader sees the old one or the new one.
fn write(path: &Path, record: &Record) -> anyhow::Result<()> {
    let part = path.with_extension(format!("{}.part", std::process::id()));
    let text = serde_json::to_string_pretty(record)?;
    let mut file = std::fs::File::create(&part).with_context(|| format!("cannot create `{}`", part.display()))?;
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write `{}`", part.display()))?;
    std::fs::rename(&part, path).with_context(|| format!("cannot rename to `{}`", path.display()))
}
