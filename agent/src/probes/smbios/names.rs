//! What SMBIOS numbers mean, in the specification's words. "Other" and "Unknown", 1 and 2 everywhere, say
//! nothing and are none.

/// Chassis form (DSP0134 7.4.1).
pub(super) fn chassis(form: u8) -> Option<&'static str> {
    const NAMES: [&str; 34] = [
        "Desktop",
        "Low Profile Desktop",
        "Pizza Box",
        "Mini Tower",
        "Tower",
        "Portable",
        "Laptop",
        "Notebook",
        "Hand Held",
        "Docking Station",
        "All In One",
        "Sub Notebook",
        "Space-saving",
        "Lunch Box",
        "Main Server Chassis",
        "Expansion Chassis",
        "Sub Chassis",
        "Bus Expansion Chassis",
        "Peripheral Chassis",
        "RAID Chassis",
        "Rack Mount Chassis",
        "Sealed-case PC",
        "Multi-system Chassis",
        "CompactPCI",
        "AdvancedTCA",
        "Blade",
        "Blade Enclosure",
        "Tablet",
        "Convertible",
        "Detachable",
        "IoT Gateway",
        "Embedded PC",
        "Mini PC",
        "Stick PC",
    ];
    name(&NAMES, form)
}

/// Error correction of a memory array (7.17.3).
pub(super) fn ecc(correction: u8) -> Option<&'static str> {
    name(&["None", "Parity", "Single-bit ECC", "Multi-bit ECC", "CRC"], correction)
}

/// Form of a memory module (7.18.1).
pub(super) fn module_form(form: u8) -> Option<&'static str> {
    const NAMES: [&str; 15] = [
        "SIMM",
        "SIP",
        "Chip",
        "DIP",
        "ZIP",
        "Proprietary Card",
        "DIMM",
        "TSOP",
        "Row Of Chips",
        "RIMM",
        "SODIMM",
        "SRIMM",
        "FB-DIMM",
        "Die",
        "CAMM",
    ];
    name(&NAMES, form)
}

/// Technology of a memory module (7.18.2).
pub(super) fn technology(kind: u8) -> Option<&'static str> {
    const NAMES: [&str; 34] = [
        "DRAM",
        "EDRAM",
        "VRAM",
        "SRAM",
        "RAM",
        "ROM",
        "Flash",
        "EEPROM",
        "FEPROM",
        "EPROM",
        "CDRAM",
        "3DRAM",
        "SDRAM",
        "SGRAM",
        "RDRAM",
        "DDR",
        "DDR2",
        "DDR2 FB-DIMM",
        "",
        "",
        "",
        "DDR3",
        "FBD2",
        "DDR4",
        "LPDDR",
        "LPDDR2",
        "LPDDR3",
        "LPDDR4",
        "Logical non-volatile device",
        "HBM",
        "HBM2",
        "DDR5",
        "LPDDR5",
        "HBM3",
    ];
    name(&NAMES, kind)
}

fn name(names: &[&'static str], number: u8) -> Option<&'static str> {
    names.get(usize::from(number.checked_sub(3)?)).copied().filter(|name| !name.is_empty())
}
