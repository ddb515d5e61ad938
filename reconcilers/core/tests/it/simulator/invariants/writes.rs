//! What must hold of each write that the server took.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use trueup_core::facts::Evidence;
use trueup_core::finding::Place;
use trueup_core::patch::with_preconditions;
use trueup_core::path::Path;
use trueup_core::run::{Area, Effect, Entry, PatchEffect, Ruled, Run, RunId, RunStatus};

use super::{Findings, Invariant};
use crate::judge::leaves;
use crate::simulator::actor::schemas;
use crate::simulator::forge::{Edit, State};
use crate::simulator::notes::RoundNote;
use crate::simulator::server::Accepted;
use crate::simulator::source::{POLICIES, RULES, Rules, class_of, name};
use crate::simulator::world::World;

/// A write with what the ledger says of its run.
struct Known<'a> {
    accepted: &'a Accepted,
    run: &'a Run,
    effect: &'a PatchEffect,
    decided: u64,
    round: &'a RoundNote,
}

pub fn check(world: &World, findings: &mut Findings) {
    for at in findings.writes..world.server.accepted.len() {
        let accepted = &world.server.accepted[at];
        findings.writes = at + 1;
        let Some(known) = known(world, accepted) else {
            findings.look(Invariant::NoWriteWithoutEntry, false, || format!("{accepted:?} has no intent"));
            continue;
        };
        entry(world, &known, findings);
        gate(world, &known, findings);
        versions(world, &known, at, findings);
        body(&known, findings);
        budget(world, &known, findings);
        fight(world, &known, findings);
        fail_closed(&known, findings);
        rollback(world, &known, at, findings);
    }
    findings.look(Invariant::Deletes, world.server.deleted.is_empty(), || format!("deleted: {:?}", world.server.deleted));
    outcomes(world, findings);
}

fn known<'a>(world: &'a World, accepted: &'a Accepted) -> Option<Known<'a>> {
    let run = world.disk.runs.get(&accepted.write.run)?;
    let Effect::Patch(effect) = &run.intent.effect else { return None };
    let decided = run.intent.decided?;
    let round = world.notes.rounds.iter().rev().find(|round| round.from <= decided)?;
    Some(Known { accepted, run, effect, decided, round })
}

/// I4: "Intent(d) durable before Send(d); each Accept has one Intent".
fn entry(world: &World, known: &Known<'_>, findings: &mut Findings) {
    let intended = known.run.records[0];
    let sent = known.accepted.write.durable;
    findings.look(Invariant::NoWriteWithoutEntry, intended <= sent, || {
        format!("run {} was sent at record {sent}, and its intent is record {intended}", known.run.intent.run)
    });
    let times = world.server.accepted.iter().filter(|other| other.write.run == known.accepted.write.run).count();
    findings.look(Invariant::NoWriteWithoutEntry, times == 1, || format!("run {} wrote {times} times", known.run.intent.run));
}

/// I4: "each Intent ends in exactly one Outcome": the run machine refuses a second one, so what is left is that it is true. What the
/// server took ends as no run that never wrote, and what counts as applied the server took.
fn outcomes(world: &World, findings: &mut Findings) {
    for accepted in &world.server.accepted {
        let Some(run) = world.disk.runs.get(&accepted.write.run) else { continue };
        let denies = matches!(run.status, RunStatus::Void { .. } | RunStatus::Refused { .. } | RunStatus::Inadmissible { .. });
        findings.look(Invariant::NoWriteWithoutEntry, !denies, || {
            format!("run {} ended as {}, and the server took its write", run.intent.run, run.status.name())
        });
    }
    let taken: BTreeSet<&RunId> = world.server.accepted.iter().map(|accepted| &accepted.write.run).collect();
    for run in world.disk.runs.all().iter().filter(|run| matches!(run.intent.effect, Effect::Patch(_))) {
        let claims = matches!(run.status, RunStatus::Applied { .. } | RunStatus::Verified(_) | RunStatus::Undone { .. });
        findings.look(Invariant::NoWriteWithoutEntry, !claims || taken.contains(&run.intent.run), || {
            format!("run {} ended as {}, and the server took no write of it", run.intent.run, run.status.name())
        });
    }
}

