//! Quantities (`resource.Quantity` of apimachinery), durations and times, compared by value.

use std::cmp::Ordering;

use num_bigint::BigInt;

/// The finest power of ten that a quantity has.
const NANO: i64 = -9;
/// The largest one that has a suffix.
const EXA: i64 = 18;
/// Binary fractions have at most 60 digits, and 9 more make billionths: whatever stands behind this many digits of a fraction
/// rounds up as one digit does.
const DECISIVE_FRACTION: usize = 70;

/// A quantity's value as the API server keeps it. In decimals: `digits` × 10^`exponent`, where `digits` has no zero at either
/// end. Fractions finer than a billionth are rounded away from zero; with a binary suffix nothing is larger than 2⁶³−1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantity {
    negative: bool,
    digits: String,
    exponent: i64,
}

/// What a suffix multiplies by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Suffix {
    /// `n`…`E`, or none: a power of ten.
    Decimal(i64),
    /// `e3`: a power of ten, written out.
    Exponent(i64),
    /// `Ki`…`Ei`: a power of two.
    Binary(u32),
}

impl Quantity {
    /// Reads what `resource.ParseQuantity` of apimachinery reads: sign, decimal number, then `Ki`…`Ei`, `n`…`E`, or a decimal
    /// exponent. `None` where the API server refuses the text. Like the server, it takes blanks around it, and most suffixes
    /// without a number for zero.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // Tabs and line ends stand escaped in JSON, which the server does not undo here.
        let text = text.trim_matches(|c: char| c.is_whitespace() && !c.is_ascii_control());
        let (negative, unsigned) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let (whole, rest) = leading_digits(unsigned);
        let (fraction, rest) = rest.strip_prefix('.').map_or(("", rest), leading_digits);
        let suffix = Suffix::read(rest)?;
        if whole.is_empty() && fraction.is_empty() {
            return suffix.is_zero_alone().then(Self::zero);
        }
        let digits = format!("{whole}{fraction}");
        let scale = i64::try_from(fraction.len()).ok()?;
        Some(match suffix {
            Suffix::Decimal(exponent) => Self::decimal(negative, digits, exponent - scale).written(),
            Suffix::Exponent(exponent) => Self::decimal(negative, digits, exponent - scale),
            Suffix::Binary(power) => Self::binary(negative, (whole, fraction), power)?,
        })
    }

    /// The number itself, where it is a whole one that is not negative and fits.
    #[must_use]
    pub fn whole(&self) -> Option<u64> {
        let zeros = usize::try_from(self.exponent).ok().filter(|zeros| *zeros < 20)?;
        let digits = format!("0{}{}", self.digits, "0".repeat(zeros));
        digits.parse().ok().filter(|_| !self.negative)
    }

    fn zero() -> Self {
        Self { negative: false, digits: String::new(), exponent: 0 }
    }

    /// `digits` × 10^`exponent`, rounded up to billionths.
    fn decimal(negative: bool, mut digits: String, mut exponent: i64) -> Self {
        if let Ok(finer @ 1..) = usize::try_from(NANO - exponent) {
            let cut = digits.len().saturating_sub(finer);
            let is_rounded = digits.as_bytes()[cut..].iter().any(|digit| *digit != b'0');
            digits.truncate(cut);
            if is_rounded {
                digits = incremented(digits);
            }
            exponent = NANO;
        }
        let kept = digits.trim_end_matches('0').len();
        exponent += i64::try_from(digits.len() - kept).unwrap_or_default();
        digits.truncate(kept);
        let digits = digits.trim_start_matches('0').to_owned();
        if digits.is_empty() { Self::zero() } else { Self { negative, digits, exponent } }
    }

    /// `whole`.`fraction` × 2^`power`, as large as may be. To multiply a million digits takes seconds; none but the first few
    /// matter.
    fn binary(negative: bool, (whole, fraction): (&str, &str), power: u32) -> Option<Self> {
        let largest = Self::decimal(negative, i64::MAX.to_string(), 0);
        let whole = whole.trim_start_matches('0');
        if whole.len() > largest.digits.len() {
            return Some(largest);
        }
        let (kept, rest) = fraction.split_at(fraction.len().min(DECISIVE_FRACTION));
        let is_more = rest.bytes().any(|digit| digit != b'0');
        let digits = format!("0{whole}{kept}{}", u8::from(is_more));
        let product = (digits.parse::<BigInt>().ok()? << power).to_string();
        let value = Self::decimal(negative, product, -(i64::try_from(kept.len()).ok()? + 1));
        Some(if value.magnitude() > largest.magnitude() { largest } else { value })
    }

    /// As the server writes it out: it has no suffix for more than `E`, and writes none (`1000E` becomes `1`).
    fn written(self) -> Self {
        let thousands = self.exponent.div_euclid(3) * 3;
        if thousands > EXA { Self { exponent: self.exponent - thousands, ..self } } else { self }
    }

    /// Where the first digit stands, and all digits.
    fn magnitude(&self) -> (Option<i64>, &str) {
        let length = i64::try_from(self.digits.len()).unwrap_or(i64::MAX);
        ((length > 0).then(|| self.exponent.saturating_add(length)), &self.digits)
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude().cmp(&other.magnitude()),
            (true, true) => other.magnitude().cmp(&self.magnitude()),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Suffix {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "" => Self::Decimal(0),
            "Ki" => Self::Binary(10),
            "Mi" => Self::Binary(20),
            "Gi" => Self::Binary(30),
            "Ti" => Self::Binary(40),
            "Pi" => Self::Binary(50),
            "Ei" => Self::Binary(60),
            "n" => Self::Decimal(NANO),
            "u" => Self::Decimal(-6),
            "m" => Self::Decimal(-3),
            "k" => Self::Decimal(3),
            "M" => Self::Decimal(6),
            "G" => Self::Decimal(9),
            "T" => Self::Decimal(12),
            "P" => Self::Decimal(15),
            "E" => Self::Decimal(EXA),
            other => {
                let exponent: i64 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
                // The server keeps the low 32 bits.
                #[expect(clippy::cast_possible_truncation, reason = "as in suffix.go: int32(parsed)")]
                let kept = exponent as i32;
                Self::Exponent(kept.into())
            }
        })
    }

    /// Whether the server reads this suffix without any digit, as zero: where it needs no exact arithmetic.
    fn is_zero_alone(self) -> bool {
        match self {
            Self::Decimal(_) => true,
            Self::Exponent(exponent) => exponent >= NANO,
            Self::Binary(power) => power <= 40,
        }
    }
}

