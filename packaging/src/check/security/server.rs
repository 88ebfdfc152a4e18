//! Servers that are not the collector: impostors in its place, one that talks as it does but ill, and a proxy that can
//! lose an answer. Does not know what an agent should make of them, but for the check of impostors.

use super::certificates::{NO_OPENSSL, Pair, openssl, self_signed, signed};
use super::house::{House, until};
use super::wire::message;
use super::{Security, Seen};
use anyhow::{Context, Result, ensure};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

/// Until an agent has made up its mind about a server.
const JUDGE: Duration = Duration::from_secs(30);

/// A process that ends with the check.
pub(super) struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // Best effort: the check is over.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// 4: an agent talks to its collector and to nobody else, and keeps what it has to say.
pub(super) fn impostors(_: &Security) -> Result<Seen> {
    if !openssl() {
        return Ok(Seen::Skip(NO_OPENSSL.into(), "impostors in the collector's place".into()));
    }
    let mut house = House::open("")?;
    let agent = house.world.join("machine");
    let place = house.agents();
    let read = |name| std::fs::read_to_string(agent.state.join(name)).with_context(|| format!("{name} of the agent"));
    let own = Pair { certificate: read("cert.pem")?, key: read("key.pem")? };
    let public = self_signed(server_params("localhost")?)?;
    let wrong = signed(&house, "server-ca.pem", &server_params("elsewhere.example")?)?;
    let trusted = public.keep(&house, "public")?.0;
    house.world.stop_collector();
    let mut seen = Vec::new();
    for (name, pair) in
        [("A's own certificate", own), ("public CA, right name", public), ("right CA, wrong name", wrong)]
    {
        let (certificate, key) = pair.keep(&house, "impostor")?;
        let _impostor = s_server(place, &certificate, &key)?;
        // The first process may still be there on the next start.
        let _ = std::fs::remove_file(agent.state.join("status.json"));
        let _service = service(&agent.config, &trusted)?;
        let status = || -> Value {
            let text = std::fs::read(agent.state.join("status.json")).unwrap_or_default();
            serde_json::from_slice(&text).unwrap_or_default()
        };
        let judged = until(JUDGE, || Ok(status()["trouble"].as_str().is_some_and(|why| why.contains("not trusted"))))?;
        ensure!(judged, "{name}: the agent says {}", status());
        let spool = std::fs::metadata(agent.state.join("spool")).map_or(0, |spool| spool.len());
        ensure!(spool > 1000, "{name}: the spool holds {spool} bytes");
        seen.push(format!("{name}: refused, {spool} bytes in the spool"));
    }
    house.world.start_collector();
    ensure!(house.world.rows("/v1/assets")?.is_empty(), "something was told before");
    let _service = service(&agent.config, &trusted)?;
    house.world.event("baseline", 0);
    Ok(Seen::Pass(format!("{}; told to the collector when it was back", seen.join("; "))))
}

/// What a server's certificate says that is for this name and this address.
fn server_params(name: &str) -> Result<CertificateParams> {
    let mut names = vec![name.to_owned()];
    if name == "localhost" {
        names.push("127.0.0.1".into());
    }
    let mut params = CertificateParams::new(names)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    Ok(params)
}

fn s_server(place: SocketAddr, certificate: &Path, key: &Path) -> Result<Running> {
    let mut command = Command::new("openssl");
    command.args(["s_server", "-quiet", "-tls1_3", "-accept", &place.to_string(), "-cert"]).arg(certificate);
    command.arg("-key").arg(key).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let running = Running(command.spawn().context("openssl s_server")?);
    ensure!(until(JUDGE, || Ok(TcpStream::connect(place).is_ok()))?, "openssl s_server does not listen on {place}");
    Ok(running)
}

/// The agent's service, on a machine whose system trusts this CA.
fn service(config: &Path, trusted: &Path) -> Result<Running> {
    let mut command = Command::new(tests::binary("muster-agent"));
    command.arg("--config").arg(config).arg("run").env("SSL_CERT_FILE", trusted);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    Ok(Running(command.spawn().context("muster-agent")?))
}

/// Answers every request with this status and problem, in the name and with the key of this house's collector; gives
/// where. Ends with the process.
pub(super) fn ill_mannered(house: &House, status: u16, problem: Vec<u8>) -> Result<SocketAddr> {
    let pair = signed(house, "server-ca.pem", &server_params("localhost")?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes())?];
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes())?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let place = listener.local_addr()?;
    std::thread::spawn(move || {
        for tcp in listener.incoming().flatten() {
            let Ok(connection) = ServerConnection::new(config.clone()) else { continue };
            let mut stream = StreamOwned::new(connection, tcp);
            let head = format!(
                "HTTP/1.1 {status} No\r\nContent-Type: application/problem+json\r\nConnection: close\r\n\
                 Content-Length: {}\r\n\r\n",
                problem.len()
            );
            // Whoever went away does not hear it.
            let _ = message(&mut stream);
            let _ = stream.write_all(head.as_bytes());
            let _ = stream.write_all(&problem).and_then(|()| stream.flush());
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    });
    Ok(place)
}

/// Stands between agents and a collector; `lose` is asked before each piece of an answer is handed on, and if it says
/// so, the connection is cut instead. Ends with the process.
pub(super) fn proxy(
    listener: TcpListener,
    to: SocketAddr,
    lose: impl Fn() -> bool + Send + Sync + 'static,
) -> Result<()> {
    let lose = Arc::new(lose);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(to) else { continue };
            let (Ok(from), Ok(into)) = (client.try_clone(), server.try_clone()) else { continue };
            std::thread::spawn(move || copy(&from, &into, || false));
            let lose = lose.clone();
            std::thread::spawn(move || copy(&server, &client, || lose()));
        }
    });
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream, lose: impl Fn() -> bool) {
    let mut piece = [0; 16 * 1024];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        if lose() || to.write_all(piece.get(..read).unwrap_or_default()).is_err() {
            break;
        }
    }
    for end in [from, to] {
        // It may be closed already.
        let _ = end.shutdown(Shutdown::Both);
    }
}
