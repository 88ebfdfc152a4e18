//! Connections: accepted, counted, made private, handed to the routes, ended.
//!
//! Handshakes run in tasks of their own with a time limit, so that a slow one delays nobody. A connection lives
//! an hour at most and ends when the collector stops: what was asked is still answered. Who is at the other end
//! becomes a [`Peer`] in every request. Does not know: routes, rights.

use crate::pki::proof;
use crate::stop::Stop;
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use shared::id::AgentId;
use shared::unit::At;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt as _;
use uuid::Uuid;

/// A handshake takes at most this long.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// The head of a request comes within this time; a connection without a request is closed after it.
pub const HEAD: Duration = Duration::from_secs(10);
/// Fields in the head of a request.
const HEAD_FIELDS: usize = 64;
/// Bytes of the head of a request.
const HEAD_BYTES: usize = 16 * 1024;
/// A connection lives at most this long.
const AGE: Duration = Duration::from_secs(3600);
/// What was asked before a connection is ended is answered within this time.
pub const DRAIN: Duration = Duration::from_secs(20);
/// After a failed accept (no more file descriptors), the next try waits this long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Who is at the other end, as far as the connection tells; a request's extension.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Somebody on the web and enroll port.
    Web {
        /// From where.
        address: SocketAddr,
    },
    /// Somebody on this host, at the admin socket.
    Local {
        /// Known by the kernel.
        uid: u32,
    },
    /// A holder of a certificate of the agent CA.
    Agent(AgentPeer),
}

/// A holder of a certificate of the agent CA.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentPeer {
    /// From where.
    pub address: SocketAddr,
    /// From the certificate.
    pub agent: AgentId,
    /// SHA-256 of the public key, hexadecimal.
    pub fingerprint: String,
    /// When the certificate ends.
    pub expires: At,
}

/// How many connections there may be: in all, and from one address while it is not known who it is.
#[derive(Clone)]
pub struct Gate {
    all: Arc<Semaphore>,
    per_address: usize,
    strangers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

/// A connection's place among all, given back when dropped.
struct Place {
    _all: OwnedSemaphorePermit,
    stranger: Option<Stranger>,
}

/// A connection's place among those of its address, given back when dropped.
struct Stranger {
    address: IpAddr,
    strangers: Arc<Mutex<HashMap<IpAddr, usize>>>,
}

impl Gate {
    /// At most `all` connections, and `per_address` of strangers from one address.
    pub fn new(all: usize, per_address: usize) -> Gate {
        Gate { all: Arc::new(Semaphore::new(all)), per_address, strangers: Arc::default() }
    }

    fn enter(&self, address: IpAddr) -> Option<Place> {
        let all = self.all.clone().try_acquire_owned().ok()?;
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let count = strangers.entry(address.to_canonical()).or_insert(0);
        if *count >= self.per_address {
            return None;
        }
        *count += 1;
        let stranger = Stranger { address: address.to_canonical(), strangers: self.strangers.clone() };
        Some(Place { _all: all, stranger: Some(stranger) })
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        let mut strangers = self.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = strangers.get_mut(&self.address) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                strangers.remove(&self.address);
            }
        }
    }
}

/// Which port this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// For agents of this deployment.
    Agents(Uuid),
    /// For people, tools and enrolling agents.
    Web,
}

/// Serves a TLS port until told to stop.
pub async fn serve_tls(
    listener: TcpListener,
    port: Port,
    acceptor: TlsAcceptor,
    gate: Gate,
    routes: Router,
    mut stop: Stop,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.wait() => return,
        };
        match accepted {
            Ok((tcp, address)) => {
                let Some(place) = gate.enter(address.ip()) else { continue };
                let (acceptor, routes, stop) = (acceptor.clone(), routes.clone(), stop.clone());
                tokio::spawn(greet(tcp, address, port, acceptor, place, routes, stop));
            }
            Err(error) => pause(&error).await,
        }
    }
}

/// Serves the admin socket until told to stop.
pub async fn serve_socket(listener: UnixListener, gate: Gate, routes: Router, mut stop: Stop) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.wait() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let Ok(credentials) = stream.peer_cred() else { continue };
                let Ok(place) = gate.all.clone().try_acquire_owned() else { continue };
                let place = Place { _all: place, stranger: None };
                let peer = Peer::Local { uid: credentials.uid() };
                tokio::spawn(converse(stream, peer, place, routes.clone(), stop.clone()));
            }
            Err(error) => pause(&error).await,
        }
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

async fn greet(
    tcp: TcpStream,
    address: SocketAddr,
    port: Port,
    acceptor: TlsAcceptor,
    mut place: Place,
    routes: Router,
    mut stop: Stop,
) {
    // Small answers are sent at once; where that cannot be set they come a little later.
    let _ = tcp.set_nodelay(true);
    let shaken = tokio::select! {
        shaken = tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)) => shaken,
        () = stop.wait() => return,
    };
    let stream = match shaken {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%address, %error, "a handshake failed"),
        Err(_) => return tracing::debug!(%address, "a handshake took too long"),
    };
    let peer = match port {
        Port::Web => Peer::Web { address },
        Port::Agents(deployment) => {
            let chain = stream.get_ref().1.peer_certificates();
            let shown = chain.and_then(|chain| proof::certificate(chain.first()?, deployment).ok());
            let Some(shown) = shown else { return tracing::warn!(%address, "a certificate without an agent's name") };
            // From here on it is known who it is.
            place.stranger = None;
            Peer::Agent(AgentPeer {
                address,
                agent: shown.agent,
                fingerprint: shown.fingerprint,
                expires: shown.expires,
            })
        }
    };
    converse(stream, peer, place, routes, stop).await;
}

async fn converse<S>(stream: S, peer: Peer, place: Place, routes: Router, mut stop: Stop)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        routes.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // How a connection ends is the other side's business: it comes again if it wants something.
    tokio::select! {
        _ = connection.as_mut() => return drop(place),
        () = tokio::time::sleep(AGE) => {}
        () = stop.wait() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(DRAIN, connection).await;
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_are_counted_by_address_and_forgotten() {
        let gate = Gate::new(3, 2);
        let (near, far): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let first = gate.enter(near).expect("a place");
        let mut second = gate.enter(near).expect("a place");
        assert!(gate.enter(near).is_none());
        // Known now: does not count as a stranger any more, but still as a connection.
        second.stranger = None;
        let third = gate.enter(near).expect("a place");
        assert!(gate.enter(far).is_none());
        drop((first, second, third));
        assert!(gate.strangers.lock().expect("a lock").is_empty());
        assert_eq!(gate.all.available_permits(), 3);
    }
}
