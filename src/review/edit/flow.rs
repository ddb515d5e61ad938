//! Splices in flow collections (`{a: b}`, `[a, b]`) and in JSON: written in one line or with a line for each member, as they are.

use std::ops::Range;

use serde_json::Value;
use trueup_kubernetes::manifest::outline::{Form, Part};

use super::super::plan::{Step, Write};
use super::print::Flow;
use super::scalar;
use super::{Splice, Spot, line};

/// The splice that performs an operation in a flow collection.
pub(super) fn splice(spot: &Spot<'_>, step: &Step, write: &Write) -> Result<Splice, String> {
    let Spot { text, parent, .. } = *spot;
    let form = form(text, parent, spot);
    let inside = inside(&form, text, parent);
    match (step, write) {
        (_, Write::Replace(value)) => Ok(replace(spot, spot.index(step)?, value, &inside)),
        (_, Write::Remove) => remove(spot, spot.index(step)?),
        (Step::Key(key), Write::Insert(value)) => insert(spot, members(parent).len(), &inside.entry(key, value), &inside),
        (Step::Index(index), Write::Insert(value)) => insert(spot, *index, &inside.value(value), &inside),
    }
}

/// How a flow collection is written.
pub(super) fn form(text: &str, part: &Part, spot: &Spot<'_>) -> Flow {
    let Spot { document, is_json, .. } = *spot;
    let members = members(part);
    let is_quoted = is_json || members.iter().any(|member| text[member.start..].starts_with('"'));
    let colon = match &part.form {
        Form::Map(entries) => entries.first().is_none_or(|entry| has_blank(text, entry.key.end, ':')),
        _ => !is_json || is_spaced(text, document),
    };
    let comma = match members.as_slice() {
        [first, second, ..] => text[first.end..second.start].ends_with([' ', '\n', '\t']),
        _ => colon,
    };
    let newline = line::newline(text, part.span.start);
    let lines = members.first().filter(|first| text[part.span.start..first.start].contains('\n')).map(|first| {
        let own = line::indent(text, part.span.start);
        let inner = line::indent(text, first.start);
        let unit = inner.strip_prefix(own).filter(|unit| !unit.is_empty()).unwrap_or("  ");
        (own.to_owned(), unit.to_owned())
    });
    Flow { is_quoted, is_json, colon: if colon { ": " } else { ":" }, comma: if comma { ", " } else { "," }, lines, newline }
}

/// Whether a mapping has blanks behind its colons.
fn is_spaced(text: &str, part: &Part) -> bool {
    match &part.form {
        Form::Map(entries) => entries.first().is_none_or(|entry| has_blank(text, entry.key.end, ':')),
        _ => true,
    }
}

fn has_blank(text: &str, at: usize, sign: char) -> bool {
    let rest = text[at..].trim_start_matches([' ', '\t']);
    !rest.starts_with(sign) || rest[1..].starts_with([' ', '\t', '\n', '\r'])
}

/// The form of the members: one level in, on lines only where these are.
fn inside(form: &Flow, text: &str, part: &Part) -> Flow {
    let last = members(part).last().map(|member| line::indent(text, member.start).to_owned());
    let lines = form.lines.as_ref().map(|(own, unit)| (last.unwrap_or_else(|| format!("{own}{unit}")), unit.clone()));
    Flow { lines, ..form.clone() }
}

fn members(part: &Part) -> Vec<Range<usize>> {
    match &part.form {
        Form::Map(entries) => entries.iter().map(|entry| entry.key.start..entry.value.span.end.max(entry.key.end)).collect(),
        _ => part.items().iter().map(|item| item.span.clone()).collect(),
    }
}

fn replace(spot: &Spot<'_>, index: usize, value: &Value, inside: &Flow) -> Splice {
    let Spot { text, parent, layout, .. } = *spot;
    let part = parent.children()[index];
    let old = &text[part.span.clone()];
    let with = match value {
        Value::String(string) if inside.is_json || part.span.is_empty() || !part.children().is_empty() => inside.text(string),
        Value::String(string) => scalar::inline(old, string, layout.style),
        other => inside.value(other),
    };
    let lead = if part.span.is_empty() && text[..part.span.start].ends_with(':') { " " } else { "" };
    Splice::of(part.span.clone(), format!("{lead}{with}"))
}

fn insert(spot: &Spot<'_>, index: usize, printed: &str, inside: &Flow) -> Result<Splice, String> {
    let Spot { text, parent, .. } = *spot;
    let members = members(parent);
    let lines = inside.lines.as_ref().map(|(indent, _)| format!("{}{indent}", inside.newline));
    let Some(before) = index.checked_sub(1) else {
        let first = members.first().ok_or("the collection has no member to align with")?;
        let gap = lines.map_or(inside.comma.to_owned(), |lines| format!(",{lines}"));
        return Ok(Splice::of(first.start..first.start, format!("{printed}{gap}")));
    };
    let at = members.get(before).ok_or("the list has no such item")?.end;
    let line_end = line::end(text, at);
    let tail = &text[at..line_end];
    let behind = tail.trim_start();
    let (comma, behind) = behind.strip_prefix(',').map_or(("", behind), |behind| (",", behind.trim_start()));
    match lines {
        Some(lines) if behind.is_empty() || behind.starts_with('#') => Ok(if comma.is_empty() {
            Splice::of(at..line_end, format!(",{tail}{lines}{printed}"))
        } else {
            Splice::of(line_end..line_end, format!("{lines}{printed},"))
        }),
        _ => Ok(Splice::of(at..at, format!("{}{printed}", inside.comma))),
    }
}

fn remove(spot: &Spot<'_>, index: usize) -> Result<Splice, String> {
    let Spot { text, parent, is_json, .. } = *spot;
    let members = members(parent);
    let member = members.get(index).ok_or("the list has no such item")?;
    let before = index.checked_sub(1).map(|before| members[before].end);
    let line_end = line::end(text, member.end);
    let tail = text[member.end..line_end].trim_start();
    let has_comma = tail.starts_with(',');
    let rest = tail.trim_start_matches(',').trim_start();
    let is_alone = line::is_first(text, member.start) && (rest.is_empty() || rest.starts_with('#'));
    let is_last = index + 1 == members.len();
    let above = before.map_or("", |before| &text[before..member.start]);
    if is_alone && (!is_last || has_comma || !is_json && above.contains('#')) {
        return Ok(Splice::of(line::start(text, member.start)..line::next(text, line_end), ""));
    }
    match (members.get(index + 1), before) {
        (Some(next), _) => Ok(Splice::of(member.start..next.start, "")),
        (None, Some(before)) if !above.contains('#') => Ok(Splice::of(before..member.end, "")),
        (None, Some(_)) => Ok(Splice::of(member.clone(), "")),
        (None, None) => Err("the collection has no other member".to_owned()),
    }
}
