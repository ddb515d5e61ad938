//! Opens the ledger's file and makes sure that it is a ledger, of a layout that is known, and durable.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _};

use super::error::{LedgerError, StorageFault, storage};
use super::location::Location;
use super::postgres;
use super::storage::Connection;

/// How long to wait for another process's append.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often to try to turn the log on while another process does the same: SQLite does not wait for that lock.
const LOG_ATTEMPTS: u32 = 100;

/// `trup`, as the first migration sets it.
const APPLICATION_ID: i64 = 0x7472_7570;

static MIGRATIONS: Migrator = sqlx::migrate!("src/ledger/migrations/sqlite");

/// What is read of today's layout.
const TODAY: &str = "CREATE TEMP VIEW stored AS
    SELECT seq, CAST(at AS BLOB) AS at, CAST(run AS BLOB) AS run, CAST(kind AS BLOB) AS kind, CAST(body AS BLOB) AS body,
           CAST(prev AS BLOB) AS prev, CAST(hash AS BLOB) AS hash, CAST(instance AS BLOB) AS instance, epoch,
           CAST(cluster AS BLOB) AS cluster, CAST(policy AS BLOB) AS policy, through, signature,
           run AS of_run, instance AS of_instance
    FROM main.records";

/// What is read of the first layout, where nobody may bring it up to date: it names nobody, and has no signed head.
const FIRST: &str = "CREATE TEMP VIEW stored AS
    SELECT seq, CAST(at AS BLOB) AS at, CAST(run AS BLOB) AS run, CAST(kind AS BLOB) AS kind, CAST(body AS BLOB) AS body,
           CAST(prev AS BLOB) AS prev, CAST(hash AS BLOB) AS hash, NULL AS instance, NULL AS epoch,
           NULL AS cluster, NULL AS policy, NULL AS through, NULL AS signature,
           run AS of_run, NULL AS of_instance
    FROM main.records;
    CREATE TEMP VIEW heads AS
    SELECT '' AS instance, x'' AS key, 0 AS seq, x'' AS hash, 0 AS epoch, x'' AS signature WHERE FALSE";

/// What a database holds.
enum Content {
    Nothing,
    Ledger,
    Other,
}

/// A connection that appends durably, to a ledger of today's layout.
pub(super) async fn to_append(location: &Location) -> Result<Connection, LedgerError> {
    match location {
        Location::File(path) => file_to_append(path).await.map(Connection::Sqlite),
        Location::Server(server) => postgres::to_append(server, &location.name()).await.map(Connection::Postgres),
    }
}

/// A connection that reads.
pub(super) async fn to_read(location: &Location) -> Result<Connection, LedgerError> {
    match location {
        Location::File(path) => file_to_read(path).await.map(Connection::Sqlite),
        Location::Server(server) => postgres::to_read(server, &location.name()).await.map(Connection::Postgres),
    }
}

async fn file_to_append(path: &Path) -> Result<SqliteConnection, LedgerError> {
    let made = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
    made.map_err(|source| LedgerError::Write { ledger: name(path), source })?;
    let options = options(path).synchronous(SqliteSynchronous::Full);
    let mut connection = options.connect().await.map_err(|source| storage("open", &name(path), source))?;
    match content(&mut connection, path).await? {
        Content::Nothing => {}
        Content::Ledger => {
            known_layout(&mut connection, path).await?;
        }
        Content::Other => return Err(LedgerError::NotALedger { ledger: name(path) }),
    }
    turn_log_on(&mut connection, path).await?;
    check_synced(&mut connection, path).await?;
    migrate(&mut connection, path).await?;
    show(&mut connection, path, TODAY).await?;
    Ok(connection)
}

/// A ledger in a folder that cannot be written, closed properly and so without a log, is read
/// as a file that nobody changes.
async fn file_to_read(path: &Path) -> Result<SqliteConnection, LedgerError> {
    if fs::metadata(path).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(LedgerError::Missing { ledger: name(path) });
    }
    let options = options(path).read_only(true);
    match connect_to_read(&options, path).await {
        Err(LedgerError::Storage { fault: StorageFault::Unreachable | StorageFault::ReadOnly, .. }) if !has_log(path) => {
            connect_to_read(&options.immutable(true), path).await
        }
        other => other,
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(false)
        .busy_timeout(PATIENCE)
        .pragma("cell_size_check", "ON")
        .pragma("temp_store", "MEMORY")
        .disable_statement_logging()
}

