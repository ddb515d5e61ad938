//! A file's documents, split as `kubectl` splits them (`k8s.io/apimachinery/pkg/util/yaml`): a stream of JSON objects,
//! then YAML documents between lines that start with `---`.

use serde::de::IgnoredAny;

use super::fault::{Fault, Flaw};

/// One document's text and its place in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// The text, separators excluded.
    pub text: &'a str,
    /// How scalars are read.
    pub dialect: Dialect,
    /// The first byte in the file.
    pub start: usize,
    /// The line of that byte, from 1.
    pub line: u32,
    /// The characters before it on its line.
    pub column: u32,
    /// Which document of the file, from 1.
    pub number: u32,
}

/// In which language a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Yaml,
    Json,
}

/// A document, or what is wrong where one should be; with its number.
pub(super) type Split<'a> = Result<Document<'a>, (Flaw, u32)>;

/// Splits a file that ends with a line break.
pub(super) fn split(text: &str) -> Vec<Split<'_>> {
    let (mut documents, rest) = json_documents(text);
    if let Some(rest) = rest {
        yaml_documents(text, rest, &mut documents);
    }
    documents
}

/// The JSON objects at the start of the file, and where YAML begins: one object may be followed by YAML, two or more are a
/// JSON stream to its end.
fn json_documents(text: &str) -> (Vec<Split<'_>>, Option<usize>) {
    let mut documents = Vec::new();
    if !text.trim_start().starts_with('{') {
        return (documents, Some(0));
    }
    let mut end = 0;
    let mut stream = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    while let Some(next) = stream.next() {
        let start = end + text[end..].len() - text[end..].trim_start().len();
        let number = count(documents.len());
        let (line, column) = place(text, start);
        match next {
            Ok(IgnoredAny) => {
                end = stream.byte_offset();
                let text = &text[start..end];
                documents.push(Ok(Document { text, dialect: Dialect::Json, start, line, column, number }));
            }
            Err(error) if documents.len() > 1 => {
                let fault = Fault::Syntax { reason: format!("a stream of JSON objects goes on with something else ({error})") };
                documents.push(Err((Flaw { fault, line, column: column + 1 }, number)));
                return (documents, None);
            }
            Err(_) => {
                let blank = text[end..].len() - text[end..].trim_start().len();
                let to_line_end = text[end..end + blank].find('\n').map_or(blank, |at| at + 1);
                return (documents, Some(if end == 0 { 0 } else { end + to_line_end }));
            }
        }
    }
    (documents, None)
}

fn yaml_documents<'a>(text: &'a str, from: usize, documents: &mut Vec<Split<'a>>) {
    let mut number = count(documents.len());
    let (mut line, _) = place(text, from);
    let (mut start, mut start_line, mut at) = (from, line, from);
    let mut separator = Ok(());
    let mut separated = false;
    for text_line in text[from..].split_inclusive('\n') {
        let next = at + text_line.len();
        if let Some(behind) = text_line.strip_prefix("---") {
            let document =
                Document { text: &text[start..at], dialect: Dialect::Yaml, start, line: start_line, column: 0, number };
            // Comments before the first separator are no document.
            if separated || !is_blank(document.text) {
                documents.push(separator.map(|()| document));
                number += 1;
            }
            separated = true;
            separator = check_separator(behind, line, number);
            (start, start_line) = (next, line + 1);
        }
        at = next;
        line += 1;
    }
    let document = Document { text: &text[start..], dialect: Dialect::Yaml, start, line: start_line, column: 0, number };
    documents.push(separator.map(|()| document));
}

fn check_separator(behind: &str, number: u32, document: u32) -> Result<(), (Flaw, u32)> {
    let behind = behind.trim();
    if behind.is_empty() || behind.starts_with('#') {
        return Ok(());
    }
    let fault = Fault::Separator;
    Err((Flaw { fault, line: number, column: 1 }, document))
}

fn is_blank(text: &str) -> bool {
    text.trim_start_matches('\u{FEFF}').lines().map(str::trim).all(|line| line.is_empty() || line.starts_with('#'))
}

/// The line of a byte, from 1, and the characters before it on that line.
pub(super) fn place(text: &str, byte: usize) -> (u32, u32) {
    let before = &text[..byte];
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (count(before.matches('\n').count()), number(before[line_start..].chars().count()))
}

/// The number of what follows `done` things.
fn count(done: usize) -> u32 {
    number(done).saturating_add(1)
}

/// Files are limited far below 2^32 bytes.
pub(super) fn number(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn documents(text: &str) -> Vec<(u32, u32, u32, String)> {
        split(text)
            .into_iter()
            .map(|split| match split {
                Ok(document) => (document.number, document.line, document.column, document.text.to_owned()),
                Err((flaw, number)) => (number, flaw.line, flaw.column, format!("! {}", flaw.fault.code())),
            })
            .collect()
    }

    #[test]
    fn lines_that_start_with_dashes_separate() {
        assert_eq!(
            documents("# licence\n---\na: 1\n--- # second\nb: 2\n---\n---\nc: |\n  ---\n"),
            [
                (1, 3, 0, "a: 1\n".to_owned()),
                (2, 5, 0, "b: 2\n".to_owned()),
                (3, 7, 0, String::new()),
                (4, 8, 0, "c: |\n  ---\n".to_owned()),
            ]
        );
    }

    #[test]
    fn text_behind_a_separator_spoils_its_document_alone() {
        assert_eq!(
            documents("a: 1\n--- {b: 2}\n---\nc: 3\n"),
            [(1, 1, 0, "a: 1\n".to_owned()), (2, 2, 1, "! yaml-syntax".to_owned()), (3, 4, 0, "c: 3\n".to_owned()),]
        );
    }

    #[test]
    fn json_objects_follow_each_other() {
        assert_eq!(
            documents("{\"a\":1} {\"b\":2}\n {\"c\":3}\n"),
            [(1, 1, 0, "{\"a\":1}".to_owned()), (2, 1, 8, "{\"b\":2}".to_owned()), (3, 2, 1, "{\"c\":3}".to_owned()),]
        );
        assert_eq!(documents("{}\n---\nb: 2\n"), [(1, 1, 0, "{}".to_owned()), (2, 3, 0, "b: 2\n".to_owned())]);
        assert_eq!(documents("{a: 1}\n"), [(1, 1, 0, "{a: 1}\n".to_owned())]);
        assert_eq!(documents("{}{}\n---\nb: 2\n")[2], (3, 2, 1, "! yaml-syntax".to_owned()));
    }
}
