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

/// The message, then its causes, on one line where they fit.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}
