//! The ledger: an append-only record of every decision and effect, each chained by hash to the one before, the last one
//! signed.
//!
//! What is acknowledged is durable: SQLite's log is synced at each append, and so is the server's. Whoever cannot append does
//! not write: every error here means "no effects". Reading checks the chain, so nothing is decided on a ledger that does not
//! hold.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::Mutex;
use trueup_core::policy::Policy;
use trueup_core::run::{Entry, Move, Record, Runs};

mod audit;
mod chain;
mod error;
mod head;
mod known;
mod location;
mod open;
mod postgres;
mod prune;
mod read;
mod storage;

pub use audit::{Audit, Signed};
pub use chain::{By, RecordHash};
pub use error::{LedgerError, StorageFault};
pub use head::{HeadError, Instance, SignedHead};
pub use location::{Location, Server};
pub use read::Kept;

use chain::{Flaw, Row};
use error::storage;
use head::Signer;
use known::Known;
use storage::{Connection, HeadRow, Transaction};

/// An open ledger. One connection, used by one caller at a time; other processes may append between two calls.
#[derive(Debug, Clone)]
pub struct Ledger {
    shared: Arc<Shared>,
    about: About,
}

/// What records are about from now on; each of them says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct About {
    /// The UID of the cluster's kube-system namespace.
    pub cluster: Option<String>,
    /// The digest of the policy in force.
    pub policy: Option<String>,
}

#[derive(Debug)]
struct Shared {
    location: Location,
    name: String,
    access: Access,
    connection: Mutex<Connection>,
    /// Taken behind the connection, never before it.
    known: Mutex<Known>,
}

/// What an open ledger is for.
#[derive(Debug)]
enum Access {
    Append { signer: Signer, epoch: u64 },
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

impl Ledger {
    /// Opens the ledger to append to it; makes it, for its owner alone, where there is none.
    ///
    /// # Errors
    /// Where there is no ledger but something else, it is damaged or went back, belongs to a later trueup, or cannot be
    /// written durably.
    pub async fn open(at: impl Into<Location>) -> Result<Self, LedgerError> {
        let location = at.into();
        let name = location.name();
        let mut connection = open::to_append(&location).await?;
        let signer = Signer::kept(&location.key());
        let signer = signer.map_err(|source| LedgerError::Key { ledger: name.clone(), source })?;
        let epoch = own_epoch(&mut connection, &signer, &name).await?;
        let access = Access::Append { signer, epoch: epoch + 1 };
        let (connection, known) = (Mutex::new(connection), Mutex::default());
        let shared = Shared { location, name, access, connection, known };
        let ledger = Self { shared: Arc::new(shared), about: About::default() };
        ledger.check_own_head().await?;
        Ok(ledger)
    }

