//! One target through steps 2 to 5: what Git declares of it, what is there, what differs, what policy makes of that.

mod cluster;
mod former;
mod order;
mod reach;
pub(crate) mod shared;
mod snapshot;
pub(crate) mod terraform;

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use trueup_core::classify::classify;
use trueup_core::decide::Ground;
use trueup_core::diff::{Comparison, compare};
use trueup_core::difference::differences;
use trueup_core::facts::{Desired, Matched, Observation, Origin, Pair, Problem};
use trueup_core::finding::{Change, Difference, Finding, Standing, Subject};
use trueup_core::ignore::{ignore_problems, look_inside};
use trueup_core::object::{ObjectId, TargetName};
use trueup_core::path::Path;
use trueup_core::policy::Policy;
use trueup_core::reach::Topology;
use trueup_core::run::Histories;
use trueup_core::seen::DigestKey;
use trueup_kubernetes::kinds::Kinds;
use trueup_kubernetes::manifest;
use trueup_kubernetes::own_config_map::{OwnConfigMap, Texts};
use trueup_kubernetes::table::Table;
use trueup_kubernetes::verdicts::Verdicts;

use crate::config::{ManifestPath, Target, TargetKind};
use crate::desired::{self, Declared};
use crate::render;
use crate::review::approval::Approved;
use crate::session::Session;
use crate::source::Pinned;

pub use cluster::{identity, judge_reached, who};
pub use reach::{Reach, Sent};

/// A target that has not been judged after this long is unknown.
const DEADLINE: Duration = Duration::from_mins(2);

/// Whether what is read may be some hours old: for a report it may, for a correction not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Baselines may come from the cache.
    Cached,
    /// Every baseline that a finding rests on is asked for now.
    Fresh,
}

/// A target after step 5.
#[derive(Debug)]
pub struct Judged {
    /// Its name.
    pub name: TargetName,
    /// `kubernetes`, `snapshot`, `terraform`.
    pub kind: &'static str,
    /// Where its objects live.
    pub ground: Ground,
    /// One case for each declared object or expected output, and for each object that Git no longer declares.
    pub cases: Vec<JudgedCase>,
    /// What went wrong.
    pub problems: Vec<Problem>,
    /// A Terraform state's serial.
    pub serial: Option<u64>,
    /// What of its desired state a program rendered.
    pub rendered: Vec<render::Record>,
    /// How its objects are read again and written.
    pub reach: Reach,
    /// What is known of their kinds.
    pub kinds: Kinds,
    /// Admission that may rewrite each write to an object, by name.
    pub rewriters: BTreeMap<ObjectId, Vec<String>>,
    /// Objects that another target declares, too, and why nothing is written to them.
    pub contested: BTreeMap<ObjectId, String>,
    /// What people have approved of it.
    pub approved: Approved,
    /// What it is to its owners.
    pub standing: Standing,
    /// How its objects hang together.
    pub topology: Topology,
    /// What happened at its places before.
    pub histories: Arc<Histories>,
    /// What is kept in it of the ledger; absent where nothing is.
    pub head: Option<KeptHead>,
}

/// The ends of ledgers that are kept in a cluster.
#[derive(Debug, Clone)]
pub struct KeptHead {
    /// Where.
    pub place: OwnConfigMap,
    /// By instance; or why that cannot be read.
    pub texts: Result<Texts, String>,
}

/// One declared object (or expected output) and what came of it.
#[derive(Debug)]
pub struct JudgedCase {
    /// What was compared; absent for outputs.
    pub pair: Option<Pair>,
    /// All that comparing showed.
    pub comparison: Comparison,
    /// What policy makes of it.
    pub findings: Vec<Finding>,
}

impl Judged {
    /// A target of which nothing could be seen.
    fn unseen(target: &Target, problems: Vec<Problem>) -> Self {
        let (kind, ground) = match target.kind {
            TargetKind::Kubernetes { .. } => ("kubernetes", Ground::Cluster),
            TargetKind::Snapshot { .. } => ("snapshot", Ground::Snapshot),
            TargetKind::Terraform { .. } => ("terraform", Ground::State),
        };
        Self {
            name: target.name.clone(),
            kind,
            ground,
            cases: Vec::new(),
            problems,
            serial: None,
            rendered: Vec::new(),
            reach: Reach::None,
            kinds: Kinds::built_in(),
            rewriters: BTreeMap::new(),
            contested: BTreeMap::new(),
            approved: Approved::default(),
            standing: target.standing.clone(),
            topology: Topology::default(),
            histories: Arc::default(),
            head: None,
        }
    }

