//! trueup

pub mod ledger;
pub mod state;
pub mod source;
pub mod review;
