//! Checks the whole ledger: each record, the signed heads, and a head that was kept elsewhere.

use futures::TryStreamExt;

use super::chain::{Chain, Flaw, Row};
use super::error::storage;
use super::head::{Instance, SignedHead, instance_of};
use super::read::Base;
use super::storage::{Transaction, heads, row, row_of_instance, rows_from};
use super::{Ledger, LedgerError, RecordHash, Recorded, StorageFault};

/// What a check of the whole ledger found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Audit {
    /// Every record is what was recorded.
    Whole {
        /// How many there are.
        records: u64,
        /// The last one; absent in an empty ledger.
        head: Option<Recorded>,
        /// How many went behind a checkpoint.
        pruned: u64,
        /// Whose key has signed the last one.
        signed: Signed,
    },
    /// This record is the first that is not.
    Broken {
        /// Its number.
        seq: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Whose key has signed the last record, and with it the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Signed {
    /// This state folder's.
    Here(Instance),
    /// Another one's: only a head that was kept elsewhere tells whether that may be.
    Elsewhere(Instance),
    /// Nobody's: the ledger is empty, or all its records are of the first layout.
    Nobody,
}

impl Ledger {
    /// Checks every record and every signed head: finds the first record that was changed, dropped, inserted or moved, and
    /// an end that was cut off. What this cannot show is a ledger that was copied back whole, with its head:
    /// [`Ledger::verify_against`].
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

    /// Whether the ledger still holds a record that was noted elsewhere, or a checkpoint stands for it. Looks at that record
    /// alone.
    ///
    /// # Errors
    /// Where the storage fails, or what was looked at does not hold.
    pub async fn holds(&self, witness: Recorded) -> Result<bool, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let held = self.holds_in(&mut snapshot, witness).await;
        self.ended(snapshot, held).await
    }

    async fn holds_in(&self, snapshot: &mut Transaction<'_>, witness: Recorded) -> Result<bool, LedgerError> {
        let base = self.base(snapshot).await?;
        if base.is_some_and(|base| base.through.seq > witness.seq || base.through == witness) {
            return Ok(true);
        }
        let found = row(snapshot.on(), witness.seq).await.map_err(|source| storage("read", &self.shared.name, source))?;
        Ok(found.is_some_and(|row| row.sound().is_ok_and(|recorded| recorded == witness)))
    }

    async fn audit(&self, witness: Option<Recorded>) -> Result<Audit, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let audit = self.audit_in(&mut snapshot, witness).await;
        self.ended(snapshot, audit).await
    }

    async fn audit_in(&self, snapshot: &mut Transaction<'_>, witness: Option<Recorded>) -> Result<Audit, LedgerError> {
        let base = match self.base(snapshot).await {
            Ok(base) => base,
            Err(LedgerError::Broken { seq, why, .. }) => return Ok(Audit::Broken { seq, why }),
            Err(other) => return Err(other),
        };
        if let (Some(base), Some(witness)) = (&base, witness)
            && base.through.seq == witness.seq
            && base.through != witness
        {
            let why = "it went behind a checkpoint, and was not the one of the head: the ledger was written anew".to_owned();
            return Ok(Audit::Broken { seq: witness.seq, why });
        }
        let mut chain = base.as_ref().map_or_else(Chain::start, |base| Chain::behind(base.through));
        let (went, mut records) = (chain.next() - 1, 0);
        // What the check starts from is itself checked when it is come to.
        let mut stands_for = base.as_ref().map(|base| base.seq);
        let mut visit = |row: &Row| {
            records += 1;
            stands_for = stands_for.filter(|seq| *seq != row.number());
        };
        if let Some(flaw) = self.follow(snapshot, &mut chain, witness, &mut visit).await? {
            return Ok(Audit::Broken { seq: flaw.seq, why: flaw.why });
        }
        if let Some(seq) = stands_for {
            return Ok(Audit::Broken { seq, why: "it stands for older records and is not in the chain".to_owned() });
        }
        let missing = |seq, why: &str| Ok(Audit::Broken { seq, why: why.to_owned() });
        if let Some(witness) = witness.filter(|witness| witness.seq >= chain.next()) {
            let why = format!(
                "it was recorded once and is no longer there: the ledger went back, and record {} was its end",
                witness.seq
            );
            return missing(chain.next(), &why);
        }
        match self.signed(snapshot, chain.head(), base.as_ref()).await? {
            Ok(signed) => Ok(Audit::Whole { records, head: chain.head(), pruned: went, signed }),
            Err(flaw) => Ok(Audit::Broken { seq: flaw.seq, why: flaw.why }),
        }
    }

    /// Follows the chain to its end, or to the first flaw.
    async fn follow(
        &self,
        snapshot: &mut Transaction<'_>,
        chain: &mut Chain,
        witness: Option<Recorded>,
        visit: &mut impl FnMut(&Row),
    ) -> Result<Option<Flaw>, LedgerError> {
        let mut rows = rows_from(snapshot.on(), 0);
        loop {
            let row = match rows.try_next().await.map_err(|source| storage("read", &self.shared.name, source)) {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(None),
                Err(LedgerError::Storage { fault: StorageFault::Damaged, source, .. }) => {
                    return Ok(Some(Flaw { seq: chain.next(), why: format!("the file is damaged here: {source}") }));
                }
                Err(other) => return Err(other),
            };
            let followed = chain.follow(&row).and_then(|()| row.agrees());
            if let Err(flaw) = followed.and_then(|()| row.is_witnessed(witness)) {
                return Ok(Some(flaw));
            }
            visit(&row);
        }
    }

    /// Whose key has signed the end; every signed head must be of a record that is there.
    async fn signed(
        &self,
        snapshot: &mut Transaction<'_>,
        end: Option<Recorded>,
        base: Option<&Base>,
    ) -> Result<Result<Signed, Flaw>, LedgerError> {
        let own = instance_of(&self.shared.location.key());
        let stored = match self.stored_heads(snapshot).await? {
            Ok(stored) => stored,
            Err(flaw) => return Ok(Err(flaw)),
        };
        for head in &stored {
            if let Some(flaw) = self.head_flaw(snapshot, head, end, base).await? {
                return Ok(Err(flaw));
            }
        }
        if let Some(own) = own.as_ref().filter(|own| stored.iter().all(|head| head.instance() != **own)) {
            let unsigned = row_of_instance(snapshot.on(), own, 0).await;
            if let Some(row) = unsigned.map_err(|source| storage("read", &self.shared.name, source))? {
                return Ok(Err(row.flaw("its instance's signed head is gone: the ledger's end may be too")));
            }
        }
        let Some(end) = end else { return Ok(Ok(Signed::Nobody)) };
        let by = match stored.iter().find(|head| head.recorded == end) {
            Some(head) => head.instance(),
            None if stored.is_empty() && self.all_are_unnamed(snapshot, end).await? => return Ok(Ok(Signed::Nobody)),
            None if base.is_some_and(|base| base.through == end) => return Ok(Ok(Signed::Nobody)),
            None => return Ok(Err(Flaw { seq: end.seq, why: "no key has signed it, though it is the last".to_owned() })),
        };
        Ok(Ok(if own.as_ref() == Some(&by) { Signed::Here(by) } else { Signed::Elsewhere(by) }))
    }

    /// The heads beside the ledger, or the record whose head was changed.
    async fn stored_heads(&self, snapshot: &mut Transaction<'_>) -> Result<Result<Vec<SignedHead>, Flaw>, LedgerError> {
        let rows = heads(snapshot.on()).await.map_err(|source| storage("read", &self.shared.name, source))?;
        let read = |row| SignedHead::stored(row).ok_or_else(|| super::head_changed(row));
        Ok(rows.iter().map(read).collect())
    }

    /// What speaks against the ledger by this head: its record is not there, or its instance has appended unsigned.
    pub(super) async fn head_flaw(
        &self,
        snapshot: &mut Transaction<'_>,
        head: &SignedHead,
        end: Option<Recorded>,
        base: Option<&Base>,
    ) -> Result<Option<Flaw>, LedgerError> {
        let error = |source| storage("read", &self.shared.name, source);
        let Recorded { seq, hash } = head.recorded;
        if base.is_some_and(|base| base.through.seq > seq || base.through == head.recorded) {
            return Ok(None);
        }
        let next = end.map_or(0, |end| end.seq) + 1;
        if seq >= next {
            let why = format!("it was recorded once and is no longer there: record {seq} was signed as the last one");
            return Ok(Some(Flaw { seq: next, why }));
        }
        let found = row(snapshot.on(), seq).await.map_err(error)?;
        if found.and_then(|row| RecordHash::read(&row.hash)) != Some(hash) {
            return Ok(Some(Flaw { seq, why: "it is not the one that was signed: the ledger was written anew".to_owned() }));
        }
        let unsigned = row_of_instance(snapshot.on(), &head.instance(), seq).await.map_err(error)?;
        Ok(unsigned.map(|row| row.flaw("its instance has not signed it: somebody else added it")))
    }

    async fn all_are_unnamed(&self, snapshot: &mut Transaction<'_>, end: Recorded) -> Result<bool, LedgerError> {
        // A chain never goes from named records to unnamed ones, so the last one tells of all.
        let found = row(snapshot.on(), end.seq).await.map_err(|source| storage("read", &self.shared.name, source))?;
        Ok(found.is_some_and(|row| row.by().is_none()))
    }
}
