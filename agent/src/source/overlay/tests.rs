use super::*;
use crate::source::Space;
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;

const DMI: &str = "/sys/firmware/dmi/tables/DMI";
const TCP: &str = "/proc/net/tcp";

/// What a service in its sandbox can see.
fn live() -> Tape {
    Tape::new()
        .file(BOOT, "b007\n")
        .file(UPTIME, "5000.25 9.00\n")
        .file(UID_MAP, "         0          0          1\n")
        .denied(DMI)
        .denied("/root/.ssh/id_rsa")
        .dir("/proc", &["77", "self", "stat"])
        .file(OWN_MOUNTS, "91 80 8:1 / / ro,nosuid - ext4 /dev/sda1 rw\n92 91 8:4 / /new rw - ext4 /dev/sda4 rw\n")
        .file(TCP, "head\n0: 0100007F:0277 00000000:0000 0A 0:0 0:0 0 65534 0 7 1\n")
}

/// What root tells, made at 4000 s of this boot.
fn roots() -> Tape {
    Tape::new()
        .file(BOOT, "b007\n")
        .file(UPTIME, "4000.00 9.00\n")
        .file(DMI, "table")
        .file("/root/.ssh/id_rsa", "key")
        .file("/etc/hostname", "other")
        .file("/proc/1/mountinfo", "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n")
        .dir("/proc", &["12"])
        .link("/proc/12/exe", "/usr/sbin/webd")
        .file(TCP, "head\n0: 0100007F:0277 00000000:0000 0A 0:0 0:0 0 33 0 7 1\n")
        .space("/closed", Space { total_bytes: 9, free_bytes: 8, available_bytes: 7, inodes: 6, inodes_free: 5 })
}

/// An overlay whose file is root's, if we can make one.
fn over(live: impl Source + 'static, file: &Path, text: &str) -> Option<Overlay> {
    fs::write(file, text).expect("written");
    fs::set_permissions(file, fs::Permissions::from_mode(0o640)).expect("a mode");
    if !rustix::process::geteuid().is_root() {
        println!("skipped: only root can make a tape of root's");
        return None;
    }
    Some(Overlay::new(Box::new(live), file.to_owned()))
}

#[test]
fn root_tells_what_is_listed_and_the_machine_everything_else() {
    let dir = tempfile::tempdir().expect("a folder");
    let Some(overlay) = over(live(), &dir.path().join("root.tape"), &roots().to_text()) else { return };
    let source: &dyn Source = &overlay;
    assert_eq!(source.file(DMI), Ok(b"table".to_vec()));
    assert_eq!(source.space("/closed").map(|space| space.total_bytes), Ok(9));
    assert_eq!(source.link("/proc/12/exe").as_deref(), Ok("/usr/sbin/webd"));
    assert_eq!(source.names("/proc").expect("names"), ["12", "77", "self", "stat"]);
    assert_eq!(
        source.text("/proc/1/mountinfo").as_deref(),
        Ok("91 80 8:1 / / rw - ext4 /dev/sda1 rw\n92 91 8:4 / /new rw - ext4 /dev/sda4 rw")
    );
    assert!(source.text(TCP).is_ok_and(|table| table.contains(" 0 33 0 7 1")));
    // Whatever is on the tape besides.
    assert_eq!(source.file("/root/.ssh/id_rsa"), Err(Miss::Denied));
    assert_eq!(source.file("/etc/hostname"), Err(Miss::Absent));
    assert!(source.is_whole());
    // What can be read is not taken from an hour ago.
    let open = live().file(DMI, "newer").file("/proc/1/mountinfo", "now\n").dir("/proc", &["1", "77"]);
    let open = open.file(UID_MAP, "0 0 4294967295\n");
    let open = Overlay::new(Box::new(open), dir.path().join("root.tape"));
    let source: &dyn Source = &open;
    assert_eq!(source.file(DMI), Ok(b"newer".to_vec()));
    assert_eq!(source.text("/proc/1/mountinfo").as_deref(), Ok("now"));
    assert_eq!(source.names("/proc").expect("names"), ["1", "77"]);
    assert!(source.text(TCP).is_ok_and(|table| table.contains(" 65534 ")));
}

#[test]
fn a_tape_that_is_no_good_is_as_none() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("root.tape");
    let at = |uptime: &str| roots().file(UPTIME, uptime).to_text();
    let cut = roots().to_text().replace("muster-tape 1", "muster-tape 9");
    for (text, why) in [
        (roots().file(BOOT, "other\n").to_text(), "of another boot"),
        (roots().denied(BOOT).to_text(), "of another boot"),
        (at("-6000.00 1.00\n"), "older than three hours"),
        (at("5001.00 1.00\n"), "older than three hours"),
        (at("soon\n"), "does not say when"),
        (at("NaN 1\n"), "does not say when"),
        (cut, "line 1"),
        (String::new(), "line 1"),
        ("muster-tape 1 linux\nfile /x\n= %%%\n".to_owned(), "line 3"),
        (" ".repeat(TAPE_BYTES + 1), "larger than"),
    ] {
        let Some(overlay) = over(live(), &file, &text) else { return };
        assert_eq!(overlay.get(&Ask::File(DMI.to_owned())), Err(Miss::Denied), "{why}");
        assert!(!overlay.is_whole());
        let said = overlay.said.borrow().clone().unwrap_or_default();
        assert!(said.contains(why), "{said}, not {why}");
    }
    fs::write(&file, [0xff, 0xfe]).expect("written");
    assert_eq!(read::tape(&file), Err("it is no text".to_owned()));
}

