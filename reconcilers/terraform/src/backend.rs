//! Where a target's state is kept, by Terraform's own word: one of its backends.

use std::path::{Path, PathBuf};

use trueup_core::facts::Problem;

use crate::file::{self, FileError, Reading};
use crate::http::{self, Address, HttpError};

/// A place that a state is read from.
#[derive(Debug, Clone)]
pub enum Backend {
    /// `local`
    File {
        /// Where the file is.
        path: PathBuf,
        /// As `trueup.toml` names it, the same on every machine.
        location: String,
    },
    /// `http`
    Http(Address),
}

/// Why a backend gave no state.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// From a file.
    #[error(transparent)]
    File(FileError),
    /// From a server.
    #[error(transparent)]
    Http(HttpError),
    /// The program ends.
    #[error("reading the state `{location}` was interrupted: {source}")]
    Interrupted {
        /// Which state.
        location: String,
        /// Why.
        source: tokio::task::JoinError,
    },
}

impl Backend {
    /// The backend of a target's `state`: a URL, or a path in `folder`, the one that `trueup.toml` is in.
    ///
    /// # Errors
    /// Where it is a URL that no state can be read from.
    pub fn new(state: &str, folder: &Path) -> Result<Self, HttpError> {
        if state.contains("://") {
            return state.parse().map(Self::Http);
        }
        Ok(Self::File { path: folder.join(state), location: state.to_owned() })
    }
}

/// Reads a state, from a file on a thread that may block.
///
/// # Errors
/// Where there is no whole state of version 4.
pub async fn read(backend: &Backend, settings: &http::Settings) -> Result<Reading, BackendError> {
    match backend {
        Backend::File { path, location } => {
            let (path, name) = (path.clone(), location.clone());
            tokio::task::spawn_blocking(move || file::read(&path, &name))
                .await
                .map_err(|source| BackendError::Interrupted { location: location.clone(), source })?
                .map_err(BackendError::File)
        }
        Backend::Http(address) => {
            let state = http::read(address, settings).await.map_err(BackendError::Http)?;
            Ok(Reading { state, problems: Vec::new() })
        }
    }
}

impl BackendError {
    /// Whether a writer is at the state, so that it is worth reading again in a moment.
    #[must_use]
    pub fn is_being_written(&self) -> bool {
        matches!(self, Self::File(error) if error.is_being_written())
    }

    /// The error as a round reports it: nothing of this state could be judged.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let code = match self {
            Self::File(FileError::Locked { .. } | FileError::Changed(_)) => "state-being-written",
            Self::File(FileError::NotFound(_)) | Self::Http(HttpError::NoStateYet { .. }) => "state-missing",
            Self::File(FileError::State { .. }) | Self::Http(HttpError::State { .. }) => "state-unusable",
            Self::File(FileError::NotAFile(_) | FileError::Io { .. }) | Self::Http(_) | Self::Interrupted { .. } => {
                "state-unreadable"
            }
        };
        Problem::blind(code, self.to_string(), None)
    }
}
