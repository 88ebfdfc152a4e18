//! The program `muster`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    collector::cli::main()
}
