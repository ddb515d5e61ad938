//! An object's paths, each with its verdict: what comparing it showed, joined with what policy made of that.

use serde_json::Value;
use trueup_core::diff::{Account, Silence, Verdict, accounts};
use trueup_core::difference::cause_at;
use trueup_core::facts::{Allowance, Evidence, Matched, Origin, Pair, Secrecy};
use trueup_core::finding::{Cause, Change, Divergence, Finding};
use trueup_core::object::ObjectId;
use trueup_core::path::Path;
use trueup_core::secret::seen;
use trueup_core::seen::{DigestKey, Seen};
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::normal::{Uncompared, uncompared};

use crate::target::JudgedCase;

/// One path of an object.
#[derive(Debug)]
pub struct PathRow<'a> {
    /// Where; the root for the whole object.
    pub path: Path,
    /// The same place as a JSON pointer, into the live object where it is there.
    pub pointer: String,
    /// What Git declares.
    pub declared: Option<Seen>,
    /// Its place in the declared object, as a JSON pointer.
    pub declared_at: Option<String>,
    /// Where exactly Git declares it; `None` where it does not.
    pub origin: Option<Origin>,
    /// What the server makes of Git's words.
    pub expected: Option<Seen>,
    /// On what that rests.
    pub evidence: Option<Evidence>,
    /// What is there.
    pub live: Option<Seen>,
    /// Who wrote that.
    pub cause: Cause,
    /// What became of the path.
    pub outcome: Outcome<'a>,
}

/// What became of a path.
#[derive(Debug)]
pub enum Outcome<'a> {
    /// It is a finding.
    Finding(&'a Finding),
    /// It differs, and no finding was made of it.
    LeftOut(Change),
    /// It differs by right.
    ByRight(Allowance),
    /// It does not differ.
    Silent(Silence),
    /// It is never compared.
    Uncompared(Uncompared),
}

/// All paths of a case. `whole` is the live object with what is never compared, where that is to be shown, too.
#[must_use]
pub fn rows<'a>(case: &'a JudgedCase, whole: Option<&Value>, (kinds, key): (&Kinds, &DigestKey)) -> Vec<PathRow<'a>> {
    let mut rows = match &case.pair {
        Some(Pair::Matched(matched)) => compared(case, matched, (kinds, key)),
        Some(Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..)) | None => Vec::new(),
    };
    // What else is a finding: a whole object that is missing.
    let is_told = |finding: &&Finding| !rows.iter().any(|row| row.finding().is_some_and(|told| told.id == finding.id));
    let more: Vec<_> = case.findings.iter().filter(is_told).map(of_finding).collect();
    rows.extend(more);
    if let (Some(Pair::Matched(matched)), Some(whole)) = (&case.pair, whole) {
        rows.extend(not_compared(matched, whole, key));
    }
    rows
}

impl PathRow<'_> {
    /// The finding that it is, if it is one.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        match &self.outcome {
            Outcome::Finding(finding) => Some(finding),
            Outcome::LeftOut(_) | Outcome::ByRight(_) | Outcome::Silent(_) | Outcome::Uncompared(_) => None,
        }
    }

    /// Whether `path` leads to this value, into it or around it, in whichever form it names list entries.
    #[must_use]
    pub fn concerns(&self, path: &Path, pair: &Pair) -> bool {
        let Pair::Matched(matched) = pair else { return self.path.covers(path) };
        let nested = |a: &str, b: &str| a.strip_prefix(b).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let leads_there = |root: &Value| match (self.path.pointer_in(root), path.pointer_in(root)) {
            (Some(own), Some(asked)) => nested(&own, &asked) || nested(&asked, &own),
            _ => false,
        };
        let roots = [&matched.live.value, &matched.expected.value, &matched.desired.value];
        self.path.covers(path) || path.covers(&self.path) || roots.into_iter().any(leads_there)
    }
}

