//! Muster's agent: tells what a machine is and how it fares, and keeps a collector up to date about it.
//!
//! | module | knows | does not know |
//! | --- | --- | --- |
//! | [`source`] | the only door to the machine | what its answers mean |
//! | [`probes`] | how to read one kind of fact from answers | where answers come from, which OS runs this |
//! | [`root`] | what the role *probe* tells the role *run*: a tape of what only root may read | who reads it |
//! | [`collect`] | runs probes, seals a report, finds evidence | when, and to whom it goes |
//! | [`settle`], [`sync`] | what of a new look is worth telling, and in which form (pure) | files, networks |
//! | [`schedule`] | what is due when (pure) | what is done then |
//! | [`backoff`], [`marker`] | which probes rest, and which ran when the agent was ended | what they read |
//! | [`strain`] | whether the machine has better things to do | what is put off |
//! | [`own`] | what the service costs, as readings (pure) | how that is judged |
//! | [`state`] | what is on disk: identity, records that wait, what was told | networks |
//! | [`key`], [`enroll`] | how key and certificate are got and renewed | what is reported |
//! | [`client`], [`deliver`], [`contact`] | HTTPS to the collector and what its answers mean | what is in a record |
//! | [`sleep`], [`service`] | how the service rests, and what it tells who manages it | what it does |
//! | [`os`] | what no safe library offers: the one file with unsafe code | - |
//! | [`run`] | the service: puts all of these together | any detail of them |
//! | [`cli`] | the verbs | - |
//!
//! Speaks outbound only, opens no port, executes nothing that a collector sends.

#![deny(unsafe_code, clippy::print_stdout)]

pub mod backoff;
pub mod cli;
pub mod client;
pub mod clock;
pub mod collect;
pub mod config;
pub mod contact;
pub mod deliver;
pub mod enroll;
pub mod exit;
pub mod key;
pub mod log;
pub mod machine;
pub mod marker;
pub mod os;
pub mod own;
pub mod probes;
pub mod root;
pub mod run;
pub mod schedule;
pub mod service;
pub mod settle;
pub mod sleep;
pub mod source;
pub mod state;
pub mod strain;
pub mod sync;

#[cfg(test)]
mod model;