    /// With what was rendered; each finding of it says so.
    fn rendered(mut self, records: Vec<render::Record>) -> Self {
        for finding in self.cases.iter_mut().flat_map(|case| &mut case.findings) {
            let origin = &finding.difference.origin;
            let record = records.iter().find(|record| origin.is_rendered() && record.has(&origin.file));
            finding.reasons.extend(record.map(render::Record::reason));
        }
        self.rendered = records;
        self
    }

    /// All findings, in the order of the cases.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.cases.iter().flat_map(|case| &case.findings)
    }

    /// The case of an object.
    #[must_use]
    pub fn case_of(&self, object: &ObjectId) -> Option<&JudgedCase> {
        self.cases.iter().find(|case| case.pair.as_ref().is_some_and(|pair| pair.desired().id.same_object(object)))
    }
}

/// Tells the findings what happened at their places, now and whenever they are judged again.
pub fn remember(targets: &mut [Judged], histories: &Arc<Histories>) {
    for judged in targets {
        judged.histories = Arc::clone(histories);
        for finding in judged.cases.iter_mut().flat_map(|case| &mut case.findings) {
            histories.tell(finding);
        }
    }
}

impl JudgedCase {
    /// Whether this is about an object that Git no longer declares.
    #[must_use]
    pub fn is_extra(&self) -> bool {
        self.findings.iter().any(|finding| finding.difference.change() == Change::ExtraObject)
    }

    /// Steps 4 and 5 for one object.
    #[must_use]
    pub fn of(pair: Pair, (target, kinds): (&TargetName, &Kinds), judging: Judging<'_>) -> Self {
        let compared = |matched: &Matched| compare(matched, kinds.types(), &kinds.shape(&matched.desired.id), judging.key);
        let comparison = match &pair {
            Pair::Matched(matched) => compared(matched),
            Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => Comparison::default(),
        };
        let mut differences = differences(target, &pair, comparison.drifts.clone());
        if let Pair::Matched(matched) = &pair {
            look_inside(&mut differences, matched, judging.policy, &|matched| compared(matched).drifts);
        }
        Self {
            findings: differences.into_iter().map(|difference| judging.classify(difference)).collect(),
            pair: Some(pair),
            comparison,
        }
    }
}

/// Steps 4 and 5 for one object. What was true and is the very same is not walked again: nothing differs, so there is nothing
/// that policy could make of it.
#[must_use]
pub fn case_of(pair: Pair, known: (&TargetName, &Kinds), judging: Judging<'_>, verdicts: Option<&Verdicts>) -> JudgedCase {
    let before = match &pair {
        Pair::Matched(matched) => verdicts.and_then(|verdicts| verdicts.comparison(matched)),
        Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => None,
    };
    if let Some(comparison) = before {
        return JudgedCase { pair: Some(pair), comparison, findings: Vec::new() };
    }
    let case = JudgedCase::of(pair, known, judging);
    if let (Some(verdicts), Some(Pair::Matched(matched))) = (verdicts, &case.pair) {
        verdicts.keep(matched, &case.comparison);
    }
    case
}

/// What differences are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Judging<'a> {
    /// The source's name, for places.
    pub source: &'a str,
    /// The classes.
    pub policy: &'a Policy,
    /// For ids and masks.
    pub key: &'a DigestKey,
    /// What the target is to its owners.
    pub standing: &'a Standing,
    /// How the target's objects hang together, as far as that is known by now.
    pub topology: &'a Topology,
}

impl Judging<'_> {
    pub(crate) fn classify(self, mut difference: Difference) -> Finding {
        difference.surroundings.standing = self.standing.clone();
        let seen = difference.surroundings.live.as_deref().or(difference.surroundings.desired.as_deref());
        if let (Subject::Object(id), Some(value)) = (&difference.subject, seen) {
            difference.surroundings.reach = self.topology.reach(id, value);
        }
        classify(difference, self.policy, self.source, self.key)
    }
}

