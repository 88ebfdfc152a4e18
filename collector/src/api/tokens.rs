//! `/v1/tokens`: tokens for this API. A secret is shown once.

use super::auth::{Principal, Scope};
use super::input::{Params, PathId, Post};
use super::page::{Listed, PageParams, page};
use super::{ApiError, App, act};
use crate::clock;
use crate::register::model::ApiToken;
use crate::secret::{self, Prefix};
use crate::store::read::tokens;
use crate::work::Act;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use shared::id::ApiTokenId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

/// Seconds that a token lives if nothing is said: 90 days.
const TTL_S: u32 = 90 * 86_400;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(revoke))
}

/// A token, without its secret. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct ApiTokenView {
    /// Its id.
    id: String,
    /// What it is for.
    name: String,
    /// What it may do.
    scopes: Vec<String>,
    /// When it was made.
    created: i64,
    /// Who made it.
    creator: String,
    /// When it ends.
    expires: i64,
    /// From where it may be used.
    cidr: Option<String>,
    /// It was ended.
    revoked: bool,
}

fn view(token: ApiToken) -> ApiTokenView {
    ApiTokenView {
        id: token.id.to_string(),
        name: token.name,
        scopes: token.scopes,
        created: token.created.0,
        creator: token.creator,
        expires: token.expires.0,
        cidr: token.cidr,
        revoked: token.revoked,
    }
}

/// Tokens for this API.
#[utoipa::path(get, path = "/v1/tokens", operation_id = "tokens", params(PageParams), security(("token" = ["users:admin"])),
    responses((status = 200, body = Listed<ApiTokenView>)))]
async fn list(
    State(app): State<App>,
    Params(params): Params<PageParams>,
) -> Result<Json<Listed<ApiTokenView>>, ApiError> {
    let page = page(params.cursor, params.limit);
    let rows = app.store.read(move |engine| tokens::api_list(engine, &page)).await?;
    Ok(Json(Listed::of(rows, view)))
}

/// What a token may do.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct New {
    /// What it is for.
    name: String,
    /// What it may do, each scope once; a token gives no scope that it does not have.
    scopes: Vec<String>,
    /// Seconds that it lives, at most a year, and no longer than the token that it is made with; if not said,
    /// 7,776,000, or as long as that token.
    #[schema(minimum = 1, maximum = 31_622_400)]
    ttl_s: Option<u32>,
    /// From where it may be used: `192.0.2.0/24`. To be said when it is made with a token that has one: that
    /// network, or a part of it.
    cidr: Option<String>,
}

/// A new token.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CreatedToken {
    /// The token.
    #[serde(flatten)]
    view: ApiTokenView,
    /// What to send as `Authorization: Bearer`. Shown only now.
    token: String,
}

/// Makes a token. Made with another token, it is never broader than that one: no other scopes, no wider network, no
/// later end.
#[utoipa::path(post, path = "/v1/tokens", operation_id = "create_token", request_body = New,
    security(("token" = ["users:admin"])), responses((status = 201, body = CreatedToken)))]
async fn create(
    State(app): State<App>,
    principal: Principal,
    Post(new, once): Post<New>,
) -> Result<Response, ApiError> {
    if let Some(text) = new.scopes.iter().find(|text| Scope::of(text).is_none()) {
        let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
        return Err(ApiError::invalid("scopes", format!("{text:?} is none; there are {}", all.join(", "))));
    }
    let id = Uuid::now_v7();
    let made = secret::make(Prefix::Api, id)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let now = clock::now();
    let default = now.plus_secs(TTL_S.into());
    let default = principal.until.map_or(default, |until| until.min(default));
    let token = ApiToken {
        id: ApiTokenId(id),
        rev: 1,
        hash: made.hash,
        name: new.name,
        scopes: new.scopes,
        created: now,
        creator: principal.actor.to_string(),
        expires: new.ttl_s.map_or(default, |seconds| now.plus_secs(seconds.into())),
        cidr: new.cidr,
        revoked: false,
    };
    act(&app, principal, Act::CreateApiToken { token: Box::new(token.clone()) }, once).await?;
    let created = CreatedToken { view: view(token), token: made.text.to_string() };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// Ends a token.
#[utoipa::path(delete, path = "/v1/tokens/{id}", operation_id = "revoke_token", params(("id" = String, Path)),
    security(("token" = ["users:admin"])), responses((status = 204)))]
async fn revoke(
    State(app): State<App>,
    principal: Principal,
    PathId(token): PathId<ApiTokenId>,
) -> Result<StatusCode, ApiError> {
    act(&app, principal, Act::RevokeApiToken { token }, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
