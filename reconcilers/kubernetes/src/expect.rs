//! Step 3, second half: what each object is judged by, on the best evidence that can be had.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use jiff::Timestamp;
use serde_json::Value;
use trueup_core::diff::compare;
use trueup_core::facts::{Desired, Evidence, Expected, Live, Matched, Observation, Problem, Secrecy};
use trueup_core::object::ObjectId;
use trueup_core::path::Path;
use trueup_core::secret;
use trueup_core::seen::DigestKey;
use trueup_core::shape::{Shape, Types};
use trueup_core::shared::Shared;

use crate::admission::Admission;
use crate::allowances::{Rules, allowances};
use crate::apply::{self, DryRunApply, ask_to_apply};
use crate::baseline::{Baselines, DryRunCreate, NoDryRun, Words, ask_for};
use crate::cluster::Cluster;
use crate::discovery::{Catalog, Resource};
use crate::normal;
use crate::request::RequestError;
use crate::rescan::Memory;
use crate::table::Table;

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
pub(crate) struct Found<'a> {
    pub(crate) desired: Shared<Desired>,
    pub(crate) live: Shared<Live>,
    pub(crate) resource: &'a Resource,
}

impl Expecting<'_> {
    /// A declared object and its live one, judged by the table alone.
    #[must_use]
    pub fn by_table(&self, desired: impl Into<Shared<Desired>>, live: impl Into<Shared<Live>>) -> Matched {
        let (desired, live) = (desired.into(), live.into());
        let defaulted = (self.defaulted)(&desired.id, &desired.value);
        let defaulted = defaulted.unwrap_or_else(|| Table::load().with_metadata(&desired.value));
        let shape = (self.shape)(&desired.id);
        let allowances = allowances(self.rules, &desired, &live, self.types, &shape);
        let value = normal::expected(&desired.id, defaulted);
        let secrecy = if desired.id.is_secret() { Secrecy::Secret } else { Secrecy::Open };
        let mut filled = BTreeSet::new();
        collect_filled(self.types, &shape, &Path::root(), (Some(&desired.value), &value), &mut filled);
        let expected = Expected { value, evidence: Evidence::Table, allowances, filled };
        Matched { desired, live, expected: expected.into(), secrecy, former: Vec::new() }
    }

    /// Whether live is what is expected.
    fn agrees(&self, matched: &Matched) -> bool {
        // Masks made under this key are thrown away with the comparison.
        let key = DigestKey::new(b"agreement");
        compare(matched, self.types, &(self.shape)(&matched.desired.id), &key).drifts.is_empty()
    }
}

/// The keys of maps, as of labels, that the API server fills in of its own where Git declares none. It fills a map that is
/// absent, and so it does not put one key of it back that somebody takes away.
fn collect_filled(
    types: &Types,
    shape: &Shape,
    at: &Path,
    (declared, defaulted): (Option<&Value>, &Value),
    filled: &mut BTreeSet<Path>,
) {
    let has_free_keys = match shape {
        Shape::Verbatim(inner) => matches!(**inner, Shape::Map(_)),
        other => matches!(other, Shape::Map(_)),
    };
    for (key, value) in defaulted.as_object().into_iter().flatten() {
        let declared = declared.and_then(|declared| declared.get(key));
        if has_free_keys && declared.is_none() {
            // A `null` in Git's own map is `""` to the server, and a client-side apply takes it out of the map and its copies.
            if value != "" {
                filled.insert(at.key(key));
            }
        } else if value.is_object() {
            collect_filled(types, types.field(shape, key), &at.key(key), (declared, value), filled);
        }
    }
}

/// An object whose live values are not what the table expects.
struct Doubtful<'a> {
    /// Which of all objects it is.
    place: usize,
    matched: Matched,
    resource: &'a Resource,
}

/// What is asked about one of them.
struct Question {
    create: DryRunCreate,
    words: Words,
    lasting: Lasting,
}

/// How long an answer holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lasting {
    /// As long as its words, which say all that it depends on, and at most a day.
    Kept,
    /// For this round: not all that it depends on can be seen, or no value of it may go to the disk.
    Once,
}

