//! A collector of two hundred lines, for tests: TLS 1.3, one port for both roles, the protocol, and ways to
//! misbehave.

#![expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "it is a collector, with a port and a clock")]

use crate::model::Collector;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, CertifiedIssuer, IsCa, KeyPair, PublicKeyData,
};
use rustls::server::WebPkiClientVerifier;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use shared::checkin::{CheckIn, Settings};
use shared::enroll::{Enroll, Identity, JoinFile, Pending, Recover, Renew, recovery_text};
use shared::limit::BODY_BYTES;
use shared::unit::{At, SECOND_US};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

pub const TOKEN: &str = "mjt_test";
const AGENT: &str = "0197c0de-0000-7000-8000-000000000001";
const DAY_S: i64 = 86_400;

/// One check-in as it came.
pub struct Post {
    pub bytes: usize,
    pub check_in: CheckIn,
    /// The generation of the certificate that was shown.
    pub generation: u64,
}

/// How the server misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mood {
    Good,
    /// Connections are closed without a word.
    Down,
    /// Check-ins get this status, with `Retry-After: 77`.
    Says(u16),
    /// Renewals are signed and their answer is lost.
    LosesRenewals,
    /// Check-ins are taken and their answer is lost.
    LosesAnswers,
    /// Certificates from this generation on are refused.
    Bans(u64),
    /// Check-ins with certificates before this generation are told that theirs has ended, as on a resumed session.
    Ends(u64),
    /// Certificates have not ended: nobody recovers.
    StillGood,
    /// What is granted names a place where nobody is.
    Misleads,
    /// Check-ins with this record are refused; which record it is, is said or not.
    Chokes(u64, bool),
    /// The first enrollment has to wait for approval.
    Approves,
}

pub struct State {
    pub collector: Collector,
    pub posts: Vec<Post>,
    pub mood: Mood,
    /// Added to the clock that is told.
    pub ahead_s: i64,
    /// How long certificates live; negative: they have ended already.
    pub life_s: i64,
    pub settings: Settings,
    pub generations: BTreeMap<Vec<u8>, u64>,
    /// The highest generation that was let in: whoever shows an earlier one is a copy.
    pub newest: u64,
    /// How often a copy came.
    pub forks: usize,
    /// The generations from which agents recovered.
    pub recovered: Vec<u64>,
    keys: Vec<Vec<u8>>,
    agent_ca: CertifiedIssuer<'static, KeyPair>,
    server_ca: String,
    url: String,
}

#[derive(Clone)]
pub struct Server(pub Rc<RefCell<State>>);

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("a CA")
}

pub fn now() -> At {
    let us = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros();
    At(i64::try_from(us).expect("not so far"))
}

impl Server {
    /// Listens on a port of its own, with a certificate for this name.
    pub async fn start(name: &str) -> Server {
        let (server_ca, agent_ca) = (authority(), authority());
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = (SystemTime::now() + Duration::from_secs(30 * 86_400)).into();
        let certificate = params.signed_by(&key, &server_ca).expect("a certificate");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut roots = rustls::RootCertStore::empty();
        roots.add(agent_ca.der().clone()).expect("a root");
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
            .allow_unauthenticated()
            .build()
            .expect("a verifier");
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_client_cert_verifier(verifier)
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("a certificate");
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.expect("a port");
        let url = format!("https://localhost:{}", listener.local_addr().expect("bound").port());
        let (settings, server_ca) = (Settings::default(), server_ca.pem());
        let state = State {
            collector: Collector::default(),
            posts: Vec::new(),
            mood: Mood::Good,
            ahead_s: 0,
            life_s: 7 * DAY_S,
            settings,
            generations: BTreeMap::new(),
            newest: 0,
            forks: 0,
            recovered: Vec::new(),
            keys: Vec::new(),
            agent_ca,
            server_ca,
            url,
        };
        let server = Server(Rc::new(RefCell::new(state)));
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        tokio::task::spawn_local(server.clone().accept(listener, acceptor));
        server
    }

    pub fn join(&self) -> JoinFile {
        let state = self.0.borrow();
        JoinFile {
            muster_join: 1,
            enroll_url: state.url.clone(),
            agent_url: state.url.clone(),
            server_ca: vec![state.server_ca.clone()],
            token: TOKEN.into(),
        }
    }

