//! Whose the state directory is: a verb that root runs on another user's acts as that user, so that nothing is left
//! in it that locks the service out. Knows users by their numbers; must be called before any thread is started,
//! because the kernel keeps users by thread.

use crate::exit::{Code, Fail};
use rustix::fs::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Root, acting as the state directory's owner until [`Guise::end`].
#[derive(Debug)]
#[must_use]
pub struct Guise {
    taken: bool,
}

/// Becomes the owner for good, where root runs this and the directory is another user's.
///
/// # Errors
/// The kernel refuses ([`Code::State`]).
pub fn become_owner(dir: &Path) -> Result<(), Fail> {
    match owner(dir) {
        Some((uid, gid)) => take(dir, uid, gid, uid),
        None => Ok(()),
    }
}

/// As [`become_owner`], with a way back for what only root may do afterwards.
///
/// # Errors
/// As [`become_owner`].
pub fn act_as_owner(dir: &Path) -> Result<Guise, Fail> {
    match owner(dir) {
        Some((uid, gid)) => take(dir, uid, gid, Uid::ROOT).map(|()| Guise { taken: true }),
        None => Ok(Guise { taken: false }),
    }
}

impl Guise {
    /// Is root again.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn end(self) -> Result<(), Fail> {
        if self.taken {
            set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT)
                .map_err(|errno| Fail::new(Code::Failure, format!("cannot be root again: {errno}")))?;
        }
        Ok(())
    }
}

/// The owner, if we are root and he is not. A directory that is not there will be the service manager's to give.
fn owner(dir: &Path) -> Option<(Uid, Gid)> {
    let root = rustix::process::geteuid().is_root();
    let meta = std::fs::metadata(dir).ok().filter(|meta| root && meta.uid() != 0)?;
    Some((Uid::from_raw(meta.uid()), Gid::from_raw(meta.gid())))
}

fn take(dir: &Path, uid: Uid, gid: Gid, saved: Uid) -> Result<(), Fail> {
    let taken = set_thread_groups(&[gid])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, saved));
    taken.map_err(|errno| {
        let why = format!("cannot act as user {}, whose {} is: {errno}", uid.as_raw(), dir.display());
        Fail::new(Code::State, format!("{why}; run this as that user"))
    })
}
