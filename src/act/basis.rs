//! What was decided, and by what: in the ledger before the first act that comes of it.

use jiff::Timestamp;
use tokio::sync::OnceCell;
use trueup_core::decide::{Case, Decision, DecisionRecord, Guards, Inputs, Request, Terms};
use trueup_core::finding::Finding;
use trueup_core::policy::Policy;
use trueup_core::run::Entry;

use super::is_wanted;
use crate::failpoint;
use crate::ledger::{Ledger, LedgerError};
use crate::target::Judged;

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

/// What is decided about these findings; about all where none is named.
#[must_use]
pub fn decided(
    judged: &Judged,
    (guards, policy): (&Guards, &Policy),
    requests: &[Request],
    only: &[String],
) -> (Basis, Vec<Decision>) {
    failpoint::reached("correction: classified");
    let wanted = |finding: &&Finding| is_wanted(&finding.id, only);
    let findings: Vec<Vec<Finding>> =
        judged.cases.iter().map(|case| case.findings.iter().filter(wanted).cloned().collect()).collect();
    let pairs = judged.cases.iter().map(|case| case.pair.as_ref());
    let cases: Vec<Case<'_>> = pairs.zip(&findings).map(|(pair, findings)| Case { pair, findings }).collect();
    let terms = Terms { target: &judged.name, requests, guards, policy, now: Timestamp::now() };
    let inputs = Inputs::of(&cases, terms);
    failpoint::reached("correction: evidence collected");
    Basis::decide(&inputs)
}
