//! A disk that forgets: what a directory may hold after a power cut at any moment of a trace. Pure.
//!
//! As POSIX promises and no more: bytes are safe once a sync of their file that began after they were written has
//! returned; names once such a sync of their directory has. Anything later survives or not, each write by itself, in
//! any order; of a write that is torn, the first sectors. A sector is written whole or not at all. Does not know
//! what is in the files.

use super::dice::Dice;
use super::trace::{Call, Op};
use anyhow::{Context, Result};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What a disk writes at once, in bytes.
const SECTOR_BYTES: u64 = 512;

/// What survives of that which was not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Pattern {
    /// Nothing.
    None,
    /// Some writes and some names, whatever their order.
    Subset,
    /// Some writes, of some their first sectors only; names in their order, as a journal keeps them.
    Torn,
}

impl Pattern {
    /// All, in the order in which they are tried.
    pub(in crate::check) const ALL: [Pattern; 3] = [Pattern::None, Pattern::Subset, Pattern::Torn];
}

/// Directories, and files with their content.
pub(in crate::check) type Files = BTreeMap<PathBuf, Option<Vec<u8>>>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    Dir,
    File(usize),
}

#[derive(Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Length(u64),
}

#[derive(Debug)]
enum Naming {
    Made(PathBuf, Node),
    Moved(PathBuf, PathBuf, Node),
    Gone(PathBuf),
}

impl Naming {
    fn path(&self) -> &Path {
        match self {
            Naming::Made(path, _) | Naming::Moved(path, ..) | Naming::Gone(path) => path,
        }
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, Node>) {
        match self {
            Naming::Made(path, node) => drop(names.insert(path.clone(), *node)),
            Naming::Gone(path) => drop(names.remove(path)),
            Naming::Moved(from, to, node) => {
                names.remove(from);
                names.insert(to.clone(), *node);
            }
        }
    }
}

/// Something not synced yet, and on which line it was done.
#[derive(Debug)]
struct Waiting<T> {
    what: T,
    call: usize,
    done: Option<usize>,
}

#[derive(Debug, Default)]
struct Inode {
    safe: Vec<u8>,
    waiting: Vec<Waiting<Change>>,
    /// Its length for whoever appends.
    length: u64,
}

/// Where a descriptor is.
#[derive(Debug, Clone)]
struct Place {
    node: Node,
    path: PathBuf,
    at: u64,
}

/// The directory's whole past.
#[derive(Debug, Default)]
pub(in crate::check) struct Disk {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, Node>,
    safe_names: BTreeMap<PathBuf, Node>,
    waiting: Vec<Waiting<Naming>>,
    places: HashMap<i32, Place>,
    /// The syncs that go on, by call.
    syncs: HashMap<usize, Place>,
}

impl Disk {
    /// A disk with these empty directories.
    pub(in crate::check) fn new(directories: &[&Path]) -> Disk {
        let names: BTreeMap<_, _> = directories.iter().map(|path| (path.to_path_buf(), Node::Dir)).collect();
        Disk { names: names.clone(), safe_names: names, ..Disk::default() }
    }

    /// A call begins: from now on what it writes may be on the disk.
    ///
    /// # Errors
    /// A descriptor that nothing opened.
    pub(in crate::check) fn begin(&mut self, number: usize, call: &Call) -> Result<()> {
        match &call.op {
            Op::Write { fd, offset, data } => {
                let place = self.places.get_mut(fd).with_context(|| format!("descriptor {fd}"))?;
                let offset = offset.unwrap_or(place.at);
                let end = offset + data.len() as u64;
                place.at = end;
                let node = place.node;
                self.change(node, number, Change::Write(offset, data.clone()));
            }
            Op::Cut { fd, bytes } => {
                let node = self.place(*fd)?.node;
                self.change(node, number, Change::Length(*bytes));
            }
            Op::Sync { fd } => {
                let place = self.place(*fd)?.clone();
                self.syncs.insert(number, place);
            }
            Op::Open { .. } | Op::Seek { .. } | Op::Rename { .. } | Op::Remove { .. } | Op::MakeDir { .. } => {}
        }
        Ok(())
    }

    /// The call has ended, on this line.
    ///
    /// # Errors
    /// A name that nothing made.
    pub(in crate::check) fn end(&mut self, number: usize, call: &Call, line: usize) -> Result<()> {
        match &call.op {
            Op::Write { .. } | Op::Cut { .. } => {
                let all = self.inodes.iter_mut().flat_map(|inode| inode.waiting.iter_mut().rev());
                all.filter(|waiting| waiting.call == number).for_each(|waiting| waiting.done = Some(line));
            }
            Op::Sync { .. } => {
                let place = self.syncs.remove(&number).context("a sync")?;
                self.sync(&place, call.began);
            }
            Op::Seek { fd, to } => self.places.get_mut(fd).context("a descriptor")?.at = *to,
            Op::Rename { from, to } => {
                let node = *self.names.get(from).with_context(|| from.display().to_string())?;
                self.name(number, line, Naming::Moved(from.clone(), to.clone(), node));
            }
            Op::Remove { path } => self.name(number, line, Naming::Gone(path.clone())),
            Op::MakeDir { path } => self.name(number, line, Naming::Made(path.clone(), Node::Dir)),
            Op::Open { path, fd, creates, empties, appends } => {
                let node = match self.names.get(path) {
                    Some(node) => *node,
                    None if *creates => {
                        self.inodes.push(Inode::default());
                        let node = Node::File(self.inodes.len() - 1);
                        self.name(number, line, Naming::Made(path.clone(), node));
                        node
                    }
                    // It was there before the trace, or is a file of the kernel's.
                    None => return Ok(()),
                };
                if *empties {
                    self.change(node, number, Change::Length(0));
                    self.end(number, &Call { op: Op::Cut { fd: *fd, bytes: 0 }, ..*call }, line)?;
                }
                let length =
                    if let Node::File(inode) = node { self.inodes.get(inode).map_or(0, |i| i.length) } else { 0 };
                let at = if *appends { length } else { 0 };
                self.places.insert(*fd, Place { node, path: path.clone(), at });
            }
        }
        Ok(())
    }

