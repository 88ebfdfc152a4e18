//! `/v1/tickets`: incidents, requests, problems and changes.

use super::asset_views::{LinkView, link_view};
use super::assets::{told, told_of};
use super::auth::{Principal, Scope};
use super::events::EventView;
use super::input::{Body, IfMatch, Number, Params, PathId, Post, etag};
use super::page::{Limit, Listed, PageParams, TimelineParams, known, page, part};
use super::ticket_views::{CommentView, TicketDetail, TicketView};
use super::{ApiError, App, act};
use crate::desk::model::{End, Kind};
use crate::desk::process::{PROCESSES, open_states};
use crate::store::page::Page;
use crate::store::read::links;
use crate::store::read::tickets::{self, TicketFilter};
use crate::work::once::Once;
use crate::work::{Act, NewTicket, Reply, TicketEdit};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use shared::id::{AssetId, TicketId};
use std::collections::BTreeMap;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list, open))
        .routes(routes!(show, patch))
        .routes(routes!(go))
        .routes(routes!(comments, comment))
        .routes(routes!(timeline))
}

/// Which tickets.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Its key: `INC-17`.
    key: Option<String>,
    /// incident, request, problem, change.
    kind: Option<String>,
    /// A state of its process.
    state: Option<String>,
    /// `true`: only those on which there is something to do; `false`: only the others.
    open: Option<bool>,
    /// Who works on it.
    assignee: Option<String>,
    /// Who asked for it.
    requester: Option<String>,
    /// Of this priority or higher: 1 is the highest, 5 the lowest.
    #[param(value_type = Option<u8>, minimum = 1, maximum = 5)]
    priority: Option<Number<1, 5>>,
    /// Linked to this asset.
    asset: Option<String>,
    /// The title contains this.
    title: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// Tickets, the newest first.
#[utoipa::path(get, path = "/v1/tickets", params(Filter), security(("token" = ["tickets:read"])),
    responses((status = 200, body = Listed<TicketView>)))]
async fn list(State(app): State<App>, Params(params): Params<Filter>) -> Result<Json<Listed<TicketView>>, ApiError> {
    if let Some(key) = &params.key {
        let (kind, number) = key_of(key).ok_or_else(|| ApiError::bad("key", "write INC-17, REQ-…, PRB-… or CHG-…"))?;
        let found = app.store.read(move |engine| tickets::by_number(engine, kind, number)).await?;
        return Ok(Json(Listed { items: found.into_iter().map(TicketView::of).collect(), next: None }));
    }
    let kind = params.kind.as_deref().map(kind_of).transpose()?;
    let asset = params.asset.as_deref().map(asset_of).transpose()?;
    let mut filter = TicketFilter {
        kind,
        states: known("state", params.state, &states(), |state| state)?,
        assignee: params.assignee,
        requester: params.requester,
        priority: params.priority.and_then(|Number(priority)| u8::try_from(priority).ok()),
        asset,
        title: params.title.map(part),
        ..TicketFilter::default()
    };
    let open = || open_states().into_iter().map(str::to_owned).collect();
    match params.open {
        Some(true) if filter.states.is_empty() => filter.states = open(),
        Some(true) if !filter.states.iter().all(|state| open_states().contains(&state.as_str())) => {
            return Err(ApiError::bad("state", "not an open one, and only open tickets are asked for"));
        }
        Some(false) => filter.not_states = open(),
        Some(true) | None => {}
    }
    let page = page(params.cursor, params.limit);
    let rows = app.store.read(move |engine| tickets::list(engine, &filter, &page)).await?;
    Ok(Json(Listed::of(rows, TicketView::of)))
}

/// All states of all processes, each once.
fn states() -> Vec<&'static str> {
    let mut states: Vec<_> = PROCESSES.iter().flat_map(|process| process.states).map(|state| state.name).collect();
    states.sort_unstable();
    states.dedup();
    states
}

fn kind_of(text: &str) -> Result<Kind, ApiError> {
    Kind::of(text).ok_or_else(|| ApiError::bad("kind", "one of incident, request, problem, change"))
}

fn asset_of(text: &str) -> Result<AssetId, ApiError> {
    text.parse().map_err(|_| ApiError::bad("asset", "the id of an asset"))
}

