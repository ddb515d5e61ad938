//! The pages of `trueup explain` on what is no finding, and the parts that all pages share.

use std::fmt::Write;

use trueup_core::facts::{Origin, Pair};
use trueup_core::object::TargetName;
use trueup_core::path::Path;
use trueup_kubernetes::normal::uncompared;

use super::rows::PathRow;
use super::words::{self, change, evidence, never_compared, reason, shown, writer};
use crate::command::terminal_width;
use crate::report::paths::{PathReport, print_rows};
use crate::target::JudgedCase;
use crate::visible::visible;

/// One row in the public form.
pub(super) fn report(row: &PathRow<'_>) -> PathReport {
    PathReport {
        path: row.path.to_string(),
        pointer: row.pointer.clone(),
        verdict: words::name(&row.outcome),
        finding: row.finding().map(|finding| finding.id.to_string()),
        lane: row.finding().map(|finding| finding.lane),
        declared: row.declared.clone(),
        origin: row.origin.clone(),
        expected: row.expected.clone(),
        live: row.live.clone(),
        cause: row.cause.clone(),
        reason: reason(row),
    }
}

/// Why an object is no finding.
pub(super) fn no_finding(target: &TargetName, case: &JudgedCase, pair: &Pair, path: Option<&Path>) -> String {
    let what = path.map_or_else(|| "no finding".to_owned(), Path::to_string);
    let mut page = Page::titled(&format!("{} in {target}: {what}", pair.desired().id));
    match pair {
        Pair::Matched(_) => {
            page.line("verdict", "as Git declares");
            for (drift, reason) in &case.comparison.allowed {
                page.line("by right", &format!("{}: {reason}", drift.path));
            }
        }
        Pair::Missing(_) => page.line("verdict", "missing, and an ignore rule names it"),
        Pair::Unseen(_, reason) => page.line("verdict", &format!("unknown: {reason}")),
        Pair::Skipped(_, reason) => page.line("verdict", &format!("skipped: {reason}")),
    }
    page.text
}

/// What is at a path beside findings: one value, several inside it, or nothing at all. `rows` are those that concern it.
#[must_use]
pub fn at_path(target: &TargetName, pair: &Pair, path: &Path, rows: &[&PathRow<'_>]) -> String {
    let title = |path: &Path| Page::titled(&format!("{} in {target}: {}", pair.desired().id, path_or_all(path)));
    let silent: Vec<&PathRow<'_>> = rows.iter().filter(|row| row.finding().is_none()).copied().collect();
    match silent[..] {
        [] if !rows.is_empty() => String::new(),
        [] => {
            let mut page = title(path);
            page.line("verdict", "no finding");
            let nowhere = "neither Git nor live has this path, nor would the server add it";
            page.line("rule", uncompared(path).map_or(nowhere, never_compared));
            let file = &pair.desired().origin.file;
            page.value("change it", uncompared(path).is_none().then(|| format!("a value in {file}, or one in live")));
            page.text
        }
        [row] => {
            let mut page = title(&row.path);
            of_row(&mut page, pair, row);
            page.text
        }
        _ => {
            let mut text = title(path).text;
            let reports: Vec<PathReport> = silent.iter().map(|row| report(row)).collect();
            print_rows(&mut text, &reports, terminal_width());
            text
        }
    }
}

fn of_row(page: &mut Page, pair: &Pair, row: &PathRow<'_>) {
    let desired = pair.desired();
    page.line("verdict", "no finding");
    page.line("Git", &declared(row, &desired.origin_of(&row.path)));
    page.value("expected", row.evidence.map(|basis| format!("{}   by {}", shown(row.expected.as_ref()), evidence(basis))));
    page.line("live", &shown(row.live.as_ref()));
    page.value("writer", row.live.as_ref().map(|_| writer(&row.cause)));
    page.line("rule", &reason(row));
    page.line("change it", &change(row, &desired.origin.file));
}

/// Git's value and where it stands.
pub(super) fn declared(row: &PathRow<'_>, nearest: &Origin) -> String {
    match (&row.declared, &row.origin) {
        (Some(declared), origin) => format!("{declared}   {}", origin.as_ref().unwrap_or(nearest)),
        (None, Some(origin)) => format!("declared at {origin}, to no effect"),
        (None, None) => format!("not declared; around it: {nearest}"),
    }
}

pub(super) fn path_or_all(path: &Path) -> String {
    if path.0.is_empty() { "the whole object".to_owned() } else { path.to_string() }
}

/// A title, and lines of a name and a text.
pub(super) struct Page {
    pub(super) text: String,
}

impl Page {
    pub(super) fn titled(title: &str) -> Self {
        Self { text: format!("{}\n", visible(title)) }
    }

    pub(super) fn line(&mut self, name: &str, text: &str) {
        writeln!(self.text, "  {name:<10} {}", visible(text)).expect("writing to a String cannot fail");
    }

    /// A line that stands there only where there is something to say.
    pub(super) fn value(&mut self, name: &str, text: Option<String>) {
        if let Some(text) = text {
            self.line(name, &text);
        }
    }
}