fn compared<'a>(case: &'a JudgedCase, matched: &Matched, (kinds, key): (&Kinds, &DigestKey)) -> Vec<PathRow<'a>> {
    let accounts = accounts(matched, kinds.types(), &kinds.shape(&matched.desired.id), key);
    accounts.into_iter().map(|account| of_account(case, matched, account)).collect()
}

fn of_account<'a>(case: &'a JudgedCase, matched: &Matched, account: Account) -> PathRow<'a> {
    let is_it = |finding: &&Finding| match &finding.difference.divergence {
        Divergence::Field(drift) => drift.path == account.path,
        Divergence::Object(_) | Divergence::Expectation(_) => false,
    };
    let finding = case.findings.iter().find(is_it);
    let outcome = match (finding, account.verdict) {
        (Some(finding), _) => Outcome::Finding(finding),
        // Git's own path is known to be none: metadata that a manifest carries along.
        (None, verdict) => match (uncompared(&account.path), verdict) {
            (Some(reason), _) => Outcome::Uncompared(reason),
            (None, Verdict::Differs(change)) => Outcome::LeftOut(change),
            (None, Verdict::Allowed(_, allowance)) => Outcome::ByRight(allowance),
            (None, Verdict::Silent(silence)) => Outcome::Silent(silence),
        },
    };
    PathRow {
        origin: account.declared_at.as_deref().and_then(|pointer| declared_at(matched, pointer)),
        cause: finding.map_or_else(
            || account.live.as_ref().map(|_| cause_at(&matched.live, &account.path)).unwrap_or_default(),
            |finding| finding.difference.cause.clone(),
        ),
        path: account.path,
        pointer: account.pointer,
        declared: account.declared,
        declared_at: account.declared_at,
        expected: account.expected,
        evidence: Some(matched.expected.evidence),
        live: account.live,
        outcome,
    }
}

fn declared_at(matched: &Matched, pointer: &str) -> Option<Origin> {
    let position = matched.desired.positions.get(pointer)?;
    Some(Origin { line: position.line, column: position.column, ..matched.desired.origin.clone() })
}

fn of_finding(finding: &Finding) -> PathRow<'_> {
    let difference = &finding.difference;
    let (desired, live) = difference.values();
    PathRow {
        path: difference.path(),
        pointer: String::new(),
        declared: desired.cloned(),
        declared_at: None,
        origin: Some(difference.origin.clone()),
        expected: None,
        evidence: difference.evidence,
        live: live.cloned(),
        cause: difference.cause.clone(),
        outcome: Outcome::Finding(finding),
    }
}

/// What the live object carries beside what is compared.
fn not_compared<'a>(matched: &Matched, whole: &Value, key: &DigestKey) -> Vec<PathRow<'a>> {
    let mut found = Vec::new();
    leaves(&Path::root(), whole, &mut |path, value| {
        if let Some(reason) = uncompared(path) {
            found.push((path.clone(), reason, value.clone()));
        }
    });
    let secrecy = secrecy(&matched.desired.id);
    let row = |(path, reason, value): (Path, Uncompared, Value)| PathRow {
        pointer: path.pointer_in(whole).unwrap_or_default(),
        declared: None,
        declared_at: None,
        origin: path.pointer_in(whole).and_then(|pointer| declared_at(matched, &pointer)),
        expected: None,
        evidence: None,
        live: Some(match reason {
            Uncompared::ServerMetadata => Seen::Plain(value),
            Uncompared::Status | Uncompared::LastApplied => seen(secrecy, &path, &value, key),
        }),
        cause: cause_at(&matched.live, &path),
        path,
        outcome: Outcome::Uncompared(reason),
    };
    found.into_iter().map(row).collect()
}

fn secrecy(id: &ObjectId) -> Secrecy {
    if id.is_secret() { Secrecy::Secret } else { Secrecy::Open }
}

/// Every scalar and every list; who wrote what is told beside each path, and not as a path of its own.
fn leaves(at: &Path, value: &Value, found: &mut dyn FnMut(&Path, &Value)) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (key, value) in fields.iter().filter(|(key, _)| *key != "managedFields") {
                leaves(&at.key(key), value, found);
            }
        }
        value => found(at, value),
    }
}
