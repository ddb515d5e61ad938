//! The crate's integration tests: one binary, a module a subject.

#![expect(clippy::panic, reason = "a test that cannot go on says why")]

mod manifest;
mod merge_patch;
mod live;
mod snapshot;
mod wire;
mod table;
