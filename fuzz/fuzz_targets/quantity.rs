//! Quantities: a total order, in which plain numbers stand as arithmetic says. What the API server makes of each text is another
//! test's matter.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use trueup_core::quantity::{Quantity, duration_nanoseconds};

fuzz_target!(|text: &str| {
    let texts: Vec<&str> = text.splitn(3, '\n').collect();
    let read: Vec<(&str, Quantity)> = texts.iter().filter_map(|text| Some((*text, Quantity::parse(text)?))).collect();
    for (text, quantity) in &read {
        assert_eq!(quantity.cmp(quantity), Ordering::Equal, "{text:?}");
        assert_eq!(Quantity::parse(text).as_ref(), Some(quantity), "the same text means the same");
        for (other_text, other) in &read {
            let order = quantity.cmp(other);
            assert_eq!(order, other.cmp(quantity).reverse(), "{text:?} {other_text:?}");
            assert_eq!(order == Ordering::Equal, quantity == other, "{text:?} {other_text:?}");
            if let (Some(a), Some(b)) = (billionths(text), billionths(other_text)) {
                assert_eq!(order, a.cmp(&b), "{text:?} {other_text:?}");
            }
            signs_turn_the_order_around((text, other_text), order);
            for (_, third) in &read {
                assert!(!(quantity <= other && other <= third) || quantity <= third, "{texts:?}");
            }
        }
    }
    for text in texts.into_iter().filter(|text| !text.starts_with(['-', '+'])) {
        assert!(billionths(text).is_none() || Quantity::parse(text).is_some(), "{text:?} is a quantity");
        let negative = duration_nanoseconds(&format!("-{text}"));
        assert!(duration_nanoseconds(text).is_none() || negative.is_some(), "{text:?}");
    }
});

fn signs_turn_the_order_around((a, b): (&str, &str), order: Ordering) {
    let is_unsigned = |text: &str| text.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if is_unsigned(a) && is_unsigned(b) {
        let negative = |text: &str| Quantity::parse(&format!("-{text}")).unwrap_or_else(|| panic!("-{text}"));
        assert_eq!(negative(a).cmp(&negative(b)), order.reverse(), "{a:?} {b:?}");
    }
}

/// A plain number, at most six digits on each side of the point, with a usual suffix: in billionths, without rounding.
fn billionths(text: &str) -> Option<i128> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let is_plain = |digits: &str| (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_plain(whole) || !is_plain(fraction) {
        return None;
    }
    // In thousandths, so that `m` is a factor.
    let factor: i128 = match suffix {
        "m" => 1,
        "" => 1_000,
        "k" => 1_000_000,
        "M" => 1_000_000_000,
        "G" => 1_000_000_000_000,
        "Ki" => 1_000 << 10,
        "Mi" => 1_000 << 20,
        "Gi" => 1_000 << 30,
        _ => return None,
    };
    let millionths: i128 = format!("{whole}{fraction:0<6}").parse().ok()?;
    Some(sign * millionths * factor)
}
