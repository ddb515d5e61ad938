//! Lines of a text, as edits need them.

/// The first byte of the line.
pub fn start(text: &str, at: usize) -> usize {
    text[..at].rfind('\n').map_or(0, |newline| newline + 1)
}

/// The byte behind the line's last character, before its line break.
pub fn end(text: &str, at: usize) -> usize {
    let end = text[at..].find('\n').map_or(text.len(), |offset| at + offset);
    if end > at && text[..end].ends_with('\r') { end - 1 } else { end }
}

/// The first byte of the next line; the text's end where there is none.
pub fn next(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |offset| at + offset + 1)
}

/// How lines end around a place.
pub fn newline(text: &str, at: usize) -> &'static str {
    let before = text[..at].rfind('\n').map(|newline| text[..newline].ends_with('\r'));
    let is_carriage = before.or_else(|| text.find('\n').map(|newline| text[..newline].ends_with('\r')));
    if is_carriage == Some(true) { "\r\n" } else { "\n" }
}

/// What stands on its line before a place, without the file's byte order mark.
pub fn prefix(text: &str, at: usize) -> &str {
    text[start(text, at)..at].trim_start_matches('\u{feff}')
}

/// The columns before a place on its line.
pub fn column(text: &str, at: usize) -> usize {
    prefix(text, at).chars().count()
}

/// The blanks that its line begins with.
pub fn indent(text: &str, at: usize) -> &str {
    let prefix = prefix(text, at);
    &prefix[..prefix.len() - prefix.trim_start_matches([' ', '\t']).len()]
}

/// Whether nothing but blanks stands before a place on its line.
pub fn is_first(text: &str, at: usize) -> bool {
    prefix(text, at).trim_matches([' ', '\t']).is_empty()
}
