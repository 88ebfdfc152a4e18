//! A builder: encodes an SMBIOS table (types 0, 1, 2, 3, 16, 17) from what `dmidecode` printed of it.
//!
//! It is the opposite of the parser under test and shares nothing with it: own offsets, own lists of words,
//! both from DSP0134. What dmidecode does not print, or prints only in words that are not in the
//! specification, becomes zero, "unknown" or "out of specification". Structures keep the length that the
//! recording says, so that old and short ones are tried as they were.

/// Words for numbers from 3 on; 1 is "Other", 2 is "Unknown". Later spellings stand for older ones.
const CHASSIS: &str = "Desktop,Low Profile Desktop,Pizza Box,Mini Tower,Tower,Portable,Laptop,Notebook,Hand Held,\
    Docking Station,All In One,Sub Notebook,Space-saving,Lunch Box,Main Server Chassis,Expansion Chassis,Sub Chassis,\
    Bus Expansion Chassis,Peripheral Chassis,RAID Chassis,Rack Mount Chassis,Sealed-case PC,Multi-system,CompactPCI,\
    AdvancedTCA,Blade,Blade Enclosing,Tablet,Convertible,Detachable,IoT Gateway,Embedded PC,Mini PC,Stick PC";
const FORMS: &str = "SIMM,SIP,Chip,DIP,ZIP,Proprietary Card,DIMM,TSOP,Row Of Chips,RIMM,SODIMM,SRIMM,FB-DIMM,Die,CAMM";
const TYPES: &str = "DRAM,EDRAM,VRAM,SRAM,RAM,ROM,Flash,EEPROM,FEPROM,EPROM,CDRAM,3DRAM,SDRAM,SGRAM,RDRAM,DDR,DDR2,\
    DDR2 FB-DIMM,,,,DDR3,FBD2,DDR4,LPDDR,LPDDR2,LPDDR3,LPDDR4,Logical non-volatile device,HBM,HBM2,DDR5,LPDDR5,HBM3";
const CORRECTIONS: &str = "None,Parity,Single-bit ECC,Multi-bit ECC,CRC";
const USES: &str = "System Memory,Video Memory,Flash Memory,Non-volatile RAM,Cache Memory";
const BOARDS: &str = "Server Blade,Connectivity Switch,System Management Module,Processor Module,I/O Module,\
    Memory Module,Daughter Board,Motherboard";

/// One structure as dmidecode printed it.
pub struct Printed {
    handle: u16,
    kind: u8,
    length: usize,
    fields: Vec<(String, String)>,
    /// Lines of deeper indentation: features and the like.
    notes: Vec<String>,
}

/// A whole recording.
pub struct Recording {
    /// Version of the specification.
    pub version: (u8, u8),
    /// The structures that can be encoded.
    pub structures: Vec<Printed>,
}

/// Reads the output of any dmidecode since 1.8: header on one line or two, tabs or blanks.
pub fn read(text: &str) -> Recording {
    let mut version = (2, 0);
    let mut structures: Vec<Printed> = Vec::new();
    let mut depth = None;
    for line in text.lines() {
        let words = line.trim();
        let indent = line.len() - line.trim_start().len();
        if let Some(found) = words.strip_prefix("SMBIOS ").and_then(|rest| rest.strip_suffix(" present.")) {
            let mut numbers = found.split('.').map(|number| number.parse().unwrap_or(0));
            version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        }
        if let Some(rest) = words.strip_prefix("Handle 0x") {
            let handle = rest.get(..4).and_then(|hex| u16::from_str_radix(hex, 16).ok()).unwrap_or(0);
            structures.push(Printed { handle, kind: 255, length: 0, fields: Vec::new(), notes: Vec::new() });
            depth = None;
        }
        let Some(last) = structures.last_mut() else { continue };
        if let Some((_, rest)) = words.split_once("DMI type ") {
            let mut numbers = rest.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
            last.kind = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(255);
            last.length = numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
        } else if let Some((name, value)) = words.split_once(':') {
            // The first field's indentation is that of all fields.
            if indent == *depth.get_or_insert(indent) {
                // One blank separates; the rest belongs to the string.
                let value = line.split_once(':').map_or("", |(_, value)| value).strip_prefix(' ').unwrap_or(value);
                last.fields.push((name.to_owned(), value.to_owned()));
            }
        } else {
            last.notes.push(words.to_owned());
        }
    }
    structures.retain(|printed| [0, 1, 2, 3, 16, 17].contains(&printed.kind) && (4..=255).contains(&printed.length));
    Recording { version, structures }
}

