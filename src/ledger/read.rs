//! What the ledger says: its records as far as they hold, and what they come to. Each reading sees one state of the ledger,
//! whoever appends meanwhile.

use std::collections::BTreeMap;

use futures::TryStreamExt;
use jiff::Timestamp;
use trueup_core::run::{Due, Entry, Record, Run, Standing};

use super::chain::{By, Chain, Row};
use super::error::storage;
use super::head::SignedHead;
use super::storage::{Connection, Transaction, checkpoint_row, first_row, heads, last_row, row, rows_from};
use super::{Access, Ledger, LedgerError, RecordHash, Recorded, open};

/// A record with who recorded it.
#[derive(Debug, Clone, PartialEq)]
pub struct Kept {
    /// The record.
    pub record: Record,
    /// Who recorded it; absent in records of the first layout.
    pub by: Option<By>,
}

/// What the last checkpoint stands for.
#[derive(Debug)]
pub(super) struct Base {
    /// The checkpoint's own number.
    pub(super) seq: u64,
    /// The last record that went.
    pub(super) through: Recorded,
    pub(super) counts: BTreeMap<String, u64>,
    pub(super) standing: Standing,
}

impl Ledger {
    /// The records after this number (0: all that are there), in order. The records must hold among themselves.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn entries(&self, after: u64) -> Result<Vec<Record>, LedgerError> {
        let mut records = Vec::new();
        self.scan(after, |kept| {
            records.push(kept.record);
            Ok(())
        })
        .await?;
        Ok(records)
    }

    /// The records that are there, each with who recorded it, in order, handed to `visit`.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn each(&self, mut visit: impl FnMut(Kept)) -> Result<(), LedgerError> {
        self.scan(0, |kept| {
            visit(kept);
            Ok(())
        })
        .await
        .map(|_| ())
    }

    /// The record of this number; `None` where it is not there, or went behind a checkpoint.
    ///
    /// # Errors
    /// Where it does not hold or cannot be read.
    pub async fn entry(&self, seq: u64) -> Result<Option<Record>, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let row = row(snapshot.on(), seq).await.map_err(|source| storage("read", &self.shared.name, source));
        let Some(row) = self.ended(snapshot, row).await? else { return Ok(None) };
        row.sound().map_err(|flaw| self.broken(flaw))?;
        self.record(&row).map(Some)
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

    /// The last record; `None` in an empty ledger.
    ///
    /// # Errors
    /// Where it does not hold or cannot be read.
    pub async fn head(&self) -> Result<Option<Recorded>, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let head = self.sound_head(&mut snapshot).await;
        self.ended(snapshot, head).await
    }

    /// The signed head of the last record; `None` where no key has signed it.
    ///
    /// # Errors
    /// Where it does not hold or cannot be read.
    pub async fn signed_head(&self) -> Result<Option<SignedHead>, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let head = self.signed_head_in(&mut snapshot).await;
        self.ended(snapshot, head).await
    }

    async fn signed_head_in(&self, snapshot: &mut Transaction<'_>) -> Result<Option<SignedHead>, LedgerError> {
        let Some(head) = self.sound_head(snapshot).await? else { return Ok(None) };
        let rows = heads(snapshot.on()).await.map_err(|source| storage("read", &self.shared.name, source))?;
        Ok(rows.iter().filter_map(SignedHead::stored).find(|signed| signed.recorded == head))
    }

    /// When the oldest record that is still there was recorded.
    ///
    /// # Errors
    /// Where it does not hold or cannot be read.
    pub async fn oldest(&self) -> Result<Option<Timestamp>, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let row = first_row(snapshot.on()).await.map_err(|source| storage("read", &self.shared.name, source));
        let row = self.ended(snapshot, row).await?;
        row.map(|row| row.time().map_err(|flaw| self.broken(flaw))).transpose()
    }

    /// Hands each record after this number to `visit`, in order, as long as they hold; gives what older ones come to.
    pub(super) async fn scan(
        &self,
        after: u64,
        visit: impl FnMut(Kept) -> Result<(), LedgerError>,
    ) -> Result<Option<Base>, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let base = self.scan_after(&mut snapshot, after, visit).await;
        self.ended(snapshot, base).await
    }

    async fn scan_after(
        &self,
        snapshot: &mut Transaction<'_>,
        after: u64,
        visit: impl FnMut(Kept) -> Result<(), LedgerError>,
    ) -> Result<Option<Base>, LedgerError> {
        let base = self.base(snapshot).await?;
        let mut chain = match &base {
            Some(base) if after <= base.through.seq => Chain::behind(base.through),
            Some(_) | None => Chain::after(after),
        };
        self.scan_in(snapshot, &mut chain, visit).await?;
        Ok(base)
    }

    pub(super) async fn scan_in(
        &self,
        transaction: &mut Transaction<'_>,
        chain: &mut Chain,
        mut visit: impl FnMut(Kept) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut rows = rows_from(transaction.on(), chain.next());
        while let Some(row) = rows.try_next().await.map_err(|source| storage("read", &self.shared.name, source))? {
            chain.follow(&row).map_err(|flaw| self.broken(flaw))?;
            visit(Kept { record: self.record(&row)?, by: row.by() })?;
        }
        Ok(())
    }

    /// What the last checkpoint stands for, if its instance has signed it.
    pub(super) async fn base(&self, transaction: &mut Transaction<'_>) -> Result<Option<Base>, LedgerError> {
        let error = |source| storage("read", &self.shared.name, source);
        let Some(row) = checkpoint_row(transaction.on()).await.map_err(error)? else { return Ok(None) };
        let Recorded { seq, hash } = row.sound().map_err(|flaw| self.broken(flaw))?;
        let stored = heads(transaction.on()).await.map_err(error)?;
        let by = row.by().map(|by| by.instance).unwrap_or_default();
        let head = stored.iter().filter_map(SignedHead::stored).find(|head| head.instance().as_str() == by);
        let signature = row.signature.as_deref().unwrap_or_default();
        if !head.is_some_and(|head| head.signed_checkpoint(hash, signature)) {
            return Err(self.broken(row.flaw("it stands for older records, and its instance has not signed that")));
        }
        let Entry::Checkpoint(checkpoint) = self.record(&row)?.entry else {
            return Err(self.broken(row.flaw("it stands for older records, and is no checkpoint")));
        };
        let hash = crate::state::unhex(&checkpoint.hash).and_then(|bytes| RecordHash::read(&bytes));
        let hash = hash.ok_or_else(|| self.broken(row.flaw("the hash of the record before it does not read")))?;
        let through = Recorded { seq: checkpoint.through, hash };
        Ok(Some(Base { seq, through, counts: checkpoint.counts, standing: checkpoint.standing }))
    }

    /// What was read in a snapshot, which ends here.
    pub(super) async fn ended<T>(&self, snapshot: Transaction<'_>, read: Result<T, LedgerError>) -> Result<T, LedgerError> {
        let ended = snapshot.end().await.map_err(|source| storage("read", &self.shared.name, source));
        let value = read?;
        ended.map(|()| value)
    }

    pub(super) async fn snapshot<'a>(&self, connection: &'a mut Connection) -> Result<Transaction<'a>, LedgerError> {
        if !connection.is_ready().await {
            *connection = match &self.shared.access {
                Access::Append { .. } => open::to_append(&self.shared.location).await?,
                Access::Read => open::to_read(&self.shared.location).await?,
            };
        }
        connection.snapshot().await.map_err(|source| storage("read", &self.shared.name, source))
    }

    /// The last record, which must hold.
    pub(super) async fn sound_head(&self, transaction: &mut Transaction<'_>) -> Result<Option<Recorded>, LedgerError> {
        let row = last_row(transaction.on()).await.map_err(|source| storage("read", &self.shared.name, source))?;
        row.map(|row| row.sound().map_err(|flaw| self.broken(flaw))).transpose()
    }

    pub(super) fn record(&self, row: &Row) -> Result<Record, LedgerError> {
        row.agrees().map_err(|flaw| self.broken(flaw))?;
        let unreadable = |source| LedgerError::Unreadable { ledger: self.shared.name.clone(), seq: row.number(), source };
        let entry = Entry::decode(&row.body).map_err(unreadable)?;
        Ok(Record { seq: row.number(), at: row.time().map_err(|flaw| self.broken(flaw))?, entry })
    }
}
