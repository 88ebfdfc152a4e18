//! The frame of an SMBIOS table (DSP0134 6.1): structures of a formatted area and strings, one after another.

/// Structures in one table; the entry point counts them in 16 bits.
const STRUCTURES: usize = 65_536;
/// Characters of a string that are kept: four times what the specification allowed until 3.0.
const TEXT_CHARS: usize = 256;
/// Type 127 ends a table.
const END: u8 = 127;

/// One structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Structure<'a> {
    pub(super) kind: u8,
    pub(super) handle: u16,
    formatted: &'a [u8],
    strings: &'a [u8],
}

/// A walk through a table.
pub(super) struct Structures<'a> {
    rest: &'a [u8],
    count: usize,
    /// Why the walk ended before the table did.
    pub(super) broken: Option<String>,
}

/// The structures of a table, up to its end mark or where it breaks.
pub(super) fn structures(table: &[u8]) -> Structures<'_> {
    Structures { rest: table, count: 0, broken: None }
}

impl<'a> Iterator for Structures<'a> {
    type Item = Structure<'a>;

    fn next(&mut self) -> Option<Structure<'a>> {
        if self.rest.is_empty() || self.count >= STRUCTURES {
            return None;
        }
        self.count += 1;
        match split(self.rest) {
            Ok((structure, rest)) => {
                // What stands behind the end mark is whatever the firmware had there.
                self.rest = if structure.kind == END { &[] } else { rest };
                Some(structure)
            }
            Err(what) => {
                self.broken = Some(format!("structure {}: {what}", self.count));
                self.rest = &[];
                None
            }
        }
    }
}

fn split(table: &[u8]) -> Result<(Structure<'_>, &[u8]), &'static str> {
    let &[kind, length, low, high, ..] = table else { return Err("its header is cut off") };
    if length < 4 {
        return Err("its length is below 4");
    }
    let (formatted, rest) = table.split_at_checked(usize::from(length)).ok_or("its formatted area is cut off")?;
    // Two zeros end the strings, also where there are none.
    let end = memchr::memmem::find(rest, &[0, 0]);
    let (strings, rest) = match end {
        Some(end) => (rest.get(..end).unwrap_or(&[]), rest.get(end + 2..).unwrap_or(&[])),
        // The end mark's zeros are left out by some firmware.
        None if kind == END => (&[][..], &[][..]),
        None => return Err("its strings are cut off"),
    };
    Ok((Structure { kind, handle: u16::from_le_bytes([low, high]), formatted, strings }, rest))
}

impl<'a> Structure<'a> {
    /// A byte of the formatted area; older structures are shorter.
    pub(super) fn byte(&self, at: usize) -> Option<u8> {
        self.formatted.get(at).copied()
    }

    /// Two bytes.
    pub(super) fn word(&self, at: usize) -> Option<u16> {
        self.chunk(at).copied().map(u16::from_le_bytes)
    }

    /// Four bytes.
    pub(super) fn dword(&self, at: usize) -> Option<u32> {
        self.chunk(at).copied().map(u32::from_le_bytes)
    }

    /// Eight bytes.
    pub(super) fn qword(&self, at: usize) -> Option<u64> {
        self.chunk(at).copied().map(u64::from_le_bytes)
    }

    /// Sixteen bytes.
    pub(super) fn bytes(&self, at: usize) -> Option<&'a [u8; 16]> {
        self.chunk(at)
    }

    fn chunk<const N: usize>(&self, at: usize) -> Option<&'a [u8; N]> {
        self.formatted.get(at..)?.first_chunk()
    }

    /// The string whose number stands at `at`, from 1; 0 is none. Bytes that are no UTF-8 become U+FFFD.
    pub(super) fn text(&self, at: usize) -> Option<String> {
        let number = usize::from(self.byte(at)?).checked_sub(1)?;
        let bytes = self.strings.split(|byte| *byte == 0).nth(number)?;
        let clean = |c: char| if c.is_control() { ' ' } else { c };
        let text: String = String::from_utf8_lossy(bytes).trim().chars().take(TEXT_CHARS).map(clean).collect();
        (!text.is_empty()).then_some(text)
    }
}
