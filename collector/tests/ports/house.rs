//! A collector on port 0 with a state directory of its own, and clients for it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use collector::clock;
use collector::config::{self, Config};
use collector::event::Actor;
use collector::register::model::{ApiToken, JoinToken};
use collector::secret::{self, Prefix};
use collector::serve::{self, Running};
use collector::work::{Act, Work};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use reqwest::{Certificate, Client, ClientBuilder, Identity, Response};
use serde_json::{Value, json};
use shared::checkin::{Part, Record, State};
use shared::digest;
use shared::evidence::{self, Evidence};
use shared::fact::Item;
use shared::id::{ApiTokenId, JoinTokenId};
use std::collections::BTreeMap;
use uuid::Uuid;

/// A running collector. Its folder is removed when it is dropped.
pub struct House {
    pub running: Running,
    pub folder: tempfile::TempDir,
}

/// An agent as the collector knows it.
pub struct Agent {
    pub id: String,
    pub client: Client,
    pub certificate: String,
    pub key: KeyPair,
}

impl House {
    pub async fn open(more: &str) -> House {
        // Errs only if a provider is there already, which then is this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        let text = format!(
            "state_dir = \"{at}/state\"\nadmin_socket = \"{at}/admin.sock\"\nagent_listen = \"127.0.0.1:0\"\n\
             web_listen = \"127.0.0.1:0\"\nnames = [\"localhost\", \"127.0.0.1\"]\n{more}"
        );
        let config: Config = config::parse(&text, "test", |_| None).expect("settings");
        let running = serve::start(config, serve::Passed::default()).await.expect("a collector");
        House { running, folder }
    }

    pub fn builder(&self) -> ClientBuilder {
        let ca = &self.running.app.authority.server_ca()[0];
        Client::builder().tls_certs_only([Certificate::from_pem(ca.as_bytes()).expect("a CA")])
    }

    pub fn stranger(&self) -> Client {
        self.builder().build().expect("a client")
    }

    pub fn client(&self, certificate: &str, key: &KeyPair) -> Client {
        let pem = format!("{certificate}{}", key.serialize_pem());
        self.builder().identity(Identity::from_pem(pem.as_bytes()).expect("an identity")).build().expect("a client")
    }

    pub fn web(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.addresses.web.port())
    }

    pub fn agents(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.addresses.agents.port())
    }

    pub async fn act(&self, act: Act) {
        let work = Work::Act { actor: Actor::Local(0), act };
        self.running.app.store.submit(work).await.expect("done");
    }

    /// A join token's text.
    pub async fn token(&self, uses: u32, lifetime_s: i64, cidr: Option<&str>) -> String {
        let id = Uuid::from_bytes(secret::random().expect("randomness"));
        let made = secret::make(Prefix::Join, id).expect("a token");
        let token = JoinToken {
            id: JoinTokenId(id),
            rev: 1,
            hash: made.hash,
            // One that has ended was good for a second before.
            created: clock::now().plus_secs(lifetime_s.min(1) - 1),
            creator: "local:0".into(),
            expires: clock::now().plus_secs(lifetime_s),
            uses,
            used: 0,
            cidr: cidr.map(str::to_owned),
            approve: false,
            labels: BTreeMap::new(),
            revoked: false,
        };
        self.act(Act::CreateJoinToken { token: Box::new(token) }).await;
        made.text.to_string()
    }

    /// The text of an API token with these scopes.
    pub async fn api_token(&self, scopes: &[&str]) -> String {
        let id = Uuid::from_bytes(secret::random().expect("randomness"));
        let made = secret::make(Prefix::Api, id).expect("a token");
        let token = ApiToken {
            id: ApiTokenId(id),
            rev: 1,
            hash: made.hash,
            name: "test".into(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            created: clock::now(),
            creator: "local:0".into(),
            expires: clock::now().plus_secs(600),
            cidr: None,
            revoked: false,
        };
        self.act(Act::CreateApiToken { token: Box::new(token) }).await;
        made.text.to_string()
    }

    pub async fn enroll(&self, token: &str, key: &KeyPair) -> Response {
        let body = json!({"token": token, "csr": csr(key), "name": "host", "version": "0.1.0"});
        self.post_web("/v1/enroll", &body).await
    }

    pub async fn post_web(&self, path: &str, body: &Value) -> Response {
        self.stranger().post(self.web(path)).json(body).send().await.expect("an answer")
    }

    /// A new agent.
    pub async fn agent(&self) -> Agent {
        let token = self.token(1, 600, None).await;
        let key = key();
        let answer = self.enroll(&token, &key).await;
        assert_eq!(answer.status(), 201);
        let identity: Value = answer.json().await.expect("an identity");
        let certificate = text(&identity["certificate"]);
        Agent { id: text(&identity["agent"]), client: self.client(&certificate, &key), certificate, key }
    }
}

impl Agent {
    pub async fn check_in(&self, house: &House, body: &Value) -> Response {
        self.client.post(house.agents("/v1/checkin")).json(body).send().await.expect("an answer")
    }
}

pub fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key")
}

pub fn csr(key: &KeyPair) -> String {
    STANDARD.encode(CertificateParams::default().serialize_request(key).expect("a request").der())
}

pub fn text(value: &Value) -> String {
    value.as_str().expect("text").to_owned()
}

/// A check-in with nothing new.
pub fn beat() -> Value {
    json!({"stream": "0".repeat(32), "seq": 0, "root": "0".repeat(32)})
}

/// The first check-in of a machine that is known by its serial.
pub fn first_report() -> Value {
    let item = Item::from(Evidence { kind: evidence::Kind::SystemSerial, value: "Dell Inc.|X|S1".into() });
    let told = digest::section_of([&item]);
    let root = digest::root([(evidence::SECTION, State::Seen, told)]);
    let part = Part {
        section: evidence::SECTION.into(),
        state: State::Seen,
        digest: told,
        base: None,
        put: Some(vec![item]),
        del: Vec::new(),
        problems: Vec::new(),
        truncated: false,
    };
    let record = Record { seq: 1, at: clock::now(), root, sections: vec![part], gap: None };
    json!({"stream": "1".repeat(32), "seq": 1, "root": root, "records": [record]})
}