/// I1: "every accepted mutation m has exactly one earlier ledger decision d with d.patch = m.body byte for byte,
/// `P[d.policy_digest]` permits every path in patch as Auto, and P still current at Send".
fn gate(world: &World, known: &Known<'_>, findings: &mut Findings) {
    let Accepted { write, .. } = known.accepted;
    let Some(Entry::Decided(record)) = record_of(world, known.decided) else {
        findings.look(Invariant::PolicyGate, false, || format!("run {} names no decision", known.run.intent.run));
        return;
    };
    let patches: Vec<&Value> =
        record.decisions.as_array().into_iter().flatten().filter_map(|one| one.pointer("/correct/patch")).collect();
    let (uid, version) = (known.effect.uid.as_deref(), known.effect.resource_version.as_deref());
    let is_decided = patches.iter().any(|patch| {
        let whole = with_preconditions(patch, uid.unwrap_or_default(), version.unwrap_or_default());
        whole == write.body || **patch == write.body
    });
    findings.look(Invariant::PolicyGate, is_decided, || format!("{} was not decided: {patches:?}", write.body));
    let rules = rules(world, known);
    for (path, place) in known.run.intent.paths.iter().zip(&known.run.intent.places) {
        let permitted = known.effect.takes_back.is_some() || rules.corrects(path) || is_approved(world, known, place);
        findings.look(Invariant::PolicyGate, permitted, || format!("`{path}` may not be corrected by {rules:?}"));
    }
    let digest = &POLICIES[world.source.commits[known.round.commit].rules].digest;
    findings
        .look(Invariant::PolicyGate, known.run.intent.policy_digest == *digest, || "another policy than its round's".to_owned());
}

fn record_of(world: &World, seq: u64) -> Option<&Entry> {
    world.disk.records.iter().find(|record| record.seq == seq).map(|record| &record.entry)
}

fn rules<'a>(world: &World, known: &Known<'_>) -> &'a Rules {
    &RULES[world.source.commits[known.round.commit].rules]
}

fn is_approved(world: &World, known: &Known<'_>, place: &Place) -> bool {
    let before = |seq: u64| seq < known.run.records[0];
    let is_for_it = |entry: &Entry| {
        matches!(entry, Entry::Ruling(ruling) if matches!(&ruling.what, Ruled::Approve(given)
        if given.spot.place == *place && known.run.intent.findings.contains(&given.finding)))
    };
    let by_command = world.disk.records.iter().any(|record| before(record.seq) && is_for_it(&record.entry));
    by_command || is_merged(world, known, place)
}

/// Whether people merged an approval of these very values, which no write before has used up.
fn is_merged(world: &World, known: &Known<'_>, place: &Place) -> bool {
    let Some(approval) = world.source.commits[known.round.commit].approvals.get(place) else { return false };
    let is_its =
        |edit: &Edit| edit.what.approval() == Some(approval.digest()) && known.run.intent.findings.contains(&edit.fingerprint);
    let mut merged = world.forge.pulls.iter().filter(|pull| pull.state == State::Merged);
    let is_asked = merged.any(|pull| pull.edits.iter().any(is_its));
    let first = known.run.records[0];
    let proposed = world
        .disk
        .runs
        .all()
        .iter()
        .find(|run| run.proposals.get(place).is_some_and(|record| record.approval.as_ref() == Some(&approval.digest())));
    let since = proposed.map_or(0, |run| run.records[0]);
    let is_used = world.server.accepted.iter().any(|other| {
        let run = world.disk.runs.get(&other.write.run);
        run.is_some_and(|run| run.records[0] > since && run.records[0] < first && run.intent.places.contains(place))
    });
    is_asked && !is_used
}

/// I2: "m carries uid and resourceVersion of the object d was computed on; for all accepted m, server rv before = d.rv", and
/// I3: "no Decide(o) while `cache_rv(o)` < rv of our last accepted write to o", of decisions that led to a write.
fn versions(world: &World, known: &Known<'_>, at: usize, findings: &mut Findings) {
    let Accepted { write, before, .. } = known.accepted;
    let given = |key: &str| write.body["metadata"][key].as_str().map(str::to_owned);
    let version = Some(before.version.to_string());
    let holds = given("uid").as_ref() == Some(&before.uid)
        && given("resourceVersion") == version
        && known.effect.resource_version == version
        && known.effect.uid.as_ref() == Some(&before.uid);
    findings.look(Invariant::NoStaleWrite, holds, || {
        format!("{} went to version {} of {}", write.body["metadata"], before.version, before.uid)
    });
    let last = world.server.accepted[..at].iter().rev().find(|other| other.write.object == write.object);
    let decided_on: u64 = known.effect.resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or(0);
    let is_later = last.is_none_or(|last| decided_on >= last.after.version);
    findings.look(Invariant::ReadYourWrites, is_later, || {
        format!("decided on version {decided_on}, and our last write made {:?}", last.map(|last| last.after.version))
    });
}

