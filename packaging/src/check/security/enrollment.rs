//! How an identity is got: what a request can ask for, how often a token is good, what a refusal says. Does not know
//! what is done with an identity.

use super::certificates::{NO_OPENSSL, openssl, run_openssl};
use super::house::{House, text};
use super::wire::Line;
use super::{Security, Seen};
use agent::key::Key;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::sync::{Arc, Barrier};
use std::time::Duration;

/// Machines that come at once with one token.
const AT_ONCE: usize = 50;

/// 3: whatever a request asks for, the collector takes its key and nothing else.
pub(super) fn request(_: &Security) -> Result<Seen> {
    if !openssl() {
        return Ok(Seen::Skip(NO_OPENSSL.into(), "what a certificate says".into()));
    }
    let house = House::open("agents.certificate_s = 604800")?;
    let key = house.world.path("greedy.key");
    let key = key.to_str().context("a path")?;
    run_openssl(&["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key], b"")?;
    let greedy = [
        "req",
        "-new",
        "-key",
        key,
        "-outform",
        "PEM",
        "-subj",
        "/CN=admin",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-addext",
        "basicConstraints=critical,CA:TRUE",
        "-addext",
        "extendedKeyUsage=serverAuth",
        "-addext",
        "keyUsage=keyCertSign",
    ];
    let pem = run_openssl(&greedy, b"")?;
    let csr: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let (_, token) = house.join_token(&json!({}))?;
    let answer = house.enroll(&token, &STANDARD.decode(csr)?, "greedy")?;
    ensure!(answer.status == 201, "answered {}: {}", answer.status, answer.text());
    let certificate = text(&answer.json()["certificate"])?;
    let shown = run_openssl(&["x509", "-noout", "-text"], certificate.as_bytes())?;
    for wanted in ["TLS Web Client Authentication", "CA:FALSE", "ASN1 OID: prime256v1"] {
        ensure!(shown.contains(wanted), "no {wanted} in {shown}");
    }
    for foreign in ["admin", "DNS:", "IP Address:", "CA:TRUE", "Server Authentication", "Certificate Sign"] {
        ensure!(!shown.contains(foreign), "{foreign} is in {shown}");
    }
    let names = after(&shown, "X509v3 Subject Alternative Name:")?;
    ensure!(names.starts_with("URI:muster://") && !names.contains(','), "it is named {names}");
    let usage = after(&shown, "X509v3 Extended Key Usage:")?;
    ensure!(usage == "TLS Web Client Authentication", "it is for {usage}");
    let life = lifetime(&certificate)?;
    let most = Duration::from_secs(7 * 86_400 + 300);
    ensure!(life <= most, "it lives {} s", life.as_secs());
    Ok(Seen::Pass(format!(
        "CN=admin, DNS, CA:TRUE and serverAuth asked for: 1 URI name, clientAuth alone, CA:FALSE, P-256, {} s from start \
         to end (at most {})",
        life.as_secs(),
        most.as_secs()
    )))
}

/// The line after a heading.
fn after(shown: &str, heading: &str) -> Result<String> {
    let line = shown.lines().skip_while(|line| !line.contains(heading)).nth(1);
    line.map(|line| line.trim().to_owned()).with_context(|| format!("no {heading} in {shown}"))
}

/// From the first to the last moment of a certificate.
fn lifetime(certificate: &str) -> Result<Duration> {
    let dates = ["x509", "-noout", "-startdate", "-enddate", "-dateopt", "iso_8601"];
    let dates = run_openssl(&dates, certificate.as_bytes())?;
    let moment = |name: &str| {
        let line = dates.lines().find_map(|line| line.strip_prefix(name));
        line.context("a date")?.replace(' ', "T").parse::<jiff::Timestamp>().context("a date")
    };
    let life = moment("notAfter=")?.as_second() - moment("notBefore=")?.as_second();
    Ok(Duration::from_secs(u64::try_from(life)?))
}

/// 5: a token for one lets one in, however many come at once.
pub(super) fn one_use(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let (_, token) = house.join_token(&json!({"uses": 1}))?;
    let start = Arc::new(Barrier::new(AT_ONCE));
    let tries: Vec<_> = (0..AT_ONCE)
        .map(|number| {
            let (tls, to, token, start) = (house.stranger(), house.web(), token.clone(), start.clone());
            std::thread::spawn(move || -> Result<(u16, Value, Key)> {
                let key = Key::generate()?;
                let csr = STANDARD.encode(key.request()?);
                let body = json!({"token": token, "csr": csr, "name": format!("m{number}"), "version": "0.1.0"});
                let line = Line::open(to, &tls?);
                // All at once, whether or not the connection stands.
                start.wait();
                let answer = line?.post("/v1/enroll", &body)?;
                Ok((answer.status, answer.json(), key))
            })
        })
        .collect();
    let (mut won, mut refused) = (Vec::new(), 0);
    for one in tries {
        let (status, body, key) = one.join().map_err(|_| anyhow::anyhow!("a try panicked"))??;
        match status {
            201 => won.push((body, key)),
            403 | 429 => refused += 1,
            other => anyhow::bail!("one of {AT_ONCE} was answered {other}: {body}"),
        }
    }
    let [(first, key)] = won.as_slice() else { anyhow::bail!("{} of {AT_ONCE} were let in", won.len()) };
    let again = house.enroll(&token, &key.request()?, "again")?;
    ensure!(again.status == 200, "the winner's retry was answered {}: {}", again.status, again.text());
    ensure!(again.json()["agent"] == first["agent"], "another id: {} and {first}", again.json());
    let agents = house.world.rows("/v1/agents")?.len();
    ensure!(agents == 1, "{agents} agents are in the register");
    Ok(Seen::Pass(format!(
        "{AT_ONCE} enrollments at once with one use: 1 got 201, {refused} got 403 or 429; its retry with the same key got \
         the same agent id"
    )))
}

/// 6: all refusals look the same; the journal knows why.
pub(super) fn refusals(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let (_, expired) = house.join_token(&json!({"ttl_s": 1}))?;
    let (id, revoked) = house.join_token(&json!({}))?;
    house.world.ask("DELETE", &format!("/v1/join-tokens/{id}"), &Value::Null)?;
    let (_, elsewhere) = house.join_token(&json!({"cidr": "192.0.2.0/24"}))?;
    crate::check::pause(Duration::from_millis(1100));
    let mut bodies = Vec::new();
    for token in [&expired, &revoked, &elsewhere] {
        let answer = house.enroll(token, &Key::generate()?.request()?, "machine")?;
        ensure!(answer.status == 403, "answered {}: {}", answer.status, answer.text());
        bodies.push(answer.body);
    }
    bodies.dedup();
    ensure!(bodies.len() == 1, "{} different bodies", bodies.len());
    let told = house.events("enroll_refused")?;
    let told: Vec<&str> = told.iter().filter_map(|event| event["event"]["why"].as_str()).collect();
    let wanted = ["token expired", "token revoked", "source outside the token's network"];
    ensure!(told == wanted, "the journal says {told:?}");
    Ok(Seen::Pass(format!("3 of 3 refused with 403 and 1 body; the journal says: {}", told.join("; "))))
}