    /// Opens the ledger to read it alone; works in a folder that cannot be written.
    ///
    /// # Errors
    /// [`LedgerError::Missing`] where there is none; otherwise as [`Ledger::open`].
    pub async fn open_to_read(at: impl Into<Location>) -> Result<Self, LedgerError> {
        let location = at.into();
        let connection = Mutex::new(open::to_read(&location).await?);
        let shared = Shared { name: location.name(), location, access: Access::Read, connection, known: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), about: About::default() })
    }

    /// Opens the ledger to read it alone, if there is one.
    ///
    /// # Errors
    /// As [`Ledger::open_to_read`].
    pub async fn open_if_there(at: impl Into<Location>) -> Result<Option<Self>, LedgerError> {
        match Self::open_to_read(at).await {
            Ok(ledger) => Ok(Some(ledger)),
            Err(LedgerError::Missing { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The same ledger, whose next records say that they are about this.
    #[must_use]
    pub fn about(&self, about: About) -> Self {
        Self { shared: Arc::clone(&self.shared), about }
    }

    /// The same ledger, whose next records name this policy.
    #[must_use]
    pub fn under(&self, policy: &Policy) -> Self {
        self.about(About { policy: Some(policy.digest.clone()), ..self.about.clone() })
    }

    /// The same ledger, whose next records name this cluster.
    #[must_use]
    pub fn of_cluster(&self, cluster: Option<String>) -> Self {
        self.about(About { cluster, ..self.about.clone() })
    }

    /// Appends an entry. When this returns, the record is on the disk.
    ///
    /// # Errors
    /// Where the entry cannot follow what is recorded, would keep a secret value, or cannot be stored durably. After an
    /// error of the storage the record may be there or not; nothing may rest on it.
    pub async fn append(&self, entry: &Entry, at: Timestamp) -> Result<Recorded, LedgerError> {
        let (signer, epoch) = self.signer()?;
        if let Some(field) = entry.secret_at() {
            return Err(LedgerError::SecretValue { field });
        }
        let error = |source| storage("append to", &self.shared.name, source);
        let mut connection = self.shared.connection.lock().await;
        self.make_ready(&mut connection).await?;
        let mut transaction = connection.begin().await.map_err(error)?;
        match self.seal(&mut transaction, entry, at, (signer, self.by(signer, epoch))).await {
            Ok(recorded) => transaction.commit().await.map(|()| recorded).map_err(error),
            Err(refused) => self.ended(transaction, Err(refused)).await,
        }
    }

    /// Makes a move of a run: its next state, once its entry is on the disk, with the entry's number where there was one to record.
    ///
    /// # Errors
    /// As [`Ledger::append`]: the run has not moved then.
    pub async fn make<Next>(&self, step: Move<Next>, at: Timestamp) -> Result<(Next, Option<u64>), LedgerError> {
        let seq = match step.entry() {
            Some(entry) => Some(self.append(entry, at).await?.seq),
            None => None,
        };
        #[expect(clippy::disallowed_methods, reason = "the entry was appended right before")]
        let next = step.durable();
        Ok((next, seq))
    }

    /// Ends the connection, and with it moves SQLite's log into the ledger's file.
    ///
    /// # Errors
    /// Where the storage fails; what was acknowledged stays in the log then.
    pub async fn close(self) -> Result<(), LedgerError> {
        match Arc::into_inner(self.shared) {
            Some(Shared { connection, name, .. }) => {
                connection.into_inner().close().await.map_err(|source| storage("close", &name, source))
            }
            // Whoever else holds it closes it.
            None => Ok(()),
        }
    }

    fn signer(&self) -> Result<(&Signer, u64), LedgerError> {
        match &self.shared.access {
            Access::Append { signer, epoch } => Ok((signer, *epoch)),
            Access::Read => Err(LedgerError::OpenToRead { ledger: self.shared.name.clone() }),
        }
    }

    fn by(&self, signer: &Signer, epoch: u64) -> By {
        let About { cluster, policy } = self.about.clone();
        By { instance: signer.instance().to_string(), epoch, cluster, policy }
    }

    /// Appends within a transaction that keeps others out, and signs the new end.
    async fn seal(
        &self,
        transaction: &mut Transaction<'_>,
        entry: &Entry,
        at: Timestamp,
        (signer, by): (&Signer, By),
    ) -> Result<Recorded, LedgerError> {
        let error = |source| storage("append to", &self.shared.name, source);
        let body = entry.encode().map_err(LedgerError::Encode)?;
        let head = self.sound_head(transaction).await?;
        let seq = head.map_or(1, |head| head.seq + 1);
        self.check_follows(transaction, &Record { seq, at, entry: entry.clone() }).await?;
        let mut row = Row::sealed(seq, at, entry, body, head.map_or(RecordHash::NONE, |head| head.hash), &by);
        let recorded = Recorded { seq, hash: row.computed_hash() };
        row.signature = row.through.map(|_| signer.sign_checkpoint(recorded.hash));
        storage::insert(transaction.on(), &row).await.map_err(error)?;
        storage::store_head(transaction.on(), &signer.sign(recorded, by.epoch)).await.map_err(error)?;
        Ok(recorded)
    }

    /// That the ledger still ends where this instance left it, or goes on from there: one that was copied back, cut off or
    /// added to by hand is not appended to.
    async fn check_own_head(&self) -> Result<(), LedgerError> {
        let (signer, _) = self.signer()?;
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let checked = self.check_head_of(signer, &mut snapshot).await;
        self.ended(snapshot, checked).await
    }

    async fn check_head_of(&self, signer: &Signer, snapshot: &mut Transaction<'_>) -> Result<(), LedgerError> {
        let error = |source| storage("open", &self.shared.name, source);
        let end = self.sound_head(snapshot).await?;
        let base = self.base(snapshot).await?;
        let rows = storage::heads(snapshot.on()).await.map_err(error)?;
        let own = rows.iter().find(|row| row.instance == signer.instance().as_str());
        let flaw = match own.map(|row| SignedHead::stored(row).ok_or_else(|| head_changed(row))) {
            Some(Ok(head)) => self.head_flaw(snapshot, &head, end, base.as_ref()).await?,
            Some(Err(flaw)) => Some(flaw),
            None => {
                let unsigned = storage::row_of_instance(snapshot.on(), signer.instance(), 0).await.map_err(error)?;
                unsigned.map(|row| row.flaw("its instance's signed head is gone: the ledger's end may be too"))
            }
        };
        flaw.map_or(Ok(()), |flaw| Err(self.broken(flaw)))
    }

    /// Replaces a connection that an error or a cancelled append left inside a transaction: SQLite ends a transaction
    /// itself where the disk is full or fails, and the driver then still counts it as begun.
    async fn make_ready(&self, connection: &mut Connection) -> Result<(), LedgerError> {
        if !connection.is_ready().await {
            *connection = open::to_append(&self.shared.location).await?;
        }
        Ok(())
    }

    /// Whether the record can follow what its run has behind it.
    async fn check_follows(&self, transaction: &mut Transaction<'_>, record: &Record) -> Result<(), LedgerError> {
        let Some(run) = record.entry.run() else { return Ok(()) };
        let rows = storage::rows_of_run(transaction.on(), run).await;
        let rows = rows.map_err(|source| storage("read", &self.shared.name, source))?;
        let mut runs = Runs::default();
        for row in rows {
            row.sound().map_err(|flaw| self.broken(flaw))?;
            runs.apply(&self.record(&row)?).map_err(LedgerError::History)?;
        }
        runs.apply(record).map_err(LedgerError::History)
    }

    fn broken(&self, flaw: Flaw) -> LedgerError {
        LedgerError::Broken { ledger: self.shared.name.clone(), seq: flaw.seq, why: flaw.why }
    }
}

/// The instance's last turn; 0 where it had none. Its head is checked later, with the ledger.
async fn own_epoch(connection: &mut Connection, signer: &Signer, name: &str) -> Result<u64, LedgerError> {
    let error = |source| storage("open", name, source);
    let mut snapshot = connection.snapshot().await.map_err(error)?;
    let rows = storage::heads(snapshot.on()).await;
    snapshot.end().await.map_err(error)?;
    let rows = rows.map_err(error)?;
    let own = rows.iter().find(|row| row.instance == signer.instance().as_str());
    Ok(own.and_then(SignedHead::stored).map_or(0, |head| head.epoch))
}

fn head_changed(row: &HeadRow) -> Flaw {
    Flaw { seq: row.seq.cast_unsigned(), why: "its signed head was changed".to_owned() }
}

#[cfg(test)]
mod tests;
