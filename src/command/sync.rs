//! `trueup sync`, and what each round of `trueup run` does.

use jiff::Timestamp;

use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::report::Report;
use crate::round::{Round, act, look, preview as preview_round};
use crate::session::Session;
use crate::source::Revision;
use crate::source::history::contains;
use crate::stop::Stop;
use crate::target::Freshness;

/// One round with effects. The verdict is of a second look, after them.
///
/// # Errors
/// No ledger or another process that acts: no writes, exit code 2. No source or policy: nothing is judged.
pub async fn sync(session: &Session, only: &[String], stop: &Stop) -> Result<Report, Failure> {
    if session.revision == Revision::WorkTree {
        return Err(Failure::usage(anyhow::anyhow!("sync acts on commits only: leave out --work-tree, or add --dry-run")));
    }
    let _lock = session.state.lock(Timestamp::now()).map_err(Failure::usage)?;
    let ledger = Ledger::open(&session.state.ledger()).await.map_err(Failure::usage)?;
    // The stop is asked first, each time: a read that is ready at the same moment does not hide it.
    let mut round = tokio::select! {
        biased;
        () = stop.requested() => return Err(Failure::unseen(anyhow::anyhow!("stopped before anything was judged"))),
        round = look(session, Freshness::Fresh) => round?,
    };
    only_known_commits(&round)?;
    let mut subjects = Report::of(&round).subjects;
    let runs = act(session, &mut round, &ledger, only, stop).await?;
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

/// What `sync` would do, with nothing written anywhere.
///
/// # Errors
/// As [`sync`], but without a ledger there is simply no history.
pub async fn preview(session: &Session, only: &[String]) -> Result<Report, Failure> {
    let mut round = look(session, Freshness::Fresh).await?;
    let path = session.state.ledger();
    let ledger = if path.exists() { Some(Ledger::open_to_read(&path).await.map_err(Failure::usage)?) } else { None };
    let runs = preview_round(session, &mut round, ledger.as_ref(), only).await?;
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
