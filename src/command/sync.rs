//! `trueup sync`, and what each round of `trueup run` does.

use jiff::{SignedDuration, Timestamp};

use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::report::Report;
use crate::round::{Round, act, look, preview as preview_round};
use crate::session::Session;
use crate::source::Revision;
use crate::source::history::contains;
use crate::stop::Stop;
use crate::target::Freshness;

const DAY: SignedDuration = SignedDuration::from_hours(24);

/// One round with effects. The verdict is of a second look, after them.
///
/// # Errors
/// No ledger or another process that acts: no writes, exit code 2. No source or policy: nothing is judged.
pub async fn sync(session: &Session, only: &[String], stop: &Stop) -> Result<Report, Failure> {
    if session.revision == Revision::WorkTree {
        return Err(Failure::usage(anyhow::anyhow!("sync acts on commits only: leave out --work-tree, or add --dry-run")));
    }
    let _lock = session.state.lock(Timestamp::now()).map_err(Failure::usage)?;
    let ledger = Ledger::open(&session.ledger).await.map_err(Failure::usage)?;
    // The stop is asked first, each time: a read that is ready at the same moment does not hide it.
    let round = tokio::select! {
        biased;
        () = stop.requested() => return Err(Failure::unseen(anyhow::anyhow!("stopped before anything was judged"))),
        round = look(session, Freshness::Fresh) => round?,
    };
    only_known_commits(&round)?;
    let mut subjects = Report::of(&round).subjects;
    let runs = act(session, &round, &ledger, only, stop).await?;
    prune(session, &ledger).await?;
    let after = tokio::select! {
        biased;
        () = stop.requested() => return Err(Failure::unseen(anyhow::anyhow!("stopped after {} effects, all recorded", runs.len()))),
        after = second_look(session, &runs, round) => after?,
    };
    ledger.close().await.map_err(Failure::usage)?;
    let report = Report::of(&after);
    subjects.extend(report.subjects.clone());
    Ok(Report { runs: Some(runs), subjects, ..report })
}

/// Where something was written, the target is looked at again; where nothing was, the first look still holds.
async fn second_look(session: &Session, runs: &[crate::report::RunReport], round: Round) -> Result<Round, Failure> {
    let wrote = runs.iter().any(|run| run.action == crate::report::ActionName::Patch);
    if wrote { look(session, Freshness::Cached).await } else { Ok(round) }
}

/// Lets go what is older than `[ledger] keep`, once a day at most: each time leaves a record.
async fn prune(session: &Session, ledger: &Ledger) -> Result<(), Failure> {
    let Some(keep) = session.settings.ledger.keep else { return Ok(()) };
    let now = Timestamp::now();
    let before = now.checked_sub(keep).map_err(Failure::usage)?;
    let oldest = ledger.oldest().await.map_err(Failure::usage)?;
    if oldest.is_some_and(|oldest| oldest < before - DAY) {
        let went = ledger.prune(before, now).await.map_err(Failure::usage)?;
        tracing::info!(records = went, "old records of the ledger went behind a checkpoint");
    }
    Ok(())
}

/// What `sync` would do, with nothing written anywhere.
///
/// # Errors
/// As [`sync`], but without a ledger there is simply no history.
pub async fn preview(session: &Session, only: &[String]) -> Result<Report, Failure> {
    let round = look(session, Freshness::Fresh).await?;
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?;
    let runs = preview_round(session, &round, ledger.as_ref(), only).await?;
    Ok(Report { runs: Some(runs), ..Report::of(&round) })
}

/// Effects follow reviewed commits only: `--commit` must be in the source's ref.
fn only_known_commits(round: &Round) -> Result<(), Failure> {
    let known = contains(&round.pinned, &round.pinned.commit).map_err(Failure::usage)?;
    if known {
        return Ok(());
    }
    let (commit, reference) = (&round.pinned.commit, &round.pinned.reference);
    Err(Failure::usage(anyhow::anyhow!("commit {commit} is not in `{reference}`: sync acts on commits of the source's ref only")))
}
