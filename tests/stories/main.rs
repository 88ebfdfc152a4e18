//! Stories: what users do, on the real binaries.

mod bad_input;
mod disk_errors;
mod help;
mod identity;
mod largest;
mod mission;
mod output;
mod restart;
mod restore;
mod roles;
mod rotation;
mod sockets;
