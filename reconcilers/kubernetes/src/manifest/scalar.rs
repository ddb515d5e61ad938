//! Scalars as Kubernetes resolves them: YAML 1.1 with the exceptions of Go's `yaml.v2`, which `sigs.k8s.io/yaml` keeps
//! (<https://github.com/yaml/go-yaml/tree/v2>).

use base64::Engine;
use serde_json::Value;

use super::fault::Fault;
use super::number;

/// A scalar of a YAML document as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Written {
    /// The text after folding and escapes.
    pub text: String,
    /// Whether it has quotes or is a block.
    pub style: Style,
    /// Its explicit tag.
    pub tag: Tag,
}

/// Whether a scalar without a tag may be something else than text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
}

/// An explicit tag, as far as the reader tells tags apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tag {
    Absent,
    Text,
    Bool,
    Integer,
    Float,
    Null,
    Timestamp,
    Binary,
    Merge,
    /// A local or unknown tag: the scalar stays text.
    Opaque,
}

/// What a scalar means.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Integer(i64),
    /// Above `i64::MAX`.
    Unsigned(u64),
    Float(f64),
    Timestamp(String),
    Text(String),
}

impl Tag {
    /// The name behind `!!`.
    pub(super) fn of_core_name(name: &str) -> Self {
        match name {
            "str" => Self::Text,
            "bool" => Self::Bool,
            "int" => Self::Integer,
            "float" => Self::Float,
            "null" => Self::Null,
            "timestamp" => Self::Timestamp,
            "binary" => Self::Binary,
            "merge" => Self::Merge,
            _ => Self::Opaque,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Bool => "!!bool",
            Self::Integer => "!!int",
            Self::Float => "!!float",
            Self::Null => "!!null",
            Self::Timestamp => "!!timestamp",
            Self::Binary => "!!binary",
            Self::Merge => "!!merge",
            Self::Absent | Self::Text | Self::Opaque => "!!str",
        }
    }
}

impl Written {
    /// Whether this key merges other mappings into its own (`<<`).
    pub(super) fn is_merge_key(&self) -> bool {
        let implicit = self.tag == Tag::Absent && self.style == Style::Plain;
        self.text == "<<" && (implicit || self.tag == Tag::Merge)
    }

    /// What it means in YAML.
    pub(super) fn resolve(&self) -> Result<Scalar, Fault> {
        match self.tag {
            Tag::Absent if self.style == Style::Quoted => Ok(Scalar::Text(self.text.clone())),
            Tag::Text | Tag::Merge | Tag::Opaque => Ok(Scalar::Text(self.text.clone())),
            Tag::Binary => decode_binary(&self.text),
            Tag::Absent => Ok(guess(&self.text)),
            Tag::Timestamp if is_timestamp(&self.text) => Ok(Scalar::Timestamp(self.text.clone())),
            Tag::Bool | Tag::Integer | Tag::Float | Tag::Null | Tag::Timestamp => self.as_tagged(guess(&self.text)),
        }
    }

    fn as_tagged(&self, scalar: Scalar) -> Result<Scalar, Fault> {
        match (self.tag, scalar) {
            (Tag::Bool, found @ Scalar::Bool(_))
            | (Tag::Integer, found @ (Scalar::Integer(_) | Scalar::Unsigned(_)))
            | (Tag::Float, found @ Scalar::Float(_))
            | (Tag::Null, found @ Scalar::Null) => Ok(found),
            #[expect(clippy::cast_precision_loss, reason = "`!!float 9007199254740993` loses precision in Kubernetes, too")]
            (Tag::Float, Scalar::Integer(number)) => Ok(Scalar::Float(number as f64)),
            _ => Err(Fault::TagDisagrees { tag: self.tag.name() }),
        }
    }
}

impl Scalar {
    /// As a JSON value. Integers above `i64::MAX` become floats, as they do when `kubectl` reads its own JSON again.
    pub(super) fn into_value(self) -> Result<Value, Fault> {
        match self {
            Self::Null => Ok(Value::Null),
            Self::Bool(truth) => Ok(Value::Bool(truth)),
            Self::Integer(number) => Ok(Value::from(number)),
            #[expect(clippy::cast_precision_loss, reason = "Kubernetes has no integers above 63 bits")]
            Self::Unsigned(number) => Ok(Value::from(number as f64)),
            Self::Float(number) => number::json_number(number).ok_or(Fault::NotJson),
            Self::Timestamp(text) | Self::Text(text) => Ok(Value::String(text)),
        }
    }

