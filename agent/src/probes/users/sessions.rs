//! Who is logged in now: the sessions of systemd-logind, and utmp(5) where there is no logind.
//! Knows the two formats; does not know who was logged in before.

use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Sessions that are read at most.
const SESSIONS_MAX: usize = 1024;

/// Terminals and hosts by login name.
pub type Sessions = BTreeMap<String, BTreeSet<String>>;

/// Asks logind's folder, then utmp.
pub fn ask(source: &dyn Source) -> Sessions {
    const FOLDER: &str = "/run/systemd/sessions";
    let mut sessions = Sessions::new();
    let names = source.names(FOLDER).unwrap_or_default();
    // Beside each session's file lies a pipe, `<id>.ref`, whose other end logind holds.
    for name in names.iter().filter(|name| !name.ends_with(".ref")).take(SESSIONS_MAX) {
        let text = source.text(&format!("{FOLDER}/{name}")).unwrap_or_default();
        if let Some((user, place)) = parse_session(&text) {
            sessions.entry(user).or_default().insert(place);
        }
    }
    if sessions.is_empty() {
        let bytes = ["/run/utmp", "/var/run/utmp"].iter().find_map(|path| source.file(path).ok()).unwrap_or_default();
        for (user, place) in parse_utmp(&bytes) {
            sessions.entry(user).or_default().insert(place);
        }
    }
    sessions
}

fn place(terminal: &str, host: &str) -> Option<String> {
    match (terminal, host) {
        ("", "") => None,
        ("", host) => Some(host.to_owned()),
        (terminal, "") => Some(terminal.to_owned()),
        (terminal, host) => Some(format!("{terminal} from {host}")),
    }
}

/// A session's user and place; none for what is no person's (greeters, managers) or is ending.
fn parse_session(text: &str) -> Option<(String, String)> {
    let get = |name: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        value.unwrap_or("").trim_matches('"')
    };
    let people = get("CLASS").is_empty() || get("CLASS").starts_with("user");
    if !people || get("STATE") == "closing" || get("USER").is_empty() {
        return None;
    }
    let terminal = [get("TTY"), get("DISPLAY"), get("SEAT")].into_iter().find(|name| !name.is_empty()).unwrap_or("");
    let place = place(terminal, get("REMOTE_HOST")).unwrap_or_else(|| get("SERVICE").to_owned());
    (!place.is_empty()).then(|| (get("USER").to_owned(), place))
}

/// User and place of each `USER_PROCESS` of utmp(5). The C library of most 64-bit machines kept the record of
/// 32-bit ones, 384 bytes; elsewhere times are longer and make it 400. The fields wanted are at the same places.
fn parse_utmp(bytes: &[u8]) -> Vec<(String, String)> {
    const USER_PROCESS: u16 = 7;
    const TYPE_MAX: u16 = 9;
    // Either byte order: types are small.
    let kind = |record: &[u8]| match record.first_chunk::<2>() {
        Some([low, 0]) => u16::from(*low),
        Some([0, low]) => u16::from(*low),
        _ => u16::MAX,
    };
    let fits =
        |size: usize| bytes.len().is_multiple_of(size) && bytes.chunks(size).all(|record| kind(record) <= TYPE_MAX);
    let Some(size) = [384, 400].into_iter().find(|&size| fits(size)) else { return Vec::new() };
    let text = |record: &[u8], from: usize, length: usize| {
        let field = record.get(from..from + length).unwrap_or_default();
        let end = field.iter().position(|&byte| byte == 0).unwrap_or(field.len());
        String::from_utf8_lossy(field.get(..end).unwrap_or_default()).trim().to_owned()
    };
    let users = bytes.chunks(size).filter(|record| kind(record) == USER_PROCESS).take(SESSIONS_MAX);
    let told =
        users.filter_map(|record| Some((text(record, 44, 32), place(&text(record, 8, 32), &text(record, 76, 256))?)));
    told.filter(|(user, _)| !user.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;
    use proptest::prelude::*;

    fn record(size: usize, kind: u8, line: &str, user: &str, host: &str) -> Vec<u8> {
        let mut bytes = vec![0; size];
        bytes[0] = kind;
        for (from, text) in [(8, line), (44, user), (76, host)] {
            bytes[from..from + text.len()].copy_from_slice(text.as_bytes());
        }
        bytes
    }

    #[test]
    fn utmp_of_either_size() {
        for size in [384, 400] {
            let bytes = [
                record(size, 2, "~", "reboot", "6.1"),
                record(size, 7, "pts/0", "ada", "192.0.2.7"),
                record(size, 8, "pts/1", "", ""),
                record(size, 7, "tty1", "root", ""),
            ]
            .concat();
            let told = parse_utmp(&bytes);
            assert_eq!(told, [("ada".into(), "pts/0 from 192.0.2.7".into()), ("root".into(), "tty1".into())], "{size}");
        }
        assert_eq!(parse_utmp(&[7; 383]), []);
    }

    #[test]
    fn logind_knows_people_from_greeters() {
        let tape = Tape::new()
            .dir("/run/systemd/sessions", &["3", "3.ref", "c1"])
            .file(
                "/run/systemd/sessions/3",
                "UID=1000\nUSER=ada\nSTATE=active\nCLASS=user\nTTY=pts/2\nREMOTE_HOST=192.0.2.7\n",
            )
            .file("/run/systemd/sessions/c1", "UID=110\nUSER=gdm\nSTATE=active\nCLASS=greeter\nTTY=tty1\n");
        let sessions = ask(&tape);
        assert_eq!(sessions, Sessions::from([("ada".into(), BTreeSet::from(["pts/2 from 192.0.2.7".into()]))]));
        assert_eq!(parse_session("USER=ada\nSTATE=closing\nTTY=pts/2\n"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(0u8..10, 0..900), cut in 0usize..3, text in "\\PC{0,80}") {
            let size = [384, 400, 800][cut].min(bytes.len());
            parse_utmp(&bytes[..size]);
            parse_session(&text);
        }
    }
}
