//! `/v1/agents`: who reports, and whether it may.

use super::auth::{Principal, Scope};
use super::input::{Params, PathId, Post};
use super::page::{Limit, Listed, known, page};
use super::{ApiError, App, act};
use crate::register::model::{Agent, AgentState};
use crate::store::read::agents::{self, Filter as Wanted};
use crate::work::once::Once;
use crate::work::{Act, Resolution};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::checkin::Goodbye;
use shared::id::AgentId;
use shared::unit::At;
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show))
        .routes(routes!(approve))
        .routes(routes!(revoke))
        .routes(routes!(resolve))
}

/// Which agents.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// pending, active, quarantined, superseded, revoked.
    state: Option<String>,
    /// What the machine called itself when it enrolled.
    name: Option<String>,
    /// `true`: only those that said what this collector does not know, since it started. Goes with no other filter.
    unknown: Option<bool>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// An agent. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct AgentView {
    /// Its id.
    id: String,
    /// What the machine called itself when it enrolled.
    name: String,
    /// pending, active, quarantined, superseded, revoked.
    state: String,
    /// Why it is in that state; empty when active.
    reason: String,
    /// The agent's version, as it said last.
    version: String,
    /// The asset that it speaks for.
    asset: Option<String>,
    /// When it was last heard. In memory up to a minute before it is on disk.
    last_seen: Option<i64>,
    /// When it enrolled.
    enrolled: i64,
    /// The address that it enrolled from.
    source: String,
    /// The join token that it came with.
    token: String,
    /// Labels of that token.
    labels: BTreeMap<String, String>,
    /// SHA-256 of its public key (SubjectPublicKeyInfo), hexadecimal; while pending of the key to be approved.
    fingerprint: String,
    /// When its certificate ends; none before it has one.
    expires: Option<i64>,
    /// Counts its certificates.
    generation: Option<u64>,
    /// shutdown, sleep or stop, until it is heard again.
    goodbye: Option<String>,
    /// Fields and words that it said since the collector started and that the collector, being of another version,
    /// does not know. They are passed over; an upgrade of the collector takes them in.
    unknown: u64,
}

fn view(app: &App, (agent, heard): (Agent, Option<At>)) -> AgentView {
    let goodbye = agent.goodbye.map(|why| match why {
        Goodbye::Shutdown => "shutdown",
        Goodbye::Sleep => "sleep",
        Goodbye::Stop => "stop",
    });
    AgentView {
        unknown: app.fleet.member(agent.id).map_or(0, |member| member.unknown),
        last_seen: heard.max(app.fleet.heard(agent.id)).map(|at| at.0),
        id: agent.id.to_string(),
        state: agent.state.to_string(),
        asset: agent.asset.map(|asset| asset.to_string()),
        enrolled: agent.enrolled.0,
        token: agent.token.to_string(),
        fingerprint: agent.key().to_owned(),
        expires: agent.current.as_ref().map(|cert| cert.expires.0),
        generation: agent.current.as_ref().map(|cert| cert.generation),
        goodbye: goodbye.map(str::to_owned),
        name: agent.name,
        reason: agent.reason,
        version: agent.version,
        source: agent.source,
        labels: agent.labels,
    }
}

/// Agents.
#[utoipa::path(get, path = "/v1/agents", operation_id = "agents", params(Filter), security(("token" = ["agents:read"])),
    responses((status = 200, body = Listed<AgentView>)))]
async fn list(State(app): State<App>, Params(params): Params<Filter>) -> Result<Json<Listed<AgentView>>, ApiError> {
    let states = known("state", params.state, AgentState::ALL, AgentState::name)?;
    let is_alone = states.is_empty() && params.name.is_none();
    let among = match params.unknown {
        None => None,
        Some(true) if is_alone => Some(app.fleet.puzzling()),
        Some(_) => return Err(ApiError::invalid("unknown", "only true, and with no other filter")),
    };
    let wanted = Wanted { states, name: params.name, among };
    let page = page(params.cursor, params.limit);
    let rows = app.store.read(move |engine| agents::list(engine, &wanted, &page)).await?;
    Ok(Json(Listed::of(rows, |row| view(&app, row))))
}

/// One agent.
#[utoipa::path(get, path = "/v1/agents/{id}", operation_id = "agent", params(("id" = String, Path)),
    security(("token" = ["agents:read"])), responses((status = 200, body = AgentView)))]
async fn show(State(app): State<App>, PathId(id): PathId<AgentId>) -> Result<Json<AgentView>, ApiError> {
    let found = app.store.read(move |engine| agents::by_id(engine, id)).await?;
    let row = found.ok_or_else(|| ApiError::not_found(format!("agent {id}")))?;
    Ok(Json(view(&app, row)))
}

/// The key that the admin saw on the machine.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Seen {
    /// As `muster-agent enroll` shows it while it waits.
    fingerprint: String,
}

/// Lets a waiting agent in.
#[utoipa::path(post, path = "/v1/agents/{id}/approve", params(("id" = String, Path)), request_body = Seen,
    security(("token" = ["agents:approve"])), responses((status = 204)))]
async fn approve(
    State(app): State<App>,
    principal: Principal,
    PathId(agent): PathId<AgentId>,
    Post(seen, once): Post<Seen>,
) -> Result<StatusCode, ApiError> {
    done(&app, principal, Act::Approve { agent, fingerprint: seen.fingerprint }, once).await
}

/// Why.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Because {
    /// In words.
    reason: String,
}

/// Refuses everything from an agent, from its next request on.
#[utoipa::path(post, path = "/v1/agents/{id}/revoke", params(("id" = String, Path)), request_body = Because,
    security(("token" = ["agents:revoke"])), responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    principal: Principal,
    PathId(agent): PathId<AgentId>,
    Post(because, once): Post<Because>,
) -> Result<StatusCode, ApiError> {
    done(&app, principal, Act::Revoke { agent, reason: because.reason }, once).await
}

/// A decision on a quarantined agent.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Decided {
    /// `keep`: it is the machine it always was; `split`: another one; `reenroll`: a copy, both enroll again.
    how: String,
    /// In words.
    reason: String,
}

/// Decides on a quarantined agent. `reenroll` revokes it and needs the scope `agents:revoke` too.
#[utoipa::path(post, path = "/v1/agents/{id}/resolve", params(("id" = String, Path)), request_body = Decided,
    security(("token" = ["agents:approve"])), responses((status = 204)))]
async fn resolve(
    State(app): State<App>,
    principal: Principal,
    PathId(agent): PathId<AgentId>,
    Post(decided, once): Post<Decided>,
) -> Result<StatusCode, ApiError> {
    let how = match decided.how.as_str() {
        "keep" => Resolution::Keep,
        "split" => Resolution::Split,
        "reenroll" => Resolution::Reenroll,
        _ => return Err(ApiError::invalid("how", "one of keep, split, reenroll")),
    };
    if how == Resolution::Reenroll {
        principal.must(Scope::AgentsRevoke)?;
    }
    done(&app, principal, Act::Resolve { agent, how, reason: decided.reason }, once).await
}

async fn done(app: &App, principal: Principal, what: Act, once: Option<Once>) -> Result<StatusCode, ApiError> {
    act(app, principal, what, once).await?;
    Ok(StatusCode::NO_CONTENT)
}
