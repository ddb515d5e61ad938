//! The program: a model of `src/round.rs`, `src/act.rs` and the files of `src/act/`, in the same order of steps, around the real
//! core. What it knows between two rounds is what is on the disk.
//!
//! - `look` is `round::look` with `target::judge`; the comparing, classifying and deciding are core's own.
//! - `guards.rs` is `src/guards.rs` and `src/guards/`.
//! - `recover.rs` is `src/act/recover.rs`.
//! - `correct.rs` is `src/act/correct.rs`, `src/act/attempt.rs` and `src/act/verify.rs`, without health and hand-backs.
//! - `propose.rs` is `src/act/propose.rs` and its files; the forge stands for `src/review/`.

mod correct;
mod guards;
mod propose;
mod recover;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jiff::SignedDuration;
use serde_json::{Value, json};
use trueup_core::classify::classify;
use trueup_core::decide::{Case, Decision, DecisionRecord, Guards, Inputs, Request, Restore, Settled, Terms};
use trueup_core::diff::compare;
use trueup_core::difference::differences;
use trueup_core::facts::{
    Desired, Evidence, Expected, FieldSet, Live, Matched, Operation, Origin, Owner, Pair, Secrecy, Tracking,
};
use trueup_core::finding::{Change, Divergence, Finding, FindingId, Place};
use trueup_core::object::ObjectId;
use trueup_core::policy::Policy;
use trueup_core::positions::Positions;
use trueup_core::run::{Effect, Entry, Episode, EpisodeEnd, Escalation, FIELD_MANAGER, Pin, Run, RunStatus};
use trueup_core::shape::{Shape, Types};

use super::mutations::Mutation;
use super::notes::RoundNote;
use super::server::{Listed, Object};
use super::source::{POLICIES, name};
use super::world::{Cut, SOURCE, Weather, World, expected};
use crate::comparing::{found, key, shape};
use crate::generate::Schema;

pub use correct::undo;
use propose::Verdict;

/// After so many refusals of the very same act within an hour, it is not asked for again in that hour.
const REFUSALS: usize = 3;

/// A target after step 5.
pub struct Judged {
    pub commit: usize,
    pub policy: &'static Policy,
    pub cases: Vec<Judgement>,
}

/// One object of it.
pub struct Judgement {
    pub id: ObjectId,
    pub pair: Pair,
    pub findings: Vec<Finding>,
}

/// By what was decided, and whether that is in the ledger already.
#[derive(Clone)]
pub struct Basis {
    record: DecisionRecord,
    seq: Option<u64>,
}

impl Basis {
    fn decide(inputs: &Inputs) -> (Self, Vec<Decision>) {
        let (record, decisions) = DecisionRecord::of(inputs);
        (Self { record, seq: None }, decisions)
    }

    fn recorded(&mut self, world: &mut World) -> Result<u64, Cut> {
        if let Some(seq) = self.seq {
            return Ok(seq);
        }
        let mut record = self.record.clone();
        if world.is_broken(Mutation::RecordsOtherDecisions) {
            record.decisions = json!([]);
        }
        let seq = world.append(&Entry::Decided(Box::new(record)))?;
        self.seq = Some(seq);
        Ok(seq)
    }
}

impl Judged {
    fn case_of(&self, id: &ObjectId) -> Option<&Judgement> {
        self.cases.iter().find(|case| case.id == *id)
    }

    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.cases.iter().flat_map(|case| &case.findings)
    }
}

/// One round, from the pin to the end of episodes.
pub fn round(world: &mut World) -> Result<(), Cut> {
    let judged = look(world)?;
    pin(world, judged.commit)?;
    let (guards, _) = recover::guarded(world, &judged)?;
    let requests = requests(world, &judged);
    let cases: Vec<Case<'_>> =
        judged.cases.iter().map(|case| Case { pair: Some(&case.pair), findings: &case.findings }).collect();
    let target = World::target();
    let terms = Terms { target: &target, requests: &requests, guards: &guards, policy: judged.policy, now: world.now() };
    let (mut basis, decisions) = Basis::decide(&Inputs::of(&cases, terms));
    perform(world, (&judged, &guards, &requests), &mut basis, decisions)?;
    end_episodes(world, &judged)?;
    if let Some(note) = world.notes.rounds.last_mut() {
        note.is_whole = true;
    }
    Ok(())
}

