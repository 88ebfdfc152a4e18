//! The agents' port: check-in, renewal, settings, and the guard before them.
//!
//! The guard looks at the agent's state, the end of its certificate and its key on every request: a resumed TLS
//! session or an open connection proves nothing about what was decided since. Everything else on this port is
//! 404. Does not know: what a check-in holds.

use super::listen::{AgentPeer, Peer};
use super::openapi::Quoted;
use super::{ApiError, App, body, checkin, limits};
use crate::clock;
use crate::event::Actor;
use crate::fleet::{Key, Member};
use crate::pki::{Roots, proof};
use crate::register::model::{AgentState, Cert};
use crate::work::{Act, Reply, Work};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use shared::checkin::Settings;
use shared::enroll::{Identity, Renew};
use shared::id::AgentId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of the agents' port.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(checkin::checkin)).routes(routes!(renew)).routes(routes!(settings))
}

/// The same with their guard.
pub fn router(app: &App) -> axum::Router {
    let (routes, _) = routes().split_for_parts();
    routes
        .route_layer(middleware::from_fn_with_state(app.clone(), guard))
        .fallback(super::web::nothing)
        .method_not_allowed_fallback(super::web::nothing)
        .with_state(app.clone())
}

async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let Some(Peer::Agent(peer)) = request.extensions().get().cloned() else {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "only agents may come here"));
    };
    if peer.expires <= clock::now() {
        return Err(ApiError::new(StatusCode::UNAUTHORIZED, "the certificate has ended: recover the identity"));
    }
    if !app.authority.roots().is_trusted(peer.roots) {
        let why = "the certificate is by an agent CA that was retired: enroll again with a new join file";
        return Err(ApiError::new(StatusCode::FORBIDDEN, why));
    }
    let member = admit(&app, &peer).await?;
    request.extensions_mut().insert(peer);
    request.extensions_mut().insert(member);
    Ok(next.run(request).await)
}

/// Whether this agent may speak now, with this key.
async fn admit(app: &App, peer: &AgentPeer) -> Result<Member, ApiError> {
    let member = app.fleet.member(peer.agent).ok_or_else(|| barred("unknown"))?;
    match member.state {
        AgentState::Active | AgentState::Quarantined => {}
        // It proves that it has its key, so the machine that took its place may be the copy.
        AgentState::Superseded => {
            let detail = format!("it was superseded and speaks from {}", peer.address.ip());
            submit(app, peer.agent, Act::Forked { agent: peer.agent, detail }).await?;
            return Err(barred("quarantined"));
        }
        state => return Err(barred(state.name())),
    }
    match member.key(&peer.fingerprint) {
        Key::Current if peer.roots > member.roots => {
            submit(app, peer.agent, Act::HasRoots { agent: peer.agent, roots: peer.roots }).await?;
            Ok(member)
        }
        Key::Current => Ok(member),
        Key::Next => {
            submit(app, peer.agent, Act::NextUsed { agent: peer.agent, roots: peer.roots }).await?;
            app.fleet.member(peer.agent).ok_or_else(|| barred("unknown"))
        }
        Key::Unknown => unknown(app, peer, &member).await,
    }
}

/// A certificate of our CA that is neither of those known: the rules tell an earlier one from a later one.
async fn unknown(app: &App, peer: &AgentPeer, member: &Member) -> Result<Member, ApiError> {
    // One that is in quarantine already stays there for an earlier one.
    if member.state == AgentState::Active || peer.generation > member.generation {
        let (generation, expires) = (peer.generation, peer.expires);
        let cert = Cert { generation, fingerprint: peer.fingerprint.clone(), expires };
        let (roots, source) = (peer.roots, peer.address.ip().to_canonical());
        let act = Act::Unknown { agent: peer.agent, cert, roots, source };
        submit(app, peer.agent, act).await?;
    }
    let adopted = app.fleet.member(peer.agent).filter(|member| member.key(&peer.fingerprint) == Key::Current);
    adopted.ok_or_else(|| {
        let why = "the certificate was superseded: two machines use one identity";
        ApiError::new(StatusCode::FORBIDDEN, why)
    })
}

