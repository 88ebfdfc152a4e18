//! Stories: what users do, on the real binaries.

mod bad_input;
mod mission;
mod restart;
