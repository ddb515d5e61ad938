//! Proposals of one target: those that are open are kept up to date or ended, then others are opened.
//!
//! A place is in one open proposal at most: as long as the ledger has it in one, it stays there, whatever else changes.

mod edit;
mod restore;
mod known;
mod open;
mod about;
mod offer;
mod commit;
mod conclude;
mod end;
mod outlook;

use std::collections::BTreeMap;

use trueup_core::decide::Decision;
use trueup_core::finding::{Finding, FindingId, Place};
use trueup_core::policy::Remedy;
use trueup_core::run::Run;

use super::{Acting, report};
use crate::ledger::LedgerError;
use crate::report::{ActionName, RunReport};
use crate::review::group::{Fit, Key, branch, fit, groups};
use crate::review::{Became, forge};
use crate::source::Revision;
use crate::target::{Judged, JudgedCase};

use open::{Member, Open, member_of};

/// What is decided about a finding, as far as proposals go.
#[derive(Debug, Clone)]
pub(super) enum Verdict {
    /// It is to be proposed, so and for these reasons; its number among the decisions.
    Propose(usize, Remedy, Vec<String>),
    /// Nothing changes for its proposal now, for this reason.
    Waits(String),
    /// There is to be no proposal, for this reason.
    Over(String),
}

/// What is decided about each finding.
pub(super) type Verdicts = BTreeMap<FindingId, Verdict>;

/// Takes from the decisions of a target what its proposals depend on.
pub(super) fn verdicts(decisions: &[Decision]) -> Verdicts {
    let last = |reasons: &[String]| reasons.last().cloned().unwrap_or_default();
    let verdict = |(number, decision): (usize, &Decision)| -> Vec<(FindingId, Verdict)> {
        match decision {
            Decision::Propose(proposal) => {
                vec![(proposal.finding.clone(), Verdict::Propose(number, proposal.remedy, proposal.reasons.clone()))]
            }
            Decision::Correct(correction) => {
                let waits = || Verdict::Waits("it is being corrected".to_owned());
                correction.corrected.iter().map(|(id, _)| (id.clone(), waits())).collect()
            }
            Decision::Hold(settled) => vec![(settled.finding.clone(), Verdict::Waits(last(&settled.reasons)))],
            Decision::Leave(settled) => vec![(settled.finding.clone(), Verdict::Over(last(&settled.reasons)))],
            Decision::Escalate(settled) => {
                vec![(settled.finding.clone(), Verdict::Over(format!("left to people: {}", last(&settled.reasons))))]
            }
        }
    };
    decisions.iter().enumerate().flat_map(verdict).collect()
}

/// One finding that is to be proposed, with what it was found in.
#[derive(Clone, Copy)]
struct Wanted<'a> {
    number: usize,
    case: &'a JudgedCase,
    finding: &'a Finding,
    remedy: Remedy,
    reasons: &'a [String],
}

impl Wanted<'_> {
    fn key(&self) -> Key {
        Key::of(self.finding, self.remedy)
    }

    /// What was decided belongs to what people read: why it is not corrected.
    fn with_reasons(&self) -> Finding {
        Finding { reasons: self.reasons.to_vec(), ..self.finding.clone() }
    }
}

/// Which findings that are in no open proposal get one.
#[derive(Debug, Clone, Copy)]
pub(super) enum Turn<'a> {
    /// All.
    All,
    /// The one that is known to be for people only since it could not be corrected. The others had their turn in this round: what
    /// people answered since would be asked again.
    Late(&'a FindingId),
}

impl Turn<'_> {
    fn is_of(self, finding: &FindingId) -> bool {
        match self {
            Self::All => true,
            Self::Late(late) => finding == late,
        }
    }
}

