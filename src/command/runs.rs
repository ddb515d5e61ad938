//! `trueup runs`.

use std::fmt::Write;

use serde_json::{Value, json};
use trueup_core::run::{Effect, HandBack, Outcome, Run, RunId, RunStatus};

use crate::cli::Output;
use crate::command::{no_form, print};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::session::Session;
use crate::visible::visible;

pub(super) async fn runs(session: &Session, id: Option<&str>, output: Output) -> Result<Exit, Failure> {
    let Some(ledger) = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)? else {
        let Some(id) = id else {
            return print(if output == Output::Json { "[]\n" } else { "no runs yet: `trueup sync` makes them\n" });
        };
        let _run: RunId = id.parse().map_err(Failure::usage)?;
        return Err(Failure::usage(anyhow::anyhow!("no run `{id}`: nothing was done yet, `trueup sync` does")));
    };
    let mut runs = ledger.runs().await.map_err(Failure::usage)?;
    if let Some(id) = id {
        let wanted: RunId = id.parse().map_err(Failure::usage)?;
        runs.retain(|run| run.intent.run == wanted);
        let Some(run) = runs.first() else {
            return Err(Failure::usage(anyhow::anyhow!("no run `{id}`: `trueup runs` lists them")));
        };
        if output == Output::Text {
            return print(&whole(run));
        }
    }
    match output {
        Output::Text => print(&runs.iter().rev().map(line).collect::<String>()),
        Output::Json => {
            let runs: Vec<Value> = runs.iter().map(as_json).collect();
            print(&format!("{}\n", serde_json::to_string_pretty(&runs).map_err(Failure::usage)?))
        }
        Output::Yaml | Output::Markdown | Output::Csv => Err(no_form(output)),
    }
}

fn line(run: &Run) -> String {
    let what = format!("{} {}", run.intent.subject, run.intent.paths.join(", "));
    format!(
        "{}  {}  {:<12}  {:<9}  {}: {}\n",
        run.intent.run,
        second(run.begun),
        run.intent.effect.kind(),
        run.status,
        run.intent.target,
        visible(what.trim_end())
    )
}

fn second(time: jiff::Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn whole(run: &Run) -> String {
    let mut text = line(run);
    let mut add = |name: &str, value: String| {
        if !value.is_empty() {
            writeln!(text, "  {name:<9} {}", visible(&value)).expect("writing to a String cannot fail");
        }
    };
    add("commit", run.intent.commit.clone());
    add(
        "class",
        match &run.intent.classes[..] {
            [] => "none: a person asked for it".to_owned(),
            classes => classes.join(", "),
        },
    );
    add("findings", run.intent.findings.iter().map(|id| id.0.as_str()).collect::<Vec<_>>().join(" "));
    add("reasons", run.intent.reasons.join("; "));
    add("state", run.status.state().to_string());
    add("status", status(&run.status));
    match &run.intent.effect {
        Effect::Patch(effect) => {
            add("patch", effect.patch.to_string());
            add("before", effect.pre_image.to_string());
            add("inverse", effect.inverse.to_string());
            add("undoes", effect.takes_back.as_ref().map(ToString::to_string).unwrap_or_default());
            for vitals in &effect.health {
                add("health", format!("{} was {} before", vitals.object, vitals.health));
            }
            add("to", run.hand_back.as_ref().map(handed_back).unwrap_or_default());
        }
        Effect::PullRequest { branch, head_commit } => {
            add("branch", branch.clone());
            add("head", head_commit.clone());
            for proposal in run.proposals.values() {
                add("url", proposal.url.clone());
            }
        }
    }
    add("records", run.records.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
    text
}

/// The status with what it carries.
fn status(status: &RunStatus) -> String {
    match status {
        RunStatus::Void { reason } | RunStatus::Unknown { reason, .. } | RunStatus::Undetermined { reason } => {
            format!("{status}: {reason}")
        }
        RunStatus::Refused { message } | RunStatus::Inadmissible { message } => format!("{status}: {message}"),
        RunStatus::Undone { by } => format!("{status} by {by}"),
        RunStatus::Intended(_)
        | RunStatus::Applied { .. }
        | RunStatus::Proposed { .. }
        | RunStatus::Closed(_)
        | RunStatus::Verified(_) => status.to_string(),
    }
}

/// What became of the fields that go back to their owner.
fn handed_back(back: &HandBack) -> String {
    match &back.outcome {
        Outcome::Applied { .. } => format!("handed back to {}", back.to),
        Outcome::Refused { message } | Outcome::Inadmissible { message } => {
            format!("not handed back to {}: {message}", back.to)
        }
        Outcome::Void { reason } | Outcome::Unknown { reason } | Outcome::Undetermined { reason } => {
            format!("not handed back to {}: {reason}", back.to)
        }
    }
}

fn as_json(run: &Run) -> Value {
    let (patch, inverse, undoes, health) = match &run.intent.effect {
        Effect::Patch(effect) => (Some(&effect.patch), Some(&effect.inverse), effect.takes_back.as_ref(), &effect.health[..]),
        Effect::PullRequest { .. } => (None, None, None, &[][..]),
    };
    let health = health.iter().map(|vitals| (vitals.object.to_string(), vitals.health.to_string().into()));
    json!({
        "id": run.intent.run.to_string(),
        "begun": second(run.begun),
        "target": run.intent.target,
        "finding": run.intent.findings,
        "paths": run.intent.paths,
        "action": run.intent.effect.kind().name(),
        "state": run.status.state(),
        "status": status(&run.status),
        "commit": run.intent.commit,
        "classes": run.intent.classes,
        "reasons": run.intent.reasons,
        "patch": patch,
        "inverse": inverse,
        "undoes": undoes.map(ToString::to_string),
        "health": health.collect::<serde_json::Map<_, Value>>(),
        "hand_back": run.hand_back.as_ref().map(handed_back),
        "url": run.proposals.values().next().map(|proposal| &proposal.url),
        "records": run.records,
    })
}
