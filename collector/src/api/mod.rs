//! The HTTP API: views over `Store::read`, writes by `Store::submit` alone.
//!
//! A resource is one file with `pub fn routes() -> OpenApiRouter<App>` and one line in [`ROUTES`]. Its handlers
//! take [`State<App>`](axum::extract::State), [`auth::Principal`] for the actor, [`input::Post`], [`input::Body`],
//! [`input::Params`], [`input::PathId`] and [`input::IfMatch`], write by `act`, and return
//! `Result<_, ApiError>`; what the store says becomes an [`ApiError`] by `?`. The scope that a route wants stands in
//! its `#[utoipa::path]`, for example `security(("token" = ["assets:read"]))`; without one it is refused. Does not
//! know: SQL, rules.
//!
//! | port | routes | who is known how |
//! | --- | --- | --- |
//! | agents | [`agent`] and nothing else | client certificate, state read on every request |
//! | web and enroll | [`ROUTES`], [`enroll`] | API token; join token or old key for the two of `enroll` |
//! | admin socket | [`ROUTES`] | the kernel's peer credentials |

pub mod agent;
pub mod agents;
pub mod asset_views;
pub mod assets;
pub mod auth;
pub mod body;
pub mod ca;
mod checkin;
pub mod enroll;
pub mod events;
pub mod herd;
pub mod input;
pub mod join_tokens;
pub mod limits;
pub mod links;
pub mod listen;
pub mod openapi;
pub mod page;
pub mod problem;
pub mod rate;
pub mod software;
pub mod ticket_views;
pub mod tickets;
pub mod tokens;
mod unknown;
pub mod web;

use crate::config::{Config, Limits};
use crate::fleet::Fleet;
use crate::keyring::Keyring;
use crate::pki::Authority;
use crate::store::Store;
use crate::work::once::Once;
use crate::work::{Act, Reply, Work};
use herd::Herd;
pub use problem::ApiError;
use rate::Rate;
use shared::id::AgentId;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use utoipa_axum::router::OpenApiRouter;

/// What every handler may use.
pub type App = Arc<AppState>;

/// See [`App`].
pub struct AppState {
    /// Reads and writes.
    pub store: Store,
    /// The agents, in memory: last heard, state.
    pub fleet: Arc<Fleet>,
    /// The API tokens, in memory.
    pub keyring: Arc<Keyring>,
    /// The certificate authority.
    pub authority: Authority,
    /// The settings, with `policy`, `agent_url` and `enroll_url`.
    pub config: Config,
    /// What each route wants of its caller.
    pub rules: auth::Rules,
    /// The API's document as JSON.
    pub document: String,
    /// Memory for bodies in flight.
    pub budget: body::Budget,
    /// How often who may do what.
    pub rates: Rates,
    /// Held while a step of a rotation of the CA is taken.
    pub rotating: tokio::sync::Mutex<()>,
    /// When this process started.
    pub started: Instant,
}

/// How often who may do what.
pub struct Rates {
    /// Check-ins of one agent.
    pub checkin: Rate<AgentId>,
    /// Renewals of one agent.
    pub renew: Rate<AgentId>,
    /// Refused enrollments of one neighbourhood.
    pub refused: Rate<IpAddr>,
    /// Agents that are told to renew before it is time.
    pub early: Rate<()>,
    /// Enrollments of all.
    pub enroll: Rate<()>,
    /// Check-ins of all.
    pub herd: Herd,
}

impl Rates {
    /// As the settings say.
    pub fn new(limits: &Limits) -> Rates {
        let refused_us = 60_000_000_u64.checked_div(limits.refused_a_minute.into()).unwrap_or(0);
        Rates {
            checkin: Rate::new(u64::from(limits.checkin_every_ms) * 1000, limits.checkin_burst),
            renew: Rate::new(u64::from(limits.checkin_every_ms) * 1000, limits.checkin_burst),
            refused: Rate::new(refused_us, limits.refused_a_minute),
            early: Rate::new(10_000, 100),
            enroll: Rate::new(5_000, 200),
            herd: Herd::new(limits.checkins_a_second),
        }
    }
}

impl AppState {
    /// The state of a process that starts now.
    pub fn new(
        store: Store,
        fleet: Arc<Fleet>,
        keyring: Arc<Keyring>,
        authority: Authority,
        config: Config,
    ) -> AppState {
        let document = openapi::document_of(ROUTES);
        AppState {
            store,
            fleet,
            keyring,
            authority,
            rules: auth::Rules::of(&document),
            document: document.to_string(),
            budget: body::Budget::default(),
            rates: Rates::new(&config.limits),
            rotating: tokio::sync::Mutex::default(),
            started: Instant::now(),
            config,
        }
    }
}

/// Has something done in the caller's name; with a key, once.
///
/// # Errors
/// What the rules or the store say.
async fn act(app: &App, who: auth::Principal, act: Act, once: Option<Once>) -> Result<Reply, ApiError> {
    let actor = who.actor;
    let work = match once {
        Some(once) => Work::Once { once, actor, act },
        None => Work::Act { actor, act },
    };
    Ok(app.store.submit(work).await?)
}

/// One resource of the API.
pub struct Resource {
    /// Its name, the tag in the document.
    pub name: &'static str,
    /// Its routes.
    pub routes: fn() -> OpenApiRouter<App>,
}

/// Every resource of the web port and the admin socket: one line each, in the order of the document.
pub const ROUTES: &[Resource] = &[
    Resource { name: "assets", routes: assets::routes },
    Resource { name: "software", routes: software::routes },
    Resource { name: "agents", routes: agents::routes },
    Resource { name: "join tokens", routes: join_tokens::routes },
    Resource { name: "tickets", routes: tickets::routes },
    Resource { name: "links", routes: links::routes },
    Resource { name: "events", routes: events::routes },
    Resource { name: "tokens", routes: tokens::routes },
    Resource { name: "ca", routes: ca::routes },
    Resource { name: "enroll", routes: enroll::routes },
    Resource { name: "meta", routes: openapi::routes },
];
