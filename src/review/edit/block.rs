//! Splices in block mappings and lists: lines come and go, and what is added stands as its neighbours do.

use std::ops::Range;

use serde_json::Value;
use trueup_kubernetes::manifest::outline::{Form, Part, dash_of};

use super::super::plan::{Step, Write};
use super::flow;
use super::print::{self, Layout};
use super::scalar::{self, Old, Text};
use super::{Splice, Spot, is_flow, line};

/// The splice that performs an operation in a block collection.
pub(super) fn splice(spot: &Spot<'_>, step: &Step, write: &Write) -> Result<Splice, String> {
    match (&spot.parent.form, step, write) {
        (Form::Map(_), Step::Key(key), Write::Insert(value)) => insert_key(spot, key, value),
        (Form::List(items), Step::Index(index), Write::Insert(value)) => insert_item(spot, items, *index, value),
        (Form::Map(_) | Form::List(_), _, Write::Replace(value)) => replace(spot, spot.index(step)?, value),
        (Form::Map(_) | Form::List(_), _, Write::Remove) => Ok(remove(spot, spot.index(step)?)),
        _ => Err("the value around it is not written as a mapping or list".to_owned()),
    }
}

/// A new key behind the last one.
fn insert_key(spot: &Spot<'_>, key: &str, value: &Value) -> Result<Splice, String> {
    let Form::Map(entries) = &spot.parent.form else { return Err("it is no mapping".to_owned()) };
    let (first, last) = entries.first().zip(entries.last()).ok_or("the mapping has no key to align with")?;
    let Spot { text, layout, .. } = *spot;
    let at = last_line_end(text, &last.value);
    let newline = line::newline(text, at);
    let printed = print::entry(key, value, line::column(text, first.key.start), Layout { newline, ..layout });
    Ok(Splice::of(at..at, format!("{newline}{printed}")))
}

/// A new item behind its neighbour, or before the first one and what is said above it.
fn insert_item(spot: &Spot<'_>, items: &[Part], index: usize, value: &Value) -> Result<Splice, String> {
    let Spot { text, parent, layout, .. } = *spot;
    let first = dash(text, parent, 0).ok_or("the list is not written as lines")?;
    let column = line::column(text, first);
    let newline = line::newline(text, first);
    let layout = Layout { newline, ..layout };
    let printed = print::item(value, column, layout);
    if let Some(before) = index.checked_sub(1) {
        let at = last_line_end(text, items.get(before).ok_or("the list has no such item")?);
        return Ok(Splice::of(at..at, format!("{newline}{printed}")));
    }
    if line::is_first(text, first) {
        let at = above_comments(text, first);
        return Ok(Splice::of(at..at, format!("{printed}{newline}")));
    }
    Ok(Splice::of(first..first, format!("{}{newline}{}", printed.trim_start(), " ".repeat(column))))
}

/// The start of the line, or of the first of the comments directly above it that stand as far right.
fn above_comments(text: &str, at: usize) -> usize {
    let column = line::column(text, at);
    let mut start = line::start(text, at);
    while start > 0 {
        let above = line::start(text, start - 1);
        let content = text[above..start].trim();
        if !content.starts_with('#') || line::indent(text, above + text[above..start].find('#').unwrap_or(0)).len() != column {
            break;
        }
        start = above;
    }
    start
}

/// The lines of an entry or item go, and what stands behind its value on the last of them.
fn remove(spot: &Spot<'_>, index: usize) -> Splice {
    let Spot { text, parent, .. } = *spot;
    let (start, value) = member(text, parent, index);
    let end = last_line_end(text, value);
    let next = line::next(text, end);
    if !line::is_first(text, start) {
        // `- a: 1` loses `a`: the next key, or a comment above it, moves up behind the dash.
        let to = next + text[next..].len() - text[next..].trim_start().len();
        return Splice::of(start..to, "");
    }
    // The file's byte order mark is no part of its first line.
    let from = start - line::prefix(text, start).len();
    if end == text.len() && from > 0 {
        let before = from - if text[..from].ends_with("\r\n") { 2 } else { 1 };
        return Splice::of(before..end, "");
    }
    Splice::of(from..next, "")
}

/// Where an entry's key or an item's dash stands, and its value.
fn member<'a>(text: &str, parent: &'a Part, index: usize) -> (usize, &'a Part) {
    match &parent.form {
        Form::Map(entries) => (entries[index].key.start, &entries[index].value),
        _ => (dash(text, parent, index).unwrap_or(parent.items()[index].span.start), &parent.items()[index]),
    }
}

/// The dash of a list's item.
fn dash(text: &str, list: &Part, index: usize) -> Option<usize> {
    dash_of(text, list.items().get(index)?.span.start)
}

/// The end of the last line that a value stands on.
fn last_line_end(text: &str, part: &Part) -> usize {
    line::end(text, content_end(text, part))
}

/// Where a value's own text ends. The blank lines behind a block scalar are its own only where it keeps them.
fn content_end(text: &str, part: &Part) -> usize {
    let source = &text[part.span.clone()];
    match part.children().last() {
        Some(last) if !is_flow(text, part) => content_end(text, last).max(part.span.start),
        None if source.starts_with(['|', '>']) => scalar::block_end(text, &part.span, scalar::keeps(source)),
        Some(_) | None => part.span.end,
    }
}