/// Brings the proposals of a target to what is decided about its findings; each report with a number among the decisions.
pub(super) async fn review(
    acting: Acting<'_>,
    judged: &Judged,
    verdicts: &Verdicts,
    turn: Turn<'_>,
) -> Result<Vec<(usize, RunReport)>, LedgerError> {
    // Nothing was looked at: a person asks for one thing alone.
    if judged.cases.is_empty() {
        return Ok(Vec::new());
    }
    let all = all_wanted(judged, verdicts);
    if let Some(until) = forge::closed_until(acting.session) {
        let why = format!("the forge wants to be left alone until {until}: offered by the next round after that");
        let later = |wanted: &Wanted<'_>| {
            let reasons: Vec<String> = wanted.reasons.iter().cloned().chain([why.clone()]).collect();
            (wanted.number, reported("later", [&wanted.finding.id], &reasons))
        };
        return Ok(all.iter().map(later).collect());
    }
    let (standing, runs) = (acting.ledger.standing().await?, acting.ledger.runs().await?);
    let open = open::of(&standing, &runs, &judged.name);
    outlook::verify_merged(acting, judged, &runs).await?;
    let mut plans: Vec<Plan<'_>> = open.iter().map(|proposal| plan(acting, judged, verdicts, proposal)).collect();
    let is_open = |place: &Place| open.iter().any(|proposal| proposal.has(place));
    let is_fresh = |wanted: &Wanted<'_>| !is_open(&wanted.finding.place) && turn.is_of(&wanted.finding.id);
    let mut alone = join(&mut plans, all.into_iter().filter(is_fresh).collect());
    for plan in &mut plans {
        alone.append(&mut not_taken(acting, plan, &runs).await);
    }
    alone.sort_by_key(|wanted| wanted.number);
    let mut reports = Vec::new();
    for plan in plans {
        if acting.stop.is_requested() {
            return Ok(reports);
        }
        reports.extend(keep(acting, judged, plan, &runs).await?);
    }
    reports.extend(begin(acting, judged, alone).await?);
    Ok(reports)
}

/// What is to become of an open proposal.
struct Plan<'a> {
    open: &'a Open,
    wanted: Vec<Wanted<'a>>,
    /// What is in no proposal yet, and joins it.
    joining: Vec<Wanted<'a>>,
    /// Why it stays as it is in this round.
    waits: Vec<String>,
    /// Why places leave it.
    over: Vec<String>,
    /// What its findings are grouped by.
    keys: Vec<Key>,
}

fn plan<'a>(acting: Acting<'_>, judged: &'a Judged, verdicts: &'a Verdicts, open: &'a Open) -> Plan<'a> {
    let mut plan = Plan { open, wanted: Vec::new(), joining: Vec::new(), waits: Vec::new(), over: Vec::new(), keys: Vec::new() };
    for place in open.places() {
        match member_of(judged, verdicts, (&place, open.subject(&place)), is_asked_for_all(acting)) {
            // One proposal asks for one thing: what is to be asked otherwise is asked in the next round.
            Member::Wanted(other) if open.remedy().is_some_and(|remedy| remedy != other.remedy) => {
                plan.over.push("people are asked for something else now".to_owned());
            }
            Member::Wanted(wanted) => plan.wanted.push(wanted),
            Member::Waits(why) => plan.waits.push(why),
            Member::Over(why) => plan.over.push(why),
        }
    }
    plan.keys = plan.wanted.iter().map(Wanted::key).collect();
    plan
}

/// Adds each finding to the open proposal that it is nearest to, where there is one that can be brought up to date; the others
/// are returned.
fn join<'a>(plans: &mut [Plan<'a>], fresh: Vec<Wanted<'a>>) -> Vec<Wanted<'a>> {
    let mut alone = Vec::new();
    for wanted in fresh {
        let can_take = |plan: &&mut Plan<'a>| plan.waits.is_empty() && !plan.wanted.is_empty();
        let nearest = plans.iter_mut().filter(can_take).max_by_key(|plan| fit(&wanted.key(), &plan.keys));
        match nearest.filter(|plan| fit(&wanted.key(), &plan.keys) > Fit::No) {
            Some(plan) => plan.joining.push(wanted),
            None => alone.push(wanted),
        }
    }
    alone
}

