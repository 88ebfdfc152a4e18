//! Muster's agent: tells what a machine is and how it fares, and keeps a collector up to date about it.
//!
//! | module | knows | does not know |
//! | --- | --- | --- |
//! | [`source`] | the only door to the machine | what its answers mean |
//! | [`probes`] | how to read one kind of fact from answers | where answers come from, which OS runs this |
//! | [`collect`] | runs probes, seals a report, finds evidence | when, and to whom it goes |
//!
//! Speaks outbound only, opens no port, executes nothing that a collector sends.

#![deny(unsafe_code)]

pub mod collect;
pub mod probes;
pub mod source;
