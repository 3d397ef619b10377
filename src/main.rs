//! The command line; what it does is in the library.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // Of a build for tests alone: where trials have it die.
    let _points = fail::has_failpoints().then(fail::FailScenario::setup);
    abacus::cli::run(abacus::config::Cli::read())
}
