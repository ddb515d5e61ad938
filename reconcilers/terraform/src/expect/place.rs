//! From bytes of a file to its lines and columns.

use std::ops::Range;

use trueup_core::facts::Origin;
use trueup_core::positions::Position;

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
        let lines = before.split(|byte| *byte == b'\n');
        let line = lines.clone().next_back().unwrap_or_default();
        // A continuation byte begins no character.
        let characters = line.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        Position { line: count(lines.count()), column: count(characters + 1), start: span.start, end: span.end }
    }

    pub(super) fn origin(&self, span: Range<usize>) -> Origin {
        let Position { line, column, .. } = self.position(span);
        Origin { file: self.file.to_owned(), line, column, document: 1 }
    }
}

fn count(lines_or_characters: usize) -> u32 {
    u32::try_from(lines_or_characters).unwrap_or(u32::MAX)
}
