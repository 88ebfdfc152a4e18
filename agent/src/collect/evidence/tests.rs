use super::*;
use crate::collect::seal;
use shared::hardware::{Disk, Interface, Module, Part};

fn sections(parts: Vec<(&str, Vec<Item>)>) -> Sections {
    let mut all: Sections = FROM.iter().map(|name| ((*name).to_owned(), seal(name, Ok(Found::default())))).collect();
    for (name, items) in parts {
        all.insert(name.to_owned(), seal(name, Ok(Found { items, problems: Vec::new() })));
    }
    all
}

fn keys(found: &Found) -> Vec<&str> {
    found.items.iter().map(|item| item.key.as_str()).collect()
}

fn part(kind: &str, maker: &str, serial: &str) -> Part {
    Part { kind: kind.into(), maker: Some(maker.into()), serial: Some(serial.into()), ..Part::default() }
}

fn laptop() -> Sections {
    let system = Part {
        model: Some("Latitude 7490".into()),
        sku: Some("081C".into()),
        uuid: Some("4C4C4544-0042-3510-8052-B4C04F564433".into()),
        ..part("system", "Dell  Inc. ", "B5RDVD3")
    };
    let disk = Disk {
        name: "nvme0n1".into(),
        wwn: Some("eui.0025388B".into()),
        model: Some("SAMSUNG|MZ".into()),
        serial: Some("S4".into()),
        bus: Some("nvme".into()),
        ..Disk::default()
    };
    let module = Module {
        slot: "DIMM A".into(),
        maker: Some("Hynix".into()),
        model: Some("HMA".into()),
        serial: Some("1A2B".into()),
        ..Module::default()
    };
    sections(vec![
        (
            "system",
            vec![
                system.into(),
                part("board", "Dell Inc.", "/B5RDVD3/CN1/").into(),
                part("board#2", "Dell Inc.", "riser").into(),
                part("chassis", "Dell Inc.", "B5RDVD3").into(),
            ],
        ),
        ("memory", vec![module.into()]),
        ("disks", vec![disk.into()]),
        ("network", vec![interface("00:1b:21:aa:bb:cc", "pci").into()]),
    ])
}

fn interface(mac: &str, bus: &str) -> Interface {
    Interface {
        name: format!("if-{mac}-{bus}"),
        form: "ethernet".into(),
        physical: true,
        bus: Some(bus.into()),
        permanent_mac: Some(mac.into()),
        ..Interface::default()
    }
}

fn files() -> Files {
    Files {
        machine_id: Some("0123456789ABCDEF0123456789abcdef".into()),
        hostname: Some("lab-7".into()),
        cloud: None,
        guest: None,
    }
}

#[test]
fn a_laptop_is_known_by_its_parts() {
    let found = find(&laptop(), &files());
    assert_eq!(
        keys(&found),
        [
            "system_serial:Dell Inc.|081C|B5RDVD3",
            "smbios_uuid:4c4c4544-0042-3510-8052-b4c04f564433",
            "board_serial:Dell Inc.|/B5RDVD3/CN1/",
            "chassis_serial:Dell Inc.|B5RDVD3",
            "disk_wwn:eui.0025388b",
            "disk_serial:SAMSUNG MZ|S4",
            "permanent_mac:00:1b:21:aa:bb:cc",
            "module_serial:Hynix|HMA|1A2B",
            "machine_id:0123456789abcdef0123456789abcdef",
            "hostname:lab-7",
        ]
    );
    assert_eq!(found.problems, []);
}

#[test]
fn a_container_never_has_its_hosts_hardware() {
    let guest = Some(Container { engine: "docker".into(), id: Some("abc".into()) });
    let found = find(&laptop(), &Files { guest, ..files() });
    assert_eq!(keys(&found), ["machine_id:0123456789abcdef0123456789abcdef", "hostname:lab-7", "container:docker|abc"]);
    let guest = Some(Container { engine: "lxc".into(), id: None });
    assert_eq!(keys(&find(&laptop(), &Files { guest, ..Files::default() })), [""; 0]);
}

