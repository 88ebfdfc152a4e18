use super::*;
use crate::source::live::Live;
use crate::source::tape::Tape;
use crate::source::{Answer, Ask};
use proptest::prelude::*;
use std::process::Command;

const HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

fn line(local: &str, state: &str, uid: u32, inode: u64) -> String {
    format!("   0: {local} 00000000:0000 {state} 00000000:00000000 00:00000000 00000000 {uid:5} 0 {inode} 1 ffff 100\n")
}

/// Two workers share port 80 of inode 100, two sockets share port 53, systemd holds 22 with sshd and 631 alone.
fn machine() -> Tape {
    let tcp = [
        line("00000000:0050", "0A", 0, 100),
        line("0100007F:1F90", "01", 1000, 105),
        line("0100007F:0035", "0A", 101, 103),
        line("0100007F:0035", "0A", 101, 102),
        "half a line\n".to_owned(),
    ];
    let tcp6 = [
        line("00000000000000000000000000000000:0016", "0A", 0, 110),
        line("0000000000000000FFFF00000100007F:0277", "0A", 0, 111),
    ];
    let udp = [line("FB0000E0:14E9", "07", 108, 120), line("0100007F:8000", "01", 0, 121)];
    Tape::new()
        .file("/proc/net/tcp", format!("{HEAD}{}", tcp.concat()))
        .file("/proc/net/tcp6", format!("{HEAD}{}", tcp6.concat()))
        .file("/proc/net/udp", format!("{HEAD}{}", udp.concat()))
        .dir("/proc", &["1", "1000", "999", "20", "30", "self", "net"])
        .dir("/proc/1/fd", &["3", "4"])
        .link("/proc/1/fd/3", "socket:[110]")
        .link("/proc/1/fd/4", "socket:[111]")
        .dir("/proc/20/fd", &["0", "5"])
        .link("/proc/20/fd/0", "/dev/null")
        .link("/proc/20/fd/5", "socket:[110]")
        .dir("/proc/30/fd", &["5"])
        .link("/proc/30/fd/5", "socket:[102]")
        .dir("/proc/999/fd", &["6"])
        .link("/proc/999/fd/6", "socket:[100]")
        .dir("/proc/1000/fd", &["6", "7"])
        .link("/proc/1000/fd/6", "socket:[100]")
        .link("/proc/1000/fd/7", "socket:[103]")
        .file("/proc/999/comm", "nginx\n")
        .link("/proc/999/exe", "/usr/sbin/nginx (deleted)")
        .file("/proc/30/comm", "dnsmasq\n")
        .file("/proc/20/comm", "sshd\n")
        .file("/proc/1/comm", "systemd\n")
}

#[test]
fn a_table_that_ends_among_the_listening_sockets_is_cut() {
    let listening = line("00000000:0050", "0A", 0, 100);
    let long = listening.repeat(FILE_BYTES / listening.len());
    assert!(is_cut(long.as_bytes(), 0x0a));
    let (_, shorter) = long.split_at(listening.len());
    assert!(!is_cut(format!("{shorter}{}", line("0100007F:1F90", "01", 0, 1)).as_bytes(), 0x0a), "all are there");
    assert!(!is_cut(listening.as_bytes(), 0x0a));
    let found = run(&machine().file("/proc/net/tcp", format!("{HEAD}{long}"))).expect("found");
    assert!(found.problems.iter().any(|problem| problem.detail.starts_with("more listening sockets")));
}

#[test]
fn the_walk_for_owners_has_a_bound_and_says_so() {
    // Names come in any order; the lowest are looked at.
    let busy = machine().dir("/proc/20/fd", &["10", "9", "5", "0"]).link("/proc/20/fd/9", "socket:[7]");
    let (found, problem) = owners(&busy, BTreeSet::from([110, 102, 7]), 2);
    assert_eq!(found, BTreeMap::from([(110, 20), (102, 30)]), "one process's descriptors take nothing of another's");
    let problem = problem.expect("a problem");
    let detail = "a process has more than 2 descriptors; sockets whose owners are not known: 1";
    assert_eq!((problem.why, problem.detail.as_str()), (Why::Failed, detail));
    // What has no owner is no problem where everything was looked through.
    assert_eq!(owners(&machine(), BTreeSet::from([102, 7]), 100), (BTreeMap::from([(102, 30)]), None));
}

