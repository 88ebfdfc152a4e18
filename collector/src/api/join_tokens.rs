//! `/v1/join-tokens`: by which agents join. A secret is shown once, in the join file.

use super::auth::Principal;
use super::input::{Params, PathId, Post};
use super::page::{Listed, PageParams, page};
use super::{ApiError, App, act};
use crate::clock;
use crate::register::model::JoinToken;
use crate::secret::{self, Prefix};
use crate::store::read::tokens;
use crate::work::Act;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::enroll::JoinFile;
use shared::id::JoinTokenId;
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Seconds that a token lives if nothing is said: 24 hours.
const TTL_S: u32 = 86_400;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// A join token, without its secret. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct TokenView {
    /// Its id.
    id: String,
    /// When it was made.
    created: i64,
    /// Who made it.
    creator: String,
    /// When it ends.
    expires: i64,
    /// How many agents may come with it.
    uses: u32,
    /// How many came.
    used: u32,
    /// From where they must come.
    cidr: Option<String>,
    /// Agents wait for approval.
    approve: bool,
    /// Labels for agents that come with it.
    labels: BTreeMap<String, String>,
    /// It was ended.
    revoked: bool,
}

fn view(token: JoinToken) -> TokenView {
    TokenView {
        id: token.id.to_string(),
        created: token.created.0,
        creator: token.creator,
        expires: token.expires.0,
        uses: token.uses,
        used: token.used,
        cidr: token.cidr,
        approve: token.approve,
        labels: token.labels,
        revoked: token.revoked,
    }
}

/// Join tokens.
#[utoipa::path(get, path = "/v1/join-tokens", operation_id = "join_tokens", params(PageParams),
    security(("token" = ["agents:enroll"])), responses((status = 200, body = Listed<TokenView>)))]
async fn list(State(app): State<App>, Params(params): Params<PageParams>) -> Result<Json<Listed<TokenView>>, ApiError> {
    let page = page(params.cursor, params.limit);
    let rows = app.store.read(move |engine| tokens::join_list(engine, &page)).await?;
    Ok(Json(Listed::of(rows, view)))
}

/// What a token is worth.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct New {
    /// Seconds that it may be used: 86,400 if not said, at most 2,592,000.
    #[schema(minimum = 1, maximum = 2_592_000)]
    ttl_s: Option<u32>,
    /// How many agents may come with it: 1 if not said.
    #[schema(minimum = 1, maximum = 100_000)]
    uses: Option<u32>,
    /// From where: `192.0.2.0/24`.
    cidr: Option<String>,
    /// Agents wait for approval.
    #[serde(default)]
    approve: bool,
    /// Labels for agents that come with it.
    #[serde(default)]
    labels: BTreeMap<String, String>,
}

/// A new token and its join file.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Created {
    /// The token.
    #[serde(flatten)]
    token: TokenView,
    /// What `muster-agent enroll --join` reads. Contains the secret, and is shown only now.
    #[schema(value_type = Object)]
    join: JoinFile,
}

/// Makes a join token.
#[utoipa::path(post, path = "/v1/join-tokens", operation_id = "create_join_token", request_body = New,
    security(("token" = ["agents:enroll"])), responses((status = 201, body = Created)))]
async fn create(
    State(app): State<App>,
    principal: Principal,
    Post(new, once): Post<New>,
) -> Result<Response, ApiError> {
    let id = Uuid::now_v7();
    let made = secret::make(Prefix::Join, id)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let now = clock::now();
    let token = JoinToken {
        id: JoinTokenId(id),
        rev: 1,
        hash: made.hash,
        created: now,
        creator: principal.actor.to_string(),
        expires: now.plus_secs(i64::from(new.ttl_s.unwrap_or(TTL_S))),
        uses: new.uses.unwrap_or(1),
        used: 0,
        cidr: new.cidr,
        approve: new.approve,
        labels: new.labels,
        revoked: false,
    };
    let join = JoinFile {
        muster_join: 1,
        enroll_url: app.config.enroll_url.clone(),
        agent_url: app.config.agent_url.clone(),
        server_ca: app.authority.server_ca(),
        token: made.text.to_string(),
    };
    act(&app, principal, Act::CreateJoinToken { token: Box::new(token.clone()) }, once).await?;
    Ok((StatusCode::CREATED, Json(Created { token: view(token), join })).into_response())
}

/// Ends a join token. Agents that came with it stay.
#[utoipa::path(delete, path = "/v1/join-tokens/{id}", operation_id = "revoke_join_token", params(("id" = String, Path)),
    security(("token" = ["agents:enroll"])), responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    principal: Principal,
    PathId(token): PathId<JoinTokenId>,
) -> Result<StatusCode, ApiError> {
    act(&app, principal, Act::RevokeJoinToken { token }, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
