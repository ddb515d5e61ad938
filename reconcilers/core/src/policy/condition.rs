//! Conditions in CEL, the Common Expression Language (<https://github.com/google/cel-spec>): `cel = "…"` in a policy.
//!
//! What is accepted ends, and ends soon: variables and functions are known when the policy is read, there are no map
//! literals, and a bound on the work is computed from the expression and the size of the values before anything runs.

mod bound;
mod variables;

use std::fmt;
use std::sync::Arc;

use cel::common::types::CelBool;
use cel::{ExecutionError, ParseErrors, Program, Value};

use super::matching::Holds;
use bound::Bound;
pub use variables::VARIABLES;
pub(super) use variables::Variables;

/// The longest text of a condition, in characters.
const LONGEST: usize = 2000;

/// How deep brackets and choices (`? :`) may stand in each other: the parser of CEL takes the stack for each.
const DEEPEST: usize = 24;

/// The most steps that one evaluation may take.
const MOST_STEPS: u64 = 1_000_000;

/// An expression over a difference that is true or false.
#[derive(Clone)]
pub struct Condition {
    text: String,
    program: Arc<Program>,
}

/// Why a text is no condition.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`cel`: {reason}")]
pub struct ConditionError {
    /// What is wrong, and what to write.
    pub reason: String,
    /// Where in the text, in characters from 0.
    pub at: usize,
}

impl Condition {
    /// Reads an expression.
    ///
    /// # Errors
    /// What is no CEL, and what names a variable or function that there is not.
    pub fn new(text: &str) -> Result<Self, ConditionError> {
        if text.chars().count() > LONGEST {
            let reason = format!("longer than {LONGEST} characters: make several classes of it");
            return Err(ConditionError { reason, at: 0 });
        }
        if let Some(at) = too_deep(text) {
            let reason = format!("more than {DEEPEST} brackets or choices in each other: make several classes of it");
            return Err(ConditionError { reason, at });
        }
        let program = Program::compile(text).map_err(|errors| unreadable(text, &errors))?;
        bound::check(&program)?;
        Ok(Self { text: text.to_owned(), program: Arc::new(program) })
    }

    /// As it is written.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it says whatever the difference is, where no variable takes part.
    #[must_use]
    pub fn constant(&self) -> Option<bool> {
        let nothing = Variables::none();
        if !self.program.references().variables().is_empty() {
            return None;
        }
        match self.holds(&nothing) {
            Holds::Yes => Some(true),
            Holds::No => Some(false),
            Holds::Failed(_) => None,
        }
    }

    pub(super) fn holds(&self, variables: &Variables<'_>) -> Holds {
        let steps = Bound::of(self.program.expression(), variables.size()).steps;
        if steps > MOST_STEPS {
            return Holds::Failed(format!("it might take more than {MOST_STEPS} steps on values of this size"));
        }
        match Value::resolve_val(self.program.expression(), variables.context()) {
            Ok(value) => match value.downcast_ref::<CelBool>() {
                Some(truth) if *truth.inner() => Holds::Yes,
                Some(_) => Holds::No,
                None => Holds::Failed(format!("it gives a value of type `{}`, not true or false", value.get_type().name())),
            },
            Err(error) => Holds::Failed(without_values(&error)),
        }
    }
}

/// Two conditions are the same when they are written the same.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.text).finish()
    }
}

/// Where brackets and choices stand too deep. Those in quotes are counted, too.
fn too_deep(text: &str) -> Option<usize> {
    let (mut open, mut choices) = (0_usize, 0_usize);
    text.chars().position(|letter| {
        match letter {
            '(' | '[' | '{' => open += 1,
            ')' | ']' | '}' => open = open.saturating_sub(1),
            '?' => choices += 1,
            _ => {}
        }
        open + choices > DEEPEST
    })
}

fn unreadable(text: &str, errors: &ParseErrors) -> ConditionError {
    let Some(error) = errors.errors.first() else {
        return ConditionError { reason: "not an expression".to_owned(), at: 0 };
    };
    let line = usize::try_from(error.pos.0 - 1).unwrap_or(0);
    let before: usize = text.split_inclusive('\n').take(line).map(|line| line.chars().count()).sum();
    let column = usize::try_from(error.pos.1 - 1).unwrap_or(0);
    let message = error.msg.lines().next().unwrap_or_default();
    let message = message.split(" expecting").next().unwrap_or_default().trim_end_matches('.');
    if message.ends_with("reserved identifier: namespace") {
        let reason = "`namespace` is a word that CEL keeps for itself: the variable is `object_namespace`".to_owned();
        return ConditionError { reason, at: before + column };
    }
    let reason = format!("not an expression: {message}, as in `change == \"changed\" && path.startsWith(\"data.\")`");
    ConditionError { reason, at: before + column }
}

/// What went wrong, without any value of the difference: such a message goes where values may not.
fn without_values(error: &ExecutionError) -> String {
    match error {
        ExecutionError::NoSuchKey(key) => format!("there is no field `{key}`: ask with has(…) first"),
        ExecutionError::NoSuchOverload(overload) => overload.to_string(),
        ExecutionError::UndeclaredReference(name) => format!("there is no `{name}`"),
        ExecutionError::UnexpectedType { got, want } => format!("a value of type `{got}` stands where `{want}` is needed"),
        ExecutionError::ValuesNotComparable(..) => "two values cannot be compared: their types differ".to_owned(),
        ExecutionError::UnsupportedBinaryOperator(operator, ..) => format!("`{operator}` does not take values of these types"),
        ExecutionError::IndexOutOfBounds(_) => "a list has no entry of that number".to_owned(),
        ExecutionError::DivisionByZero(_) | ExecutionError::RemainderByZero(_) => "a division by zero".to_owned(),
        ExecutionError::Overflow(..) => "a number became too large".to_owned(),
        ExecutionError::FunctionError { function, .. } => format!("`{function}` does not take this value"),
        other => format!("it cannot be evaluated ({})", kind_of(other)),
    }
}

/// The name of an error's kind: what stands before its values.
fn kind_of(error: &ExecutionError) -> String {
    format!("{error:?}").chars().take_while(char::is_ascii_alphanumeric).collect()
}