    /// As the key of an object.
    pub(super) fn into_key(self) -> Result<String, Fault> {
        match self {
            Self::Null => Err(Fault::KeyWithoutText { key: "null".to_owned() }),
            Self::Unsigned(number) => Err(Fault::KeyWithoutText { key: number.to_string() }),
            Self::Bool(truth) => Ok(truth.to_string()),
            Self::Integer(number) => Ok(number.to_string()),
            Self::Float(number) => Ok(number::key_text(number)),
            Self::Timestamp(text) | Self::Text(text) => Ok(text),
        }
    }
}

/// What a plain scalar of a JSON document means; `kubectl` reads such documents with a JSON parser, so `0644` cannot occur.
pub(super) fn resolve_json(text: &str) -> Result<Scalar, Fault> {
    match text {
        "null" => Ok(Scalar::Null),
        "true" => Ok(Scalar::Bool(true)),
        "false" => Ok(Scalar::Bool(false)),
        _ => match text.parse::<i64>() {
            Ok(number) => Ok(Scalar::Integer(number)),
            Err(_) => number::float(text).map(Scalar::Float).ok_or(Fault::NotJson),
        },
    }
}

fn guess(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Scalar::Bool(true),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Scalar::Bool(false),
        ".nan" | ".NaN" | ".NAN" => Scalar::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Scalar::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Scalar::Float(f64::NEG_INFINITY),
        _ => guess_number(text).unwrap_or_else(|| Scalar::Text(text.to_owned())),
    }
}

fn guess_number(text: &str) -> Option<Scalar> {
    match text.as_bytes().first()? {
        b'.' if number::underscores_separate_digits(text) => number::float(&text.replace('_', "")).map(Scalar::Float),
        b'0'..=b'9' | b'+' | b'-' => {
            let plain = text.replace('_', "");
            number::integer(&plain)
                .map(Scalar::Integer)
                .or_else(|| number::magnitude(&plain).map(Scalar::Unsigned))
                .or_else(|| number::float(&plain).map(Scalar::Float))
                .or_else(|| signed_binary(&plain))
        }
        _ => None,
    }
}

/// `0b-1` and `0b+1`: the sign behind the prefix is a quirk of the Go reader.
fn signed_binary(text: &str) -> Option<Scalar> {
    let behind = text.strip_prefix("0b")?;
    let (negative, digits) = match behind.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, behind.strip_prefix('+')?),
    };
    let magnitude = i128::from(number::digits_of(digits, 2)?);
    i64::try_from(if negative { -magnitude } else { magnitude }).ok().map(Scalar::Integer)
}

/// Go keeps bytes that are not UTF-8 in the string and its JSON printer replaces each with U+FFFD.
fn decode_binary(text: &str) -> Result<Scalar, Fault> {
    let joined: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(joined).map_err(|source| Fault::NotBase64 { source })?;
    let mut decoded = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        decoded.extend(std::iter::repeat_n('\u{FFFD}', chunk.invalid().len()));
    }
    Ok(Scalar::Text(decoded))
}

/// `2006-1-2`, optionally with `T15:4:5.9Z07:00` or a space and `15:4:5.9`. Only an explicit `!!timestamp` asks for it.
fn is_timestamp(text: &str) -> bool {
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some((&text[at..=at], &text[at + 1..]))),
        None => (text, None),
    };
    is_date(date)
        && match time {
            None => true,
            Some((" ", clock)) => is_clock(clock),
            Some((_, clock)) => match clock.strip_suffix('Z') {
                Some(clock) => is_clock(clock),
                None => clock
                    .rfind(['+', '-'])
                    .is_some_and(|at| is_clock(&clock[..at]) && are_parts(&clock[at + 1..], &[(2, 24), (2, 60)])),
            },
        }
}

fn is_date(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [year, month, day] = parts[..] else { return false };
    let number = |part: &str, widest: usize| (1..=widest).contains(&part.len()).then(|| number::digits_of(part, 10)).flatten();
    let (Some(year), Some(month), Some(day)) = (number(year, 4).filter(|_| year.len() == 4), number(month, 2), number(day, 2))
    else {
        return false;
    };
    let parts = (i16::try_from(year), i8::try_from(month), i8::try_from(day));
    matches!(parts, (Ok(year), Ok(month), Ok(day)) if jiff::civil::Date::new(year, month, day).is_ok())
}