    async fn accept(self, listener: TcpListener, acceptor: tokio_rustls::TlsAcceptor) {
        while let Ok((socket, _)) = listener.accept().await {
            if self.0.borrow().mood != Mood::Down {
                let (server, acceptor) = (self.clone(), acceptor.clone());
                tokio::task::spawn_local(async move {
                    if let Ok(mut tls) = acceptor.accept(socket).await {
                        let peer = tls.get_ref().1.peer_certificates().and_then(|chain| chain.first().cloned());
                        server.serve(&mut tls, peer.as_ref()).await;
                        let _ = tls.shutdown().await;
                    }
                });
            }
        }
    }

    /// HTTP/1.1 with `Content-Length`, one request after the other.
    async fn serve(
        &self,
        tls: &mut tokio_rustls::server::TlsStream<tokio::net::TcpStream>,
        peer: Option<&CertificateDer<'static>>,
    ) {
        let mut buffer = Vec::new();
        loop {
            let head = loop {
                if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                    break end + 4;
                }
                if !matches!(tls.read_buf(&mut buffer).await, Ok(1..)) {
                    return;
                }
            };
            let text = String::from_utf8_lossy(&buffer[..head]).to_lowercase();
            let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name).map(str::trim));
            let length: usize = field("content-length:").and_then(|length| length.parse().ok()).unwrap_or(0);
            while buffer.len() < head + length {
                if !matches!(tls.read_buf(&mut buffer).await, Ok(1..)) {
                    return;
                }
            }
            let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
            let body = buffer[head..head + length].to_vec();
            let packed = field("content-encoding:") == Some("zstd");
            buffer.drain(..head + length);
            let Some((status, answer)) = self.answer(&path, &body, packed, peer) else { return };
            let date = jiff::Timestamp::from_second(now().secs() + self.0.borrow().ahead_s).expect("a time");
            let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT");
            let length = answer.len();
            let reply = format!(
                "HTTP/1.1 {status} x\r\nDate: {date}\r\nContent-Length: {length}\r\nRetry-After: 77\r\n\r\n{answer}"
            );
            if tls.write_all(reply.as_bytes()).await.is_err() || tls.flush().await.is_err() {
                return;
            }
        }
    }

    /// Status and body; `None` closes the connection.
    fn answer(
        &self,
        path: &str,
        body: &[u8],
        packed: bool,
        peer: Option<&CertificateDer<'_>>,
    ) -> Option<(u16, String)> {
        let mut state = self.0.borrow_mut();
        let generation = peer.and_then(|peer| state.generations.get(peer.as_ref()).copied()).unwrap_or(0);
        match (path, state.mood) {
            (_, Mood::Down) => None,
            ("/v1/checkin", Mood::Ends(before)) if generation < before => {
                Some((401, r#"{"title":"it has ended"}"#.into()))
            }
            (_, Mood::Bans(from)) if generation >= from => Some((403, r#"{"title":"banned"}"#.into())),
            ("/v1/checkin" | "/v1/renew" | "/v1/settings", _) if !state.admit(generation) => {
                Some((403, r#"{"title":"superseded"}"#.into()))
            }
            ("/v1/checkin", Mood::Says(status)) => Some((status, r#"{"title":"as told"}"#.into())),
            ("/v1/checkin", Mood::LosesAnswers) => {
                state.check_in(body, packed, generation);
                None
            }
            ("/v1/enroll", Mood::Approves) => {
                state.mood = Mood::Good;
                let pending = Pending { agent: AGENT.parse().expect("an id"), fingerprint: "f".into(), retry_s: 1 };
                Some((202, serde_json::to_string(&pending).expect("json")))
            }
            ("/v1/enroll", _) => {
                let enroll: Enroll = serde_json::from_slice(body).expect("an enrollment");
                match enroll.token == TOKEN {
                    true => Some((201, state.grant(&enroll.csr))),
                    false => Some((403, r#"{"title":"refused"}"#.into())),
                }
            }
            ("/v1/renew", mood) => {
                assert!(generation > 0, "renewal without a certificate");
                let renew: Renew = serde_json::from_slice(body).expect("a renewal");
                let granted = state.grant(&renew.csr);
                (mood != Mood::LosesRenewals).then_some((201, granted))
            }
            ("/v1/recover", Mood::StillGood) => Some((409, r#"{"title":"still good"}"#.into())),
            ("/v1/checkin", Mood::Chokes(seq, named)) => match records(body, packed).iter().position(|one| *one == seq)
            {
                Some(at) if named => Some((422, format!(r#"{{"title":"no","field":"records[{at}].dpkg.rows"}}"#))),
                Some(_) => Some((422, r#"{"title":"no","field":"json_nodes"}"#.into())),
                None => Some((200, state.check_in(body, packed, generation))),
            },
            ("/v1/recover", _) => Some((201, state.recover(body))),
            ("/v1/settings", _) => Some((200, serde_json::to_string(&state.settings).expect("json"))),
            ("/v1/checkin", _) => Some((200, state.check_in(body, packed, generation))),
            _ => Some((404, String::new())),
        }
    }
}

fn parsed(body: &[u8], packed: bool) -> CheckIn {
    let plain = match packed {
        true => zstd::bulk::decompress(body, BODY_BYTES).expect("zstd"),
        false => body.to_vec(),
    };
    serde_json::from_slice(&plain).expect("a check-in")
}

fn records(body: &[u8], packed: bool) -> Vec<u64> {
    parsed(body, packed).records.iter().map(|record| record.seq).collect()
}

impl State {
    /// Lets a certificate in unless a later one was let in before.
    fn admit(&mut self, generation: u64) -> bool {
        let good = generation >= self.newest;
        self.newest = self.newest.max(generation);
        self.forks += usize::from(!good);
        good
    }

    fn check_in(&mut self, body: &[u8], packed: bool, generation: u64) -> String {
        let check_in = parsed(body, packed);
        let mut answer = self.collector.check_in(1, check_in.root, check_in.seq, &check_in.records);
        answer.next_s = 300;
        answer.now = now().plus_secs(self.ahead_s);
        answer.settings = self.settings.digest();
        self.posts.push(Post { bytes: body.len(), check_in, generation });
        serde_json::to_string(&answer).expect("json")
    }

    fn recover(&mut self, body: &[u8]) -> String {
        let recover: Recover = serde_json::from_slice(body).expect("a recovery");
        let certificate = BASE64.decode(&recover.certificate).expect("base64");
        let csr = BASE64.decode(&recover.csr).expect("base64");
        let signature = BASE64.decode(&recover.signature).expect("base64");
        assert_eq!(self.generations.get(&certificate), Some(&recover.generation));
        let text = recovery_text(recover.generation, &csr);
        let old = &self.keys[usize::try_from(recover.generation).expect("small") - 1];
        let algorithms = rustls::crypto::ring::default_provider().signature_verification_algorithms.all;
        let signed = algorithms.iter().any(|algorithm| algorithm.verify_signature(old, &text, &signature).is_ok());
        assert!(signed, "not signed by the old key");
        self.recovered.push(recover.generation);
        self.grant(&recover.csr)
    }

    fn grant(&mut self, csr: &str) -> String {
        let der = BASE64.decode(csr).expect("base64");
        let request = CertificateSigningRequestParams::from_der(&der.into()).expect("a request");
        let mut params = CertificateParams::default();
        let expires = now().plus_secs(self.life_s);
        params.not_before = (SystemTime::now() - Duration::from_secs(30 * 86_400)).into();
        params.not_after =
            (UNIX_EPOCH + Duration::from_secs(u64::try_from(expires.0 / SECOND_US).expect("after 1970"))).into();
        let certificate = params.signed_by(&request.public_key, &self.agent_ca).expect("a certificate");
        let generation = self.generations.len() as u64 + 1;
        self.generations.insert(certificate.der().to_vec(), generation);
        self.keys.push(request.public_key.der_bytes().to_vec());
        let identity = Identity {
            agent: AGENT.parse().expect("an id"),
            generation,
            certificate: certificate.pem(),
            expires,
            server_ca: vec![self.server_ca.clone()],
            agent_url: if self.mood == Mood::Misleads { "https://localhost:1".into() } else { self.url.clone() },
            enroll_url: self.url.clone(),
        };
        serde_json::to_string(&identity).expect("json")
    }
}
