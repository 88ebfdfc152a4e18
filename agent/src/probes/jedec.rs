//! Who made a memory module, where firmware copies the maker's number instead of a name.
//!
//! Not a probe. Numbers are JEDEC's JEP106: banks of 126 makers, and which bank is told by how many
//! continuation codes precede the number; the highest bit of each byte is parity. Knows the makers of memory
//! that are met, not the whole list: an unknown number stays as it is.

/// Bank, from 1; number without parity; name.
const MAKERS: &[(usize, u8, &str)] = &[
    (1, 0x09, "Intel"),
    (1, 0x18, "Toshiba"),
    (1, 0x2c, "Micron"),
    (1, 0x2d, "SK hynix"),
    (1, 0x41, "Infineon"),
    (1, 0x4e, "Samsung"),
    (1, 0x5a, "Winbond"),
    (2, 0x14, "Smart Modular"),
    (2, 0x18, "Kingston"),
    (2, 0x3a, "PNY"),
    (2, 0x4f, "Transcend"),
    (2, 0x7a, "Apacer"),
    (3, 0x1e, "Corsair"),
    (3, 0x7e, "Elpida"),
    (4, 0x0b, "Nanya"),
    (5, 0x16, "Positivo Informatica"),
    (5, 0x43, "Ramaxel"),
    (5, 0x4b, "A-DATA"),
    (5, 0x4d, "G.Skill"),
    (5, 0x6f, "Team"),
    (6, 0x02, "Patriot"),
    (6, 0x1b, "Crucial"),
    (6, 0x51, "Qimonda"),
];
/// Continuation codes, `0x7f` each.
const CONTINUATION: u8 = 0x7f;
/// Hexadecimal digits that firmware writes at least and at most: two bytes, the 18 of a part number.
const DIGITS: std::ops::RangeInclusive<usize> = 4..=40;

/// The name of the maker whose number `text` is: `0x7F98000000000000`, `80CE000080CE`, `04CD`.
pub fn maker(text: &str) -> Option<&'static str> {
    let bytes = hex(text)?;
    let (bank, number) = match *bytes.as_slice() {
        // As the module's own memory has it: continuation codes, the number, zeros.
        [CONTINUATION, ..] => {
            let codes = bytes.iter().take_while(|byte| **byte == CONTINUATION).count();
            (codes + 1, *bytes.get(codes)?)
        }
        [number, ref rest @ ..] if rest.iter().all(|byte| *byte == 0) => (1, number),
        // As DDR3 and later have it: the count of continuation codes, the number.
        [codes, number, ..] => (usize::from(codes & 0x7f) + 1, number),
        _ => return None,
    };
    MAKERS.iter().find(|(of, code, _)| *of == bank && *code == number & 0x7f).map(|(_, _, name)| *name)
}

/// Text that was written as hexadecimal digits after `0x`, filled up with zeros or blanks; nothing if it is none.
pub fn text(value: &str) -> Option<String> {
    let bytes = hex(value.strip_prefix("0x")?)?;
    let text = String::from_utf8(bytes).ok()?;
    let text = text.trim_end_matches(['\0', ' ']);
    (!text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic())).then(|| text.to_owned())
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("0x").unwrap_or(text).as_bytes();
    let (pairs, rest) = digits.as_chunks::<2>();
    if !DIGITS.contains(&digits.len()) || !rest.is_empty() {
        return None;
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_many_ways() {
        for (text, name) in [
            ("0xCE00000000000000", "Samsung"),
            ("0x7F98000000000000", "Kingston"),
            ("00AD00B300AD", "SK hynix"),
            ("80CE000080CE", "Samsung"),
            ("0x80AD", "SK hynix"),
            ("859B", "Crucial"),
            ("04CD", "G.Skill"),
            ("830B", "Nanya"),
            ("7F7F9E", "Corsair"),
        ] {
            assert_eq!(maker(text), Some(name), "{text}");
        }
        for text in ["", "Samsung", "0x0000000000000000", "7F7F7F7F", "ABCD", "CE", "AD", "éé", "0x7f"] {
            assert_eq!(maker(text), None, "{text}");
        }
    }

    #[test]
    fn a_part_number_may_be_written_in_hexadecimal() {
        assert_eq!(text("0x4D332037385432393533455A332D43453620").as_deref(), Some("M3 78T2953EZ3-CE6"));
        assert_eq!(text("0x4B0000000000000000000000000000000000").as_deref(), Some("K"));
        for value in ["4D332037", "0x0000", "0xFF00", "HMT42GR7AFR4A-PB", "0x4D3"] {
            assert_eq!(text(value), None, "{value}");
        }
    }
}
