//! Opens the ledger on a PostgreSQL server and makes sure that it is one, of a layout that is known, and durable.

use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::{ConnectOptions, Connection};

use super::error::{LedgerError, storage};
use super::location::Server;
use super::storage::APPEND_LOCK;

/// How long to wait for the server to answer at all.
const PATIENCE: Duration = Duration::from_secs(10);

/// Everything of ours is in a schema of its own: the database may serve others too.
const SETTINGS: [(&str, &str); 4] = [
    ("search_path", "trueup"),
    ("synchronous_commit", "on"),
    ("lock_timeout", "10s"),
    ("default_transaction_isolation", "read committed"),
];

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/postgres");

/// A connection that appends durably, to a ledger of today's layout.
pub(super) async fn to_append(server: &Server, name: &str) -> Result<PgConnection, LedgerError> {
    let error = |source| storage("open", name, source);
    let mut connection = connect(server, name).await?;
    check_durable(&mut connection, name).await?;
    if layout(&mut connection, name).await?.is_none() {
        let mut transaction = connection.begin().await.map_err(error)?;
        // Two first uses at once: `IF NOT EXISTS` alone would fail for one of them.
        let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(APPEND_LOCK);
        lock.execute(&mut *transaction).await.map_err(error)?;
        sqlx::query("CREATE SCHEMA IF NOT EXISTS trueup").execute(&mut *transaction).await.map_err(error)?;
        transaction.commit().await.map_err(error)?;
    }
    MIGRATIONS.run(&mut connection).await.map_err(|source| match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => error(source),
        MigrateError::VersionMissing(version) => LedgerError::LaterLayout { ledger: name.to_owned(), version },
        other => LedgerError::Layout { ledger: name.to_owned(), source: other },
    })?;
    Ok(connection)
}

/// A connection that reads.
pub(super) async fn to_read(server: &Server, name: &str) -> Result<PgConnection, LedgerError> {
    let mut connection = connect(server, name).await?;
    match layout(&mut connection, name).await? {
        Some(_) => {}
        None => return Err(LedgerError::Missing { ledger: name.to_owned() }),
    }
    let read_only = sqlx::query("SET default_transaction_read_only = on").execute(&mut connection).await;
    read_only.map_err(|source| storage("open", name, source))?;
    Ok(connection)
}

async fn connect(server: &Server, name: &str) -> Result<PgConnection, LedgerError> {
    let error = |source| storage("open", name, source);
    let options = server.options().map_err(error)?.options(SETTINGS).application_name("trueup").disable_statement_logging();
    let late = |_| sqlx::Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within 10 s"));
    tokio::time::timeout(PATIENCE, options.connect()).await.map_err(|elapsed| error(late(elapsed)))?.map_err(error)
}

/// The layout's number; `None` where there is no ledger yet. Only reads.
async fn layout(connection: &mut PgConnection, name: &str) -> Result<Option<i64>, LedgerError> {
    let error = |source| storage("open", name, source);
    let found = |table| sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL").bind(table);
    let versioned: bool = found("trueup._sqlx_migrations").fetch_one(&mut *connection).await.map_err(error)?;
    if !versioned {
        let foreign: bool = found("trueup.records").fetch_one(connection).await.map_err(error)?;
        return if foreign { Err(LedgerError::NotALedger { ledger: name.to_owned() }) } else { Ok(None) };
    }
    let version: Option<i64> =
        sqlx::query_scalar("SELECT MAX(version) FROM trueup._sqlx_migrations").fetch_one(connection).await.map_err(error)?;
    match version {
        Some(version) if !MIGRATIONS.version_exists(version) => {
            Err(LedgerError::LaterLayout { ledger: name.to_owned(), version })
        }
        other => Ok(other),
    }
}

/// What is acknowledged must be on the server's disk: with `fsync = off` it need not be.
async fn check_durable(connection: &mut PgConnection, name: &str) -> Result<(), LedgerError> {
    for (setting, wanted) in [("fsync", "on"), ("synchronous_commit", "on")] {
        let read = sqlx::query_scalar("SELECT current_setting($1)").bind(setting).fetch_one(&mut *connection).await;
        let found: String = read.map_err(|source| storage("open", name, source))?;
        if found != wanted {
            return Err(LedgerError::NotDurable { ledger: name.to_owned(), setting, found });
        }
    }
    Ok(())
}
