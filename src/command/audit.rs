//! `trueup audit`: check the ledger, print its head, search it.

mod query;

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Output;
use crate::command::{no_form, print};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::{Audit, Ledger, Signed, SignedHead};
use crate::session::Session;
use crate::visible::visible;

pub(super) use query::query;

pub(super) async fn verify(session: &Session, kept: Option<&str>, output: Output) -> Result<Exit, Failure> {
    let kept = kept.map(read_head).transpose()?;
    let ledger = Ledger::open_to_read(&session.ledger).await.map_err(Failure::usage)?;
    let audit = match &kept {
        Some(kept) => ledger.verify_against(kept.recorded).await,
        None => ledger.verify().await,
    };
    let audit = audit.map_err(Failure::usage)?;
    let exit = match &audit {
        Audit::Whole { .. } => Exit::True,
        Audit::Broken { .. } => Exit::Drift,
    };
    match output {
        Output::Text => print(&said(&audit, kept.as_ref()))?,
        Output::Json => print(&format!("{}\n", as_json(&audit)))?,
        Output::Yaml | Output::Markdown | Output::Csv => return Err(no_form(output)),
    };
    Ok(exit)
}

/// The one line that `audit verify --head` takes.
pub(super) async fn head(session: &Session, output: Output) -> Result<Exit, Failure> {
    let ledger = Ledger::open_to_read(&session.ledger).await.map_err(Failure::usage)?;
    let head = ledger.signed_head().await.map_err(Failure::usage)?;
    let head = head.ok_or_else(|| {
        Failure::usage(anyhow::anyhow!(
            "the last record of the ledger `{}` is not signed: the next `trueup sync` with an effect signs it",
            session.ledger.name()
        ))
    })?;
    match output {
        Output::Text => print(&format!("{head}\n")),
        Output::Json => {
            let value = json!({"seq": head.recorded.seq, "hash": head.recorded.hash.to_string(), "epoch": head.epoch,
                "instance": head.instance().as_str(), "head": head.to_string()});
            print(&format!("{value}\n"))
        }
        Output::Yaml | Output::Markdown | Output::Csv => Err(no_form(output)),
    }
}

/// A head as it was kept: the line itself, or a file with it.
fn read_head(text: &str) -> Result<SignedHead, Failure> {
    let line = if Path::new(text).is_file() {
        std::fs::read_to_string(text)
            .map_err(|error| Failure::usage(anyhow::Error::new(error).context(format!("cannot read `{text}`"))))?
    } else {
        text.to_owned()
    };
    line.parse().map_err(|error| Failure::usage(anyhow::Error::new(error).context(format!("`{}`", visible(text)))))
}

fn said(audit: &Audit, kept: Option<&SignedHead>) -> String {
    let (records, head, pruned, signed) = match audit {
        Audit::Broken { seq, why } => return format!("broken at record {seq}: {why}\n"),
        Audit::Whole { records, head, pruned, signed } => (records, head, pruned, signed),
    };
    let head = head.as_ref().map(|head| format!(", head {}", head.hash)).unwrap_or_default();
    let signed = match signed {
        Signed::Here(_) => ", signed by this state folder's key".to_owned(),
        Signed::Elsewhere(by) => {
            format!(", signed by another key, of instance {by}: compare with a head that was kept elsewhere")
        }
        Signed::Nobody if *records == 0 => String::new(),
        Signed::Nobody => ", not signed yet".to_owned(),
    };
    let mut lines = vec![format!("whole: {records} records{head}{signed}")];
    if *pruned > 0 {
        lines.push(format!("{pruned} older records went behind a checkpoint"));
    }
    if let Some(kept) = kept {
        let seq = kept.recorded.seq;
        let there = if seq < *pruned { "went behind a checkpoint, so it cannot be compared" } else { "is there as it was" };
        lines.push(format!("record {seq} of the head that was kept {there}"));
    }
    lines.join("\n") + "\n"
}

fn as_json(audit: &Audit) -> Value {
    match audit {
        Audit::Broken { seq, why } => json!({"whole": false, "record": seq, "why": why}),
        Audit::Whole { records, head, pruned, signed } => {
            let (by, here) = match signed {
                Signed::Here(by) => (Some(by.as_str()), true),
                Signed::Elsewhere(by) => (Some(by.as_str()), false),
                Signed::Nobody => (None, false),
            };
            let head = head.as_ref().map(|head| head.hash.to_string());
            json!({"whole": true, "records": records, "head": head, "pruned": pruned, "signed_by": by, "signed_here": here})
        }
    }
}
