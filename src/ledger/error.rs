//! Why the ledger cannot be used. Whoever gets one of these makes no writes.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use sqlx::migrate::MigrateError;
use trueup_core::run::{DecodeError, HistoryError};

/// Why the ledger cannot be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is none yet.
    #[error("there is no ledger at `{path}`: `trueup sync` makes it at its first run")]
    Missing {
        /// The ledger's file.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("cannot make the ledger `{path}`: set `TRUEUP_STATE_DIR` to a folder that you may write")]
    Make {
        /// The ledger's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The storage failed.
    #[error("cannot {step} the ledger `{path}`: {fault}")]
    Storage {
        /// What was being done.
        step: &'static str,
        /// The ledger's file.
        path: PathBuf,
        /// What kind of failure it is.
        fault: StorageFault,
        /// Why, in the storage's words.
        #[source]
        source: sqlx::Error,
    },
    /// The file is a database, but no ledger.
    #[error("`{path}` is a database, but no ledger: name another file")]
    NotALedger {
        /// The file.
        path: PathBuf,
    },
    /// A later trueup has changed its layout.
    #[error("the ledger `{path}` has layout {version}, which this trueup does not know: use a later trueup")]
    LaterLayout {
        /// The ledger's file.
        path: PathBuf,
        /// The layout's number.
        version: i64,
    },
    /// Its layout is not what any trueup made.
    #[error("the layout of the ledger `{path}` was changed by another program: restore it from a copy")]
    Layout {
        /// The ledger's file.
        path: PathBuf,
        /// What differs.
        #[source]
        source: MigrateError,
    },
    /// The storage does not keep what it acknowledges.
    #[error("the ledger `{path}` would not be durable: `{setting}` is `{found}`; put it on a local disk")]
    NotDurable {
        /// The ledger's file.
        path: PathBuf,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
    },
    /// It was opened for reading.
    #[error("the ledger `{path}` is open for reading alone: nothing can be appended")]
    OpenToRead {
        /// The ledger's file.
        path: PathBuf,
    },
    /// A record is not what was recorded.
    #[error("record {seq} of the ledger `{path}` does not hold: {why}; see `trueup audit verify`, and restore a copy")]
    Broken {
        /// The ledger's file.
        path: PathBuf,
        /// The first such record.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A record's content cannot be read.
    #[error("cannot read record {seq} of the ledger `{path}`")]
    Unreadable {
        /// The ledger's file.
        path: PathBuf,
        /// The record.
        seq: u64,
        /// Why.
        #[source]
        source: DecodeError,
    },
    /// The entry cannot follow what is recorded.
    #[error("the entry does not follow from what the ledger holds")]
    History(#[source] HistoryError),
    /// The entry would keep a secret value.
    #[error("the entry would keep the value of a Secret (`{field}`): such an action belongs in review")]
    SecretValue {
        /// The Secret's field.
        field: &'static str,
    },
    /// The entry has no stored form.
    #[error("the entry has no stored form")]
    Encode(#[source] serde_json::Error),
}

/// What kind of failure of the storage it is, by SQLite's primary result codes (<https://sqlite.org/rescode.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageFault {
    /// Another process holds it.
    Busy,
    /// The disk, the folder or the file cannot be written.
    ReadOnly,
    /// The disk failed.
    Disk,
    /// The content does not hold together.
    Damaged,
    /// The disk is full.
    Full,
    /// The file or one beside it cannot be opened.
    Unreachable,
    /// It is no database.
    NotADatabase,
    /// Anything else.
    Other,
}

impl StorageFault {
    fn of(error: &sqlx::Error) -> Self {
        let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
        let primary = code.and_then(|code| code.parse::<i32>().ok()).map(|extended| extended & 0xff);
        match primary {
            Some(5 | 6) => Self::Busy,
            Some(8) => Self::ReadOnly,
            Some(10) => Self::Disk,
            Some(11) => Self::Damaged,
            Some(13) => Self::Full,
            Some(14) => Self::Unreachable,
            Some(26) => Self::NotADatabase,
            Some(_) | None => Self::Other,
        }
    }
}

/// What it is, and what to do.
impl fmt::Display for StorageFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "another process holds it; wait until that ends",
            Self::ReadOnly => "it cannot be written; set `TRUEUP_STATE_DIR` to a folder that you may write",
            Self::Disk => "the disk failed; check it, then run `trueup audit verify`",
            Self::Damaged => "the file is damaged; see `trueup audit verify`, and restore a copy",
            Self::Full => "the disk is full; free some space",
            Self::Unreachable => "the file or its `-wal` and `-shm` cannot be opened; check the folder's rights",
            Self::NotADatabase => "the file is no ledger; move it away, or restore a copy",
            Self::Other => "the storage refused",
        })
    }
}

/// The error of a storage step.
pub(super) fn storage(step: &'static str, path: &Path, source: sqlx::Error) -> LedgerError {
    LedgerError::Storage { step, path: path.to_owned(), fault: StorageFault::of(&source), source }
}
