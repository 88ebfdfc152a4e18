//! The text of a tape.
//!
//! ```text
//! muster-tape 1 linux                  the format's version and the operating system
//! # made on a bench                    lines with # and empty lines mean nothing
//! file /etc/hostname                   a question: file, dir, link, stat, space PATH; netlink TABLE;
//! | web1                                 command NAME; clock; user
//! file /sys/block/sda/removable        | a line of text     > the last one, without a newline at its end
//! > 0                                  = bytes in base64, where they are no text
//! file /etc/empty                      nothing: no bytes, no names
//! dir /sys/class/net                   - a name
//! - lo
//! link /sys/class/net/lo               @ what a link, stat, space, clock or user answers, on one line
//! @ ../../devices/virtual/net/lo
//! file /etc/shadow                     ! absent, ! denied, ! failed DETAIL
//! ! denied
//! stat /etc/passwd
//! @ form=f size=2031 modified=1700000000000000 uid=0 mode=644 device=8:1 inode=131
//! space /
//! @ total=1 free=1 available=1 inodes=1 inodes_free=1
//! ```
//!
//! Bytes are text when they are UTF-8 without control characters but tab and newline. In paths, names,
//! targets and details a control character is written `\u{HEX}` and a backslash `\\`. A carriage return at a
//! line's end is ignored, for the sake of tapes that went through another system's editor.

use super::{TAPE_ANSWERS, TAPE_BYTES, Tape};
use crate::source::{Answer, Ask, Command, Miss, Space, Stat, Table};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shared::limit::DATABASE_BYTES;
use shared::unit::At;
use std::fmt::Write;
use std::str::FromStr;

const MAGIC: &str = "muster-tape 1 ";
/// Bytes that one base64 line holds: 76 characters.
const LINE_BYTES: usize = 57;
const TABLES: [(Table, &str); 4] =
    [(Table::Links, "links"), (Table::Addresses, "addresses"), (Table::Routes, "routes"), (Table::Sockets, "sockets")];

/// What the lines of an answer begin with.
const MARKS: [char; 6] = ['|', '>', '=', '-', '@', '!'];

/// Why a text is no tape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct TapeError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub what: String,
}

/// As [`Tape::to_text`].
pub(super) fn to_text(tape: &Tape) -> String {
    let mut text = format!("{MAGIC}{}\n", tape.os());
    for (ask, answer) in tape.answers() {
        write_ask(&mut text, ask);
        match answer {
            Ok(answer) => write_answer(&mut text, answer),
            Err(Miss::Absent) => text.push_str("! absent\n"),
            Err(Miss::Denied) => text.push_str("! denied\n"),
            Err(Miss::Failed(detail)) => line(&mut text, "! failed", detail),
        }
    }
    text
}

/// As [`Tape::parse`].
pub(super) fn parse(text: &str) -> Result<Tape, TapeError> {
    if text.len() > TAPE_BYTES {
        return Err(error(0, "a tape has at most 256 MiB"));
    }
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).enumerate().peekable();
    let os = lines.next().and_then(|(_, first)| first.strip_prefix(MAGIC)).map(str::trim_end);
    let os = os.filter(|os| !os.is_empty() && os.bytes().all(|byte| byte.is_ascii_lowercase()));
    let mut tape = Tape::of(os.ok_or_else(|| error(0, "a tape begins with \"muster-tape 1 \" and a system's name"))?);
    let mut body = Vec::new();
    while let Some((at, head)) = lines.next() {
        if head.is_empty() || head.starts_with('#') {
            continue;
        }
        let ask = read_ask(head).map_err(|what| error(at, what))?;
        body.clear();
        while let Some(next) = lines.next_if(|(_, line)| line.starts_with(MARKS)) {
            body.push(next);
        }
        let answer = read_answer(&ask, &body).map_err(|(line, what)| error(line.unwrap_or(at), what))?;
        if tape.answer(&ask).is_some() {
            return Err(error(at, "this was answered before"));
        }
        if tape.answers.len() >= TAPE_ANSWERS {
            return Err(error(at, &format!("a tape has at most {TAPE_ANSWERS} answers")));
        }
        tape.put(ask, answer);
    }
    Ok(tape)
}

fn error(at: usize, what: &str) -> TapeError {
    TapeError { line: at + 1, what: what.to_owned() }
}

fn line(text: &mut String, mark: &str, rest: &str) {
    text.push_str(mark);
    text.push(' ');
    for c in rest.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('\n');
}

