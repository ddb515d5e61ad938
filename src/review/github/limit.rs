//! When GitHub wants to be asked again. Pure: status and headers go in, a pause comes out.
//!
//! <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api>

use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use jiff::Timestamp;
use trueup_kubernetes::gate::Pause;

/// The limit that a refusal speaks of; `None` where it is another refusal.
pub fn limit(status: StatusCode, headers: &HeaderMap, message: &str, now: Timestamp) -> Option<Pause> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    if let Some(pause) = retry_after(headers, now).max(used_up(headers, now)) {
        return Some(Pause::For(pause));
    }
    let message = message.to_ascii_lowercase();
    let is_limit = status == StatusCode::TOO_MANY_REQUESTS || ["rate limit", "abuse"].iter().any(|word| message.contains(word));
    is_limit.then_some(Pause::Unsaid)
}

/// The pause until requests are granted again, where the last one was used up: by this very request, too.
pub fn used_up(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if number(headers, "x-ratelimit-remaining")? > 0 {
        return None;
    }
    // The second that is named must have passed.
    seconds(number(headers, "x-ratelimit-reset")?.saturating_sub(now_of(headers, now).as_second()).max(1))
}

/// `Retry-After`: seconds, or a date.
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    if let Some(number) = number(headers, "retry-after") {
        return seconds(number);
    }
    let until = date(headers, "retry-after")?;
    seconds(until.as_second().saturating_sub(now_of(headers, now).as_second()).max(1))
}

/// GitHub's clock as it answered: its times are by that one, not by ours.
pub fn now_of(headers: &HeaderMap, now: Timestamp) -> Timestamp {
    date(headers, "date").unwrap_or(now)
}

fn date(headers: &HeaderMap, name: &str) -> Option<Timestamp> {
    jiff::fmt::rfc2822::parse(text(headers, name)?).ok().map(|zoned| zoned.timestamp())
}

fn number(headers: &HeaderMap, name: &str) -> Option<i64> {
    text(headers, name)?.parse().ok()
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn seconds(number: i64) -> Option<Duration> {
    Some(Duration::from_secs(number.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value"))).collect()
    }

    #[test]
    fn each_way_to_say_when_to_come_back_is_understood() {
        let now: Timestamp = "2026-11-21T02:00:00Z".parse().expect("a time");
        let reset = (now.as_second() + 90).to_string();
        let [forbidden, many, failed] = [StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS, StatusCode::BAD_GATEWAY];
        let seconds = |seconds| Some(Pause::For(Duration::from_secs(seconds)));
        for (status, pairs, message, expected) in [
            (many, &[("retry-after", "7")][..], "", seconds(7)),
            (forbidden, &[("retry-after", " 7 ")], "", seconds(7)),
            (many, &[("retry-after", "Sat, 21 Nov 2026 02:00:30 GMT")], "", seconds(30)),
            (forbidden, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], "", seconds(90)),
            // A limit that is over by our clock is still one.
            (forbidden, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1")], "", seconds(1)),
            // Both hold where both are said.
            (many, &[("retry-after", "7"), ("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], "", seconds(90)),
            // Our clock is an hour off; GitHub's own date tells.
            (
                forbidden,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset), ("date", "Sat, 21 Nov 2026 02:01:00 GMT")],
                "",
                seconds(30),
            ),
            (many, &[], "", Some(Pause::Unsaid)),
            (many, &[("retry-after", "soon")], "", Some(Pause::Unsaid)),
            (forbidden, &[], "You have exceeded a secondary rate limit.", Some(Pause::Unsaid)),
            (forbidden, &[], "You have triggered an abuse detection mechanism.", Some(Pause::Unsaid)),
            (forbidden, &[("x-ratelimit-remaining", "4999"), ("x-ratelimit-reset", &reset)], "Forbidden", None),
            (forbidden, &[], "Resource not accessible by integration", None),
            (failed, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], "rate limit", None),
        ] {
            assert_eq!(limit(status, &headers(pairs), message, now), expected, "{status} {pairs:?} {message}");
        }
    }
}
