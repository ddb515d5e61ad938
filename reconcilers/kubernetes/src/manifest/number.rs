//! Numbers as Go reads and prints them: `strconv` for YAML scalars, `encoding/json` for what leaves `kubectl`.

use serde_json::{Number, Value};

/// A signed integer in Go's base-0 syntax: `0x`, `0o`, `0b` or a leading `0` (octal) choose the base. No underscores.
pub(super) fn integer(text: &str) -> Option<i64> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = i128::from(magnitude(digits)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok()
}

/// An integer without a sign in the same syntax, up to 2^64 - 1.
pub(super) fn magnitude(text: &str) -> Option<u64> {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x' | b'X', _, ..] => (&text[2..], 16),
        [b'0', b'o' | b'O', _, ..] => (&text[2..], 8),
        [b'0', b'b' | b'B', _, ..] => (&text[2..], 2),
        [b'0', _, ..] => (&text[1..], 8),
        _ => (text, 10),
    };
    digits_of(digits, radix)
}

/// Bare digits in one base; a sign is no digit.
pub(super) fn digits_of(digits: &str, radix: u32) -> Option<u64> {
    let bare = digits.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if bare { u64::from_str_radix(digits, radix).ok() } else { None }
}

/// A decimal floating-point number, or nothing where it does not fit (`1e400` stays text).
pub(super) fn float(text: &str) -> Option<f64> {
    if !is_decimal_float(text) {
        return None;
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite())
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.find(['e', 'E']) {
        Some(at) => (&unsigned[..at], Some(&unsigned[at + 1..])),
        None => (unsigned, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent_is_number = exponent.is_none_or(|exponent| {
        let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        !digits.is_empty() && is_digits(digits)
    });
    is_digits(whole) && is_digits(fraction) && !(whole.is_empty() && fraction.is_empty()) && exponent_is_number
}

/// Whether each underscore stands between two digits, as Go's floating-point literals have it.
pub(super) fn underscores_separate_digits(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    (0..bytes.len()).all(|at| bytes[at] != b'_' || is_digit(at.checked_sub(1)) && is_digit(at.checked_add(1)))
}

/// The number as it arrives after one way through JSON: whole ones become integers where 64 bits hold them.
/// `None` for infinities and NaN, which JSON has not.
pub(super) fn json_number(number: f64) -> Option<Value> {
    match json_text(number).parse::<i64>() {
        Ok(whole) => Some(Value::from(whole)),
        Err(_) => Number::from_f64(number).map(Value::Number),
    }
}

/// As Go's `encoding/json` prints a float64: no exponent from 1e-6 up to 1e21.
pub(super) fn json_text(number: f64) -> String {
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-6..1e21).contains(&magnitude) {
        let text = format!("{number:e}");
        return if text.contains("e-") { text } else { text.replace('e', "e+") };
    }
    number.to_string()
}

/// As `sigs.k8s.io/yaml` prints a float that is a key: through float32, with an exponent below 1e-4 and from 1e6 up.
pub(super) fn key_text(number: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "Kubernetes' YAML reader rounds keys to float32")]
    let number = number as f32;
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{number:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    match exponent.parse::<i32>() {
        Ok(exponent) if !(-4..6).contains(&exponent) => {
            format!("{mantissa}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
        }
        _ => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_choose_their_base() {
        for (text, expected) in [
            ("0", Some(0)),
            ("-0", Some(0)),
            ("0644", Some(420)),
            ("-0644", Some(-420)),
            ("0o644", Some(420)),
            ("+0x1F", Some(31)),
            ("0B11", Some(3)),
            ("08", None),
            ("0x", None),
            ("0x-1", None),
            ("+", None),
            ("", None),
            ("--1", None),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
        ] {
            assert_eq!(integer(text), expected, "{text}");
        }
    }

    #[test]
    fn floats_are_decimal_and_finite() {
        for (text, expected) in [
            (".5", Some(0.5)),
            ("1.", Some(1.0)),
            ("+.5e-1", Some(0.05)),
            ("08", Some(8.0)),
            ("1e400", None),
            ("1e", None),
            (".", None),
            ("0x1p-2", None),
            ("inf", None),
            ("1.2.3", None),
        ] {
            assert_eq!(float(text), expected, "{text}");
        }
        assert!(underscores_separate_digits(".5_0"));
        assert!(!underscores_separate_digits("._5"));
    }

    #[test]
    fn floats_print_as_in_go() {
        for (number, json, key) in [
            (1.0, "1", "1"),
            (1e-6, "0.000001", "1e-06"),
            (1e-7, "1e-7", "1e-07"),
            (1e20, "100000000000000000000", "1e+20"),
            (1e21, "1e+21", "1e+21"),
            (16_777_217.0, "16777217", "1.6777216e+07"),
            (123_456.0, "123456", "123456"),
            (0.0001, "0.0001", "0.0001"),
        ] {
            assert_eq!((json_text(number).as_str(), key_text(number).as_str()), (json, key));
        }
        assert_eq!(key_text(f64::NEG_INFINITY), "-.inf");
        assert_eq!(json_number(f64::NAN), None);
        assert_eq!(json_number(-0.0), Some(Value::from(0)));
        assert_eq!(json_number(18_446_744_073_709_551_615.0), Some(Value::from(18_446_744_073_709_551_615.0)));
    }
}