/// Judges each object by the table where live is what the table expects, else by the server's own answer: one dry run for
/// each distinct words; and where the server refuses that, by what it would make of an apply.
pub(crate) async fn expect(
    (cluster, catalog): (&Cluster, &Catalog),
    found: Vec<Found<'_>>,
    (expecting, dry_runs, moment): (&Expecting<'_>, DryRuns, Moment<'_>),
    baselines: &mut Baselines,
    seen: &mut Observation,
) -> Vec<Matched> {
    let verdicts = cluster.memory.as_ref().map(Memory::verdicts);
    let (mut judged, mut doubtful) = (Vec::new(), Vec::new());
    for (place, Found { desired, live, resource }) in found.into_iter().enumerate() {
        if let Some(matched) = verdicts.and_then(|verdicts| verdicts.known(&desired, &live)) {
            judged.push((place, matched));
            continue;
        }
        let matched = expecting.by_table(desired, live);
        if dry_runs == DryRuns::Off || expecting.agrees(&matched) {
            judged.push((place, matched));
        } else {
            doubtful.push(Doubtful { place, matched, resource });
        }
    }
    if !doubtful.is_empty() {
        let how = (expecting, dry_runs, moment);
        let (by_server, refusals) = ask_about((cluster, catalog), doubtful, how, (baselines, &mut seen.rewriters)).await;
        judged.extend(by_server);
        seen.problems.extend(refusals.into_iter().map(|message| Problem::note("no-baseline", message, None)));
    }
    judged.sort_by_key(|(place, _)| *place);
    judged.into_iter().map(|(_, matched)| matched).collect()
}

/// Each object by the server's word, in its place; and what the server refuses.
async fn ask_about(
    (cluster, catalog): (&Cluster, &Catalog),
    doubtful: Vec<Doubtful<'_>>,
    (expecting, dry_runs, moment): (&Expecting<'_>, DryRuns, Moment<'_>),
    (baselines, rewriters): (&mut Baselines, &mut BTreeMap<ObjectId, Vec<String>>),
) -> (Vec<(usize, Matched)>, BTreeSet<String>) {
    let asked = doubtful.iter().map(|one| (one.resource, one.matched.desired.id.namespace.as_deref())).collect();
    let admission = Admission::read(cluster, catalog, &asked).await;
    let named = |one: &Doubtful| (one.matched.live.id.clone(), admission.rewriters(one.resource));
    rewriters.extend(doubtful.iter().map(named).filter(|(_, names)| !names.is_empty()));
    let questions: Vec<_> = doubtful.iter().map(|one| question(one, &admission, (cluster, moment))).collect();
    let answers = answers(cluster, questions.iter().flatten(), (dry_runs, moment.now), baselines).await;
    let asked = doubtful.into_iter().zip(questions).map(|(one, question)| {
        let (answers, admission) = (&answers, &admission);
        async move {
            let answer = question.as_ref().map(|question| (question, &answers[&question.words])).map_err(Clone::clone);
            let place = one.place;
            let (matched, refused) = by_server(cluster, one, answer, (admission, expecting)).await;
            ((place, matched), refused)
        }
    });
    let (by_server, refusals): (Vec<_>, Vec<_>) = stream::iter(asked).buffered(CONCURRENCY).unzip().await;
    (by_server, refusals.into_iter().flatten().collect())
}

fn question(one: &Doubtful<'_>, admission: &Admission, (cluster, moment): (&Cluster, Moment<'_>)) -> Result<Question, NoDryRun> {
    let Doubtful { matched, resource, .. } = one;
    admission.permits(resource)?;
    let create = DryRunCreate::of(resource, &matched.desired)?;
    let digest = admission.digest(resource, matched.desired.id.namespace.as_deref());
    let lasting = if digest.is_some() && matched.secrecy == Secrecy::Open { Lasting::Kept } else { Lasting::Once };
    let words = create.words(&[cluster.server(), moment.server_version, &digest.unwrap_or_default()]);
    Ok(Question { create, words, lasting })
}

