//! Values as YAML text that Kubernetes (YAML 1.1) and YAML 1.2 readers read as the same value.

use std::fmt::Write;

use serde_json::{Map, Value};

use super::scalar::Style;

/// How a file is laid out, so that what is added looks like what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// `\n` or `\r\n`.
    pub newline: &'static str,
    /// By how many columns a list stands behind its key: 0 or 2.
    pub list_indent: usize,
    /// How strings are written where nothing gives a style: plain where every reader takes them as strings, as a literal
    /// block where they have lines, else quoted; or all of them quoted.
    pub style: Style,
}

/// The layout that most of a file has.
#[must_use]
pub fn layout_of(text: &str, style: Style) -> Layout {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let mut votes = 0i32;
    let mut key_indent = None;
    for line in text.lines().filter(|line| !line.trim_start().starts_with('#') && !line.trim().is_empty()) {
        let content = line.trim_start();
        let indent = line.len() - content.len();
        if let Some(key_indent) = key_indent
            && content.starts_with("- ")
        {
            votes += if indent > key_indent { 1 } else { -1 };
        }
        let inner = indent + (content.len() - content.trim_start_matches("- ").len());
        key_indent = content.trim_end().ends_with(':').then_some(inner);
    }
    Layout { newline, list_indent: if votes > 0 { 2 } else { 0 }, style }
}

/// `key: value` as a block, indented by `indent` columns, without a newline behind it.
#[must_use]
pub fn entry(key: &str, value: &Value, indent: usize, layout: Layout) -> String {
    let mut text = String::new();
    write_entry(&mut text, key, value, indent, layout);
    text
}

/// `- value` as a block, indented by `indent` columns, without a newline behind it.
#[must_use]
pub fn item(value: &Value, indent: usize, layout: Layout) -> String {
    let mut text = format!("{}-", spaces(indent));
    write_item(&mut text, value, indent, layout);
    text
}

/// The entries or items of a collection as lines, indented by `indent` columns, without a newline behind them.
#[must_use]
pub fn lines(value: &Value, indent: usize, layout: Layout) -> String {
    let mut text = String::new();
    match value {
        Value::Object(fields) => write_fields(&mut text, fields, indent, layout),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(|value| item(value, indent, layout)).collect();
            text.push_str(&items.join(layout.newline));
        }
        other => text.push_str(&scalar(other)),
    }
    text
}

/// A scalar, or an empty collection, on one line; strings plain where every reader takes them as strings.
#[must_use]
pub fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) if is_plain(text) => text.clone(),
        Value::String(text) => double_quoted(text),
        other => other.to_string(),
    }
}

/// A string in double quotes with everything escaped that is not plainly visible.
#[must_use]
pub fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            character if is_visible(character) => quoted.push(character),
            character => {
                let code = u32::from(character);
                let escape = if code > 0xffff { format!("\\U{code:08x}") } else { format!("\\u{code:04x}") };
                quoted.push_str(&escape);
            }
        }
    }
    quoted.push('"');
    quoted
}

/// A string in single quotes; `None` where only double quotes can hold it.
#[must_use]
pub fn single_quoted(text: &str) -> Option<String> {
    text.chars().all(is_visible).then(|| format!("'{}'", text.replace('\'', "''")))
}

/// The header's chomping sign and the lines of a literal block scalar; `None` where one cannot hold the text.
#[must_use]
pub fn literal(text: &str) -> Option<(&'static str, Vec<&str>)> {
    let (chomp, content) = match text.strip_suffix('\n') {
        Some(content) => ("", content),
        None => ("-", text),
    };
    let lines: Vec<&str> = content.split('\n').collect();
    let fits = !content.ends_with('\n')
        && content.chars().all(|character| character == '\n' || character == '\t' || is_visible(character))
        && lines.first().is_some_and(|line| !line.is_empty() && !line.starts_with([' ', '\t']))
        && lines.iter().all(|line| line.is_empty() || !line.trim().is_empty());
    fits.then_some((chomp, lines))
}

/// Whether a string may stand without quotes: no reader of YAML 1.1 or 1.2 takes it as anything else.
fn is_plain(text: &str) -> bool {
    let starts_plainly = text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '_' | '.' | '$'));
    starts_plainly
        && text.chars().all(|c| is_visible(c) && !matches!(c, '{' | '}' | '[' | ']' | ',' | '`'))
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.ends_with([':', ' '])
        && !is_other_scalar(text)
}

/// Whether some reader of YAML 1.1 or 1.2 takes the plain text as a boolean, null, number or time.
fn is_other_scalar(text: &str) -> bool {
    const WORDS: [&str; 11] = ["y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "="];
    let lower = text.to_ascii_lowercase();
    let digits = lower.replace('_', "");
    let unsigned = digits.trim_start_matches(['+', '-', '.']);
    let based = ["0x", "0o", "0b"].iter().any(|prefix| unsigned.starts_with(prefix));
    let starts_with_digit = unsigned.starts_with(|c: char| c.is_ascii_digit());
    let timelike =
        starts_with_digit && lower.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '-' | '.' | 't' | 'z' | '+'));
    let dotted_version = lower.split('.').count() > 2 && lower.chars().all(|c| c.is_ascii_digit() || c == '.');
    WORDS.contains(&lower.as_str())
        || based
        || digits.parse::<f64>().is_ok()
        || matches!(unsigned, "inf" | "nan")
        || (timelike && !dotted_version)
}

