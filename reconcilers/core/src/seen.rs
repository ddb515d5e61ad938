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
        Mask(format!("k1:{}", &self.hex(&["mask", &value.to_string()])[..16]))
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
    use fmt::Write;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("writing to a String cannot fail");
        text
    })
}

/// Stands for a secret value. It is no value: nothing turns a mask back into one, so none is ever written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mask(String);

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

/// `{"masked": "k1:9f2c…"}` for a mask, the value itself otherwise.
impl Serialize for Seen {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Plain(value) => value.serialize(serializer),
            Self::Masked(mask) => json!({ "masked": mask.to_string() }).serialize(serializer),
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
