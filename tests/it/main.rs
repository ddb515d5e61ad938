//! Integration tests, one program: a module a subject.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unforeseen happens")]

mod scenarios;
mod cluster;
mod daemon;
mod deploy;
mod forge_local;
mod git;
mod github;
mod source;
mod source_remote;
mod forge_local;
mod github;
mod pull_request;
mod deploy;
mod world;
mod architecture;
mod act;
