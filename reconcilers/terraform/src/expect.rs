//! Expectation files: what Git says of a Terraform state's outputs.
//!
//! A `*.expect.toml` holds one table `[output.NAME]` for each output, with one predicate (or `min` and `max` together):
//!
//! ```toml
//! [output.db_endpoint]
//! equals = "db-a.internal"              # the very value: numbers by value (1 = 1.0), objects and lists deep
//! [output.tier]
//! one_of = ["small", "medium"]
//! [output.bucket_arn]
//! matches = 'arn:aws:s3:::plumb-.*'     # a regular expression that must match the whole string
//! [output.replicas]
//! min = 2
//! max = 5
//! [output.subnet_ids]
//! set = ["subnet-a", "subnet-b"]        # a list of exactly these members, each once, in any order
//! [output.zones]
//! subset = ["eu-1a"]                    # a list with at least these members
//! [output.vpc_id]
//! present = true                        # any value; an empty one is a value
//! [output.debug_endpoint]
//! absent = true
//! [output.db_password]
//! sensitive = "pbkdf2-sha256:600000:SALT:DIGEST"   # see `seal`
//! ```
//!
//! TOML has no null, so a value with `null` inside cannot be expected by `equals`. Integers may have any number of digits
//! and are exact. Regular expressions are those of the `regex` crate (linear time, no back references); `.` matches no
//! newline unless `(?s)` says so.

use std::ops::Range;

use regex::Regex;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use trueup_core::facts::{Origin, Problem};
use trueup_core::finding::Predicate;
use trueup_core::positions::Position;

use crate::number::Decimal;
use crate::seal::Seal;
use crate::value::ExactValue;

mod read;
mod place;

/// What Git says of one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// The output's name.
    pub output: String,
    /// Where the table's name stands.
    pub origin: Origin,
    /// What is asked: one predicate, or a `min` and a `max`.
    pub predicates: Vec<Predicated>,
}

/// One predicate where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicated {
    /// What is asked.
    pub test: Test,
    /// The predicate's value in the file: of an `equals` these are the bytes that a proposal replaces.
    pub position: Position,
}

/// A predicate with its value.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// The very value.
    Equals(ExactValue),
    /// One of these, at least one.
    OneOf(Vec<ExactValue>),
    /// A string that the whole pattern matches.
    Matches(Pattern),
    /// A number at least this.
    Min(Decimal),
    /// A number at most this.
    Max(Decimal),
    /// A list of exactly these members, each once, in any order.
    Set(Vec<ExactValue>),
    /// A list with at least these members.
    Subset(Vec<ExactValue>),
    /// There is such an output.
    Present,
    /// There is none.
    Absent,
    /// A secret with this digest.
    Sensitive(Seal),
}

/// A regular expression for a whole string.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    whole: Regex,
}

/// Reads an expectation file. What is wrong is a problem at its place; an output with a problem is left out, its neighbours
/// are not, and a file that is not TOML gives none at all, as no part of it can be trusted.
#[must_use]
pub fn read(file: &str, text: &str) -> (Vec<Expectation>, Vec<Problem>) {
    read::read(&place::Source::new(file, text))
}

impl Expectation {
    /// Where a predicate's value stands.
    #[must_use]
    pub fn origin_of(&self, predicate: &Predicated) -> Origin {
        Origin { line: predicate.position.line, column: predicate.position.column, ..self.origin.clone() }
    }
}

impl Test {
    /// Which predicate this is.
    #[must_use]
    pub fn predicate(&self) -> Predicate {
        match self {
            Self::Equals(_) => Predicate::Equals,
            Self::OneOf(_) => Predicate::OneOf,
            Self::Matches(_) => Predicate::Matches,
            Self::Min(_) => Predicate::Min,
            Self::Max(_) => Predicate::Max,
            Self::Set(_) => Predicate::Set,
            Self::Subset(_) => Predicate::Subset,
            Self::Present => Predicate::Present,
            Self::Absent => Predicate::Absent,
            Self::Sensitive(_) => Predicate::Sensitive,
        }
    }
}

impl Pattern {
    /// Compiles a pattern.
    ///
    /// # Errors
    /// Where it is not a regular expression of the `regex` crate.
    pub fn new(text: &str) -> Result<Self, regex::Error> {
        // By itself first: `a)|(b` would be valid between the parentheses below.
        Regex::new(text)?;
        Ok(Self { text: text.to_owned(), whole: Regex::new(&format!(r"\A(?:{text})\z"))? })
    }

    /// As it stands in the file.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the pattern matches all of `text`.
    #[must_use]
    pub fn is_full_match(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}
