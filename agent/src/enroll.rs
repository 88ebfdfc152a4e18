//! How the agent gets its identity, renews it with a new key, and finds back when it was away for too
//! long. One call each; who decides when is not here. The join token is in a request's body and nowhere else.

use crate::client::{CallError, Client, Floor, Reply};
use crate::clock;
use crate::exit::{Code, Fail};
use crate::key::Key;
use crate::log;
use crate::machine::Fingerprint;
use crate::state::identity::{Stored, Usable, Vault, renew_at};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use shared::enroll::{Enroll, Identity, JoinFile, Pending, Recover, Renew, recovery_text};
use std::time::Duration;

/// A join file is no larger than this, in bytes.
pub const JOIN_BYTES_MAX: usize = 64 * 1024;
/// An enrollment that the collector puts off is given up after so many tries; one that waits for approval is not.
const PUT_OFF_MAX: u32 = 10;

/// Reads a join file's text.
///
/// # Errors
/// It is none, or of a version that this agent does not know. The text is not in the error: it is secret.
pub fn parse_join(text: &[u8]) -> Result<JoinFile, Fail> {
    let fail = |why: String| Fail::new(Code::Failure, format!("join file: {why}; make one with `muster join create`"));
    let join: JoinFile = serde_json::from_slice(text)
        .map_err(|error| fail(format!("not readable (line {}, column {})", error.line(), error.column())))?;
    if join.muster_join != 1 {
        return Err(fail(format!("version {} is not known to this agent", join.muster_join)));
    }
    for url in [&join.enroll_url, &join.agent_url] {
        if !url.starts_with("https://") {
            return Err(fail(format!("{url:?} is no https URL")));
        }
    }
    Ok(join)
}

/// Enrolls: makes a key, shows the token, waits where an admin has to approve, stores what was granted.
///
/// # Errors
/// Refused, out of reach, not trusted, or the state directory cannot be written. The key stays on disk, so
/// that another try counts as the same one.
pub async fn enroll(join: &JoinFile, name: &str, vault: &Vault, proxy: Option<&str>) -> Result<Stored, Fail> {
    let key = vault.next_key()?;
    let client = Client::new(&join.server_ca, None, &Floor::new(), proxy)?;
    let url = format!("{}/v1/enroll", join.enroll_url.trim_end_matches('/'));
    let csr = BASE64.encode(request(&key)?);
    let name = name.chars().take(253).collect();
    let body = Enroll { token: join.token.clone(), csr, name, version: env!("CARGO_PKG_VERSION").into() };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let mut put_off = 0;
    loop {
        let reply = match client.post(&url, body.clone(), false).await {
            // A whole site that enrolls at once from one address has more connections than the collector takes.
            Err(error @ CallError::TurnedAway(_)) if put_off < PUT_OFF_MAX => {
                put_off += 1;
                log::warn(&format!("{url}: {error}; trying again"));
                pause(1 + later_s(put_off, clock::random())).await;
                continue;
            }
            reply => reply.map_err(|error| error.fail(&url))?,
        };
        match reply.status {
            200 | 201 => {
                let stored = granted(&reply, &key, Fingerprint::default())?;
                let state = |error: crate::state::files::FileError| Fail::new(Code::State, error.to_string());
                vault.forget_stream().map_err(state)?;
                vault.store_next(&stored).map_err(state)?;
                vault.promote().map_err(state)?;
                return Ok(stored);
            }
            202 => {
                let pending: Pending = parse(&reply)?;
                log::info(&format!(
                    "waiting for approval: `muster agents approve {} --fingerprint {}`",
                    pending.agent, pending.fingerprint
                ));
                pause(pending.retry_s).await;
            }
            429 | 503 if put_off < PUT_OFF_MAX => {
                put_off += 1;
                log::warn(&format!("{url}: busy: {}; trying again", reply.complaint()));
                // Not all who were told the same at the same moment.
                pause(reply.retry_after_s.unwrap_or(30).saturating_add(later_s(put_off, clock::random()))).await;
            }
            _ => {
                let advice = "get a new join file with `muster join create`, or ask the collector's admin for the reason in its journal";
                return Err(Fail::new(Code::Refused, format!("{url}: refused: {}; {advice}", reply.complaint())));
            }
        }
    }
}

/// Seconds below a bound that doubles with each try, up to 32.
fn later_s(tries: u32, random: u64) -> u32 {
    u32::try_from(random % (1 << tries.min(5))).unwrap_or(0)
}

