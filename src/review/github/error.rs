//! Why GitHub did not do what it was asked for, each with what to do about it.

use jiff::Timestamp;

/// Why a proposal could not be offered.
#[derive(Debug, thiserror::Error)]
pub enum GitHubError {
    /// A setting that cannot be used.
    #[error("`{value}` is not {expected}; correct `[review]` in trueup.toml")]
    Setting {
        /// What was given.
        value: String,
        /// What is needed.
        expected: &'static str,
    },
    /// The HTTP client did not come up.
    #[error("no HTTP client for `{api}`; check the machine's certificate store")]
    Client {
        /// The API.
        api: String,
        /// Why.
        #[source]
        source: octocrab::Error,
    },
    /// No answer.
    #[error("no answer from GitHub to `{step}`; check the network and `[review]` in trueup.toml")]
    Unreachable {
        /// What was asked.
        step: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A pull request was asked for, the answer got lost, and no such pull request is to be seen yet.
    #[error("whether GitHub opened the pull request for `{branch}` is unknown; the next round looks for it first")]
    Unanswered {
        /// The branch.
        branch: String,
        /// What happened to the answer.
        #[source]
        source: Box<GitHubError>,
    },
    /// 401.
    #[error("GitHub does not accept the token (at `{step}`); give a valid one in TRUEUP_GITHUB_TOKEN")]
    Unauthorized {
        /// What was asked.
        step: &'static str,
        /// By how many seconds this machine's clock is ahead of GitHub's.
        ahead: i64,
    },
    /// The app gets no token.
    #[error("GitHub gives app {id} no token for `{repository}`: {reason}")]
    App {
        /// The app's id.
        id: u64,
        /// The repository.
        repository: String,
        /// Why, and what to do.
        reason: String,
    },
    /// 403 without a limit.
    #[error("the token may not `{step}`: `{message}`; it needs {needed}")]
    Forbidden {
        /// What was asked.
        step: &'static str,
        /// GitHub's words.
        message: String,
        /// The rights that it takes.
        needed: String,
    },
    /// 404: GitHub says so, too, where the token may not look.
    #[error("GitHub knows no `{repository}` (at `{step}`), or the token may not see it; check `repo` in `[review]`")]
    NotFound {
        /// What was asked.
        step: &'static str,
        /// The repository.
        repository: String,
    },
    /// 3xx: to follow would be to believe another address than the one in the settings.
    #[error(
        "GitHub sends `{step}` on to `{location}`, which is not followed; if `{repository}` was renamed or moved, write its present name as `repo` in `[review]`"
    )]
    Moved {
        /// What was asked.
        step: &'static str,
        /// The repository.
        repository: String,
        /// Where to.
        location: String,
    },
    /// Nothing can be proposed to an archived repository.
    #[error("`{repository}` is archived, so nothing can be proposed there; unarchive it, or name another `repo` in `[review]`")]
    Archived {
        /// The repository.
        repository: String,
    },
    /// The branch that the proposal is to be merged into is not there.
    #[error("`{repository}` has no branch `{base}` to propose to; correct `base` in `[review]`")]
    NoBase {
        /// The repository.
        repository: String,
        /// The branch.
        base: String,
    },
    /// A limit that is longer than our patience.
    #[error("GitHub limits requests until `{until}` (at `{step}`); the next round after that tries again")]
    Limited {
        /// What was asked.
        step: &'static str,
        /// When to ask again.
        until: Timestamp,
    },
    /// Any other refusal.
    #[error("GitHub refuses to `{step}` with status {status}: `{message}`; check `[review]` in trueup.toml")]
    Refused {
        /// What was asked.
        step: &'static str,
        /// The HTTP status.
        status: u16,
        /// GitHub's words.
        message: String,
    },
    /// 5xx.
    #[error("GitHub failed at `{step}` with status {status}; the next round tries again")]
    Failed {
        /// What was asked.
        step: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An answer that is none.
    #[error("GitHub's answer to `{step}` makes no sense: {reason}; check `[review]` in trueup.toml")]
    Answer {
        /// What was asked.
        step: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A refusal that is not GitHub's.
    #[error(
        "`{api}` refuses to `{step}` with status {status} and {kind}, so it is no API of GitHub; correct `api` in `[review]`"
    )]
    NoApi {
        /// What was asked.
        step: &'static str,
        /// The address.
        api: String,
        /// The HTTP status.
        status: u16,
        /// What the answer is.
        kind: String,
    },
    /// The branch could not be pushed.
    #[error("the branch `{branch}` could not be pushed; nothing was proposed")]
    Push {
        /// The branch.
        branch: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl GitHubError {
    /// Whether a request with this outcome may have taken effect all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Failed { .. } | Self::Answer { .. } => true,
            Self::Refused { status, message, .. } => *status == 422 && message.contains("already exists"),
            Self::Setting { .. }
            | Self::Client { .. }
            | Self::Unanswered { .. }
            | Self::Unauthorized { .. }
            | Self::App { .. }
            | Self::Forbidden { .. }
            | Self::NotFound { .. }
            | Self::Moved { .. }
            | Self::Archived { .. }
            | Self::NoApi { .. }
            | Self::NoBase { .. }
            | Self::Limited { .. }
            | Self::Push { .. } => false,
        }
    }
}
