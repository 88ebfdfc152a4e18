//! Listening: both ports and the admin socket, with words for each way in which that fails. A socket that the
//! service manager passed is taken as it is: its owner, its mode and its end are the manager's.

use super::passed::Passed;
use crate::cli::exit::{Code, Failure};
use crate::config::Config;
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit, umask};
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::net as unix;
use std::path::{Path, PathBuf};
use tokio::net::{TcpListener, UnixListener, UnixStream};

/// Members of this group may use the admin socket.
const ADMIN_GROUP: &str = "muster-admin";

/// Everything that is listened on.
pub(super) struct Bound {
    pub(super) agents: TcpListener,
    pub(super) agents_address: SocketAddr,
    pub(super) web: TcpListener,
    pub(super) web_address: SocketAddr,
    pub(super) socket: UnixListener,
    /// Where the admin socket is.
    pub(super) socket_path: PathBuf,
    /// Whether the admin socket is to be removed at the end: not if it was passed.
    pub(super) socket_is_own: bool,
}

/// Listens on both ports and the admin socket.
pub(super) async fn all(config: &Config, passed: Passed) -> Result<Bound, Failure> {
    allow_many_files();
    let (agents, agents_address) = port("agent_listen", config.agent_listen, passed.agents).await?;
    let (web, web_address) = port("web_listen", config.web_listen, passed.web).await?;
    let socket_is_own = passed.admin.is_none();
    let (socket, socket_path) = match passed.admin {
        Some(listener) => passed_socket(listener, &config.admin_socket)?,
        None => (socket(&config.admin_socket).await?, config.admin_socket.clone()),
    };
    Ok(Bound { agents, agents_address, web, web_address, socket, socket_path, socket_is_own })
}

/// A passed socket and where it is; one without a path is told under the path of the settings.
fn passed_socket(listener: unix::UnixListener, path: &Path) -> Result<(UnixListener, PathBuf), Failure> {
    let failed = |error: std::io::Error| Failure::new(Code::Address, format!("the passed admin socket: {error}"));
    listener.set_nonblocking(true).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let path = address.as_pathname().unwrap_or(path).to_owned();
    Ok((UnixListener::from_std(listener).map_err(failed)?, path))
}

/// Every connection is an open file: as many as the system lets us have.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }) {
        tracing::warn!(%error, "the limit on open files stays as it is");
    }
}

async fn port(
    key: &str,
    address: SocketAddr,
    passed: Option<std::net::TcpListener>,
) -> Result<(TcpListener, SocketAddr), Failure> {
    let failed = |error: std::io::Error| {
        let advice = match error.kind() {
            ErrorKind::AddrInUse => "stop the program that has it, or choose another port",
            ErrorKind::PermissionDenied => "choose a port above 1023, or allow it to muster",
            ErrorKind::AddrNotAvailable => "choose an address that this machine has",
            _ => "choose another address",
        };
        Failure::new(Code::Address, format!("{key} {address}: {error}; {advice}"))
    };
    let listener = match passed {
        Some(listener) => listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)),
        None => TcpListener::bind(address).await,
    };
    let listener = listener.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// The admin socket: for its owner and the admin group alone, from its first moment on.
async fn socket(path: &Path) -> Result<UnixListener, Failure> {
    let failed = |error: std::io::Error| {
        let advice = "create its folder for the user that runs muster, or set admin_socket";
        Failure::new(Code::Address, format!("admin_socket {}: {error}; {advice}", path.display()))
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    if UnixStream::connect(path).await.is_ok() {
        let text = format!("admin_socket {}: another muster answers there; stop it first", path.display());
        return Err(Failure::new(Code::Address, text));
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    let before = umask(Mode::from_raw_mode(0o117));
    let listener = UnixListener::bind(path);
    umask(before);
    let listener = listener.map_err(failed)?;
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    if let Some(group) = group_id(&groups, ADMIN_GROUP)
        && let Err(error) = std::os::unix::fs::chown(path, None, Some(group))
    {
        tracing::warn!(%error, group = ADMIN_GROUP, "the admin socket stays with its owner alone");
    }
    Ok(listener)
}

/// The id of a group in the text of `/etc/group` (group(5)).
fn group_id(groups: &str, name: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok()).flatten()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\nmuster-admins:x:7:a\nmuster-admin:x:990:a,b\nbroken\n";
        assert_eq!(group_id(groups, "muster-admin"), Some(990));
        assert_eq!(group_id(groups, "muster"), None);
        assert_eq!(group_id("muster-admin:x:many:", "muster-admin"), None);
    }

    #[tokio::test]
    async fn the_socket_is_not_for_everybody_and_is_taken_over_from_the_dead() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("run/admin.sock");
        let first = socket(&path).await.expect("a socket");
        let mode = fs::metadata(&path).expect("a socket").permissions().mode() & 0o777;
        assert_eq!(mode, 0o660);
        let error = socket(&path).await.expect_err("in use");
        assert!(error.message.contains("another muster answers there"), "{error:?}");
        drop(first);
        socket(&path).await.expect("taken over");
    }

    #[tokio::test]
    async fn a_port_in_use_is_one_line() {
        let (_held, address) = port("web_listen", ([127, 0, 0, 1], 0).into(), None).await.expect("a port");
        let error = port("web_listen", address, None).await.expect_err("in use");
        assert_eq!(error.code, Code::Address);
        assert!(error.message.starts_with(&format!("web_listen {address}: Address already in use")), "{error:?}");
    }
}
