//! The two databases, and the queries, which are the same on both.

use futures::stream::BoxStream;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection as _, Postgres, Sqlite};
use trueup_core::run::RunId;

use super::chain::Row;
use super::head::{Instance, SignedHead};

/// Serialises appends on a server: `trup` in ASCII.
pub(super) const APPEND_LOCK: i64 = 0x7472_7570;

/// An open connection.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// A transaction that keeps other writers out.
pub(super) enum Transaction<'a> {
    Sqlite(sqlx::Transaction<'a, Sqlite>),
    Postgres(sqlx::Transaction<'a, Postgres>),
}

/// Whatever a query is sent to.
pub(super) enum On<'a> {
    Sqlite(&'a mut SqliteConnection),
    Postgres(&'a mut PgConnection),
}

/// One expression for both: the types of the two drivers differ, the text of the query does not.
macro_rules! on {
    ($on:expr, $connection:ident => $query:expr) => {
        match $on {
            On::Sqlite($connection) => $query,
            On::Postgres($connection) => $query,
        }
    };
}

/// The columns that are checked, as bytes: changed types and broken texts are seen as changed content.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT seq, at, run, kind, body, prev, hash, instance, epoch, cluster, policy, through, signature FROM stored ",
            $rest
        )
    };
}

impl Connection {
    /// Whether nothing is left open on it and the database answers.
    pub(super) async fn is_ready(&mut self) -> bool {
        match self {
            Self::Sqlite(connection) => connection.ping().await.is_ok() && !connection.is_in_transaction(),
            Self::Postgres(connection) => connection.ping().await.is_ok() && !connection.is_in_transaction(),
        }
    }

    /// Begins a transaction in which nobody else appends.
    pub(super) async fn begin(&mut self) -> Result<Transaction<'_>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.begin_with("BEGIN IMMEDIATE").await.map(Transaction::Sqlite),
            Self::Postgres(connection) => {
                let mut transaction = connection.begin().await?;
                let lock = sqlx::query("SELECT pg_advisory_xact_lock($1)").bind(APPEND_LOCK);
                lock.execute(&mut *transaction).await?;
                Ok(Transaction::Postgres(transaction))
            }
        }
    }

    /// Begins a transaction that sees one state of the ledger, whoever appends meanwhile.
    pub(super) async fn snapshot(&mut self) -> Result<Transaction<'_>, sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.begin().await.map(Transaction::Sqlite),
            Self::Postgres(connection) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                connection.begin_with(begin).await.map(Transaction::Postgres)
            }
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

impl Transaction<'_> {
    pub(super) fn on(&mut self) -> On<'_> {
        match self {
            Self::Sqlite(transaction) => On::Sqlite(transaction),
            Self::Postgres(transaction) => On::Postgres(transaction),
        }
    }

    /// Ends it without an effect. One that is only dropped ends with the next use of its connection: on a server its locks
    /// would stand until then.
    pub(super) async fn end(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.rollback().await,
            Self::Postgres(transaction) => transaction.rollback().await,
        }
    }

    pub(super) async fn commit(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(transaction) => transaction.commit().await,
            Self::Postgres(transaction) => transaction.commit().await,
        }
    }
}

