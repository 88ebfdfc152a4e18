//! The ports of a collector in this process, on loopback, seen from outside: who gets in, with what, and what is
//! refused before it costs anything. Does not know: what reports mean.

mod agents;
mod enrolling;
mod house;
mod limits;
mod rotation;
mod scopes;
