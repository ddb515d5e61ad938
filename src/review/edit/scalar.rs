//! One scalar in place of another: its style stays where it can hold the value.

use serde_json::Value;

use super::line;
use super::print::{self, Layout};

/// How the new text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// As the old one; without an old one, as a person would.
    Kept,
    /// Text of several lines as a literal block.
    Literal,
    /// Text in double quotes.
    Quoted,
}

/// A scalar's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    /// On one line.
    Inline(String),
    /// A header, and lines below it; whether blank lines behind it would belong to it.
    Block { header: String, lines: Vec<String>, keeps: bool },
}

/// The scalar that is replaced.
#[derive(Debug, Clone, Copy)]
pub(super) struct Old<'a> {
    /// Its text as written.
    pub source: &'a str,
    /// The columns of the collection around it: a block's lines stand further right.
    pub column: usize,
}

/// The text that stands for `value` in place of `old`.
pub(super) fn replacement(old: Old<'_>, value: &Value, layout: Layout) -> Text {
    let Value::String(text) = value else { return Text::Inline(print::scalar(value)) };
    let is_block = old.source.starts_with(['|', '>']);
    let has_lines = text.trim_end_matches('\n').contains('\n');
    let block = match layout.style {
        Style::Kept if old.source.starts_with('>') => folded(old, text),
        Style::Kept | Style::Literal if is_block || has_lines && old.source.is_empty() => literal(old, text),
        Style::Kept if has_lines && !old.source.starts_with(['"', '\'']) => literal(old, text),
        Style::Literal if has_lines => literal(old, text),
        Style::Kept | Style::Literal | Style::Quoted => None,
    };
    block.unwrap_or_else(|| Text::Inline(inline(old.source, text, layout.style)))
}

/// A string on one line, quoted as the old one was.
pub(super) fn inline(old: &str, text: &str, style: Style) -> String {
    let single = || print::single_quoted(text);
    let plain = || print::scalar(&Value::String(text.to_owned()));
    match (style, old.chars().next()) {
        (Style::Kept | Style::Literal, Some('\'')) => single().unwrap_or_else(|| print::double_quoted(text)),
        (Style::Quoted, _) | (_, Some('"')) => print::double_quoted(text),
        (Style::Kept | Style::Literal, _) => plain(),
    }
}

/// The signs behind `|` or `>`, and the columns that the lines of its text stand behind.
fn header(old: Old<'_>) -> (bool, Option<usize>, usize) {
    let first_line = old.source.lines().next().unwrap_or_default();
    let signs: Vec<char> = first_line.chars().skip(1).take_while(|sign| matches!(sign, '+' | '-' | '1'..='9')).collect();
    let digit = signs.iter().find_map(|sign| sign.to_digit(10)).map(|digit| digit as usize);
    let is_block = old.source.starts_with(['|', '>']);
    let written = old.source.lines().skip(1).find(|line| !line.trim().is_empty()).filter(|_| is_block);
    let margin = match (digit, written) {
        (Some(digit), _) => old.column + digit,
        (None, Some(line)) => line.len() - line.trim_start_matches(' ').len(),
        (None, None) => old.column + 2,
    };
    (is_block && signs.contains(&'+'), digit, margin)
}

/// The sign for how many line breaks end a text, and those that are written as blank lines.
fn chomping(text: &str, keeps: bool) -> (&'static str, usize) {
    match text.len() - text.trim_end_matches('\n').len() {
        0 => ("-", 0),
        1 if !keeps => ("", 0),
        breaks => ("+", breaks - 1),
    }
}

