use super::*;
use crate::source::Command;
use std::os::unix::fs::PermissionsExt;

fn text(path: &std::path::Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[test]
fn files_of_every_kind_are_read_whole() {
    let dir = tempfile::tempdir().expect("a folder");
    for size in [0, 1, READ_BYTES - 1, READ_BYTES, READ_BYTES + 1, FILE_BYTES] {
        let path = dir.path().join("file");
        std::fs::write(&path, vec![b'x'; size]).expect("written");
        assert_eq!((&Live as &dyn Source).file(text(&path)).map(|bytes| bytes.len()), Ok(size));
    }
    // procfs says that it is 0 bytes long, and gives it in pieces.
    let maps = (&Live as &dyn Source).text("/proc/self/status").expect("status");
    assert!(maps.starts_with("Name:") && maps.contains("nonvoluntary_ctxt_switches"), "{maps}");
}

#[test]
fn what_is_too_large_or_no_file_is_refused() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("large");
    std::fs::File::create(&path).and_then(|file| file.set_len(FILE_BYTES as u64 + 1)).expect("made");
    let source: &dyn Source = &Live;
    assert_eq!(source.file(text(&path)), Err(Miss::Failed("it is larger than the limit of 1048576 bytes".to_owned())));
    let long = ["/var/lib/dpkg/status", "/proc/cpuinfo", "/proc/1/mountinfo", "/proc/self/mountinfo"];
    assert_eq!(long.map(limit_of), [DATABASE_BYTES; 4]);

    let pipe = dir.path().join("pipe");
    rustix::fs::mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
    assert_eq!(source.file(text(&pipe)), Err(Miss::Failed("it is no regular file but a pipe".to_owned())));
    assert_eq!(source.stat(text(&pipe)).map(|stat| stat.form), Ok('p'));
    assert_eq!(source.file("/dev/zero"), Err(Miss::Failed("it is no regular file but a character device".to_owned())));
    assert_eq!(source.file("/etc"), Err(Miss::Failed("it is no regular file but a folder".to_owned())));
    assert_eq!(source.file("etc/passwd"), Err(Miss::Failed("the path is not absolute".to_owned())));
    assert_eq!(source.file("/etc/\0"), Err(Miss::Failed(Errno::INVAL.to_string())));
}

#[test]
fn absent_denied_and_failed_differ() {
    let source: &dyn Source = &Live;
    assert_eq!(source.file("/nowhere"), Err(Miss::Absent));
    assert_eq!(source.file("/etc/passwd/below"), Err(Miss::Absent));
    assert_eq!(source.names("/nowhere"), Err(Miss::Absent));
    assert_eq!(source.link("/nowhere"), Err(Miss::Absent));
    assert_eq!(source.link("/etc/passwd"), Err(Miss::Failed("it is no symbolic link".to_owned())));
    assert_eq!([Errno::NODEV, Errno::NXIO].map(miss), [Miss::Absent, Miss::Absent]);
    assert_eq!([Errno::ACCESS, Errno::PERM].map(miss), [Miss::Denied, Miss::Denied]);
    assert_eq!(miss(Errno::IO), Miss::Failed(Errno::IO.to_string()));
}

#[test]
fn what_a_user_plants_neither_holds_nor_leads_root() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name);
    let source: &dyn Source = &Live;
    std::fs::write(at("secret"), "precious").expect("written");
    std::fs::set_permissions(at("secret"), std::fs::Permissions::from_mode(0o600)).expect("a mode");
    std::fs::create_dir(at("folder")).expect("made");
    std::fs::File::create(at("sparse")).and_then(|file| file.set_len(1 << 40)).expect("a huge file");
    rustix::fs::mkfifoat(CWD, at("pipe"), Mode::RUSR | Mode::WUSR).expect("a pipe");
    for (name, target) in
        [("link", "secret"), ("door", "folder"), ("to-pipe", "pipe"), ("a", "b"), ("b", "a"), ("deep", "deep/x")]
    {
        std::os::unix::fs::symlink(target, at(name)).expect("a link");
    }
    let began = std::time::Instant::now();
    let failed = |miss: Result<Vec<u8>, Miss>| matches!(miss, Err(Miss::Failed(_)));
    for name in ["sparse", "pipe", "to-pipe", "a", "b", "deep"] {
        assert!(failed(source.file(text(&at(name)))), "{name}");
    }
    for name in ["a", "deep"] {
        assert!(matches!(source.names(text(&at(name))), Err(Miss::Failed(_))), "{name}");
    }
    assert!(began.elapsed().as_secs() < 5, "something waited");
    // Our own links are followed.
    assert_eq!(source.file(text(&at("link"))), Ok(b"precious".to_vec()));
    assert_eq!(source.names(text(&at("door"))), Ok(Vec::new()));
    if source.user() != Ok(0) {
        return println!("skipped: only root can be led by another user's link");
    }
    for name in ["link", "door"] {
        std::os::unix::fs::lchown(at(name), Some(12_345), None).expect("given away");
    }
    let led = "it is a link that user 12345 made".to_owned();
    assert_eq!(source.file(text(&at("link"))), Err(Miss::Failed(led.clone())));
    assert_eq!(source.names(text(&at("door"))), Err(Miss::Failed(led)));
}

#[test]
fn of_a_long_table_the_first_whole_lines_are_read() {
    let whole = std::fs::read("/proc/self/smaps").expect("a long file");
    let lines = head("/proc/self/smaps", 10_000).expect("its head");
    assert!(whole.len() > 20_000 && (9_000..=10_000).contains(&lines.len()), "{} of {}", lines.len(), whole.len());
    assert!(lines.ends_with(b"\n"));
    assert_eq!(head("/proc/self/comm", 10_000), Ok(std::fs::read("/proc/self/comm").expect("a name")));
}

#[test]
fn names_are_sorted_and_links_read_as_written() {
    let dir = tempfile::tempdir().expect("a folder");
    for name in ["b", "a", ".c"] {
        std::fs::write(dir.path().join(name), "").expect("written");
    }
    std::os::unix::fs::symlink("../somewhere", dir.path().join("link")).expect("a link");
    let source: &dyn Source = &Live;
    assert_eq!(source.names(text(dir.path())).expect("names"), [".c", "a", "b", "link"]);
    assert_eq!(source.link(text(&dir.path().join("link"))), Ok("../somewhere".to_owned()));
}

#[test]
fn a_stat_tells_form_size_time_and_owner() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("file");
    std::fs::write(&path, "12345").expect("written");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("a mode");
    let modified = std::time::UNIX_EPOCH + std::time::Duration::from_micros(1_700_000_000_250_000);
    std::fs::File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("a time");
    let source: &dyn Source = &Live;
    let stat = source.stat(text(&path)).expect("a stat");
    let uid = source.user().expect("a user");
    assert_eq!((stat.form, stat.size_bytes, stat.mode, stat.uid), ('f', 5, 0o640, uid));
    assert_eq!(stat.modified, At(1_700_000_000_250_000));
    assert_ne!(stat.inode, 0);
}

#[test]
fn space_clock_and_commands_answer() {
    let source: &dyn Source = &Live;
    let space = source.space("/").expect("space");
    assert!(space.total_bytes >= space.free_bytes && space.free_bytes >= space.available_bytes, "{space:?}");
    assert!(source.clock().expect("a time") > At::from_secs(1_700_000_000));
    // Whether systemd runs here is not this test's matter: any answer is one.
    if let Err(miss) = source.command(Command::SystemctlUnits) {
        assert_ne!(miss, Miss::Denied);
    }
}
