//! The language that the agent and the collector speak.
//!
//! Knows: ids, items, the typed facts that become items, readings, the check-in, and the digests by
//! which two machines find out that they hold the same. Does not know: files, processes, networks,
//! databases, clocks. Nothing here does I/O, waits or fails other than by returning an error.
//!
//! | module | holds |
//! | --- | --- |
//! | [`id`] | the id newtypes, UUIDv7 as text |
//! | [`unit`] | points in time and amounts, with their units in the name |
//! | [`fact`] | [`Item`](fact::Item), the generic shape of a fact, and [`Value`](fact::Value) |
//! | [`hardware`], [`software`], [`health`] | typed facts, each of which becomes an item |
//! | [`evidence`] | identifiers by which a report is matched to an asset |
//! | [`digest`] | row, section and root digests over canonical JSON |
//! | [`checkin`] | the one exchange between agent and collector |
//! | [`enroll`] | how an agent gets and renews its identity |
//! | [`limit`] | the bounds that both sides keep |
//! | [`scan`] | a look through many short texts |
//! | [`show`] | reported text as a person may see it |

pub mod checkin;
pub mod digest;
pub mod enroll;
pub mod evidence;
pub mod fact;
pub mod hardware;
pub mod health;
pub mod id;
pub mod limit;
pub mod scan;
pub mod show;
pub mod software;
pub mod unit;
