//! Reads the forms in which others keep a machine's files, and lays them in a folder: Perl's data dumps
//! (GLPI Agent's storages) and node_exporter's text archives.

use std::os::unix::fs::symlink;
use std::path::Path;

/// A value of a Perl dump: text, a list or a hash.
pub enum Perl {
    Text(Vec<u8>),
    List(Vec<Perl>),
    Hash(Vec<(Vec<u8>, Perl)>),
}

impl Perl {
    /// Reads one value; what follows it stays.
    pub fn parse(rest: &mut &[u8]) -> Perl {
        skip(rest);
        match next(rest) {
            b'{' => {
                let mut hash = Vec::new();
                while !closed(rest, b'}') {
                    let Perl::Text(key) = Perl::parse(rest) else { panic!("a key is text") };
                    skip(rest);
                    assert_eq!((next(rest), next(rest)), (b'=', b'>'));
                    hash.push((key, Perl::parse(rest)));
                }
                Perl::Hash(hash)
            }
            b'[' => {
                let mut list = Vec::new();
                while !closed(rest, b']') {
                    list.push(Perl::parse(rest));
                }
                Perl::List(list)
            }
            b'\'' => {
                let mut text = Vec::new();
                loop {
                    match next(rest) {
                        b'\'' => return Perl::Text(text),
                        b'\\' => text.push(next(rest)),
                        byte => text.push(byte),
                    }
                }
            }
            first => {
                let mut text = vec![first];
                while rest.first().is_some_and(u8::is_ascii_alphanumeric) {
                    text.push(next(rest));
                }
                Perl::Text(text)
            }
        }
    }

    /// The value of a key.
    pub fn get(&self, wanted: &str) -> Option<&Perl> {
        match self {
            Perl::Hash(hash) => hash.iter().find(|(key, _)| key == wanted.as_bytes()).map(|(_, value)| value),
            _ => None,
        }
    }

    /// Hashes become folders, text files, and `['link', target]` links.
    pub fn lay(&self, at: &Path) {
        match self {
            Perl::Text(bytes) => std::fs::write(at, bytes).expect("a file"),
            Perl::List(list) => {
                if let [Perl::Text(_), Perl::Text(target)] = list.as_slice() {
                    symlink(String::from_utf8_lossy(target).as_ref(), at).expect("a link");
                }
            }
            Perl::Hash(hash) => {
                std::fs::create_dir_all(at).expect("a folder");
                for (key, value) in hash {
                    value.lay(&at.join(String::from_utf8_lossy(key).as_ref()));
                }
            }
        }
    }
}

fn next(rest: &mut &[u8]) -> u8 {
    let (&byte, tail) = rest.split_first().expect("more of the dump");
    *rest = tail;
    byte
}

fn skip(rest: &mut &[u8]) {
    while rest.first().is_some_and(|byte| byte.is_ascii_whitespace() || *byte == b',') {
        next(rest);
    }
}

fn closed(rest: &mut &[u8], end: u8) -> bool {
    skip(rest);
    let closed = rest.first() == Some(&end);
    if closed {
        next(rest);
    }
    closed
}

/// A text archive: `Path:` and `Lines:` with as many lines, `Directory:`, or `SymlinkTo:` after a path.
pub fn lay_ttar(text: &str, root: &Path) {
    let mut lines = text.lines();
    let mut path = None;
    while let Some(line) = lines.next() {
        if let Some(folder) = line.strip_prefix("Directory: ") {
            std::fs::create_dir_all(root.join(folder)).expect("a folder");
        } else if let Some(name) = line.strip_prefix("Path: ") {
            let at = root.join(name);
            std::fs::create_dir_all(at.parent().expect("a parent")).expect("a folder");
            path = Some(at);
        } else if let (Some(count), Some(at)) = (line.strip_prefix("Lines: "), &path) {
            let count: usize = count.parse().expect("a number");
            let content: String = lines.by_ref().take(count).map(|line| format!("{line}\n")).collect();
            std::fs::write(at, content).expect("a file");
        } else if let (Some(target), Some(at)) = (line.strip_prefix("SymlinkTo: "), &path) {
            symlink(target, at).expect("a link");
        }
    }
}
