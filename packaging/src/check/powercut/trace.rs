//! What strace wrote, as calls on the files of one directory. Pure.
//!
//! The order of its lines is an order in which everything may have happened: strace handles one stop at a time, and
//! a call that is on one line began and ended with nothing between. Knows the calls that SQLite and the standard
//! library make; any other that changes a file of the directory is an error, because a replay would be wrong.
//! Does not know what a power cut leaves of them.

use anyhow::{Context, Result, bail, ensure};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The calls to be traced, for `strace -e`.
pub(in crate::check) const CALLS: &str = "trace=openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,lseek,\
    fdatasync,fsync,ftruncate,truncate,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,rmdir,link,linkat,\
    symlink,symlinkat,fallocate,mmap,msync,sync_file_range,copy_file_range,sendfile";

/// Strings of a trace are never cut: more than any write, in bytes.
pub(in crate::check) const STRING_BYTES: &str = "4194304";

/// One call that succeeded, or was still going on when the trace ended.
#[derive(Debug, PartialEq)]
pub(in crate::check) struct Call {
    pub(in crate::check) op: Op,
    pub(in crate::check) began: usize,
    pub(in crate::check) ended: Option<usize>,
}

/// What it does.
#[derive(Debug, PartialEq)]
pub(in crate::check) enum Op {
    /// A file, made where `creates`, emptied where `empties`.
    Open { path: PathBuf, fd: i32, creates: bool, empties: bool, appends: bool },
    /// Bytes at a place, or at the descriptor's own.
    Write { fd: i32, offset: Option<u64>, data: Vec<u8> },
    /// The descriptor's place from now on.
    Seek { fd: i32, to: u64 },
    /// A file's length.
    Cut { fd: i32, bytes: u64 },
    /// All of a file, or of a directory, to the disk.
    Sync { fd: i32 },
    /// A name for another.
    Rename { from: PathBuf, to: PathBuf },
    /// A name that goes.
    Remove { path: PathBuf },
    /// A directory.
    MakeDir { path: PathBuf },
}

/// A whole trace.
#[derive(Debug, Default)]
pub(in crate::check) struct Trace {
    /// By when they began.
    pub(in crate::check) calls: Vec<Call>,
    /// When each line was written, in microseconds of the system's clock.
    pub(in crate::check) times: Vec<u64>,
}

/// Reads a trace. Only what lies in `root` counts; what `skips` is left out.
///
/// # Errors
/// A line that is not understood, or a call that a replay could not repeat.
pub(in crate::check) fn parse<'a>(
    lines: impl Iterator<Item = Result<String>> + 'a,
    root: &Path,
    skips: impl Fn(&Path) -> bool,
) -> Result<Trace> {
    let mut trace = Trace::default();
    let mut open: HashMap<String, (usize, String)> = HashMap::new();
    let ours = |path: &Path| path.starts_with(root) && !skips(path);
    for (number, line) in lines.enumerate() {
        let line = line?;
        let (pid, rest) = line.split_once(' ').context("a line without a process")?;
        let (time, rest) =
            rest.trim_start().split_once(' ').with_context(|| format!("a line without a time: {line}"))?;
        trace.times.push(micros(time)?);
        if rest.starts_with("---") || rest.starts_with("+++") {
            continue;
        }
        let (text, began) = if let Some(rest) = rest.strip_prefix("<... ") {
            let (_, end) = rest.split_once("resumed>").context("resumed")?;
            let (began, start) = open.remove(pid).context("a call that never began")?;
            (start + end, began)
        } else if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid.to_owned(), (number, start.to_owned()));
            continue;
        } else {
            (rest.to_owned(), number)
        };
        let op = op(&text, &ours).with_context(|| text.chars().take(300).collect::<String>())?;
        trace.calls.extend(op.map(|op| Call { op, began, ended: Some(number) }));
    }
    for (began, start) in open.into_values() {
        // It may have done some of its work: what it writes may be there or not.
        let op = op(&format!("{start}) = ?"), &ours)?;
        trace.calls.extend(op.map(|op| Call { op, began, ended: None }));
    }
    trace.calls.sort_by_key(|call| call.began);
    Ok(trace)
}

