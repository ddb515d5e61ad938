//! trueup

pub mod ledger;
pub mod state;
