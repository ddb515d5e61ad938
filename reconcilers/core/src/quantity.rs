//! Quantities (`resource.Quantity` of apimachinery) and durations, compared by value.

use num_bigint::BigInt;

/// A quantity's value in billionths, as Kubernetes keeps it: finer fractions are rounded away from zero, and nothing is
/// larger than 2⁶³−1.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(BigInt);

impl Quantity {
    /// Reads Kubernetes' grammar: sign, decimal number, then `Ki`…`Ei`, `n`…`E`, or a decimal exponent. `None` where the
    /// text is no quantity.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
        let (number, suffix) = unsigned.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let (base, exponent) = scale(suffix)?;
        let digits: BigInt = format!("0{whole}{fraction}").parse().ok()?;
        let shift = exponent + 9 - i64::try_from(fraction.len()).ok()?;
        let magnitude = scaled(digits * base, shift).min(largest());
        Some(Self(if negative { -magnitude } else { magnitude }))
    }
}

/// What a suffix multiplies by: a factor, and a power of ten.
fn scale(suffix: &str) -> Option<(BigInt, i64)> {
    let binary = |power: usize| (BigInt::from(1) << (10 * power), 0);
    let decimal = |exponent: i64| (BigInt::from(1), exponent);
    Some(match suffix {
        "" => decimal(0),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        other => decimal(i64::from(other.strip_prefix(['e', 'E'])?.parse::<i16>().ok()?)),
    })
}

/// `value` × 10^`shift`, rounded up.
fn scaled(value: BigInt, shift: i64) -> BigInt {
    let power = BigInt::from(10).pow(u32::try_from(shift.unsigned_abs()).unwrap_or(u32::MAX).min(100_000));
    if shift >= 0 {
        return value * power;
    }
    let rounded_down = &value / &power;
    if &rounded_down * &power == value { rounded_down } else { rounded_down + 1 }
}

fn largest() -> BigInt {
    BigInt::from(i64::MAX) * BigInt::from(1_000_000_000)
}

/// A Go duration (`1m30s`) in nanoseconds. `None` where the text is no duration.
#[must_use]
pub fn duration_nanoseconds(text: &str) -> Option<BigInt> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(BigInt::ZERO);
    }
    let mut total = BigInt::ZERO;
    while !rest.is_empty() {
        let number_end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let unit_end = rest[number_end..].find(|c: char| c.is_ascii_digit() || c == '.').map_or(rest.len(), |at| number_end + at);
        let (whole, fraction) = rest[..number_end].split_once('.').unwrap_or((&rest[..number_end], ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return None;
        }
        let unit: i64 = match &rest[number_end..unit_end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let digits: BigInt = format!("0{whole}{fraction}").parse().ok()?;
        total += digits * unit / BigInt::from(10).pow(u32::try_from(fraction.len()).ok()?);
        rest = &rest[unit_end..];
    }
    Some(if negative { -total } else { total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|| panic!("`{text}` is a quantity"))
    }

    #[test]
    fn equal_by_value() {
        for (a, b) in [
            ("1000m", "1"),
            ("0.5", "500m"),
            ("3072Mi", "3Gi"),
            ("1000M", "1G"),
            ("1e3", "1k"),
            ("1E3", "1000"),
            ("1E", "1e18"),
            (".5", "0.5"),
            ("5.", "5"),
            ("+1", "1"),
            ("-0", "0"),
            ("0.1n", "1n"),
            ("1.5Gi", "1536Mi"),
            ("100E", "9223372036854775807"),
        ] {
            assert_eq!(quantity(a), quantity(b), "{a} and {b}");
        }
        assert_ne!(quantity("1Gi"), quantity("1G"));
        assert!(quantity("-1") < quantity("1m"));
    }

    #[test]
    fn not_every_text_is_a_quantity() {
        for text in ["", "-", ".", "1.2.3", "1 Gi", "Gi", "1KI", "1e", "0x10", "1_000", "٣"] {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_by_value() {
        assert_eq!(duration_nanoseconds("90s"), duration_nanoseconds("1m30s"));
        assert_eq!(duration_nanoseconds("1.5h"), duration_nanoseconds("90m"));
        assert_eq!(duration_nanoseconds("1x"), None);
        assert_eq!(duration_nanoseconds("90"), None);
    }

    proptest! {
        #[test]
        fn a_suffix_is_a_factor(number in 0u32..1_000_000) {
            prop_assert_eq!(quantity(&format!("{number}Ki")), quantity(&(u64::from(number) * 1024).to_string()));
            prop_assert_eq!(quantity(&format!("{number}k")), quantity(&format!("{number}e3")));
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = Quantity::parse(&text);
            let _ = duration_nanoseconds(&text);
        }
    }
}
