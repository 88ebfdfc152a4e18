//! The program `muster-agent`.

#![deny(unsafe_code)]

fn main() {}
