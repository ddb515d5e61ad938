//! The program `trueup`: when to run, where from, where to. What differs and what may be done is `trueup-core`'s matter.
//! Modules stand in reading order.

pub mod cli;
pub mod command;
pub mod config;
pub mod session;
pub mod round;
pub mod source;
pub mod render;
pub mod desired;
pub mod target;
pub mod bindings;
pub mod rules;
pub mod guards;
pub mod people;
pub mod approvals;
pub mod act;
pub mod review;
pub mod ledger;
pub mod state;
pub mod report;
pub mod explain;
pub mod daemon;
pub mod watch;
pub mod doctor;
pub mod init;
pub mod import;
pub mod demo;
pub mod stop;
pub mod failpoint;
pub mod visible;
pub mod failure;
pub mod exit;

use std::process::ExitCode;

use clap::Parser;

/// Runs the program: its arguments in, its exit code out.
#[must_use]
pub fn run() -> ExitCode {
    if let Some(code) = source::transport::serve_if_asked() {
        return code;
    }
    // The one TLS provider; a second installation cannot happen, as this is the first thing done.
    let _installed = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let cli = cli::Cli::parse();
    command::run(cli)
}
