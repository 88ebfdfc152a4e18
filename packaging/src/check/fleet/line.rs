//! Connections by the thousand: HTTP/1.1 over TLS 1.3 written by hand, from any address of this machine, with identities
//! that lie in memory alone. Does not know what is asked.

use agent::key::Key;
use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use shared::enroll::{Enroll, Identity, JoinFile};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// An answer's head and body are no longer than this.
const ANSWER_BYTES: usize = 256 * 1024;
/// Until an answer is there.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often enrollment is tried where the collector asks for patience.
const TRIES: u32 = 200;

/// Whom a client trusts and what it shows. Clones share their TLS sessions.
#[derive(Clone)]
pub(in crate::check) struct Tls(pub(in crate::check) Arc<ClientConfig>);

/// An answer.
#[derive(Debug, Clone)]
pub(in crate::check) struct Answer {
    pub(in crate::check) status: u16,
    pub(in crate::check) retry_after: Option<String>,
    pub(in crate::check) body: Vec<u8>,
}

/// An enrolled identity, in memory.
pub(in crate::check) struct Member {
    pub(in crate::check) tls: Tls,
}

/// The n-th of this machine's own addresses, 127.0.1.1 and on: as a fleet has many.
pub(in crate::check) fn address(number: usize) -> IpAddr {
    let [.., high, low] = u32::try_from(number % 60_000 + 257).unwrap_or(257).to_be_bytes();
    Ipv4Addr::new(127, 0, high, low).into()
}

impl Tls {
    /// Trusts `trust` (PEM); shows certificate and key (PEM), if any.
    pub(in crate::check) fn new(trust: &[String], identity: Option<(&str, &str)>) -> Result<Tls> {
        let mut roots = RootCertStore::empty();
        for pem in trust {
            roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).context("the server CA")?)?;
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).context("a certificate")?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).context("a key")?;
                builder.with_client_auth_cert(vec![certificate], key)?
            }
        };
        // By the thousand, caches would be most of their memory.
        config.resumption = rustls::client::Resumption::in_memory_sessions(1);
        Ok(Tls(Arc::new(config)))
    }
}

/// A TCP connection from one of this machine's addresses.
pub(in crate::check) async fn tcp(to: SocketAddr, from: IpAddr) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from, 0)).context("bind")?;
    let stream = tokio::time::timeout(PATIENCE, socket.connect(to)).await.context("connect")??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Enrolls one more machine, as often as the collector asks for patience.
pub(in crate::check) async fn enroll(to: SocketAddr, join: &JoinFile, number: usize) -> Result<Member> {
    let key = Key::generate()?;
    let body = Enroll {
        token: join.token.clone(),
        csr: STANDARD.encode(key.request()?),
        name: format!("member-{number}"),
        version: "0.1.0".into(),
    };
    let body = serde_json::to_vec(&body)?;
    let stranger = Tls::new(&join.server_ca, None)?;
    for _ in 0..TRIES {
        let answer = Line::open(to, address(number), &stranger).await?.post("/v1/enroll", "", &body).await?;
        match answer.status {
            200 | 201 => {
                let granted: Identity = serde_json::from_slice(&answer.body)?;
                let key = key.to_pem();
                let tls = Tls::new(&join.server_ca, Some((&granted.certificate, &key)))?;
                return Ok(Member { tls });
            }
            429 | 503 => {
                let seconds = answer.retry_after.and_then(|text| text.parse().ok()).unwrap_or(1);
                tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            status => bail!("enrollment was answered {status}: {}", String::from_utf8_lossy(&answer.body)),
        }
    }
    bail!("enrollment was put off {TRIES} times")
}

/// An open connection.
pub(in crate::check) struct Line {
    stream: TlsStream<TcpStream>,
    host: IpAddr,
}

impl Line {
    /// Connects and shakes hands.
    pub(in crate::check) async fn open(to: SocketAddr, from: IpAddr, tls: &Tls) -> Result<Line> {
        let tcp = tcp(to, from).await?;
        let shaken = TlsConnector::from(tls.0.clone()).connect(ServerName::from(to.ip()), tcp);
        let stream = tokio::time::timeout(PATIENCE, shaken).await.context("handshake")?.context("handshake")?;
        Ok(Line { stream, host: to.ip() })
    }

    /// Posts JSON with more header lines, each with its end.
    pub(in crate::check) async fn post(&mut self, path: &str, fields: &str, body: &[u8]) -> Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n{fields}Content-Length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        self.ask(head, body).await
    }

    /// Gets with more header lines, each with its end.
    pub(in crate::check) async fn get(&mut self, path: &str, fields: &str) -> Result<Answer> {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", self.host), b"").await
    }

    async fn ask(&mut self, head: String, body: &[u8]) -> Result<Answer> {
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body);
        self.send(&bytes).await?;
        tokio::time::timeout(PATIENCE, self.answer()).await.context("no answer in time")?
    }

    /// Sends bytes as they are.
    pub(in crate::check) async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await.context("sending")?;
        self.stream.flush().await.context("sending")
    }

    /// Returns when the other side has closed; what it says before is not kept.
    pub(in crate::check) async fn closed(&mut self) {
        let mut piece = [0; 1024];
        while let Ok(1..) = self.stream.read(&mut piece).await {}
    }

    async fn answer(&mut self) -> Result<Answer> {
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        let end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let read = self.stream.read(&mut piece).await.context("no answer")?;
            ensure!(read > 0 && bytes.len() < ANSWER_BYTES, "no whole answer");
            bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
        };
        let mut body = bytes.split_off(end);
        let head = String::from_utf8_lossy(&bytes).into_owned();
        let field = |name: &str| {
            let mut fields = head.lines().filter_map(|line| line.split_once(':'));
            fields.find(|(named, _)| named.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
        };
        let length: usize = field("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        ensure!(length < ANSWER_BYTES, "an answer of {length} bytes");
        while body.len() < length {
            let read = self.stream.read(&mut piece).await.context("no answer")?;
            ensure!(read > 0, "no whole answer");
            body.extend_from_slice(piece.get(..read).unwrap_or_default());
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status")?;
        Ok(Answer { status, retry_after: field("retry-after"), body })
    }
}