async fn connect_to_read(options: &SqliteConnectOptions, path: &Path) -> Result<SqliteConnection, LedgerError> {
    let mut connection = options.connect().await.map_err(|source| storage("open", &name(path), source))?;
    match content(&mut connection, path).await? {
        Content::Ledger => {}
        Content::Nothing => return Err(LedgerError::Missing { ledger: name(path) }),
        Content::Other => return Err(LedgerError::NotALedger { ledger: name(path) }),
    }
    let layout = known_layout(&mut connection, path).await?;
    show(&mut connection, path, if layout == 1 { FIRST } else { TODAY }).await?;
    Ok(connection)
}

/// The layout's number. A later one is left to a later trueup, before anything is written.
async fn known_layout(connection: &mut SqliteConnection, path: &Path) -> Result<i64, LedgerError> {
    let applied: Result<Option<i64>, _> =
        sqlx::query_scalar("SELECT MAX(version) FROM _sqlx_migrations").fetch_one(connection).await;
    match applied.map_err(|source| storage("read", &name(path), source))? {
        Some(version) if !MIGRATIONS.version_exists(version) => Err(LedgerError::LaterLayout { ledger: name(path), version }),
        other => Ok(other.unwrap_or_default()),
    }
}

/// Makes the records' view for this connection: texts as the bytes that were hashed.
async fn show(connection: &mut SqliteConnection, path: &Path, views: &'static str) -> Result<(), LedgerError> {
    let shown = sqlx::raw_sql(views).execute(connection).await;
    shown.map(|_| ()).map_err(|source| storage("open", &name(path), source))
}

fn name(path: &Path) -> String {
    path.display().to_string()
}

fn has_log(path: &Path) -> bool {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    fs::metadata(PathBuf::from(log)).is_ok_and(|log| log.len() > 0)
}

/// Only reads: any other program's database is left as it is.
async fn content(connection: &mut SqliteConnection, path: &Path) -> Result<Content, LedgerError> {
    let error = |source| storage("open", &name(path), source);
    let id: i64 = sqlx::query_scalar("PRAGMA application_id").fetch_one(&mut *connection).await.map_err(error)?;
    let tables: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM sqlite_schema").fetch_one(connection).await.map_err(error)?;
    Ok(match (id, tables) {
        (APPLICATION_ID, _) => Content::Ledger,
        (0, 0) => Content::Nothing,
        (_, _) => Content::Other,
    })
}

async fn turn_log_on(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let mut attempt = 1;
    let mode: String = loop {
        let turned = sqlx::query_scalar("PRAGMA journal_mode = WAL").fetch_one(&mut *connection).await;
        match turned.map_err(|source| storage("open", &name(path), source)) {
            Ok(mode) => break mode,
            Err(LedgerError::Storage { fault: StorageFault::Busy, .. }) if attempt < LOG_ATTEMPTS => {
                attempt += 1;
                tokio::time::sleep(PATIENCE / LOG_ATTEMPTS).await;
            }
            Err(other) => return Err(other),
        }
    };
    if mode == "wal" { Ok(()) } else { Err(LedgerError::NotDurable { ledger: name(path), setting: "journal_mode", found: mode }) }
}

/// `synchronous` must be 2 (FULL): with less, the log is not synced at each append.
async fn check_synced(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let read = sqlx::query_scalar("PRAGMA synchronous").fetch_one(connection).await;
    let level: i64 = read.map_err(|source| storage("open", &name(path), source))?;
    if level == 2 {
        Ok(())
    } else {
        Err(LedgerError::NotDurable { ledger: name(path), setting: "synchronous", found: level.to_string() })
    }
}

/// Brings the layout up to date, in one transaction that keeps other processes out: two first uses at once are one.
async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), LedgerError> {
    let error = |source| storage("open", &name(path), source);
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(error)?;
    let migrated = MIGRATIONS.run(&mut *transaction).await;
    migrated.map_err(|source| match source {
        MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _) => error(source),
        MigrateError::VersionMissing(version) => LedgerError::LaterLayout { ledger: name(path), version },
        other => LedgerError::Layout { ledger: name(path), source: other },
    })?;
    transaction.commit().await.map_err(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_not_synced_at_each_append_is_refused() {
        let root = tempfile::tempdir().expect("a folder");
        let path = root.path().join("ledger.sqlite");
        let normal = options(&path).create_if_missing(true).synchronous(SqliteSynchronous::Normal);
        let mut connection = normal.connect().await.expect("open");
        let error = check_synced(&mut connection, &path).await.expect_err("not durable").to_string();
        assert!(error.ends_with("would not be durable: `synchronous` is `1`; put it on a local disk"), "{error}");
    }
}