fn micros(time: &str) -> Result<u64> {
    let (seconds, fraction) = time.split_once('.').context("a time")?;
    ensure!(fraction.len() == 6, "a time in microseconds: {time}");
    Ok(seconds.parse::<u64>()? * 1_000_000 + fraction.parse::<u64>()?)
}

/// A call, if it changes a file that counts or its order.
fn op(text: &str, ours: &impl Fn(&Path) -> bool) -> Result<Option<Op>> {
    let (name, rest) = text.split_once('(').context("a call")?;
    let (args, result) = rest.rsplit_once(" = ").context("a result")?;
    let args = args.trim_end().strip_suffix(')').context("its end")?;
    if result.starts_with("-1 ") {
        return Ok(None);
    }
    let done = result.split(|c: char| !c.is_ascii_digit()).next().and_then(|n| n.parse::<u64>().ok());
    let args: Vec<&str> = args.split(", ").collect();
    let arg = |at: usize| args.get(at).copied().with_context(|| format!("argument {at}"));
    match name {
        "open" | "openat" | "creat" => {
            let first = usize::from(name == "openat");
            let path = path_at(&args, 0, name == "openat")?;
            let flags = args.get(first + 1).copied().unwrap_or_default();
            let has = |flag: &str| flags.split('|').any(|found| found == flag) || name == "creat";
            // One that was never answered made nothing that anything is written to.
            let Some(fd) = done.filter(|_| ours(&path)) else { return Ok(None) };
            let (creates, empties, appends) = (has("O_CREAT"), has("O_TRUNC"), flags.contains("O_APPEND"));
            Ok(Some(Op::Open { path, fd: i32::try_from(fd)?, creates, empties, appends }))
        }
        "mmap" => {
            let file = arg(4)?.contains('<').then(|| descriptor(arg(4)?)).transpose()?;
            let written = arg(2)?.contains("PROT_WRITE") && arg(3)?.contains("MAP_SHARED");
            match file.filter(|(_, path)| written && ours(path)) {
                Some((_, path)) => bail!("{} is written through memory", path.display()),
                None => Ok(None),
            }
        }
        "rename" | "renameat" | "renameat2" => {
            let at = name.starts_with("renameat");
            let (from, to) = (path_at(&args, 0, at)?, path_at(&args, if at { 2 } else { 1 }, at)?);
            Ok((ours(&from) && ours(&to) && done.is_some()).then_some(Op::Rename { from, to }))
        }
        "unlink" | "unlinkat" | "rmdir" | "mkdir" | "mkdirat" => {
            let path = path_at(&args, 0, name.ends_with("at"))?;
            let gone = !name.starts_with("mkdir");
            let op = |path| if gone { Op::Remove { path } } else { Op::MakeDir { path } };
            Ok((ours(&path) && done.is_some()).then(|| op(path)))
        }
        _ => on_descriptor(name, &args, done, ours),
    }
}

fn on_descriptor(name: &str, args: &[&str], done: Option<u64>, ours: &impl Fn(&Path) -> bool) -> Result<Option<Op>> {
    let arg = |at: usize| args.get(at).copied().with_context(|| format!("argument {at}"));
    if !arg(0)?.contains('<') {
        return Ok(None);
    }
    let (fd, path) = descriptor(arg(0)?)?;
    if !ours(&path) {
        return Ok(None);
    }
    Ok(match name {
        "write" | "pwrite64" => {
            let mut data = string(arg(1)?)?;
            data.truncate(done.map_or(Ok(data.len()), usize::try_from)?);
            let offset = (name == "pwrite64").then(|| arg(3)?.parse().context("an offset")).transpose()?;
            Some(Op::Write { fd, offset, data })
        }
        "lseek" => done.map(|to| Op::Seek { fd, to }),
        "ftruncate" => Some(Op::Cut { fd, bytes: arg(1)?.parse().context("a length")? }),
        "fsync" | "fdatasync" => done.map(|_| Op::Sync { fd }),
        other => bail!("{other} on {} is not known here", path.display()),
    })
}

