//! The program `muster-agent`.

fn main() {}
