//! The router over a store in a folder of its own, and what stands in the register for every test.

use crate::machine;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use collector::api::auth::Scope;
use collector::api::listen::Peer;
use collector::api::{self, App, AppState};
use collector::clock;
use collector::config::{self, Config};
use collector::fleet::Fleet;
use collector::keyring::Keyring;
use collector::pki::Authority;
use collector::stop::Stop;
use collector::store::{Options, Store, read};
use serde_json::{Value, json};
use shared::unit::At;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use tower::ServiceExt as _;

/// More than any answer.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// A collector without its ports.
pub struct Desk {
    pub app: App,
    router: Router,
    /// Ids and texts by the names that tests call them.
    names: BTreeMap<&'static str, String>,
    /// Everybody comes from an address of its own, so that nobody is refused for others.
    sources: AtomicU32,
    /// What tells whoever asks that the collector stops.
    pub stop: Option<Stop>,
    _folder: Arc<tempfile::TempDir>,
}

/// One request.
#[derive(Debug, Clone)]
pub struct Ask {
    pub method: String,
    pub path: String,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
    pub local: bool,
}

impl Ask {
    pub fn new(method: &str, path: &str) -> Ask {
        Ask { method: method.into(), path: path.into(), headers: Vec::new(), body: Vec::new(), local: false }
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Ask {
        self.headers.push((name, value.into()));
        self
    }

    pub fn token(self, token: &str) -> Ask {
        self.header("authorization", format!("Bearer {token}"))
    }

    /// A body of JSON; an empty one is none.
    pub fn body(mut self, body: impl Into<String>) -> Ask {
        self.body = body.into().into_bytes();
        if self.body.is_empty() { self } else { self.header("content-type", "application/json") }
    }

    /// At the admin socket.
    pub fn local(mut self) -> Ask {
        self.local = true;
        self
    }
}

/// One answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    /// Null when there is none; a text when it is not JSON.
    pub body: Value,
}

impl Answer {
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("text"))
    }

    /// Status and named field of a refusal, which must be a whole problem.
    pub fn problem(&self) -> (u16, Option<&str>) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}: {}", self.status, self.body);
        assert_eq!(self.body["status"], self.status, "{}", self.body);
        assert!(self.body["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{}", self.body);
        (self.status, self.body["field"].as_str())
    }
}

impl Desk {
    /// A collector with nothing in it.
    pub async fn empty() -> Desk {
        // Errs only if a provider is there already, which then is this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Desk::at(Arc::new(tempfile::tempdir().expect("a folder"))).await
    }

    async fn at(folder: Arc<tempfile::TempDir>) -> Desk {
        let app = app(folder.path()).await;
        let (routes, _) = api::openapi::assemble(api::ROUTES);
        let router = api::web::router(&app, routes);
        Desk { app, router, names: BTreeMap::new(), stop: None, sources: AtomicU32::new(0x0A00_0001), _folder: folder }
    }

    /// The same files, in a process that starts anew.
    pub async fn restarted(self) -> Desk {
        self.app.store.close().await;
        let Desk { names, _folder: folder, .. } = self;
        Desk { names, ..Desk::at(folder).await }
    }

    /// A collector that knows a machine, agents in every state, tickets, a link and tokens.
    pub async fn open() -> Desk {
        let mut desk = Desk::empty().await;
        let (key, identity) = machine::enrolled(&mut desk, "agent", false).await;
        desk.names.insert("recovery", machine::recovery(&key, &identity));
        machine::reported(&mut desk, "agent", "asset").await;
        machine::enrolled(&mut desk, "waiting", true).await;
        let shown = desk.local("GET", &desk.fill("/v1/agents/<waiting>"), "").await;
        desk.name("fingerprint", &shown.body["fingerprint"]);
        machine::enrolled(&mut desk, "doubted", false).await;
        machine::forked(&desk, "doubted").await;
        machine::enrolled(&mut desk, "stolen", false).await;
        desk.make("ticket", "/v1/tickets", &json!({"kind": "incident", "title": "It is slow"})).await;
        desk.make("change", "/v1/tickets", &json!({"kind": "change", "title": "A new disk"})).await;
        let link = json!({"from": desk.fill("ticket:<ticket>"), "rel": "tracked_by", "to": "jira:OPS-12"});
        desk.make("link", "/v1/links", &link).await;
        let link = json!({"from": desk.fill("ticket:<change>"), "rel": "tracked_by", "to": "jira:OPS-13"});
        desk.make("other-link", "/v1/links", &link).await;
        desk.make("token", "/v1/tokens", &json!({"name": "old", "scopes": ["assets:read"]})).await;
        desk.make("join", "/v1/join-tokens", &json!({"uses": 3})).await;
        let join = desk.local("POST", "/v1/join-tokens", "{}").await;
        desk.name("join-secret", &join.body["join"]["token"]);
        desk.names.insert("csr", machine::csr(&machine::key()));
        desk
    }

