//! The crate's integration tests: one binary, a module a subject.

mod manifest;
mod live;
mod snapshot;
mod table;
