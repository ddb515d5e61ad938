//! What YAML 1.2 allows and Kubernetes' reader refuses (Go's `yaml.v2`, a port of libyaml for YAML 1.1). The parser takes
//! it, so that it is looked for in the text.

use super::document::{Document, place};
use super::fault::{Fault, Flaw};

/// Control characters; carriage returns without a line feed, which both count differently; and the line breaks of YAML 1.1 alone (NEL, LS, PS), which would end a line there.
pub(super) fn check_characters(document: Document<'_>) -> Result<(), Flaw> {
    let refused = |at: usize, c: char| match c {
        '\t' | '\n' => false,
        '\r' => !document.text[at..].starts_with("\r\n"),
        '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{FFFE}' | '\u{FFFF}' => true,
        c => c.is_control(),
    };
    let Some((byte, character)) = document.text.char_indices().find(|(at, c)| refused(*at, *c)) else { return Ok(()) };
    let (line, column) = place(document.text, byte);
    Err(Flaw { fault: Fault::Character { character }, line: document.line + line - 1, column: column + 1 })
}

/// Escapes in a text with double quotes: `\/`, and surrogate pairs, which JSON writes for characters above U+FFFF.
pub(super) fn check_escapes(source: &str) -> Result<(), Fault> {
    let mut rest = source;
    while let Some(at) = rest.find('\\') {
        let escape = &rest[at + 1..];
        let is_surrogate = escape.get(..3).is_some_and(|start| {
            let start = start.as_bytes();
            start[0] == b'u' && matches!(start[1], b'd' | b'D') && matches!(start[2], b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
        });
        if is_surrogate || escape.starts_with('/') {
            let length = if is_surrogate { 6 } else { 2 };
            return Err(Fault::Escape { escape: rest[at..].chars().take(length).collect() });
        }
        rest = escape.char_indices().nth(1).map_or("", |(next, _)| &escape[next..]);
    }
    Ok(())
}

/// The name of an anchor or alias.
pub(super) fn check_anchor(name: &str) -> Result<(), Fault> {
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
        return Ok(());
    }
    Err(Fault::AnchorName { name: name.to_owned() })
}

/// What stands before a gap between two tokens of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// Nothing: the document begins.
    Start,
    /// A value that ends where it ends.
    Value,
    /// A plain scalar, which might go on in the next line; with the column (from 0) from which lines belong to it.
    Plain(usize),
}

/// The first tab in the gap where libyaml takes only spaces: at the start of a line, and behind `-` and `?`.
pub(super) fn find_tab(gap: &str, before: Before) -> Option<usize> {
    let mut refuses = before == Before::Start;
    let mut continued = match before {
        Before::Plain(indent) => Some(indent),
        Before::Start | Before::Value => None,
    };
    let (mut line_start, mut at) = (0, 0);
    while let Some(c) = gap[at..].chars().next() {
        let is_tolerated = continued.is_some_and(|indent| at - line_start >= indent);
        match c {
            '\n' => (refuses, line_start) = (true, at + 1),
            '\t' if refuses && !is_tolerated => return Some(at),
            ' ' | '\t' | '\r' => {}
            '#' => {
                continued = None;
                at += gap[at..].find('\n').unwrap_or(gap.len() - at);
                continue;
            }
            '&' | '!' => {
                (refuses, continued) = (false, None);
                at += gap[at..].find([' ', '\t', '\n']).unwrap_or(gap.len() - at);
                continue;
            }
            c => {
                // A `:` on the line of its key lets a tab follow, one behind a `?` does not.
                refuses = matches!(c, '-' | '?') || c == ':' && refuses;
                continued = None;
            }
        }
        at += c.len_utf8();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_are_refused_where_a_key_could_begin() {
        for (gap, before, expected) in [
            (":\t", Before::Value, None),
            (":\n\t", Before::Value, Some(2)),
            (":\n  - \t", Before::Value, Some(6)),
            ("\t# comment\n", Before::Value, None),
            ("\n\t\n", Before::Value, Some(1)),
            ("\n  \t\n", Before::Plain(1), None),
            ("\n  # comment\n  \t", Before::Plain(1), Some(15)),
            ("\n\t\n", Before::Plain(1), Some(1)),
            ("\t", Before::Start, Some(0)),
            (":\t!a-b\t", Before::Value, None),
        ] {
            assert_eq!(find_tab(gap, before), expected, "{gap:?} {before:?}");
        }
    }
}
