//! The ends of proposals: merged or closed by people, or withdrawn as nothing is left to decide. Each is recorded; what
//! trueup closes itself is recorded before, too.

use jiff::Timestamp;
use trueup_core::finding::{FindingId, Place};
use trueup_core::run::{Entry, Fate, Outcome, Proposal as Record, Run};

use super::known::{head, known, newest, runs_of};
use super::open::{Open, branch_of};
use super::reported;
use super::restore::proposed_approval;
use crate::act::Acting;
use crate::ledger::LedgerError;
use crate::report::RunReport;
use crate::review::body::code;
use crate::review::forge::{self, Failed, Sought};
use crate::review::{Became, Identity, Known};

/// What became of an open proposal, and by what of the ledger it is known.
pub(super) struct Looked {
    pub(super) became: Result<Became, Failed>,
    pub(super) known: Known,
}

/// Looks by what is likeliest known of the branch; where that finds nothing or somebody else's work, by the next.
pub(super) async fn look(acting: Acting<'_>, proposal: &Open, runs: &[Run]) -> Looked {
    let mut looked: Option<Looked> = None;
    for (known, _) in known(Some(proposal), &runs_of(&proposal.branch, runs)) {
        let sought = Sought { branch: &proposal.branch, known: &known };
        let became = match (forge::look(acting.session, acting.pinned, sought).await, &known) {
            // The end of an earlier proposal is no answer to this one, of which nothing was recorded.
            (Ok(Became::Merged(_) | Became::Closed(_)), Known::Opened { .. }) if proposal.records.is_empty() => Ok(Became::Gone),
            (became, _) => became,
        };
        let is_told = matches!(became, Ok(Became::Open { .. } | Became::Merged(_) | Became::Closed(_)) | Err(_));
        // Somebody else's work says more than that there is nothing.
        if is_told || looked.is_none() || matches!(became, Ok(Became::Foreign(_))) {
            looked = Some(Looked { became, known });
        }
        if is_told {
            break;
        }
    }
    looked.unwrap_or(Looked { became: Ok(Became::Gone), known: Known::Nothing })
}

/// Looks what people did about a proposal that stays as it is for now.
pub(super) async fn look_after(
    acting: Acting<'_>,
    proposal: &Open,
    runs: &[Run],
    waits: &[String],
) -> Result<RunReport, LedgerError> {
    let looked = look(acting, proposal, runs).await;
    if let Some(report) = ended_by_people(acting, proposal, &looked).await? {
        return Ok(report);
    }
    Ok(match looked.became {
        Ok(Became::Foreign(why)) => reported_of(proposal, "foreign", &[why]),
        Err(Failed::Refused(why) | Failed::Unanswered(why) | Failed::Later(why)) => reported_of(proposal, "not answered", &[why]),
        Ok(_) => reported_of(proposal, "open", waits),
    })
}

/// Records what people did, if they have merged or closed it.
pub(super) async fn ended_by_people(
    acting: Acting<'_>,
    proposal: &Open,
    looked: &Looked,
) -> Result<Option<RunReport>, LedgerError> {
    let (fate, status, reason) = match (&looked.became, proposal.withdrawal.clone()) {
        (Ok(Became::Merged(_)), _) => (Fate::Merged, "merged", "merged by people".to_owned()),
        // It was trueup that closed it, and was cut off before that was recorded.
        (Ok(Became::Closed(_)), Some(reason)) => (Fate::Withdrawn { reason: reason.clone() }, "withdrawn", reason),
        (Ok(Became::Closed(_)), None) => {
            (Fate::Denied, "denied", "closed unmerged: left as it is until live or Git moves".to_owned())
        }
        (Ok(Became::Open { .. } | Became::Foreign(_) | Became::Gone) | Err(_), _) => return Ok(None),
    };
    let mut report = reported_of(proposal, status, &[reason]);
    close(acting, proposal, (fate.clone(), &looked.became), &mut report).await?;
    if fate == Fate::Merged {
        tidy(acting, &proposal.branch, &looked.known);
    }
    Ok(Some(report))
}

/// A proposal of which nothing is left to decide.
pub(super) async fn end(acting: Acting<'_>, proposal: &Open, runs: &[Run], over: &[String]) -> Result<RunReport, LedgerError> {
    let looked = look(acting, proposal, runs).await;
    if let Some(report) = ended_by_people(acting, proposal, &looked).await? {
        return Ok(report);
    }
    match &looked.became {
        Ok(Became::Open { identity, url }) => withdraw(acting, proposal, &looked.known, (identity, url), over).await,
        Ok(Became::Foreign(why)) => Ok(reported_of(proposal, "foreign", std::slice::from_ref(why))),
        Ok(Became::Gone | Became::Merged(_) | Became::Closed(_)) => {
            let reason = format!("{}; nothing of it is to be found", told(over));
            let mut report = reported_of(proposal, "withdrawn", std::slice::from_ref(&reason));
            close(acting, proposal, (Fate::Withdrawn { reason }, &looked.became), &mut report).await?;
            Ok(report)
        }
        Err(Failed::Refused(why) | Failed::Unanswered(why) | Failed::Later(why)) => {
            Ok(reported_of(proposal, "not closed", std::slice::from_ref(why)))
        }
    }
}