#[test]
fn each_port_is_told_once_with_one_owner() {
    let found = run(&machine()).expect("found");
    let told: Vec<(String, Option<String>, Option<i64>)> = found
        .items
        .iter()
        .map(|item| (item.key.clone(), item.label.clone(), item.now.get("pid").and_then(|pid| pid.as_int())))
        .collect();
    let row = |key: &str, label: Option<&str>, pid| (key.to_owned(), label.map(str::to_owned), pid);
    assert_eq!(
        told,
        [
            row("tcp/0.0.0.0/80", Some("nginx"), Some(999)),
            row("tcp/127.0.0.1/53", Some("dnsmasq"), Some(30)),
            row("tcp/::/22", Some("sshd"), Some(20)),
            row("tcp/::ffff:127.0.0.1/631", Some("systemd"), Some(1)),
            row("udp/224.0.0.251/5353", None, None),
        ]
    );
    assert_eq!(found.items[0].text("executable"), Some("/usr/sbin/nginx"));
    assert_eq!(found.items[4].int("uid"), Some(108));
    // Nobody has the multicast socket, but nothing was denied either.
    assert_eq!(found.problems, [Problem::new(Why::Malformed, "/proc/net/tcp").detail("lines that are no sockets: 1")]);
}

#[test]
fn hidden_owners_are_one_problem() {
    let tape = machine().denied("/proc/30/fd").denied("/proc/999/fd").denied("/proc/1000/fd");
    let problems = run(&tape).expect("found").problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert_eq!(problems[1].detail, "sockets whose owners are not known: 4");
}

#[test]
fn half_a_list_is_none() {
    assert_eq!(run(&machine().denied("/proc/net/udp")), Err(Problem::new(Why::Denied, "/proc/net/udp")));
    assert_eq!(run(&Tape::new()), Err(Problem::new(Why::Absent, "/proc/net/tcp")));
}

#[test]
fn words_of_an_ipv6_address_are_in_host_order() {
    assert_eq!(parse_address("B80D0120000000000000000001000000"), Some("2001:db8::1".parse().expect("address")));
    assert_eq!(parse_address("B80D012000000000000000000100000é"), None);
    assert_eq!(parse_address("0100007"), None);
}

/// `ss` and this probe look in turn; what all looks of one have, all of the other must have seen in between.
#[test]
#[expect(clippy::disallowed_methods, reason = "compares with what the system's own tool says")]
fn this_machine_has_the_ports_that_ss_lists() {
    let ss = || -> Option<BTreeSet<String>> {
        let output = Command::new("ss").args(["-tulnH"]).output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.lines().filter_map(ss_key).collect())
    };
    let probe = || -> BTreeSet<String> { run(&Live).expect("found").items.into_iter().map(|item| item.key).collect() };
    let Some(first) = ss() else {
        println!("SKIP: no ss here");
        return;
    };
    let (second, third, fourth, fifth) = (probe(), ss().expect("ss"), probe(), ss().expect("ss"));
    let steady: BTreeSet<String> = first.intersection(&third).filter(|key| fifth.contains(*key)).cloned().collect();
    assert!(steady.is_subset(&second) && steady.is_subset(&fourth), "{steady:?} {second:?} {fourth:?}");
    let ours: BTreeSet<String> = second.intersection(&fourth).cloned().collect();
    assert!(ours.is_subset(&third), "{ours:?} {third:?}");
    println!("{} ports, as ss", ours.len());
}

/// `tcp LISTEN 0 128 127.0.0.1:631 0.0.0.0:*`; `*` is the address `::` that takes IPv4 too.
fn ss_key(line: &str) -> Option<String> {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (address, port) = fields.get(4)?.rsplit_once(':')?;
    let address = address.split('%').next()?.trim_matches(['[', ']']);
    let address = if address == "*" { "::" } else { address };
    Some(format!("{}/{address}/{port}", fields.first()?))
}

proptest! {
    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..400), field in "[ 0-9A-F:é]{0,60}") {
        parse(&bytes, 0x0a);
        parse_line(&field);
        parse_address(&field);
    }
}

