//! The service manager: readiness, watchdog and status lines (sd_notify(3)), signals, and whether the
//! machine goes down. Without a service manager all of this is silent.

use shared::checkin::Goodbye;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Files that systemd makes when logins end, which is early in a shutdown, and when one is scheduled. A stop
/// while one of them is there counts as a shutdown; there is no cheaper sign that needs no bus.
const GOING_DOWN: &[&str] = &["/run/nologin", "/run/systemd/shutdown/scheduled"];

/// Tells the service manager something: `READY=1`, `WATCHDOG=1`, `STATUS=…`, `STOPPING=1`.
#[expect(clippy::disallowed_methods, reason = "sd_notify(3): systemd tells its socket so")]
pub fn notify(state: &str) {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(Path::new(&name)),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(error) = sent {
        crate::log::debug(&format!("service manager: {error}"));
    }
}

/// The folder that the service manager keeps for as long as the machine runs (`RuntimeDirectory=`, systemd.exec(5)).
#[expect(clippy::disallowed_methods, reason = "systemd.exec(5): systemd tells the folder so")]
pub fn runtime_dir() -> Option<PathBuf> {
    let all = std::env::var("RUNTIME_DIRECTORY").ok()?;
    all.split(':').next().filter(|dir| dir.starts_with('/')).map(PathBuf::from)
}

/// How often the service manager wants a sign of life; half of what it allows.
#[expect(clippy::disallowed_methods, reason = "sd_watchdog_enabled(3): systemd tells its interval so")]
fn half_of_watchdog() -> Option<Duration> {
    let micros = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(micros) / 2).filter(|half| !half.is_zero())
}

/// Signs of life. They are given when the process is awake anyway, if that is often enough: a timer of their own
/// would wake it again and again.
pub struct Watchdog {
    half: Option<Duration>,
    last: Option<Duration>,
}

impl Watchdog {
    /// As the service manager wants it.
    pub fn new() -> Watchdog {
        Watchdog { half: half_of_watchdog(), last: None }
    }

    /// Gives a sign if the last one was not just given.
    pub fn alive(&mut self, now: Duration) {
        if let Some(half) = self.half
            && self.last.is_none_or(|last| now.saturating_sub(last) >= half / 2)
        {
            notify("WATCHDOG=1");
            self.last = Some(now);
        }
    }

    /// How long no sign has to be given.
    pub fn wait(&self, now: Duration) -> Duration {
        let half = self.half.unwrap_or(Duration::MAX);
        half.saturating_sub(self.last.map_or(Duration::ZERO, |last| now.saturating_sub(last)))
    }
}

impl Default for Watchdog {
    fn default() -> Watchdog {
        Watchdog::new()
    }
}

/// Why the agent is being stopped.
pub fn goodbye() -> Goodbye {
    match GOING_DOWN.iter().any(|path| Path::new(path).exists()) {
        true => Goodbye::Shutdown,
        false => Goodbye::Stop,
    }
}

/// The signals that the agent obeys.
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// Caught, so that a file at its size limit is an error like a full disk and not the end.
    _file_size: Signal,
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Stop (SIGTERM, SIGINT).
    Stop,
    /// Report now (SIGHUP).
    Report,
}

/// SIGXFSZ on Linux (signal(7)), but for MIPS and PA-RISC.
const SIGXFSZ: i32 = 25;

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// The system refuses.
    pub fn catch() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(SIGXFSZ))?,
        })
    }

    /// Waits for the next one.
    pub async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Report,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_life_are_given_in_time_and_not_all_the_time() {
        let s = Duration::from_secs;
        let mut watchdog = Watchdog { half: Some(s(40)), last: None };
        watchdog.alive(s(100));
        assert_eq!((watchdog.last, watchdog.wait(s(100))), (Some(s(100)), s(40)));
        watchdog.alive(s(119));
        assert_eq!((watchdog.last, watchdog.wait(s(119))), (Some(s(100)), s(21)));
        watchdog.alive(s(125));
        assert_eq!((watchdog.last, watchdog.wait(s(125))), (Some(s(125)), s(40)));
        assert_eq!(watchdog.wait(s(999)), s(0));
        let mut none = Watchdog { half: None, last: None };
        none.alive(s(100));
        assert_eq!((none.last, none.wait(s(100))), (None, Duration::MAX));
    }
}
