//! `trueup undo`: a run's inverse, decided and written like any correction, once what earlier processes left unfinished is known.

use jiff::Timestamp;
use trueup_core::decide::{Ground, Guards, Inputs, Request, Terms};
use trueup_core::finding::Subject;
use trueup_core::run::{Effect, Run, RunId, RunStatus};

use crate::act::{self, Acting, Basis, Guarded, perform};
use crate::cli::Output;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::guards;
use crate::ledger::Ledger;
use crate::report::{ActionName, RunReport};
use crate::session::{self, Session};
use crate::stop;
use crate::target::{Judged, connect};
use crate::visible::visible;

pub(super) async fn undo(session: &Session, id: &str, output: Output) -> Result<Exit, Failure> {
    let wanted: RunId = id.parse().map_err(Failure::usage)?;
    if Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?.is_none() {
        return Err(Failure::usage(anyhow::anyhow!("no run `{id}`: nothing was done yet, `trueup sync` does")));
    }
    let _lock = session.state.lock(Timestamp::now()).map_err(Failure::usage)?;
    let ledger = Ledger::open(&session.ledger).await.map_err(Failure::usage)?;
    let run = known(&ledger, &wanted).await?;
    let target = session.settings.targets.iter().find(|target| target.name == run.intent.target);
    let target = target
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("target `{}` of run {id} is not in trueup.toml", run.intent.target)))?;
    let judged =
        connect(target).await.map_err(|reason| Failure::unseen(anyhow::anyhow!("target `{}`: {reason}", target.name)))?;
    let (pinned, stop) = (session::pin(session).await?, stop::on_signal().map_err(Failure::usage)?);
    let policy = session::policy(session, &pinned)?;
    // An earlier undo whose answer was lost may be on its way.
    let guarded = act::guarded(session, &ledger.under(&policy), (&judged, &policy, &pinned)).await?;
    let run = known(&ledger, &wanted).await?;
    let runs = ledger.runs().await.map_err(Failure::usage)?;
    let request = request((&run, &runs), &judged, &guarded).await?;
    let guards: Guards = guarded.guards;
    let cluster = guards::cluster(session, &ledger, &judged).await?;
    let about = ledger.under(&policy).of_cluster(cluster);
    let terms = Terms { target: &judged.name, requests: &[request], guards: &guards, policy: &policy, now: Timestamp::now() };
    let (basis, decisions) = Basis::decide(&Inputs::of(&[], terms));
    let only = &[][..];
    let acting =
        Acting { session, pinned: &pinned, policy: &policy, ledger: &about, basis: &basis, requests: &[], only, stop: &stop };
    let reports = perform(acting, &judged, &guards, decisions).await.map_err(Failure::usage)?;
    drop(about);
    ledger.close().await.map_err(Failure::usage)?;
    show(&run, &reports, output)
}

async fn known(ledger: &Ledger, id: &RunId) -> Result<Run, Failure> {
    let run = ledger.run(id).await.map_err(Failure::usage)?;
    run.ok_or_else(|| Failure::usage(anyhow::anyhow!("no run `{id}`: `trueup runs` lists them")))
}

/// What is asked for: the inverse of what the run wrote, if it wrote and nothing else may have come to its object since.
async fn request((run, runs): (&Run, &[Run]), judged: &Judged, guarded: &Guarded) -> Result<Request, Failure> {
    let id = &run.intent.run;
    let refuse = |why: String| Failure::usage(anyhow::anyhow!("run {id} cannot be undone: {why}"));
    match (&run.intent.effect, &run.status) {
        (Effect::Patch(_), RunStatus::Applied { .. } | RunStatus::Verified(_)) => {}
        (Effect::Patch(_), RunStatus::Intended(_) | RunStatus::Unknown { .. }) => {
            return Err(refuse(format!("it is {}: whether it wrote is found out by the next `trueup sync`", run.status)));
        }
        (Effect::Patch(_), RunStatus::Undetermined { reason }) => {
            return Err(refuse(format!("whether it wrote cannot be told any more ({reason}): put it back by hand")));
        }
        (Effect::Patch(_), other) => return Err(refuse(format!("it is {other}"))),
        (Effect::PullRequest { .. }, _) => return Err(refuse("it is a proposal; close it, or delete its branch".to_owned())),
    }
    if judged.ground == Ground::State {
        return Err(refuse("a Terraform state is never written".to_owned()));
    }
    let Subject::Object(object) = &run.intent.subject else { return Err(refuse("an output is never written".to_owned())) };
    if let Some(open) = guarded.unresolved.get(object) {
        return Err(refuse(format!(
            "whether run {open} has changed `{object}` is not known yet, and is found out by the next `trueup sync`"
        )));
    }
    act::untouched(runs, run).map_err(refuse)?;
    let live = judged.reach.read(object).await.map_err(|error| Failure::unseen(anyhow::anyhow!("{error}")))?;
    act::request(run, live.ok_or_else(|| refuse(format!("`{object}` is gone")))?).map_err(refuse)
}

fn show(run: &Run, reports: &[RunReport], output: Output) -> Result<Exit, Failure> {
    let undone = reports
        .iter()
        .any(|report| report.action == ActionName::Patch && matches!(report.status.as_str(), "settled" | "applied"));
    if output == Output::Json {
        print(&format!("{}\n", serde_json::to_string_pretty(reports).map_err(Failure::usage)?))?;
    } else {
        for report in reports {
            let by = report.id.as_deref().map(|id| format!(" by run {id}")).unwrap_or_default();
            let reason = report.reasons.last().map(String::as_str).unwrap_or_default();
            let (id, subject) = (&run.intent.run, &run.intent.subject);
            let text = if undone {
                format!("undone: run {id} of {subject}{by}\n  its paths are held until Git or a person changes them\n")
            } else {
                format!("not undone: run {id} of {subject}: {}\n", visible(reason))
            };
            print(&text)?;
        }
    }
    Ok(if undone { Exit::True } else { Exit::Drift })
}
