//! The crate's integration tests: one binary, a module a subject.

mod table;
