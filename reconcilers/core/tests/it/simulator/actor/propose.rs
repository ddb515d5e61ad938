//! The proposals of the target, as `src/act/propose.rs` and the files of `src/act/propose/` bring them to what is decided, with the
//! groups of `src/review/group.rs`. All objects here are one application; there is room for any number of proposals.

mod end;
mod offer;
mod open;

use std::collections::{BTreeMap, BTreeSet};

use trueup_core::decide::Decision;
use trueup_core::finding::{Finding, FindingId, Place};
use trueup_core::policy::Remedy;
use trueup_core::run::{Due, Entry, Outlook, Run};

use super::{Basis, Judged};
use crate::simulator::forge::Became;
use crate::simulator::world::{Cut, World};
use open::{Member, Open, branch_of, is_seen, member_of};

/// What is decided about a finding, as far as proposals go.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is to be proposed, so; its number among the decisions.
    Propose(usize, Remedy),
    Waits,
    Over,
}

pub type Verdicts = BTreeMap<FindingId, Verdict>;

pub fn verdicts(decisions: &[Decision]) -> Verdicts {
    let mut verdicts = Verdicts::new();
    for (number, decision) in decisions.iter().enumerate() {
        match decision {
            Decision::Propose(proposal) => {
                verdicts.insert(proposal.finding.clone(), Verdict::Propose(number, proposal.remedy));
            }
            Decision::Correct(correction) => {
                verdicts.extend(correction.corrected.iter().map(|(id, _)| (id.clone(), Verdict::Waits)));
            }
            Decision::Hold(settled) => drop(verdicts.insert(settled.finding.clone(), Verdict::Waits)),
            Decision::Leave(settled) | Decision::Escalate(settled) => {
                verdicts.insert(settled.finding.clone(), Verdict::Over);
            }
        }
    }
    verdicts
}

/// One finding that is to be proposed.
#[derive(Clone, Copy)]
pub struct Wanted<'a> {
    number: usize,
    finding: &'a Finding,
    remedy: Remedy,
}

impl Wanted<'_> {
    fn key(&self) -> (Remedy, Option<&str>) {
        (self.remedy, self.finding.class.as_deref())
    }
}

/// What is to become of an open proposal.
struct Plan<'a> {
    open: Open,
    wanted: Vec<Wanted<'a>>,
    joining: Vec<Wanted<'a>>,
    waits: bool,
}

/// Brings the proposals to what is decided; what is in none gets one, or of it only what could not be corrected.
pub fn review(
    world: &mut World,
    judged: &Judged,
    (verdicts, late): (&Verdicts, Option<&FindingId>),
    basis: &mut Basis,
) -> Result<(), Cut> {
    let all = judged.findings().filter_map(|finding| match verdicts.get(&finding.id) {
        Some(Verdict::Propose(number, remedy)) => Some(Wanted { number: *number, finding, remedy: *remedy }),
        Some(Verdict::Waits | Verdict::Over) | None => None,
    });
    let mut all: Vec<Wanted<'_>> = all.collect();
    all.sort_by_key(|wanted| wanted.number);
    let open = open::of(world);
    verify_merged(world, judged)?;
    let taken: BTreeSet<Place> = open.iter().flat_map(Open::places).collect();
    let mut plans: Vec<Plan<'_>> = open.into_iter().map(|open| plan(judged, verdicts, open)).collect();
    let mut alone = Vec::new();
    let is_fresh =
        |wanted: &Wanted<'_>| !taken.contains(&wanted.finding.place) && late.is_none_or(|late| wanted.finding.id == *late);
    for wanted in all.into_iter().filter(is_fresh) {
        let can_take = |plan: &&mut Plan<'_>| {
            !plan.waits && !plan.wanted.is_empty() && plan.wanted.iter().all(|other| other.key() == wanted.key())
        };
        match plans.iter_mut().filter(can_take).last() {
            Some(plan) => plan.joining.push(wanted),
            None => alone.push(wanted),
        }
    }
    let runs = world.disk.runs.all().to_vec();
    for plan in plans.iter_mut().filter(|plan| !plan.joining.is_empty()) {
        if end::look(world, &plan.open, &runs)? == Some(Became::Foreign) {
            alone.append(&mut plan.joining);
        }
    }
    alone.sort_by_key(|wanted| wanted.number);
    for Plan { open, mut wanted, joining, waits } in plans {
        wanted.extend(joining);
        wanted.sort_by_key(|wanted| wanted.number);
        match () {
            () if waits => end::look_after(world, &open)?,
            () if wanted.is_empty() => end::end(world, judged, &open)?,
            () => offer::offer(world, judged, (&open.branch, Some(&open)), &wanted, basis)?,
        }
    }
    begin(world, judged, alone, basis)
}

