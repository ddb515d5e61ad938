//! Why the ledger cannot be used. Whoever gets one of these makes no writes.

use std::fmt;
use std::io;

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;
use trueup_core::run::{DecodeError, HistoryError};

use crate::state::{KeyError, advice};

/// Why the ledger cannot be opened, read or appended to.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// There is none yet.
    #[error("there is no ledger at `{ledger}`: `trueup sync` makes it at its first run")]
    Missing {
        /// The ledger.
        ledger: String,
    },
    /// The file cannot be made, or not be written.
    #[error("cannot write the ledger `{ledger}`: {}", advice(source))]
    Write {
        /// The ledger's file.
        ledger: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The storage failed.
    #[error("cannot {step} the ledger `{ledger}`: {fault}")]
    Storage {
        /// What was being done.
        step: &'static str,
        /// The ledger.
        ledger: String,
        /// What kind of failure it is.
        fault: StorageFault,
        /// Why, in the storage's words.
        #[source]
        source: sqlx::Error,
    },
    /// There is a database, but no ledger.
    #[error("`{ledger}` is a database, but no ledger: name another one")]
    NotALedger {
        /// The database.
        ledger: String,
    },
    /// A later trueup has changed its layout.
    #[error("the ledger `{ledger}` has layout {version}, which this trueup does not know: use a later trueup")]
    LaterLayout {
        /// The ledger.
        ledger: String,
        /// The layout's number.
        version: i64,
    },
    /// Its layout is not what any trueup made.
    #[error("the layout of the ledger `{ledger}` was changed by another program: restore it from a copy")]
    Layout {
        /// The ledger.
        ledger: String,
        /// What differs.
        #[source]
        source: MigrateError,
    },
    /// The storage does not keep what it acknowledges.
    #[error("the ledger `{ledger}` would not be durable: `{setting}` is `{found}`; put it on a local disk")]
    NotDurable {
        /// The ledger.
        ledger: String,
        /// The setting.
        setting: &'static str,
        /// What it is.
        found: String,
    },
    /// The key that signs its head cannot be used.
    #[error("cannot sign the head of the ledger `{ledger}`")]
    Key {
        /// The ledger.
        ledger: String,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// The server does not take our credentials. Its words are left out, as they name the user.
    #[error(
        "the ledger's server `{ledger}` does not accept the user or the password: correct `TRUEUP_LEDGER_URL` or `[ledger] url`"
    )]
    Credentials {
        /// The ledger.
        ledger: String,
    },
    /// It was opened for reading.
    #[error("the ledger `{ledger}` is open for reading alone: nothing can be appended")]
    OpenToRead {
        /// The ledger.
        ledger: String,
    },
    /// A record is not what was recorded.
    #[error("record {seq} of the ledger `{ledger}` does not hold: {why}; see `trueup audit verify`, and restore a copy")]
    Broken {
        /// The ledger.
        ledger: String,
        /// The first such record.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
    /// A record's content cannot be read.
    #[error("cannot read record {seq} of the ledger `{ledger}`")]
    Unreadable {
        /// The ledger.
        ledger: String,
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

/// What kind of failure of the storage it is, by SQLite's primary result codes (<https://sqlite.org/rescode.html>) and
/// PostgreSQL's classes of SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
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
    /// The server does not answer.
    Silent,
    /// The server's user may not do it.
    Rights,
    /// The server's user or password is wrong.
    Credentials,
    /// Anything else.
    Other,
}

impl StorageFault {
    fn of(error: &sqlx::Error) -> Self {
        match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => Self::Silent,
            sqlx::Error::Database(error) => match error.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => Self::of_state(error.code()),
                None => Self::of_code(error.code().and_then(|code| code.parse().ok())),
            },
            _ => Self::Other,
        }
    }

    /// By SQLite's extended result code.
    fn of_code(extended: Option<i32>) -> Self {
        // SQLITE_IOERR_SHMSIZE: on a full disk, what cannot grow first is the file beside the log.
        if extended == Some(4874) {
            return Self::Full;
        }
        match extended.map(|extended| extended & 0xff) {
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

    /// By PostgreSQL's SQLSTATE.
    fn of_state(state: &str) -> Self {
        match state {
            "55P03" | "40P01" | "40001" => Self::Busy,
            "53100" => Self::Full,
            "42501" => Self::Rights,
            "XX001" | "XX002" => Self::Damaged,
            _ if state.starts_with("28") => Self::Credentials,
            _ if state.starts_with("58") => Self::Disk,
            _ if state.starts_with("08") || state.starts_with("57P") || state.starts_with("53") => Self::Silent,
            _ => Self::Other,
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
            Self::Silent => "the server cannot be reached; check its address, and that it runs",
            Self::Rights => {
                "the server's user may not; it needs to create a schema once, then to select, insert, update and delete"
            }
            Self::Credentials => "the server does not accept the user or the password",
            Self::Other => "the storage refused",
        })
    }
}

/// The error of a storage step.
pub(super) fn storage(step: &'static str, ledger: &str, source: sqlx::Error) -> LedgerError {
    match StorageFault::of(&source) {
        StorageFault::Credentials => LedgerError::Credentials { ledger: ledger.to_owned() },
        fault => LedgerError::Storage { step, ledger: ledger.to_owned(), fault, source },
    }
}
