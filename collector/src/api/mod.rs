//! The HTTP API: views over `Store::read`, writes by `Store::submit` alone.
//!
//! A resource is one file with `pub fn routes() -> OpenApiRouter<App>` and one line in [`ROUTES`]. Its handlers
//! take [`State<App>`](axum::extract::State), [`auth::Principal`] for the actor, [`input::Body`],
//! [`input::Params`], [`input::PathId`] and [`input::IfMatch`], and return `Result<_, ApiError>`; what the store
//! says becomes an [`ApiError`] by `?`. The scope that a route wants stands in its `#[utoipa::path]`, for example
//! `security(("token" = ["assets:read"]))`; without one it is refused. Does not know: SQL, rules.
//!
//! | port | routes | who is known how |
//! | --- | --- | --- |
//! | agents | [`agent`] only | client certificate, state read on every request |
//! | web and enroll | [`ROUTES`], [`enroll`] | API token; join token or old key for the two of `enroll` |
//! | admin socket | [`ROUTES`] | the kernel's peer credentials |

pub mod auth;
pub mod body;
pub mod input;
pub mod limits;
pub mod listen;
pub mod openapi;
pub mod problem;

use crate::config::Config;
use crate::fleet::Fleet;
use crate::keyring::Keyring;
use crate::pki::Authority;
use crate::store::Store;
pub use problem::ApiError;
use std::sync::Arc;
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
}

/// One resource of the API.
pub struct Resource {
    /// Its name, the tag in the document.
    pub name: &'static str,
    /// Its routes.
    pub routes: fn() -> OpenApiRouter<App>,
}

/// Every resource of the web port and the admin socket: one line each, in the order of the document.
pub const ROUTES: &[Resource] = &[Resource { name: "meta", routes: openapi::routes }];