/// The text as a literal block; `None` where none can hold it.
fn literal(old: Old<'_>, text: &str) -> Option<Text> {
    let (keeps, digit, margin) = header(old);
    let (sign, blank) = chomping(text, keeps);
    let content = text.trim_end_matches('\n');
    let is_written = |c: char| c == '\n' || c == '\t' || print::is_visible(c);
    if content.trim().is_empty() || !content.chars().all(is_written) {
        return None;
    }
    let first = content.lines().find(|line| !line.is_empty()).unwrap_or_default();
    let needs_digit = first.starts_with(' ');
    let digit = digit.or_else(|| needs_digit.then(|| margin.saturating_sub(old.column)));
    if digit.is_some_and(|digit| !(1..=9).contains(&digit)) {
        return None;
    }
    let digit = digit.map(|digit| digit.to_string()).unwrap_or_default();
    let lines = content.split('\n').map(|line| indented(line, margin)).chain((0..blank).map(|_| String::new())).collect();
    Some(Text::Block { header: format!("|{digit}{sign}"), lines, keeps: sign == "+" })
}

/// The text as a folded block, its paragraphs broken as before where they are as before; `None` where none can hold it.
fn folded(old: Old<'_>, text: &str) -> Option<Text> {
    let (keeps, digit, margin) = header(old);
    let (sign, blank) = chomping(text, keeps);
    let content = text.trim_end_matches('\n');
    let is_foldable = |line: &str| !line.starts_with([' ', '\t']) && !line.ends_with([' ', '\t']);
    if content.is_empty()
        || content.starts_with('\n')
        || !content.split('\n').all(is_foldable)
        || !content.chars().all(|c| c == '\n' || print::is_visible(c))
    {
        return None;
    }
    let written: Vec<&str> = old.source.lines().skip(1).map(str::trim).collect();
    let width = written.iter().map(|line| line.chars().count()).max().unwrap_or(0).max(20);
    let former: Vec<&[&str]> = written.split(|line| line.is_empty()).filter(|lines| !lines.is_empty()).collect();
    let mut lines = Vec::new();
    for (index, paragraph) in content.split('\n').enumerate() {
        // Between two paragraphs stands one blank line for each line break.
        if index > 0 {
            lines.push(String::new());
        }
        if paragraph.is_empty() {
            continue;
        }
        match former.iter().find(|former| former.join(" ") == paragraph) {
            Some(former) => lines.extend(former.iter().map(|line| indented(line, margin))),
            None => lines.extend(wrapped(paragraph, width).iter().map(|line| indented(line, margin))),
        }
    }
    lines.extend((0..blank).map(|_| String::new()));
    let digit = digit.map(|digit| digit.to_string()).unwrap_or_default();
    Some(Text::Block { header: format!(">{digit}{sign}"), lines, keeps: sign == "+" })
}

/// A paragraph in lines of at most this width, broken at single spaces.
fn wrapped(paragraph: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in paragraph.split(' ') {
        match lines.last_mut() {
            Some(line) if word.is_empty() || line.ends_with(' ') || line.chars().count() + 1 + word.chars().count() <= width => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn indented(text: &str, margin: usize) -> String {
    if text.is_empty() { String::new() } else { format!("{}{text}", " ".repeat(margin)) }
}

/// Where the text of a block scalar ends: behind its last line that is not blank, or with all that belongs to it.
pub(super) fn block_end(text: &str, span: &std::ops::Range<usize>, all: bool) -> usize {
    let source = &text[span.clone()];
    let written = source.trim_end_matches(['\n', '\r', ' ']);
    let has_lines = written.contains('\n');
    let first = line::end(text, span.start);
    if all {
        let whole = source.strip_suffix('\n').map_or(source, |rest| rest.strip_suffix('\r').unwrap_or(rest));
        return (span.start + whole.len()).max(first);
    }
    if has_lines { line::end(text, span.start + written.len()) } else { first }
}

/// Whether a block scalar keeps the blank lines behind it.
pub(super) fn keeps(source: &str) -> bool {
    source.starts_with(['|', '>'])
        && source.chars().skip(1).take_while(|sign| matches!(sign, '+' | '-' | '1'..='9')).any(|sign| sign == '+')
}
