//! A machine that reported once, and the agents in every state that an admin decides on.

use crate::desk::{Ask, Desk};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use collector::event::Actor;
use collector::work::{Act, Reply, Report, Work};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SigningKey as _};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shared::checkin::{Part, Record, State};
use shared::digest;
use shared::enroll::recovery_text;
use shared::evidence::{Evidence, Kind};
use shared::fact::Item;
use shared::id::AgentId;
use shared::software::Package;
use shared::unit::At;

/// A key as an agent makes it.
pub fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

/// A request for a certificate, in base64.
pub fn csr(key: &KeyPair) -> String {
    STANDARD.encode(CertificateParams::default().serialize_request(key).expect("a request").der())
}

/// Enrolls an agent of this name and remembers its id under it.
pub async fn enrolled(desk: &mut Desk, name: &'static str, approve: bool) -> (KeyPair, Value) {
    let made = desk.local("POST", "/v1/join-tokens", &json!({"uses": 1, "approve": approve}).to_string()).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let key = key();
    let body = json!({"token": made.body["join"]["token"], "csr": csr(&key), "name": name, "version": "0.1.0"});
    let answer = desk.ask(Ask::new("POST", "/v1/enroll").body(body.to_string())).await;
    assert!(answer.is_success(), "{}", answer.body);
    desk.name(name, &answer.body["agent"]);
    (key, answer.body)
}

/// What an agent sends to get its identity back.
pub fn recovery(key: &KeyPair, identity: &Value) -> String {
    let pem = identity["certificate"].as_str().expect("PEM");
    let certificate = CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate");
    let request = csr(&self::key());
    let message = recovery_text(1, &STANDARD.decode(&request).expect("base64"));
    let signature = STANDARD.encode(key.sign(&message).expect("signed"));
    json!({"certificate": STANDARD.encode(&certificate), "csr": request, "generation": 1, "signature": signature})
        .to_string()
}

fn sections() -> Vec<(&'static str, Vec<Item>)> {
    let package = |name: &str, version: &str| {
        Item::from(Package {
            manager: "dpkg",
            name,
            version,
            arch: Some("amd64"),
            publisher: Some("Debian"),
            size_bytes: Some(4096),
            ..Package::default()
        })
    };
    let serial = Evidence { kind: Kind::SystemSerial, value: "Dell Inc.|OptiPlex|5XK2".into() };
    let mut system = Item::new("system", "system");
    (system.maker, system.model, system.serial) =
        (Some("Dell Inc.".into()), Some("OptiPlex".into()), Some("5XK2".into()));
    let mut os = Item::new("os", "os").with("hostname", Some("desk-7")).with("version", Some("12"));
    os.label = Some("Debian GNU/Linux".into());
    let addresses = vec!["192.0.2.77/24".to_owned()];
    vec![
        ("dpkg", vec![package("bash", "5.2"), package("openssl", "3.0.15")]),
        ("evidence", vec![serial.into()]),
        ("network", vec![Item::new("interface", "eth0").with_list("addresses", addresses)]),
        ("os", vec![os]),
        ("system", vec![system]),
    ]
}

/// The first report of an agent, and the asset that comes of it.
pub async fn reported(desk: &mut Desk, agent: &str, asset: &'static str) {
    let id: AgentId = desk.named(agent).parse().expect("an id");
    let parts = sections().into_iter().map(|(section, rows)| Part {
        section: section.into(),
        state: State::Seen,
        digest: digest::section_of(&rows),
        base: None,
        put: Some(rows),
        del: Vec::new(),
        problems: Vec::new(),
        truncated: false,
    });
    let parts: Vec<Part> = parts.collect();
    let root = digest::root(parts.iter().map(|part| (part.section.as_str(), part.state, part.digest)));
    let record = Record { seq: 1, at: At(0), root, sections: parts, gap: None };
    let hash = digest::of_bytes(b"the first report");
    let report = Report { agent: id, stream: digest::Digest([1; 16]), record, hash, moved: false };
    let reply = desk.app.store.submit(Work::Report(Box::new(report))).await.expect("taken");
    assert!(matches!(&reply, Reply::Report { want, .. } if want.is_empty()), "{reply:?}");
    let shown = desk.local("GET", &format!("/v1/agents/{id}"), "").await;
    desk.name(asset, &shown.body["asset"]);
}

/// Two machines used the key of this agent.
pub async fn forked(desk: &Desk, agent: &str) {
    let agent: AgentId = desk.named(agent).parse().expect("an id");
    let act = Act::Forked { agent, detail: "seen twice".into() };
    desk.app.store.submit(Work::Act { actor: Actor::Agent(agent), act }).await.expect("done");
}