#[test]
fn docks_tunnels_and_made_up_macs_do_not_identify() {
    let bad = [
        interface("00:1b:21:aa:bb:cc", "usb"),
        interface("02:42:ac:11:00:02", "pci"),
        interface("01:00:5e:00:00:01", "pci"),
        interface("00:00:00:00:00:00", "pci"),
        interface("00:1b:21:aa:bb", "pci"),
        interface("00:1b:21:aa:bb:+c", "pci"),
        Interface { physical: false, ..interface("00:1b:21:aa:bb:cc", "pci") },
    ];
    let found = find(&sections(vec![("network", bad.map(Item::from).to_vec())]), &Files::default());
    assert_eq!(keys(&found), [""; 0]);
}

#[test]
fn disks_that_are_carried_about_or_made_by_software_do_not_identify() {
    let disk = |bus: &str, medium: Option<&str>, removable| {
        Item::from(Disk {
            name: format!("{bus}{medium:?}{removable}"),
            model: Some("M".into()),
            serial: Some(format!("{bus}{medium:?}{removable}")),
            bus: Some(bus.into()),
            medium: medium.map(str::to_owned),
            removable,
            ..Disk::default()
        })
    };
    let bad = vec![
        disk("usb", Some("ssd"), false),
        disk("virtio", None, false),
        disk("loop", None, false),
        disk("sata", Some("hdd"), true),
        disk("scsi", Some("virtual"), false),
    ];
    assert_eq!(keys(&find(&sections(vec![("disks", bad)]), &Files::default())), [""; 0]);
}

#[test]
fn a_serial_without_its_maker_is_none() {
    let nameless = Part { maker: None, ..part("board", "", "1") };
    let blank = Part { model: Some("X".into()), ..part("system", "Maker", "  \t") };
    let found = find(&sections(vec![("system", vec![nameless.into(), blank.into()])]), &Files::default());
    assert_eq!(keys(&found), [""; 0]);
}

#[test]
fn only_real_clouds_name_an_instance() {
    let of = |cloud: &str| Files { cloud: Some((cloud.into(), "i-1".into())), ..Files::default() };
    assert_eq!(keys(&find(&sections(vec![]), &of("aws"))), ["cloud_instance:aws|i-1"]);
    assert_eq!(keys(&find(&sections(vec![]), &of("nocloud"))), [""; 0]);
    let nitro = Part { asset_tag: Some("i-1".into()), maker: Some("Amazon EC2".into()), ..part("board", "", "") };
    let found = find(&sections(vec![("system", vec![nitro.into()])]), &of("aws"));
    assert_eq!(keys(&found), ["cloud_instance:aws|i-1"]);
}

#[test]
fn an_unreadable_section_is_a_hole_not_a_loss() {
    let mut all = laptop();
    all.insert("disks".into(), seal("disks", Err(Problem::new(Why::Denied, "/sys/block"))));
    let found = find(&all, &files());
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].what, "disks");
}

#[test]
fn an_id_that_every_image_has_is_no_machine_id() {
    for bad in ["uninitialized", "", "00000000000000000000000000000000", "0123"] {
        let files = Files { machine_id: Some(bad.into()), hostname: Some("localhost".into()), ..Files::default() };
        assert_eq!(keys(&find(&sections(vec![]), &files)), [""; 0], "{bad}");
    }
}

#[test]
fn a_shelf_of_disks_crowds_out_no_serial() {
    let disk = |n: u32| Disk {
        name: format!("sd{n}"),
        wwn: Some(format!("naa.5000c500{n:08x}")),
        model: Some("ST18000".into()),
        serial: Some(format!("ZR{n:06}")),
        bus: Some("sas".into()),
        ..Disk::default()
    };
    let mut sections = laptop();
    let disks = (0..200).map(|n| disk(n).into()).collect();
    sections.insert("disks".into(), seal("disks", Ok(Found { items: disks, problems: Vec::new() })));
    let mut found = find(&sections, &Files::default());
    let before: BTreeSet<String> = keys(&found).into_iter().map(str::to_owned).collect();
    assert!(cut(&mut found));
    assert_eq!((before.len() > 400, found.items.len(), found.problems.len()), (true, limit::rows(SECTION), 1));
    let kept = |kind: &str| keys(&found).iter().filter(|key| key.starts_with(kind)).count();
    let all = |kind: &str| before.iter().filter(|key| key.starts_with(kind)).count();
    for kind in ["system_serial", "smbios_uuid", "board_serial", "chassis_serial", "module_serial", "permanent_mac"] {
        assert_eq!((kept(kind), all(kind)), (1, 1), "{kind}");
    }
    assert_eq!(kept("disk_wwn"), 125);
    assert!(!cut(&mut find(&laptop(), &Files::default())));
}