/// Steps 1 to 5.
pub fn look(world: &mut World) -> Result<Judged, Cut> {
    let commit = world.pin()?;
    let listed = world.list()?;
    let evidence = if world.is_broken(Mutation::TrustsTheTable) { Evidence::Baseline } else { world.evidence() };
    let from = u64::try_from(world.disk.records.len()).expect("few records") + 1;
    let judged = judged(world, commit, &listed, evidence);
    let verdicts = judged.cases.iter().filter_map(|case| {
        let object = listed.objects.iter().find(|object| object.id == case.id)?;
        Some((case.id.clone(), (object.clone(), verdict_of(case))))
    });
    let note = RoundNote { commit, from, evidence: world.evidence(), judged: verdicts.collect(), is_whole: false };
    world.begin(note);
    Ok(judged)
}

/// What a person sees who looks now: nothing fails, and nothing is noted.
pub fn peek(world: &World) -> Judged {
    let listed = world.server.list(&Weather::default());
    judged(world, world.source.head, &listed, Evidence::Baseline)
}

fn verdict_of(case: &Judgement) -> Option<crate::judge::Verdict> {
    if !matches!(case.pair, Pair::Matched(_)) {
        return None;
    }
    let drifts = case.findings.iter().filter_map(|finding| match &finding.difference.divergence {
        Divergence::Field(drift) => Some(drift.clone()),
        Divergence::Object(_) | Divergence::Expectation(_) => None,
    });
    Some(found(&trueup_core::diff::Comparison { drifts: drifts.collect(), ..trueup_core::diff::Comparison::default() }))
}

fn judged(world: &World, commit: usize, listed: &Listed, evidence: Evidence) -> Judged {
    let declared = &world.source.commits[commit];
    let policy = &POLICIES[declared.rules];
    let gives_up = world.is_broken(Mutation::GivesUpWhereOneListFails) && !listed.unlisted.is_empty();
    let mut cases: Vec<Judgement> = Vec::new();
    for (id, value) in &declared.desired {
        let desired = desired(id, value);
        let live = listed.objects.iter().find(|object| object.id == *id);
        let pair = match live {
            _ if gives_up || listed.unlisted.contains(&id.kind) => Pair::Unseen(desired.into(), "not listed".to_owned()),
            Some(object) => Pair::Matched(Box::new(matched(desired, object, evidence))),
            None => Pair::Missing(desired.into()),
        };
        let mut case = judge(pair, policy);
        if world.is_broken(Mutation::OverlooksWhatIsGone) {
            case.findings.retain(|finding| finding.difference.change() != Change::Removed);
        }
        cases.push(case);
    }
    // In the order of the list; what it does not show stands last.
    let order = |case: &Judgement| listed.objects.iter().position(|object| object.id == case.id).unwrap_or(usize::MAX);
    cases.sort_by_key(order);
    if world.is_broken(Mutation::KnowsTheFirstObjectAlone) {
        cases.truncate(1);
    }
    Judged { commit, policy, cases }
}

/// An object compared and classified, by core.
fn judge(pair: Pair, policy: &Policy) -> Judgement {
    let drifts = match &pair {
        Pair::Matched(matched) => {
            let (types, shape) = &SHAPES[usize::from(matched.desired.id.is_secret())];
            compare(matched, types, shape, &key()).drifts
        }
        Pair::Missing(_) | Pair::Unseen(..) | Pair::Skipped(..) => Vec::new(),
    };
    let differences = differences(&World::target(), &pair, drifts).into_iter();
    let findings = differences.map(|difference| classify(difference, policy, SOURCE, &key())).collect();
    Judgement { id: pair.desired().id.clone(), pair, findings }
}

fn desired(id: &ObjectId, value: &Value) -> Desired {
    let origin = Origin { file: format!("{}.yaml", id.name), line: 1, column: 1, document: 1 };
    Desired { id: id.clone(), value: value.clone(), origin, positions: Positions::default() }
}

