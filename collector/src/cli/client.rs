//! A client of the public API: over the admin socket on the collector's own host, or over HTTPS with a
//! token from anywhere. Knows HTTP and problem+json, not what the resources mean.

use super::exit::{Code, Failure};
use clap::Args;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the collector is, and who asks.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Which collector")]
pub struct Target {
    /// The admin socket of a collector on this host.
    #[arg(
        long,
        global = true,
        env = "MUSTER_SOCKET",
        hide_env_values = true,
        default_value = "/run/muster/admin.sock",
        value_name = "PATH"
    )]
    pub socket: PathBuf,
    /// A collector anywhere, `https://host:8444`; needs --token-file.
    #[arg(long, global = true, env = "MUSTER_URL", hide_env_values = true, value_name = "URL")]
    pub url: Option<String>,
    /// A file with an API token (a file, so that no process list shows it).
    #[arg(long, global = true, env = "MUSTER_TOKEN_FILE", hide_env_values = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The CA to trust for --url, PEM; the system's own otherwise.
    #[arg(long, global = true, env = "MUSTER_CA", hide_env_values = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// An answer: its body, and its ETag where it has one.
#[derive(Debug)]
pub struct Answer {
    /// The body; null where there is none.
    pub body: Value,
    /// The revision to send back with `If-Match`.
    pub etag: Option<String>,
}

/// A connected client.
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
    place: String,
}

/// Seconds that an answer may take; longer than any long poll.
const ANSWER_S: u64 = 90;

impl Client {
    /// Prepares a client; nothing is sent yet.
    ///
    /// # Errors
    /// A file that cannot be read, or a URL without token.
    pub fn new(target: &Target) -> Result<Client, Failure> {
        let mut builder = reqwest::Client::builder()
            .timeout(Duration::from_secs(ANSWER_S))
            .redirect(reqwest::redirect::Policy::none());
        let Some(url) = &target.url else {
            // No TLS on this way: a host without certificates of public authorities has it all the same.
            builder = builder.unix_socket(target.socket.as_path()).tls_certs_only([]);
            let http = builder.build().map_err(|e| Failure::new(Code::Failed, e.to_string()))?;
            let place = target.socket.display().to_string();
            return Ok(Client { http, base: "http://localhost".to_owned(), token: None, place });
        };
        if !url.starts_with("https://") {
            return Err(Failure::new(Code::Usage, format!("--url {url}: expected https://host:port")));
        }
        if let Some(ca) = &target.ca {
            let pem = read(ca)?;
            let ca_certs = reqwest::Certificate::from_pem_bundle(pem.as_bytes())
                .map_err(|e| Failure::new(Code::Config, format!("{}: not a PEM certificate: {e}", ca.display())))?;
            builder = builder.tls_certs_only(ca_certs);
        }
        let Some(file) = &target.token_file else {
            return Err(Failure::new(
                Code::Usage,
                "--url needs --token-file (or MUSTER_TOKEN_FILE): a file with an API token, made with `muster token create`",
            ));
        };
        let token = Some(read(file)?.trim().to_owned());
        let http = builder.build().map_err(|e| {
            let what =
                format!("TLS: {e}; without --ca the certificates of this system are used, and there may be none");
            Failure::new(Code::Failed, what)
        })?;
        Ok(Client { http, base: url.trim_end_matches('/').to_owned(), token, place: url.clone() })
    }

    /// `GET path?params`.
    ///
    /// # Errors
    /// What the collector answered, or that it did not.
    pub async fn get(&self, path: &str, params: &[(&str, String)]) -> Result<Answer, Failure> {
        self.send(self.http.get(format!("{}{path}", self.base)).query(params)).await
    }

    /// `POST path` with a body.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer, Failure> {
        self.send(self.http.post(format!("{}{path}", self.base)).json(body)).await
    }

    /// `PATCH path` with a body, on the revision that `etag` names.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn patch(&self, path: &str, etag: Option<&str>, body: &Value) -> Result<Answer, Failure> {
        let mut request = self.http.patch(format!("{}{path}", self.base)).json(body);
        if let Some(etag) = etag {
            request = request.header("if-match", etag);
        }
        self.send(request).await
    }

    /// `DELETE path`.
    ///
    /// # Errors
    /// As [`Client::get`].
    pub async fn delete(&self, path: &str) -> Result<Answer, Failure> {
        self.send(self.http.delete(format!("{}{path}", self.base))).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        let etag = answer.headers().get("etag").and_then(|v| v.to_str().ok()).map(str::to_owned);
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        let body: Value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(Answer { body, etag });
        }
        Err(refused(status.as_u16(), &body))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut why = error.to_string();
        let mut cause = std::error::Error::source(error);
        while let Some(inner) = cause {
            if let Some(tls @ rustls::Error::InvalidCertificate(_)) = tls_error(inner) {
                let place = &self.place;
                let advice = "give the collector's CA with --ca FILE (a join file holds it)";
                return Failure::new(Code::Unreachable, format!("{place} is not trusted: {tls}; {advice}"));
            }
            why = inner.to_string();
            cause = inner.source();
        }
        Failure::new(
            Code::Unreachable,
            format!(
                "no collector at {}: {why}; is `muster serve` running? (other places: --socket PATH, or --url with --token-file)",
                self.place
            ),
        )
    }
}

/// The TLS error that this is or wraps. An I/O error's `source` leaves out what it wraps, and they are nested.
fn tls_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<std::io::Error>() {
        Some(io) => tls_error(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// What the collector says of a call that it does not answer with a success.
fn refused(status: u16, body: &Value) -> Failure {
    let code = match status {
        400 | 422 => Code::Usage,
        401 | 403 => Code::Forbidden,
        404 => Code::NotFound,
        409 | 412 => Code::Conflict,
        _ => Code::Failed,
    };
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let message = match (text("detail"), text("field")) {
        (None, _) => format!("{} (HTTP {status})", text("title").unwrap_or("the collector did not say why")),
        (Some(detail), Some(field)) if !detail.starts_with(field) => format!("{field}: {detail}"),
        (Some(detail), _) => detail.to_owned(),
    };
    Failure::new(code, message)
}

/// Reads a small text file.
///
/// # Errors
/// The path and the reason.
pub fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|e| Failure::new(Code::Config, format!("{}: {e}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_refusal_names_the_field_once_and_has_its_code() {
        let of = |status, body| {
            let failure = refused(status, &body);
            (failure.code, failure.message)
        };
        let told = of(400, json!({"detail": "one of online, off", "field": "presence"}));
        assert_eq!(told, (Code::Usage, "presence: one of online, off".to_owned()));
        let told = of(422, json!({"detail": "assignee: needed to move to assigned", "field": "assignee"}));
        assert_eq!(told, (Code::Usage, "assignee: needed to move to assigned".to_owned()));
        assert_eq!(of(412, json!({"detail": "changed meanwhile"})), (Code::Conflict, "changed meanwhile".to_owned()));
        let told = of(502, Value::Null);
        assert_eq!(told, (Code::Failed, "the collector did not say why (HTTP 502)".to_owned()));
    }
}
