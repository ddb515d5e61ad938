//! What a proposal says to people: title, commit message and body.
//!
//! Everything that comes from a cluster or from Git is hostile until shown inert: in Markdown it stands in code spans and
//! fences, where forges neither render nor link nor mention; in a title or commit message only letters, digits and a few
//! signs stand as they are, so that no `@team` and no `closes #1` gets through.

use std::collections::BTreeSet;
use std::fmt::Write;

use similar::{Change as LineChange, TextDiff};
use trueup_core::finding::{Change, Confidence, Difference, Finding};
use trueup_core::seen::Seen;

use super::Edit;
use super::hidden::{HIDDEN, secret_lines};
use crate::visible::visible;

/// How many characters GitHub takes in a body.
pub const LIMIT: usize = 65_536;

const TITLE_LIMIT: usize = 200;
const VALUE_LIMIT: usize = 400;
const REASONS_LIMIT: usize = 20;

/// `adopt live spec.replicas of Deployment shop/checkout in prod-eu`
#[must_use]
pub fn title(finding: &Finding) -> String {
    let difference = &finding.difference;
    let what = format!("adopt live {} in {}", place_name(difference), plain(&difference.target.0));
    shortened(&what, TITLE_LIMIT)
}

/// Subject, the writer, and the place as a trailer.
#[must_use]
pub fn commit_message(finding: &Finding) -> String {
    let difference = &finding.difference;
    let mut message = format!("{}\n\nLive has been so", title(finding));
    if let Some(time) = &difference.cause.time {
        write!(message, " since {}", plain(time)).expect("writing to a String cannot fail");
    }
    if let Some(manager) = &difference.cause.manager {
        write!(message, ", written by {}", plain(manager)).expect("writing to a String cannot fail");
    }
    write!(message, ".\n\nTrueup-Place: {}\n", finding.place).expect("writing to a String cannot fail");
    message
}

/// The pull request's text: the same for the same finding and commit.
#[must_use]
pub fn body(finding: &Finding, base_commit: &str, edits: &[Edit]) -> String {
    let head = format!("{}\n\n{}\n{}", what(finding), facts(finding, base_commit), comments(edits));
    let tail = consequences(&finding.difference);
    if finding.difference.is_masked() {
        return format!("{head}\nThe difference is not shown: a secret value takes part in it.\n\n{tail}");
    }
    let room = LIMIT.saturating_sub(head.chars().count() + tail.chars().count() + 2);
    format!("{head}\n{}\n{tail}", fenced(&unified(edits), room))
}

/// How many comments go: the difference shows them, and hides those that stand beside a secret value.
fn comments(edits: &[Edit]) -> String {
    match edits.iter().map(|edit| edit.comments.len()).sum::<usize>() {
        0 => String::new(),
        1 => "\nOne comment goes with what it stands in or behind.\n".to_owned(),
        count => format!("\n{count} comments go with what they stand in or behind.\n"),
    }
}

/// The unified diff of all edits.
#[must_use]
pub fn unified(edits: &[Edit]) -> String {
    let mut text = String::new();
    for edit in edits {
        let (before, after) = (String::from_utf8_lossy(&edit.before), String::from_utf8_lossy(&edit.after));
        let diff = TextDiff::from_lines(before.as_ref(), after.as_ref());
        write!(text, "--- {}\n+++ {}\n", visible(&format!("a/{}", edit.file)), visible(&format!("b/{}", edit.file)))
            .expect("writing to a String cannot fail");
        let secret = (secret_lines(&edit.file, &edit.before), secret_lines(&edit.file, &edit.after));
        for hunk in diff.unified_diff().context_radius(3).iter_hunks() {
            writeln!(text, "{}", hunk.header()).expect("writing to a String cannot fail");
            hunk.iter_changes().for_each(|change| line_of(&mut text, &change, &secret));
        }
    }
    text
}

/// One line of a difference; a line that holds a secret value only says so.
fn line_of(text: &mut String, change: &LineChange<&str>, (before, after): &(BTreeSet<u32>, BTreeSet<u32>)) {
    let is_in = |lines: &BTreeSet<u32>, index: Option<usize>| {
        index.and_then(|index| u32::try_from(index + 1).ok()).is_some_and(|number| lines.contains(&number))
    };
    let is_secret = is_in(before, change.old_index()) || is_in(after, change.new_index());
    let shown = if is_secret { HIDDEN } else { change.value().trim_end_matches('\n') };
    writeln!(text, "{}{shown}", change.tag()).expect("writing to a String cannot fail");
    if change.missing_newline() {
        text.push_str("\\ No newline at end of file\n");
    }
}

/// Hostile text as an inline code span.
#[must_use]
pub fn code(text: &str) -> String {
    let text = shortened(&visible(text), VALUE_LIMIT);
    if text.is_empty() {
        return "(empty)".to_owned();
    }
    let ticks = "`".repeat(longest_backticks(&text) + 1);
    let pad = if text.starts_with(['`', ' ']) || text.ends_with(['`', ' ']) { " " } else { "" };
    format!("{ticks}{pad}{text}{pad}{ticks}")
}