#[test]
fn a_tape_is_only_roots_and_reached_through_no_link() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("root.tape");
    if over(live(), &file, &roots().to_text()).is_none() {
        return;
    }
    assert!(read::tape(&file).is_ok_and(|tape| tape.is_some()));
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(&file, &link).expect("a link");
    assert_eq!(read::tape(&link), Err("it is a link".to_owned()));
    for mode in [0o660, 0o642] {
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).expect("a mode");
        assert_eq!(read::tape(&file), Err("others than root can write to it".to_owned()), "{mode:o}");
    }
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("a mode");
    std::os::unix::fs::chown(&file, Some(12_345), None).expect("given away");
    assert_eq!(read::tape(&file), Err("others than root can write to it".to_owned()));
    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).expect("a pipe");
    assert_eq!(read::tape(&pipe), Err("it is no regular file".to_owned()));
    assert_eq!(read::tape(&dir.path().join("none")), Ok(None));
}

#[test]
fn a_tape_is_read_once_for_a_look_and_let_go_after_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("root.tape");
    let Some(overlay) = over(live(), &file, &roots().to_text()) else { return };
    assert!(overlay.held.borrow().is_none(), "nothing was wanted of it");
    let source: &dyn Source = &overlay;
    assert_eq!(source.file("/etc/hostname"), Err(Miss::Absent));
    assert!(overlay.held.borrow().is_none(), "nor was it for what is not on the list");
    assert_eq!(source.file(DMI), Ok(b"table".to_vec()));
    fs::write(&file, roots().file(DMI, "new").to_text()).expect("written");
    assert_eq!(source.file(DMI), Ok(b"table".to_vec()), "one look is of one tape");
    source.rest();
    assert!(overlay.held.borrow().is_none());
    assert_eq!(source.file(DMI), Ok(b"new".to_vec()));
}

/// Counts how often it is asked for its mounts.
struct Counted(Tape, Rc<Cell<u32>>);

impl Source for Counted {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        if matches!(ask, Ask::File(path) if path == OWN_MOUNTS) {
            self.1.set(self.1.get() + 1);
        }
        self.0.get(ask)
    }
}

#[test]
fn mounts_are_kept_until_they_or_the_tape_may_differ() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("root.tape");
    let (count, differ) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(true)));
    let Some(overlay) = over(Counted(live(), count.clone()), &file, &roots().to_text()) else { return };
    let asked = differ.clone();
    let overlay = overlay.keep_mounts(move || asked.get());
    let look = |source: &dyn Source| {
        let mounts = source.text("/proc/1/mountinfo").expect("mounts");
        source.rest();
        (mounts.split(' ').nth(5).map(str::to_owned), count.get())
    };
    assert_eq!(look(&overlay), (Some("rw".to_owned()), 1));
    differ.set(false);
    assert_eq!(look(&overlay), (Some("rw".to_owned()), 1));
    let other = roots().file("/proc/1/mountinfo", "21 1 8:1 / / ro,sync - ext4 /dev/sda1 rw\n").to_text();
    let next = dir.path().join("next");
    fs::write(&next, other).expect("written");
    fs::rename(&next, &file).expect("put in place");
    assert_eq!(look(&overlay), (Some("ro,sync".to_owned()), 2));
    assert_eq!(look(&overlay), (Some("ro,sync".to_owned()), 2));
    differ.set(true);
    assert_eq!(look(&overlay), (Some("ro,sync".to_owned()), 3));
    differ.set(false);
    overlay.renew();
    assert_eq!(look(&overlay), (Some("ro,sync".to_owned()), 4));
}

#[test]
fn the_namespaces_own_mounts_are_read_once_for_a_look() {
    let dir = tempfile::tempdir().expect("a folder");
    let count = Rc::new(Cell::new(0));
    let overlay = Overlay::new(Box::new(Counted(live(), count.clone())), dir.path().join("none"));
    let source: &dyn Source = &overlay;
    let first = source.file(OWN_MOUNTS);
    assert!(first.is_ok() && first == source.file(OWN_MOUNTS));
    assert_eq!(count.get(), 1);
    source.rest();
    assert_eq!((source.file(OWN_MOUNTS), count.get()), (first, 2));
}
