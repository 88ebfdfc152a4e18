//! `/v1/links`: what belongs together.

use super::asset_views::{LinkView, link_view};
use super::auth::{Principal, Scope};
use super::input::{Params, PathId, Post};
use super::page::{Limit, Listed, page};
use super::{ApiError, App, act};
use crate::desk::model::{End, Rel};
use crate::store::read::links;
use crate::work::{Act, Reply};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::id::LinkId;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list, add)).routes(routes!(remove))
}

/// Which links.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// With this at either end: `asset:ID`, `ticket:ID`, `jira:OPS-12`, or a URL.
    end: Option<String>,
    /// Of this kind.
    rel: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

fn end(field: &str, text: &str) -> Result<End, ApiError> {
    text.parse().map_err(|why: String| ApiError::bad(field, why))
}

fn rel(text: &str) -> Result<Rel, ApiError> {
    let all = || Rel::ALL.iter().map(|rel| rel.name()).collect::<Vec<_>>().join(", ");
    Rel::of(text).ok_or_else(|| ApiError::bad("rel", format!("one of {}", all())))
}

/// Links, the newest first.
#[utoipa::path(get, path = "/v1/links", operation_id = "links", params(Filter), security(("token" = ["tickets:read"])),
    responses((status = 200, body = Listed<LinkView>)))]
async fn list(State(app): State<App>, Params(params): Params<Filter>) -> Result<Json<Listed<LinkView>>, ApiError> {
    let of = params.end.as_deref().map(|text| end("end", text)).transpose()?;
    let rel = params.rel.as_deref().map(rel).transpose()?;
    let page = page(params.cursor, params.limit);
    let rows = app.store.read(move |engine| links::list(engine, of.as_ref(), rel, &page)).await?;
    Ok(Json(Listed::of(rows, link_view)))
}

/// Two things to link.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct New {
    /// The first end.
    from: String,
    /// affects, caused_by, duplicates, resolves, implements, fulfils, depends_on, attached_to, recurs, relates, tracked_by.
    rel: String,
    /// The second end.
    to: String,
}

/// Whether they may write a link between these: one that is no ticket's needs the scope of assets too.
fn may_link(principal: &Principal, from: &End, to: &End) -> Result<(), ApiError> {
    match (from, to) {
        (End::Ticket(_), _) | (_, End::Ticket(_)) => Ok(()),
        _ => principal.must(Scope::AssetsWrite),
    }
}

/// Links two things. Linking them again is no error: 200 with the link that is there. Where neither is a ticket,
/// this needs the scope `assets:write` too.
#[utoipa::path(post, path = "/v1/links", operation_id = "link", request_body = New, security(("token" = ["tickets:write"])),
    responses((status = 201, body = LinkView, description = "A new link"),
        (status = 200, body = LinkView, description = "The link that is there")))]
async fn add(State(app): State<App>, principal: Principal, Post(new, once): Post<New>) -> Result<Response, ApiError> {
    let (from, rel, to) = (end("from", &new.from)?, rel(&new.rel)?, end("to", &new.to)?);
    may_link(&principal, &from, &to)?;
    let link = Act::AddLink { from, rel, to };
    match act(&app, principal, link, once).await? {
        Reply::Link { link, new } => {
            let status = if new { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, Json(link_view(link))).into_response())
        }
        _ => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "no link came back")),
    }
}

/// Takes a link away. Where no end is a ticket, this needs the scope `assets:write` too.
#[utoipa::path(delete, path = "/v1/links/{id}", operation_id = "unlink", params(("id" = String, Path)),
    security(("token" = ["tickets:write"])), responses((status = 204)))]
async fn remove(
    State(app): State<App>,
    principal: Principal,
    PathId(link): PathId<LinkId>,
) -> Result<StatusCode, ApiError> {
    let held = app.store.read(move |engine| links::by_id(engine, link)).await?;
    let held = held.ok_or_else(|| ApiError::not_found(format!("link {link}")))?;
    may_link(&principal, &held.from, &held.to)?;
    act(&app, principal, Act::RemoveLink { link }, None).await?;
    Ok(StatusCode::NO_CONTENT)
}
