use super::*;

/// Calls one after the other, each on a line of its own.
fn after(ops: Vec<Op>) -> Disk {
    let mut disk = Disk::new(&[Path::new("/d")]);
    for (line, op) in ops.into_iter().enumerate() {
        let call = Call { op, began: line, ended: Some(line) };
        disk.begin(line, &call).expect("begun");
        disk.end(line, &call, line).expect("ended");
    }
    disk
}

fn open(path: &str, fd: i32) -> Op {
    Op::Open { path: path.into(), fd, creates: true, empties: false, appends: false }
}

fn dir() -> Op {
    Op::Open { path: "/d".into(), fd: 9, creates: false, empties: false, appends: false }
}

fn write(fd: i32, offset: u64, data: &[u8]) -> Op {
    Op::Write { fd, offset: Some(offset), data: data.to_vec() }
}

fn file(files: &Files, path: &str) -> Option<Vec<u8>> {
    files.get(Path::new(path)).cloned().flatten()
}

#[test]
fn only_what_was_synced_is_sure_and_a_name_needs_its_directory() {
    let none = |disk: &Disk| disk.cut(Pattern::None, &mut Dice::new(1));
    let bytes_only = after(vec![open("/d/a", 3), write(3, 0, b"one"), Op::Sync { fd: 3 }]);
    assert_eq!(file(&none(&bytes_only), "/d/a"), None);
    let both = || vec![open("/d/a", 3), write(3, 0, b"one"), Op::Sync { fd: 3 }, dir(), Op::Sync { fd: 9 }];
    let more = |ops: Vec<Op>| after(both().into_iter().chain(ops).collect());
    assert_eq!(file(&none(&after(both())), "/d/a").as_deref(), Some(&b"one"[..]));
    let unsynced = more(vec![write(3, 0, b"TWO"), Op::Rename { from: "/d/a".into(), to: "/d/b".into() }]);
    let files = none(&unsynced);
    assert_eq!((file(&files, "/d/a").as_deref(), file(&files, "/d/b")), (Some(&b"one"[..]), None));
    let mut seen: Vec<_> = (0..64).map(|seed| unsynced.cut(Pattern::Subset, &mut Dice::new(seed))).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 4, "each of two by itself");
}

#[test]
fn a_sync_that_began_before_a_write_ended_says_nothing_of_it() {
    let mut disk = after(vec![open("/d/a", 3), dir(), Op::Sync { fd: 9 }]);
    let sync = Call { op: Op::Sync { fd: 3 }, began: 3, ended: Some(5) };
    let written = Call { op: write(3, 0, b"one"), began: 4, ended: Some(4) };
    disk.begin(3, &sync).expect("begun");
    disk.begin(4, &written).expect("begun");
    disk.end(4, &written, 4).expect("ended");
    disk.end(3, &sync, 5).expect("ended");
    let files = disk.cut(Pattern::None, &mut Dice::new(1));
    assert_eq!(file(&files, "/d/a").as_deref(), Some(&b""[..]));
}

#[test]
fn a_torn_write_ends_at_a_sector() {
    let disk = after(vec![open("/d/a", 3), dir(), Op::Sync { fd: 9 }, write(3, 256, &[7; 1024])]);
    let mut lengths: Vec<usize> = (0..200)
        .filter_map(|seed| file(&disk.cut(Pattern::Torn, &mut Dice::new(seed)), "/d/a"))
        .map(|content| content.len())
        .collect();
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths, [0, 256, 512, 1024, 1280]);
    // Within one sector nothing is torn.
    let small = after(vec![open("/d/a", 3), dir(), Op::Sync { fd: 9 }, write(3, 10, &[7; 100])]);
    assert!((0..50).all(|seed| {
        let content = file(&small.cut(Pattern::Torn, &mut Dice::new(seed)), "/d/a").expect("there");
        content.iter().all(|&byte| byte == 0) || content.len() == 110
    }));
}
