//! The crate from outside: states, expectation files, servers and a real Terraform.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod adopt;
mod check;
mod corpus;
mod expect;
mod http;
mod memory;
mod server;
mod state;
mod terraform;

use trueup_core::finding::Difference;
use trueup_core::object::TargetName;
use trueup_core::seen::DigestKey;
use trueup_terraform::state::State;

/// A state with these outputs, as Terraform writes it.
fn state_text(outputs: &str) -> String {
    format!(r#"{{"version":4,"terraform_version":"1.11.4","serial":118,"lineage":"l-1","outputs":{outputs},"resources":[]}}"#)
}

/// What a state lacks of an expectation file without a problem.
fn differences(expectations: &str, state: &State) -> Vec<Difference> {
    let (expectations, problems) = trueup_terraform::expect::read("data.expect.toml", expectations);
    assert_eq!(problems, []);
    let (differences, problems) =
        trueup_terraform::check::check(&TargetName("data".into()), &expectations, state, &DigestKey::new(&[7; 32]));
    assert_eq!(problems, []);
    differences
}

/// Whether a test that needs `what` may go without: nowhere where `CI=true`.
fn did_not_run(what: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "CI must have {what}");
    eprintln!("did not run: there is no {what}");
}
