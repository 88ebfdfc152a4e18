//! Who gets into which port: certificates, routes, credentials of the other port, names. Does not know what is said
//! by those who are in.

use super::certificates::{self, NO_OPENSSL, agent_params, openssl, s_client, self_signed, signed};
use super::house::House;
use super::wire::{Caller, Line};
use super::{Security, Seen};
use anyhow::{Result, ensure};
use serde_json::{Value, json};

/// 1: without a certificate of the agent CA that is good now, no byte of HTTP is answered.
pub(super) fn certificates(_: &Security) -> Result<Seen> {
    if !openssl() {
        return Ok(Seen::Skip(NO_OPENSSL.into(), "handshakes on the agents' port".into()));
    }
    let house = House::open("")?;
    let member = house.member("a")?;
    let mut expired = agent_params(&house, &member.id)?;
    (expired.not_before, expired.not_after) = (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2020, 1, 8));
    let pairs = [
        ("self-signed", self_signed(agent_params(&house, &member.id)?)?),
        ("of the server CA", signed(&house, "server-ca.pem", &agent_params(&house, &member.id)?)?),
        ("expired", signed(&house, "agent-ca.pem", &expired)?),
    ];
    let own = certificates::Pair { certificate: member.certificate, key: member.key }.keep(&house, "own")?;
    let (answer, _) = s_client(house.agents(), Some((&own.0, &own.1)))?;
    ensure!(answer.starts_with("HTTP/1.1 200"), "A's own certificate is answered {answer:?}");
    let mut seen = vec![("none", refused(&house, None)?)];
    for (name, pair) in pairs {
        let (certificate, key) = pair.keep(&house, &name.replace(' ', "-"))?;
        seen.push((name, refused(&house, Some((&certificate, &key)))?));
    }
    let seen: Vec<String> = seen.iter().map(|(name, alert)| format!("{name}: {alert}")).collect();
    Ok(Seen::Pass(format!(
        "{} of {} handshakes ended by a fatal alert and 0 bytes of HTTP ({}); A's own got 200",
        seen.len(),
        seen.len(),
        seen.join(", ")
    )))
}

/// That openssl got no answer but an alert, whose name is given.
fn refused(house: &House, pair: Option<(&std::path::Path, &std::path::Path)>) -> Result<String> {
    let (answer, words) = s_client(house.agents(), pair)?;
    ensure!(answer.is_empty(), "answered {answer:?}");
    let alert = words.lines().find_map(|line| line.split_once(" alert ")).map(|(_, rest)| rest.to_owned());
    let Some(alert) = alert else { anyhow::bail!("no alert: {words:?}") };
    Ok(alert.split(':').next().unwrap_or_default().to_owned())
}

/// Every route of the API's document: method and path, with an id that nothing has.
fn documented() -> Result<Vec<(String, String)>> {
    let document: Value = serde_json::from_str(include_str!("../../../../collector/openapi.json"))?;
    let mut routes = Vec::new();
    for (path, item) in document["paths"].as_object().into_iter().flatten() {
        for method in item.as_object().into_iter().flatten().map(|(method, _)| method.to_ascii_uppercase()) {
            routes.push((method, path.replace("{id}", "01890000-0000-7000-8000-000000000000")));
        }
    }
    ensure!(routes.len() > 20, "the document has {} routes", routes.len());
    Ok(routes)
}

/// 10: of all routes, an agent reaches its three.
pub(super) fn routes(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let member = house.member("a")?;
    let mut line = Caller::new(house.agents(), &member.tls);
    let all = documented()?;
    let mut reached = Vec::new();
    for (method, path) in &all {
        let answer = line.ask(method, path, &[("Content-Type", "application/json")], b"{}")?;
        if answer.status != 404 {
            reached.push(format!("{method} {path}"));
        }
    }
    ensure!(reached == ["POST /v1/checkin", "POST /v1/renew", "GET /v1/settings"], "reached {reached:?}");
    let rest = all.len() - reached.len();
    Ok(Seen::Pass(format!(
        "{} routes called with A's certificate: {} answered, {rest} are 404",
        all.len(),
        reached.len()
    )))
}

/// 11: what opens one port opens nothing on the other.
pub(super) fn crossed(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let member = house.member("a")?;
    let made = house.world.ask("POST", "/v1/tokens", &json!({"name": "t", "scopes": ["assets:read"]}))?;
    let bearer = format!("Bearer {}", super::house::text(&made["token"])?);
    let mut web = Caller::new(house.web(), &member.tls);
    let (mut closed, mut open) = (0, Vec::new());
    for (method, path) in documented()? {
        let public = ["/healthz", "/v1/openapi.json", "/v1/enroll", "/v1/recover"].contains(&path.as_str());
        let answer = web.ask(&method, &path, &[("Content-Type", "application/json")], b"{}")?;
        match answer.status {
            401 => closed += 1,
            // The agents' own routes are no routes here.
            404 if ["/v1/checkin", "/v1/renew", "/v1/settings"].contains(&path.as_str()) => closed += 1,
            _ if public => {}
            status => open.push(format!("{method} {path}: {status}")),
        }
    }
    ensure!(open.is_empty(), "A's certificate opens {open:?}");
    let good = house.to_web()?.ask("GET", "/v1/assets", &[("Authorization", &bearer)], b"")?;
    ensure!(good.status == 200, "the API token is answered {} on its own port", good.status);
    let credentials = [("Authorization", bearer.as_str()), ("Cookie", "__Host-muster=0123456789abcdef")];
    for (name, value) in credentials {
        let answer = Line::open(house.agents(), &house.stranger()?)
            .and_then(|mut line| line.ask("GET", "/v1/assets", &[(name, value)], b""));
        ensure!(answer.is_err(), "{name} on the agents' port is answered {answer:?}");
    }
    Ok(Seen::Pass(format!(
        "A's certificate on the web port: {closed} of {closed} guarded routes closed (401, 404 for the agents' three); \
         an API token and a console cookie on the agents' port: 2 of 2 handshakes failed"
    )))
}

/// 51: only the collector's own names are answered, and nobody's name comes back.
pub(super) fn host(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let made = house.world.ask("POST", "/v1/tokens", &json!({"name": "t", "scopes": ["assets:read"]}))?;
    let bearer = format!("Bearer {}", super::house::text(&made["token"])?);
    let mut line = Caller::new(house.web(), &house.stranger()?);
    let mut pages = documented()?;
    pages.push(("GET".into(), "/".into()));
    pages.push(("GET".into(), "/no-such-page".into()));
    let mut asked = 0;
    for (method, path) in &pages {
        for host in ["evil", "evil:8444", "localhost.evil", "127.0.0.1.evil", "evil@localhost"] {
            let fields = [("Host", host), ("Authorization", &bearer), ("Content-Type", "application/json")];
            let answer = line.ask(method, path, &fields, b"{}")?;
            ensure!(answer.status == 421, "{method} {path} of {host} is answered {}", answer.status);
            let all = format!("{}{}", answer.head, answer.text());
            ensure!(!all.contains("evil"), "{method} {path} of {host} says it back: {all}");
            asked += 1;
        }
    }
    ensure!(house.to_web()?.get("/healthz")?.status == 200, "the right name is not answered");
    Ok(Seen::Pass(format!("{asked} of {asked} requests with a foreign Host are 421, 0 answers contain its text")))
}
