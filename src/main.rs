//! The program `trueup`.

use std::process::ExitCode;

fn main() -> ExitCode {
    trueup::run()
}