fn matched(desired: Desired, object: &Object, evidence: Evidence) -> Matched {
    let expected = Expected { value: expected(&desired.value), evidence, allowances: Vec::new(), filled: BTreeSet::new() };
    let secrecy = if desired.id.is_secret() { Secrecy::Secret } else { Secrecy::Open };
    Matched { desired: desired.into(), live: live(object).into(), expected: expected.into(), secrecy, former: Vec::new() }
}

/// An object as it was read with its managers.
fn managed(object: &Object) -> Live {
    let paths = object.ours.iter().map(|path| path.parse().expect("a path")).collect();
    let (manager, fields) = (FIELD_MANAGER.to_owned(), FieldSet { paths });
    let owner = Owner { manager, operation: Operation::Update, subresource: None, time: None, fields };
    Live { owners: vec![owner], ..live(object) }
}

fn live(object: &Object) -> Live {
    Live {
        id: object.id.clone(),
        value: object.value.clone(),
        owners: Vec::new(),
        uid: Some(object.uid.clone()),
        resource_version: Some(object.version.to_string()),
        deleting_since: object.deleting.then(|| "2026-11-21T00:00:00Z".to_owned()),
        created: None,
        tracking: Tracking::NotShown,
        last_applied: None,
    }
}

/// The shape of a widget, and of a secret.
static SHAPES: LazyLock<[(Types, Shape); 2]> = LazyLock::new(|| {
    schemas().map(|schema| {
        let mut types = Types::default();
        let shape = shape(&schema, &mut types);
        (types, shape)
    })
});

/// The same, for the slow judge.
pub fn schemas() -> [Schema; 2] {
    let spec = Schema::Struct(vec![
        ("level", Schema::Integer),
        ("color", Schema::Text),
        ("alarm", Schema::Text),
        ("noise", Schema::Text),
        ("sizes", Schema::Map(Box::new(Schema::Text))),
        ("parts", Schema::Named(vec![("name", Schema::Text), ("note", Schema::Text)])),
    ]);
    let data = Schema::Map(Box::new(Schema::Text));
    [Schema::Struct(vec![("spec", spec)]), Schema::Struct(vec![("data", data)])]
}

/// The commit of this round, where it went forward.
fn pin(world: &mut World, commit: usize) -> Result<(), Cut> {
    if guards::onward(world, commit) != guards::Onward::Forward {
        return Ok(());
    }
    let pin = Pin { source: SOURCE.to_owned(), reference: "main".to_owned(), commit: name(commit) };
    world.append(&Entry::Pin(pin)).map(drop)
}

/// What people approved, by command or by merging its file, for the findings that are there.
fn requests(world: &World, judged: &Judged) -> Vec<Request> {
    let people = world.disk.standing.people();
    let restore = |finding: &Finding| {
        let said = people.approval(&finding.place)?;
        let digests = said.what.digests.clone();
        let (place, expires) = (finding.place.clone(), said.what.until);
        Some(Request::Restore(Restore { place, desired: digests.desired, live: digests.live, expires, by: said.by.name.clone() }))
    };
    let merged = judged.findings().filter_map(|finding| merged(world, judged, finding));
    judged.findings().filter_map(restore).chain(merged).collect()
}

/// The approval of a finding on the judged commit, as `src/approvals.rs` has it: the ledger proposed it, it is for these very
/// values, and no patch has gone to its place since.
fn merged(world: &World, judged: &Judged, finding: &Finding) -> Option<Request> {
    let approval = world.source.commits[judged.commit].approvals.get(&finding.place)?;
    let runs = world.disk.runs.all();
    let is_its =
        |run: &Run| run.proposals.get(&finding.place).is_some_and(|record| record.approval.as_ref() == Some(&approval.digest()));
    let proposed = runs.iter().rposition(is_its)?;
    let went_out = |run: &Run| {
        let is_void = matches!(run.status, RunStatus::Void { .. } | RunStatus::Refused { .. } | RunStatus::Inadmissible { .. });
        matches!(run.intent.effect, Effect::Patch(_)) && run.intent.places.contains(&finding.place) && !is_void
    };
    if runs[proposed..].iter().any(went_out) || finding.digests() != approval.digests {
        return None;
    }
    let (place, digests) = (approval.place.clone(), approval.digests.clone());
    let expires = world.now() + SignedDuration::from_hours(1);
    Some(Request::Restore(Restore { place, desired: digests.desired, live: digests.live, expires, by: "people".to_owned() }))
}

