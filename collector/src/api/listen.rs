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
use tokio_io_timeout::TimeoutStream;
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
/// Connections of one agent: the one in use, and some that it left without a word.
const OF_AN_AGENT: usize = 8;
/// Whoever takes nothing of an answer for this long is given up.
const STALL: Duration = Duration::from_secs(20);
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
    /// The certificate's generation; 0 where it does not say.
    pub generation: u64,
    /// The revision of the roots that were handed out with the certificate; 0 where it does not say.
    pub roots: u16,
    /// When the certificate ends.
    pub expires: At,
}

/// How many connections there may be: in all, from one address while it is not known who it is, and of one
/// agent once it is.
#[derive(Clone)]
pub struct Gate {
    all: Arc<Semaphore>,
    per_address: usize,
    seats: Arc<Mutex<HashMap<Who, usize>>>,
}

/// Whose connections are counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    Stranger(IpAddr),
    /// By its key too: whoever holds one that was replaced takes no place from the machine.
    Agent(AgentId, String),
}

/// A connection's place among all, given back when dropped.
struct Place {
    _all: OwnedSemaphorePermit,
    seat: Option<Seat>,
}

/// A connection's place among those of one [`Who`], given back when dropped.
struct Seat {
    who: Who,
    seats: Arc<Mutex<HashMap<Who, usize>>>,
}

impl Gate {
    /// At most `all` connections, and `per_address` of strangers from one address.
    pub fn new(all: usize, per_address: usize) -> Gate {
        Gate { all: Arc::new(Semaphore::new(all)), per_address, seats: Arc::default() }
    }

    fn enter(&self, address: IpAddr) -> Option<Place> {
        let all = self.all.clone().try_acquire_owned().ok()?;
        let seat = self.sit(Who::Stranger(address.to_canonical()), self.per_address)?;
        Some(Place { _all: all, seat: Some(seat) })
    }

    fn sit(&self, who: Who, most: usize) -> Option<Seat> {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        let count = seats.entry(who.clone()).or_insert(0);
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Seat { who, seats: self.seats.clone() })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut seats = self.seats.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = seats.get_mut(&self.who) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                seats.remove(&self.who);
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
                let (acceptor, gate, routes) = (acceptor.clone(), gate.clone(), routes.clone());
                let guest = Guest { address, port, gate, place };
                stop.spawn(|stop| greet(tcp, guest, acceptor, routes, stop));
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
                let place = Place { _all: place, seat: None };
                let peer = Peer::Local { uid: credentials.uid() };
                stop.spawn(|stop| converse(stream, peer, place, routes.clone(), stop));
            }
            Err(error) => pause(&error).await,
        }
    }
}

async fn pause(error: &std::io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Who just came, and to which port.
struct Guest {
    address: SocketAddr,
    port: Port,
    gate: Gate,
    place: Place,
}

async fn greet(tcp: TcpStream, guest: Guest, acceptor: TlsAcceptor, routes: Router, mut stop: Stop) {
    let Guest { address, port, gate, mut place } = guest;
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
            let Some(seat) = gate.sit(Who::Agent(shown.agent, shown.fingerprint.clone()), OF_AN_AGENT) else {
                return tracing::warn!(agent = %shown.agent, %address, "too many connections of one agent");
            };
            place.seat = Some(seat);
            Peer::Agent(AgentPeer {
                address,
                agent: shown.agent,
                fingerprint: shown.fingerprint,
                generation: shown.generation,
                roots: shown.roots,
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
    // For what waits before it answers; nothing else looks at it.
    let ending = stop.clone();
    let service = hyper::service::service_fn(move |request: Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(peer.clone());
        request.extensions_mut().insert(ending.clone());
        routes.clone().oneshot(request)
    });
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(STALL));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
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
    fn connections_are_counted_by_address_then_by_agent_and_forgotten() {
        let gate = Gate::new(4, 2);
        let (near, far): (IpAddr, IpAddr) = ([192, 0, 2, 1].into(), [192, 0, 2, 2].into());
        let agent = Who::Agent(AgentId(Uuid::from_u128(1)), "key".into());
        let first = gate.enter(near).expect("a place");
        let mut second = gate.enter(near).expect("a place");
        assert!(gate.enter(near).is_none());
        // Known now: does not count as a stranger any more, but as one of that agent's.
        second.seat = gate.sit(agent.clone(), 1);
        assert!(second.seat.is_some() && gate.sit(agent, 1).is_none());
        let third = gate.enter(near).expect("a place");
        let fourth = gate.enter(far).expect("a place");
        assert!(gate.enter(far).is_none(), "all places are taken");
        drop((first, second, third, fourth));
        assert!(gate.seats.lock().expect("a lock").is_empty());
        assert_eq!(gate.all.available_permits(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_and_does_not_listen_is_given_up() {
        let (mut client, server) = tokio::io::duplex(256);
        let routes = Router::new().route("/", axum::routing::get(|| async { "x".repeat(4096) }));
        let gate = Gate::new(1, 1);
        let place = gate.enter([192, 0, 2, 1].into()).expect("a place");
        let (_stopper, stop) = crate::stop::pair();
        let served = stop.spawn(|stop| converse(server, Peer::Local { uid: 0 }, place, routes, stop));
        tokio::io::AsyncWriteExt::write_all(&mut client, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("asked");
        let asked = tokio::time::Instant::now();
        served.await.expect("it ends");
        assert!((STALL..STALL * 2).contains(&asked.elapsed()), "{:?}", asked.elapsed());
        assert_eq!(gate.all.available_permits(), 1);
    }

    #[tokio::test]
    async fn a_stop_is_heard_by_what_answers() {
        let (mut client, server) = tokio::io::duplex(4096);
        let (asked, heard) = tokio::sync::oneshot::channel();
        let asked = Arc::new(Mutex::new(Some(asked)));
        let held = move |axum::Extension(mut stop): axum::Extension<Stop>| async move {
            let asked = asked.lock().expect("a lock").take().expect("asked once");
            asked.send(()).expect("a listener");
            stop.wait().await;
            "ended"
        };
        let routes = Router::new().route("/", axum::routing::get(held));
        let place = Gate::new(1, 1).enter([192, 0, 2, 1].into()).expect("a place");
        let (mut stopper, stop) = crate::stop::pair();
        stop.spawn(|stop| converse(server, Peer::Local { uid: 0 }, place, routes, stop));
        drop(stop);
        tokio::io::AsyncWriteExt::write_all(&mut client, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("asked");
        heard.await.expect("held");
        stopper.stop().await;
        let mut told = String::new();
        tokio::io::AsyncReadExt::read_to_string(&mut client, &mut told).await.expect("an answer");
        assert!(told.starts_with("HTTP/1.1 200 ") && told.ends_with("ended"), "{told}");
    }
}
