//! `/v1/tokens`: tokens for this API. A secret is shown once.

use super::auth::{Principal, Scope};
use super::input::{Body, Params, PathId};
use super::page::{Listed, PageParams, page};
use super::{ApiError, App};
use crate::clock;
use crate::register::model::ApiToken;
use crate::secret::{self, Prefix};
use crate::store::read::tokens;
use crate::work::{Act, Work};
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
    /// What it may do; nobody gives more than they have.
    scopes: Vec<String>,
    /// Seconds that it lives: 7,776,000 if not said, at most a year.
    ttl_s: Option<u32>,
    /// From where it may be used: `192.0.2.0/24`.
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

/// Makes a token.
#[utoipa::path(post, path = "/v1/tokens", operation_id = "create_token", request_body = New,
    security(("token" = ["users:admin"])), responses((status = 201, body = CreatedToken)))]
async fn create(State(app): State<App>, principal: Principal, Body(new): Body<New>) -> Result<Response, ApiError> {
    for text in &new.scopes {
        let known = Scope::of(text).ok_or_else(|| {
            let all: Vec<&str> = Scope::ALL.iter().map(|scope| scope.name()).collect();
            ApiError::invalid("scopes", format!("{text:?} is none; there are {}", all.join(", ")))
        })?;
        if !principal.may(known) {
            return Err(
                ApiError::new(StatusCode::FORBIDDEN, format!("you do not have {text} yourself")).field("scopes")
            );
        }
    }
    let id = Uuid::now_v7();
    let made = secret::make(Prefix::Api, id)
        .map_err(|error| ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))?;
    let now = clock::now();
    let token = ApiToken {
        id: ApiTokenId(id),
        rev: 1,
        hash: made.hash,
        name: new.name,
        scopes: new.scopes,
        created: now,
        creator: principal.actor.to_string(),
        expires: now.plus_secs(i64::from(new.ttl_s.unwrap_or(TTL_S).max(1))),
        cidr: new.cidr,
        revoked: false,
    };
    let act = Act::CreateApiToken { token: Box::new(token.clone()) };
    app.store.submit(Work::Act { actor: principal.actor, act }).await?;
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
    app.store.submit(Work::Act { actor: principal.actor, act: Act::RevokeApiToken { token } }).await?;
    Ok(StatusCode::NO_CONTENT)
}