/// `9<\x2f…>` with or without `(deleted)` behind it.
fn descriptor(arg: &str) -> Result<(i32, PathBuf)> {
    let (fd, rest) = arg.split_once('<').context("a descriptor")?;
    let (path, _) = rest.split_once('>').context("its path")?;
    Ok((fd.parse().context("its number")?, path_of(bytes(path)?)))
}

/// The path that begins with this argument: with `at`, below the directory that stands before it.
fn path_at(args: &[&str], first: usize, at: bool) -> Result<PathBuf> {
    let arg = |number: usize| args.get(number).copied().context("a path");
    if !at {
        return Ok(path_of(string(arg(first)?)?));
    }
    let (_, below) = arg(first)?.split_once('<').context("a directory")?;
    let (below, _) = below.split_once('>').context("a directory")?;
    Ok(path_of(bytes(below)?).join(path_of(string(arg(first + 1)?)?)))
}

fn path_of(bytes: Vec<u8>) -> PathBuf {
    use std::os::unix::ffi::OsStringExt;
    std::ffi::OsString::from_vec(bytes).into()
}

/// `"\x41…"`, whole.
fn string(arg: &str) -> Result<Vec<u8>> {
    ensure!(!arg.ends_with("..."), "a string that was cut");
    bytes(arg.strip_prefix('"').and_then(|arg| arg.strip_suffix('"')).context("a string")?)
}

/// `\x41…`; a plain text, such as `socket:[1]`, as it is.
fn bytes(text: &str) -> Result<Vec<u8>> {
    if !text.starts_with("\\x") {
        return Ok(text.as_bytes().to_vec());
    }
    let digit = |c: u8| char::from(c).to_digit(16).and_then(|n| u8::try_from(n).ok()).context("hexadecimal");
    text.as_bytes()
        .chunks(4)
        .map(|chunk| match chunk {
            [b'\\', b'x', high, low] => Ok(digit(*high)? << 4 | digit(*low)?),
            _ => bail!("not a string of strace -xx"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Trace> {
        parse(text.lines().map(|line| Ok(line.to_owned())), Path::new("/d"), |path| path.ends_with("skip"))
    }

    const FILE: &str = r"\x2f\x64\x2f\x61"; // /d/a

    #[test]
    fn calls_that_overlap_begin_and_end_on_their_lines() {
        let trace = read(&format!(
            "7  1.000001 openat(AT_FDCWD<\\x2f>, \"{FILE}\", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5<{FILE}>\n\
             7  1.000002 pwrite64(5<{FILE}>, \"\\x41\\x42\", 2, 16 <unfinished ...>\n\
             8  1.000003 write(9<\\x2f\\x65>, \"\\x41\", 1) = 1\n\
             7  1.000004 <... pwrite64 resumed>)          = 1\n\
             7  1.000005 fdatasync(5<{FILE}> <unfinished ...>\n\
             8  1.000006 +++ killed by SIGKILL +++\n"
        ));
        let trace = trace.expect("a trace");
        let open = Op::Open { path: "/d/a".into(), fd: 5, creates: true, empties: false, appends: false };
        let write = Op::Write { fd: 5, offset: Some(16), data: vec![0x41] };
        assert_eq!(
            trace.calls,
            [Call { op: open, began: 0, ended: Some(0) }, Call { op: write, began: 1, ended: Some(3) }],
            "a sync without an end is none"
        );
        assert_eq!((trace.times.len(), trace.times[5]), (6, 1_000_006));
    }

    #[test]
    fn what_failed_is_left_out_and_what_cannot_be_repeated_is_an_error() {
        let failed = format!("7 1.000001 ftruncate(5<{FILE}>, 0) = -1 EIO (Input/output error)\n");
        assert_eq!(read(&failed).expect("a trace").calls, []);
        for call in [
            format!("writev(5<{FILE}>, [{{iov_base=\"\\x41\", iov_len=1}}], 1) = 1"),
            format!("mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_SHARED, 5<{FILE}>, 0) = 0x7f0"),
            format!("write(5<{FILE}>, \"\\x41\"..., 9) = 9"),
        ] {
            assert!(read(&format!("7 1.000001 {call}\n")).is_err(), "{call}");
        }
    }
}
