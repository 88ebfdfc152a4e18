//! What the operating system offers and no safe library does: the one file with unsafe code.

use rustix::fd::OwnedFd;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Lets go of what was only needed for the turn that is over: free memory, and the program's own pages.
pub fn give_back() {
    give_back_memory();
    #[cfg(target_os = "linux")]
    program::let_go();
}

/// Gives memory that is free back to the system. A look at the machine takes some megabytes for some tens of
/// milliseconds; without this the C library keeps them, in holes between what lasts, until the process ends.
fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::trim();
}

/// A descriptor whose readiness the runtime watches; nothing where it cannot.
#[expect(unsafe_code, reason = "AsyncFd cannot know that what it is given stays the same open descriptor")]
pub fn watched(fd: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    // SAFETY: an OwnedFd is one descriptor, and open, for as long as it lives.
    unsafe { AsyncFd::register_with_interest(fd, Interest::READABLE) }.ok()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "a function of glibc that no safe library offers")]
mod glibc {
    use std::ffi::c_int;

    // SAFETY: malloc_trim(3) takes a number and returns one, may be called from any thread at any time and
    // touches no memory that is in use. glibc has it since 2.0.
    unsafe extern "C" {
        safe fn malloc_trim(pad_bytes: usize) -> c_int;
    }

    pub(super) fn trim() {
        // Whether there was something to give back is of no interest.
        let _ = malloc_trim(0);
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "madvise(2) over the program's own pages")]
mod program {
    use rustix::mm::{Advice, madvise};

    unsafe extern "C" {
        /// Where the program begins in memory; every linker for Linux defines it.
        static __executable_start: u8;
        /// Where its code ends (end(3)); what is written to lies behind.
        static etext: u8;
    }

    /// Takes the program's code and constants out of this process's memory: most of them serve the start and the
    /// network. The kernel keeps them in its cache as long as it has room, and what is used next is mapped again at
    /// the price of a page fault.
    pub(super) fn let_go() {
        let page_bytes = rustix::param::page_size();
        let begin = &raw const __executable_start;
        let bytes = (&raw const etext).addr().saturating_sub(begin.addr());
        let whole = bytes - bytes % page_bytes;
        if begin.addr().is_multiple_of(page_bytes) {
            // SAFETY: from the program's begin to the end of its code there is nothing but pages of its file which
            // nothing ever writes to: relocations are applied to what lies behind. For such pages LinuxDontNeed
            // means that the next access reads them from the file again.
            let done = unsafe { madvise(begin.cast_mut().cast(), whole, Advice::LinuxDontNeed) };
            // It only costs memory.
            let _ = done;
        }
    }
}
