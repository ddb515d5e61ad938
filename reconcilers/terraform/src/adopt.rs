//! Git follows live: the one edit of an expectation file that a proposal may make.

use std::fmt::Write;

use trueup_core::finding::Predicate;

use crate::expect::{self, Expectation, Test};
use crate::state::OutputValue;
use crate::value::ExactValue;

/// Why a live value cannot be put into an expectation file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The file says nothing of it, or is wrong about it.
    #[error("`{file}` holds no expectation of the output `{output}` that could be read; run `trueup check`")]
    NotExpected {
        /// The file.
        file: String,
        /// The output.
        output: String,
    },
    /// A rule does not follow a value.
    #[error("the output `{output}` breaks its `{}`, which is a rule and no value; decide whether it still holds", .predicate.name())]
    NotAValue {
        /// The output.
        output: String,
        /// The predicate.
        predicate: Predicate,
    },
    /// Git would remember it.
    #[error("the output `{0}` is sensitive, and a secret is never written to Git; expect it by `sensitive`")]
    Secret(String),
    /// TOML has no null.
    #[error("the output `{0}` holds `null`, which TOML cannot say; expect it by another predicate")]
    Null(String),
    /// The edit would take it away.
    #[error("the value of the output `{0}` has comments inside, which the edit would lose; edit it by hand")]
    Commented(String),
    /// The edited file was read again and says more or less than it should.
    #[error("the value of the output `{0}` cannot be replaced without changing more; edit it by hand")]
    NotExact(String),
}

/// The text of an expectation file with the `equals` of `output` replaced by its live value, and nothing else changed:
/// the edited text is read again and compared.
///
/// # Errors
/// Where the value cannot or must not be put there.
pub fn adopt(file: &str, text: &str, output: &str, live: &OutputValue) -> Result<String, AdoptError> {
    let (mut expectations, _) = expect::read(file, text);
    let not_expected = || AdoptError::NotExpected { file: file.to_owned(), output: output.to_owned() };
    let expectation = expectations.iter_mut().find(|one| one.output == output).ok_or_else(not_expected)?;
    let predicate = expectation.predicates.first_mut().ok_or_else(not_expected)?;
    let Test::Equals(wanted) = &mut predicate.test else {
        return Err(AdoptError::NotAValue { output: output.to_owned(), predicate: predicate.test.predicate() });
    };
    let OutputValue::Open(live) = live else {
        return Err(AdoptError::Secret(output.to_owned()));
    };
    let (before, rest) = text.split_at(predicate.position.start);
    let (old, after) = rest.split_at(predicate.position.end - predicate.position.start);
    // In one line, `#` can only stand in a string.
    if old.contains('\n') && old.contains('#') {
        return Err(AdoptError::Commented(output.to_owned()));
    }
    let mut edited = before.to_owned();
    write_toml(&mut edited, live).ok_or_else(|| AdoptError::Null(output.to_owned()))?;
    edited.push_str(after);
    live.clone_into(wanted);
    if says(&edited, file) == without_places(expectations) { Ok(edited) } else { Err(AdoptError::NotExact(output.to_owned())) }
}

/// What a file expects, in the file's order; nothing where it has a problem.
fn says(text: &str, file: &str) -> Vec<(String, Vec<Test>)> {
    let (expectations, problems) = expect::read(file, text);
    if problems.is_empty() { without_places(expectations) } else { Vec::new() }
}

fn without_places(expectations: Vec<Expectation>) -> Vec<(String, Vec<Test>)> {
    let tests = |one: Expectation| (one.output, one.predicates.into_iter().map(|predicate| predicate.test).collect());
    expectations.into_iter().map(tests).collect()
}

/// A value as one line of TOML; `None` where it holds `null`.
fn write_toml(text: &mut String, value: &ExactValue) -> Option<()> {
    match value {
        ExactValue::Null => return None,
        ExactValue::Bool(_) | ExactValue::Number(_) => write!(text, "{value}").ok()?,
        ExactValue::String(string) => text.push_str(&basic_string(string)),
        ExactValue::List(members) => {
            text.push('[');
            for (index, member) in members.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                write_toml(text, member)?;
            }
            text.push(']');
        }
        ExactValue::Object(members) => {
            text.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                write!(text, "{} {} = ", if index > 0 { "," } else { "" }, toml_key(key)).ok()?;
                write_toml(text, member)?;
            }
            text.push_str(if members.is_empty() { "}" } else { " }" });
        }
    }
    Some(())
}

fn toml_key(key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { key.to_owned() } else { basic_string(key) }
}

/// JSON's escapes are TOML's, but for DEL, which TOML wants escaped, too.
fn basic_string(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}