fn is_clock(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    are_parts(whole, &[(1, 24), (1, 60), (1, 60)]) && !fraction.is_empty() && fraction.bytes().all(|b| b.is_ascii_digit())
}

/// Numbers between colons, each with its fewest digits (of at most two) and its limit.
fn are_parts(text: &str, limits: &[(usize, u64)]) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    parts.len() == limits.len()
        && parts.iter().zip(limits).all(|(part, (fewest, limit))| {
            (*fewest..=2).contains(&part.len()) && number::digits_of(part, 10).is_some_and(|number| number < *limit)
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn value(text: &str, style: Style, tag: Tag) -> Result<Value, String> {
        let written = Written { text: text.to_owned(), style, tag };
        written.resolve().and_then(Scalar::into_value).map_err(|fault| fault.to_string())
    }

    #[test]
    fn plain_scalars_that_surprise() {
        for (text, expected) in [
            ("y", json!(true)),
            ("Off", json!(false)),
            ("0644", json!(420)),
            ("08", json!(8)),
            ("1_000", json!(1000)),
            ("1__0_", json!(10)),
            ("_1", json!("_1")),
            (".5_0", json!(0.5)),
            ("._5", json!("._5")),
            ("0b-1", json!(-1)),
            ("-0b-1", json!("-0b-1")),
            ("12:30:45", json!("12:30:45")),
            ("2024-01-02", json!("2024-01-02")),
            ("1e3", json!(1000)),
            ("1e400", json!("1e400")),
            ("-1e-400", json!(0)),
            ("9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("18446744073709551615", json!(18_446_744_073_709_551_615.0)),
            ("0xFFFFFFFFFFFFFFFFFF", json!("0xFFFFFFFFFFFFFFFFFF")),
            ("07777777777777777777777777777", json!(7.777_777_777_777_778e27)),
            ("1.10", json!(1.1)),
            ("=", json!("=")),
            ("<<", json!("<<")),
            ("NaN", json!("NaN")),
            ("yEs", json!("yEs")),
        ] {
            assert_eq!(value(text, Style::Plain, Tag::Absent), Ok(expected), "{text}");
        }
        assert_eq!(value("yes", Style::Quoted, Tag::Absent), Ok(json!("yes")));
    }

    #[test]
    fn tags_convert_or_refuse() {
        for (text, tag, expected) in [
            ("42", Tag::Integer, Some(json!(42))),
            ("yes", Tag::Bool, Some(json!(true))),
            ("3", Tag::Float, Some(json!(3))),
            ("", Tag::Text, Some(json!(""))),
            ("12", Tag::Opaque, Some(json!("12"))),
            ("aGVs\nbG8=", Tag::Binary, Some(json!("hello"))),
            ("/////w==", Tag::Binary, Some(json!("\u{FFFD}\u{FFFD}\u{FFFD}\u{FFFD}"))),
            ("2024-01-02 3:4:5", Tag::Timestamp, Some(json!("2024-01-02 3:4:5"))),
            ("2024-1-2t3:4:5.5+02:00", Tag::Timestamp, Some(json!("2024-1-2t3:4:5.5+02:00"))),
            ("2024-02-30", Tag::Timestamp, None),
            ("24-02-03", Tag::Timestamp, None),
            ("5", Tag::Timestamp, None),
            ("1.5", Tag::Integer, None),
            ("", Tag::Integer, None),
            ("18446744073709551615", Tag::Float, None),
            ("foo", Tag::Null, None),
            ("a", Tag::Binary, None),
        ] {
            assert_eq!(value(text, Style::Quoted, tag).ok(), expected, "{text} {tag:?}");
        }
    }

    #[test]
    fn keys_are_text_in_the_end() {
        let key = |text: &str| {
            let written = Written { text: text.to_owned(), style: Style::Plain, tag: Tag::Absent };
            written.resolve().and_then(Scalar::into_key).map_err(|fault| fault.to_string())
        };
        for (text, expected) in [("1", "1"), ("yes", "true"), ("1.50", "1.5"), ("1e6", "1e+06"), ("0x10", "16"), (".inf", ".inf")]
        {
            assert_eq!(key(text).as_deref(), Ok(expected), "{text}");
        }
        assert!(key("~").is_err());
        assert!(key("18446744073709551615").is_err());
    }

    #[test]
    fn numbers_without_json_form_are_refused() {
        assert!(value(".inf", Style::Plain, Tag::Absent).is_err());
        assert!(value(".NaN", Style::Plain, Tag::Absent).is_err());
    }
}