fn leading_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The decimal number after this one; after no digits, 1.
fn incremented(digits: String) -> String {
    let mut bytes = digits.into_bytes();
    for digit in bytes.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return bytes.into_iter().map(char::from).collect();
        }
        *digit = b'0';
    }
    std::iter::once('1').chain(bytes.into_iter().map(char::from)).collect()
}

/// A Go duration (`1m30s`) in nanoseconds, as `time.ParseDuration` reads it. `None` where the text is no duration.
#[must_use]
pub fn duration_nanoseconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total: i128 = if rest.is_empty() { return None } else { 0 };
    while !rest.is_empty() {
        let (whole, after) = leading_digits(rest);
        let (fraction, after) = after.strip_prefix('.').map_or(("", after), leading_digits);
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let unit: i64 = match &after[..unit_end] {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total += i128::from(whole) * i128::from(unit) + i128::from(fraction_of(unit, fraction));
        rest = &after[unit_end..];
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return None;
        }
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// This decimal fraction of a unit, in the floating arithmetic of Go.
#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "time.ParseDuration computes in float64")]
fn fraction_of(unit: i64, fraction: &str) -> i64 {
    let (mut digits, mut scale) = (0_i64, 1.0);
    for digit in fraction.bytes() {
        let Some(more) = digits.checked_mul(10).and_then(|tens| tens.checked_add(i64::from(digit - b'0'))) else { break };
        digits = more;
        scale *= 10.0;
    }
    (digits as f64 * (unit as f64 / scale)) as i64
}

/// A point in time (RFC 3339) in microseconds since 1970. `None` where the text is none.
#[must_use]
pub fn time_microseconds(text: &str) -> Option<i64> {
    text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_microsecond)
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
            ("10Ei", "9223372036854775807"),
        ] {
            assert_eq!(quantity(a), quantity(b), "{a} and {b}");
        }
        for (a, b) in [("1Gi", "1G"), ("100E", "9223372036854775807"), ("1e30", "1e31"), ("-1", "1")] {
            assert_ne!(quantity(a), quantity(b), "{a} and {b}");
        }
    }

    #[test]
    fn in_order() {
        let ascending = ["-1e40", "-1Ki", "-1", "-1n", "0", "1n", "1m", "0.5", "999m", "1", "1.5", "15", "100E", "1e40"];
        let quantities: Vec<_> = ascending.map(quantity).into();
        assert!(quantities.is_sorted_by(|a, b| a < b), "{quantities:?}");
    }

    #[test]
    fn as_odd_as_the_servers() {
        for (odd, meaning) in
            [("-", "0"), (".", "0"), ("Ki", "0"), ("e5", "0"), (" 1 ", "1"), ("1e4294967296", "1"), ("1000E", "1")]
        {
            assert_eq!(quantity(odd), quantity(meaning), "{odd}");
        }
        assert_eq!(quantity(&format!("1e-{}", i32::MAX)), quantity("1n"));
    }

    /// Found by fuzzing. With work that grows as the square of the length, this does not end for minutes.
    #[test]
    fn a_long_text_takes_no_longer_than_its_length() {
        let (zeros, nines) = ("0".repeat(4_000_000), "9".repeat(4_000_000));
        for (long, meaning) in [
            (format!("{nines}Ki"), "9223372036854775807"),
            (format!("{zeros}1Ki"), "1024"),
            (format!("1.{zeros}Ki"), "1Ki"),
            (format!("1.{zeros}1Ki"), "1024.000000001"),
            (format!("0.{nines}Ki"), "1024"),
            (format!("0.{nines}"), "1"),
            (format!("{zeros}1.{zeros}1"), "1.000000001"),
            (".35e32324".to_owned(), "3.5e32323"),
            ("0e32324".to_owned(), "0"),
            ("5e-32324".to_owned(), "1n"),
        ] {
            assert!(quantity(&long) == quantity(meaning), "{meaning}");
        }
        assert!(quantity(&nines) > quantity("1e3999999"));
    }

    #[test]
    fn not_every_text_is_a_quantity() {
        for text in
            ["", "--1", "1.2.3", "1 Gi", "Ei", "e-10", "1KI", "1e", "1ee5", "1e9223372036854775808", "1\t", "0x10", "1_000", "٣"]
        {
            assert_eq!(Quantity::parse(text), None, "{text}");
        }
    }

    #[test]
    fn durations_by_value() {
        assert_eq!(duration_nanoseconds("90s"), duration_nanoseconds("1m30s"));
        assert_eq!(duration_nanoseconds("1.5h"), duration_nanoseconds("90m"));
        assert_eq!(duration_nanoseconds("-1.5h"), Some(-5_400_000_000_000));
        for text in ["1x", "90", "-", "+", "", ".s", "2562048h", "1s "] {
            assert_eq!(duration_nanoseconds(text), None, "{text}");
        }
    }

    #[test]
    fn times_by_instant() {
        assert_eq!(time_microseconds("2026-11-21T02:00:00Z"), time_microseconds("2026-11-21T03:00:00+01:00"));
        assert_eq!(time_microseconds("2026-11-21"), None);
    }

    proptest! {
        #[test]
        fn a_suffix_is_a_factor(number in 0u32..1_000_000) {
            prop_assert_eq!(quantity(&format!("{number}Ki")), quantity(&(u64::from(number) * 1024).to_string()));
            prop_assert_eq!(quantity(&format!("{number}k")), quantity(&format!("{number}e3")));
        }

        #[test]
        fn a_long_binary_fraction_is_as_exact_as_a_short_one(
            whole in 0u64..2000, fraction in "[0-9]{0,20}(0{40}|9{40}|[0-9]{40,90})0{0,60}[0-9]{0,3}", power in 1u32..=6,
        ) {
            let suffix = ["Ki", "Mi", "Gi", "Ti", "Pi", "Ei"][power as usize - 1];
            let product = format!("{whole}{fraction}").parse::<BigInt>().unwrap() << (10 * power);
            let exact = Quantity::decimal(false, product.to_string(), -i64::try_from(fraction.len()).unwrap());
            let largest = quantity(&i64::MAX.to_string());
            prop_assert_eq!(quantity(&format!("{whole}.{fraction}{suffix}")), exact.min(largest));
        }

        #[test]
        fn no_text_panics(text in ".{0,12}") {
            let _ = Quantity::parse(&text);
            let _ = duration_nanoseconds(&text);
        }
    }
}
