//! The SMBIOS structure table: what firmware says of the machine, its boards, chassis and memory.
//!
//! Not a probe but what several read. Knows DMTF DSP0134 ("SMBIOS Reference Specification", 3.7.0) for types
//! 0, 1, 2, 3, 16 and 17; section numbers below are its. Does not know where the bytes come from, nor which
//! texts are placeholders: strings come as they stand, trimmed, and nothing where they are empty.

mod names;
mod table;

use table::{Structure, structures};

/// Structures of one type that are kept; a large server has 96 memory slots.
const KEPT: usize = 1024;

/// What a table says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Smbios {
    /// Type 0, the firmware (BIOS).
    pub firmware: Option<Firmware>,
    /// Type 1.
    pub system: Option<System>,
    /// Type 2, those that host the CPU first.
    pub boards: Vec<Board>,
    /// Type 3.
    pub chassis: Vec<Chassis>,
    /// Type 16, those for system memory.
    pub arrays: Vec<Array>,
    /// Type 17 of those arrays, empty slots included.
    pub slots: Vec<Slot>,
    /// Where the table stops making sense.
    pub broken: Option<String>,
}

/// Firmware (7.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firmware {
    /// Who made it.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Release date as it is written: `mm/dd/yyyy`, or `mm/dd/yy` in the last century.
    pub date: Option<String>,
}

/// The system (7.2).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    /// Maker.
    pub maker: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// UUID as text, lower case.
    pub uuid: Option<String>,
    /// Stock keeping unit.
    pub sku: Option<String>,
    /// Family.
    pub family: Option<String>,
}

/// A board (7.3).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Board {
    /// Maker.
    pub maker: Option<String>,
    /// Product name.
    pub product: Option<String>,
    /// Version.
    pub version: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Owner's tag.
    pub asset_tag: Option<String>,
    /// It is the mainboard: it says so, or that it hosts the CPU.
    pub main: bool,
}

/// A chassis (7.4).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Chassis {
    /// Maker.
    pub maker: Option<String>,
    /// Form in words; nothing for "other" and "unknown".
    pub form: Option<&'static str>,
    /// Version.
    pub version: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Owner's tag.
    pub asset_tag: Option<String>,
    /// Stock keeping unit.
    pub sku: Option<String>,
}

/// A memory array (7.17).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Array {
    /// By which its slots name it.
    pub handle: u16,
    /// Error correction in words.
    pub ecc: Option<&'static str>,
    /// What it takes at most, in bytes.
    pub max_bytes: Option<u64>,
    /// How many slots it has.
    pub slots: u16,
}

/// A memory slot and what is in it (7.18).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slot {
    /// The array it belongs to.
    pub array: u16,
    /// The label on the board.
    pub locator: Option<String>,
    /// The bank's label.
    pub bank: Option<String>,
    /// What is in it.
    pub module: Option<MemoryDevice>,
}

/// A memory module.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemoryDevice {
    /// Size in bytes; nothing where it is unknown.
    pub size_bytes: Option<u64>,
    /// Form in words.
    pub form: Option<&'static str>,
    /// Technology in words.
    pub technology: Option<&'static str>,
    /// Highest speed in MT/s.
    pub speed_mts: Option<u32>,
    /// The speed it runs at, in MT/s.
    pub configured_mts: Option<u32>,
    /// Maker.
    pub maker: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Part number.
    pub part: Option<String>,
}

/// Version of the specification that a table follows, from its entry point (5.2): `_SM3_` or `_SM_`.
pub fn parse_version(entry_point: &[u8]) -> Option<(u8, u8)> {
    let at = if entry_point.starts_with(b"_SM3_") {
        7
    } else if entry_point.starts_with(b"_SM_") {
        6
    } else {
        return None;
    };
    Some((*entry_point.get(at)?, *entry_point.get(at + 1)?))
}

/// A chassis form in words, by its number without the lock's bit.
pub fn chassis_form(number: u8) -> Option<&'static str> {
    names::chassis(number)
}

/// Reads a table. A table that breaks off gives what stands before that.
pub fn parse(table: &[u8], version: Option<(u8, u8)>) -> Smbios {
    let mut smbios = Smbios::default();
    // Arrays of flash or video memory have slots too, which hold no module of the system's memory.
    let mut others = Vec::new();
    let mut walk = structures(table);
    for structure in &mut walk {
        match structure.kind {
            0 if smbios.firmware.is_none() => smbios.firmware = Some(firmware(&structure)),
            1 if smbios.system.is_none() => smbios.system = Some(system(&structure, version)),
            2 if smbios.boards.len() < KEPT => smbios.boards.push(board(&structure)),
            3 if smbios.chassis.len() < KEPT => smbios.chassis.push(chassis(&structure)),
            16 if smbios.arrays.len() < KEPT && others.len() < KEPT => match structure.byte(0x05) {
                Some(3) => smbios.arrays.push(array(&structure)),
                _ => others.push(structure.handle),
            },
            17 if smbios.slots.len() < KEPT => smbios.slots.push(slot(&structure)),
            _ => {}
        }
    }
    smbios.broken = walk.broken;
    smbios.boards.sort_by_key(|board| !board.main);
    smbios.slots.retain(|slot| !others.contains(&slot.array));
    smbios
}

