//! `trueup diff`.

use crate::cli::Output;
use crate::command::{no_form, print};
use crate::exit::Exit;
use crate::explain;
use crate::failure::Failure;
use crate::report::{Report, text};
use crate::round::look;
use crate::session::Session;
use crate::target::Freshness;

pub(super) async fn diff(session: &Session, output: Output) -> Result<Exit, Failure> {
    let report = diff_once(session).await?;
    show(&report, output)?;
    Ok(report.exit())
}

/// Shows one object whole.
pub(super) async fn all_paths(session: &Session, object: &str, output: Output) -> Result<Exit, Failure> {
    let report = explain::all_paths(session, object).await?;
    match output {
        Output::Text => print(&report.print(terminal_width())),
        Output::Json => print(&format!("{}\n", serde_json::to_string_pretty(&report).map_err(Failure::usage)?)),
        Output::Yaml | Output::Markdown | Output::Csv => Err(no_form(output)),
    }?;
    Ok(report.exit())
}

/// Looks once.
pub(crate) async fn diff_once(session: &Session) -> Result<Report, Failure> {
    Ok(Report::of(&look(session, Freshness::Cached).await?))
}

/// Prints a report.
pub(crate) fn show(report: &Report, output: Output) -> Result<Exit, Failure> {
    match output {
        Output::Text => print(&text::print(report, terminal_width())),
        Output::Json => print(&format!("{}\n", report.to_json().map_err(Failure::usage)?)),
        Output::Yaml | Output::Markdown | Output::Csv => Err(no_form(output)),
    }
}

/// The terminal's width; where stdout is none, a line may be as long as it needs.
pub(crate) fn terminal_width() -> usize {
    terminal_size::terminal_size_of(std::io::stdout()).map_or(usize::MAX, |(width, _)| usize::from(width.0))
}
