//! `trueup diff`.

use crate::cli::Output;
use crate::command::print;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::report::{Report, text};
use crate::round::look;
use crate::session::Session;
use crate::target::Freshness;

pub(super) async fn diff(session: &Session, output: Output) -> Result<Exit, Failure> {
    let report = Report::of(&look(session, Freshness::Cached).await?);
    show(&report, output)?;
    Ok(report.exit())
}

/// Prints a report.
pub(crate) fn show(report: &Report, output: Output) -> Result<Exit, Failure> {
    match output {
        Output::Text => print(&text::print(report)),
        Output::Json => print(&format!("{}\n", report.to_json().map_err(Failure::usage)?)),
        Output::Yaml => Err(Failure::usage(anyhow::anyhow!("-o yaml belongs to `trueup render`: use text or json"))),
    }
}
