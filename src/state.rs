//! The state folder: where the ledger, the digest key and the lock live.
//!
//! Environment values, the time and the configuration file are passed in; nothing here looks for them.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use trueup_core::seen::hex;

mod key;

pub use key::{KeyError, Purpose, digest_key, kept_key, read_key, unhex};

/// The name of the file with the key that signs the ledger's head.
pub const LEDGER_KEY: &str = "ledger-key";

/// The environment's say in where the state folder is. An empty value counts as none.
#[derive(Debug, Clone, Copy, Default)]
pub struct StateEnvironment<'a> {
    /// `TRUEUP_STATE_DIR`: the folder itself.
    pub state_dir: Option<&'a OsStr>,
    /// `XDG_STATE_HOME`; a relative one is ignored, as the XDG Base Directory Specification says.
    pub xdg_state_home: Option<&'a OsStr>,
    /// `HOME`.
    pub home: Option<&'a OsStr>,
}

/// The folder of one configuration's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateFolder {
    path: PathBuf,
}

/// The right to act: while it lives, no other process acts on this state folder. The operating system frees it, however
/// the process ends.
#[derive(Debug)]
pub struct ActLock {
    file: File,
}

/// To close the file is not enough: a child that another thread is just starting has it, too, until it begins its program, and
/// would hold the lock for that long.
impl Drop for ActLock {
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!("cannot give the lock of the state folder back before its file is closed: {error}");
        }
    }
}

/// Why the state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Nothing says where it is.
    #[error("no place for the state folder: set `TRUEUP_STATE_DIR` to a folder, or `HOME`")]
    NoPlace,
    /// The configuration file, which names the folder, cannot be resolved.
    #[error("cannot resolve the path of the configuration `{path}`: check that it exists and can be read")]
    Config {
        /// The configuration file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The folder cannot be made.
    #[error("cannot create the state folder `{path}`: {}", advice(source))]
    Create {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The lock's file cannot be used.
    #[error("cannot lock `{path}`: {}", advice(source))]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process acts.
    #[error("`{path}` is locked by {holder}: one trueup acts at a time; wait until it ends, or stop it")]
    Held {
        /// The lock's file.
        path: PathBuf,
        /// What the holder wrote into it.
        holder: String,
    },
}

impl StateFolder {
    /// Where the state of this configuration is: `TRUEUP_STATE_DIR`, else a folder named by the digest of the
    /// configuration's canonical path below `$XDG_STATE_HOME/trueup` or `$HOME/.local/state/trueup`. Creates nothing.
    ///
    /// # Errors
    /// [`StateError::NoPlace`] where the environment names no place, [`StateError::Config`] where the configuration's path
    /// cannot be resolved.
    pub fn resolve(environment: StateEnvironment<'_>, config: &Path) -> Result<Self, StateError> {
        let config_error = |source| StateError::Config { path: config.to_owned(), source };
        if let Some(folder) = given(environment.state_dir) {
            let create_error = |source| StateError::Create { path: folder.to_owned(), source };
            return Ok(Self { path: std::path::absolute(folder).map_err(create_error)? });
        }
        let xdg = given(environment.xdg_state_home).filter(|path| path.is_absolute()).map(Path::to_owned);
        let home = given(environment.home).filter(|path| path.is_absolute()).map(|home| home.join(".local/state"));
        let states = xdg.or(home).ok_or(StateError::NoPlace)?;
        let canonical = config.canonicalize().map_err(config_error)?;
        Ok(Self { path: states.join("trueup").join(name_of(&canonical)) })
    }

    /// Makes the folder where it is not there yet, for its owner alone (0700).
    ///
    /// # Errors
    /// [`StateError::Create`]
    pub fn create(&self) -> Result<(), StateError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.path);
        made.map_err(|source| StateError::Create { path: self.path.clone(), source })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The ledger's file.
    #[must_use]
    pub fn ledger(&self) -> PathBuf {
        self.path.join("ledger.sqlite")
    }

    /// The file of the key that signs the ledger's head.
    #[must_use]
    pub fn ledger_key(&self) -> PathBuf {
        self.path.join(LEDGER_KEY)
    }

    /// The digest key's file.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.path.join("key")
    }

    /// The file that says when each ignore rule last matched.
    #[must_use]
    pub fn rules(&self) -> PathBuf {
        self.path.join("ignore-rules.json")
    }

    /// The folder of the local forge's patch files.
    #[must_use]
    pub fn review(&self) -> PathBuf {
        self.path.join("review")
    }

    /// Takes the right to act, at once or not at all.
    ///
    /// # Errors
    /// [`StateError::Held`] where another process has it, naming that one; [`StateError::Lock`] where the file cannot be
    /// used.
    pub fn lock(&self, now: Timestamp) -> Result<ActLock, StateError> {
        let path = self.path.join("lock");
        let error = |source| StateError::Lock { path: path.clone(), source };
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(error)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StateError::Held { holder: holder(&mut file), path }),
            Err(TryLockError::Error(source)) => return Err(error(source)),
        }
        sign(&mut file, now).map_err(error)?;
        Ok(ActLock { file })
    }
}

/// What to do about an error of the file system.
pub(crate) fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem => {
            "the disk is read-only; set `TRUEUP_STATE_DIR` to a folder on a disk that can be written"
        }
        io::ErrorKind::PermissionDenied => {
            "permission denied; set `TRUEUP_STATE_DIR` to a folder that you may write, or change its owner"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full; free some space",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => {
            "a file is in the way; move it, or set `TRUEUP_STATE_DIR` to another folder"
        }
        io::ErrorKind::NotFound => "it does not exist; run a command that acts, such as `trueup sync`, or set `TRUEUP_STATE_DIR`",
        _ => "set `TRUEUP_STATE_DIR` to a folder that you may write",
    }
}

fn given(value: Option<&OsStr>) -> Option<&Path> {
    value.filter(|value| !value.is_empty()).map(Path::new)
}

/// The folder's name for a configuration: 16 digits of the SHA-256 of its canonical path.
fn name_of(config: &Path) -> String {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, config.as_os_str().as_encoded_bytes());
    hex(&digest.as_ref()[..8])
}

/// Who holds the lock. The text is for people; what counts is the lock itself.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.take(200).read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().escape_debug().to_string(),
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}

fn sign(file: &mut File, now: Timestamp) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "process {} since {now:.0}", std::process::id())
}

#[cfg(test)]
mod tests;
