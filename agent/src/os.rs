//! What the operating system offers and no safe library does: the one file with unsafe code.

/// Gives memory that is free back to the system. A look at the machine takes some megabytes for some tens of
/// milliseconds; without this the C library keeps them, in holes between what lasts, until the process ends.
pub fn give_back_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    glibc::trim();
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