    /// Makes something at the admin socket and remembers its id.
    pub async fn make(&mut self, name: &'static str, path: &str, body: &Value) -> Answer {
        let made = self.local("POST", path, &body.to_string()).await;
        assert_eq!(made.status, 201, "{}", made.body);
        self.name(name, &made.body["id"]);
        made
    }

    /// Remembers a text under a name.
    pub fn name(&mut self, name: &'static str, value: &Value) {
        self.names.insert(name, value.as_str().expect("a text").to_owned());
    }

    pub fn named(&self, name: &str) -> &str {
        self.names.get(name).expect(name)
    }

    pub fn names(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.names.iter().map(|(name, text)| (*name, text.as_str()))
    }

    /// The text with what `<name>`s stand for.
    pub fn fill(&self, text: &str) -> String {
        self.names.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("<{name}>"), value))
    }

    /// The text of a new token with these scopes.
    pub async fn token(&self, scopes: &[&str]) -> String {
        let made = self.local("POST", "/v1/tokens", &json!({"name": "a tool", "scopes": scopes}).to_string()).await;
        made.body["token"].as_str().expect("a token").to_owned()
    }

    /// The text of a new token with every scope but this one.
    pub async fn token_without(&self, scope: &str) -> String {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).filter(|name| *name != scope).collect();
        self.token(&all).await
    }

    /// Asks at the admin socket.
    pub async fn local(&self, method: &str, path: &str, body: &str) -> Answer {
        self.ask(Ask::new(method, path).body(body).local()).await
    }

    pub async fn ask(&self, ask: Ask) -> Answer {
        let mut request = Request::builder().method(ask.method.as_str()).uri(&ask.path).header("host", "localhost");
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Body::from(ask.body)).expect("a request");
        let source = self.sources.fetch_add(256, Ordering::Relaxed);
        let peer = match ask.local {
            true => Peer::Local { uid: 0 },
            false => Peer::Web { address: (std::net::Ipv4Addr::from_bits(source), 4711).into() },
        };
        request.extensions_mut().insert(peer);
        if let Some(stop) = &self.stop {
            request.extensions_mut().insert(stop.clone());
        }
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (head, body) = response.into_parts();
        let bytes = to_bytes(body, ANSWER_BYTES).await.expect("a body");
        let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let body = match text.as_str() {
            "" => Value::Null,
            text => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned())),
        };
        Answer { status: head.status.as_u16(), headers: head.headers, body }
    }

    /// The number of the newest event.
    pub fn head(&self) -> u64 {
        *self.app.store.head().borrow()
    }
}

async fn app(folder: &Path) -> App {
    let at = folder.display();
    let text = format!(
        "state_dir = \"{at}\"\nadmin_socket = \"{at}/admin.sock\"\nagent_listen = \"127.0.0.1:8443\"\n\
         web_listen = \"127.0.0.1:8444\"\nnames = [\"localhost\"]\n"
    );
    let config: Config = config::parse(&text, "test", |_| None).expect("settings");
    let (fleet, keyring) = (Arc::new(Fleet::default()), Arc::new(Keyring::default()));
    let (told_fleet, told_keyring) = (fleet.clone(), keyring.clone());
    // No two works in one millisecond: ids are then in the order in which they were made.
    let next = AtomicI64::new(0);
    let later = move || {
        next.fetch_max(clock::now().0, Ordering::SeqCst);
        At(next.fetch_add(1000, Ordering::SeqCst))
    };
    let options = Options::new(&folder.join("muster.db"), later).floor_bytes(0).committed(move |rows| {
        told_fleet.committed(rows);
        told_keyring.committed(rows);
    });
    let store = Store::open(options).expect("a store");
    keyring.load(store.read(|engine| read::tokens::api_all(engine)).await.expect("tokens"));
    let authority = Authority::open(&folder.join("pki"), clock::now()).expect("an authority");
    Arc::new(AppState::new(store, fleet, keyring, authority, config))
}