fn key_of(text: &str) -> Option<(Kind, u64)> {
    let (prefix, number) = text.split_once('-')?;
    let kind = Kind::ALL.iter().copied().find(|kind| kind.prefix().eq_ignore_ascii_case(prefix))?;
    Some((kind, number.parse().ok()?))
}

/// A ticket to open.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct New {
    /// incident, request, problem, change.
    kind: String,
    /// One line.
    title: String,
    /// More.
    #[serde(default)]
    description: String,
    /// 1 service or site, 2 group, 3 one person.
    impact: Option<u8>,
    /// 1 work stopped, 2 degraded, 3 can wait.
    urgency: Option<u8>,
    /// Who works on it.
    assignee: Option<String>,
    /// Who asked for it.
    requester: Option<String>,
    /// What only its kind has.
    #[serde(default)]
    fields: BTreeMap<String, String>,
    /// Ids of assets that it concerns.
    #[serde(default)]
    assets: Vec<String>,
}

/// Opens a ticket.
#[utoipa::path(post, path = "/v1/tickets", request_body = New, security(("token" = ["tickets:write"])),
    responses((status = 201, body = TicketView)))]
async fn open(State(app): State<App>, principal: Principal, Post(new, once): Post<New>) -> Result<Response, ApiError> {
    let ticket = NewTicket {
        kind: kind_of(&new.kind)?,
        title: new.title,
        description: new.description,
        impact: new.impact,
        urgency: new.urgency,
        assignee: new.assignee,
        requester: new.requester,
        fields: new.fields,
        assets: new.assets.iter().map(|text| asset_of(text)).collect::<Result<_, _>>()?,
    };
    let ticket = submit(&app, principal, Act::OpenTicket(Box::new(ticket)), once).await?;
    Ok((StatusCode::CREATED, etag(ticket.rev), Json(ticket)).into_response())
}

async fn submit(app: &App, who: Principal, what: Act, once: Option<Once>) -> Result<TicketView, ApiError> {
    match act(app, who, what, once).await? {
        Reply::Ticket(ticket) => Ok(TicketView::of(*ticket)),
        _ => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "no ticket came back")),
    }
}

/// One ticket, with its comments, links, frozen evidence and the moves that it may make.
#[utoipa::path(get, path = "/v1/tickets/{id}", params(("id" = String, Path)),
    security(("token" = ["tickets:read"])), responses((status = 200, body = TicketDetail)))]
async fn show(State(app): State<App>, PathId(id): PathId<TicketId>) -> Result<Response, ApiError> {
    let read = app.store.read(move |engine| {
        let Some(ticket) = tickets::by_id(engine, id)? else { return Ok(None) };
        let all = Page { after: None, limit: Some(usize::MAX) };
        let links = links::list(engine, Some(&End::Ticket(id)), None, &all)?;
        Ok(Some((ticket, tickets::comments(engine, id, &all)?, links)))
    });
    let Some((ticket, comments, links)) = read.await? else {
        return Err(ApiError::not_found(format!("ticket {id}")));
    };
    let cut = [("links", &links.next), ("comments", &comments.next)];
    let cut = cut.into_iter().filter(|(_, next)| next.is_some()).map(|(name, _)| name.to_owned()).collect();
    let links: Vec<LinkView> = links.rows.into_iter().map(link_view).collect();
    let rev = ticket.rev;
    Ok((etag(rev), Json(TicketDetail { cut, ..TicketDetail::of(ticket, comments.rows, links) })).into_response())
}

/// Columns to change. A field that is not there stays as it is; null takes it away.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// One line.
    title: Option<String>,
    /// More.
    description: Option<String>,
    /// 1 to 3.
    impact: Option<u8>,
    /// 1 to 3.
    urgency: Option<u8>,
    /// Who works on it.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    assignee: Option<Option<String>>,
    /// Who asked for it.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    requester: Option<Option<String>>,
    /// What only its kind has; an empty value takes a field away.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// Changes columns. With `If-Match`, only on the revision that the caller has seen.
#[utoipa::path(patch, path = "/v1/tickets/{id}", request_body = Edit,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was seen: 412 if the ticket is another by now. Without it, whatever is there is changed.")),
    security(("token" = ["tickets:write"])), responses((status = 200, body = TicketView), (status = 204)))]
