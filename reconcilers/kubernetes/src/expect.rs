//! Step 3, second half: what each object is judged by, on the best evidence that can be had.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Evidence, Expected, Live, Matched, Problem, Secrecy};
use trueup_core::object::ObjectId;
use trueup_core::seen::DigestKey;
use trueup_core::shape::{Shape, Types};

use crate::allowances::{Rules, allowances};
use crate::baseline::{Baselines, DryRunCreate, Words, ask_for};
use crate::cluster::Cluster;
use crate::discovery::Resource;
use crate::normal;
use crate::request::RequestError;

/// How many requests are under way at once.
pub(crate) const CONCURRENCY: usize = 8;

/// What is known of the kinds without asking the server: the table of defaults.
#[derive(Clone, Copy)]
pub struct Expecting<'a> {
    /// Git's words and the defaults of their kind; `None` for a kind that the table does not know.
    pub defaulted: &'a (dyn Fn(&ObjectId, &Value) -> Option<Value> + Sync),
    /// The shape of an object's root.
    pub shape: &'a (dyn Fn(&ObjectId) -> Shape + Sync),
    /// The types that shapes name.
    pub types: &'a Types,
    /// What may differ by right.
    pub rules: &'a Rules,
}

/// Whether the server is asked what it makes of Git's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DryRuns {
    /// Where live is not what the table expects, unless an answer is at most a day old.
    Cached,
    /// Where live is not what the table expects, each time: before anything is corrected.
    Fresh,
    /// Never: the table is all.
    Off,
}

/// When a look takes place, and at what.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The server's version.
    pub server_version: &'a str,
    /// Now.
    pub now: Timestamp,
}

/// An object that is there, before it is known what to expect of it.
pub(crate) struct Found {
    pub(crate) desired: Desired,
    pub(crate) live: Live,
    pub(crate) resource: Resource,
}

impl Expecting<'_> {
    /// A declared object and its live one, judged by the table alone.
    #[must_use]
    pub fn by_table(&self, desired: Desired, live: Live) -> Matched {
        let defaulted = (self.defaulted)(&desired.id, &desired.value).unwrap_or_else(|| desired.value.clone());
        let shape = (self.shape)(&desired.id);
        let allowances = allowances(self.rules, &desired, &live, self.types, &shape);
        let value = normal::expected(&desired.id, defaulted);
        let secrecy = if desired.id.group().is_empty() && desired.id.kind == "Secret" { Secrecy::Secret } else { Secrecy::Open };
        Matched { desired, live, expected: Expected { value, evidence: Evidence::Table, allowances }, secrecy }
    }

    /// Whether live is what is expected.
    fn agrees(&self, matched: &Matched) -> bool {
        // Masks made under this key are thrown away with the comparison.
        let key = DigestKey::new(b"agreement");
        compare(matched, self.types, &(self.shape)(&matched.desired.id), &key).drifts.is_empty()
    }
}

/// Judges each object by the table where live is what the table expects, else by the server's own answer: one dry run for
/// each distinct words.
pub(crate) async fn expect(
    cluster: &Cluster,
    found: Vec<Found>,
    (expecting, dry_runs, moment): (&Expecting<'_>, DryRuns, Moment<'_>),
    baselines: &mut Baselines,
    problems: &mut Vec<Problem>,
) -> Vec<Matched> {
    let mut judged: Vec<(Matched, Option<(Words, DryRunCreate)>)> = Vec::new();
    for Found { desired, live, resource } in found {
        let matched = expecting.by_table(desired, live);
        let create = match dry_runs {
            DryRuns::Off => None,
            DryRuns::Cached | DryRuns::Fresh if expecting.agrees(&matched) => None,
            DryRuns::Cached | DryRuns::Fresh => DryRunCreate::of(&resource, &matched.desired).ok(),
        };
        judged.push((matched, create.map(|create| (create.words(moment.server_version), create))));
    }
    let answers = answers(cluster, &judged, (dry_runs, moment.now), baselines).await;
    let mut refusals = BTreeSet::new();
    let judge = |(mut matched, create): (Matched, Option<(Words, DryRunCreate)>)| {
        match create.map(|(words, create)| (answers.get(&words), create)) {
            Some((Some(Ok(answer)), create)) => {
                let mut answer = create.named(answer.clone());
                let shape = (expecting.shape)(&matched.desired.id);
                expecting.rules.forget_allocated(&mut answer, &matched.desired, expecting.types, &shape);
                matched.expected.value = answer;
                matched.expected.evidence = Evidence::Baseline;
            }
            Some((Some(Err(error)), _)) => {
                refusals.insert(refusal(&matched.desired.id, error));
            }
            Some((None, _)) | None => {}
        }
        matched
    };
    let matched = judged.into_iter().map(judge).collect();
    problems.extend(refusals.into_iter().map(|message| Problem::note("no-baseline", message, None)));
    matched
}

/// The server's answers to all distinct creates that no fresh enough answer is known to.
async fn answers(
    cluster: &Cluster,
    judged: &[(Matched, Option<(Words, DryRunCreate)>)],
    (dry_runs, now): (DryRuns, Timestamp),
    baselines: &mut Baselines,
) -> BTreeMap<Words, Result<Value, RequestError>> {
    let mut answers = BTreeMap::new();
    let mut open = BTreeMap::new();
    for (matched, create) in judged {
        let Some((words, create)) = create else { continue };
        match baselines.get(words, now).filter(|_| dry_runs == DryRuns::Cached) {
            Some(answer) => drop(answers.insert(words.clone(), Ok(answer.clone()))),
            None => drop(open.insert(words.clone(), (create, matched.secrecy))),
        }
    }
    let asked = open.into_iter().map(|(words, (create, secrecy))| async move {
        let answer = ask_for(cluster, create).await;
        (words, secrecy, answer)
    });
    let asked: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENCY).collect().await;
    for (words, secrecy, answer) in asked {
        // No secret value goes to the disk.
        if let (Ok(value), Secrecy::Open) = (&answer, secrecy) {
            baselines.put(words.clone(), value.clone(), now);
        }
        answers.insert(words, answer);
    }
    answers
}

/// One sentence for all objects of a kind where the right is missing, one for each object where the server has a reason.
fn refusal(id: &ObjectId, error: &RequestError) -> String {
    match error.refusal() {
        Some(refusal) if refusal.code == 403 && refusal.message.contains(" cannot create resource ") => format!(
            "no right to ask by a dry run what the server makes of a `{}` (verb `create`): the table of defaults judges instead",
            id.kind
        ),
        Some(refusal) => {
            format!("the server refuses a dry run of creating `{id}`, so the table of defaults judges it: {refusal}")
        }
        None => format!("`{id}` is judged by the table of defaults: {error}"),
    }
}
