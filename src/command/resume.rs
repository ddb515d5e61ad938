//! `trueup resume`: what was stopped goes on. By a person's hold, an undo, a rollback, a fight, a ledger that was lost, or a
//! history that was rewritten; each is said by name, and what does not stand in the way is not resumed.

use jiff::Timestamp;
use trueup_core::decide::FIGHT_WRITES;
use trueup_core::finding::Place;
use trueup_core::object::ObjectId;
use trueup_core::run::{Area, AreaHold, Ruled, Standing, StateSeen};

use super::hold::{arguments, concerned, found, no_finding, show, spot_of};
use crate::cli::people::Resume;
use crate::cli::{Global, Output};
use crate::exit::Exit;
use crate::explain::is_named;
use crate::failure::Failure;
use crate::guards::source::{Onward, onward};
use crate::guards::state::{seen, went_back};
use crate::guards::{self, lost_ledger};
use crate::ledger::Ledger;
use crate::people;
use crate::round::look;
use crate::session::{self, Session};
use crate::source::history::tip;
use crate::target::{Freshness, Judged, Reach};

pub(super) async fn resume(global: &Global, session: &Session, asked: &Resume, output: Output) -> Result<Exit, Failure> {
    let standing = standing(session).await?;
    let rulings = match (&asked.id, &asked.object) {
        _ if asked.source => vec![history(session, &standing).await?],
        (Some(id), _) => vec![Ruled::Resume { area: place(session, &standing, id).await? }],
        (None, Some(object)) => objects(session, &standing, object)?,
        (None, None) if global.targets.is_empty() => vec![everything(&standing)?],
        (None, None) => targets(session, &standing).await?,
    };
    let areas: Vec<Area> = rulings.iter().map(area).collect();
    // Whoever takes a guard away is known as well as can be.
    let by = match concerned(session, &areas)[..] {
        [target] => people::person(target).await?,
        ref targets => people::anybody(targets.iter().copied()).await,
    };
    show(&people::record(session, &by, &asked.because.text(), rulings).await?, output)
}

async fn standing(session: &Session) -> Result<Standing, Failure> {
    match Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)? {
        Some(ledger) => ledger.standing().await.map_err(Failure::usage),
        None => Ok(Standing::default()),
    }
}

fn area(ruled: &Ruled) -> Area {
    match ruled {
        Ruled::Hold(AreaHold { area, .. }) | Ruled::Resume { area } => area.clone(),
        Ruled::EarlierWrites { target, .. } | Ruled::State(StateSeen { target, .. }) => Area::Target { target: target.clone() },
        Ruled::Approve(_) | Ruled::Deny(_) | Ruled::Lease(_) | Ruled::EndLease(_) | Ruled::History { .. } => Area::Everything,
    }
}

async fn history(session: &Session, standing: &Standing) -> Result<Ruled, Failure> {
    let pinned = session::pin(session).await?;
    let (source, reference, to) = (pinned.name.clone(), pinned.reference.clone(), tip(&pinned).to_string());
    let from = standing.last_commit(&source, &reference).unwrap_or_default().to_owned();
    match onward(standing, &pinned) {
        Onward::Rewritten(_) | Onward::Unknown(_) => Ok(Ruled::History { source, reference, from, to }),
        Onward::Forward | Onward::Same => Err(Failure::usage(anyhow::anyhow!(
            "nothing to accept: the history of `{reference}` was not rewritten since trueup acted by it last"
        ))),
    }
}

fn everything(standing: &Standing) -> Result<Ruled, Failure> {
    if is_held(standing, &Area::Everything) {
        return Ok(Ruled::Resume { area: Area::Everything });
    }
    Err(nothing("not everything is held", standing))
}

