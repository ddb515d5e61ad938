//! Exit codes: what a pipeline may rely on.

use std::process::ExitCode;

/// How a command ended. Where several hold, [`Exit::Unseen`] beats [`Exit::Drift`]: a pipeline must not read "drift, and
/// all seen".
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// 0: everything is as Git says.
    True,
    /// 1: drift, or a gate not passed.
    Drift,
    /// 3: not enough could be seen to judge.
    Unseen,
    /// 2: configuration or usage.
    Usage,
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::True => 0,
            Self::Drift => 1,
            Self::Usage => 2,
            Self::Unseen => 3,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
