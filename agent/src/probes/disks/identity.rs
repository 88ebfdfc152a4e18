//! What a disk says of itself: maker, model, serial, firmware, WWN. udev's database has it best, as udev asks
//! the disk and sysfs cuts ATA models at 16 letters; sysfs has it without udev. Does not know where a disk is.

use super::place::Place;
use super::{DIR, Properties};
use crate::probes::{placeholder, udev};
use crate::source::Source;
use shared::hardware::Disk;

/// Fills in what names the disk.
pub fn ask(disk: &mut Disk, source: &dyn Source, udev: &Properties, place: &Place) {
    let raw = |file: &str| source.text(&format!("{DIR}/{}/{file}", disk.name)).unwrap_or_default();
    let text = |file: &str| clean(&raw(file));
    let property = |name: &str| udev.get(name).and_then(|value| clean(value));
    let encoded = |name: &str| udev.get(name).and_then(|value| clean(&udev::decode(value)));
    if place.is_virtual && place.bus != Some("nvme") {
        if place.bus == Some("md") {
            disk.model = text("md/level");
        }
        return;
    }
    // A virtio disk has a serial, and as `vendor` only the number of who wrote the specification.
    if place.bus == Some("virtio") {
        disk.serial = placeholder::serial(&raw("serial"));
        return;
    }
    let sysfs_vendor = || if place.bus == Some("nvme") { None } else { text("device/vendor") };
    let maker = encoded("ID_VENDOR_ENC").or_else(|| property("ID_VENDOR")).or_else(sysfs_vendor);
    let model = encoded("ID_MODEL_ENC").or_else(|| text("device/model")).or_else(|| text("device/name"));
    let serial = ["ID_SCSI_SERIAL", "ID_SERIAL_SHORT"].iter().find_map(|name| property(name));
    let serial = serial.or_else(|| text("device/serial")).or_else(|| {
        let page = source.file(&format!("{DIR}/{}/device/vpd_pg80", disk.name)).ok()?;
        parse_unit_serial(&page)
    });
    let firmware = property("ID_REVISION").or_else(|| text("device/firmware_rev"));
    let wwn = ["ID_WWN_WITH_EXTENSION", "ID_WWN"].iter().find_map(|name| property(name));
    let wwn = wwn.or_else(|| text("wwid")).or_else(|| text("device/wwid"));
    // `ATA` is how the kernel says that the disk named no maker.
    disk.maker = maker.filter(|maker| maker != "ATA" && !maker.starts_with("0x"));
    disk.model = model.or_else(|| property("ID_MODEL"));
    disk.serial = serial.and_then(|serial| placeholder::serial(&serial));
    disk.firmware = firmware.or_else(|| text("device/rev")).or_else(|| text("device/fwrev"));
    disk.wwn = wwn.and_then(|wwn| parse_wwn(&wwn));
}

/// Text as makers pad it: with blanks, tabs or zero bytes.
fn clean(text: &str) -> Option<String> {
    placeholder::text(&text.replace(char::is_control, " "))
}

/// SCSI VPD page 80h (SPC-4 7.8.15): a header of four bytes, then the unit's serial number.
fn parse_unit_serial(page: &[u8]) -> Option<String> {
    let length = usize::from(u16::from_be_bytes([*page.get(2)?, *page.get(3)?]));
    let serial = String::from_utf8_lossy(page.get(4..page.len().min(4 + length))?);
    clean(&serial).filter(|serial| serial.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '))
}

/// As udev writes it. A T10 name is made of the vendor's and model's names and no number of the world.
fn parse_wwn(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_lowercase();
    let wwn = text.strip_prefix("naa.").map(|number| format!("0x{number}")).unwrap_or(text);
    let number = wwn.split_once(['.', 'x']).map_or("", |(_, number)| number);
    let known = ["0x", "eui.", "nvme.", "uuid."].iter().any(|kind| wwn.starts_with(kind));
    let mut bytes = number.bytes();
    let first = bytes.next()?;
    // All zeros or all ones: never written.
    let blank = matches!(first, b'0' | b'f') && bytes.all(|byte| byte == first);
    (known && !wwn.contains(' ') && !blank).then_some(wwn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_the_world_are_numbers() {
        assert_eq!(parse_wwn("naa.50026B724B09A1FF").as_deref(), Some("0x50026b724b09a1ff"));
        assert_eq!(
            parse_wwn("eui.00000000000000000026b7283b12b315").as_deref(),
            Some("eui.00000000000000000026b7283b12b315")
        );
        assert_eq!(parse_wwn("eui.0000000000000000"), None);
        assert_eq!(parse_wwn("t10.ATA     WDC WD800JD-00MSA1     WD-WMAM9XE78956"), None);
    }

    #[test]
    fn placeholders_are_left_out() {
        assert_eq!(clean("  WD-1   2 \n").as_deref(), Some("WD-1 2"));
        for nothing in ["", " ", "0000000000", "0x0000", "Unknown", "none"] {
            assert_eq!(clean(nothing), None, "{nothing:?}");
        }
        assert_eq!(parse_unit_serial(b"\0\x80\0\x08 ABC123 ").as_deref(), Some("ABC123"));
        assert_eq!(parse_unit_serial(b"\0\x80\xff\xff"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..64), text in "\\PC{0,60}") {
            parse_unit_serial(&bytes);
            parse_wwn(&text);
        }
    }
}
