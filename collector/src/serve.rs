//! `muster serve`: the order of starting and of stopping.
//!
//! Start: state directory, authority, database, what is held in memory, ports, jobs, then *ready*. Stop, on
//! SIGTERM or SIGINT: no new connections, what was asked is answered (20 s at most), last-seen is flushed, the
//! database is closed. Whatever hinders a start is one line and an exit code. Does not know: what is served.
//!
//! When everything answers, one line goes to standard output and `addresses.json` to the state directory, both
//! with the addresses really bound, so that port 0 can be used:
//! `{"agents":"127.0.0.1:40001","web":"127.0.0.1:40002","socket":"/run/muster/admin.sock","pid":7}`.

mod bind;
mod memory;
mod passed;

use crate::api::listen::{self, DRAIN, Gate, Port};
use crate::api::{self, App, AppState};
use crate::cli::exit::{Code, Failure};
use crate::cli::output;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::keyring::Keyring;
use crate::pki::{self, Authority, tls};
use crate::stop::{self, Stop, Stopper};
use crate::{clock, durable, jobs, notify, seen};
use bind::Bound;
pub use passed::Passed;
use serde::Serialize;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// The file in the state directory that tells the addresses.
pub const ADDRESSES: &str = "addresses.json";
/// The database in the state directory.
pub const DATABASE: &str = "muster.db";
/// One part in so many of all connections is not for agents.
const WEB_SHARE: usize = 20;
/// Connections to the admin socket.
const SOCKET_CONNECTIONS: usize = 64;
/// Draining waits a little longer than each connection is given.
const DRAIN_SLACK: Duration = Duration::from_secs(1);

/// Where the collector answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Addresses {
    /// Agents.
    pub agents: SocketAddr,
    /// People, tools, enrolling agents.
    pub web: SocketAddr,
    /// Admins of this host.
    pub socket: PathBuf,
    /// This process.
    pub pid: u32,
}

/// A collector that answers.
pub struct Running {
    /// What its handlers use.
    pub app: App,
    /// Where.
    pub addresses: Addresses,
    hands: jobs::Hands,
    stopper: Stopper,
    /// Whether the admin socket is ours to remove.
    socket_is_own: bool,
    down: oneshot::Receiver<String>,
}