/// The rows from this number on, in order.
pub(super) fn rows_from(on: On<'_>, seq: u64) -> BoxStream<'_, Result<Row, sqlx::Error>> {
    match i64::try_from(seq) {
        // The very first ones too, whatever number somebody gave them.
        Ok(..=1) => on!(on, connection => sqlx::query_as(select!("ORDER BY seq")).fetch(connection)),
        Ok(seq) => on!(on, connection => sqlx::query_as(select!("WHERE seq >= $1 ORDER BY seq")).bind(seq).fetch(connection)),
        Err(_) => Box::pin(futures::stream::empty()),
    }
}

/// The rows of one run, in order.
pub(super) async fn rows_of_run(on: On<'_>, run: &RunId) -> Result<Vec<Row>, sqlx::Error> {
    let query = select!("WHERE of_run = $1 ORDER BY seq");
    on!(on, connection => sqlx::query_as(query).bind(run.as_str()).fetch_all(connection).await)
}

/// The row of this number.
pub(super) async fn row(on: On<'_>, seq: u64) -> Result<Option<Row>, sqlx::Error> {
    let query = select!("WHERE seq = $1");
    on!(on, connection => sqlx::query_as(query).bind(seq.cast_signed()).fetch_optional(connection).await)
}

/// The row with the lowest number.
pub(super) async fn first_row(on: On<'_>) -> Result<Option<Row>, sqlx::Error> {
    on!(on, connection => sqlx::query_as(select!("ORDER BY seq LIMIT 1")).fetch_optional(connection).await)
}

/// The row with the highest number.
pub(super) async fn last_row(on: On<'_>) -> Result<Option<Row>, sqlx::Error> {
    on!(on, connection => sqlx::query_as(select!("ORDER BY seq DESC LIMIT 1")).fetch_optional(connection).await)
}

/// The last checkpoint.
pub(super) async fn checkpoint_row(on: On<'_>) -> Result<Option<Row>, sqlx::Error> {
    let query = select!("WHERE through IS NOT NULL ORDER BY through DESC LIMIT 1");
    on!(on, connection => sqlx::query_as(query).fetch_optional(connection).await)
}

/// The first row behind this number that the instance appended.
pub(super) async fn row_of_instance(on: On<'_>, instance: &Instance, after: u64) -> Result<Option<Row>, sqlx::Error> {
    let query = select!("WHERE of_instance = $1 AND seq > $2 ORDER BY seq LIMIT 1");
    let (instance, after) = (instance.as_str(), after.cast_signed());
    on!(on, connection => sqlx::query_as(query).bind(instance).bind(after).fetch_optional(connection).await)
}

pub(super) async fn insert(on: On<'_>, row: &Row) -> Result<(), sqlx::Error> {
    let text = |bytes: &Option<Vec<u8>>| bytes.as_deref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let query = "INSERT INTO records (seq, at, run, kind, body, prev, hash, instance, epoch, cluster, policy, through, signature) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";
    on!(on, connection => sqlx::query(query)
        .bind(row.seq)
        .bind(String::from_utf8_lossy(&row.at))
        .bind(text(&row.run))
        .bind(String::from_utf8_lossy(&row.kind))
        .bind(&row.body)
        .bind(&row.prev)
        .bind(&row.hash)
        .bind(text(&row.instance))
        .bind(row.epoch)
        .bind(text(&row.cluster))
        .bind(text(&row.policy))
        .bind(row.through)
        .bind(&row.signature)
        .execute(connection)
        .await
        .map(|_| ()))
}

/// Removes the records up to this number; the database refuses where no checkpoint stands for them.
pub(super) async fn remove_through(on: On<'_>, seq: u64) -> Result<(), sqlx::Error> {
    let query = "DELETE FROM records WHERE seq <= $1";
    on!(on, connection => sqlx::query(query).bind(seq.cast_signed()).execute(connection).await.map(|_| ()))
}

/// A signed head as it is stored, whatever the bytes are.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct HeadRow {
    pub(super) instance: String,
    pub(super) key: Vec<u8>,
    pub(super) seq: i64,
    pub(super) hash: Vec<u8>,
    pub(super) epoch: i64,
    pub(super) signature: Vec<u8>,
}

/// Every instance's signed head.
pub(super) async fn heads(on: On<'_>) -> Result<Vec<HeadRow>, sqlx::Error> {
    let query = "SELECT instance, key, seq, hash, epoch, signature FROM heads ORDER BY instance";
    on!(on, connection => sqlx::query_as(query).fetch_all(connection).await)
}

/// Puts an instance's signed head in the place of its former one.
pub(super) async fn store_head(on: On<'_>, head: &SignedHead) -> Result<(), sqlx::Error> {
    let query = "INSERT INTO heads (instance, key, seq, hash, epoch, signature) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (instance) DO UPDATE SET key = excluded.key, seq = excluded.seq, hash = excluded.hash, \
                 epoch = excluded.epoch, signature = excluded.signature";
    let instance = head.instance();
    on!(on, connection => sqlx::query(query)
        .bind(instance.as_str())
        .bind(&head.key[..])
        .bind(head.recorded.seq.cast_signed())
        .bind(head.recorded.hash.bytes())
        .bind(head.epoch.cast_signed())
        .bind(&head.signature[..])
        .execute(connection)
        .await
        .map(|_| ()))
}
