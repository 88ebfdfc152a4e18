//! What makers leave in a field that they never filled in. Such a value is no value: as a serial it would
//! make one machine of many.
//!
//! Not a probe. Knows texts, not where they come from. The collector learns further ones by seeing the same
//! value on machines that differ otherwise; this is the list that every agent is shipped with.

/// Whole values, lower case, in any field.
const VALUES: &[&str] = &[
    "-1",
    "0",
    "0x00000000",
    "[empty]",
    "all series",
    "asset tag",
    "asset tag number",
    "asset-1234567890",
    "base board asset tag",
    "base board manufacturer",
    "base board product name",
    "base board serial number",
    "base board version",
    "board asset tag",
    "board manufacturer",
    "board product name",
    "board serial number",
    "board version",
    "chassis asset tag",
    "chassis manufacture",
    "chassis manufacturer",
    "chassis serial number",
    "chassis version",
    "default",
    "default string",
    "dimm not installed",
    "empty",
    "fill by oem",
    "filled by oem",
    "invalid",
    "manufacturer",
    "mb-1234567890",
    "n/a",
    "na",
    "nil",
    "no asset information",
    "no asset tag",
    "no dimm",
    "no enclosure",
    "no module installed",
    "none",
    "not applicable",
    "not available",
    "not defined",
    "not installed",
    "not present",
    "not provided",
    "not settable",
    "not specified",
    "not supported",
    "null",
    "o.e.m",
    "o.e.m.",
    "oem",
    "oem default",
    "oem string",
    "oem_default",
    "part number",
    "product name",
    "serial",
    "serial number",
    "serialnumber",
    "sku",
    "sku number",
    "system asset tag",
    "system family",
    "system manufacturer",
    "system name",
    "system product name",
    "system serial number",
    "system sku",
    "system version",
    "tbd",
    "tbd by oem",
    "to be filled by o.e.m",
    "to be filled by o.e.m.",
    "to be filled by oem",
    "undefined",
    "unknown",
    "unspecified",
    "xx",
];

/// Words that board makers number through: `SerNum00`, `Manufacturer01`.
const NUMBERED: &[&str] = &[
    "assettagnum",
    "manufacturer",
    "array1_partnumber",
    "modulemanufacturer",
    "modulepartnumber",
    "partnum",
    "sernum",
];

/// UUIDs that boards are shipped with, lower case.
const UUIDS: &[&str] = &[
    // American Megatrends' default, and as a reader with the other byte order shows it.
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    // A Dell without its service tag.
    "4c4c4544-0000-2010-8020-80c04f202020",
    "44454c4c-0000-1020-8020-80c04f202020",
    "00112233-4455-6677-8899-aabbccddeeff",
    "33221100-5544-7766-8899-aabbccddeeff",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "78563412-3412-7856-90ab-cddeefaabbcc",
];

/// Shortest run of counted digits that is taken for a placeholder.
const COUNTED_CHARS: usize = 5;

/// A text field: trimmed, inner runs of white space made one blank, placeholders left out.
pub fn text(value: &str) -> Option<String> {
    let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
    let lower = value.to_lowercase();
    let listed = VALUES.binary_search(&lower.as_str()).is_ok() || is_template(&lower);
    let plain = significant(&lower);
    (!listed && !is_filler(&plain, "0x*")).then_some(value)
}

/// A serial number or asset tag: as [`text`], and without repeated or counted characters.
pub fn serial(value: &str) -> Option<String> {
    let value = text(value)?;
    let plain = significant(&value.to_lowercase());
    let repeated = plain.chars().all(|c| plain.starts_with(c));
    (!repeated && !is_counted(&plain)).then_some(value)
}

/// A UUID as text in lower case, unless all of its bytes are equal or it is a known default.
pub fn uuid(value: &str) -> Option<String> {
    let value = value.trim().to_lowercase();
    let digits: Vec<char> = value.chars().filter(|c| *c != '-').collect();
    let well_formed = digits.len() == 32 && digits.iter().all(char::is_ascii_hexdigit);
    let (pairs, _) = digits.as_chunks::<2>();
    let repeated = pairs.windows(2).all(|two| two.first() == two.last());
    (well_formed && !repeated && !UUIDS.contains(&value.as_str())).then_some(value)
}

/// Letters and digits; a serial's punctuation carries nothing.
fn significant(value: &str) -> String {
    value.strip_prefix("0x").unwrap_or(value).chars().filter(|c| c.is_alphanumeric()).collect()
}

/// Nothing, or nothing but one of these characters.
fn is_filler(plain: &str, fillers: &str) -> bool {
    let Some(first) = plain.chars().next() else { return true };
    fillers.contains(first) && plain.chars().all(|c| c == first)
}

/// `Type2 - Board Serial Number`, `SerNum00`.
fn is_template(lower: &str) -> bool {
    let stem = lower.trim_end_matches(|c: char| c.is_ascii_digit());
    let of_type = lower
        .strip_prefix("type")
        .and_then(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(" - "));
    NUMBERED.contains(&stem) || of_type.is_some()
}

/// Digits that count up or down: `0123456789`, `123456789ABCDEF`, `9876543210`.
fn is_counted(plain: &str) -> bool {
    let digits: Option<Vec<u32>> = plain.chars().map(|c| c.to_digit(16)).collect();
    let Some(digits) = digits.filter(|digits| digits.len() >= COUNTED_CHARS) else { return false };
    let steps = |by: fn(u32) -> u32| {
        digits.windows(2).all(|two| two.first().zip(two.last()).is_some_and(|(a, b)| *b == by(*a)))
    };
    steps(|a| (a + 1) % 10) || steps(|a| (a + 1) % 16) || steps(|a| (a + 9) % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_can_be_searched() {
        assert!(VALUES.is_sorted());
    }

    #[test]
    fn placeholders_are_no_values() {
        for value in [
            "",
            "  ",
            "To be filled by O.E.M.",
            "DEFAULT STRING",
            " Not  Specified ",
            "None",
            "0",
            "-1",
            "0x00000000",
            "System Serial Number",
            "SerNum00",
            "Type2 - Board Serial Number",
            "000000-000",
            "...",
            "xxxxxxxxxxxx",
        ] {
            assert_eq!(text(value), None, "{value}");
        }
        for value in
            ["0123456789", "123456789", "123456789ABCDEF", "9876543210", "FFFFFFFF", "..AAAA..", "7", "1111-1111"]
        {
            assert_eq!(serial(value), None, "{value}");
        }
        for value in [
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "00000000-0000-0000-0000-000000000000",
            "EEEEEEEE-EEEE-EEEE-EEEE-EEEEEEEEEEEE",
            "fefefefe-fefe-fefe-fefe-fefefefefefe",
            "03000200-0400-0500-0006-000700080009",
            "Not Settable",
        ] {
            assert_eq!(uuid(value), None, "{value}");
        }
    }

    #[test]
    fn values_are_kept_as_the_maker_wrote_them() {
        for value in ["KDMAH1Y", "..CN701638BM00EW.", "3B085E1E", "0000065D", "Ñandú 12", "12346", "1234567891"] {
            assert_eq!(serial(value).as_deref(), Some(value));
        }
        assert_eq!(text("  Latitude   7490 "), Some("Latitude 7490".to_owned()));
        assert_eq!(text("1111"), Some("1111".to_owned()), "a model may repeat itself");
        let uuid_text = "00000000-0000-0000-0000-0CC47A123456";
        assert_eq!(uuid(uuid_text), Some(uuid_text.to_lowercase()));
    }
}
