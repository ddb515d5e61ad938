//! Proposals: a change to the source as a branch that people review.

pub mod commit;
pub mod local;
pub mod push;