/// Starts, serves until told to stop, stops. `passed` are the sockets of the service manager.
///
/// # Errors
/// What hindered the start, or ended the service.
pub async fn run(config: Config, passed: Passed) -> Result<(), Failure> {
    let unheard = |error: std::io::Error| Failure::new(Code::Failed, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(unheard)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(unheard)?;
    let mut running = start(config, passed).await?;
    announce(&running)?;
    let ended = tokio::select! {
        _ = terminate.recv() => Ok(()),
        _ = interrupt.recv() => Ok(()),
        why = running.down() => Err(why),
    };
    notify::say(notify::STOPPING);
    match (ended, running.stop().await) {
        (Ok(()), Some(late)) => Err(late),
        (ended, _) => ended,
    }
}

/// Starts; everything answers when this returns.
///
/// # Errors
/// What hindered it.
pub async fn start(mut config: Config, passed: Passed) -> Result<Running, Failure> {
    prepare(&config.state_dir)?;
    let keys = config.state_dir.join(pki::files::FOLDER);
    belong_together(&keys, &config.state_dir.join(DATABASE))?;
    let authority = Authority::open(&keys, clock::now()).map_err(of_pki)?;
    let certificate = tls::Certificate::new(&authority, &config.names).map_err(of_pki)?;
    let (agents_tls, web_tls) =
        (tls::agents(&authority, certificate.clone()).map_err(of_pki)?, tls::web(certificate.clone()).map_err(of_pki)?);
    let fleet = Arc::new(Fleet::default());
    let keyring = Arc::new(Keyring::default());
    let (store, down) = memory::open(&config, Some(authority.deployment()), &fleet, &keyring).await?;
    let bound = bind::all(&config, passed).await?;
    fill_in_ports(&mut config, &bound);
    let addresses = Addresses {
        agents: bound.agents_address,
        web: bound.web_address,
        socket: bound.socket_path.clone(),
        pid: std::process::id(),
    };
    let checkin_s = config.policy.settings.checkin_s;
    let hands = jobs::Hands { store: store.clone(), fleet: fleet.clone(), certificate, checkin_s };
    let app: App = Arc::new(AppState::new(store, fleet, keyring, authority, config));
    let (stopper, stop) = stop::pair();
    api::ca::catch_up(&app).await;
    let socket_is_own = bound.socket_is_own;
    open_doors(&app, bound, TlsAcceptor::from(agents_tls), TlsAcceptor::from(web_tls), &stop);
    jobs::start(&hands, &stop);
    Ok(Running { app, addresses, hands, stopper, socket_is_own, down })
}

fn open_doors(app: &App, bound: Bound, agents_tls: TlsAcceptor, web_tls: TlsAcceptor, stop: &Stop) {
    let limits = &app.config.limits;
    let for_web = (limits.connections / WEB_SHARE).max(1);
    let agents_gate = Gate::new(limits.connections - for_web, limits.per_address);
    let web_gate = Gate::new(for_web, limits.per_address);
    let socket_gate = Gate::new(SOCKET_CONNECTIONS, SOCKET_CONNECTIONS);
    let (routes, _) = api::openapi::assemble(api::ROUTES);
    let web = api::web::router(app, routes);
    let port = Port::Agents(app.authority.deployment());
    let agents = api::agent::router(app);
    stop.spawn(|stop| listen::serve_tls(bound.agents, port, agents_tls, agents_gate, agents, stop));
    stop.spawn(|stop| listen::serve_tls(bound.web, Port::Web, web_tls, web_gate, web.clone(), stop));
    stop.spawn(|stop| listen::serve_socket(bound.socket, socket_gate, web, stop));
}

impl Running {
    /// Returns only when the database can no longer be written, with the reason.
    pub async fn down(&mut self) -> Failure {
        let why = (&mut self.down).await.unwrap_or_else(|_| "the writer is gone".to_owned());
        Failure::new(Code::Database, why)
    }

    /// Stops: no new connections, what was asked is answered, what is in memory is kept. Gives what failed on the way.
    pub async fn stop(mut self) -> Option<Failure> {
        self.app.store.end_scrub();
        if tokio::time::timeout(DRAIN + DRAIN_SLACK, self.stopper.stop()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        // A step of a rotation is taken to its end, whoever asked for it.
        drop(self.app.rotating.lock().await);
        if let Err(error) = seen::flush(&self.hands.store, &self.hands.fleet).await {
            tracing::warn!(%error, "last-seen could not be flushed; the next beats bring it back");
        }
        self.app.store.close().await;
        // They may be gone already; the next start writes them anew.
        let _ = fs::remove_file(self.app.config.state_dir.join(ADDRESSES));
        if self.socket_is_own {
            let _ = fs::remove_file(&self.addresses.socket);
        }
        self.down.try_recv().ok().map(|why| Failure::new(Code::Database, why))
    }
}

fn prepare(state_dir: &Path) -> Result<(), Failure> {
    durable::make_folder(state_dir, 0o750).map_err(|error| {
        let advice = "create it for the user that runs muster, or set state_dir";
        Failure::new(Code::Database, format!("state_dir {}: {error}; {advice}", state_dir.display()))
    })
}

/// Keys and register are made together: where one is without the other, something was lost or not mounted.
fn belong_together(keys: &Path, database: &Path) -> Result<(), Failure> {
    let kept = |path: &Path| fs::metadata(path).is_ok_and(|found| found.len() > 0);
    match (keys.exists(), kept(database)) {
        (false, true) => {
            let what = "missing beside a database".to_owned();
            Err(of_pki(pki::Error::Damaged { path: keys.to_owned(), what }))
        }
        (true, false) => {
            let (keys, database) = (keys.display(), database.display());
            tracing::warn!("{database} is missing or empty beside {keys}: a new, empty register is made");
            Ok(())
        }
        (true, true) | (false, false) => Ok(()),
    }
}

fn of_pki(error: pki::Error) -> Failure {
    let code = match error {
        pki::Error::File { .. } => Code::Database,
        pki::Error::Damaged { .. } => Code::Database,
        pki::Error::Name(_) => Code::Config,
        pki::Error::Sign(_) | pki::Error::Tls(_) | pki::Error::Randomness(_) | pki::Error::Order(_) => Code::Failed,
    };
    Failure::new(code, error.to_string())
}

/// Where the system chose the port, the URLs that are handed out are completed with it.
fn fill_in_ports(config: &mut Config, bound: &Bound) {
    for (url, asked, got) in [
        (&mut config.agent_url, config.agent_listen, bound.agents_address),
        (&mut config.enroll_url, config.web_listen, bound.web_address),
    ] {
        if let (0, Some(base)) = (asked.port(), url.strip_suffix(":0")) {
            *url = format!("{base}:{}", got.port());
        }
    }
}

fn announce(running: &Running) -> Result<(), Failure> {
    let addresses = &running.addresses;
    let path = running.app.config.state_dir.join(ADDRESSES);
    let text = serde_json::to_string(addresses).unwrap_or_default();
    let temporary = path.with_extension("json.new");
    let written = fs::write(&temporary, text + "\n").and_then(|()| fs::rename(&temporary, &path));
    written.map_err(|error| Failure::new(Code::Database, format!("{}: {error}", path.display())))?;
    let (agents, web, socket) = (addresses.agents, addresses.web, addresses.socket.display());
    let ready = format!("muster: ready; agents https://{agents}, web https://{web}, socket {socket}");
    // Nobody has to read it.
    if let Err(failure) = output::say(&ready) {
        tracing::warn!("{}", failure.message);
    }
    notify::say(notify::READY);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_register_without_its_keys_is_not_given_new_ones() {
        let place = tempfile::tempdir().expect("a directory");
        let (keys, database) = (place.path().join("pki"), place.path().join(DATABASE));
        assert_eq!(belong_together(&keys, &database).map_err(|failure| failure.code), Ok(()));
        fs::write(&database, "rows").expect("written");
        let refused = belong_together(&keys, &database).expect_err("refused");
        assert_eq!(refused.code, Code::Database);
        assert!(refused.message.contains("missing beside a database; restore the folder"), "{refused:?}");
        fs::create_dir(&keys).expect("a folder");
        assert!(belong_together(&keys, &database).is_ok());
    }
}
