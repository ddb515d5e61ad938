//! Lets old records go, behind a checkpoint: a record that says where the chain goes on, how many went, and how things
//! stood. Whatever an unfinished run still needs stays, with all behind it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_core::run::{Checkpoint, Due, Entry, Record, Runs, Standing};

use super::chain::Chain;
use super::error::storage;
use super::head::Signer;
use super::storage::{Transaction, remove_through, row};
use super::{Ledger, LedgerError, Recorded};

impl Ledger {
    /// Removes the records from before this time that nothing depends on any more, and says how many. The checkpoint that
    /// stands for them is recorded in the same transaction.
    ///
    /// # Errors
    /// As [`Ledger::append`]; nothing is removed then.
    pub async fn prune(&self, before: Timestamp, now: Timestamp) -> Result<u64, LedgerError> {
        let error = |source| storage("prune", &self.shared.name, source);
        let (signer, epoch) = self.signer()?;
        let mut connection = self.shared.connection.lock().await;
        self.make_ready(&mut connection).await?;
        let mut transaction = connection.begin().await.map_err(error)?;
        match self.prune_in(&mut transaction, (before, now), (signer, epoch)).await {
            Ok(went) if went > 0 => transaction.commit().await.map(|()| went).map_err(error),
            nothing => self.ended(transaction, nothing).await,
        }
    }

    async fn prune_in(
        &self,
        transaction: &mut Transaction<'_>,
        (before, now): (Timestamp, Timestamp),
        (signer, epoch): (&Signer, u64),
    ) -> Result<u64, LedgerError> {
        let error = |source| storage("prune", &self.shared.name, source);
        let base = self.base(transaction).await?;
        let mut records = Vec::new();
        let mut chain = base.as_ref().map_or_else(Chain::start, |base| Chain::behind(base.through));
        self.scan_in(transaction, &mut chain, |kept| {
            records.push(kept.record);
            Ok(())
        })
        .await?;
        let through = through(&records, before)?;
        let Some(last) = records.iter().rfind(|record| record.seq <= through) else { return Ok(0) };
        let found = row(transaction.on(), through).await.map_err(error)?;
        let sound = found.map(|row| row.sound()).transpose().map_err(|flaw| self.broken(flaw))?;
        let Some(Recorded { hash, .. }) = sound else { return Ok(0) };
        let (mut counts, mut standing) = base.map_or_else(Default::default, |base| (base.counts, base.standing));
        let went = take_in(&mut counts, &mut standing, &records, through);
        let until = last.at;
        let checkpoint = Entry::Checkpoint(Box::new(Checkpoint { through, hash: hash.to_string(), until, counts, standing }));
        let by = self.by(signer, epoch);
        self.seal(transaction, &checkpoint, now, (signer, by)).await?;
        remove_through(transaction.on(), through).await.map_err(error)?;
        Ok(went)
    }
}

/// The last record that may go with all before it: older than `before`, and of no run that is unfinished or goes on later.
fn through(records: &[Record], before: Timestamp) -> Result<u64, LedgerError> {
    let mut runs = Runs::default();
    for record in records {
        runs.apply(record).map_err(LedgerError::History)?;
    }
    let spans = runs.all().iter().filter_map(|run| Some((*run.records.first()?, *run.records.last()?, run.due())));
    let spans: Vec<_> = spans.collect();
    let old = records.iter().take_while(|record| record.at < before);
    let mut through = old.last().map_or(0, |record| record.seq);
    let cut = |through| spans.iter().find(|(first, last, due)| *first <= through && (*last > through || *due != Due::Nothing));
    while let Some((first, _, _)) = cut(through) {
        through = first - 1;
    }
    Ok(through)
}

/// Adds the records up to this one to what stands for older ones; how many they are.
fn take_in(counts: &mut BTreeMap<String, u64>, standing: &mut Standing, records: &[Record], through: u64) -> u64 {
    let mut went = 0;
    for record in records.iter().take_while(|record| record.seq <= through) {
        standing.apply(record);
        *counts.entry(record.entry.kind().to_owned()).or_default() += 1;
        went += 1;
    }
    standing.let_go();
    went
}
