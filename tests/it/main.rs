//! The program's integration tests: one binary, a module a subject.

mod scenarios;