async fn patch(
    State(app): State<App>,
    principal: Principal,
    PathId(id): PathId<TicketId>,
    IfMatch(rev): IfMatch,
    Body(edit): Body<Edit>,
) -> Result<Response, ApiError> {
    let edit = TicketEdit {
        title: edit.title,
        description: edit.description,
        impact: edit.impact,
        urgency: edit.urgency,
        assignee: edit.assignee,
        requester: edit.requester,
        fields: edit.fields,
    };
    changed(&app, principal, Act::EditTicket { ticket: id, rev, edit }, None).await
}

/// A step of the ticket's process.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Step {
    /// The state to move to.
    to: String,
    /// Why.
    #[serde(default)]
    reason: String,
    /// What the move needs: fields, `assignee`, `resolution_code`, `resolution_text`.
    #[serde(default)]
    fields: BTreeMap<String, String>,
}

/// Moves a ticket along its process. With `If-Match`, only on the revision that the caller has seen.
#[utoipa::path(post, path = "/v1/tickets/{id}/moves", operation_id = "move", request_body = Step,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was seen: 412 if the ticket is another by now. Without it, whatever is there is changed.")),
    security(("token" = ["tickets:write"])), responses((status = 200, body = TicketView), (status = 204)))]
async fn go(
    State(app): State<App>,
    principal: Principal,
    PathId(id): PathId<TicketId>,
    IfMatch(rev): IfMatch,
    Post(step, once): Post<Step>,
) -> Result<Response, ApiError> {
    let what = Act::MoveTicket { ticket: id, rev, to: step.to, reason: step.reason, fields: step.fields };
    changed(&app, principal, what, once).await
}

/// Changes a ticket. Who may not read tickets hears only that it is done.
async fn changed(app: &App, who: Principal, what: Act, once: Option<Once>) -> Result<Response, ApiError> {
    let reads = who.may(Scope::TicketsRead);
    let ticket = submit(app, who, what, once).await?;
    if reads {
        Ok((etag(ticket.rev), Json(ticket)).into_response())
    } else {
        Ok((StatusCode::NO_CONTENT, etag(ticket.rev)).into_response())
    }
}

/// What was written on a ticket, oldest first.
#[utoipa::path(get, path = "/v1/tickets/{id}/comments", params(("id" = String, Path), PageParams),
    security(("token" = ["tickets:read"])), responses((status = 200, body = Listed<CommentView>)))]
async fn comments(
    State(app): State<App>,
    PathId(id): PathId<TicketId>,
    Params(params): Params<PageParams>,
) -> Result<Json<Listed<CommentView>>, ApiError> {
    exists(&app, id).await?;
    let page = page(params.cursor, params.limit);
    let rows = app.store.read(move |engine| tickets::comments(engine, id, &page)).await?;
    Ok(Json(Listed::of(rows, CommentView::of)))
}

/// Something to write.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct NewComment {
    /// What.
    text: String,
}

/// Writes on a ticket.
#[utoipa::path(post, path = "/v1/tickets/{id}/comments", params(("id" = String, Path)), request_body = NewComment,
    security(("token" = ["tickets:write"])), responses((status = 201, body = CommentView)))]
async fn comment(
    State(app): State<App>,
    principal: Principal,
    PathId(id): PathId<TicketId>,
    Post(new, once): Post<NewComment>,
) -> Result<Response, ApiError> {
    let what = Act::CommentTicket { ticket: id, text: new.text };
    match act(&app, principal, what, once).await? {
        Reply::Comment(comment) => Ok((StatusCode::CREATED, Json(CommentView::of(comment))).into_response()),
        _ => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "no comment came back")),
    }
}

/// What happened to a ticket, the oldest first unless asked otherwise.
#[utoipa::path(get, path = "/v1/tickets/{id}/timeline", operation_id = "ticket_timeline", params(("id" = String, Path), TimelineParams),
    security(("token" = ["tickets:read"])), responses((status = 200, body = Listed<EventView>)))]
async fn timeline(
    State(app): State<App>,
    PathId(id): PathId<TicketId>,
    Params(params): Params<TimelineParams>,
) -> Result<Json<Listed<EventView>>, ApiError> {
    exists(&app, id).await?;
    told_of(&app, format!("ticket:{id}"), params).await.map(Json)
}

async fn exists(app: &App, id: TicketId) -> Result<(), ApiError> {
    let there = app.store.read(move |engine| tickets::by_id(engine, id)).await?;
    there.map(drop).ok_or_else(|| ApiError::not_found(format!("ticket {id}")))
}
