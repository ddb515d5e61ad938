//! The program `trueup`.

use std::process::ExitCode;

/// A look makes and drops values by the hundred thousand: with the system's allocator it takes up to twice as long.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    trueup::run()
}
