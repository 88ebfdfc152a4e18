//! Words to the service manager: ready, stopping, alive (`sd_notify(3)`). Silent where there is none.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// The collector answers.
pub const READY: &str = "READY=1";
/// The collector stops.
pub const STOPPING: &str = "STOPPING=1";
/// The collector is alive.
pub const ALIVE: &str = "WATCHDOG=1";

/// Says it to the service manager that started this process, if one did.
pub fn say(word: &str) {
    let Some(path) = crate::env::os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&path, word) {
        tracing::warn!(%error, word, "the service manager could not be told");
    }
}

fn send(path: &OsStr, word: &str) -> io::Result<()> {
    let address = match path.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    UnixDatagram::unbound()?.send_to_addr(word.as_bytes(), &address).map(|_| ())
}

/// How often the service manager wants to hear that the collector is alive, halved to be in time.
pub fn watchdog() -> Option<Duration> {
    let micros: u64 = crate::env::text("WATCHDOG_USEC")?.parse().ok()?;
    (micros > 0).then(|| Duration::from_micros(micros / 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manager_hears_the_word() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let manager = UnixDatagram::bind(&path).expect("a socket");
        send(path.as_os_str(), READY).expect("sent");
        let mut word = [0; 32];
        let length = manager.recv(&mut word).expect("heard");
        assert_eq!(&word[..length], b"READY=1");
    }
}