/// The value of an entry or item becomes another one.
fn replace(spot: &Spot<'_>, index: usize, value: &Value) -> Result<Splice, String> {
    let Spot { text, parent, layout, .. } = *spot;
    let (start, part) = member(text, parent, index);
    let layout = Layout { newline: line::newline(text, start), ..layout };
    let is_collection = match value {
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    };
    let is_filled = !part.children().is_empty();
    if is_flow(text, part) && is_filled && is_collection {
        return Ok(Splice::of(part.span.clone(), flow::form(text, part, spot).value(value)));
    }
    let old =
        Old { source: if is_filled { "" } else { &text[part.span.clone()] }, column: line::column(text, parent.span.start) };
    let place = place(text, parent, index, part)?;
    if is_collection {
        return Ok(below(spot, &place, (start, value), layout));
    }
    Ok(match scalar::replacement(old, value, layout) {
        Text::Inline(inline) => {
            let lead = if text[..place.value.start].ends_with([' ', '\t']) { "" } else { " " };
            Splice::of(place.value.start..place.end, format!("{lead}{inline}{}", place.rest))
        }
        Text::Block { header, lines, keeps } => {
            let lead = if text[..place.value.start].ends_with([' ', '\t']) { "" } else { " " };
            let all = keeps || scalar::keeps(old.source);
            let end = if old.source.starts_with(['|', '>']) { scalar::block_end(text, &part.span, all) } else { place.end };
            let lines: String = lines.iter().flat_map(|line| [layout.newline, line.as_str()]).collect();
            Splice::of(place.value.start..end, format!("{lead}{header}{}{lines}", place.rest))
        }
    })
}

/// Where a value stands that is replaced.
struct Place<'a> {
    /// From its first byte, or from behind the `:` or `-` where it begins on a later line.
    value: Range<usize>,
    /// The end of what is replaced, the line's rest included where lines below it go, too.
    end: usize,
    /// What stays behind the value on its first line: a comment.
    rest: &'a str,
}

fn place<'a>(text: &'a str, parent: &Part, index: usize, part: &Part) -> Result<Place<'a>, String> {
    let is_block = text[part.span.clone()].starts_with(['|', '>']) && part.children().is_empty();
    if is_block {
        let header_end = line::end(text, part.span.start);
        let signs = text[part.span.start + 1..header_end].find(|c: char| !matches!(c, '+' | '-' | '1'..='9'));
        let rest = part.span.start + 1 + signs.unwrap_or(header_end - part.span.start - 1);
        let end = content_end(text, part);
        return Ok(Place { value: part.span.clone(), end, rest: &text[rest..header_end] });
    }
    let is_lines = !part.children().is_empty() && !is_flow(text, part);
    if !is_lines {
        let line_end = line::end(text, part.span.end);
        return Ok(Place { value: part.span.clone(), end: line_end, rest: &text[part.span.end..line_end] });
    }
    let head = match &parent.form {
        Form::Map(entries) => colon(text, entries[index].key.end),
        _ => dash(text, parent, index).map(|dash| dash + 1),
    };
    let head = head.ok_or("the value is not written where the edit goes")?;
    let line_end = line::end(text, head);
    let end = last_line_end(text, part);
    if part.span.start <= line_end {
        return Ok(Place { value: part.span.start..end, end, rest: "" });
    }
    let rest = &text[head..line_end];
    if !rest.trim().is_empty() && !rest.trim_start().starts_with('#') {
        return Err("an anchor or a tag stands before the value".to_owned());
    }
    Ok(Place { value: head..end, end, rest })
}

/// Behind the `:` of a key.
fn colon(text: &str, key_end: usize) -> Option<usize> {
    let rest = &text[key_end..];
    let blank = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    rest[blank..].starts_with(':').then_some(key_end + blank + 1)
}

/// A collection in the lines below its key, or behind its dash.
fn below(spot: &Spot<'_>, place: &Place<'_>, (start, value): (usize, &Value), layout: Layout) -> Splice {
    let Spot { text, parent, .. } = *spot;
    let column = line::column(text, start);
    let from =
        place.value.start - (text[..place.value.start].len() - text[..place.value.start].trim_end_matches([' ', '\t']).len());
    let rest = place.rest.trim_end();
    let is_item = matches!(parent.form, Form::List(_));
    if is_item && rest.is_empty() {
        let printed = print::item(value, column, layout);
        return Splice::of(from..place.end, printed.trim_start().trim_start_matches('-').to_owned());
    }
    let printed = if is_item {
        print::lines(value, column + 2, layout)
    } else {
        let indent = if value.is_array() { column + layout.list_indent } else { column + 2 };
        print::lines(value, indent, layout)
    };
    let gap = if rest.is_empty() || rest.starts_with([' ', '\t']) { "" } else { " " };
    Splice::of(from..place.end, format!("{gap}{rest}{}{printed}", layout.newline))
}
