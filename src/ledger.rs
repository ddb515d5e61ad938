//! The ledger: an append-only record of every decision and effect, each chained by hash to the one before.
//!
//! What is acknowledged is durable: a write-ahead log with `synchronous = FULL` is synced at each append. Whoever cannot
//! append does not write: every error here means "no effects". Reading checks the chain, so nothing is decided on a ledger
//! that does not hold.

use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use jiff::Timestamp;
use sqlx::sqlite::SqliteConnection;
use sqlx::{Connection, Sqlite, Transaction};
use tokio::sync::Mutex;
use trueup_core::run::{Due, Entry, Record, Run, RunId, Runs, Standing};

mod chain;
mod error;
mod open;

pub use chain::RecordHash;
pub use error::{LedgerError, StorageFault};

use chain::{Chain, Flaw, Row};
use error::storage;

/// An open ledger. One connection, used by one caller at a time; other processes may append between two calls.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    access: Access,
    connection: Mutex<SqliteConnection>,
}

/// What an open ledger is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Append,
    Read,
}

/// One record's number and hash. The last one's stands for the whole ledger up to there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    /// The record's number, from 1 without gaps.
    pub seq: u64,
    /// Its hash, and with it all before it.
    pub hash: RecordHash,
}

/// What a check of the whole chain found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audit {
    /// Every record is what was recorded.
    Whole {
        /// How many there are.
        records: u64,
        /// The last one; absent in an empty ledger.
        head: Option<Recorded>,
    },
    /// This record is the first that is not.
    Broken {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
}

impl Ledger {
    /// Opens the ledger to append to it; makes it, for its owner alone, where there is none.
    ///
    /// # Errors
    /// Where the file is no ledger, is damaged, belongs to a later trueup, or cannot be written durably.
    pub async fn open(path: &Path) -> Result<Self, LedgerError> {
        let connection = open::to_append(path).await?;
        Ok(Self { path: path.to_owned(), access: Access::Append, connection: Mutex::new(connection) })
    }

    /// Opens the ledger to read it alone; works in a folder that cannot be written.
    ///
    /// # Errors
    /// [`LedgerError::Missing`] where there is none; otherwise as [`Ledger::open`].
    pub async fn open_to_read(path: &Path) -> Result<Self, LedgerError> {
        let connection = open::to_read(path).await?;
        Ok(Self { path: path.to_owned(), access: Access::Read, connection: Mutex::new(connection) })
    }

    /// Appends an entry. When this returns, the record is on the disk.
    ///
    /// # Errors
    /// Where the entry cannot follow what is recorded, would keep a secret value, or cannot be stored durably. After an
    /// error of the storage the record may be there or not; nothing may rest on it.
    pub async fn append(&self, entry: &Entry, at: Timestamp) -> Result<Recorded, LedgerError> {
        if self.access == Access::Read {
            return Err(LedgerError::OpenToRead { path: self.path.clone() });
        }
        if let Some(field) = entry.secret_at() {
            return Err(LedgerError::SecretValue { field });
        }
        let body = entry.encode().map_err(LedgerError::Encode)?;
        let mut connection = self.connection.lock().await;
        let begun = connection.begin_with("BEGIN IMMEDIATE").await;
        let mut transaction = begun.map_err(|source| storage("append to", &self.path, source))?;
        let head = self.sound_head(&mut transaction).await?;
        let seq = head.map_or(1, |head| head.seq + 1);
        self.check_follows(&mut transaction, &Record { seq, at, entry: entry.clone() }).await?;
        let row = Row::sealed(seq, at, entry, body, head.map_or(RecordHash::NONE, |head| head.hash));
        let inserted = insert(&mut transaction, &row).await;
        inserted.map_err(|source| storage("append to", &self.path, source))?;
        transaction.commit().await.map_err(|source| storage("append to", &self.path, source))?;
        Ok(Recorded { seq, hash: row.computed_hash() })
    }

