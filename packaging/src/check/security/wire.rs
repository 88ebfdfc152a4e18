//! HTTP/1.1 over TLS 1.3, one connection at a time, with all of it in the check's hands: which certificate is shown,
//! whether the connection or the session is used again, every header. Does not know what is asked.

pub(super) use crate::check::fleet::line::Tls;
use anyhow::{Context, Result, bail};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, HandshakeKind, StreamOwned};
use serde_json::Value;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Until a connection stands, and until more of an answer comes.
const PATIENCE: Duration = Duration::from_secs(30);
/// An answer's head is no longer than this.
const HEAD_BYTES: usize = 64 * 1024;

/// An answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    /// The body as JSON; `null` if it is none.
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    /// The body as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What a problem names as the field that is wrong.
    pub(super) fn field(&self) -> String {
        self.json()["field"].as_str().unwrap_or_default().to_owned()
    }
}

/// Asks one question after the other: on the connection before while the server keeps it, else on a new one.
pub(super) struct Caller {
    to: SocketAddr,
    tls: Tls,
    line: Option<Line>,
}

impl Caller {
    pub(super) fn new(to: SocketAddr, tls: &Tls) -> Caller {
        Caller { to, tls: tls.clone(), line: None }
    }

    /// As [`Line::ask`].
    pub(super) fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        if let Some(mut line) = self.line.take()
            && let Ok(answer) = line.ask(method, path, fields, body)
        {
            self.line = Some(line);
            return Ok(answer);
        }
        let mut line = Line::open(self.to, &self.tls)?;
        let answer = line.ask(method, path, fields, body)?;
        self.line = Some(line);
        Ok(answer)
    }

    /// As [`Line::post`].
    pub(super) fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }
}

/// An open connection.
pub(super) struct Line(StreamOwned<ClientConnection, TcpStream>);

impl Line {
    /// Connects and shakes hands. In TLS 1.3 a server refuses a client's certificate only after that.
    pub(super) fn open(to: SocketAddr, tls: &Tls) -> Result<Line> {
        let mut tcp = TcpStream::connect_timeout(&to, PATIENCE).context("connect")?;
        tcp.set_nodelay(true)?;
        tcp.set_read_timeout(Some(PATIENCE))?;
        tcp.set_write_timeout(Some(PATIENCE))?;
        let mut connection = ClientConnection::new(tls.0.clone(), ServerName::from(to.ip()))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut tcp).context("handshake")?;
        }
        Ok(Line(StreamOwned::new(connection, tcp)))
    }

    /// Whether the handshake took up an earlier session.
    pub(super) fn resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// Asks, and reads the answer. A server may answer before it took the whole body.
    pub(super) fn ask(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Result<Answer> {
        let mut head = format!("{method} {path} HTTP/1.1\r\n");
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str("Host: localhost\r\n");
        }
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let sent =
            self.0.write_all(head.as_bytes()).and_then(|()| self.0.write_all(body)).and_then(|()| self.0.flush());
        let answer = self.read();
        match (sent, answer) {
            (_, Ok(answer)) => Ok(answer),
            (Err(error), Err(_)) => Err(error).context("sending"),
            (Ok(()), Err(error)) => Err(error),
        }
    }

    /// The same with JSON.
    pub(super) fn post(&mut self, path: &str, body: &Value) -> Result<Answer> {
        self.ask("POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
    }

    /// `GET path`.
    pub(super) fn get(&mut self, path: &str) -> Result<Answer> {
        self.ask("GET", path, &[], b"")
    }

    fn read(&mut self) -> Result<Answer> {
        let (head, body) = message(&mut self.0)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).context("a status")?;
        Ok(Answer { status, head, body })
    }
}

/// Reads one message of HTTP/1.1, a question or an answer: its head, and as much of a body as it says.
pub(super) fn message(from: &mut impl Read) -> Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut more = |bytes: &mut Vec<u8>| -> Result<usize> {
        let mut piece = [0; 16 * 1024];
        let read = from.read(&mut piece).context("no answer")?;
        bytes.extend_from_slice(piece.get(..read).unwrap_or_default());
        Ok(read)
    };
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at;
        }
        if bytes.len() > HEAD_BYTES || more(&mut bytes)? == 0 {
            bail!("no whole answer, only {} bytes", bytes.len());
        }
    };
    let mut body = bytes.split_off(end + 4);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let length: usize = length.filter_map(|(_, value)| value.trim().parse().ok()).next().unwrap_or(0);
    while body.len() < length && more(&mut body)? > 0 {}
    Ok((head, body))
}
