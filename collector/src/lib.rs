//! Muster's collector: the register, the desk, the API and the CLI.
//!
//! **Machines tell facts; a pure function decides what happened; what happened is appended; everything
//! shown is a view of that.**
//!
//! | module | knows | never |
//! | --- | --- | --- |
//! | [`event`] | the vocabulary of the journal | changes the meaning of a variant |
//! | [`work`] | what may be asked of the core, what it must know, what it may decide: words only | rules |
//! | [`decide`] | who decides what, in which order (pure) | clock, I/O, randomness |
//! | [`register`] | what we own: identity, diff, health, lifecycle (pure) | store, API, config |
//! | [`desk`] | what we promise: tickets, links, incidents from faults (pure) | store, API, config |
//! | `store` | the only SQL: load, apply, the writer, pages | rules |
//! | [`pki`] | the built-in certificate authority | who may have a certificate |
//! | [`fleet`], [`keyring`] | agents and API tokens in memory, for every request | the database |
//! | [`seen`] | when last-seen goes from memory to the database | rules |
//! | [`api`] | routes, views over reads, writes by `submit` | SQL, rules |
//! | [`durable`] | files and folders that survive a power cut | what is in them |
//! | [`jobs`] | what happens by time | rules |
//! | [`serve`] | the order of starting and stopping | what is served |
//! | [`cli`] | a client of the public API, and the offline verbs | register, desk |
#![forbid(unsafe_code)]

pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decide;
pub mod desk;
pub mod durable;
pub mod env;
pub mod event;
pub mod fleet;
pub mod hex;
pub mod jobs;
pub mod keyring;
pub mod net;
pub mod notify;
pub mod pki;
pub mod register;
pub mod secret;
pub mod seen;
pub mod serve;
pub mod stop;
pub mod store;
pub mod tell;
pub mod work;
