//! From bytes of a file to its lines and columns.

use std::ops::Range;

use trueup_core::facts::{Origin, Position};

/// A file and its text.
pub(super) struct Source<'a> {
    file: &'a str,
    text: &'a str,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text }
    }

    pub(super) fn text(&self) -> &'a str {
        self.text
    }

    /// Where these bytes stand. Beyond the end of the file means its end.
    pub(super) fn position(&self, span: Range<usize>) -> Position {
        let before = &self.text.as_bytes()[..span.start.min(self.text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        let lines = before.iter().filter(|byte| **byte == b'\n').count();
        // A continuation byte begins no character.
        let characters = before[line_start..].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Position { line: count(lines), column: count(characters), start: span.start, end: span.end }
    }

    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        let Position { line, column, .. } = self.position(span);
        Origin { file: self.file.to_owned(), line, column, document: 1 }
    }
}

/// What people count from 1.
fn count(before: usize) -> u32 {
    u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1)
}
