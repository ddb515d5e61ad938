//! What must hold once nothing fails and nobody does anything: all worlds come to rest, and by whatever way to the same.

use std::collections::{BTreeMap, BTreeSet};

use jiff::SignedDuration;
use serde_json::Value;
use trueup_core::finding::{Finding, Lane};
use trueup_core::object::ObjectId;
use trueup_core::run::{Area, Due, Effect, Ruled, Spot};

use super::{Findings, Invariant, check, records};
use crate::judge::verdict;
use crate::simulator::actor::{peek, round, schemas};
use crate::simulator::forge::{Edit, PUSHED, PullRequest, State};
use crate::simulator::people::{accepted_history, rule};
use crate::simulator::source::{RULES, class_of};
use crate::simulator::world::{World, expected};

/// So many rounds put right all that may be: limits let two objects a round go by.
const PASSES: usize = 3;

/// Lets a world come to rest, perhaps by a second way as well.
pub fn end(world: &mut World, by_two_ways: bool, findings: &mut Findings) {
    calm(world);
    let other = by_two_ways.then(|| by_another_way(world.clone()));
    converge(world, findings);
    if let Some(two) = other {
        let one = rest(world);
        findings.look(Invariant::TriggerIndependence, one == two, || format!("{one:?}\n{two:?}"));
    }
    records::kept_whole(world, findings);
}

/// I23: "final (cluster, PR) state is a function of (D, P, live) only, whatever the order, loss or duplication of events": lists come in
/// the other order, and the first trigger comes twice.
fn by_another_way(mut world: World) -> (BTreeMap<ObjectId, Value>, BTreeSet<String>) {
    world.reversed = true;
    let _ = round(&mut world);
    for _ in 0..PASSES {
        let _ = round(&mut world);
        world.pass(3_700);
    }
    rest(&world)
}

/// People let everything go on, and wait a day. The branches that they pushed to stay theirs.
fn calm(world: &mut World) {
    world.calm();
    let last = world.disk.records.iter().map(|record| record.at).max().unwrap_or(world.now());
    let behind = last.duration_since(world.now()).max(SignedDuration::ZERO);
    world.pass(behind.as_secs() + 25 * 3_600);
    rule(world, Ruled::Resume { area: Area::Everything });
    rule(world, Ruled::Resume { area: Area::Target { target: World::target() } });
    let history = accepted_history(world);
    rule(world, history);
    let findings: Vec<Finding> = peek(world).findings().filter(|finding| !is_denied(world, finding)).cloned().collect();
    for finding in findings {
        let name = finding.difference.path().to_string();
        rule(world, Ruled::Resume { area: Area::Place(Spot { target: World::target(), place: finding.place, name }) });
    }
}

/// What people denied they do not let go on: its closed proposal would answer the next one of the same commit, each round anew.
pub fn is_denied(world: &World, finding: &Finding) -> bool {
    world.disk.standing.denied().contains_key(&finding.place)
}

/// I6: "within 3 passes live satisfies D on all Auto paths, and after that writes = 0 for ever, open PRs = non-Auto drift sets"; and of
/// I4, that no run is left without an outcome.
fn converge(world: &mut World, findings: &mut Findings) {
    for _ in 0..PASSES {
        let done = round(world);
        findings.look(Invariant::Convergence, done.is_ok(), || format!("{done:?}"));
        world.pass(3_700);
        check(world, findings);
    }
    let (writes, records) = (world.server.accepted.len(), world.disk.records.len());
    let _ = round(world);
    check(world, findings);
    let more = (world.server.accepted.len() - writes, world.disk.records.len() - records);
    findings.look(Invariant::Convergence, more == (0, 0), || {
        format!("at rest, and {} writes and {} records more: {:?}", more.0, more.1, world.disk.records.last())
    });
    let [schema, _] = schemas();
    let commit = world.source.commit();
    let rules = &RULES[commit.rules];
    let judged = peek(world);
    let left: BTreeSet<(&ObjectId, String)> = judged
        .cases
        .iter()
        .flat_map(|case| case.findings.iter().map(move |finding| (&case.id, finding)))
        .filter(|(_, finding)| is_denied(world, finding))
        .map(|(id, finding)| (id, finding.difference.path().to_string()))
        .collect();
    for (id, desired) in commit.desired.iter().filter(|(id, _)| !id.is_secret()) {
        let Some(live) = world.server.objects.get(id).filter(|live| !live.deleting) else { continue };
        let found = verdict(&schema, desired, &expected(desired), &live.value);
        let may_be = |(path, change): &&(String, &str)| {
            rules.corrects(path)
                && (*change != "undeclared" || class_of(path) == Some("sizes"))
                && !left.contains(&(id, path.clone()))
        };
        let wrong: Vec<_> = found.iter().filter(may_be).collect();
        findings.look(Invariant::Convergence, wrong.is_empty(), || format!("{id} still has {wrong:?}"));
    }
    proposed(world, findings);
    for run in world.disk.runs.all() {
        let is_owed = matches!(run.intent.effect, Effect::Patch(_)) && run.due() == Due::Resolution;
        findings.look(Invariant::NoWriteWithoutEntry, !is_owed, || format!("what came of run {} is not known", run.intent.run));
    }
}