#[test]
fn a_user_without_a_number_is_unknown_and_hidden_owners_are_denied() {
    let table = "head\n0: 0100007F:0277 00000000:0000 0A 0:0 0:0 0 65534 0 7 1\n1: 0100007F:0278 00000000:0000 0A 0:0 0:0 0 0 0 8 1\n";
    let tape = Tape::new().file("/proc/net/tcp", table).dir("/proc", &["77"]).dir("/proc/77/fd", &[]);
    let told = |tape: &Tape| {
        let found = run(tape).expect("ports");
        let uid = |item: &shared::fact::Item| item.int("uid");
        (found.items.iter().map(uid).collect::<Vec<_>>(), found.problems.first().map(|problem| problem.why))
    };
    assert_eq!(told(&tape), (vec![Some(65_534), Some(0)], None));
    let sandbox = tape.clone().file("/proc/self/uid_map", "0 0 1\n997 997 1\n").user(997);
    assert_eq!(told(&sandbox), (vec![None, Some(0)], Some(Why::Denied)));
    let whole = tape.file("/proc/self/uid_map", "0 0 4294967295\n").user(0);
    assert_eq!(told(&whole), (vec![Some(65_534), Some(0)], None));
}

/// A tape's answers, beside what a tape of root's is known by.
struct Told(Tape, Option<&'static str>);

impl Source for Told {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        self.0.get(ask)
    }

    fn told_version(&self) -> Option<String> {
        self.1.map(str::to_owned)
    }
}

/// A message as the kernel writes it (linux/inet_diag.h), with a port, a length of its queue, a user and an inode.
fn diag(port: u16, queue: u32, uid: u32, inode: u32) -> Vec<u8> {
    let mut bytes = vec![0; 88];
    for (at, field) in [(0, 88), (72, queue), (80, uid), (84, inode)] {
        bytes[at..at + 4].copy_from_slice(&field.to_ne_bytes());
    }
    bytes[20..22].copy_from_slice(&port.to_be_bytes());
    bytes
}

#[test]
fn the_mark_changes_with_sockets_and_with_who_tells_of_owners() {
    let of = |messages: &[Vec<u8>], told| mark(&Told(Tape::new().netlink(Table::Sockets, messages.concat()), told));
    let (ssh, web) = (diag(22, 0, 0, 7), diag(80, 0, 33, 8));
    let marked = of(&[ssh.clone(), web.clone()], Some("1"));
    assert!(marked.is_some());
    assert_eq!(of(&[web.clone(), ssh.clone()], Some("1")), marked, "the order is the kernel's affair");
    assert_eq!(of(&[ssh.clone(), diag(80, 9, 33, 8)], Some("1")), marked, "a queue moves all the time");
    let others =
        [vec![], vec![ssh.clone()], vec![ssh.clone(), diag(81, 0, 33, 8)], vec![ssh.clone(), diag(80, 0, 33, 9)]];
    for other in others {
        assert_ne!(of(&other, Some("1")), marked);
    }
    let all = [ssh, web];
    assert_ne!(of(&all, Some("2")), marked);
    assert_eq!(of(&all, None), None, "owners change without a sign");
    assert_eq!(mark(&Told(Tape::new(), Some("1"))), None, "a kernel that does not tell");
    assert_eq!(of(&[vec![9, 0, 0, 0, 0]], Some("1")), None);
}

#[test]
fn what_listens_shows_in_the_mark() {
    struct Here;
    impl Source for Here {
        fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
            Live.get(ask)
        }

        fn told_version(&self) -> Option<String> {
            Some(String::new())
        }
    }
    // Not every kernel has it.
    let Some(before) = mark(&Here) else { return };
    #[expect(clippy::disallowed_types, reason = "a socket to be seen")]
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let dump = Live.get(&Ask::Netlink(Table::Sockets)).expect("sockets");
    let Answer::Bytes(dump) = dump else { panic!("bytes") };
    let sockets = parse_diag(&dump).expect("whole messages");
    assert!(sockets.iter().any(|[_, id, _]| id.starts_with(&port.to_be_bytes())), "{port} is not in {before}");
}
