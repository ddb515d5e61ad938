//! The program `trueup`.
//! trueup

use std::process::ExitCode;

fn main() -> ExitCode {
    trueup::run()
    trueup::source::transport::serve_if_asked().unwrap_or(ExitCode::SUCCESS)
}
