//! `POST /v1/enroll` and `POST /v1/recover` on the web port: how an agent gets an identity, or gets it back.
//!
//! Every refusal has one and the same body; why is for the journal alone. Refused tries are counted by
//! neighbourhood, accepted ones only all together, so that a whole site may enroll at once. Does not know: who
//! may enroll.

use super::agent::{csr, identity, refused, too_often, unexpected};
use super::listen::Peer;
use super::openapi::Quoted;
use super::{ApiError, App, body, input, limits};
use crate::event::Actor;
use crate::net::neighbourhood;
use crate::pki::proof::{self, Requested};
use crate::register::model::Cert;
use crate::secret::{self, Prefix};
use crate::store::Denied;
use crate::work::{Act, Refusal, Reply, Work};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use shared::enroll::{Enroll, Pending, Recover, recovery_text};
use shared::id::JoinTokenId;
use shared::limit;
use std::net::IpAddr;
use std::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Seconds after which an agent that waits for approval asks again.
const APPROVAL_RETRY_S: u32 = 30;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(enroll)).routes(routes!(recover))
}

/// An identity for whoever shows a join token.
#[utoipa::path(post, path = "/v1/enroll", operation_id = "enroll", security(()),
    request_body(content = Quoted, description = "`token`, `csr`, `name`, `version`"),
    responses((status = 201, body = Quoted, description = "A new identity"),
        (status = 200, body = Quoted, description = "The same identity again"),
        (status = 202, body = Quoted, description = "Waits for approval")))]
async fn enroll(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let from = source(&request)?;
    let now = Instant::now();
    allowed(&app, from, now)?;
    let answer = try_enroll(&app, from, request).await;
    Ok(settle(&app, from, now, answer))
}

async fn try_enroll(app: &App, from: IpAddr, request: Request) -> Result<Response, ApiError> {
    let body: Enroll = read(app, request).await?;
    if body.name.len() > limit::NAME_BYTES || body.version.len() > 64 {
        return Err(ApiError::bad("name", "the name or the version is too long"));
    }
    let Some(shown) = secret::parse(Prefix::Join, &body.token) else { return Ok(refused()) };
    let (requested, _) = csr(&body.csr)?;
    let token = JoinTokenId(shown.id);
    let act = Act::Enroll {
        token,
        hash: shown.hash,
        fingerprint: requested.fingerprint.clone(),
        name: body.name,
        version: body.version,
        source: from,
    };
    grant(app, Work::Act { actor: Actor::Join(token), act }, &requested).await
}

/// A new certificate for an agent whose last one has ended, by a signature with its key.
#[utoipa::path(post, path = "/v1/recover", operation_id = "recover", security(()),
    request_body(content = Quoted, description = "`certificate`, `csr`, `generation`, `signature`"),
    responses((status = 200, body = Quoted, description = "The identity"),
        (status = 202, body = Quoted, description = "Waits for approval")))]
async fn recover(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let from = source(&request)?;
    let now = Instant::now();
    allowed(&app, from, now)?;
    let answer = try_recover(&app, from, request).await;
    Ok(settle(&app, from, now, answer))
}

async fn try_recover(app: &App, from: IpAddr, request: Request) -> Result<Response, ApiError> {
    let body: Recover = read(app, request).await?;
    let (requested, csr_der) = csr(&body.csr)?;
    let certificate = STANDARD.decode(&body.certificate).map_err(|_| ApiError::bad("certificate", "not base64"))?;
    let signature = STANDARD.decode(&body.signature).map_err(|_| ApiError::bad("signature", "not base64"))?;
    let message = recovery_text(body.generation, &csr_der);
    let Ok(shown) = proof::recovery(&app.authority, &certificate, &message, &signature) else { return Ok(refused()) };
    let act = Act::Recover {
        agent: shown.agent,
        old: Cert { generation: shown.generation, fingerprint: shown.fingerprint, expires: shown.expires },
        generation: body.generation,
        fingerprint: requested.fingerprint.clone(),
        source: from,
    };
    grant(app, Work::Act { actor: Actor::Agent(shown.agent), act }, &requested).await
}

fn source(request: &Request) -> Result<IpAddr, ApiError> {
    match request.extensions().get() {
        Some(Peer::Web { address }) => Ok(address.ip().to_canonical()),
        _ => Err(ApiError::not_found("this path")),
    }
}

fn allowed(app: &App, from: IpAddr, now: Instant) -> Result<(), ApiError> {
    app.rates.refused.peek(&neighbourhood(from), now).map_err(too_often)?;
    app.rates.enroll.take((), now).map_err(too_often)
}

/// Counts a refusal, whatever its reason.
fn settle(app: &App, from: IpAddr, now: Instant, answer: Result<Response, ApiError>) -> Response {
    let response = answer.unwrap_or_else(IntoResponse::into_response);
    if response.status().is_client_error() {
        app.rates.refused.charge(neighbourhood(from), now);
    }
    response
}

async fn read<T: DeserializeOwned>(app: &App, request: Request) -> Result<T, ApiError> {
    input::is_json(request.headers())?;
    let held = body::read(request, app, body::ENROLL).await?;
    limits::scan(&held.text, &limits::Bounds::ENROLL)?;
    serde_json::from_slice(&held.text).map_err(|error| ApiError::bad("body", error.to_string()))
}

async fn grant(app: &App, work: Work, requested: &Requested) -> Result<Response, ApiError> {
    match app.store.submit(work).await {
        Ok(Reply::Granted { agent, cert, new }) => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(identity(app, agent, &cert, requested)?)).into_response())
        }
        Ok(Reply::Pending { agent }) => {
            let fingerprint = requested.fingerprint.clone();
            let pending = Pending { agent, fingerprint, retry_s: APPROVAL_RETRY_S };
            Ok((StatusCode::ACCEPTED, Json(pending)).into_response())
        }
        Ok(other) => Err(unexpected(&other)),
        // Only who proved to hold an agent's key hears more: that its certificate is still good.
        Err(Denied::Refused(Refusal::Conflict(why))) => Err(Denied::Refused(Refusal::Conflict(why)).into()),
        Err(Denied::Refused(_)) => Ok(refused()),
        Err(denied) => Err(denied.into()),
    }
}
