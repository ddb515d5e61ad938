//! `trueup replay`: a run's decision made again by what was recorded, and compared byte for byte.

use serde_json::{Value, json};
use similar::TextDiff;
use trueup_core::decide::{DecisionRecord, Replayed};
use trueup_core::run::{Effect, Entry, Run, RunId};

use crate::cli::Output;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::session::Session;
use crate::visible::visible_lines;

pub(super) async fn replay(session: &Session, id: &str, output: Output) -> Result<Exit, Failure> {
    let wanted: RunId = id.parse().map_err(Failure::usage)?;
    let unknown = || Failure::usage(anyhow::anyhow!("no run `{id}`: `trueup runs` lists them"));
    let ledger = Ledger::open_if_there(&session.ledger).await.map_err(Failure::usage)?.ok_or_else(unknown)?;
    let run = ledger.run(&wanted).await.map_err(Failure::usage)?.ok_or_else(unknown)?;
    let record = recorded(&ledger, &run).await?;
    let replayed = record.replay();
    match output {
        Output::Json => print(&format!("{:#}\n", as_json(&run, &record, &replayed)))?,
        _ => print(&text(&run, &record, &replayed))?,
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
    let all = decisions.as_array().map(Vec::as_slice).unwrap_or_default();
    match &run.intent.effect {
        Effect::Patch(effect) => {
            all.iter().any(|decision| decision.pointer("/correct/patch") == Some(&effect.patch) && is_about(run, decision))
        }
        Effect::PullRequest { .. } => run.intent.findings.iter().all(|finding| {
            all.iter().any(|decision| decision.pointer("/propose/finding").and_then(Value::as_str) == Some(&finding.0))
        }),
    }
}

fn is_about(run: &Run, decision: &Value) -> bool {
    let object = match &run.intent.subject {
        trueup_core::finding::Subject::Object(id) => serde_json::to_value(id).unwrap_or_default(),
        trueup_core::finding::Subject::Output(_) => return false,
    };
    decision.pointer("/correct/object") == Some(&object)
}

fn text(run: &Run, record: &DecisionRecord, replayed: &Replayed) -> String {
    let (id, subject) = (&run.intent.run, &run.intent.subject);
    let inputs = &record.inputs;
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
            format!("not the same: this trueup decides otherwise than the one of run {id}\n{by}{}", changes(record, again))
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
