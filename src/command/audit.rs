//! `trueup audit verify`.

use crate::cli::Output;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::ledger::{Audit, Ledger};
use crate::session::Session;

pub(super) async fn verify(session: &Session, output: Output) -> Result<Exit, Failure> {
    let path = session.state.ledger();
    let ledger = Ledger::open_to_read(&path).await.map_err(Failure::usage)?;
    let audit = ledger.verify().await.map_err(Failure::usage)?;
    let (text, exit) = match (&audit, output) {
        (Audit::Whole { records, head }, Output::Text | Output::Yaml | Output::Markdown) => {
            let head = head.as_ref().map(|head| format!(", head {}", head.hash)).unwrap_or_default();
            (format!("whole: {records} records{head}\n"), Exit::True)
        }
        (Audit::Broken { seq, why }, Output::Text | Output::Yaml | Output::Markdown) => {
            (format!("broken at record {seq}: {why}\n"), Exit::Drift)
        }
        (Audit::Whole { records, head }, Output::Json) => {
            let head = head.as_ref().map(|head| head.hash.to_string());
            (format!("{}\n", serde_json::json!({"whole": true, "records": records, "head": head})), Exit::True)
        }
        (Audit::Broken { seq, why }, Output::Json) => {
            (format!("{}\n", serde_json::json!({"whole": false, "record": seq, "why": why})), Exit::Drift)
        }
    };
    print(&text)?;
    Ok(exit)
}
