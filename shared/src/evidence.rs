//! Evidence: identifiers by which a report is matched to an asset.
//!
//! Evidence travels as the section `evidence`, one item per identifier: kind `evidence`, key
//! `<kind>:<value>`. How much a kind is worth, and what is junk, the register decides.

use crate::fact::Item;
use std::fmt;

/// The section's name.
pub const SECTION: &str = "evidence";

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// The kinds of identifier.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind { $($(#[$doc])* $name,)+ }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Kind] = &[$(Kind::$name,)+];

            /// Its name on the wire and in the database.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$name => $text,)+ }
            }

            /// The kind of that name.
            pub fn of(name: &str) -> Option<Kind> {
                match name { $($text => Some(Kind::$name),)+ _ => None }
            }
        }
    };
}

kinds! {
    /// Maker, SKU (or product name) and serial of the system, `maker|sku|serial`.
    SystemSerial = "system_serial",
    /// The SMBIOS system UUID, lower case, as dmidecode prints it; the other byte order is compared too.
    SmbiosUuid = "smbios_uuid",
    /// Maker and serial of the main board, `maker|serial`.
    BoardSerial = "board_serial",
    /// Maker and serial of the chassis, `maker|serial`.
    ChassisSerial = "chassis_serial",
    /// SHA-256 of the TPM's endorsement key.
    TpmEk = "tpm_ek",
    /// The cloud's name of this instance, `provider|id`.
    CloudInstance = "cloud_instance",
    /// The world-wide name of a disk.
    DiskWwn = "disk_wwn",
    /// Model and serial of a disk, `model|serial`.
    DiskSerial = "disk_serial",
    /// A permanent, universally administered MAC of a PCI interface.
    PermanentMac = "permanent_mac",
    /// Maker, part and serial of a memory module, `maker|part|serial`.
    ModuleSerial = "module_serial",
    /// `/etc/machine-id` or its like.
    MachineId = "machine_id",
    /// What the machine calls itself.
    Hostname = "hostname",
    /// Host and guest of a container, `engine|id`: a container has no hardware of its own.
    Container = "container",
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Evidence {
    /// Which kind.
    pub kind: Kind,
    /// Its value, normalised: trimmed, inner white space single; case kept but for UUIDs, WWNs and MACs (lower).
    pub value: String,
}

impl From<Evidence> for Item {
    fn from(evidence: Evidence) -> Item {
        Item::new("evidence", format!("{}:{}", evidence.kind, evidence.value))
    }
}

impl Evidence {
    /// Reads an item of the section back; `None` for kinds this version does not know.
    pub fn from_item(item: &Item) -> Option<Evidence> {
        let (kind, value) = item.key.split_once(':')?;
        Some(Evidence { kind: Kind::of(kind)?, value: value.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_survives_its_item() {
        for &kind in Kind::ALL {
            let evidence = Evidence { kind, value: "a:b|c".into() };
            assert_eq!(Evidence::from_item(&evidence.clone().into()), Some(evidence));
        }
    }
}
