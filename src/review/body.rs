//! What a proposal says to people: title, commit message and body.
//!
//! Everything that comes from a cluster or from Git is hostile until shown inert: in Markdown it stands in code spans and
//! fences, where forges neither render nor link nor mention; in a title or commit message only letters, digits and a few
//! signs stand as they are, so that no `@team` and no `closes #1` gets through.

use std::collections::BTreeSet;
use std::fmt::Write;

use similar::{Change as LineChange, TextDiff};
use trueup_core::finding::{Cause, Change, Confidence, Difference, Finding};
use trueup_core::policy::Remedy;
use trueup_core::seen::Seen;

use super::group::{App, common};
use super::hidden::{HIDDEN, secret_lines};
use super::{Content, Edit, approval};
use crate::visible::visible;

/// How many characters GitHub takes in a body.
pub const LIMIT: usize = 65_536;

const TITLE_LIMIT: usize = 200;
const VALUE_LIMIT: usize = 400;
const REASONS_LIMIT: usize = 20;
const APPS_LIMIT: usize = 10;

/// `adopt live spec.replicas of Deployment shop/checkout in prod-eu`, `adopt 3 live values of shop/checkout in prod-eu (class image)`
#[must_use]
pub fn title(content: Content<'_>) -> String {
    let Content { findings, remedy, .. } = content;
    let Some(target) = common(findings.iter().map(|finding| &finding.difference.target.0)) else { return String::new() };
    let what = match (findings, remedy) {
        ([finding], Remedy::Adopt) => format!("adopt live {}", place_name(&finding.difference)),
        ([finding], Remedy::Restore) => format!("restore {}", place_name(&finding.difference)),
        (findings, Remedy::Adopt) => format!("adopt {} live values {}", findings.len(), of_app(findings)),
        (findings, Remedy::Restore) => format!("restore {} values {}", findings.len(), of_app(findings)),
    };
    let class = if findings.len() > 1 { of_class(findings) } else { String::new() };
    let what = format!("{what} in {}{class}", plain(target));
    shortened(&what, TITLE_LIMIT)
}

/// Subject, the writer of one value, or all values, and the places as trailers. What a body has no room for is here, and goes
/// into Git's history with the merge.
#[must_use]
pub fn commit_message(content: Content<'_>) -> String {
    let findings = content.findings;
    let mut message = format!("{}\n", title(content));
    if let [finding] = findings {
        let Cause { time, manager, .. } = &finding.difference.cause;
        let time = time.as_ref().map(|time| format!(" since {}", plain(time))).unwrap_or_default();
        let manager = manager.as_ref().map(|manager| format!(", written by {}", plain(manager))).unwrap_or_default();
        write!(message, "\nLive has been so{time}{manager}.\n").expect("writing to a String cannot fail");
    } else {
        for finding in findings {
            let difference = &finding.difference;
            let manager = difference.cause.manager.as_ref();
            let manager = manager.map(|manager| format!(", written by {}", plain(manager))).unwrap_or_default();
            let origin = plain(&difference.origin.to_string());
            write!(message, "\n- {}, {origin}{manager}", place_name(difference)).expect("writing to a String cannot fail");
        }
        message.push('\n');
    }
    for finding in findings {
        write!(message, "\nTrueup-Place: {}", finding.place).expect("writing to a String cannot fail");
    }
    message.push('\n');
    message
}

/// The pull request's text: the same for the same findings and commit. What a decision needs stands first: what differs, what
/// merging and what closing does, how risky it is. Then who wrote it, where it stands, and why it is here; last, the change.
#[must_use]
pub fn body(content: Content<'_>, base_commit: &str) -> String {
    let Content { findings, remedy, edits, .. } = content;
    let head = match findings {
        [finding] => {
            format!("{}\n\n{}\n{}\n{}", what(finding), consequences(content), facts(finding, base_commit), comments(edits))
        }
        findings => {
            let top = format!("{}\n\n{}\n", what_all(findings), consequences(content));
            let room = LIMIT / 2;
            format!("{top}{}\n{}\n{}", list(findings, room), common_facts(findings, base_commit), comments(edits))
        }
    };
    if remedy == Remedy::Restore {
        return format!("{head}\nThe changed files hold the approval alone, and no value.\n");
    }
    if findings.iter().any(|finding| finding.difference.is_masked()) {
        return format!("{head}\nThe difference is not shown: a secret value takes part in it.\n");
    }
    let room = LIMIT.saturating_sub(head.chars().count() + 1);
    format!("{head}\n{}", fenced(&unified(edits), room))
}

/// ` of shop/checkout`, or how many applications there are.
fn of_app(findings: &[&Finding]) -> String {
    let apps: BTreeSet<App> = findings.iter().map(|finding| App::of(finding)).collect();
    match (apps.first(), apps.len()) {
        (Some(app), 1) => format!("of {}", plain(&app.to_string())),
        (_, count) => format!("of {count} applications"),
    }
}

fn of_class(findings: &[&Finding]) -> String {
    match common(findings.iter().map(|finding| &finding.class)) {
        Some(Some(class)) => format!(" (class {})", plain(class)),
        Some(None) | None => String::new(),
    }
}

