//! A report for people: one block a finding, aligned, coloured on a terminal.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use trueup_core::finding::{Lane, Stage};
use trueup_core::seen::Seen;

use super::{ActionName, Counts, FindingReport, ProblemReport, Report, RunReport, TargetReport, Verdict};
use crate::visible::visible;

/// Longer values are cut: the whole ones are in `explain` and in JSON.
const VALUE_WIDTH: usize = 48;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The report as text. Colours are in it; the printer takes them out where they do not belong.
#[must_use]
pub fn print(report: &Report) -> String {
    let mut text = String::new();
    header(&mut text, report);
    let rows: Vec<Row> = report.findings.iter().map(Row::of).collect();
    let widths = Widths::of(&rows);
    for (index, (row, finding)) in rows.iter().zip(&report.findings).enumerate() {
        block(&mut text, index + 1, row, &widths, finding);
    }
    for problem in &report.problems {
        problem_block(&mut text, problem);
    }
    for run in report.runs.iter().flatten() {
        effect(&mut text, run);
    }
    summary(&mut text, report);
    text
}

/// The colour of a lane.
#[must_use]
pub fn colour(lane: Lane) -> Style {
    let colour = match lane {
        Lane::Ignore | Lane::Watch => AnsiColor::BrightBlack,
        Lane::Auto => AnsiColor::Green,
        Lane::Review => AnsiColor::Yellow,
        Lane::Escalate => AnsiColor::Red,
    };
    colour.on_default()
}

fn header(text: &mut String, report: &Report) {
    let source = &report.source;
    let dirty = if source.dirty { " (dirty)" } else { "" };
    let targets = report.targets.iter().map(target_header).collect::<Vec<_>>().join("   ");
    let commit = source.commit.get(..7).unwrap_or(&source.commit);
    line(text, format_args!("{BOLD}source {} @ {commit}{dirty}{BOLD:#}   {targets}", visible(&source.repo)));
}

fn target_header(target: &TargetReport) -> String {
    let name = visible(&target.name);
    match target.serial {
        Some(serial) => format!("{name}: serial {serial}, {}", count(target.objects.declared, "output")),
        None => format!("{name}: {}", count(target.objects.declared, "object")),
    }
}

/// The columns of a finding's first line.
struct Row {
    subject: String,
    path: String,
    change: String,
    lane: Lane,
    tail: String,
}

impl Row {
    fn of(finding: &FindingReport) -> Self {
        let observed = finding.lane >= Lane::Auto && finding.stage == Stage::Observe;
        Self {
            subject: subject(finding),
            path: visible(finding.path.as_deref().or(finding.predicate).unwrap_or("whole object")),
            change: change(finding),
            lane: finding.lane,
            tail: format!("risk {}{}", finding.risk.score, if observed { " (observe)" } else { "" }),
        }
    }
}

