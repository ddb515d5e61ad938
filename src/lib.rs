//! trueup

pub mod state;
