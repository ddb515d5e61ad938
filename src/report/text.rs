//! A report for people: what was done, one block a finding, what could not be seen, and a line that sums it up.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use trueup_core::finding::{Lane, Stage};

use super::row::{Columns, Row, cut};
use super::{ActionName, Counts, FindingReport, ProblemReport, Report, RunReport, TargetReport, Verdict};
use crate::visible::visible;

const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// The report as text, at most `width` columns wide where that can be. Colours are in it; the printer takes them out where
/// they do not belong.
#[must_use]
pub fn print(report: &Report, width: usize) -> String {
    let mut text = String::new();
    header(&mut text, report);
    effects(&mut text, report, width);
    let rows: Vec<Row> = report.findings.iter().map(Row::of).collect();
    let columns = Columns::fit(&rows, width);
    for (index, (row, finding)) in rows.iter().zip(&report.findings).enumerate() {
        block(&mut text, index + 1, (row, finding), &columns);
        match why_left(report, finding) {
            Some(reason) => line(&mut text, format_args!("     {DIM}{}{DIM:#}", visible(&reason))),
            None => {
                for (name, said) in finding.people.lines() {
                    line(&mut text, format_args!("     {DIM}{name}: {}{DIM:#}", visible(&said)));
                }
            }
        }
    }
    for problem in &report.problems {
        problem_block(&mut text, problem);
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
    let commit = match source.commit.get(..7) {
        Some("0000000") => "no commit yet",
        Some(short) => short,
        None => &source.commit,
    };
    let dirty = if source.dirty { " (dirty)" } else { "" };
    let targets = report.targets.iter().map(target_header).collect::<Vec<_>>().join("   ");
    line(text, format_args!("{BOLD}source {} @ {commit}{dirty}{BOLD:#}   {targets}", visible(&source.repo)));
}

fn target_header(target: &TargetReport) -> String {
    let name = visible(&target.name);
    match (target.serial, target.objects.declared) {
        (None, 0) => format!("{name}: not seen"),
        (Some(serial), outputs) => format!("{name}: serial {serial}, {}", count(outputs, "output")),
        (None, objects) => format!("{name}: {}", count(objects, "object")),
    }
}

/// What and where on the first line (the values on one of their own where they do not fit), its origin below.
fn block(text: &mut String, number: usize, (row, finding): (&Row, &FindingReport), columns: &Columns) {
    let style = colour(row.lane);
    let (digits, subject, path) = (columns.number, columns.subject_of(row), columns.path_of(row));
    let lane = format!("{style}{:<8}{style:#}  {}", row.lane, row.tail);
    if let Some(change) = columns.change_of(row) {
        line(text, format_args!("{number:>digits$} {subject}  {path}  {change}  {lane}"));
    } else {
        line(text, format_args!("{number:>digits$} {subject}  {path}  {lane}"));
        line(text, format_args!("     {}", columns.change_below(row)));
    }
    let origin = visible(&finding.origin.line_of_file());
    let room = columns.width.saturating_sub(5 + origin.chars().count() + 3 + 3 + finding.id.len()).max(12);
    line(text, format_args!("     {DIM}{origin}   {}   {}{DIM:#}", cut(&writer(finding), room), finding.id));
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
    line(
        text,
        format_args!(" {style}!{style:#} {}{}{}: {}", visible(&target), visible(&place), problem.code, visible(&problem.message)),
    );
}

/// What was done; of what was left, its finding's own block tells.
fn effects(text: &mut String, report: &Report, width: usize) {
    let still_there = |run: &RunReport| report.findings.iter().any(|finding| run.finding.contains(&finding.id));
    let done = report.runs.iter().flatten().filter(|run| run.action != ActionName::None || !still_there(run));
    let from = text.len();
    done.for_each(|run| effect(text, report, run, width));
    if text.len() > from && !report.findings.is_empty() {
        text.push('\n');
    }
}

/// Why nothing was done about a finding, where its lane and stage do not say so already.
fn why_left(report: &Report, finding: &FindingReport) -> Option<String> {
    let acts = finding.lane >= Lane::Auto && finding.stage != Stage::Observe;
    let run = report.runs.iter().flatten().find(|run| run.action == ActionName::None && run.finding.contains(&finding.id))?;
    acts.then(|| format!("{}: {}", run.status, run.reasons.last().map(String::as_str).unwrap_or_default()))
}

/// What was done about which finding, and below it the run, why, and where to look.
fn effect(text: &mut String, report: &Report, run: &RunReport, width: usize) {
    let what = match run.action {
        ActionName::Patch => "patch",
        ActionName::PullRequest => "proposal",
        ActionName::Escalate => "escalation",
        ActionName::None => "none",
    };
    let subject = run.finding.first().and_then(|id| report.subjects.get(id)).map_or("", |(subject, _)| subject);
    let paths = run.finding.iter().filter_map(|id| report.subjects.get(id)).map(|(_, path)| path.as_str());
    let about = format!("{subject} {}", paths.collect::<Vec<_>>().join(", "));
    let room = width.saturating_sub(14 + run.status.chars().count() + 2).max(24);
    line(text, format_args!(" {BOLD}{what:<10}{BOLD:#}  {}  {}", cut(about.trim(), room), visible(&run.status)));
    let id = run.id.as_deref().map(|id| format!("run {id}   ")).unwrap_or_default();
    let room = width.saturating_sub(5 + id.chars().count()).max(24);
    line(text, format_args!("     {DIM}{id}{}{DIM:#}", cut(&visible(&run.reasons.join("; ")), room)));
    if let Some(url) = &run.url {
        line(text, format_args!("     {}", visible(url)));
    }
}

fn summary(text: &mut String, report: &Report) {
    let total = |of: &dyn Fn(&TargetReport) -> bool| {
        report.targets.iter().filter(|target| of(target)).fold(Counts::default(), |sum, target| sum + target.objects)
    };
    let (objects, outputs) = (total(&|target| target.serial.is_none()), total(&|target| target.serial.is_some()));
    let mut parts = vec![findings_by_lane(report)];
    let mut holding = vec![count(objects.as_declared, "object")];
    if outputs.declared > 0 {
        holding.push(count(outputs.as_declared, "output"));
    }
    parts.push(format!("{} true", holding.join(", ")));
    for (skipped, noun) in
        [(objects.skipped_secrets, "Secret"), (objects.skipped - objects.skipped_secrets, "short-lived object")]
    {
        if skipped > 0 {
            parts.push(format!("{} skipped", count(skipped, noun)));
        }
    }
    if objects.leased + outputs.leased > 0 {
        parts.push(format!("{} leased", objects.leased + outputs.leased));
    }
    let unseen = objects.unknown + outputs.unknown;
    if unseen > 0 {
        parts.push(format!("{} not seen", count(unseen, "object")));
    }
    let unknown = report.targets.iter().filter(|target| target.verdict == Verdict::Unknown);
    let unknown: Vec<&str> = unknown.map(|target| target.name.as_str()).collect();
    if !unknown.is_empty() {
        parts.push(format!("{} unknown", visible(&unknown.join(", "))));
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
    if lanes.is_empty() {
        "no findings".to_owned()
    } else {
        format!("{}: {}", count(report.findings.len(), "finding"), lanes.join(", "))
    }
}

/// `1 object`, `2 objects`, `0 entries`.
#[must_use]
pub fn count(number: usize, what: &str) -> String {
    match (number, what.strip_suffix('y')) {
        (1, _) => format!("1 {what}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) if what.ends_with('s') => format!("{number} {what}es"),
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
