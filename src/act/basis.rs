//! What was decided, and by what: in the ledger before the first act that comes of it.

use jiff::Timestamp;
use tokio::sync::OnceCell;
use trueup_core::decide::{Decision, DecisionRecord, Inputs};
use trueup_core::run::Entry;

use crate::ledger::{Ledger, LedgerError};

/// By what a target was decided. Where nothing is done, nothing is recorded: a loop that leaves everything as it is adds
/// nothing to the ledger.
#[derive(Debug)]
pub struct Basis {
    record: DecisionRecord,
    seq: OnceCell<u64>,
}

impl Basis {
    /// Decides, and keeps by what.
    #[must_use]
    pub fn decide(inputs: &Inputs) -> (Self, Vec<Decision>) {
        let (record, decisions) = DecisionRecord::of(inputs);
        (Self { record, seq: OnceCell::new() }, decisions)
    }

    /// The number of its record, which is made by whoever asks first.
    ///
    /// # Errors
    /// When the ledger cannot be appended to: nothing may be done then.
    pub(super) async fn recorded(&self, ledger: &Ledger) -> Result<u64, LedgerError> {
        let record = async || {
            let entry = Entry::Decided(Box::new(self.record.clone()));
            Ok(ledger.append(&entry, Timestamp::now()).await?.seq)
        };
        self.seq.get_or_try_init(record).await.copied()
    }
}
