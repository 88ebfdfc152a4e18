use super::*;
use crate::source::tape::Tape;
use shared::fact::Item;

fn machine() -> Tape {
    Tape::new().link("/proc/self/ns/pid", "pid:[4026531836]")
}

/// What an unprivileged user sees on a laptop.
fn ids() -> Tape {
    machine()
        .denied(TABLE)
        .dir(IDS, &["sys_vendor"])
        .file("/sys/class/dmi/id/sys_vendor", "LENOVO\n")
        .file("/sys/class/dmi/id/product_name", "20L7\n")
        .file("/sys/class/dmi/id/board_vendor", "Default string\n")
        .file("/sys/class/dmi/id/chassis_type", "10\n")
        .file("/sys/class/dmi/id/bios_vendor", "LENOVO\n")
        .file("/sys/class/dmi/id/bios_date", "02/29/2024\n")
        .denied("/sys/class/dmi/id/product_serial")
        .denied("/sys/class/dmi/id/product_uuid")
}

#[test]
fn without_root_the_serials_are_denied_and_the_rest_is_told() {
    let found = run(&ids()).expect("found");
    let part = |kind: &'static str| Item::new(kind, kind);
    assert_eq!(
        found.items,
        [
            Item { maker: Some("LENOVO".into()), model: Some("20L7".into()), ..part("system") },
            part("chassis").with("form", Some("Notebook")),
            Item { maker: Some("LENOVO".into()), ..part("firmware") }.with("date", Some("2024-02-29")),
        ]
    );
    let denied = |path: &str| Problem::new(Why::Denied, path);
    assert_eq!(
        found.problems,
        [denied(TABLE), denied("/sys/class/dmi/id/product_serial"), denied("/sys/class/dmi/id/product_uuid")]
    );
}

#[test]
fn a_container_does_not_take_its_hosts_hardware() {
    let tape = ids().link("/proc/self/ns/pid", "pid:[4026532741]").file("/.dockerenv", "");
    let found = run(&tape).expect("found");
    assert_eq!(found.items, []);
    let detail = "in a container (docker), the hardware is its host's";
    assert_eq!(found.problems, [Problem::new(Why::Absent, "hardware of its own").detail(detail)]);
}

#[test]
fn a_machine_whose_firmware_tells_nothing_is_empty_and_not_failed() {
    let found = run(&machine()).expect("found");
    assert_eq!(found.items, []);
    assert_eq!(found.problems.iter().map(|problem| problem.why).collect::<Vec<_>>(), [Why::Absent]);
}

#[test]
fn a_board_without_smbios_has_a_device_tree() {
    let tape = machine()
        .file("/proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.4\0")
        .file("/proc/device-tree/compatible", "raspberrypi,4-model-b\0brcm,bcm2711\0")
        .file("/proc/device-tree/serial-number", "10000000a3f2c1d4\0");
    let found = run(&tape).expect("found");
    let system = Item {
        maker: Some("raspberrypi".into()),
        model: Some("Raspberry Pi 4 Model B Rev 1.4".into()),
        serial: Some("10000000a3f2c1d4".into()),
        ..Item::new("system", "system")
    };
    assert_eq!(found.items, [system.with("sku", Some("4-model-b"))]);
    assert_eq!(found.problems, []);
}

#[test]
fn a_second_board_has_a_number() {
    let board = |product: &str| Board { product: Some(product.to_owned()), ..Board::default() };
    let smbios = Smbios { boards: vec![board("A"), Board::default(), board("B")], ..Smbios::default() };
    let kinds: Vec<String> = parts(smbios).into_iter().map(|part| part.kind).collect();
    assert_eq!(kinds, ["board", "board#2"]);
}

#[test]
fn dates_are_american_and_may_lack_a_century() {
    assert_eq!(parse_date("12/01/2011").as_deref(), Some("2011-12-01"));
    assert_eq!(parse_date("02/11/99").as_deref(), Some("1999-02-11"));
    for text in ["", "13/01/2011", "12/01/11x", "2011-12-01", "1/1/123", "-1/1/2000", "02/30/2020"] {
        assert_eq!(parse_date(text), None, "{text}");
    }
}