fn unescape(text: &str) -> Result<String, &'static str> {
    const BAD: &str = "a backslash is followed by another one or by u{HEX}";
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        if let Some(after) = after.strip_prefix('\\') {
            plain.push('\\');
            rest = after;
        } else {
            let (hex, after) = after.strip_prefix("u{").and_then(|after| after.split_once('}')).ok_or(BAD)?;
            plain.push(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32).ok_or(BAD)?);
            rest = after;
        }
    }
    plain.push_str(rest);
    Ok(plain)
}

fn write_ask(text: &mut String, ask: &Ask) {
    match ask {
        Ask::File(path) => line(text, "file", path),
        Ask::Dir(path) => line(text, "dir", path),
        Ask::Link(path) => line(text, "link", path),
        Ask::Stat(path) => line(text, "stat", path),
        Ask::Space(path) => line(text, "space", path),
        Ask::Netlink(table) => {
            line(text, "netlink", TABLES.iter().find(|(of, _)| of == table).map_or("", |(_, name)| *name));
        }
        Ask::Command(command) => line(text, "command", command.name()),
        Ask::Clock => text.push_str("clock\n"),
        Ask::User => text.push_str("user\n"),
    }
}

fn read_ask(head: &str) -> Result<Ask, &'static str> {
    let (verb, rest) = head.split_once(' ').unwrap_or((head, ""));
    let rest = unescape(rest)?;
    Ok(match verb {
        "file" => Ask::File(rest),
        "dir" => Ask::Dir(rest),
        "link" => Ask::Link(rest),
        "stat" => Ask::Stat(rest),
        "space" => Ask::Space(rest),
        "netlink" => Ask::Netlink(TABLES.iter().find(|(_, name)| *name == rest).ok_or("there is no such table")?.0),
        "command" => {
            Ask::Command(*Command::ALL.iter().find(|command| command.name() == rest).ok_or("there is no such command")?)
        }
        "clock" if rest.is_empty() => Ask::Clock,
        "user" if rest.is_empty() => Ask::User,
        _ => return Err("there is no such question"),
    })
}

fn write_answer(text: &mut String, answer: &Answer) {
    match answer {
        Answer::Bytes(bytes) => write_bytes(text, bytes),
        Answer::Names(names) => names.iter().for_each(|name| line(text, "-", name)),
        Answer::Target(target) => line(text, "@", target),
        Answer::Stat(stat) => {
            let Stat { form, size_bytes, modified, uid, mode, device: (major, minor), inode } = stat;
            let fields = format!(
                "form={form} size={size_bytes} modified={} uid={uid} mode={mode:o} device={major}:{minor} inode={inode}",
                modified.0
            );
            line(text, "@", &fields);
        }
        Answer::Space(space) => {
            let Space { total_bytes, free_bytes, available_bytes, inodes, inodes_free } = space;
            let fields = format!(
                "total={total_bytes} free={free_bytes} available={available_bytes} inodes={inodes} inodes_free={inodes_free}"
            );
            line(text, "@", &fields);
        }
        Answer::Clock(at) => line(text, "@", &at.0.to_string()),
        Answer::User(uid) => line(text, "@", &uid.to_string()),
    }
}

fn write_bytes(text: &mut String, bytes: &[u8]) {
    let plain = |s: &&str| !s.chars().any(|c| c.is_control() && c != '\t' && c != '\n');
    let Some(plain) = std::str::from_utf8(bytes).ok().filter(plain) else {
        for chunk in bytes.chunks(LINE_BYTES) {
            line(text, "=", &STANDARD.encode(chunk));
        }
        return;
    };
    for part in plain.split_inclusive('\n') {
        let (mark, part) = part.strip_suffix('\n').map_or(('>', part), |part| ('|', part));
        text.push(mark);
        if !part.is_empty() {
            text.push(' ');
            text.push_str(part);
        }
        text.push('\n');
    }
}

/// What is wrong, and in which line if not in the question's own.
type Wrong = (Option<usize>, &'static str);

/// Numbered lines of one answer.
type Lines<'a> = [(usize, &'a str)];

fn read_answer(ask: &Ask, lines: &Lines<'_>) -> Result<Result<Answer, Miss>, Wrong> {
    if let [(at, line)] = lines
        && let Some(miss) = line.strip_prefix("! ")
    {
        return read_miss(miss).map(Err).map_err(|what| (Some(*at), what));
    }
    let answer = match ask {
        Ask::File(_) | Ask::Netlink(_) | Ask::Command(_) => Answer::Bytes(read_bytes(lines)?),
        Ask::Dir(_) => Answer::Names(read_names(lines)?),
        Ask::Link(_) | Ask::Stat(_) | Ask::Space(_) | Ask::Clock | Ask::User => {
            let [(at, line)] = lines else { return Err((None, "its answer is one line")) };
            let value = line.strip_prefix("@ ").ok_or((Some(*at), "its answer begins with @"))?;
            read_value(ask, value).map_err(|what| (Some(*at), what))?
        }
    };
    Ok(Ok(answer))
}