/// Step 7.
fn perform(
    world: &mut World,
    (judged, guards, requests): (&Judged, &Guards, &[Request]),
    basis: &mut Basis,
    decisions: Vec<Decision>,
) -> Result<(), Cut> {
    let mut corrections = Vec::new();
    let mut verdicts = propose::verdicts(&decisions);
    let count = decisions.len();
    for decision in decisions {
        match decision {
            Decision::Correct(correction) => corrections.push(*correction),
            Decision::Escalate(settled) => escalate(world, judged, settled)?,
            Decision::Propose(_) | Decision::Hold(_) | Decision::Leave(_) => {}
        }
    }
    propose::review(world, judged, (&verdicts, None), basis)?;
    let mut left = Vec::new();
    for correction in corrections {
        correct::correct(world, (judged, guards, requests), (correction, basis), &mut left)?;
    }
    for (number, (mut basis, proposal)) in (count..).zip(left) {
        verdicts.insert(proposal.finding.clone(), Verdict::Propose(number, proposal.remedy));
        propose::review(world, judged, (&verdicts, Some(&proposal.finding)), &mut basis)?;
    }
    Ok(())
}

/// What a person holds by now, though it was not held when this was decided.
fn held_by_now<'a>(world: &World, object: Option<&ObjectId>, places: impl IntoIterator<Item = &'a Place>) -> Option<String> {
    if world.is_broken(Mutation::HearsNoHold) {
        return None;
    }
    let holds = world.disk.standing.people().holds_in(&World::target());
    let guards = Guards { holds, ..Guards::none(trueup_core::decide::Ground::Cluster) };
    guards.held_by_people(object, places, world.now())
}

/// Tells people, once an episode.
fn escalate(world: &mut World, judged: &Judged, settled: Settled) -> Result<(), Cut> {
    let again = world.is_broken(Mutation::TellsPeopleEachTime);
    if world.disk.standing.escalated().contains_key(&settled.place) && !again {
        return Ok(());
    }
    let mut reasons = settled.reasons;
    if world.is_broken(Mutation::TellsSecrets) {
        reasons.push(format!("what is secret is `{}`", world.salt));
    }
    let entry = Entry::Escalation(Escalation {
        target: World::target(),
        episode: Episode(name(judged.commit)),
        finding: settled.finding,
        place: settled.place,
        reasons,
    });
    world.append(&entry).map(drop)
}

/// Ends the episodes of places that are true again, and the holds of values that are gone.
fn end_episodes(world: &mut World, judged: &Judged) -> Result<(), Cut> {
    let is_blind = judged.cases.iter().any(|case| matches!(case.pair, Pair::Unseen(..)));
    if is_blind || judged.cases.is_empty() {
        return Ok(());
    }
    let drifting: BTreeMap<&Place, &FindingId> = judged.findings().map(|finding| (&finding.place, &finding.id)).collect();
    let standing = &world.disk.standing;
    let target = World::target();
    let ended: Vec<Place> = standing.episodes_of(&target).filter(|place| !drifting.contains_key(place)).cloned().collect();
    let is_held =
        |(place, hold): &(&Place, &trueup_core::run::Hold)| drifting.get(*place).is_some_and(|id| hold.findings.contains(id));
    let freed: Vec<Place> = standing.holds_of(&target).filter(|held| !is_held(held)).map(|(place, _)| place.clone()).collect();
    if !ended.is_empty() {
        world.append(&Entry::EpisodeEnded { places: ended, end: EpisodeEnd::SeenTrue })?;
    }
    if !freed.is_empty() {
        world.append(&Entry::Resume { places: freed, reason: "changed".to_owned() })?;
    }
    Ok(())
}
