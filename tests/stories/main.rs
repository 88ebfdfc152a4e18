//! Stories: what users do, on the real binaries.

mod bad_input;
mod crowd;
mod disk_errors;
mod help;
mod identity;
mod largest;
mod mission;
mod output;
mod payloads;
mod restart;
mod restore;
mod roles;
mod rotation;
mod sockets;
mod stop;
