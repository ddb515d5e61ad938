//! `trueup replay`: a run's decision made again by what was recorded, and compared: to the byte, or with what another policy
//! would have decided.

mod other;

use serde_json::{Value, json};
use similar::TextDiff;
use trueup_core::decide::{DecisionRecord, Replayed};
use trueup_core::finding::Subject;
use trueup_core::policy::Policy;
use trueup_core::run::{Effect, Entry, Run, RunId};

use crate::cli::Output;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::session::Session;
use crate::visible::visible_lines;

pub(super) async fn replay(session: &Session, id: &str, policy: Option<&Policy>, output: Output) -> Result<Exit, Failure> {
    let wanted: RunId = id.parse().map_err(Failure::usage)?;
    let unknown = || Failure::usage(anyhow::anyhow!("no run `{id}`: `trueup runs` lists them"));
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?.ok_or_else(unknown)?;
    let run = ledger.run(&wanted).await.map_err(Failure::usage)?.ok_or_else(unknown)?;
    let record = recorded(&ledger, &run).await?;
    if let Some(policy) = policy {
        return other::show(&run, &record, policy, output);
    }
    let replayed = record.replay();
    match output {
        Output::Json => print(&format!("{:#}\n", as_json(&run, &record, &replayed)))?,
        Output::Text | Output::Yaml | Output::Markdown | Output::Csv => print(&text(&run, &record, &replayed))?,
    };
    Ok(if is_same(&run, &record, &replayed) { Exit::True } else { Exit::Drift })
}

/// The record of the decision that the run came of.
async fn recorded(ledger: &Ledger, run: &Run) -> Result<DecisionRecord, Failure> {
    let refuse = |why: String| Failure::usage(anyhow::anyhow!("run {} cannot be decided again: {why}", run.intent.run));
    let seq = run.intent.decided.ok_or_else(|| refuse("it was recorded by a trueup that did not keep decisions".to_owned()))?;
    match ledger.entry(seq).await.map_err(Failure::usage)?.map(|record| record.entry) {
        Some(Entry::Decided(record)) => {
            // The reader that tells changed and unknown records apart.
            DecisionRecord::from_bytes(&record.to_bytes()).map_err(Failure::usage)
        }
        Some(other) => Err(refuse(format!("record {seq} is a record of kind `{}`", other.kind()))),
        None => Err(refuse(format!("record {seq}, its decision, went behind a checkpoint (`[ledger] keep`)"))),
    }
}

/// Whether the same was decided, and the run did that.
fn is_same(run: &Run, record: &DecisionRecord, replayed: &Replayed) -> bool {
    *replayed == Replayed::Same && is_of(run, &record.decisions)
}

/// Whether the run is one of the decisions: its very patch, or a proposal of its finding.
fn is_of(run: &Run, decisions: &Value) -> bool {
    let mut all = decisions.as_array().into_iter().flatten();
    match (&run.intent.effect, &run.intent.subject) {
        (Effect::Patch(effect), Subject::Object(id)) => {
            let object = json!(id);
            let is_it = |correction: &Value| correction["patch"] == effect.patch && correction["object"] == object;
            all.any(|decision| decision.get("correct").is_some_and(is_it))
        }
        (Effect::Patch(_), Subject::Output(_)) => false,
        (Effect::PullRequest { .. }, _) => {
            let proposed: Vec<&str> = all.filter_map(|decision| decision.pointer("/propose/finding")?.as_str()).collect();
            run.intent.findings.iter().all(|finding| proposed.contains(&finding.0.as_str()))
        }
    }
}

fn text(run: &Run, record: &DecisionRecord, replayed: &Replayed) -> String {
    let (id, subject, inputs) = (&run.intent.run, &run.intent.subject, &record.inputs);
    let by = format!(
        "  at      {}\n  inputs  {}\n  policy  {}\n  commit  {}\n",
        inputs.now, record.digest, inputs.policy, run.intent.commit
    );
    match replayed {
        Replayed::Same if is_of(run, &record.decisions) => {
            format!("the same: run {id} of {subject} is decided again, to the byte\n{by}")
        }
        Replayed::Same => {
            format!("not the same: the decisions are made again to the byte, and run {id} of {subject} is none of them\n{by}")
        }
        Replayed::Other(again) => {
            format!("not the same: this trueup decides otherwise than the one of run {id}\n{by}{}\n", changes(record, again))
        }
    }
}

/// What is decided otherwise, line by line.
fn changes(record: &DecisionRecord, again: &Value) -> String {
    let (recorded, now) = (format!("{:#}\n", record.decisions), format!("{again:#}\n"));
    let diff = TextDiff::from_lines(&recorded, &now);
    visible_lines(&diff.unified_diff().context_radius(3).header("recorded", "decided now").to_string())
}

fn as_json(run: &Run, record: &DecisionRecord, replayed: &Replayed) -> Value {
    json!({
        "schema": "trueup.replay/v1",
        "run": run.intent.run,
        "same": is_same(run, record, replayed),
        "digest": record.digest,
        "inputs": record.inputs,
        "recorded": record.decisions,
        "decided": match replayed {
            Replayed::Same => &record.decisions,
            Replayed::Other(again) => again,
        },
    })
}
