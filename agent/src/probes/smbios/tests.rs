use super::*;
use proptest::prelude::*;

/// A structure: type, handle, what follows the header, strings.
fn structure(kind: u8, handle: u16, body: &[u8], strings: &[&str]) -> Vec<u8> {
    let mut bytes = vec![kind, u8::try_from(body.len() + 4).expect("short")];
    bytes.extend(handle.to_le_bytes());
    bytes.extend(body);
    for string in strings {
        bytes.extend(string.as_bytes());
        bytes.push(0);
    }
    bytes.extend(if strings.is_empty() { &[0, 0][..] } else { &[0] });
    bytes
}

const UUID: [u8; 16] = [0x33, 0x22, 0x11, 0x00, 0x55, 0x44, 0x77, 0x66, 0x88, 0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0x0f];

fn system_with_uuid() -> Vec<u8> {
    structure(1, 1, &[&[1, 2, 0, 9][..], &UUID, &[6]].concat(), &["Maker ", "Model"])
}

#[test]
fn a_uuids_byte_order_depends_on_the_version() {
    let uuid = |version| parse(&system_with_uuid(), version).system.and_then(|system| system.uuid);
    assert_eq!(uuid(Some((2, 6))).as_deref(), Some("00112233-4455-6677-8899-aabbccddee0f"));
    assert_eq!(uuid(Some((2, 5))).as_deref(), Some("33221100-5544-7766-8899-aabbccddee0f"));
    assert_eq!(uuid(None), uuid(Some((3, 2))));
}

#[test]
fn strings_are_trimmed_and_a_bad_number_is_none() {
    let system = parse(&system_with_uuid(), None).system.expect("a system");
    assert_eq!((system.maker.as_deref(), system.product.as_deref()), (Some("Maker"), Some("Model")));
    assert_eq!((system.version, system.serial, system.sku), (None, None, None));
}

#[test]
fn the_entry_point_tells_the_version() {
    assert_eq!(parse_version(b"_SM_\x00\x1f\x02\x08"), Some((2, 8)));
    assert_eq!(parse_version(b"_SM3_\x00\x18\x03\x02\x00"), Some((3, 2)));
    assert_eq!(parse_version(b"_SM3_"), None);
    assert_eq!(parse_version(b"_DMI_\x00\x00\x00\x00"), None);
}

#[test]
fn sizes_come_in_three_units() {
    let size = |word: u16, extended: u32| {
        let mut body = vec![0; 0x24];
        body[8..10].copy_from_slice(&word.to_le_bytes());
        body[0x18..0x1c].copy_from_slice(&extended.to_le_bytes());
        let slots = parse(&structure(17, 9, &body, &[]), None).slots;
        slots.into_iter().next().expect("a slot").module.map(|module| module.size_bytes)
    };
    assert_eq!(size(0, 0), None);
    assert_eq!(size(0xffff, 0), Some(None));
    assert_eq!(size(2048, 0), Some(Some(2 << 30)));
    assert_eq!(size(0x8000 | 512, 0), Some(Some(512 << 10)));
    assert_eq!(size(0x7fff, 64 * 1024), Some(Some(64 << 30)));
}

#[test]
fn flash_is_no_memory_and_the_mainboard_comes_first() {
    let array = |handle, usage| structure(16, handle, &[3, usage, 6, 0, 0, 0x80, 0, 0xfe, 0xff, 2, 0], &[]);
    let slot = |array: u16| {
        let mut body = vec![0; 0x12];
        body[..2].copy_from_slice(&array.to_le_bytes());
        body[8] = 1;
        structure(17, array + 10, &body, &[])
    };
    let board = |features, name| structure(2, 30, &[0, 1, 0, 0, 0, features], &[name]);
    let table = [array(1, 3), array(2, 5), slot(1), slot(2), board(0, "riser"), board(1, "main")].concat();
    let smbios = parse(&table, None);
    assert_eq!(smbios.arrays, [Array { handle: 1, ecc: Some("Multi-bit ECC"), max_bytes: Some(8 << 30), slots: 2 }]);
    assert_eq!(smbios.slots.len(), 1);
    let products: Vec<_> = smbios.boards.iter().filter_map(|board| board.product.as_deref()).collect();
    assert_eq!(products, ["main", "riser"]);
}

#[test]
fn a_broken_table_tells_where_and_keeps_what_was_before() {
    let mut table = system_with_uuid();
    table.extend([2, 3, 0, 0]);
    let smbios = parse(&table, None);
    assert!(smbios.system.is_some());
    assert_eq!(smbios.broken.as_deref(), Some("structure 2: its length is below 4"));
    let ended = [system_with_uuid(), vec![127, 4, 0, 0], b"whatever".to_vec()].concat();
    assert_eq!(parse(&ended, None).broken, None);
}

proptest! {
    #[test]
    fn any_bytes_do_no_harm(mut table in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..18) {
        if let Some(first) = table.first_mut() {
            *first = kind;
        }
        parse(&table, Some((3, 0)));
    }

    #[test]
    fn a_cut_table_does_no_harm(cut in 0_usize..60) {
        let table = system_with_uuid();
        parse(table.get(..cut).unwrap_or(&table), None);
    }
}
