//! Where a ledger is: a file in the state folder, or a PostgreSQL server.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;

use crate::source::credentials::Secret;
use crate::state::LEDGER_KEY;

/// Where a ledger is, and the key that signs its head.
#[derive(Debug, Clone)]
pub enum Location {
    /// A SQLite file; the key is beside it.
    File(PathBuf),
    /// A PostgreSQL database, in its schema `trueup`.
    Server(Box<Server>),
}

/// A database on a server.
#[derive(Debug, Clone)]
pub struct Server {
    url: Secret,
    name: String,
    key: PathBuf,
}

impl Server {
    /// The database of this URL (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING-URIS>); `key` is
    /// the file of the key. `None` where the text is no such URL. What the URL leaves out, `PG…` variables say.
    #[must_use]
    pub fn at(url: &str, key: PathBuf) -> Option<Self> {
        let scheme = url.split_once("://").map(|(scheme, _)| scheme)?;
        let options = PgConnectOptions::from_str(url).ok().filter(|_| matches!(scheme, "postgres" | "postgresql"))?;
        let host = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let name = format!("postgres://{host}/{}", options.get_database().unwrap_or_default());
        Some(Self { url: Secret::new(url), name, key })
    }

    pub(super) fn options(&self) -> Result<PgConnectOptions, sqlx::Error> {
        PgConnectOptions::from_str(self.url.reveal())
    }
}

impl Location {
    /// As messages name it: without user, password and parameters.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Server(server) => server.name.clone(),
        }
    }

    /// The file of the key that signs the ledger's head.
    pub(super) fn key(&self) -> PathBuf {
        match self {
            Self::File(path) => path.with_file_name(LEDGER_KEY),
            Self::Server(server) => server.key.clone(),
        }
    }
}

impl From<&Self> for Location {
    fn from(location: &Self) -> Self {
        location.clone()
    }
}

impl From<&Path> for Location {
    fn from(file: &Path) -> Self {
        Self::File(file.to_owned())
    }
}

impl From<&PathBuf> for Location {
    fn from(file: &PathBuf) -> Self {
        Self::File(file.clone())
    }
}
