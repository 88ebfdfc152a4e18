//! The state directory: all that the agent keeps on disk, and nothing else is kept anywhere.
//!
//! | what is there | module | if it is lost |
//! | --- | --- | --- |
//! | `identity.json`, `key.pem`, `cert.pem`, `next*` | [`identity`] | enroll again |
//! | `position` | [`position`] | a new stream: everything is told again |
//! | `spool` | [`spool`] | a gap, told in the next record |
//! | `told/` | [`told`] | sections are told whole again |
//! | `lock` | [`lock`] | nothing |
//! | `reserve` | [`reserve`] | on a full disk the identity cannot be renewed |
//! | `status.json`, `sent.json` | [`status`] | `status` and `show` know nothing until the next contact |
//! | `refused/` | [`stream`] | people cannot look at refused records |
//!
//! [`stream`] keeps the middle three in step; [`files`] writes so that a crash leaves the old or the new;
//! [`owner`] sees to it that all of it is one user's.

pub mod files;
pub mod identity;
pub mod lock;
pub mod owner;
pub mod position;
pub mod reserve;
pub mod spool;
pub mod status;
pub mod stream;
pub mod told;

mod crc;