fn read_miss(text: &str) -> Result<Miss, &'static str> {
    match text.split_once(' ').unwrap_or((text, "")) {
        ("absent", "") => Ok(Miss::Absent),
        ("denied", "") => Ok(Miss::Denied),
        ("failed", detail) => unescape(detail).map(Miss::Failed),
        _ => Err("what is missing is absent, denied or failed"),
    }
}

fn read_bytes(lines: &Lines<'_>) -> Result<Vec<u8>, Wrong> {
    let mut bytes = Vec::new();
    for (i, (at, line)) in lines.iter().enumerate() {
        let wrong = |what| Err((Some(*at), what));
        let mut chars = line.chars();
        let mark = chars.next();
        let rest = chars.as_str();
        // An empty line of text is its mark alone.
        let rest = rest.strip_prefix(' ').or(rest.is_empty().then_some(rest));
        match (mark, rest) {
            (Some('|'), Some(part)) => {
                bytes.extend_from_slice(part.as_bytes());
                bytes.push(b'\n');
            }
            (Some('>'), Some(part)) if i + 1 == lines.len() => bytes.extend_from_slice(part.as_bytes()),
            (Some('='), Some(part)) => match STANDARD.decode(part) {
                Ok(part) => bytes.extend_from_slice(&part),
                Err(_) => return wrong("this is no base64"),
            },
            _ => return wrong("a line of bytes begins with |, = or, as the last one, with >"),
        }
        if bytes.len() > DATABASE_BYTES {
            return wrong("an answer is at most 64 MiB");
        }
    }
    Ok(bytes)
}

fn read_names(lines: &Lines<'_>) -> Result<Vec<String>, Wrong> {
    let name = |(at, line): &(usize, &str)| {
        let name = line.strip_prefix("- ").ok_or((Some(*at), "a name begins with -"))?;
        unescape(name).map_err(|what| (Some(*at), what))
    };
    lines.iter().map(name).collect()
}

fn read_value(ask: &Ask, text: &str) -> Result<Answer, &'static str> {
    let stat = "a stat is form=C size=N modified=N uid=N mode=OCTAL device=N:N inode=N";
    let space = "space is total=N free=N available=N inodes=N inodes_free=N";
    match ask {
        Ask::Stat(_) => read_stat(text).map(Answer::Stat).ok_or(stat),
        Ask::Space(_) => read_space(text).map(Answer::Space).ok_or(space),
        Ask::Clock => text.parse().map(|us| Answer::Clock(At(us))).map_err(|_| "a time is microseconds"),
        Ask::User => text.parse().map(Answer::User).map_err(|_| "a user is a number"),
        _ => unescape(text).map(Answer::Target),
    }
}

fn read_stat(text: &str) -> Option<Stat> {
    let mut fields = text.split(' ');
    let stat = Stat {
        form: field::<char>(fields.next(), "form=").filter(|form| "fdbcsp?".contains(*form))?,
        size_bytes: field(fields.next(), "size=")?,
        modified: At(field(fields.next(), "modified=")?),
        uid: field(fields.next(), "uid=")?,
        mode: u32::from_str_radix(fields.next()?.strip_prefix("mode=")?, 8).ok()?,
        device: {
            let (major, minor) = fields.next()?.strip_prefix("device=")?.split_once(':')?;
            (major.parse().ok()?, minor.parse().ok()?)
        },
        inode: field(fields.next(), "inode=")?,
    };
    fields.next().is_none().then_some(stat)
}

fn read_space(text: &str) -> Option<Space> {
    let mut fields = text.split(' ');
    let space = Space {
        total_bytes: field(fields.next(), "total=")?,
        free_bytes: field(fields.next(), "free=")?,
        available_bytes: field(fields.next(), "available=")?,
        inodes: field(fields.next(), "inodes=")?,
        inodes_free: field(fields.next(), "inodes_free=")?,
    };
    fields.next().is_none().then_some(space)
}

fn field<T: FromStr>(text: Option<&str>, name: &str) -> Option<T> {
    text?.strip_prefix(name)?.parse().ok()
}