fn plan<'a>(judged: &'a Judged, verdicts: &Verdicts, open: Open) -> Plan<'a> {
    let (mut wanted, mut waits) = (Vec::new(), false);
    for place in open.places() {
        match member_of(judged, verdicts, &open, &place) {
            Member::Wanted(other) if open.remedy().is_some_and(|remedy| remedy != other.remedy) => {}
            Member::Wanted(other) => wanted.push(other),
            Member::Waits => waits = true,
            Member::Over => {}
        }
    }
    Plan { open, wanted, joining: Vec::new(), waits }
}

fn begin(world: &mut World, judged: &Judged, alone: Vec<Wanted<'_>>, basis: &mut Basis) -> Result<(), Cut> {
    let mut taken = open::branches(world);
    let mut groups: Vec<Vec<Wanted<'_>>> = Vec::new();
    for wanted in alone {
        match groups.iter_mut().find(|group| group[0].key() == wanted.key()) {
            Some(group) => group.push(wanted),
            None => groups.push(vec![wanted]),
        }
    }
    for group in groups {
        let branch = branch(&group, &taken);
        offer::offer(world, judged, (&branch, None), &group, basis)?;
        taken.insert(branch);
    }
    Ok(())
}

/// One place's own, or one that is named by all of them.
fn branch(group: &[Wanted<'_>], taken: &BTreeSet<String>) -> String {
    let places: BTreeSet<&str> = group.iter().map(|wanted| wanted.finding.place.as_str()).collect();
    let names: Vec<&str> = places.into_iter().collect();
    let own = format!("trueup/{}", names[0]);
    if names.len() == 1 && !taken.contains(&own) {
        return own;
    }
    let name = |turn: usize| format!("trueup/g-{}-{turn}", names.join("-"));
    let mut turn = 0;
    while taken.contains(&name(turn)) {
        turn += 1;
    }
    name(turn)
}

/// Step 8 for proposals: a merged one is verified when each of its places was seen true.
fn verify_merged(world: &mut World, judged: &Judged) -> Result<(), Cut> {
    let is_merged = |run: &&Run| branch_of(run).is_some() && run.due() == Due::Verification;
    let merged: Vec<Run> = world.disk.runs.all().iter().filter(is_merged).cloned().collect();
    for run in merged {
        let is_settled = |place: &Place| {
            let subject = run.proposals.get(place).and_then(|record| record.subject.as_deref());
            !judged.findings().any(|finding| finding.place == *place) && is_seen(judged, subject)
        };
        if run.intent.places.iter().all(is_settled) {
            world.append(&Entry::Verification { run: run.intent.run.clone(), outlook: Outlook::Settled, why: None })?;
        }
    }
    Ok(())
}

/// What a proposal is about.
fn fingerprint<'a>(findings: impl IntoIterator<Item = &'a FindingId>) -> String {
    let mut ids: Vec<&str> = findings.into_iter().map(|id| id.0.as_str()).collect();
    ids.sort_unstable();
    ids.join(" ")
}
