//! Integration tests, one program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unforeseen happens")]

mod git;
mod cli;
mod source;
mod source_remote;
mod forge_local;
mod github;