fn what(finding: &Finding) -> String {
    let difference = &finding.difference;
    let (desired, live) = difference.values();
    let target = code(&difference.target.0);
    let place = place_code(difference);
    let git = desired.map_or_else(|| "declares nothing there".to_owned(), |seen| format!("declares {}", value_code(seen)));
    match (difference.change(), live) {
        (Change::Removed, _) | (_, None) => format!("Live no longer has {place} in {target}. Git {git}."),
        (_, Some(live)) => format!("Live has {} at {place} in {target}. Git {git}.", value_code(live)),
    }
}

fn facts(finding: &Finding, base_commit: &str) -> String {
    let difference = &finding.difference;
    let mut lines = vec![
        format!("- **Where:** {} at commit {}", code(&difference.origin.to_string()), code(base_commit)),
        format!("- **Writer:** {}", writer(difference)),
        format!(
            "- **Class:** {}, stage {}, lane {}",
            finding.class.as_deref().map_or_else(|| "none matches".to_owned(), code),
            finding.stage.name(),
            finding.lane.name()
        ),
        "- **Why:**".to_owned(),
    ];
    lines.extend(finding.reasons.iter().take(REASONS_LIMIT).map(|reason| format!("  - {}", code(reason))));
    lines.push(format!("- **Risk:** {} of 100", finding.risk.score));
    let factors = finding.risk.factors.iter().take(REASONS_LIMIT);
    lines.extend(factors.map(|factor| format!("  - {}: {}", code(&factor.name), factor.points)));
    lines.join("\n")
}

fn writer(difference: &Difference) -> String {
    let cause = &difference.cause;
    let Some(manager) = &cause.manager else {
        return "unknown; nothing tells".to_owned();
    };
    let mut text = code(manager);
    if let Some(subresource) = &cause.subresource {
        write!(text, " through {}", code(subresource)).expect("writing to a String cannot fail");
    }
    if let Some(time) = &cause.time {
        write!(text, " at {}", code(time)).expect("writing to a String cannot fail");
    }
    text.push_str(match cause.confidence {
        Confidence::Unknown => " (confidence: unknown)",
        Confidence::Reported => " (confidence: reported; a program's own name for itself, no proof of a person)",
        Confidence::Certain => " (confidence: certain; from the audit log)",
    });
    text
}

fn consequences(difference: &Difference) -> String {
    let after = match difference.change() {
        Change::Removed => "Git stops declaring this value",
        _ => "Git declares the value that is live",
    };
    format!(
        "- **Merging** means: {after}; nothing is written to the target.\n\
         - **Closing without merging** means: no. trueup leaves this value alone until Git or live moves.\n"
    )
}

/// A fenced block of at most `room` characters, cut with a note where the text is longer.
fn fenced(text: &str, room: usize) -> String {
    let lines: Vec<String> = text.lines().map(|line| visible_line(line.trim_end_matches('\r'))).collect();
    let shown = lines.join("\n");
    let fence = "`".repeat((longest_backticks(&shown) + 1).max(3));
    let note = "\n\nThe rest of the difference is cut: see the changed files.";
    let frame = 2 * fence.len() + "diff\n\n\n".len();
    if shown.chars().count() + frame <= room {
        return format!("{fence}diff\n{shown}\n{fence}\n");
    }
    let kept = shown.chars().take(room.saturating_sub(frame + note.len())).collect::<String>();
    format!("{fence}diff\n{kept}\n{fence}{note}\n")
}

/// As [`visible`], but tabs stay.
fn visible_line(line: &str) -> String {
    line.split('\t').map(visible).collect::<Vec<_>>().join("\t")
}

fn place_name(difference: &Difference) -> String {
    let (path, subject) = (difference.path(), plain(&difference.subject.to_string()));
    if path.0.is_empty() { subject } else { format!("{} of {subject}", plain(&path.to_string())) }
}

fn place_code(difference: &Difference) -> String {
    let (path, subject) = (difference.path(), code(&difference.subject.to_string()));
    if path.0.is_empty() { subject } else { format!("{} of {subject}", code(&path.to_string())) }
}

fn value_code(seen: &Seen) -> String {
    match seen {
        Seen::Masked(mask) => format!("a secret value ({})", code(&mask.to_string())),
        Seen::Plain(value) => code(&value.to_string()),
    }
}

/// For titles and commit messages, where no code span protects: what could mention, link or close is written out.
fn plain(text: &str) -> String {
    let mut shown = String::new();
    for character in text.chars() {
        // `https://…/issues/1` and `GH-1` close issues, too.
        let closes = match character {
            '/' => shown.ends_with(":/"),
            '-' => shown.to_ascii_lowercase().ends_with("gh"),
            _ => false,
        };
        match character {
            ' ' | '.' | '_' | '/' | '-' | '[' | ']' | '=' | '"' | ',' | ':' if !closes => shown.push(character),
            character if character.is_alphanumeric() => shown.push(character),
            character => shown.extend(character.escape_unicode()),
        }
    }
    shown
}

fn longest_backticks(text: &str) -> usize {
    text.split(|character| character != '`').map(str::len).max().unwrap_or(0)
}

fn shortened(text: &str, limit: usize) -> String {
    let length = text.chars().count();
    if length <= limit {
        return text.to_owned();
    }
    text.chars().take(limit - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests;
