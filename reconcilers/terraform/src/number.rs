//! Exact decimal numbers: Terraform writes numbers of up to 512 bits, which neither `f64` nor `u64` holds.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// `digits × 10^exponent`, in its one normal form, so that equal numbers are equal values: `1`, `1.0` and `10e-1` are one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decimal {
    negative: bool,
    /// Without zeros at either end; empty for zero.
    digits: String,
    /// 0 for zero.
    exponent: i64,
}

/// Why a text is not a number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// Not the number of a JSON document or a TOML file.
    #[error("`{0}` is not a decimal number; write it as `12`, `-1.5` or `6.02e23`")]
    NotANumber(String),
    /// The exponent is beyond any real value.
    #[error("the exponent of `{0}` is beyond {MAX_EXPONENT}; Terraform writes no such number, look where it comes from")]
    OutOfRange(String),
}

const MAX_EXPONENT: i64 = 1_000_000_000;

/// The most zeros that are written out before the exponent form is taken.
const MAX_ZEROS: i64 = 400;

impl Decimal {
    fn normal(negative: bool, digits: &str, exponent: i64) -> Self {
        let without_tail = digits.trim_end_matches('0');
        let significant = without_tail.trim_start_matches('0');
        if significant.is_empty() {
            return Self { negative: false, digits: String::new(), exponent: 0 };
        }
        let tail = i64::try_from(digits.len() - without_tail.len()).unwrap_or(MAX_EXPONENT);
        Self { negative, digits: significant.to_owned(), exponent: exponent.saturating_add(tail) }
    }

    /// The number as JSON holds it, where an integer of 64 bits or an `f64` holds it exactly.
    #[must_use]
    pub fn to_json(&self) -> Option<serde_json::Number> {
        let text = self.to_string();
        if let Ok(integer) = text.parse::<i64>() {
            return Some(integer.into());
        }
        if let Ok(integer) = text.parse::<u64>() {
            return Some(integer.into());
        }
        let float = serde_json::Number::from_f64(text.parse().ok()?)?;
        (float.to_string().parse::<Self>().as_ref() == Ok(self)).then_some(float)
    }

    /// The power of ten above the first digit, which orders numbers of one sign.
    fn magnitude(&self) -> i64 {
        self.exponent.saturating_add(length(&self.digits))
    }

    fn compare_absolute(&self, other: &Self) -> Ordering {
        match (self.digits.is_empty(), other.digits.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => self.magnitude().cmp(&other.magnitude()).then_with(|| self.digits.cmp(&other.digits)),
        }
    }
}

impl FromStr for Decimal {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, NumberError> {
        let not_a_number = || NumberError::NotANumber(text.to_owned());
        let (negative, unsigned) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix('+').unwrap_or(text)),
        };
        let (mantissa, power) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = match mantissa.split_once('.') {
            Some((whole, fraction)) if all_digits(fraction) => (whole, fraction),
            Some(_) => return Err(not_a_number()),
            None => (mantissa, ""),
        };
        if !all_digits(whole) || !all_digits(power.strip_prefix(['+', '-']).unwrap_or(power)) {
            return Err(not_a_number());
        }
        let power: i64 = power.parse().map_err(|_| NumberError::OutOfRange(text.to_owned()))?;
        if power.abs() > MAX_EXPONENT {
            return Err(NumberError::OutOfRange(text.to_owned()));
        }
        Ok(Self::normal(negative, &format!("{whole}{fraction}"), power - length(fraction)))
    }
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.compare_absolute(other),
            (true, true) => other.compare_absolute(self),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The one text of this number: `300`, `-0.25`, and `7e500` where writing out the zeros would help nobody.
impl fmt::Display for Decimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.digits.is_empty() {
            return f.write_str("0");
        }
        if self.negative {
            f.write_str("-")?;
        }
        let point = self.magnitude();
        if self.exponent > MAX_ZEROS || point < -MAX_ZEROS {
            return write!(f, "{}e{}", self.digits, self.exponent);
        }
        if self.exponent >= 0 {
            return write!(f, "{}{}", self.digits, zeros(self.exponent));
        }
        match usize::try_from(point) {
            Ok(point) if point > 0 => write!(f, "{}.{}", &self.digits[..point], &self.digits[point..]),
            _ => write!(f, "0.{}{}", zeros(-point), self.digits),
        }
    }
}

fn zeros(count: i64) -> String {
    "0".repeat(usize::try_from(count).unwrap_or_default())
}

fn length(digits: &str) -> i64 {
    i64::try_from(digits.len()).unwrap_or(MAX_EXPONENT)
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn one_number_has_one_form() {
        for text in ["1", "1.0", "+1", "10e-1", "0.1E1", "001"] {
            assert_eq!(number(text), number("1"), "{text}");
        }
        for text in ["0", "-0", "0.000", "0e7"] {
            assert_eq!(number(text).to_string(), "0", "{text}");
        }
    }

    #[test]
    fn big_integers_are_exact() {
        assert_ne!(number("9007199254740992"), number("9007199254740993"));
        assert_ne!(number("123456789012345678901234567890"), number("123456789012345678901234567891"));
        assert_eq!(number("123456789012345678901234567890").to_string(), "123456789012345678901234567890");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        for text in ["", "-", "1.", ".5", "1e", "1e+", "inf", "nan", "0x10", "1_000", "1 ", "--1", "1.5.2"] {
            assert_eq!(text.parse::<Decimal>(), Err(NumberError::NotANumber(text.to_owned())));
        }
        assert_eq!("1e99999999999999999999".parse::<Decimal>(), Err(NumberError::OutOfRange("1e99999999999999999999".into())));
        assert!("1e-1000000001".parse::<Decimal>().is_err());
    }

    #[test]
    fn json_holds_only_what_it_holds_exactly() {
        let json = |text| number(text).to_json().map(|number| number.to_string());
        assert_eq!(json("3.0"), Some("3".into()));
        assert_eq!(json("18446744073709551615"), Some("18446744073709551615".into()));
        assert_eq!(json("0.1"), Some("0.1".into()));
        assert_eq!(json("123456789012345678901234567890"), None);
        assert_eq!(json("0.1000000000000000000000000000001"), None);
    }

    #[test]
    fn far_exponents_stay_short() {
        assert_eq!(number("7e500").to_string(), "7e500");
        assert_eq!(number("-7e-999999999").to_string(), "-7e-999999999");
        assert_eq!(number("-25e-4").to_string(), "-0.0025");
        assert_eq!(number("12.5").to_string(), "12.5");
    }

    proptest! {
        #[test]
        fn printing_and_reading_gives_the_same(negative: bool, digits in "[0-9]{1,60}", exponent in -900i64..900) {
            let read = Decimal::normal(negative, &digits, exponent);
            prop_assert_eq!(number(&read.to_string()), read);
        }

        #[test]
        fn order_is_that_of_the_integers(a: i64, b: i64) {
            prop_assert_eq!(number(&a.to_string()).cmp(&number(&b.to_string())), a.cmp(&b));
        }

        #[test]
        fn order_is_that_of_scaled_integers(a in -10_000i64..10_000, b in -10_000i64..10_000, power in -5i64..5) {
            let (left, right) = (number(&format!("{a}e{power}")), number(&format!("{b}e{power}")));
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
        }
    }
}
