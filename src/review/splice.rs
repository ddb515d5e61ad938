//! Replaces one value's bytes and nothing else.

use serde_json::Value;

use super::print::{self, Layout, Strings};

/// The text that stands for `value` in place of the scalar `old`. The style stays where it can: plain, single quotes, double
/// quotes, block. `None` where the style cannot hold the value.
#[must_use]
pub fn replacement(old: &str, value: &Value, layout: Layout) -> Option<String> {
    let Value::String(text) = value else {
        let line_ends = if old.starts_with(['|', '>']) { line_ends(old) } else { "" };
        return Some(print::scalar(value) + line_ends);
    };
    match (old.chars().next(), layout.strings) {
        (Some('|' | '>'), _) => block(old, text, layout),
        (_, Strings::Quoted) | (Some('"'), _) => Some(print::double_quoted(text)),
        (Some('\''), _) => Some(print::single_quoted(text).unwrap_or_else(|| print::double_quoted(text))),
        _ => Some(print::scalar(value)),
    }
}

/// `text` with the bytes from `start` to `end` replaced.
#[must_use]
pub fn replaced(text: &str, start: usize, end: usize, with: &str) -> String {
    format!("{}{with}{}", &text[..start], &text[end..])
}

/// The block scalar `old` with another text: same indent, same comment behind the header; folded becomes literal.
fn block(old: &str, text: &str, layout: Layout) -> Option<String> {
    let (header, content) = old.split_once('\n')?;
    let first = content.lines().find(|line| !line.trim().is_empty())?;
    let indent = first.len() - first.trim_start_matches(' ').len();
    let signs = header.chars().skip(1).take_while(|sign| sign.is_ascii_digit() || matches!(sign, '+' | '-'));
    let signs: String = signs.collect();
    if signs.contains('+') || signs.contains(|sign: char| sign.is_ascii_digit()) {
        return None;
    }
    let (chomp, lines) = print::literal(text)?;
    let behind = header[1 + signs.len()..].trim_end_matches('\r');
    let margin = " ".repeat(indent);
    let mut shown = format!("|{chomp}{behind}");
    for line in lines {
        shown.push_str(layout.newline);
        if !line.is_empty() {
            shown.push_str(&margin);
            shown.push_str(line);
        }
    }
    shown.push_str(line_ends(old));
    Some(shown)
}

/// The line ends that belong to a block scalar's own lines.
fn line_ends(old: &str) -> &str {
    &old[old.trim_end_matches(['\n', '\r']).len()..]
}
