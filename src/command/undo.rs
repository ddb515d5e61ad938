//! `trueup undo`: a run's inverse, decided and written like any correction.

use jiff::Timestamp;
use trueup_core::decide::{Ground, Guards, Inputs, Request, Terms};
use trueup_core::finding::Subject;
use trueup_core::run::{Effect, Run, RunId, RunStatus};

use crate::act::{self, Acting, Basis, perform};
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
    let run = ledger.run(&wanted).await.map_err(Failure::usage)?;
    let run = run.ok_or_else(|| Failure::usage(anyhow::anyhow!("no run `{id}`: `trueup runs` lists them")))?;
    let target = session.settings.targets.iter().find(|target| target.name == run.intent.target);
    let target = target
        .ok_or_else(|| Failure::usage(anyhow::anyhow!("target `{}` of run {id} is not in trueup.toml", run.intent.target)))?;
    let judged =
        connect(target).await.map_err(|reason| Failure::unseen(anyhow::anyhow!("target `{}`: {reason}", target.name)))?;
    let request = request(&run, &judged).await?;
    let (pinned, stop) = (session::pin(session).await?, stop::on_signal().map_err(Failure::usage)?);
    let policy = session::policy(session, &pinned)?;
    let guards: Guards = guards::of(session, &ledger, (&judged, &policy, &pinned), Timestamp::now()).await?;
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

/// What is asked for: the inverse of what the run wrote, if it wrote.
async fn request(run: &Run, judged: &Judged) -> Result<Request, Failure> {
    let id = &run.intent.run;
    let refuse = |why: String| Failure::usage(anyhow::anyhow!("run {id} cannot be undone: {why}"));
    match (&run.intent.effect, &run.status) {
        (Effect::Patch(_), RunStatus::Applied { .. } | RunStatus::Verified(_)) => {}
        (Effect::Patch(_), RunStatus::Intended(_) | RunStatus::Unknown { .. }) => {
            return Err(refuse(format!("it is {}: whether it wrote is found out by the next `trueup sync`", run.status)));
        }
        (Effect::Patch(_), other) => return Err(refuse(format!("it is {other}"))),
        (Effect::PullRequest { .. }, _) => return Err(refuse("it is a proposal; close it, or delete its branch".to_owned())),
    }
    if judged.ground == Ground::State {
        return Err(refuse("a Terraform state is never written".to_owned()));
    }
    let Subject::Object(object) = &run.intent.subject else { return Err(refuse("an output is never written".to_owned())) };
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