impl Recording {
    /// The table, end mark included.
    pub fn table(&self) -> Vec<u8> {
        let mut table: Vec<u8> = self.structures.iter().flat_map(|printed| printed.encode(self.version)).collect();
        table.extend([127, 4, 0xff, 0xff, 0, 0]);
        table
    }
}

/// A formatted area and its strings.
struct Encoded {
    area: Vec<u8>,
    strings: Vec<String>,
}

impl Encoded {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.area[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn string(&mut self, at: usize, value: Option<&str>) {
        self.area[at] = match value {
            None | Some("Not Specified") => 0,
            Some("<BAD INDEX>") => 0xfe,
            Some(text) => {
                // A string of nothing would end the strings; firmware has blanks there.
                self.strings.push(if text.is_empty() { " ".to_owned() } else { text.to_owned() });
                u8::try_from(self.strings.len()).expect("few strings")
            }
        };
    }
}

impl Printed {
    /// A field's value by any of its names.
    fn field(&self, names: &[&str]) -> Option<&str> {
        self.fields.iter().find(|(name, _)| names.contains(&name.as_str())).map(|(_, value)| value.as_str())
    }

    fn number_of(&self, names: &[&str], words: &str) -> u8 {
        match self.field(names).map(str::trim) {
            None | Some("Unknown") => 2,
            Some("Other") => 1,
            Some("<OUT OF SPEC>") => 0xff,
            Some(word) => {
                let at = words.split(',').map(str::trim).position(|known| known == word);
                at.map_or(1, |at| u8::try_from(at + 3).expect("few words"))
            }
        }
    }

    fn encode(&self, version: (u8, u8)) -> Vec<u8> {
        let mut encoded = Encoded { area: vec![0; 0x60], strings: Vec::new() };
        encoded.put(0, &[self.kind, u8::try_from(self.length).expect("a byte")]);
        encoded.put(2, &self.handle.to_le_bytes());
        match self.kind {
            0 => {
                encoded.string(4, self.field(&["Vendor"]));
                encoded.string(5, self.field(&["Version"]));
                encoded.string(8, self.field(&["Release Date", "Release"]));
            }
            1 => self.system(&mut encoded, version),
            2 => self.board(&mut encoded),
            3 => self.chassis(&mut encoded),
            16 => self.array(&mut encoded),
            _ => self.slot(&mut encoded),
        }
        encoded.area.resize(self.length.max(4), 0);
        let mut bytes = encoded.area;
        for string in &encoded.strings {
            bytes.extend(string.as_bytes());
            bytes.push(0);
        }
        bytes.extend(if encoded.strings.is_empty() { &[0, 0][..] } else { &[0] });
        bytes
    }

    fn maker_to_serial(&self, encoded: &mut Encoded, product: bool) {
        encoded.string(4, self.field(&["Manufacturer", "Vendor"]));
        if product {
            encoded.string(5, self.field(&["Product Name", "Product"]));
        }
        encoded.string(6, self.field(&["Version"]));
        encoded.string(7, self.field(&["Serial Number"]));
    }

    fn system(&self, encoded: &mut Encoded, version: (u8, u8)) {
        self.maker_to_serial(encoded, true);
        let text = self.field(&["UUID"]).unwrap_or("Not Settable").trim();
        let hex: String = text.chars().filter(|c| *c != '-').collect();
        let mut uuid = [if text == "Not Present" { 0xff } else { 0 }; 16];
        if hex.len() == 32
            && let Ok(number) = u128::from_str_radix(&hex, 16)
        {
            uuid = number.to_be_bytes();
            if version >= (2, 6) {
                uuid[..4].reverse();
                uuid[4..6].reverse();
                uuid[6..8].reverse();
            }
        }
        encoded.put(8, &uuid);
        encoded.string(0x19, self.field(&["SKU Number"]));
        encoded.string(0x1a, self.field(&["Family"]));
    }

    fn board(&self, encoded: &mut Encoded) {
        self.maker_to_serial(encoded, true);
        encoded.string(8, self.field(&["Asset Tag"]));
        encoded.put(9, &[u8::from(self.notes.iter().any(|note| note == "Board is a hosting board"))]);
        encoded.put(0xd, &[self.number_of(&["Type"], BOARDS)]);
    }

