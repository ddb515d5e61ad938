//! Values as findings carry them: plain, or masked so that a secret never leaves.

use std::fmt;

use aws_lc_rs::hmac;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

/// The key under which masks and finding ids are made: they tell nothing about a value to one who has not the key.
#[derive(Clone)]
pub struct DigestKey(hmac::Key);

impl DigestKey {
    /// A key of these bytes (at least 32 random ones).
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, bytes))
    }

    /// The mask of a value: equal exactly when the values are equal.
    #[must_use]
    pub fn mask(&self, value: &Value) -> Mask {
        Mask(Hidden::Whole(format!("k1:{}", &self.hex(&["mask", &value.to_string()])[..16])))
    }

    /// The keyed digest of several texts, as 64 hexadecimal digits; no two different lists of texts share one.
    #[must_use]
    pub fn hex(&self, parts: &[&str]) -> String {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        hex(context.sign().as_ref())
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DigestKey(…)")
    }
}

/// Bytes as hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |half: u8| char::from(b"0123456789abcdef"[usize::from(half)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect()
}

/// Stands for a value that is secret, or that has secret parts. It is no value: nothing turns a mask back into one, so none is
/// ever written.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask(Hidden);

#[derive(Debug, Clone, PartialEq)]
enum Hidden {
    Whole(String),
    /// The value, each secret part of it as `{"masked": "k1:…"}`.
    Parts(Value),
}

impl Mask {
    /// Stands for a value of which `shown` is left: its secret parts are masks already.
    pub(crate) fn of_parts(shown: Value) -> Self {
        Self(Hidden::Parts(shown))
    }
}

/// `k1:9f2c…`, or the value with masks in it as compact JSON.
impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Hidden::Whole(mask) => f.write_str(mask),
            Hidden::Parts(shown) => write!(f, "{shown}"),
        }
    }
}

/// A value that may be shown, or the mask of one that may not.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen {
    /// The value.
    Plain(Value),
    /// Its mask.
    Masked(Mask),
}

impl Seen {
    /// The value as far as it may be shown, with masks in it; `None` where all of it is secret.
    #[must_use]
    pub fn shown(&self) -> Option<&Value> {
        match self {
            Self::Plain(value) | Self::Masked(Mask(Hidden::Parts(value))) => Some(value),
            Self::Masked(Mask(Hidden::Whole(_))) => None,
        }
    }
}

/// `{"masked": "k1:9f2c…"}` for a mask, the value itself otherwise.
impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::Masked(Mask(Hidden::Whole(mask))) => json!({ "masked": mask }).serialize(serializer),
            Self::Masked(Mask(Hidden::Parts(shown))) => shown.serialize(serializer),
        }
    }
}

/// Strings without quotes, anything else as compact JSON.
impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(Value::String(text)) => f.write_str(text),
            Self::Plain(value) => write!(f, "{value}"),
            Self::Masked(mask) => write!(f, "{mask}"),
        }
    }
}
