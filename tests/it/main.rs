//! Integration tests, one program.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unforeseen happens")]

mod cluster;
mod daemon;
mod deploy;
mod forge_local;
mod git;
mod github;
mod source;
mod source_remote;
mod world;
