//! Stories: what users do, on the real binaries.

mod bad_input;
mod identity;
mod mission;
mod restart;