/// Steps 2 to 5 for one target. Whatever goes wrong is a problem of this target; its neighbours are judged.
pub async fn judge(session: &Session, pinned: &Pinned, policy: &Policy, target: &Target, freshness: Freshness) -> Judged {
    let judging =
        Judging { source: &pinned.name, policy, key: &session.key, standing: &target.standing, topology: &Topology::default() };
    let looking = async {
        match &target.kind {
            TargetKind::Kubernetes { paths, .. } => match declared(session, pinned, paths).await {
                Ok(Declared { objects, problems, rendered }) => {
                    let judged = cluster::judge(session, target, (objects, problems), judging, freshness).await;
                    former::look(session, pinned, target, judged, judging).await.rendered(rendered)
                }
                Err(problems) => Judged::unseen(target, problems),
            },
            TargetKind::Snapshot { live, paths, secrets } => {
                let reading = snapshot::reading(live);
                match declared(session, pinned, paths).await {
                    Ok(Declared { objects, problems, rendered }) => {
                        let judged = snapshot::judge(target, (live, reading, *secrets), (objects, problems), judging).await;
                        former::look(session, pinned, target, judged, judging).await.rendered(rendered)
                    }
                    Err(problems) => Judged::unseen(target, problems),
                }
            }
            TargetKind::Terraform { state, expect, bind } => {
                let files = (&expect[..], &bind[..]);
                terraform::judge(pinned, target, (state, &session.settings.folder, files), judging).await
            }
        }
    };
    tokio::time::timeout(DEADLINE, looking).await.unwrap_or_else(|_| {
        let message = format!("not judged within {} s: the target is unknown in this round", DEADLINE.as_secs());
        Judged::unseen(target, vec![Problem::blind("deadline", message, None)])
    })
}

/// Step 2: the objects that Git declares under some paths. None at all is never "nothing is wanted".
///
/// # Errors
/// The problems, where no object can be read.
pub async fn declared(session: &Session, pinned: &Pinned, paths: &[ManifestPath]) -> Result<Declared, Vec<Problem>> {
    let (readings, at, under) = (session.readings.clone(), pinned.clone(), paths.to_vec());
    let read = tokio::task::spawn_blocking(move || desired::read(&readings, &at, &under)).await;
    let mut declared = read.map_err(|error| vec![Problem::blind("source-unreadable", error.to_string(), None)])?;
    if declared.objects.is_empty() {
        let paths: Vec<&str> = paths.iter().map(|path| path.path.as_str()).collect();
        let message = format!(
            "no object is declared under `{}` at commit {}: an empty desired state is never acted on",
            paths.join("`, `"),
            pinned.commit
        );
        declared.problems.push(Problem::blind("nothing-declared", message, None));
        return Err(declared.problems);
    }
    Ok(declared)
}

/// The objects that these files declare, and what is wrong with them.
#[must_use]
pub fn objects<'a>(files: impl Iterator<Item = (&'a str, &'a [u8])>) -> (Vec<Desired>, Vec<Problem>) {
    let mut desired = Vec::new();
    let mut problems = Vec::new();
    for (path, bytes) in files {
        let (objects, found) = manifest::read(path, bytes);
        desired.extend(objects);
        problems.extend(found);
    }
    problems.extend(declared_twice(&desired));
    problems.extend(in_order(desired.iter().flat_map(notes).collect()));
    (desired, problems)
}

/// What is wrong with an object that can be read.
pub(crate) fn notes(object: &Desired) -> Vec<Problem> {
    let mut problems = ignore_problems(object);
    problems.extend(unknown_fields(object));
    problems
}

/// The notes of many objects, each kind of note for itself.
pub(crate) fn in_order(mut notes: Vec<Problem>) -> Vec<Problem> {
    notes.sort_by_key(|note| note.code);
    notes
}

/// What the object's kind does not have: the server drops it, so that no difference would ever tell.
fn unknown_fields(desired: &Desired) -> Vec<Problem> {
    let table = Table::load();
    let problem = |path: &Path| {
        let Desired { id, .. } = desired;
        let version = table.kubernetes();
        let message = format!(
            "`{path}` is no field of {} {} in Kubernetes {version}: the API server refuses or drops it; correct its name or place",
            id.api_version, id.kind
        );
        Problem::note("unknown-field", message, Some(desired.origin_of(path)))
    };
    table.unknown_fields(&desired.id, &desired.value).iter().map(problem).collect()
}