    fn chassis(&self, encoded: &mut Encoded) {
        self.maker_to_serial(encoded, false);
        encoded.put(5, &[self.number_of(&["Type", "Chassis Type"], CHASSIS)]);
        encoded.string(8, self.field(&["Asset Tag"]));
        // No contained elements are encoded, so the SKU stands where they would begin.
        encoded.string(0x15, self.field(&["SKU Number"]));
    }

    fn array(&self, encoded: &mut Encoded) {
        encoded.put(4, &[3, self.number_of(&["Use"], USES), self.number_of(&["Error Correction Type"], CORRECTIONS)]);
        let bytes = self.field(&["Maximum Capacity"]).and_then(amount).unwrap_or(0);
        match u32::try_from(bytes >> 10) {
            Ok(kib) if kib < 0x8000_0000 => encoded.put(7, &kib.to_le_bytes()),
            _ => {
                encoded.put(7, &0x8000_0000_u32.to_le_bytes());
                encoded.put(0xf, &bytes.to_le_bytes());
            }
        }
        let slots: u16 = self.field(&["Number Of Devices"]).and_then(|text| text.parse().ok()).unwrap_or(0);
        encoded.put(0xd, &slots.to_le_bytes());
    }

    fn slot(&self, encoded: &mut Encoded) {
        let array = self.field(&["Array Handle"]).and_then(|text| text.strip_prefix("0x"));
        let array = array.and_then(|hex| u16::from_str_radix(hex, 16).ok()).unwrap_or(0xffff);
        encoded.put(4, &array.to_le_bytes());
        let size = self.field(&["Size"]).unwrap_or("No Module Installed");
        let (word, extended) = match amount(size) {
            None => (if size == "Unknown" { 0xffff } else { 0 }, 0),
            Some(bytes) if bytes % (1 << 20) != 0 && bytes < 0x8000 << 10 => {
                (0x8000 | u16::try_from(bytes >> 10).expect("15 bits"), 0)
            }
            Some(bytes) => match u16::try_from(bytes >> 20) {
                Ok(mib) if mib < 0x7fff => (mib, 0),
                _ => (0x7fff, u32::try_from(bytes >> 20).unwrap_or(u32::MAX)),
            },
        };
        encoded.put(0xc, &word.to_le_bytes());
        encoded.put(0x1c, &extended.to_le_bytes());
        encoded.put(0xe, &[self.number_of(&["Form Factor"], FORMS)]);
        encoded.string(0x10, self.field(&["Locator"]));
        encoded.string(0x11, self.field(&["Bank Locator"]));
        encoded.put(0x12, &[self.number_of(&["Type"], TYPES)]);
        self.speed(encoded, &["Speed"], 0x15, 0x54);
        encoded.string(0x17, self.field(&["Manufacturer"]));
        encoded.string(0x18, self.field(&["Serial Number"]));
        encoded.string(0x19, self.field(&["Asset Tag"]));
        encoded.string(0x1a, self.field(&["Part Number"]));
        let configured = ["Configured Clock Speed", "Configured Memory Speed"];
        self.speed(encoded, &configured, 0x20, 0x58);
    }

    fn speed(&self, encoded: &mut Encoded, names: &[&str], old: usize, new: usize) {
        // The oldest dmidecodes print nanoseconds, which no structure holds.
        let mts = self.field(names).and_then(|text| text.split_once(' '));
        let mts = mts.filter(|(_, unit)| unit.starts_with("MHz") || unit.starts_with("MT/s"));
        let mts: u32 = mts.and_then(|(number, _)| number.parse().ok()).unwrap_or(0);
        match u16::try_from(mts) {
            Ok(mts) if mts < 0xffff => encoded.put(old, &mts.to_le_bytes()),
            _ => {
                encoded.put(old, &[0xff, 0xff]);
                encoded.put(new, &mts.to_le_bytes());
            }
        }
    }
}

/// `8 GB` in bytes.
pub fn amount(text: &str) -> Option<u64> {
    let (number, unit) = text.trim().split_once(' ')?;
    let shift = match unit {
        "bytes" => 0,
        "kB" => 10,
        "MB" => 20,
        "GB" => 30,
        "TB" => 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_shl(shift)
}
