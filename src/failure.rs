//! Why a command could not do its work, and the exit code that says so.

use std::fmt;

use crate::exit::Exit;

/// A command that stopped: one clear message, and an exit code.
#[derive(Debug)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// The message and its causes.
    pub error: anyhow::Error,
}

impl Failure {
    /// Configuration or usage.
    pub fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Usage, error: error.into() }
    }

    /// Not enough could be seen to judge.
    pub fn unseen(error: impl Into<anyhow::Error>) -> Self {
        Self { exit: Exit::Unseen, error: error.into() }
    }
}

/// The message, then its causes.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&with_causes(self.error.as_ref()))
    }
}

/// An error and its causes on one line, but for causes whose words stand there already.
#[must_use]
pub fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    for cause in std::iter::successors(error.source(), |cause| cause.source()) {
        let cause = cause.to_string();
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