fn subject(finding: &FindingReport) -> String {
    let text = |key: &str| finding.object.get(key).and_then(serde_json::Value::as_str);
    let subject = match (text("kind"), text("namespace"), text("name")) {
        (Some(kind), Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (Some(kind), None, Some(name)) => format!("{kind} {name}"),
        _ => format!("{} output {}", finding.target, text("output").unwrap_or_default()),
    };
    visible(&subject)
}

fn change(finding: &FindingReport) -> String {
    if finding.change == "missing-object" {
        return "missing".to_owned();
    }
    let side = |seen: &Option<Seen>| seen.as_ref().map_or_else(|| "(none)".to_owned(), shown);
    format!("{} → {}", side(&finding.desired), side(&finding.live))
}

/// A value on one line, cut where it is long.
fn shown(seen: &Seen) -> String {
    let text = match seen {
        Seen::Plain(serde_json::Value::Array(entries)) if seen.to_string().chars().count() > VALUE_WIDTH => {
            return format!("[{}]", count(entries.len(), "entry"));
        }
        Seen::Plain(serde_json::Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        seen => visible(&seen.to_string()),
    };
    if text.chars().count() <= VALUE_WIDTH {
        return text;
    }
    let cut: String = text.chars().take(VALUE_WIDTH - 1).collect();
    format!("{cut}…")
}

struct Widths {
    subject: usize,
    path: usize,
    change: usize,
}

impl Widths {
    fn of(rows: &[Row]) -> Self {
        let width = |column: fn(&Row) -> &str, most: usize| rows.iter().map(|row| column(row).chars().count()).max().unwrap_or(0).min(most);
        Self { subject: width(|row| &row.subject, 40), path: width(|row| &row.path, 56), change: width(|row| &row.change, 40) }
    }
}

fn block(text: &mut String, number: usize, row: &Row, widths: &Widths, finding: &FindingReport) {
    let style = colour(row.lane);
    let (subject, path, change) = (widths.subject, widths.path, widths.change);
    let columns = format!("{:<subject$}  {:<path$}  {:<change$}", row.subject, row.path, row.change);
    line(text, format_args!("{number:>2} {columns}  {style}{:<8}{style:#}  {}", row.lane, row.tail));
    let origin = format!("{}:{}", visible(&finding.origin.file), finding.origin.line);
    line(text, format_args!("     {DIM}{origin}   {}   {}{DIM:#}", writer(finding), finding.id));
}

fn writer(finding: &FindingReport) -> String {
    let Some(manager) = &finding.cause.manager else { return "writer unknown".to_owned() };
    let through = finding.cause.subresource.as_ref().map(|subresource| format!(" through {subresource}")).unwrap_or_default();
    let time = finding.cause.time.as_ref().map(|time| format!(" {time}")).unwrap_or_default();
    visible(&format!("written by {manager}{through}{time}"))
}

fn problem_block(text: &mut String, problem: &ProblemReport) {
    let style = AnsiColor::Red.on_default();
    let place = problem.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    let target = problem.target.as_ref().map(|target| format!("{target}: ")).unwrap_or_default();
    line(text, format_args!(" {style}!{style:#} {}{}{}: {}", visible(&target), visible(&place), problem.code, visible(&problem.message)));
}

fn effect(text: &mut String, run: &RunReport) {
    let what = match run.action {
        ActionName::Patch => "patch",
        ActionName::PullRequest => "proposal",
        ActionName::Escalate => "escalation",
        ActionName::None => "left",
    };
    let id = run.id.as_deref().map(|id| format!(" {id}")).unwrap_or_default();
    let url = run.url.as_deref().map(|url| format!("   {url}")).unwrap_or_default();
    let findings = run.finding.join(" ");
    line(text, format_args!(" {BOLD}{what}{BOLD:#}{id}   {}{}   {DIM}{findings}{DIM:#}", visible(&run.status), visible(&url)));
    if let Some(reason) = run.reasons.last() {
        line(text, format_args!("     {DIM}{}{DIM:#}", visible(reason)));
    }
}

fn summary(text: &mut String, report: &Report) {
    let mut parts = vec![findings_by_lane(report)];
    let total = report.targets.iter().fold(Counts::default(), |sum, target| sum + target.objects);
    parts.push(format!("{} true", total.as_declared));
    if total.skipped > 0 {
        parts.push(format!("{} skipped", count(total.skipped, "Secret")));
    }
    let unknown = report.targets.iter().filter(|target| target.verdict == Verdict::Unknown);
    let unknown: Vec<&str> = unknown.map(|target| target.name.as_str()).collect();
    if !unknown.is_empty() {
        parts.push(format!("{} not seen: {} unknown", total.unknown, visible(&unknown.join(", "))));
    }
    parts.push(format!("{:.2} s", report.took.as_secs_f64()));
    line(text, format_args!("{}", parts.join(" · ")));
}

fn findings_by_lane(report: &Report) -> String {
    let lanes = [Lane::Ignore, Lane::Watch, Lane::Auto, Lane::Review, Lane::Escalate].map(|lane| {
        let number = report.findings.iter().filter(|finding| finding.lane == lane).count();
        (number > 0).then(|| format!("{number} {lane}"))
    });
    let lanes: Vec<String> = lanes.into_iter().flatten().collect();
    if lanes.is_empty() { "no findings".to_owned() } else { format!("{}: {}", count(report.findings.len(), "finding"), lanes.join(", ")) }
}

/// `1 object`, `2 objects`, `0 entries`.
fn count(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {what}s"),
    }
}

/// One line without blanks at its end.
fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let from = text.len();
    text.write_fmt(arguments).expect("writing to a String cannot fail");
    text.truncate(from + text[from..].trim_end().len());
    text.push('\n');
}
