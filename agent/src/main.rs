//! The program `muster-agent`.

#![deny(unsafe_code)]

fn main() -> std::process::ExitCode {
    agent::cli::main()
}
