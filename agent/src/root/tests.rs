use super::*;
use crate::source::{Space, Stat};
use shared::unit::At;

fn mode(mode: u32) -> Stat {
    Stat { form: 'd', size_bytes: 0, modified: At(0), uid: 0, mode, device: (8, 1), inode: 1 }
}

const DMI: &str = "/sys/firmware/dmi/tables/DMI";

/// A machine as root sees it: a web server of user 33, an editor, and a disk in a closed folder.
fn machine() -> Tape {
    let line = |inode: u32, state: &str| {
        format!("   0: 0100007F:1F90 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 33 0 {inode} 1\n")
    };
    let mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n22 21 8:2 / /srv rw - ext4 /dev/sda2 rw\n\
                  23 21 8:3 / /home/ada/data rw - ext4 /dev/sda3 rw\n";
    let space = Space { total_bytes: 9, free_bytes: 8, available_bytes: 7, inodes: 6, inodes_free: 5 };
    let folders =
        ["/", "/sys", "/sys/firmware", "/sys/firmware/dmi", "/sys/firmware/dmi/tables", "/sys/class", "/home"];
    let tape = folders.into_iter().fold(Tape::new(), |tape, path| tape.stat(path, mode(0o755)));
    tape.file(BOOT, "b007\n")
        .file(UPTIME, "4000.00 9.00\n")
        .file("/etc/os-release", "ID=debian\n")
        .file("/proc/meminfo", "MemTotal: 1 kB\n")
        .file(DMI, [0, 1, 2])
        .stat(DMI, mode(0o400))
        .file("/proc/1/mountinfo", mounts)
        .file("/proc/self/mountinfo", "1 0 0:1 / / ro - tmpfs none ro\n")
        .stat("/home/ada", mode(0o700))
        .space("/srv", space)
        .space("/home/ada/data", space)
        .space("/", space)
        .file("/proc/net/tcp", "head\n")
        .file("/proc/1/net/tcp", format!("head\n{}{}", line(500, "0A"), line(501, "01")))
        .dir("/proc", &["1", "12", "13", "self"])
        .dir("/proc/1/fd", &["0"])
        .link("/proc/1/fd/0", "/dev/null")
        .dir("/proc/12/fd", &["0", "3"])
        .link("/proc/12/fd/0", "/home/ada/diary.txt")
        .link("/proc/12/fd/3", "socket:[501]")
        .dir("/proc/13/fd", &["4", "5", "6"])
        .link("/proc/13/fd/4", "/var/lib/web/customers.db")
        .link("/proc/13/fd/5", "socket:[999]")
        .link("/proc/13/fd/6", "socket:[500]")
        .link("/proc/13/exe", "/usr/sbin/webd")
        .file("/proc/13/comm", "webd\n")
        .file("/proc/13/environ", "PASSWORD=x")
}

#[test]
fn only_what_others_cannot_read_and_the_list_names_is_told() {
    let Told { tape, cut } = record(&machine());
    let asks: Vec<String> = tape.answers().map(|(ask, _)| format!("{ask:?}")).collect();
    let expected = [
        "File(\"/proc/1/mountinfo\")",
        "File(\"/proc/13/comm\")",
        "File(\"/proc/net/tcp\")",
        "File(\"/proc/sys/kernel/random/boot_id\")",
        "File(\"/proc/uptime\")",
        "File(\"/sys/firmware/dmi/tables/DMI\")",
        "Dir(\"/proc\")",
        "Dir(\"/proc/13/fd\")",
        "Link(\"/proc/13/exe\")",
        "Link(\"/proc/13/fd/6\")",
        "Space(\"/home/ada/data\")",
    ];
    assert_eq!((asks, cut), (expected.map(str::to_owned).to_vec(), 0));
    let tape: &dyn Source = &tape;
    assert_eq!(tape.names("/proc"), Ok(vec!["13".to_owned()]));
    assert_eq!(tape.names("/proc/13/fd"), Ok(vec!["6".to_owned()]));
    let table = tape.text("/proc/net/tcp").expect("a table");
    assert!(table.contains(" 500 1") && !table.contains(" 501 1"), "connections are not told: {table}");
}

#[test]
fn a_tape_has_a_bound_and_firmware_comes_first() {
    let mut machine = machine();
    machine.put(Ask::File("/proc/1/mountinfo".into()), Ok(Answer::Bytes(vec![b'x'; 2 * TAPE_BYTES])));
    let Told { tape, cut } = record(&machine);
    assert_eq!(cut, 1);
    assert!(tape.to_text().len() <= TAPE_BYTES);
    assert!(tape.answer(&Ask::File(DMI.into())).is_some() && tape.answer(&Ask::Link("/proc/13/exe".into())).is_some());
}

#[test]
fn this_machines_tape_is_small_and_holds_nothing_but_the_list() {
    let Told { tape, .. } = record(&crate::source::live::Live);
    assert!(tape.to_text().len() <= TAPE_BYTES);
    for (ask, _) in tape.answers() {
        let dated = [BOOT, UPTIME].iter().any(|path| *ask == Ask::File((*path).to_owned()));
        assert!(dated || Rooted::of(ask).is_some(), "{ask:?}");
    }
}