fn firmware(structure: &Structure<'_>) -> Firmware {
    Firmware { vendor: structure.text(0x04), version: structure.text(0x05), date: structure.text(0x08) }
}

fn system(structure: &Structure<'_>, version: Option<(u8, u8)>) -> System {
    System {
        maker: structure.text(0x04),
        product: structure.text(0x05),
        version: structure.text(0x06),
        serial: structure.text(0x07),
        uuid: structure.bytes(0x08).map(|bytes| uuid(bytes, version)),
        sku: structure.text(0x19),
        family: structure.text(0x1a),
    }
}

/// 7.2.1: the first three fields are little endian since 2.6; before, readers agreed on network order. A
/// table without an entry point is a newer one.
fn uuid(bytes: &[u8; 16], version: Option<(u8, u8)>) -> String {
    let little = version.is_none_or(|version| version >= (2, 6));
    let order = if little { [3, 2, 1, 0, 5, 4, 7, 6] } else { [0, 1, 2, 3, 4, 5, 6, 7] };
    let mut text = String::with_capacity(36);
    for (i, from) in order.into_iter().chain(8..16).enumerate() {
        if [4, 6, 8, 10].contains(&i) {
            text.push('-');
        }
        text.push_str(&format!("{:02x}", bytes.get(from).copied().unwrap_or(0)));
    }
    text
}

fn board(structure: &Structure<'_>) -> Board {
    let hosting = structure.byte(0x09).is_some_and(|features| features & 1 != 0);
    Board {
        maker: structure.text(0x04),
        product: structure.text(0x05),
        version: structure.text(0x06),
        serial: structure.text(0x07),
        asset_tag: structure.text(0x08),
        main: hosting || structure.byte(0x0d) == Some(0x0a),
    }
}

fn chassis(structure: &Structure<'_>) -> Chassis {
    // The SKU stands behind the contained elements: how many, and how long each is.
    let elements = usize::from(structure.byte(0x13).unwrap_or(0)) * usize::from(structure.byte(0x14).unwrap_or(0));
    Chassis {
        maker: structure.text(0x04),
        // The highest bit tells of a lock.
        form: structure.byte(0x05).and_then(|form| names::chassis(form & 0x7f)),
        version: structure.text(0x06),
        serial: structure.text(0x07),
        asset_tag: structure.text(0x08),
        sku: structure.text(0x15 + elements),
    }
}

fn array(structure: &Structure<'_>) -> Array {
    let max_bytes = match structure.dword(0x07) {
        Some(0x8000_0000) => structure.qword(0x0f),
        Some(kib) => Some(u64::from(kib) * 1024),
        None => None,
    };
    Array {
        handle: structure.handle,
        ecc: structure.byte(0x06).and_then(names::ecc),
        max_bytes: max_bytes.filter(|bytes| *bytes > 0),
        slots: structure.word(0x0d).unwrap_or(0),
    }
}

fn slot(structure: &Structure<'_>) -> Slot {
    let size = structure.word(0x0c).unwrap_or(0);
    Slot {
        array: structure.word(0x04).unwrap_or(0xffff),
        locator: structure.text(0x10),
        bank: structure.text(0x11),
        module: (size != 0).then(|| module(structure, size)),
    }
}

fn module(structure: &Structure<'_>, size: u16) -> MemoryDevice {
    const MIB: u64 = 1024 * 1024;
    let size_bytes = match size {
        0xffff => None,
        0x7fff => structure.dword(0x1c).map(|mib| u64::from(mib & 0x7fff_ffff) * MIB),
        // The highest bit tells the unit.
        kib if kib & 0x8000 != 0 => Some(u64::from(kib & 0x7fff) * 1024),
        mib => Some(u64::from(mib) * MIB),
    };
    // 0 is unknown; 0xffff says that the speed stands in the field that 3.3 added for it.
    let speed = |old, new| match structure.word(old)? {
        0 => None,
        0xffff => structure.dword(new).map(|speed| speed & 0x7fff_ffff).filter(|speed| *speed > 0),
        speed => Some(u32::from(speed)),
    };
    MemoryDevice {
        size_bytes: size_bytes.filter(|bytes| *bytes > 0),
        form: structure.byte(0x0e).and_then(names::module_form),
        technology: structure.byte(0x12).and_then(names::technology),
        speed_mts: speed(0x15, 0x54),
        configured_mts: speed(0x20, 0x58),
        maker: structure.text(0x17),
        serial: structure.text(0x18),
        part: structure.text(0x1a),
    }
}

#[cfg(test)]
mod tests;