    /// The records after this number (0: all), in order. The records must hold among themselves.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn entries(&self, after: u64) -> Result<Vec<Record>, LedgerError> {
        let mut records = Vec::new();
        self.scan(Chain::after(after), |record| {
            records.push(record);
            Ok(())
        })
        .await?;
        Ok(records)
    }

    /// All runs, the oldest first.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn runs(&self) -> Result<Vec<Run>, LedgerError> {
        let mut runs = Runs::default();
        self.scan(Chain::start(), |record| runs.apply(&record).map_err(LedgerError::History)).await?;
        Ok(runs.into_all())
    }

    /// One run; `None` where the ledger has no such run.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, LedgerError> {
        Ok(self.runs().await?.into_iter().find(|run| run.intent.run == *id))
    }

    /// The runs that were cut off before it was known whether they had an effect. They are resolved by reading, before
    /// anything else is done at their places.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<Run>, LedgerError> {
        let runs = self.runs().await?;
        Ok(runs.into_iter().filter(|run| run.due() == Due::Resolution).collect())
    }

    /// How things stand for guards: writes, holds, proposals, denials, escalations, clusters.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn standing(&self) -> Result<Standing, LedgerError> {
        let mut standing = Standing::default();
        self.scan(Chain::start(), |record| {
            standing.apply(&record);
            Ok(())
        })
        .await?;
        Ok(standing)
    }

    /// The last record; `None` in an empty ledger.
    ///
    /// # Errors
    /// Where it does not hold or cannot be read.
    pub async fn head(&self) -> Result<Option<Recorded>, LedgerError> {
        let mut connection = self.connection.lock().await;
        let row = last_row(&mut connection).await.map_err(|source| storage("read", &self.path, source))?;
        row.map(|row| row.sound().map_err(|flaw| self.broken(flaw))).transpose()
    }

    /// Checks every record: finds the first that was changed, dropped, inserted or moved. Records dropped from the end leave
    /// no trace in the chain, nor does a ledger that was written anew from some record on: [`Ledger::verify_against`].
    ///
    /// # Errors
    /// Where the storage fails for another reason than damage.
    pub async fn verify(&self) -> Result<Audit, LedgerError> {
        self.audit(None).await
    }

    /// Checks every record, and that the ledger still holds one that was noted elsewhere.
    ///
    /// # Errors
    /// As [`Ledger::verify`].
    pub async fn verify_against(&self, witness: Recorded) -> Result<Audit, LedgerError> {
        self.audit(Some(witness)).await
    }

    /// Ends the connection, and with it moves the log's content into the ledger's file.
    ///
    /// # Errors
    /// Where the storage fails; what was acknowledged stays in the log then.
    pub async fn close(self) -> Result<(), LedgerError> {
        self.connection.into_inner().close().await.map_err(|source| storage("close", &self.path, source))
    }

    async fn audit(&self, witness: Option<Recorded>) -> Result<Audit, LedgerError> {
        let mut chain = Chain::start();
        let mut connection = self.connection.lock().await;
        let mut rows = chain::rows_from(&mut connection, 1);
        loop {
            let row = match rows.try_next().await.map_err(|source| storage("read", &self.path, source)) {
                Ok(Some(row)) => row,
                Ok(None) => break,
                Err(LedgerError::Storage { fault: StorageFault::Damaged, source, .. }) => {
                    return Ok(Audit::Broken { seq: chain.next(), why: format!("the file is damaged here: {source}") });
                }
                Err(other) => return Err(other),
            };
            let followed = chain.follow(&row).and_then(|()| row.agrees());
            let witnessed = followed.and_then(|()| row.is_witnessed(witness));
            if let Err(Flaw { seq, why }) = witnessed {
                return Ok(Audit::Broken { seq, why });
            }
        }
        Ok(match witness {
            Some(witness) if witness.seq >= chain.next() => {
                Audit::Broken { seq: chain.next(), why: "it was recorded once and is no longer there".to_owned() }
            }
            Some(_) | None => Audit::Whole { records: chain.next() - 1, head: chain.head() },
        })
    }

    /// Hands each record to `visit`, in order, as long as they hold.
    async fn scan(&self, mut chain: Chain, mut visit: impl FnMut(Record) -> Result<(), LedgerError>) -> Result<(), LedgerError> {
        let mut connection = self.connection.lock().await;
        let mut rows = chain::rows_from(&mut connection, chain.next());
        while let Some(row) = rows.try_next().await.map_err(|source| storage("read", &self.path, source))? {
            chain.follow(&row).map_err(|flaw| self.broken(flaw))?;
            visit(self.record(&row)?)?;
        }
        Ok(())
    }

    async fn sound_head(&self, transaction: &mut Transaction<'_, Sqlite>) -> Result<Option<Recorded>, LedgerError> {
        let row = last_row(transaction).await.map_err(|source| storage("read", &self.path, source))?;
        row.map(|row| row.sound().map_err(|flaw| self.broken(flaw))).transpose()
    }

    /// Whether the record can follow what its run has behind it.
    async fn check_follows(&self, transaction: &mut Transaction<'_, Sqlite>, record: &Record) -> Result<(), LedgerError> {
        let Some(run) = record.entry.run() else { return Ok(()) };
        let rows = chain::rows_of_run(transaction, run).await.map_err(|source| storage("read", &self.path, source))?;
        let mut runs = Runs::default();
        for row in rows {
            row.sound().map_err(|flaw| self.broken(flaw))?;
            runs.apply(&self.record(&row)?).map_err(LedgerError::History)?;
        }
        runs.apply(record).map_err(LedgerError::History)
    }

    fn record(&self, row: &Row) -> Result<Record, LedgerError> {
        row.agrees().map_err(|flaw| self.broken(flaw))?;
        let unreadable = |source| LedgerError::Unreadable { path: self.path.clone(), seq: row.number(), source };
        let entry = Entry::decode(&row.body).map_err(unreadable)?;
        Ok(Record { seq: row.number(), at: row.time().map_err(|flaw| self.broken(flaw))?, entry })
    }

    fn broken(&self, flaw: Flaw) -> LedgerError {
        LedgerError::Broken { path: self.path.clone(), seq: flaw.seq, why: flaw.why }
    }
}

async fn last_row(connection: &mut SqliteConnection) -> Result<Option<Row>, sqlx::Error> {
    sqlx::query_as(concat!(chain::select!(), " ORDER BY seq DESC LIMIT 1")).fetch_optional(connection).await
}

async fn insert(connection: &mut SqliteConnection, row: &Row) -> Result<(), sqlx::Error> {
    sqlx::query("INSERT INTO records (seq, at, run, kind, body, prev, hash) VALUES ($1, $2, $3, $4, $5, $6, $7)")
        .bind(row.seq)
        .bind(String::from_utf8_lossy(&row.at))
        .bind(row.run.as_ref().map(|run| String::from_utf8_lossy(run)))
        .bind(String::from_utf8_lossy(&row.kind))
        .bind(&row.body)
        .bind(&row.prev)
        .bind(&row.hash)
        .execute(connection)
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests;
