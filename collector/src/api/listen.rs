//! Who is at the other end of a connection.

use shared::id::AgentId;
use shared::unit::At;
use std::net::SocketAddr;

/// Who is at the other end, as far as the connection tells; a request's extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the web and enroll port.
    Web {
        /// From where.
        address: SocketAddr,
    },
    /// Somebody on this host, at the admin socket.
    Local {
        /// Known by the kernel.
        uid: u32,
    },
    /// A holder of a certificate of the agent CA.
    Agent {
        /// From where.
        address: SocketAddr,
        /// From the certificate.
        agent: AgentId,
        /// SHA-256 of the public key, hexadecimal.
        fingerprint: String,
        /// When the certificate ends.
        expires: At,
    },
}