/// What the write makes of the object, before any admission.
fn merged(accepted: &Accepted) -> Value {
    let mut body = accepted.write.body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("metadata");
    }
    let mut merged = accepted.before.value.clone();
    json_patch::merge(&mut merged, &body);
    merged
}

/// I7: "live before m differs from D on every path of m", and I8: "paths(m) subset of drift paths; list elements not owned by us are
/// unchanged".
fn body(known: &Known<'_>, findings: &mut Findings) {
    let (before, after) = (&known.accepted.before.value, merged(known.accepted));
    for text in &known.run.intent.paths {
        let path: Path = text.parse().expect("a path");
        let differs = path.find(before) != path.find(&after);
        findings.look(Invariant::NoNoOp, differs, || format!("run {} changes nothing at `{text}`", known.run.intent.run));
    }
    let [schema, _] = schemas();
    let (old, new) = (leaves(&schema, before), leaves(&schema, &after));
    let all: BTreeSet<_> = old.leaves.keys().chain(new.leaves.keys()).collect();
    for leaf in all.into_iter().filter(|leaf| old.leaves.get(*leaf) != new.leaves.get(*leaf)) {
        let text = leaf.concat();
        let is_emptied = [&old, &new].iter().any(|side| side.leaves.get(leaf).is_some_and(|value| value == "{}"));
        let covers = |path: &String| *path == text || is_inside(&text, path) || (is_emptied && is_inside(path, &text));
        findings.look(Invariant::Minimality, known.run.intent.paths.iter().any(covers), || {
            format!("run {} changes `{text}`, and was to change {:?}", known.run.intent.run, known.run.intent.paths)
        });
    }
    let fields: Vec<&String> = known.accepted.write.body.as_object().into_iter().flat_map(serde_json::Map::keys).collect();
    findings.look(Invariant::Minimality, fields.iter().all(|key| ["metadata", "spec"].contains(&key.as_str())), || {
        format!("run {} sends {fields:?}", known.run.intent.run)
    });
}

