//! What others do: teammates, controllers, people at the forge and at the command line, the weather.

use jiff::SignedDuration;
use serde_json::json;
use trueup_core::finding::{Finding, Lane};
use trueup_core::path::Segment;
use trueup_core::run::{Approval, Area, AreaHold, Denial, Entry, Grant, KnownBy, Person, Ruled, Ruling, RunStatus, Spot};

use super::actor::{self, peek};
use super::forge::{Edit, State, What};
use super::invariants::is_denied;
use super::server::Admission;
use super::source::{Commit, RULES, edit, name};
use super::world::{Cut, Opponent, SOURCE, World, expected};

/// The opponent writes back at once.
pub fn answer(world: &mut World) {
    let Some(Opponent { object, level }) = world.opponent.clone() else { return };
    if world.dice.once_in(2) {
        world.server.edit(&object, |object| {
            if object.value.get("spec").is_some() {
                object.value["spec"]["level"] = json!(level);
            }
        });
    }
}

/// One thing that happens.
pub fn act(world: &mut World) {
    match world.dice.roll(24) {
        0..=7 => teammate(world),
        8 | 9 => commit(world),
        10..=12 => at_the_forge(world),
        13..=15 => weather(world),
        16 => replace(world),
        17 | 18 => clock(world),
        _ => command(world),
    }
}

fn teammate(world: &mut World) {
    let ids: Vec<_> = world.server.objects.keys().cloned().collect();
    if ids.is_empty() {
        return;
    }
    let id = world.dice.pick(&ids);
    let mut dice = crate::generate::Dice(world.dice.0 ^ 0x5eed);
    let salt = world.salt;
    match world.dice.roll(12) {
        0 => world.server.edit(&id, |object| {
            if let Some(parts) = object.value.pointer_mut("/spec/parts").and_then(serde_json::Value::as_array_mut)
                && parts.len() < 3
            {
                parts.insert(0, json!({"name": "proxy", "note": "injected"}));
            }
        }),
        1 => world.opponent = Some(Opponent { object: id, level: 9 }),
        2 => world.opponent = None,
        _ => world.server.edit(&id, |object| edit(&mut object.value, &mut dice, salt)),
    }
    if world.dice.once_in(3) {
        world.server.remember();
    }
}

/// Somebody deletes an object, or makes it anew under the same name.
fn replace(world: &mut World) {
    let declared = world.source.commit().desired.clone();
    let ids: Vec<_> = declared.keys().cloned().collect();
    let id = world.dice.pick(&ids);
    match world.dice.roll(4) {
        0 => world.server.edit(&id, |object| object.deleting = true),
        1 => drop(world.server.objects.remove(&id)),
        _ => {
            let mut value = expected(&declared[&id]);
            let salt = world.salt;
            edit(&mut value, &mut world.dice, salt);
            world.server.create(&id, value);
        }
    }
}

fn commit(world: &mut World) {
    let mut dice = crate::generate::Dice(world.dice.0 ^ 0xc0de);
    let salt = world.salt;
    let change = |commit: &mut Commit| {
        if dice.once_in(4) {
            commit.rules = dice.roll(RULES.len());
            return;
        }
        let ids: Vec<_> = commit.desired.keys().cloned().collect();
        let id = dice.pick(&ids);
        edit(commit.desired.get_mut(&id).expect("declared"), &mut dice, salt);
    };
    if world.dice.once_in(8) {
        let parent = world.source.commits[world.source.head].parent.unwrap_or(0);
        world.source.rewrite(parent, change);
    } else {
        world.source.push(change);
    }
}

fn at_the_forge(world: &mut World) {
    let open: Vec<usize> = (0..world.forge.pulls.len()).filter(|at| world.forge.pulls[*at].state == State::Open).collect();
    if open.is_empty() {
        return;
    }
    let at = world.dice.pick(&open);
    match world.dice.roll(4) {
        0 | 1 => {
            let removes = world.dice.once_in(2);
            let edits = world.forge.merge(at, removes);
            world.source.push(|commit| edits.iter().for_each(|edit| merge(commit, edit)));
        }
        2 => world.forge.pulls[at].state = State::Closed,
        _ => world.forge.push(at),
    }
}

fn merge(commit: &mut Commit, edit: &Edit) {
    let value = match &edit.what {
        What::Restore(approval) => return drop(commit.approvals.insert(edit.place.clone(), approval.clone())),
        What::Adopt(value) => value.clone(),
    };
    let Some(desired) = commit.desired.get_mut(&edit.object) else { return };
    let (Some(parent), Some(Segment::Key(key))) = (edit.path.parent(), edit.path.0.last()) else { return };
    let Some(fields) = parent.find_mut(desired).and_then(serde_json::Value::as_object_mut) else { return };
    match value {
        Some(value) => drop(fields.insert(key.clone(), value)),
        None => drop(fields.remove(key)),
    }
}

