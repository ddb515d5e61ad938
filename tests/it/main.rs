//! Integration tests, one program: a module a subject.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends where something unforeseen happens")]

mod architecture;
mod scenarios;
mod schemas;
mod git;
mod cli;
mod source;
mod source_remote;
mod forge_local;
mod github;
mod review_world;
mod pull_request;
mod proposals;
mod kill_sweep;
mod act;
mod adopt;
mod world;
mod cluster;
mod corpus_served;
mod former;
mod memory;
mod daemon;
mod deploy;
mod directions;
mod episodes;