/// One object declared in two places: which of them is meant cannot be told.
pub(crate) fn declared_twice<D: Borrow<Desired>>(desired: &[D]) -> Vec<Problem> {
    let problem = |(first, second): (usize, usize)| {
        let (first, Desired { id, origin, .. }) = (&desired[first].borrow().origin, desired[second].borrow());
        let message = format!("`{id}` is also declared at {first}: keep one of the two");
        Problem::blind("declared-twice", message, Some(origin.clone()))
    };
    doubled(desired.iter().map(Borrow::borrow)).into_iter().map(problem).collect()
}

/// The places of objects that are declared again, each with that of the declaration before it.
fn doubled<'a>(desired: impl Iterator<Item = &'a Desired>) -> Vec<(usize, usize)> {
    let mut last = HashMap::with_capacity(desired.size_hint().0);
    let again = |(at, object): (usize, &'a Desired)| last.insert(object.id.key(), at).map(|before| (before, at));
    desired.enumerate().filter_map(again).collect()
}

/// Two declarations of one object are seen only now where one of them leaves out the namespace. Neither is judged: put right
/// by the one, the object would be wrong by the other.
#[must_use]
pub fn told_apart(pairs: Vec<Pair>) -> (Vec<Pair>, Vec<Problem>) {
    if doubled(pairs.iter().map(|pair| &**pair.desired())).is_empty() {
        return (pairs, Vec::new());
    }
    let mut origins: BTreeMap<_, Vec<Origin>> = BTreeMap::new();
    for pair in &pairs {
        let Desired { id, origin, .. } = &**pair.desired();
        origins.entry(owned_key(id)).or_default().push(origin.clone());
    }
    let mut problems = Vec::new();
    let told_apart = |pair: Pair| {
        let Desired { id, origin, .. } = &**pair.desired();
        let Some(other) = origins[&owned_key(id)].iter().find(|other| *other != origin) else { return pair };
        let message = format!("`{id}` is also declared at {other}: keep one of the two");
        problems.push(Problem::blind("declared-twice", message.clone(), Some(origin.clone())));
        Pair::Unseen(pair.desired().clone(), message)
    };
    let pairs = pairs.into_iter().map(told_apart).collect();
    (pairs, problems)
}

fn owned_key(id: &ObjectId) -> (String, String, Option<String>, String) {
    let (group, kind, namespace, name) = id.key();
    (group.to_owned(), kind.to_owned(), namespace.map(str::to_owned), name.to_owned())
}

/// The judged target of an observation.
fn judged(
    target: &Target,
    observation: Observation,
    mut problems: Vec<Problem>,
    (judging, verdicts): (Judging<'_>, Option<&Verdicts>),
    (reach, kinds): (Reach, Kinds),
) -> Judged {
    problems.extend(observation.problems);
    let rewriters = observation.rewriters;
    let (pairs, ambiguous) = told_apart(observation.pairs);
    let ambiguous: Vec<_> = ambiguous.into_iter().filter(|problem| !problems.contains(problem)).collect();
    problems.extend(ambiguous);
    let topology = Topology::of(pairs.iter().map(seen));
    let judging = Judging { topology: &topology, ..judging };
    let mut cases: Vec<_> = pairs.into_iter().map(|pair| case_of(pair, (&target.name, &kinds), judging, verdicts)).collect();
    order::say(&mut cases);
    Judged { cases, reach, kinds, rewriters, topology, ..Judged::unseen(target, problems) }
}

/// An object as it is, or as Git declares it where it is not seen.
fn seen(pair: &Pair) -> (&ObjectId, &serde_json::Value) {
    match pair {
        Pair::Matched(matched) => (&matched.desired.id, &matched.live.value),
        Pair::Missing(desired) | Pair::Unseen(desired, _) | Pair::Skipped(desired, _) => (&desired.id, &desired.value),
    }
}

/// A target that can be read and written, of which nothing has been judged.
///
/// # Errors
/// For people: why it cannot be reached.
pub async fn connect(target: &Target) -> Result<Judged, String> {
    let reach = match &target.kind {
        TargetKind::Kubernetes { context, .. } => cluster::connect(context.as_deref()).await?,
        TargetKind::Snapshot { live, .. } => Reach::Snapshot(live.clone()),
        TargetKind::Terraform { .. } => Reach::None,
    };
    let head = cluster::kept_head(target, &reach).await;
    Ok(Judged { reach, head, ..Judged::unseen(target, Vec::new()) })
}
