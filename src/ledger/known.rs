//! What the records come to, as far as this process has read them: each is read and checked once for each opening, and later
//! readings begin behind it.

use trueup_core::run::{Run, RunId, Runs, Standing};

use super::chain::Chain;
use super::storage::Transaction;
use super::{Ledger, LedgerError, Recorded};

/// What is known of the records up to one.
#[derive(Debug, Default)]
pub(super) struct Known {
    upto: Option<Recorded>,
    standing: Standing,
    runs: Runs,
}

impl Ledger {
    /// All runs, the oldest first.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn runs(&self) -> Result<Vec<Run>, LedgerError> {
        self.known(|known| known.runs.all().to_vec()).await
    }

    /// One run; `None` where the ledger has no such run.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn run(&self, id: &RunId) -> Result<Option<Run>, LedgerError> {
        self.known(|known| known.runs.get(id).cloned()).await
    }

    /// How things stand for guards: writes, holds, proposals, denials, escalations, clusters.
    ///
    /// # Errors
    /// Where a record does not hold or cannot be read.
    pub async fn standing(&self) -> Result<Standing, LedgerError> {
        self.known(|known| known.standing.clone()).await
    }

    async fn known<T>(&self, take: impl FnOnce(&Known) -> T) -> Result<T, LedgerError> {
        let mut connection = self.shared.connection.lock().await;
        let mut known = self.shared.known.lock().await;
        let mut snapshot = self.snapshot(&mut connection).await?;
        let read = self.read_on(&mut snapshot, &mut known).await;
        if read.is_err() {
            // A part of what could not be read is no beginning.
            *known = Known::default();
        }
        self.ended(snapshot, read).await?;
        Ok(take(&known))
    }

    async fn read_on(&self, snapshot: &mut Transaction<'_>, known: &mut Known) -> Result<(), LedgerError> {
        let base = self.base(snapshot).await?;
        let is_there = |upto: &Recorded| base.as_ref().is_none_or(|base| base.through.seq < upto.seq);
        let mut chain = match (known.upto.filter(is_there), base) {
            (Some(upto), _) => Chain::behind(upto),
            (None, Some(base)) => {
                *known = Known { standing: base.standing, ..Known::default() };
                Chain::behind(base.through)
            }
            (None, None) => {
                *known = Known::default();
                Chain::start()
            }
        };
        let Known { standing, runs, .. } = known;
        self.scan_in(snapshot, &mut chain, |kept| {
            standing.apply(&kept.record);
            runs.apply(&kept.record).map_err(LedgerError::History)
        })
        .await?;
        known.upto = chain.head().or(known.upto);
        Ok(())
    }
}
