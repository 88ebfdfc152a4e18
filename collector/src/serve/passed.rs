//! Sockets that the service manager opened and passed (`sd_listen_fds(3)`): a restart refuses nobody, and the
//! admin socket may belong to a group that the collector is not in. Does not know what is served on them.

use crate::cli::exit::{Code, Failure};
use listenfd::ListenFd;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

/// Names (`FileDescriptorName=`) that a passed socket may have, as the manager joins them by colons.
const NAMES: &str = "LISTEN_FDNAMES";

/// What was passed; what was not, the collector binds itself.
#[derive(Debug, Default)]
pub struct Passed {
    pub(super) admin: Option<UnixListener>,
    pub(super) agents: Option<TcpListener>,
    pub(super) web: Option<TcpListener>,
}

impl Passed {
    /// Takes what was passed to this process. To be called once, before there are threads: it changes the
    /// environment.
    ///
    /// # Errors
    /// A socket of another name or kind.
    pub fn take() -> Result<Passed, Failure> {
        let names = crate::env::text(NAMES).unwrap_or_default();
        let mut sockets = ListenFd::from_env();
        let mut passed = Passed::default();
        for (index, name) in (0..sockets.len()).zip(names.split(':').map(Some).chain(std::iter::repeat(None))) {
            passed.keep(&mut sockets, index, name.filter(|name| !name.is_empty()))?;
        }
        Ok(passed)
    }

    /// A manager that gives no names passes the admin socket alone.
    fn keep(&mut self, sockets: &mut ListenFd, index: usize, name: Option<&str>) -> Result<(), Failure> {
        let name = name.unwrap_or("admin");
        let failed = |error: io::Error| {
            Failure::new(Code::Address, format!("the passed socket {name:?}: {error}; correct the socket unit"))
        };
        match name {
            "admin" => {
                let socket = sockets.take_unix_listener(index).map_err(failed)?;
                place(&mut self.admin, socket).map_err(failed)
            }
            "agents" => {
                let socket = sockets.take_tcp_listener(index).map_err(failed)?;
                place(&mut self.agents, socket).map_err(failed)
            }
            "web" => {
                let socket = sockets.take_tcp_listener(index).map_err(failed)?;
                place(&mut self.web, socket).map_err(failed)
            }
            _ => Err(failed(io::Error::other("is none of admin, agents, web (FileDescriptorName=)"))),
        }
    }
}

fn place<T>(slot: &mut Option<T>, socket: Option<T>) -> io::Result<()> {
    if slot.is_some() {
        return Err(io::Error::other("was passed twice; one is enough"));
    }
    *slot = socket;
    Ok(())
}