fn barred(state: &str) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, format!("agent is {state}"))
}

/// Submits what an agent wants, in its own name.
pub(super) async fn submit(app: &App, agent: AgentId, act: Act) -> Result<Reply, ApiError> {
    Ok(app.store.submit(Work::Act { actor: Actor::Agent(agent), act }).await?)
}

/// A certificate with a new key; the old one stays good until the new one is used.
#[utoipa::path(post, path = "/v1/renew", operation_id = "renew", security(("agent" = [])),
    request_body(content = Quoted, description = "`csr`: PKCS #10 in base64, ECDSA P-256"),
    responses((status = 200, body = Quoted, description = "The new identity")))]
async fn renew(State(app): State<App>, request: Request) -> Result<Json<Identity>, ApiError> {
    let peer = request.extensions().get::<AgentPeer>().cloned().ok_or_else(|| barred("unknown"))?;
    app.rates.renew.take(peer.agent, std::time::Instant::now()).map_err(too_often)?;
    let held = body::read(request, &app, body::ENROLL).await?;
    limits::scan(&held.text, &limits::Bounds::ENROLL)?;
    let body: Renew = serde_json::from_slice(&held.text).map_err(|error| ApiError::bad("body", error.to_string()))?;
    let (requested, _) = csr(&body.csr)?;
    let act = Act::Renew { agent: peer.agent, fingerprint: requested.fingerprint.clone() };
    match submit(&app, peer.agent, act).await? {
        Reply::Granted { agent, cert, .. } => Ok(Json(identity(&app, agent, &cert, &requested)?)),
        other => Err(unexpected(&other)),
    }
}

/// What this agent is to hold: intervals and thresholds.
#[utoipa::path(get, path = "/v1/settings", operation_id = "settings", security(("agent" = [])),
    responses((status = 200, body = Quoted, description = "`checkin_s`, `health_s`, `thresholds`")))]
async fn settings(State(app): State<App>) -> Json<Settings> {
    Json(app.config.policy.settings.clone())
}

/// Too often, with the seconds after which it is not.
pub(super) fn too_often(retry_s: u32) -> ApiError {
    ApiError::too_often("too often; come back later", retry_s)
}

/// The request for a certificate in a body, and its DER.
pub(super) fn csr(text: &str) -> Result<(proof::Requested, Vec<u8>), ApiError> {
    let der = STANDARD.decode(text).map_err(|_| ApiError::bad("csr", "not base64"))?;
    let requested = proof::request(&der).map_err(|error| ApiError::bad("csr", error.to_string()))?;
    Ok((requested, der))
}

/// The identity that was granted, signed.
pub(super) fn identity(
    app: &App,
    agent: AgentId,
    cert: &Cert,
    requested: &proof::Requested,
) -> Result<Identity, ApiError> {
    let roots = app.authority.roots();
    let certificate = sign(&roots, agent, requested, cert)?;
    Ok(Identity {
        agent,
        generation: cert.generation,
        certificate,
        expires: cert.expires,
        server_ca: roots.server_ca(),
        agent_url: app.config.agent_url.clone(),
        enroll_url: app.config.enroll_url.clone(),
    })
}

fn sign(roots: &Roots, agent: AgentId, key: &proof::Requested, cert: &Cert) -> Result<String, ApiError> {
    roots.sign_agent(agent, &key.key, cert.generation, clock::now(), cert.expires).map_err(|error| {
        tracing::error!(%error, %agent, "a certificate could not be signed");
        ApiError::busy("the certificate authority cannot sign now", 30)
    })
}

/// The rules answered with something else than was asked: a defect of ours.
pub(super) fn unexpected(reply: &Reply) -> ApiError {
    tracing::error!(?reply, "an answer of another kind than was asked for");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the collector's log says what went wrong")
}

/// 403 in one form for all reasons.
pub(super) fn refused() -> Response {
    ApiError::new(StatusCode::FORBIDDEN, "enrollment refused").into_response()
}