/// Closes an open proposal of ours: the intent first, then the forge, then the outcome.
async fn withdraw(
    acting: Acting<'_>,
    proposal: &Open,
    known: &Known,
    (identity, url): (&Identity, &str),
    over: &[String],
) -> Result<RunReport, LedgerError> {
    let mut report = reported_of(proposal, "withdrawn", over);
    report.url = Some(url.to_owned());
    let mut proposal = proposal.clone();
    if proposal.records.is_empty()
        && let Some(run) = &proposal.unresolved
    {
        proposal.records = found_again(acting, run, known.head().unwrap_or_default(), (identity, url));
        for record in &proposal.records {
            let seq = acting.ledger.append(&Entry::Proposal(record.clone()), Timestamp::now()).await?.seq;
            report.records.push(seq);
        }
        proposal.unresolved = None;
    }
    let mut reason = format!("{} (at {}, by commit {})", told(over), second(Timestamp::now()), acting.pinned.commit);
    for run in proposal.runs() {
        // Begun before and cut off: what was said then is said again, so that it is said once.
        if let Some(begun) = &proposal.withdrawal {
            reason.clone_from(begun);
            break;
        }
        let entry = Entry::Withdrawal { run, reason: reason.clone() };
        report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
    }
    let comment = format!("trueup closes this proposal, as there is nothing left to decide: {}", code(&reason));
    let sought = Sought { branch: &proposal.branch, known };
    match forge::withdraw(acting.session, acting.pinned, sought, (identity, &comment)).await {
        Ok(()) => {
            let closed = Ok(Became::Closed(identity.clone()));
            close(acting, &proposal, (Fate::Withdrawn { reason }, &closed), &mut report).await?;
        }
        Err(Failed::Refused(why) | Failed::Unanswered(why) | Failed::Later(why)) => {
            "not closed".clone_into(&mut report.status);
            report.reasons.push(why);
        }
    }
    tracing::info!(branch = proposal.branch, status = report.status, "looked after a proposal");
    Ok(report)
}

/// Records an end for each run that the proposal is of; a run that had been cut off ends with it.
async fn close(
    acting: Acting<'_>,
    proposal: &Open,
    (fate, became): (Fate, &Result<Became, Failed>),
    report: &mut RunReport,
) -> Result<(), LedgerError> {
    for entry in ends(acting, proposal, (&fate, became)) {
        report.records.push(acting.ledger.append(&entry, Timestamp::now()).await?.seq);
    }
    Ok(())
}

fn ends(acting: Acting<'_>, proposal: &Open, (fate, became): (&Fate, &Result<Became, Failed>)) -> Vec<Entry> {
    let mut entries: Vec<Entry> =
        proposal.runs().into_iter().map(|run| Entry::ProposalClosed { run, fate: fate.clone() }).collect();
    let Some(run) = &proposal.unresolved else { return entries };
    let name = run.intent.run.clone();
    let people = match fate {
        Fate::Merged | Fate::Denied => true,
        Fate::Withdrawn { .. } | Fate::Replaced { .. } => false,
    };
    if proposal.records.is_empty() && people {
        // It had been opened after all, and people have answered it.
        let nobody = Identity { number: 0, author: String::new() };
        // By its number, its end is not taken for that of a later one.
        let identity = match became {
            Ok(Became::Merged(identity) | Became::Closed(identity) | Became::Open { identity, .. }) => identity,
            Ok(Became::Foreign(_) | Became::Gone) | Err(_) => &nobody,
        };
        let found = found_again(acting, run, head(run).unwrap_or_default(), (identity, ""));
        entries.extend(found.into_iter().map(Entry::Proposal));
        entries.push(Entry::ProposalClosed { run: name, fate: fate.clone() });
    } else {
        let outcome = Outcome::Void { reason: "its proposal had ended, or was never opened".to_owned() };
        entries.push(Entry::Outcome { run: name, outcome });
    }
    entries
}

/// What was not recorded of a run's proposal when it was cut off.
pub(super) fn found_again(acting: Acting<'_>, run: &Run, head: &str, (identity, url): (&Identity, &str)) -> Vec<Record> {
    let each = run.intent.places.iter().zip(&run.intent.findings);
    let subject = (run.intent.places.len() == 1).then(|| Box::new(run.intent.subject.clone()));
    let record = |(place, finding): (&Place, &FindingId)| Record {
        run: run.intent.run.clone(),
        place: place.clone(),
        branch: branch_of(run).unwrap_or_default().to_owned(),
        base_commit: run.intent.commit.clone(),
        head_commit: head.to_owned(),
        url: url.to_owned(),
        number: identity.number,
        author: identity.author.clone(),
        fingerprint: finding.clone(),
        approval: proposed_approval(acting, run, place),
        subject: subject.clone(),
    };
    each.map(record).collect()
}

/// Takes away what a merged proposal leaves on this machine; where that cannot be, it stays and is of no consequence.
pub(super) fn tidy(acting: Acting<'_>, branch: &str, known: &Known) {
    if let Err(reason) = forge::tidy(acting.session, acting.pinned, Sought { branch, known }) {
        tracing::debug!(branch, reason, "a merged branch stays");
    }
}

/// Each reason once.
fn told(over: &[String]) -> String {
    let mut once: Vec<&str> = Vec::new();
    for reason in over {
        if !once.contains(&reason.as_str()) {
            once.push(reason);
        }
    }
    once.join("; ")
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn reported_of(proposal: &Open, status: &str, reasons: &[String]) -> RunReport {
    let found = proposal.findings();
    let cut_off = proposal.unresolved.iter().flat_map(|run| &run.intent.findings).filter(|_| found.is_empty());
    let record = newest(proposal);
    let run = record.map(|record| &record.run).or(proposal.unresolved.as_ref().map(|run| &run.intent.run));
    RunReport {
        id: run.map(ToString::to_string),
        url: record.map(|record| record.url.clone()).filter(|url| !url.is_empty()),
        ..reported(status, found.iter().chain(cut_off), reasons)
    }
}