/// What a person holds of each target that was asked for, and what its lost ledger stopped.
async fn targets(session: &Session, standing: &Standing) -> Result<Vec<Ruled>, Failure> {
    let round = look(session, Freshness::Cached).await?;
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?;
    let mut rulings = Vec::new();
    for judged in &round.targets {
        let area = Area::Target { target: judged.name.clone() };
        if is_held(standing, &area) {
            rulings.push(Ruled::Resume { area });
        }
        let heads = guards::head::unknown(ledger.as_ref(), standing, judged).await?;
        if lost_ledger(standing, judged).is_some() || !heads.is_empty() {
            rulings.push(Ruled::EarlierWrites { target: judged.name.clone(), heads });
        }
        if let (Some(_), Reach::State(state)) = (went_back(standing, judged), &judged.reach) {
            rulings.push(Ruled::State(seen(judged, state)));
        }
    }
    if rulings.is_empty() {
        let names: Vec<&str> = round.targets.iter().map(|judged| judged.name.0.as_str()).collect();
        return Err(nothing(&format!("nothing stops target `{}` as a whole", names.join("`, `")), standing));
    }
    Ok(rulings)
}

/// The objects of this name that a person holds.
fn objects(session: &Session, standing: &Standing, name: &str) -> Result<Vec<Ruled>, Failure> {
    let is_meant = |area: &Area| match area {
        Area::Object { target, object } => {
            is_named(object, name) && session.settings.targets.iter().any(|known| known.name == *target)
        }
        Area::Everything | Area::Target { .. } | Area::Place(_) => false,
    };
    let held = standing.people().holds(Timestamp::now()).map(|hold| &hold.what.area).filter(|area| is_meant(area));
    let rulings: Vec<Ruled> = held.map(|area| Ruled::Resume { area: area.clone() }).collect();
    if rulings.is_empty() { Err(nothing(&format!("no `{name}` is held"), standing)) } else { Ok(rulings) }
}

/// The place of a finding, if something stops it that a person can let go on.
async fn place(session: &Session, standing: &Standing, id: &str) -> Result<Area, Failure> {
    // What is held at a place may be no finding any more.
    if let Some(area) = held_place(standing, id) {
        return Ok(area);
    }
    let round = look(session, Freshness::Cached).await?;
    let (judged, finding) = found(&round, id).ok_or_else(|| no_finding(id))?;
    let area = Area::Place(spot_of(judged, finding));
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?;
    let seen = (judged, &round.policy, &round.pinned);
    let guards = guards::preview(session, ledger.as_ref(), seen, Timestamp::now()).await?;
    let is_fight = guards.recent_writes.get(&finding.place).is_some_and(|writes| *writes >= FIGHT_WRITES);
    let is_denied = standing.is_denied(&finding.place, &finding.id);
    if is_held(standing, &area) || standing.holds().contains_key(&finding.place) || is_fight || is_denied {
        return Ok(area);
    }
    let held = guards.held.get(&finding.place).map(|held| held.reason.clone());
    let wider = || guards.held_by_people(object_of(judged, &finding.place), [&finding.place], Timestamp::now());
    let why = held
        .or(guards.frozen.clone())
        .or_else(wider)
        .unwrap_or_else(|| "`trueup explain` says what stands against it".to_owned());
    Err(nothing(&format!("`{id}` itself is neither held nor fought over: {why}"), standing))
}

fn object_of<'a>(judged: &'a Judged, place: &Place) -> Option<&'a ObjectId> {
    let case = judged.cases.iter().find(|case| case.findings.iter().any(|finding| finding.place == *place))?;
    Some(&case.pair.as_ref()?.desired().id)
}

/// A place that a person holds, by its digest.
fn held_place(standing: &Standing, id: &str) -> Option<Area> {
    let mut areas = standing.people().holds(Timestamp::now()).map(|hold| &hold.what.area);
    areas.find(|area| matches!(area, Area::Place(spot) if spot.place.as_str() == id)).cloned()
}

fn is_held(standing: &Standing, area: &Area) -> bool {
    standing.people().holds(Timestamp::now()).any(|hold| hold.what.area.is_same(area))
}

/// There is nothing to resume; what is held instead.
fn nothing(what: &str, standing: &Standing) -> Failure {
    let held = standing.people().holds(Timestamp::now());
    let held: Vec<String> =
        held.map(|hold| format!("{} (`trueup resume{}`)", hold.what.area, arguments(&hold.what.area))).collect();
    let held = if held.is_empty() { "people hold nothing".to_owned() } else { format!("people hold {}", held.join(", ")) };
    Failure::usage(anyhow::anyhow!("nothing to resume: {what}; {held}"))
}