fn is_inside(path: &str, around: &str) -> bool {
    path.strip_prefix(around).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// The accepted writes, each with when it was intended.
fn counted(world: &World) -> impl Iterator<Item = (&Run, Timestamp)> {
    world.server.accepted.iter().filter_map(|accepted| {
        let run = world.disk.runs.get(&accepted.write.run)?;
        Some((run, run.begun))
    })
}

/// I9: "for each scope and each window, accepted writes <= limit; global stop freezes within one RTT". An hour is counted by the
/// clock on the wall, as the ledger has it; what a person takes back is not limited, and counts.
fn budget(world: &World, known: &Known<'_>, findings: &mut Findings) {
    held(world, known, findings);
    if known.effect.takes_back.is_some() {
        return;
    }
    let rules = rules(world, known);
    // The time by which it was decided: the clock may jump before the intent.
    let Some(Entry::Decided(record)) = record_of(world, known.decided) else { return };
    let since = record.inputs.now - SignedDuration::from_hours(1);
    let earlier: Vec<&Run> =
        counted(world).filter(|(run, at)| *at >= since && run.records[0] < known.run.records[0]).map(|(run, _)| run).collect();
    let is_sized = |run: &Run| run.intent.classes.iter().any(|class| class == "sizes");
    if let Some(limit) =
        rules.sizes_per_hour.filter(|_| known.run.intent.paths.iter().any(|path| class_of(path) == Some("sizes")))
    {
        let made = earlier.iter().filter(|run| is_sized(run)).count();
        findings.look(Invariant::Budget, made < limit, || format!("{made} writes of class sizes, and one more; limit {limit}"));
    }
    if let Some(limit) = rules.target_per_hour {
        let made = earlier.len();
        findings.look(Invariant::Budget, made < limit, || format!("{made} writes to the target, and one more; limit {limit}"));
    }
}

/// A stop is heard before the next write begins: between the last question for holds and an intent are two records at most.
fn held(world: &World, known: &Known<'_>, findings: &mut Findings) {
    let (intended, begun) = (known.run.records[0], known.run.begun);
    let mut stopped = None;
    for record in world.disk.records.iter().take_while(|record| record.seq < intended) {
        let Entry::Ruling(ruling) = &record.entry else { continue };
        match &ruling.what {
            Ruled::Hold(hold) if hold.area == Area::Everything => stopped = Some(record.seq),
            Ruled::Resume { area: Area::Everything } => stopped = None,
            _ => {}
        }
    }
    let heard = stopped.is_none_or(|at| intended - at <= 3 && at > known.round.from.saturating_sub(1));
    findings.look(Invariant::Budget, heard, || format!("held at record {stopped:?}, and written at {intended} ({begun})"));
}

/// I10: "same path written <= n times per window, then frozen".
fn fight(world: &World, known: &Known<'_>, findings: &mut Findings) {
    for (path, place) in known.run.intent.paths.iter().zip(&known.run.intent.places) {
        let path: Path = path.parse().expect("a path");
        let value = |run: &Run| match &run.intent.effect {
            Effect::Patch(effect) => path.find(&effect.patch).cloned(),
            Effect::PullRequest { .. } => None,
        };
        let own = value(known.run);
        let peace =
            world.disk.records.iter().rev().find(|record| record.seq < known.run.records[0] && ends_fight(&record.entry, place));
        let mut times: Vec<Timestamp> = Vec::new();
        for (run, at) in counted(world).filter(|(run, _)| run.records[0] < known.run.records[0]) {
            if run.intent.places.contains(place) && peace.is_none_or(|peace| run.records[0] > peace.seq) {
                if value(run) == own { times.push(at) } else { times.clear() }
            }
        }
        let hour = SignedDuration::from_hours(1);
        let fought = times.windows(3).any(|three| three[2].duration_since(three[0]) <= hour);
        let allowed = !fought || known.effect.takes_back.is_some();
        findings.look(Invariant::NoFight, allowed, || format!("`{path}` was written at {times:?}, and once more"));
    }
}

fn ends_fight(entry: &Entry, place: &Place) -> bool {
    match entry {
        Entry::EpisodeEnded { places, .. } | Entry::Resume { places, .. } => places.contains(place),
        Entry::Ruling(ruling) => matches!(&ruling.what, Ruled::Resume { area: Area::Place(spot) } if spot.place == *place),
        _ => false,
    }
}

/// I12: "evidence missing […] => 0 mutations in that scope"; nor is anything written that is being deleted.
fn fail_closed(known: &Known<'_>, findings: &mut Findings) {
    let carried = known.round.evidence == Evidence::Baseline || known.effect.takes_back.is_some();
    findings.look(Invariant::FailClosed, carried, || format!("run {} was judged by the table", known.run.intent.run));
    findings.look(Invariant::FailClosed, !known.accepted.before.deleting, || "written while it was being deleted".to_owned());
    let commit = name(known.round.commit);
    findings.look(Invariant::Pinning, known.run.intent.commit == commit, || {
        format!("run {} is by commit {}, and its round by {commit}", known.run.intent.run, known.run.intent.commit)
    });
}

/// I15: "after rollback(d) with no foreign write since, live\[paths(d)\] = preimage(d) exactly incl. absent vs null; with a foreign
/// write: no change; rollback twice = once".
fn rollback(world: &World, known: &Known<'_>, at: usize, findings: &mut Findings) {
    let Some(undone) = &known.effect.takes_back else { return };
    let earlier = &world.server.accepted[..at];
    let original = earlier.iter().find(|other| other.write.run == *undone);
    findings.look(Invariant::Rollback, original.is_some(), || format!("run {undone} is taken back, and never wrote"));
    let Some(original) = original else { return };
    let (then, now) = (merged(original), merged(known.accepted));
    for text in &known.run.intent.paths {
        let path: Path = text.parse().expect("a path");
        let is_ours = path.find(&known.accepted.before.value) == path.find(&then);
        findings.look(Invariant::Rollback, is_ours, || format!("`{text}` has another value than run {undone} wrote"));
        let is_back = path.find(&now) == path.find(&original.before.value);
        findings.look(Invariant::Rollback, is_back, || format!("`{text}` is not what it was before run {undone}"));
    }
    let takes_it_back = |other: &&Accepted| {
        let run = world.disk.runs.get(&other.write.run);
        run.is_some_and(|run| matches!(&run.intent.effect, Effect::Patch(effect) if effect.takes_back.as_ref() == Some(undone)))
    };
    let times = earlier.iter().filter(takes_it_back).count() + 1;
    findings.look(Invariant::Rollback, times == 1, || format!("run {undone} is taken back {times} times"));
}