/// Seconds as asked for, within 1 s and an hour.
async fn pause(seconds: u32) {
    tokio::time::sleep(Duration::from_secs(u64::from(seconds.clamp(1, 3600)))).await;
}

/// Renews over a connection that shows the current identity; what was granted is stored as the next.
///
/// # Errors
/// The current identity stays as it is.
pub async fn renew(client: &Client, current: &Usable, vault: &Vault) -> Result<Usable, Fail> {
    let key = vault.next_key()?;
    let url = format!("{}/v1/renew", current.stored.granted.agent_url.trim_end_matches('/'));
    let body = Renew { csr: BASE64.encode(request(&key)?) };
    let reply = client.post(&url, serde_json::to_vec(&body).unwrap_or_default(), false).await;
    accept_next(reply, &url, &key, current, vault)
}

/// Asks for a new certificate with the expired one's key.
///
/// # Errors
/// The expired identity stays as it is.
pub async fn recover(current: &Usable, vault: &Vault, floor: &Floor, proxy: Option<&str>) -> Result<Usable, Fail> {
    let granted = &current.stored.granted;
    let key = vault.next_key()?;
    let csr = request(&key)?;
    let state = |why: String| Fail::new(Code::State, format!("{why}; run `muster-agent seal` and enroll again"));
    let certificate = CertificateDer::from_pem_slice(granted.certificate.as_bytes());
    let certificate = certificate.map_err(|why| state(format!("our certificate: {why}")))?;
    let old = Key::from_pem(&current.key_pem).map_err(|why| state(why.to_string()))?;
    let signature = old.sign(&recovery_text(granted.generation, &csr)).map_err(|why| state(why.to_string()))?;
    let body = Recover {
        certificate: BASE64.encode(&certificate),
        csr: BASE64.encode(&csr),
        generation: granted.generation,
        signature: BASE64.encode(signature),
    };
    let client = Client::new(&granted.server_ca, None, floor, proxy)?;
    let url = format!("{}/v1/recover", granted.enroll_url.trim_end_matches('/'));
    let reply = client.post(&url, serde_json::to_vec(&body).unwrap_or_default(), false).await;
    accept_next(reply, &url, &key, current, vault)
}

fn accept_next(
    reply: Result<Reply, CallError>,
    url: &str,
    key: &Key,
    current: &Usable,
    vault: &Vault,
) -> Result<Usable, Fail> {
    let reply = reply.map_err(|error| error.fail(url))?;
    if reply.status == 202 {
        let Pending { agent, fingerprint, .. } = parse(&reply)?;
        let why = format!("waits for approval: `muster agents approve {agent} --fingerprint {fingerprint}`");
        return Err(Fail::new(Code::Refused, format!("{url}: {why}")));
    }
    if !matches!(reply.status, 200 | 201) {
        return Err(Fail::new(Code::Refused, format!("{url}: refused: {}", reply.complaint())));
    }
    let mut stored = granted(&reply, key, current.stored.machine.clone())?;
    // Kept as a time that it is by now at least; a collector whose clock was wrong must not move it far.
    stored.granted_at = stored.granted_at.min(current.stored.granted.expires);
    vault.store_next(&stored).map_err(|error| Fail::new(Code::State, error.to_string()))?;
    Ok(Usable { stored, key_pem: key.to_pem() })
}

fn request(key: &Key) -> Result<Vec<u8>, Fail> {
    key.request().map_err(|error| Fail::new(Code::Failure, error.to_string()))
}

fn parse<T: serde::de::DeserializeOwned>(reply: &Reply) -> Result<T, Fail> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        Fail::new(
            Code::Refused,
            format!("the collector's answer is not understood ({error}); are both of one version?"),
        )
    })
}

/// Takes up what was granted, if certificate, key and CA fit together.
fn granted(reply: &Reply, key: &Key, machine: Fingerprint) -> Result<Stored, Fail> {
    let granted: Identity = parse(reply)?;
    for url in [&granted.agent_url, &granted.enroll_url] {
        if !url.starts_with("https://") {
            return Err(Fail::new(Code::Refused, format!("the collector names {url:?}, which is no https URL")));
        }
    }
    let granted_at = reply.date.unwrap_or_else(clock::now);
    let renew_at = renew_at(granted_at, granted.expires, clock::random());
    let stored = Stored { granted, granted_at, renew_at, machine, shown: false };
    let usable = Usable { stored, key_pem: key.to_pem() };
    Client::new(&usable.stored.granted.server_ca, Some(&usable), &Floor::new(), None)?;
    Ok(usable.stored)
}