    fn place(&self, fd: i32) -> Result<&Place> {
        self.places.get(&fd).with_context(|| format!("descriptor {fd}"))
    }

    fn change(&mut self, node: Node, call: usize, what: Change) {
        let Node::File(inode) = node else { return };
        let Some(inode) = self.inodes.get_mut(inode) else { return };
        inode.length = match &what {
            Change::Write(offset, data) => inode.length.max(offset + data.len() as u64),
            Change::Length(bytes) => *bytes,
        };
        inode.waiting.push(Waiting { what, call, done: None });
    }

    fn name(&mut self, call: usize, line: usize, what: Naming) {
        what.apply(&mut self.names);
        self.waiting.push(Waiting { what, call, done: Some(line) });
    }

    /// All that was done before the sync began is safe.
    fn sync(&mut self, place: &Place, began: usize) {
        match place.node {
            Node::Dir => {
                let safe = |waiting: &Waiting<Naming>| {
                    waiting.what.path().parent() == Some(&place.path) && waiting.done.is_some_and(|done| done < began)
                };
                for waiting in self.waiting.extract_if(.., |waiting| safe(waiting)) {
                    waiting.what.apply(&mut self.safe_names);
                }
            }
            Node::File(inode) => {
                let Some(inode) = self.inodes.get_mut(inode) else { return };
                for waiting in inode.waiting.extract_if(.., |waiting| waiting.done.is_some_and(|done| done < began)) {
                    apply(&mut inode.safe, &waiting.what, None);
                }
            }
        }
    }

    /// What may be there after a power cut now.
    pub(in crate::check) fn cut(&self, pattern: Pattern, dice: &mut Dice) -> Files {
        let mut names = self.safe_names.clone();
        let in_order = dice.below(self.waiting.len() + 1);
        for (at, waiting) in self.waiting.iter().enumerate() {
            let survives = match pattern {
                Pattern::None => false,
                Pattern::Subset => dice.below(2) == 0,
                Pattern::Torn => at < in_order,
            };
            if survives {
                waiting.what.apply(&mut names);
            }
        }
        let whole = |path: &Path| {
            path.ancestors().skip(1).all(|above| !self.names.contains_key(above) || names.contains_key(above))
        };
        let kept = names.iter().filter(|(path, _)| whole(path));
        kept.map(|(path, node)| match node {
            Node::Dir => (path.clone(), None),
            Node::File(inode) => (path.clone(), self.inodes.get(*inode).map(|inode| inode.cut(pattern, dice))),
        })
        .collect()
    }
}

impl Inode {
    fn cut(&self, pattern: Pattern, dice: &mut Dice) -> Vec<u8> {
        let mut content = self.safe.clone();
        for waiting in &self.waiting {
            match pattern {
                Pattern::None => {}
                Pattern::Subset if dice.below(2) == 0 => apply(&mut content, &waiting.what, None),
                Pattern::Subset => {}
                Pattern::Torn => match dice.below(3) {
                    0 => {}
                    1 => apply(&mut content, &waiting.what, None),
                    _ => apply(&mut content, &waiting.what, Some(dice)),
                },
            }
        }
        content
    }
}

/// Applies a change; torn by these dice, a write is cut at a sector.
fn apply(content: &mut Vec<u8>, change: &Change, torn: Option<&mut Dice>) {
    match change {
        Change::Length(bytes) => content.resize(usize::try_from(*bytes).unwrap_or(0), 0),
        Change::Write(offset, data) => {
            let end = offset + data.len() as u64;
            let kept = torn.map_or(end, |dice| {
                let sectors = end.div_ceil(SECTOR_BYTES) - offset / SECTOR_BYTES;
                let kept = dice.below(usize::try_from(sectors).unwrap_or(1)) as u64;
                ((offset / SECTOR_BYTES + kept) * SECTOR_BYTES).clamp(*offset, end)
            });
            let (start, end) = (usize::try_from(*offset).unwrap_or(0), usize::try_from(kept).unwrap_or(0));
            if content.len() < end {
                content.resize(end, 0);
            }
            if let (Some(into), Some(from)) = (content.get_mut(start..end), data.get(..end.saturating_sub(start))) {
                into.copy_from_slice(from);
            }
        }
    }
}

#[cfg(test)]
mod tests;