/// Whether people see a character for what it is.
#[must_use]
pub fn is_visible(character: char) -> bool {
    !character.is_control()
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{ffff}' | '\u{e0000}'..='\u{e007f}')
}

fn write_entry(text: &mut String, key: &str, value: &Value, indent: usize, layout: Layout) {
    write!(text, "{}{}:", spaces(indent), scalar(&Value::String(key.to_owned()))).expect("writing to a String cannot fail");
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            text.push_str(layout.newline);
            write_fields(text, fields, indent + 2, layout);
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                let indent = indent + layout.list_indent;
                write!(text, "{}{}-", layout.newline, spaces(indent)).expect("writing to a String cannot fail");
                write_item(text, item, indent, layout);
            }
        }
        other => write_scalar(text, other, indent + 2, layout),
    }
}

fn write_item(text: &mut String, value: &Value, indent: usize, layout: Layout) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let mut block = String::new();
            write_fields(&mut block, fields, indent + 2, layout);
            text.push(' ');
            text.push_str(block.trim_start());
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                let lead = if index == 0 { " ".to_owned() } else { format!("{}{}", layout.newline, spaces(indent + 2)) };
                write!(text, "{lead}-").expect("writing to a String cannot fail");
                write_item(text, item, indent + 2, layout);
            }
        }
        other => write_scalar(text, other, indent + 2, layout),
    }
}

fn write_fields(text: &mut String, fields: &Map<String, Value>, indent: usize, layout: Layout) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            text.push_str(layout.newline);
        }
        write_entry(text, key, value, indent, layout);
    }
}

fn write_scalar(text: &mut String, value: &Value, indent: usize, layout: Layout) {
    let block = value.as_str().filter(|text| text.trim_end_matches('\n').contains('\n')).and_then(literal);
    let (chomp, lines) = match (layout.style, value, block) {
        (Style::Kept | Style::Literal, _, Some(block)) => block,
        (Style::Quoted, Value::String(string), _) => {
            write!(text, " {}", double_quoted(string)).expect("writing to a String cannot fail");
            return;
        }
        _ => {
            write!(text, " {}", scalar(value)).expect("writing to a String cannot fail");
            return;
        }
    };
    write!(text, " |{chomp}").expect("writing to a String cannot fail");
    for line in lines {
        let lead = if line.is_empty() { String::new() } else { spaces(indent) };
        write!(text, "{}{lead}{line}", layout.newline).expect("writing to a String cannot fail");
    }
}

/// How a flow collection is written: `{a: b}`, or as JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flow {
    /// Whether keys and strings stand in double quotes.
    pub is_quoted: bool,
    /// Whether it must be JSON.
    pub is_json: bool,
    /// `:` with the blank behind it, if there is one.
    pub colon: &'static str,
    /// `,` with the blank behind it, if there is one.
    pub comma: &'static str,
    /// With a line for each member: the line's blanks, and by what a level more is indented.
    pub lines: Option<(String, String)>,
    /// How lines end.
    pub newline: &'static str,
}

impl Flow {
    /// A value in this form.
    pub(super) fn value(&self, value: &Value) -> String {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(items) => {
                let inner = self.inner();
                self.members('[', &items.iter().map(|item| inner.value(item)).collect::<Vec<_>>(), ']')
            }
            Value::Object(fields) => {
                let inner = self.inner();
                self.members('{', &fields.iter().map(|(key, value)| inner.entry(key, value)).collect::<Vec<_>>(), '}')
            }
            other => other.to_string(),
        }
    }

    /// `key: value`.
    pub(super) fn entry(&self, key: &str, value: &Value) -> String {
        format!("{}{}{}", self.text(key), self.colon, self.value(value))
    }

    /// A string.
    pub(super) fn text(&self, text: &str) -> String {
        if self.is_json {
            // What no one would see is escaped; the rest is JSON's own business.
            let quoted = Value::String(text.to_owned()).to_string();
            let shown = quoted.chars().map(|c| match u32::from(c) {
                code if !is_visible(c) && code <= 0xffff => format!("\\u{code:04x}"),
                _ => c.to_string(),
            });
            return shown.collect();
        }
        if self.is_quoted { double_quoted(text) } else { scalar(&Value::String(text.to_owned())) }
    }

    /// The form of what is inside.
    fn inner(&self) -> Self {
        let lines = self.lines.as_ref().map(|(indent, unit)| (format!("{indent}{unit}"), unit.clone()));
        Self { lines, ..self.clone() }
    }

    fn members(&self, open: char, members: &[String], close: char) -> String {
        match &self.lines {
            Some((indent, unit)) if !members.is_empty() => {
                let separator = format!(",{}{indent}{unit}", self.newline);
                format!("{open}{}{indent}{unit}{}{}{indent}{close}", self.newline, members.join(&separator), self.newline)
            }
            _ => format!("{open}{}{close}", members.join(self.comma)),
        }
    }
}

fn spaces(count: usize) -> String {
    " ".repeat(count)
}
