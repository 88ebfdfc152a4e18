//! Identifiers that identify nothing: placeholders that makers leave in, and values of a shape that no
//! serial number has. What only this fleet can know is learned in `score`, not here.

use shared::evidence::{Evidence, Kind};

/// Texts that stand for "nobody filled this in", in lower case.
const PLACEHOLDERS: &[&str] = &[
    "asset-1234567890",
    "base board serial number",
    "board serial number",
    "chassis serial number",
    "default",
    "default string",
    "empty",
    "fill by oem",
    "invalid",
    "n/a",
    "no asset tag",
    "no enclosure",
    "none",
    "not applicable",
    "not available",
    "not present",
    "not provided",
    "not set",
    "not settable",
    "not specified",
    "null",
    "o.e.m.",
    "oem",
    "oem_define",
    "sernum0",
    "serial",
    "serial number",
    "system product name",
    "system serial number",
    "system version",
    "to be defined by o.e.m",
    "to be filled by o.e.m",
    "to be filled by oem",
    "undefined",
    "unknown",
    "xxxxxxx",
];

/// UUIDs that whole product lines share, in both byte orders.
const UUIDS: &[&str] = &[
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "78563412-3412-7856-90ab-cddeefaabbcc",
    "4c4c4544-0000-2010-8020-80c04f202020",
    "44454c4c-0000-1020-8020-80c04f202020",
];

/// Digits that a keyboard or a counter gives: a serial that is a piece of this was made up.
const COUNTED: &str = "01234567890123456789";

/// Whether a serial number, whatever it is of, is none.
pub fn serial(text: &str) -> bool {
    let text = text.trim().trim_end_matches('.').to_lowercase();
    let significant: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    PLACEHOLDERS.contains(&text.as_str())
        || significant.len() < 3
        || significant.windows(2).all(|pair| pair[0] == pair[1])
        || COUNTED.contains(significant.iter().collect::<String>().as_str())
}

/// Why an identifier says nothing about which machine this is; `None` where it does.
pub fn why(evidence: &Evidence) -> Option<&'static str> {
    let last = evidence.value.rsplit('|').next().unwrap_or("");
    match evidence.kind {
        Kind::SmbiosUuid => uuid(&evidence.value),
        Kind::PermanentMac => mac(&evidence.value),
        Kind::SystemSerial if evidence.value.split('|').take(2).any(|part| part.trim().is_empty()) => {
            Some("a serial without maker and product is not unique")
        }
        Kind::BoardSerial if evidence.value.split('|').next().is_none_or(|maker| maker.trim().is_empty()) => {
            Some("a serial without its maker is not unique")
        }
        Kind::DiskWwn => {
            let digits = last.trim_start_matches("0x").trim_start_matches("eui.").trim_start_matches("nvme.");
            serial(digits).then_some("a placeholder")
        }
        Kind::SystemSerial | Kind::BoardSerial | Kind::ChassisSerial | Kind::DiskSerial | Kind::ModuleSerial => {
            serial(last).then_some("a placeholder")
        }
        Kind::TpmEk | Kind::CloudInstance | Kind::Container => last.trim().is_empty().then_some("empty"),
        Kind::MachineId | Kind::Hostname => None,
    }
}

fn uuid(text: &str) -> Option<&'static str> {
    let digits: Vec<char> = text.chars().filter(|c| *c != '-').collect();
    if digits.len() != 32 || !digits.iter().all(char::is_ascii_hexdigit) {
        return Some("not a UUID");
    }
    let tail_is_one = digits[16..].windows(2).all(|pair| pair[0] == pair[1]) && digits[..16].iter().all(|c| *c == '0');
    if UUIDS.contains(&text) || digits.windows(2).all(|pair| pair[0] == pair[1]) || tail_is_one {
        return Some("a UUID that many machines have");
    }
    None
}

fn mac(text: &str) -> Option<&'static str> {
    let bytes: Vec<u8> = text.split(':').filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let [first, .., _] = bytes.as_slice() else { return Some("not a MAC") };
    if bytes.len() != 6 {
        return Some("not a MAC");
    }
    if first & 1 != 0 || bytes.iter().all(|byte| *byte == 0) {
        return Some("no address of one device");
    }
    (first & 2 != 0).then_some("locally administered: whoever configures it may choose it")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(kind: Kind, value: &str) -> Evidence {
        Evidence { kind, value: value.into() }
    }

    #[test]
    fn placeholders_are_no_serials() {
        for text in [
            "",
            " ",
            "0",
            "-1",
            "N/A",
            "To Be Filled By O.E.M.",
            "Default string",
            "00000000",
            "FFFF",
            "1234567890",
            "123456789",
            "System Serial Number",
            "SerNum0",
            "..",
            "xxxxxxxxxxxx",
            "None",
        ] {
            assert!(serial(text), "{text:?}");
        }
        for text in ["5CG1234ABC", "PF0ABCDE", "S64DNX0R", "VMware-56 4d 1b", "AB1", "2468"] {
            assert!(!serial(text), "{text:?}");
        }
    }

    #[test]
    fn every_kind_has_its_rule() {
        for (kind, value) in [
            (Kind::SystemSerial, "Dell Inc.|0A1B|Default string"),
            (Kind::SystemSerial, "|0A1B|ABC1234"),
            (Kind::SystemSerial, "Dell||ABC1234"),
            (Kind::BoardSerial, "|/ABC1234/"),
            (Kind::SmbiosUuid, "03000200-0400-0500-0006-000700080009"),
            (Kind::SmbiosUuid, "ffffffff-ffff-ffff-ffff-ffffffffffff"),
            (Kind::SmbiosUuid, "00000000-0000-0000-0000-000000000000"),
            (Kind::SmbiosUuid, "Not Settable"),
            (Kind::PermanentMac, "52:54:00:12:34:56"),
            (Kind::PermanentMac, "ff:ff:ff:ff:ff:ff"),
            (Kind::PermanentMac, "00:11"),
            (Kind::DiskWwn, "eui.0000000000000000"),
            (Kind::ModuleSerial, "Samsung|M471|00000000"),
        ] {
            assert!(why(&evidence(kind, value)).is_some(), "{kind} {value}");
        }
        for (kind, value) in [
            (Kind::SystemSerial, "Dell Inc.|0A1B|ABC1234"),
            (Kind::BoardSerial, "Dell Inc.|/ABC1234/CN1/"),
            (Kind::SmbiosUuid, "4c4c4544-0052-3510-8054-b4c04f4b3532"),
            (Kind::PermanentMac, "00:1b:21:aa:bb:cc"),
            (Kind::DiskWwn, "0x5002538e40b1c2d3"),
            (Kind::Container, "docker|3f4e5d6c7b8a"),
        ] {
            assert_eq!(why(&evidence(kind, value)), None, "{kind} {value}");
        }
    }
}
