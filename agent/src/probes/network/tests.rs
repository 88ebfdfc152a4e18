use super::*;
use crate::source::tape::Tape;
use crate::source::{Answer, Ask, Miss};

#[test]
fn devices_are_named_by_their_buses_numbers() {
    assert_eq!(device_id("DRIVER=e1000e\nPCI_ID=8086:15F3\n").as_deref(), Some("8086:15f3"));
    assert_eq!(device_id("DRIVER=r8152\nPRODUCT=bda/8153/3100\n").as_deref(), Some("0bda:8153"));
    assert_eq!(device_id("MODALIAS=virtio:d00000001v00001AF4\n").as_deref(), Some("1af4:0001"));
    assert_eq!(device_id("OF_NAME=ethernet\n"), None);
}

#[test]
fn what_is_no_hardware_address_is_none() {
    assert_eq!(mac(&[2, 0xfc, 0, 0, 0, 1], ARPHRD_ETHER).as_deref(), Some("02:fc:00:00:00:01"));
    assert_eq!(mac(&[0; 6], ARPHRD_ETHER), None);
    assert_eq!(mac(&[192, 0, 2, 1], 776), None);
    assert_eq!(mac(&[0; 6], ARPHRD_LOOPBACK), None);
}

#[test]
fn an_unknown_speed_is_none() {
    let speed = |text: &str| {
        let tape = Tape::new().link("/sys/class/net/eth0/device", "../x").file("/sys/class/net/eth0/speed", text);
        let link = Link { name: "eth0".into(), hardware: 1, flags: IFF_UP | IFF_LOWER_UP, ..Link::default() };
        let mut interface = describe(&link, &[], &[]);
        add_sysfs(&tape, &link, &mut interface);
        assert!(interface.physical);
        interface.speed_mbps
    };
    assert_eq!(speed("-1\n"), None);
    assert_eq!(speed("4294967295\n"), None);
    assert_eq!(speed("0\n"), None);
    assert_eq!(speed("2500\n"), Some(2500));
}

#[test]
fn ports_that_share_a_permanent_mac_have_keys_of_their_own() {
    let port = |name: &str, physical: bool| Interface {
        name: name.into(),
        physical,
        permanent_mac: Some("00:11:22:33:44:55".into()),
        ..Interface::default()
    };
    let items = into_items(vec![port("bond0", false), port("eth1", true), port("eth0", true)]);
    let told: Vec<(&str, &str)> =
        items.iter().map(|item| (item.key.as_str(), item.label.as_deref().unwrap_or(""))).collect();
    assert_eq!(told, [("00:11:22:33:44:55", "eth0"), ("eth1", "eth1"), ("bond0", "bond0")]);
}

#[test]
fn forms_are_the_usual_words() {
    let of =
        |kind: Option<&str>, hardware: u16| form(&Link { kind: kind.map(str::to_owned), hardware, ..Link::default() });
    assert_eq!(of(None, 772), "loopback");
    assert_eq!(of(None, 1), "ethernet");
    assert_eq!(of(Some("wireguard"), ARPHRD_NONE), "tunnel");
    assert_eq!(of(Some("vxlan"), 1), "tunnel");
    assert_eq!(of(Some("bridge"), 1), "bridge");
    assert_eq!(of(None, ARPHRD_NONE), "tunnel");
}

#[test]
fn without_interfaces_nothing_is_known() {
    assert!(run(&Tape::new()).is_err());
}

#[test]
fn a_table_that_could_not_be_had_is_not_an_empty_one() {
    for missing in [Table::Links, Table::Addresses] {
        let mut tape = Tape::new();
        for table in [Table::Links, Table::Addresses, Table::Routes] {
            let failed = Err(Miss::Failed("the kernel is silent for 2 s".into()));
            tape.put(Ask::Netlink(table), if table == missing { failed } else { Ok(Answer::Bytes(Vec::new())) });
        }
        assert_eq!(run(&tape).map_err(|problem| problem.why), Err(Why::Failed), "{missing:?}");
    }
}

