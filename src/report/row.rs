//! The columns of a finding's block: what goes into them, and how they are cut to the terminal's width.

use serde_json::Value;
use trueup_core::finding::{Lane, Stage};
use trueup_core::seen::Seen;

use super::FindingReport;
use super::text::count;
use crate::visible::visible;

/// The most that a column takes, however wide the terminal is.
const SUBJECT: usize = 40;
const PATH: usize = 48;
const CHANGE: usize = 48;
/// What a change may be cut to before it gets a line of its own.
const NARROW_CHANGE: usize = 24;
/// What stands before a difference, where the values are too long to show whole.
const CONTEXT: usize = 12;
/// Where pods are described: people know it from the kind.
const POD_PATHS: [&str; 2] = ["spec.jobTemplate.spec.template.spec.", "spec.template.spec."];

/// What a finding's first line says.
pub(super) struct Row {
    subject: String,
    path: String,
    change: Change,
    pub(super) lane: Lane,
    pub(super) tail: String,
}

/// What differs, shortened only when the room for it is known.
enum Change {
    Word(&'static str),
    Values { desired: String, live: String, counted: Option<String> },
}

impl Row {
    pub(super) fn of(finding: &FindingReport) -> Self {
        let observed = finding.lane >= Lane::Auto && finding.stage == Stage::Observe;
        let (subject, path) = place_of(finding);
        Self {
            subject,
            path,
            change: Change::of(finding),
            lane: finding.lane,
            tail: format!("risk {}{}", finding.risk.score, if observed { " (observe)" } else { "" }),
        }
    }
}

/// Subject and path of a finding as people read them.
pub(super) fn place_of(finding: &FindingReport) -> (String, String) {
    let text = |key: &str| finding.object.get(key).and_then(Value::as_str);
    let subject = match (text("kind"), text("namespace"), text("name")) {
        (Some(kind), Some(namespace), Some(name)) => format!("{kind} {namespace}/{name}"),
        (Some(kind), None, Some(name)) => format!("{kind} {name}"),
        _ => format!("{} output {}", finding.target, text("output").unwrap_or_default()),
    };
    let path = finding.path.as_deref().or(finding.predicate).unwrap_or("whole object");
    (visible(&subject), visible(shorter(path)))
}

/// A path without what people know from the kind.
pub(super) fn shorter(path: &str) -> &str {
    POD_PATHS.iter().find_map(|prefix| path.strip_prefix(prefix)).unwrap_or(path)
}

/// The widths that fit, the same for all rows.
pub(super) struct Columns {
    pub(super) number: usize,
    pub(super) width: usize,
    subject: usize,
    path: usize,
    /// `None`: below the first line.
    change: Option<usize>,
}

impl Columns {
    pub(super) fn fit(rows: &[Row], width: usize) -> Self {
        let widest = |column: &dyn Fn(&Row) -> usize| rows.iter().map(column).max().unwrap_or(0);
        let number = rows.len().to_string().len().max(2);
        let subject = widest(&|row| length(&row.subject)).min(SUBJECT);
        let path = widest(&|row| length(&row.path)).min(PATH);
        let taken = number + 1 + 2 + 2 + 8 + 2 + widest(&|row| length(&row.tail));
        let inline = [CHANGE, NARROW_CHANGE].into_iter().map(|most| widest(&|row| length(&row.change.within(most))));
        let change = inline.into_iter().find(|change| taken + subject + path + 2 + change <= width);
        let path = if change.is_some() { path } else { path.min(width.saturating_sub(taken + subject).max(CONTEXT)) };
        let subject = if change.is_some() { subject } else { subject.min(width.saturating_sub(taken + path).max(CONTEXT)) };
        Self { number, width, subject, path, change }
    }

    pub(super) fn subject_of(&self, row: &Row) -> String {
        format!("{:<width$}", cut(&row.subject, self.subject), width = self.subject)
    }

    pub(super) fn path_of(&self, row: &Row) -> String {
        format!("{:<width$}", cut_head(&row.path, self.path), width = self.path)
    }

    /// The change on the first line, where it has its place there.
    pub(super) fn change_of(&self, row: &Row) -> Option<String> {
        self.change.map(|width| format!("{:<width$}", row.change.within(width)))
    }

    /// The change on a line of its own.
    pub(super) fn change_below(&self, row: &Row) -> String {
        row.change.within(self.width.saturating_sub(5).max(NARROW_CHANGE))
    }
}

impl Change {
    fn of(finding: &FindingReport) -> Self {
        if finding.change == "missing-object" {
            return Self::Word("missing");
        }
        Self::between(finding.desired.as_ref(), finding.live.as_ref())
    }