fn what_all(findings: &[&Finding]) -> String {
    let target = findings.first().map(|finding| code(&finding.difference.target.0)).unwrap_or_default();
    let apps: BTreeSet<String> = findings.iter().map(|finding| App::of(finding).to_string()).collect();
    let shown: Vec<String> = apps.iter().take(APPS_LIMIT).map(|app| code(app)).collect();
    let more = apps.len().saturating_sub(APPS_LIMIT);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{} values in {target} are not what Git declares, in {}{more}.", findings.len(), shown.join(", "))
}

/// Each value with what a decision needs, in full where that fits, else in a line; what does not fit is in the commit's message.
fn list(findings: &[&Finding], room: usize) -> String {
    let full: Vec<String> = findings.iter().map(|finding| full_item(finding)).collect();
    if full.iter().map(|item| item.chars().count()).sum::<usize>() <= room {
        return full.concat();
    }
    let note = |left: usize| format!("\n{left} more: the message of this branch's commit names them all.\n");
    let mut left = room.saturating_sub(note(findings.len()).chars().count());
    let mut text = String::new();
    for (number, finding) in findings.iter().enumerate() {
        let item = short_item(finding);
        let length = item.chars().count();
        if length > left {
            text.push_str(&note(findings.len() - number));
            break;
        }
        left -= length;
        text.push_str(&item);
    }
    text
}

fn full_item(finding: &Finding) -> String {
    let difference = &finding.difference;
    let factors: Vec<String> = finding
        .risk
        .factors
        .iter()
        .take(REASONS_LIMIT)
        .map(|factor| format!("{} {}", code(&factor.name), factor.points))
        .collect();
    let factors = if factors.is_empty() { String::new() } else { format!(": {}", factors.join(", ")) };
    format!(
        "- {}: {}\n  - **Where:** {}\n  - **Writer:** {}\n  - **Risk:** {} of 100{factors}\n",
        place_code(difference),
        values(difference),
        code(&difference.origin.to_string()),
        writer(difference),
        finding.risk.score,
    )
}

fn short_item(finding: &Finding) -> String {
    let difference = &finding.difference;
    format!(
        "- {}: {}, {}, risk {}\n",
        place_code(difference),
        values(difference),
        code(&difference.origin.to_string()),
        finding.risk.score
    )
}

fn values(difference: &Difference) -> String {
    let (desired, live) = difference.values();
    let shown = |seen: Option<&Seen>| seen.map_or_else(|| "nothing".to_owned(), value_code);
    format!("live {}, Git {}", shown(live), shown(desired))
}

/// What is the same for all of a proposal's values, and how risky the riskiest is.
fn common_facts(findings: &[&Finding], base_commit: &str) -> String {
    let classes: BTreeSet<&str> = findings.iter().filter_map(|finding| finding.class.as_deref()).collect();
    let classes: Vec<String> = classes.iter().take(REASONS_LIMIT).map(|class| code(class)).collect();
    let classes = if classes.is_empty() { "none matches".to_owned() } else { classes.join(", ") };
    let reasons: BTreeSet<&str> = findings.iter().flat_map(|finding| &finding.reasons).map(String::as_str).collect();
    let riskiest = findings.iter().map(|finding| finding.risk.score).max().unwrap_or_default();
    let mut lines = vec![
        format!("- **Commit:** {}", code(base_commit)),
        format!("- **Class:** {classes}"),
        format!("- **Risk:** at most {riskiest} of 100"),
        "- **Why:**".to_owned(),
    ];
    lines.extend(reasons.iter().take(REASONS_LIMIT).map(|reason| format!("  - {}", code(reason))));
    lines.join("\n")
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

fn consequences(content: Content<'_>) -> String {
    let Content { findings, remedy, edits, removed } = content;
    let (these, them) = if findings.len() == 1 { ("this value", "it is") } else { ("these values", "they are") };
    let after = match (remedy, findings) {
        (Remedy::Adopt, [finding]) if finding.difference.change() == Change::Removed => {
            "Git stops declaring this value; nothing is written to the target".to_owned()
        }
        (Remedy::Adopt, [_]) => "Git declares the value that is live; nothing is written to the target".to_owned(),
        (Remedy::Adopt, findings) => {
            format!("Git declares what is live in these {} places; nothing is written to the target", findings.len())
        }
        (Remedy::Restore, _) => {
            let until = expiry(edits).map(|expires| format!(", until {}", code(&expires.to_string()))).unwrap_or_default();
            format!("trueup puts what Git declares back into the target, once, and only while {them} as shown here{until}")
        }
    };
    let gone = match removed.len() {
        0 => String::new(),
        1 => "- One approval that counts no more is removed with it.\n".to_owned(),
        count => format!("- {count} approvals that count no more are removed with it.\n"),
    };
    format!(
        "- **Merging** means: {after}.\n\
         - **Closing without merging** means: no. trueup leaves {these} alone until Git or live moves.\n{gone}"
    )
}

/// When the approvals end that are asked for.
fn expiry(edits: &[Edit]) -> Option<jiff::Timestamp> {
    edits.iter().filter_map(|edit| Some(approval::read(&edit.file, &edit.after).ok()?.expires)).min()
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