#[test]
fn without_routes_the_interfaces_are_there_and_their_gateways_unknown() {
    // RTM_NEWLINK: 16 bytes of header, 16 of ifinfomsg, the name as attribute 3.
    let link = [
        &40_u32.to_ne_bytes()[..],
        &16_u16.to_ne_bytes(),
        &[0; 10],
        &[0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &8_u16.to_ne_bytes(),
        &3_u16.to_ne_bytes(),
        b"eth\0",
    ];
    let told = |routes| {
        let mut tape = Tape::new();
        tape.put(Ask::Netlink(Table::Links), Ok(Answer::Bytes(link.concat())));
        tape.put(Ask::Netlink(Table::Addresses), Ok(Answer::Bytes(Vec::new())));
        tape.put(Ask::Netlink(Table::Routes), routes);
        run(&tape).expect("interfaces")
    };
    let unknown = |found: &Found| found.items[0].now.get("gateways_unknown").and_then(|unknown| unknown.as_bool());
    let (with, without) = (told(Ok(Answer::Bytes(Vec::new()))), told(Err(Miss::Failed("it has no end".into()))));
    assert_eq!((unknown(&with), with.problems.len()), (None, 0));
    assert_eq!((unknown(&without), without.items[0].key.as_str()), (Some(true), "eth"));
    assert_eq!(without.problems, [Problem::new(Why::Failed, "rtnetlink routes").detail("it has no end")]);
}

#[test]
fn an_older_kernel_tells_permanent_addresses_by_other_files() {
    let link = Link { name: "eth0".into(), hardware: 1, address: vec![2, 0, 0, 0, 0, 1], ..Link::default() };
    let told = |assigned: &str| {
        let tape = Tape::new()
            .link("/sys/class/net/eth0/device", "../x")
            .file("/sys/class/net/eth0/addr_assign_type", assigned)
            .file(
                "/proc/net/bonding/bond0",
                "Bonding Mode: x\n\nSlave Interface: eth1\nPermanent HW addr: 02:00:00:00:00:09\n\n\
                 Slave Interface: eth0\nMII Status: up\nPermanent HW addr: 02:00:00:00:00:0A\nSlave queue ID: 0\n",
            );
        let mut interface = describe(&link, &[], &[]);
        interface.master = Some("bond0".into());
        add_sysfs(&tape, &link, &mut interface);
        interface.permanent_mac
    };
    assert_eq!(told("0\n").as_deref(), Some("02:00:00:00:00:01"));
    assert_eq!(told("3\n").as_deref(), Some("02:00:00:00:00:0a"));
    assert_eq!(parse_bond("Slave Interface: eth0\nSlave Interface: eth1\nPermanent HW addr: 02::1\n", "eth0"), None);
}

#[test]
fn a_made_up_address_is_none() {
    let link = Link { name: "br0".into(), hardware: 1, address: vec![2, 1, 2, 3, 4, 5], ..Link::default() };
    let mac = |tape: &Tape| {
        let mut interface = describe(&link, &[], &[]);
        add_sysfs(tape, &link, &mut interface);
        interface.mac
    };
    let assigned = |how: &str| Tape::new().file("/sys/class/net/br0/addr_assign_type", how);
    assert_eq!(mac(&assigned("1\n")), None);
    assert_eq!(mac(&assigned("3\n")).as_deref(), Some("02:01:02:03:04:05"));
}

#[test]
fn what_comes_and_goes_with_containers_is_left_out() {
    let link = |name: &str, kind: Option<&str>, master: Option<u32>| Link {
        name: name.into(),
        kind: kind.map(str::to_owned),
        master,
        hardware: 1,
        ..Link::default()
    };
    let links = [
        link("enp3s0", None, None),
        link("docker0", Some("bridge"), None),
        link("br-0123456789ab", Some("bridge"), None),
        link("br-office", Some("bridge"), None),
        link("veth12ab34", Some("veth"), Some(2)),
        link("cali0123", Some("veth"), None),
        link("vnet0", Some("tun"), Some(2)),
        link("tun0", Some("tun"), None),
    ];
    let told = |inside: bool| -> Vec<&str> {
        links.iter().filter(|link| !is_ephemeral(link, inside)).map(|link| link.name.as_str()).collect()
    };
    assert_eq!(told(false), ["enp3s0", "docker0", "br-office", "tun0"]);
    // In a container its own interface is the far end of a host's.
    assert_eq!(told(true), ["enp3s0", "docker0", "br-office", "cali0123", "tun0"]);
}

#[test]
fn vlans_and_bonds_are_told_in_words() {
    let link = Link { vlan: Some(100), bond_mode: Some(4), ..Link::default() };
    let interface = describe(&link, &[], &[]);
    assert_eq!((interface.vlan, interface.bond_mode.as_deref()), (Some(100), Some("802.3ad")));
    assert_eq!(describe(&Link { bond_mode: Some(77), ..link }, &[], &[]).bond_mode, None);
}

#[test]
fn a_bridge_is_up_when_its_owner_says_so() {
    let up = |kind: Option<&str>, flags: u32| {
        let link = Link { kind: kind.map(str::to_owned), flags, hardware: 1, ..Link::default() };
        describe(&link, &[], &[]).up
    };
    assert_eq!((up(Some("bridge"), IFF_UP), up(Some("bridge"), 0)), (true, false));
    assert_eq!((up(None, IFF_UP), up(None, IFF_UP | IFF_LOWER_UP)), (false, true));
}