fn weather(world: &mut World) {
    let dice = &mut world.dice;
    match dice.roll(10) {
        0 => world.weather.stale_lists = !world.weather.stale_lists,
        1 => world.weather.unlisted = dice.pick(&[None, Some("Widget"), Some("Secret")]),
        2 => world.weather.no_baseline = !world.weather.no_baseline,
        3 | 4 => world.weather.lost_answers = dice.pick(&[None, Some(2), Some(4)]),
        5 => world.weather.throttled = !world.weather.throttled,
        6 => world.weather.lost_offers = dice.pick(&[None, Some(2)]),
        7 => world.disk.full = !world.disk.full,
        8 => world.server.admission = dice.pick(&[Admission::DeniesLevel, Admission::RewritesLevel(7)]),
        _ => {
            world.weather = super::world::Weather::default();
            world.server.admission = Admission::None;
            world.disk.full = false;
        }
    }
}

/// Time passes, or the clock on the wall jumps: twice within two minutes it does not, as of two jumps no clock could tell that a
/// request is under way yet.
fn clock(world: &mut World) {
    match world.dice.roll(6) {
        0 => world.pass(25 * 3_600),
        1 | 2 => world.pass(3_601),
        3 => world.pass(400),
        4 => world.jump(3_600),
        5 => world.jump(-3_600),
        _ => world.pass(30),
    }
}

/// Somebody types a command.
fn command(world: &mut World) {
    let judged = peek(world);
    let findings: Vec<Finding> = judged.findings().cloned().collect();
    let target = World::target();
    let some = (!findings.is_empty()).then(|| world.dice.pick(&findings));
    let spot = |finding: &Finding| Spot {
        target: World::target(),
        place: finding.place.clone(),
        name: finding.difference.path().to_string(),
    };
    let until = world.now() + SignedDuration::from_hours(2);
    let what = match (world.dice.roll(10), some) {
        (0 | 1, _) => Ruled::Hold(AreaHold { area: Area::Everything, until: None }),
        (2, _) => Ruled::Resume { area: Area::Everything },
        (3, Some(finding)) => Ruled::Hold(AreaHold { area: Area::Place(spot(&finding)), until: Some(until) }),
        (4 | 5, Some(finding)) if matches!(finding.lane, Lane::Auto | Lane::Review) => Ruled::Approve(Box::new(Approval {
            spot: spot(&finding),
            finding: finding.id.clone(),
            digests: finding.digests(),
            class: finding.class.clone(),
            until,
        })),
        // Ids of secret values sort by their bytes, which would tell two runs with other bytes apart.
        (6, Some(finding)) if !finding.difference.is_masked() => {
            Ruled::Deny(Denial { spot: spot(&finding), finding: finding.id.clone() })
        }
        (7, Some(finding)) => Ruled::Lease(Box::new(Grant {
            spot: spot(&finding),
            finding: finding.id.clone(),
            live: finding.digests().live,
            until,
        })),
        (8, Some(finding)) if !is_denied(world, &finding) => Ruled::Resume { area: Area::Place(spot(&finding)) },
        (9, _) => accepted_history(world),
        _ => Ruled::Resume { area: Area::Target { target } },
    };
    rule(world, what);
}

/// What there is is accepted as the history.
pub fn accepted_history(world: &World) -> Ruled {
    Ruled::History {
        source: SOURCE.to_owned(),
        reference: "main".to_owned(),
        from: world.disk.standing.last_commit(SOURCE, "main").unwrap_or_default().to_owned(),
        to: name(world.source.head),
    }
}

/// Records what a person decided; without room nothing is decided.
pub fn rule(world: &mut World, what: Ruled) {
    let by = Person { name: "ann".to_owned(), known_by: KnownBy::ApiServer };
    let ruling = Ruling { by, because: "so it is".to_owned(), what };
    let now = world.now();
    let _ = world.disk.append(&Entry::Ruling(Box::new(ruling)), now);
}

/// A person takes a run back.
pub fn undo(world: &mut World) -> Result<(), Cut> {
    let is_done = |status: &RunStatus| matches!(status, RunStatus::Applied { .. } | RunStatus::Verified(_));
    let runs: Vec<_> = world.disk.runs.all().iter().filter(|run| is_done(&run.status)).cloned().collect();
    if runs.is_empty() {
        return Ok(());
    }
    let run = world.dice.pick(&runs);
    actor::undo(world, &run)
}
