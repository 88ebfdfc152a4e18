//! The API in this process, without a socket: the real router over a store in a folder of its own.
//!
//! `table` holds one row for each route, `walk` asks all that every route must answer alike, `answers` compares
//! the good answers with `answers.json`; the others look at one promise each. Does not know: TLS, agents' port.

mod answers;
mod bounds;
mod desk;
mod fuzz;
mod hostile;
mod machine;
mod once;
mod rotation;
mod table;
mod walk;