/// The object by the best answer that the server gives; with a sentence for people where it gives none.
async fn by_server(
    cluster: &Cluster,
    Doubtful { mut matched, resource, .. }: Doubtful<'_>,
    answer: Result<(&Question, &Result<Value, RequestError>), NoDryRun>,
    (admission, expecting): (&Admission, &Expecting<'_>),
) -> (Matched, Option<String>) {
    let refused = match answer {
        Ok((question, Ok(answer))) => {
            let mut answer = question.create.named(answer.clone());
            let shape = (expecting.shape)(&matched.desired.id);
            expecting.rules.forget_allocated(&mut answer, &matched.desired, expecting.types, &shape);
            matched.expected.value = answer;
            matched.expected.evidence = Evidence::Baseline;
            return (matched, None);
        }
        Ok((_, Err(error))) => Some(refusal(&matched.desired.id, error)),
        Err(NoDryRun::SideEffects(webhook)) => {
            let message = format!("no dry run of a `{}` is tried: {}", resource.kind, NoDryRun::SideEffects(webhook));
            return (matched, Some(message));
        }
        Err(NoDryRun::Aggregated | NoDryRun::Rbac | NoDryRun::FixedName | NoDryRun::NoCreate | NoDryRun::NoPatch) => None,
    };
    let apply = admission.permits(resource).and_then(|()| DryRunApply::of(resource, &matched.desired, &matched.live));
    let Ok(apply) = apply else { return (matched, refused) };
    let Ok(answer) = ask_to_apply(cluster, &apply).await else { return (matched, refused) };
    let answer = normal::expected(&matched.desired.id, answer);
    let shape = (expecting.shape)(&matched.desired.id);
    matched.expected.value = apply::expected(expecting.types, &shape, (&matched.desired.value, &answer, &matched.expected.value));
    matched.expected.evidence = Evidence::Apply;
    // That the right to create is missing is told all the same: nothing is corrected without it.
    (matched, refused.filter(|message| message.starts_with(NO_RIGHT)))
}

/// The server's answers to all distinct creates that no fresh enough answer is known to.
async fn answers(
    cluster: &Cluster,
    questions: impl Iterator<Item = &Question>,
    (dry_runs, now): (DryRuns, Timestamp),
    baselines: &mut Baselines,
) -> BTreeMap<Words, Result<Value, RequestError>> {
    let mut answers = BTreeMap::new();
    let mut open = BTreeMap::new();
    for question in questions {
        let may_be_known = dry_runs == DryRuns::Cached && question.lasting == Lasting::Kept;
        match baselines.get(&question.words, now).filter(|_| may_be_known) {
            Some(answer) => drop(answers.insert(question.words.clone(), Ok(answer.clone()))),
            None => drop(open.insert(&question.words, question)),
        }
    }
    let asked = open.into_values().map(|question| async move { (question, ask_for(cluster, &question.create).await) });
    let asked: Vec<_> = stream::iter(asked).buffer_unordered(CONCURRENCY).collect().await;
    for (question, answer) in asked {
        // No secret value goes to the disk.
        if let (Ok(value), Lasting::Kept) = (&answer, question.lasting)
            && !secret::is_within(value)
        {
            baselines.put(question.words.clone(), value.clone(), now);
        }
        answers.insert(question.words.clone(), answer);
    }
    answers
}

const NO_RIGHT: &str = "no right to ask by a dry run";

/// One sentence for all objects of a kind where the right is missing, one for each object where the server has a reason.
fn refusal(id: &ObjectId, error: &RequestError) -> String {
    match error.refusal() {
        Some(refusal) if refusal.code == 403 && refusal.message.contains(" cannot create resource ") => format!(
            "{NO_RIGHT} what the server makes of a `{}` (verb `create`): less judges instead, and nothing of it is corrected",
            id.kind
        ),
        Some(refusal) => {
            format!("the server refuses a dry run of creating `{id}`, so the table of defaults judges it: {refusal}")
        }
        None => format!("`{id}` is judged by the table of defaults: {error}"),
    }
}
