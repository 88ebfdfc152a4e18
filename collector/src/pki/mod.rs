//! The built-in certificate authority.

/// Both certificate authorities of this deployment. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Authority {}

impl Authority {
    /// The server CA's certificates (PEM), the present one first: what agents and tools are to trust.
    pub fn server_ca(&self) -> Vec<String> {
        Vec::new()
    }
}
