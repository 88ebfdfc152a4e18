//! HTTPS to the collector: TLS 1.3 only, only the pinned server CA is trusted, host names are checked,
//! answers are bounded, nothing is redirected. Does not know what is asked or answered.

use crate::clock;
use crate::exit::{Code, Fail};
use crate::state::identity::Usable;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, DATE, HeaderMap, RETRY_AFTER};
use rustls::client::Resumption;
use rustls::{AlertDescription, CertificateError, ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use shared::unit::At;
use std::error::Error as _;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

/// Until a connection stands.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Until an answer is there.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// The earliest moment that it can be: certificates are judged by the later of this and the clock, so that
/// a machine whose clock stands in the past still talks. Shared by all connections, moved by answers.
#[derive(Debug, Clone)]
pub struct Floor(Arc<AtomicI64>);

impl Floor {
    /// Not before this program was built.
    pub fn new() -> Floor {
        Floor(Arc::new(AtomicI64::new(clock::BUILT.0)))
    }

    /// It is at least this late, as a collector that is trusted says.
    pub fn raise(&self, at: At) {
        self.0.fetch_max(at.0, Ordering::Relaxed);
    }

    /// The time now, or the floor if that is later.
    pub fn now(&self) -> At {
        clock::now().max(At(self.0.load(Ordering::Relaxed)))
    }
}

impl Default for Floor {
    fn default() -> Floor {
        Floor::new()
    }
}

impl rustls::time_provider::TimeProvider for Floor {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.now().secs()).unwrap_or(0);
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

/// An answer, whatever its status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// At most [`shared::limit::ANSWER_BYTES`].
    pub body: Vec<u8>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u32>,
    /// `Date`: the collector's clock, to the second.
    pub date: Option<At>,
}

/// What is of use here of a problem (RFC 9457).
#[derive(Default, serde::Deserialize)]
struct Problem {
    title: Option<String>,
    detail: Option<String>,
    field: Option<String>,
}

impl Reply {
    fn problem(&self) -> Problem {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The field that the collector says is wrong.
    pub fn field(&self) -> Option<String> {
        self.problem().field
    }

    /// What the collector says is wrong: `detail` or `title` of a problem (RFC 9457), else the status.
    pub fn complaint(&self) -> String {
        let problem = self.problem();
        match problem.detail.or(problem.title) {
            Some(text) => format!("{} ({})", text.chars().take(300).collect::<String>(), self.status),
            None => format!("status {}", self.status),
        }
    }
}

/// There was no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Who answered is not the collector that is trusted.
    #[error("not trusted: {0}")]
    Untrusted(String),
    /// The collector ended the handshake because our certificate has ended.
    #[error("our certificate has expired")]
    Expired,
    /// The collector ended the handshake for another reason that lies in our certificate.
    #[error("our certificate was refused: {0}")]
    Rejected(String),
    /// No connection: nothing that was to be sent has reached the collector.
    #[error("out of reach: {0}")]
    Unreachable(String),
    /// Whoever was reached closed the connection before it stood: a collector that has no room at the moment does so.
    /// Nothing has reached the collector.
    #[error("turned away: {0}")]
    TurnedAway(String),
    /// The connection broke, or no answer came in time: the collector may have taken what was sent.
    #[error("no answer: {0}")]
    Broken(String),
    /// The answer is larger than it may be.
    #[error("the answer is larger than {} KiB", shared::limit::ANSWER_BYTES / 1024)]
    TooLarge,
}

impl CallError {
    /// The failure of a verb that made this call to `url`.
    pub fn fail(&self, url: &str) -> Fail {
        let (code, advice) = match self {
            CallError::Untrusted(_) => (
                Code::Untrusted,
                "check the URL, this machine's clock, and that the join file is the collector's: one from before its CA \
                 was rotated is no more, `muster join create` makes a new one",
            ),
            CallError::Expired | CallError::Rejected(_) => {
                (Code::Refused, "`muster agents show` tells its state; enroll again if need be")
            }
            CallError::Unreachable(_) | CallError::TurnedAway(_) | CallError::Broken(_) | CallError::TooLarge => {
                (Code::Unreachable, "check the URL, the network, and that `muster serve` runs")
            }
        };
        Fail::new(code, format!("{url}: {self}; {advice}"))
    }
}

/// Connections to one collector, with or without an identity.
#[derive(Debug, Clone)]
pub struct Client(reqwest::Client);

impl Client {
    /// A client that trusts `server_ca` (PEM) alone and shows `identity` if there is one.
    ///
    /// # Errors
    /// A certificate or key cannot be read, or the proxy's URL ([`Code::State`]).
    pub fn new(
        server_ca: &[String],
        identity: Option<&Usable>,
        floor: &Floor,
        proxy: Option<&str>,
    ) -> Result<Client, Fail> {
        let config = tls(server_ca, identity, floor).map_err(|why| Fail::new(Code::State, why))?;
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(config)
            .https_only(true)
            .http1_only()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .pool_idle_timeout(None)
            .pool_max_idle_per_host(1)
            .tcp_keepalive(Duration::from_secs(60))
            .user_agent(concat!("muster-agent/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            let proxy = reqwest::Proxy::https(proxy);
            builder = builder.proxy(proxy.map_err(|why| Fail::new(Code::Config, format!("proxy: {why}")))?);
        }
        builder.build().map(Client).map_err(|why| Fail::new(Code::Failure, format!("TLS: {why}")))
    }

    /// Posts JSON, packed with zstd if `packed`.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn post(&self, url: &str, body: Vec<u8>, packed: bool) -> Result<Reply, CallError> {
        let mut request = self.0.post(url).header(CONTENT_TYPE, "application/json");
        if packed {
            request = request.header(CONTENT_ENCODING, "zstd");
        }
        answer(request.body(body).send().await).await
    }