fn proposed(world: &World, findings: &mut Findings) {
    let judged = peek(world);
    for finding in judged.findings().filter(|finding| finding.lane == Lane::Review && finding.class.as_deref() == Some("color")) {
        let open = world.forge.pulls.iter().filter(|pull| pull.state == State::Open);
        let is_asked = open.into_iter().any(|pull| {
            let is_theirs = pull.head.ends_with(PUSHED);
            pull.edits.iter().any(|edit| edit.place == finding.place && (is_theirs || edit.fingerprint == finding.id))
        });
        let is_denied = world.disk.standing.is_denied(&finding.place, &finding.id);
        // What people left on the branch after they closed its proposal stays theirs, and is in the way.
        let is_left = |pull: &PullRequest| world.forge.head(&pull.branch).is_some_and(|head| head.ends_with(PUSHED));
        let of_it = |pull: &&PullRequest| pull.edits.iter().any(|edit| edit.place == finding.place);
        let is_in_the_way = world.forge.pulls.iter().filter(of_it).any(is_left);
        findings.look(Invariant::Convergence, is_asked || is_denied || is_in_the_way, || {
            format!("nobody was asked about {:?}", finding.reasons)
        });
    }
}

/// What a world comes to: the objects, and what is open at the forge.
fn rest(world: &World) -> (BTreeMap<ObjectId, Value>, BTreeSet<String>) {
    let objects = world.server.objects.values().map(|object| (object.id.clone(), object.value.clone())).collect();
    let open = world.forge.pulls.iter().filter(|pull| pull.state == State::Open);
    let asked = |edit: &Edit| format!("{} {} {:?}", edit.place, edit.fingerprint, edit.what);
    (objects, open.flat_map(|pull| pull.edits.iter().map(asked)).collect())
}

/// I14: "two runs equal except secret bytes give byte-identical ledger, PR title/body/branch/patch (masks and ids are compared after
/// each is replaced by its order of first appearance)".
pub fn noninterference(one: &World, other: &World, findings: &mut Findings) {
    let (mine, theirs) = (transcript(one), transcript(other));
    let at = mine.iter().zip(&theirs).position(|(mine, theirs)| mine != theirs);
    findings.look(Invariant::Noninterference, at.is_none() && mine.len() == theirs.len(), || {
        format!("{:?}\n{:?}", at.map(|at| &mine[at]), at.map(|at| &theirs[at]))
    });
    let told = mine.iter().any(|line| line.contains(one.salt));
    findings.look(Invariant::Noninterference, !told, || "a secret value is told".to_owned());
}

fn transcript(world: &World) -> Vec<String> {
    let records = world.disk.records.iter().map(|record| serde_json::to_string(&record.entry).expect("an entry is JSON"));
    let pulls = world.forge.pulls.iter().map(|pull| format!("{pull:?}"));
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    records.chain(pulls).map(|line| renamed(&line, &mut names)).collect()
}

/// Each digest by the order in which it first appeared.
fn renamed(line: &str, names: &mut BTreeMap<String, usize>) -> String {
    let mut text = String::new();
    for token in line.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
        let (word, end) = token.split_at(token.trim_end_matches(|c: char| !c.is_ascii_hexdigit()).len());
        if word.len() < 12 {
            text.push_str(word);
        } else {
            let next = names.len();
            let number = *names.entry(word.to_owned()).or_insert(next);
            text.push('#');
            text.push_str(&number.to_string());
        }
        text.push_str(end);
    }
    text
}