    fn between(desired: Option<&Seen>, live: Option<&Seen>) -> Self {
        let side = |seen: Option<&Seen>| seen.map_or_else(|| "(none)".to_owned(), shown);
        let counted = match (desired, live) {
            (Some(Seen::Plain(Value::Array(desired))), Some(Seen::Plain(Value::Array(live)))) if desired.len() != live.len() => {
                Some(format!("[{}] → [{}]", count(desired.len(), "entry"), count(live.len(), "entry")))
            }
            _ => None,
        };
        Self::Values { desired: side(desired), live: side(live), counted }
    }

    /// `desired → live` in so much room: whole, or from where the values part.
    fn within(&self, room: usize) -> String {
        let (desired, live, counted) = match self {
            Self::Word(word) => return (*word).to_owned(),
            Self::Values { desired, live, counted } => (desired, live, counted),
        };
        if length(desired) + length(live) + 3 <= room {
            return format!("{desired} → {live}");
        }
        if let Some(counted) = counted {
            return counted.clone();
        }
        let (desired, live) = from_where_they_part(desired, live);
        let sides = room.saturating_sub(3);
        let desired_room = (sides / 2).max(sides.saturating_sub(length(&live)));
        let desired = cut(&desired, desired_room);
        format!("{desired} → {}", cut(&live, sides.saturating_sub(length(&desired))))
    }
}

/// A value on one line.
pub(super) fn shown(seen: &Seen) -> String {
    match seen {
        Seen::Plain(Value::String(text)) if text.is_empty() => "\"\"".to_owned(),
        seen => visible(&seen.to_string()),
    }
}

/// Two long values without what they begin with in common: `…checkout:1.4.2`, `…:1.4.3-hot`.
fn from_where_they_part(desired: &str, live: &str) -> (String, String) {
    let common: usize = desired.chars().zip(live.chars()).take_while(|(a, b)| a == b).map(|(same, _)| same.len_utf8()).sum();
    // So many characters before a place, or the beginning.
    let before = |end: usize, count: usize| desired[..end].char_indices().rev().take(count).last().map_or(end, |(at, _)| at);
    let earliest = before(common, CONTEXT);
    let boundary = desired[earliest..common].rfind(['/', ':', '@', '=', ',', ' ']);
    let parting = earliest + boundary.unwrap_or_default();
    if before(parting, CONTEXT) == 0 {
        return (desired.to_owned(), live.to_owned());
    }
    let word = desired[before(parting, 2 * CONTEXT + 1)..parting].rfind(['/', ' ']);
    let from = word.map_or(parting, |at| before(parting, 2 * CONTEXT + 1) + at + 1);
    (format!("…{}", &desired[from..]), format!("…{}", &live[parting..]))
}

/// `desired → live` in so much room.
pub(super) fn changed(desired: Option<&Seen>, live: Option<&Seen>, room: usize) -> String {
    Change::between(desired, live).within(room)
}

fn length(text: &str) -> usize {
    text.chars().count()
}

/// The text, or its beginning and an ellipsis.
pub(super) fn cut(text: &str, room: usize) -> String {
    if length(text) <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().take(room.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The text, or an ellipsis and its end: of a path the end tells most.
pub(super) fn cut_head(text: &str, room: usize) -> String {
    let length = length(text);
    if length <= room {
        return text.to_owned();
    }
    let kept: String = text.chars().skip(length - room.saturating_sub(1)).collect();
    format!("…{kept}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(desired: &str, live: &str) -> Change {
        Change::Values { desired: desired.to_owned(), live: live.to_owned(), counted: None }
    }

    #[test]
    fn what_differs_stays_visible_in_little_room() {
        let images = values("registry.example/team/checkout:1.4.2", "registry.example/team/checkout:1.4.3-hot");
        assert_eq!(images.within(100), "registry.example/team/checkout:1.4.2 → registry.example/team/checkout:1.4.3-hot");
        assert_eq!(images.within(48), "…checkout:1.4.2 → …:1.4.3-hot");
        let digests = values(&format!("{}a", "0".repeat(80)), &format!("{}b", "0".repeat(80)));
        assert_eq!(digests.within(40), "…000000000000a → …000000000000b");
        let unlike = values(&"a".repeat(60), &"b".repeat(60));
        assert_eq!(unlike.within(23), "aaaaaaaaa… → bbbbbbbbb…");
    }

    #[test]
    fn no_cut_is_longer_than_its_room() {
        for room in 5..60 {
            let change = values("registry.example/team/checkout:1.4.2", "registry.example/team/checkout:1.4.3-hot");
            assert!(length(&change.within(room)) <= room, "{room}: {}", change.within(room));
            assert!(length(&cut("grüße aus Köln", room)) <= room);
            assert!(length(&cut_head("spec.containers[name=app].image", room)) <= room);
        }
    }
}