    /// Gets.
    ///
    /// # Errors
    /// There was no answer.
    pub async fn get(&self, url: &str) -> Result<Reply, CallError> {
        answer(self.0.get(url).send().await).await
    }
}

async fn answer(response: reqwest::Result<reqwest::Response>) -> Result<Reply, CallError> {
    let mut response = response.map_err(|error| why(&error))?;
    let status = response.status().as_u16();
    let headers = response.headers();
    let retry_after_s = text(headers, RETRY_AFTER).and_then(|value| value.parse().ok());
    let date = text(headers, DATE).and_then(|value| jiff::fmt::rfc2822::parse(value).ok());
    let date = date.map(|date| At(date.timestamp().as_microsecond()));
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| why(&error))? {
        if body.len() + chunk.len() > shared::limit::ANSWER_BYTES {
            return Err(CallError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Reply { status, body, retry_after_s, date })
}

fn text(headers: &HeaderMap, name: reqwest::header::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What an HTTP client's error means. Once the connection stands, no failure says that nothing was received.
fn why(error: &reqwest::Error) -> CallError {
    match cause(error) {
        CallError::Unreachable(why) | CallError::TurnedAway(why) | CallError::Untrusted(why) if !error.is_connect() => {
            CallError::Broken(why)
        }
        cause => cause,
    }
}

/// Finds the cause at the bottom of an HTTP client's error.
fn cause(error: &reqwest::Error) -> CallError {
    let mut deepest: &dyn std::error::Error = error;
    let mut next = error.source();
    while let Some(cause) = next {
        deepest = cause;
        if let Some(tls) = tls_error(cause) {
            return why_tls(tls);
        }
        next = cause.source();
    }
    if innermost(deepest).is_some_and(is_closed) {
        return CallError::TurnedAway(deepest.to_string());
    }
    CallError::Unreachable(if error.is_timeout() { "no answer in time".into() } else { deepest.to_string() })
}

/// Whether somebody was there and left; where nobody listens a connection is refused instead.
fn is_closed(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

/// The kind of the I/O error that this is or wraps.
fn innermost(error: &(dyn std::error::Error + 'static)) -> Option<ErrorKind> {
    let io: &std::io::Error = error.downcast_ref()?;
    io.get_ref().and_then(|inner| innermost(inner)).or(Some(io.kind()))
}

/// The TLS error that this is or wraps. An I/O error's `source` leaves out what it wraps, and they are nested.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

fn why_tls(error: &rustls::Error) -> CallError {
    match error {
        rustls::Error::AlertReceived(AlertDescription::CertificateExpired) => CallError::Expired,
        rustls::Error::AlertReceived(AlertDescription::UnknownCA) => CallError::Rejected(
            "its CA is trusted no more; `muster-agent seal --yes`, then enroll with a new join file".into(),
        ),
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateRequired
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::DecryptError
            | AlertDescription::AccessDenied),
        ) => CallError::Rejected(format!("{alert:?}")),
        // Without the moment of the look: who tries again has no other trouble than before.
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            let why = "the collector's certificate has expired by this machine's clock; set the clock, or renew the certificate";
            CallError::Untrusted(why.to_owned())
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => {
            let why = "the collector's certificate is not valid yet by this machine's clock; set the clock";
            CallError::Untrusted(why.to_owned())
        }
        rustls::Error::AlertReceived(alert) => CallError::Unreachable(format!("TLS alert {alert:?}")),
        other => CallError::Untrusted(other.to_string()),
    }
}

/// TLS as this agent wants it.
fn tls(server_ca: &[String], identity: Option<&Usable>, floor: &Floor) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    for pem in server_ca {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
            let certificate = certificate.map_err(|why| format!("server CA: not a certificate: {why}"))?;
            roots.add(certificate).map_err(|why| format!("server CA: not usable: {why}"))?;
        }
    }
    if roots.is_empty() {
        return Err("server CA: no certificate in it; get a new join file".into());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_details(provider, Arc::new(floor.clone()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|why| why.to_string())?
        .with_root_certificates(roots);
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(identity) => {
            let chain: Result<Vec<_>, _> =
                CertificateDer::pem_slice_iter(identity.stored.granted.certificate.as_bytes()).collect();
            let chain = chain.map_err(|why| format!("our certificate: {why}"))?;
            let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes());
            let key = key.map_err(|why| format!("our key: {why}"))?;
            builder.with_client_auth_cert(chain, key).map_err(|why| format!("our certificate and key: {why}"))?
        }
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    config.resumption = Resumption::in_memory_sessions(2);
    Ok(config)
}
