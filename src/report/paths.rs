//! All paths of an object, each with its verdict: the public form `trueup.paths/v1` that text and JSON are printed from.

use std::fmt::Write;

use anstyle::Style;
use serde::Serialize;
use serde_json::Value;
use trueup_core::facts::{Evidence, Origin};
use trueup_core::finding::{Cause, Lane};
use trueup_core::seen::Seen;

use super::ProblemReport;
use super::row::{changed, cut, cut_head, shorter, shown};
use super::text::{colour, count};
use crate::exit::Exit;
use crate::round::SourceState;
use crate::visible::visible;

/// The report's schema.
pub const SCHEMA: &str = "trueup.paths/v1";

/// The most that a column takes.
const PATH: usize = 64;
const VALUE: usize = 44;

/// All paths of the objects that were asked for.
#[derive(Debug, Serialize)]
pub struct PathsReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// What Git said.
    pub source: SourceState,
    /// One for each object of this name.
    pub objects: Vec<ObjectPaths>,
    /// What went wrong while looking.
    pub problems: Vec<ProblemReport>,
}

/// One object.
#[derive(Debug, Serialize)]
pub struct ObjectPaths {
    /// The target's name.
    pub target: String,
    /// The object.
    pub object: Value,
    /// The object as people read it.
    #[serde(skip)]
    pub name: String,
    /// Whether it could be compared.
    pub state: ObjectState,
    /// Why not, where it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// On what its expected values rest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Evidence>,
    /// Its paths, in the order of the object; what is never compared comes last.
    pub paths: Vec<PathReport>,
}

/// Whether an object could be compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectState {
    /// It was.
    Compared,
    /// The target has no such object.
    Missing,
    /// It could not be seen.
    Unseen,
    /// It was not looked at, as the target's settings say.
    Skipped,
}

/// One path.
#[derive(Debug, Serialize)]
pub struct PathReport {
    /// For people; empty for the whole object.
    pub path: String,
    /// RFC 6901, into the live object where it is there.
    pub pointer: String,
    /// `finding`, `as-declared`, `default`…
    pub verdict: &'static str,
    /// The finding's id, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
    /// Where the finding goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// What Git declares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub declared: Option<Seen>,
    /// Where Git declares it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// What the server makes of Git's words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Seen>,
    /// What is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub live: Option<Seen>,
    /// Who wrote it.
    pub cause: Cause,
    /// Why it is what it is.
    pub reason: String,
}

impl PathsReport {
    /// What the report means for a pipeline.
    #[must_use]
    pub fn exit(&self) -> Exit {
        let paths = || self.objects.iter().flat_map(|object| &object.paths);
        if self.objects.iter().any(|object| object.state == ObjectState::Unseen) {
            Exit::Unseen
        } else if paths().any(|path| path.lane.is_some_and(|lane| lane > Lane::Ignore)) {
            Exit::Drift
        } else {
            Exit::True
        }
    }

    /// The report as text, at most `width` columns wide where that can be.
    #[must_use]
    pub fn print(&self, width: usize) -> String {
        let mut text = String::new();
        for object in &self.objects {
            object.print(&mut text, width);
        }
        for problem in &self.problems {
            line(&mut text, &format!("! {}: {}", problem.code, visible(&problem.message)));
        }
        text
    }
}

impl ObjectPaths {
    fn print(&self, text: &mut String, width: usize) {
        let bold = Style::new().bold();
        let title = format!("{bold}{} in {}{bold:#}", visible(&self.name), visible(&self.target));
        let findings = self.paths.iter().filter(|path| path.finding.is_some()).count();
        let summary = match (self.state, &self.reason) {
            (ObjectState::Compared, _) => {
                let evidence = self.evidence.map(|evidence| format!(", expected values by {evidence:?}").to_lowercase());
                let paths = count(self.paths.len(), "path");
                format!("{paths}, {}{}", count(findings, "finding"), evidence.unwrap_or_default())
            }
            (ObjectState::Missing, _) => "missing".to_owned(),
            (ObjectState::Unseen, reason) => format!("unknown: {}", reason.as_deref().unwrap_or_default()),
            (ObjectState::Skipped, reason) => format!("skipped: {}", reason.as_deref().unwrap_or_default()),
        };
        line(text, &format!("{title}   {}", visible(&summary)));
        print_rows(text, &self.paths, width);
    }
}

/// One line a path: where, what is there, and why that is right or not.
pub fn print_rows(text: &mut String, paths: &[PathReport], width: usize) {
    let widest = |of: &dyn Fn(&PathReport) -> String, most: usize| {
        paths.iter().map(|path| of(path).chars().count()).max().unwrap_or(0).min(most)
    };
    let place = |path: &PathReport| if path.path.is_empty() { "whole object".to_owned() } else { visible(shorter(&path.path)) };
    let (path_width, value_width) = (widest(&place, PATH), widest(&value, VALUE).max(6));
    let dim = Style::new().dimmed();
    for path in paths {
        let mark = mark(path);
        let place = format!("{:<path_width$}", cut_head(&place(path), PATH));
        let value = format!("{:<value_width$}", cut(&value(path), VALUE));
        let origin = path.origin.as_ref().map(|origin| format!("   {}:{}", visible(&origin.file), origin.line));
        let room = width.saturating_sub(2 + path_width + 2 + value_width + 2).max(16);
        let reason = cut(&format!("{}{}", visible(&path.reason), origin.unwrap_or_default()), room);
        let style = path.lane.map_or(dim, colour);
        line(text, &format!("{style}{mark}{style:#} {place}  {value}  {style}{reason}{style:#}"));
    }
}

/// `!` a finding, `~` live is not what Git says to the letter, `-` never compared.
fn mark(path: &PathReport) -> char {
    match path.verdict {
        "finding" => '!',
        "as-declared" | "default" | "same-as-none" => ' ',
        "not-compared" => '-',
        _ => '~',
    }
}

fn value(path: &PathReport) -> String {
    match path.finding {
        Some(_) if path.path.is_empty() => "missing".to_owned(),
        Some(_) => changed(path.declared.as_ref().or(path.expected.as_ref()), path.live.as_ref(), VALUE),
        None => path.live.as_ref().map_or_else(|| "(none)".to_owned(), shown),
    }
}

fn line(text: &mut String, content: &str) {
    writeln!(text, "{}", content.trim_end()).expect("writing to a String cannot fail");
}