/// What cannot join an open proposal after all: nothing is pushed to a branch that people have pushed to, so what joins would wait
/// until they are done with it.
async fn not_taken<'a>(acting: Acting<'_>, plan: &mut Plan<'a>, runs: &[Run]) -> Vec<Wanted<'a>> {
    if plan.joining.is_empty() || acting.stop.is_requested() {
        return Vec::new();
    }
    match end::look(acting, plan.open, runs).await.became {
        Ok(Became::Foreign(_)) => std::mem::take(&mut plan.joining),
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// An open proposal: brought up to date, looked after, or ended.
async fn keep(acting: Acting<'_>, judged: &Judged, plan: Plan<'_>, runs: &[Run]) -> Result<Vec<(usize, RunReport)>, LedgerError> {
    let Plan { open, mut wanted, joining, waits, over, .. } = plan;
    wanted.extend(joining);
    // Whatever order they joined in: the same findings are the same commit.
    wanted.sort_by_key(|wanted| wanted.number);
    let number = wanted.iter().map(|wanted| wanted.number).min().unwrap_or(usize::MAX);
    if !waits.is_empty() {
        return Ok(vec![(number, end::look_after(acting, open, runs, &waits).await?)]);
    }
    if wanted.is_empty() {
        return Ok(vec![(number, end::end(acting, open, runs, &over).await?)]);
    }
    offer::offer(acting, judged, (&open.branch, Some(open)), &wanted).await
}

/// Opens proposals of what is in none, as many as there is room for.
async fn begin(acting: Acting<'_>, judged: &Judged, alone: Vec<Wanted<'_>>) -> Result<Vec<(usize, RunReport)>, LedgerError> {
    let mut reports = Vec::new();
    if alone.is_empty() {
        return Ok(reports);
    }
    let most = acting.session.settings.review.max_open;
    let mut taken = open::branches(&acting.ledger.standing().await?, &acting.ledger.runs().await?);
    let members = alone.into_iter().map(|wanted| (wanted.key(), wanted)).collect();
    let (groups, waiting) = groups(members, most.saturating_sub(taken.len()));
    for group in groups {
        if acting.stop.is_requested() {
            return Ok(reports);
        }
        let branch = branch(group.iter().map(|wanted| &wanted.finding.place), |name| taken.contains(name));
        reports.extend(offer::offer(acting, judged, (&branch, None), &group).await?);
        taken.insert(branch);
    }
    for wanted in waiting {
        let why =
            format!("{most} proposals are open, as many as `[review] max_open` allows: proposed when one of them has ended");
        let reasons: Vec<String> = wanted.reasons.iter().cloned().chain([why]).collect();
        reports.push((wanted.number, reported("waits", [&wanted.finding.id], &reasons)));
    }
    Ok(reports)
}

/// Whether this round is about everything at the source's own revision: else nothing tells what is over.
fn is_asked_for_all(acting: Acting<'_>) -> bool {
    acting.only.is_empty() && acting.session.revision == Revision::Reference
}

fn all_wanted<'a>(judged: &'a Judged, verdicts: &'a Verdicts) -> Vec<Wanted<'a>> {
    let each = judged.cases.iter().flat_map(|case| case.findings.iter().map(move |finding| (case, finding)));
    let wanted = each.filter_map(|(case, finding)| wanted(case, finding, verdicts));
    let mut all: Vec<Wanted<'_>> = wanted.collect();
    all.sort_by_key(|wanted| wanted.number);
    all
}

fn wanted<'a>(case: &'a JudgedCase, finding: &'a Finding, verdicts: &'a Verdicts) -> Option<Wanted<'a>> {
    match verdicts.get(&finding.id)? {
        Verdict::Propose(number, remedy, reasons) => Some(Wanted { number: *number, case, finding, remedy: *remedy, reasons }),
        Verdict::Waits(_) | Verdict::Over(_) => None,
    }
}

/// A report about findings, without a run.
fn reported<'a>(status: &str, findings: impl IntoIterator<Item = &'a FindingId>, reasons: &[String]) -> RunReport {
    report(ActionName::PullRequest, status, findings.into_iter().map(ToString::to_string), reasons)
}
