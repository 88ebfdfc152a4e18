//! `/v1/assets`: the register.

use super::asset_views::{AssetView, DetailView, IdentityView, ItemView, PackageView, link_view};
use super::auth::{Principal, Scope};
use super::events::{EventView, event_view};
use super::input::{Body, IfMatch, Params, PathId, etag};
use super::page::{Limit, Listed, TimelineParams, known, moment, page, part, whole};
use super::{ApiError, App, act};
use crate::register::identity;
use crate::register::model::{Class, Lifecycle, Presence};
use crate::register::presence::{MISSING_S, ONLINE_INTERVALS, STALE_S};
use crate::store::load;
use crate::store::page::Page;
use crate::store::read::assets::{self, AssetFilter, Sort};
use crate::store::read::events::EventFilter;
use crate::store::read::faults::FaultFilter;
use crate::store::read::software::{self, Op, SoftwareFilter};
use crate::store::read::{events, faults, links};
use crate::work::{Act, AssetEdit, Reply};
use crate::{clock, seen};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Deserializer};
use shared::id::AssetId;
use shared::unit::At;
use std::net::IpAddr;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list))
        .routes(routes!(show, patch))
        .routes(routes!(items))
        .routes(routes!(packages))
        .routes(routes!(explain))
        .routes(routes!(timeline))
}

/// The closed list of filters. Texts match in either case and `*` stands for anything, but for
/// software without `*` and part_serial, which are exact.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// computer, laptop, desktop, server, vm, container.
    class: Option<String>,
    /// Name, tag or serial contains this.
    q: Option<String>,
    /// Host name.
    name: Option<String>,
    /// Maker contains this.
    maker: Option<String>,
    /// Model contains this.
    model: Option<String>,
    /// Serial number of the system.
    serial: Option<String>,
    /// Serial number of the system or of a part (disk, memory module), exactly as the machine tells it.
    part_serial: Option<String>,
    /// Operating system contains this.
    os: Option<String>,
    /// Version of the operating system.
    os_version: Option<String>,
    /// Has this software: `name` (exactly, or with `*`), or a name and a version: `openssl<3.0.15` (`<`, `<=`, `=`, `>=`, `>`).
    software: Option<String>,
    /// Has this IP address.
    address: Option<String>,
    /// online, off, silent, stale, missing, never.
    presence: Option<String>,
    /// Heard at this time or later: RFC 3339, or how long ago (`2h`, `7d`).
    seen_since: Option<String>,
    /// Not heard since.
    seen_before: Option<String>,
    /// Lifecycle state.
    lifecycle: Option<String>,
    /// Inventory tag.
    tag: Option<String>,
    /// Owner contains this.
    owner: Option<String>,
    /// Location contains this.
    location: Option<String>,
    /// `id` (as they came, the default) or `name`.
    sort: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

fn filter(filter: Filter, interval_s: i64, now: At) -> Result<(AssetFilter, Sort, Page), ApiError> {
    let mut out = AssetFilter {
        classes: known("class", filter.class, Class::ALL, Class::name)?,
        lifecycles: known("lifecycle", filter.lifecycle, Lifecycle::ALL, Lifecycle::name)?,
        name: filter.name.map(whole),
        maker: filter.maker.map(part),
        model: filter.model.map(part),
        serial: filter.serial.map(whole),
        part_serial: filter.part_serial,
        os: filter.os.map(part),
        os_version: filter.os_version.map(whole),
        address: filter.address.map(|text| address(&text)).transpose()?,
        tag: filter.tag.map(whole),
        owner: filter.owner.map(part),
        location: filter.location.map(part),
        q: filter.q,
        software: filter.software.as_deref().map(wanted).transpose()?,
        heard_since: filter.seen_since.map(|text| moment("seen_since", &text, now)).transpose()?,
        heard_before: filter.seen_before.map(|text| moment("seen_before", &text, now)).transpose()?,
        ..AssetFilter::default()
    };
    if let Some(text) = filter.presence {
        let presence = Presence::of(&text)
            .ok_or_else(|| ApiError::bad("presence", "one of online, off, silent, stale, missing, never"))?;
        present(&mut out, presence, interval_s, now);
    }
    let sort = match filter.sort.as_deref() {
        None | Some("id") => Sort::Id,
        Some("name") => Sort::Name,
        Some(_) => return Err(ApiError::bad("sort", "id or name")),
    };
    Ok((out, sort, page(filter.cursor, filter.limit)))
}

/// An address as it is kept: IPv6 has many forms, of which one is.
fn address(text: &str) -> Result<String, ApiError> {
    let address = text.parse::<IpAddr>();
    address
        .map(|address| address.to_string())
        .map_err(|_| ApiError::bad("address", "write an IP address without prefix, such as 192.0.2.7 or 2001:db8::7"))
}

/// Presence as times between which an asset was last heard: what `register::presence` says, turned round.
fn present(out: &mut AssetFilter, presence: Presence, interval_s: i64, now: At) {
    // Presence counts whole seconds: up to a microsecond short of one more.
    let ago = |seconds: i64| Some(At(now.plus_secs(-seconds - 1).0 + 1));
    let (since, before) = match presence {
        Presence::Online => (ago(ONLINE_INTERVALS * interval_s), None),
        Presence::Silent => (ago(STALE_S), ago(ONLINE_INTERVALS * interval_s)),
        Presence::Off => (ago(STALE_S), None),
        Presence::Stale => (ago(MISSING_S), ago(STALE_S)),
        Presence::Missing => (None, ago(MISSING_S)),
        Presence::Never => (None, None),
    };
    out.heard_since = out.heard_since.max(since);
    out.heard_before = match (out.heard_before, before) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    };
    out.heard = Some(presence != Presence::Never);
    out.goodbye = match presence {
        Presence::Online | Presence::Silent => Some(false),
        Presence::Off => Some(true),
        _ => None,
    };
}

/// `name`, or name, comparison and version.
fn wanted(text: &str) -> Result<SoftwareFilter, ApiError> {
    let bad = || ApiError::bad("software", "write a name, or name<version (also <=, =, >=, >)");
    let split = text.find(['<', '>', '=']);
    let (name, rest) = text.split_at(split.unwrap_or(text.len()));
    let version = if rest.is_empty() {
        None
    } else {
        let (op, version) = [("<=", Op::Le), (">=", Op::Ge), ("<", Op::Lt), (">", Op::Gt), ("=", Op::Eq)]
            .into_iter()
            .find_map(|(sign, op)| Some((op, rest.strip_prefix(sign)?)))
            .ok_or_else(bad)?;
        Some((op, version.trim().to_owned())).filter(|(_, version)| !version.is_empty())
    };
    let name = name.trim().to_owned();
    if name.is_empty() || (split.is_some() && version.is_none()) {
        return Err(bad());
    }
    Ok(SoftwareFilter { name, manager: None, version })
}

/// Assets that match every filter.
#[utoipa::path(get, path = "/v1/assets", params(Filter), security(("token" = ["assets:read"])),
    responses((status = 200, body = Listed<AssetView>)))]
async fn list(State(app): State<App>, Params(params): Params<Filter>) -> Result<Json<Listed<AssetView>>, ApiError> {
    let now = clock::now();
    let interval_s = i64::from(app.config.policy.settings.checkin_s);
    let (filter, sort, page) = filter(params, interval_s, now)?;
    if filter.asks_when_heard()
        && let Err(error) = seen::flush(&app.store, &app.fleet).await
    {
        // Then the filter is as old as the last flush; that is better than no answer.
        tracing::warn!(%error, "last-seen could not be flushed before a question about it");
    }
    let rows = app.store.read(move |engine| assets::list(engine, &filter, sort, &page)).await?;
    Ok(Json(Listed::of(rows, |row| AssetView::of(&app, row, now))))
}

/// One asset: its layers, addresses, sections, links and open faults.
#[utoipa::path(get, path = "/v1/assets/{id}", params(("id" = String, Path)),
    security(("token" = ["assets:read"])), responses((status = 200, body = DetailView)))]
async fn show(State(app): State<App>, PathId(id): PathId<AssetId>) -> Result<Response, ApiError> {
    let read = app.store.read(move |engine| {
        let Some(row) = assets::by_id(engine, id)? else { return Ok(None) };
        let all = Page { after: None, limit: Some(usize::MAX) };
        let end = crate::desk::model::End::Asset(id);
        let open = ["pending", "raised", "passing"].map(str::to_owned).to_vec();
        let faults = FaultFilter { asset: Some(id), states: open };
        Ok(Some((
            row,
            assets::addresses(engine, id)?,
            assets::sections(engine, id)?,
            links::list(engine, Some(&end), None, &all)?,
            faults::list(engine, &faults, &all)?,
        )))
    });
    let Some((row, addresses, sections, links, faults)) = read.await? else {
        return Err(ApiError::not_found(format!("asset {id}")));
    };
    let rev = row.asset.rev;
    let cut = [("links", &links.next), ("faults", &faults.next)];
    let view = DetailView {
        asset: AssetView::of(&app, row, clock::now()),
        addresses,
        sections: sections.into_iter().map(Into::into).collect(),
        cut: cut.into_iter().filter(|(_, next)| next.is_some()).map(|(name, _)| name.to_owned()).collect(),
        links: links.rows.into_iter().map(link_view).collect(),
        faults: faults.rows.into_iter().map(Into::into).collect(),
    };
    Ok((etag(rev), Json(view)).into_response())
}

/// What people declare. A field that is not there stays as it is; null takes it away.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Edit {
    /// Inventory tag.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    tag: Option<Option<String>>,
    /// Who answers for it.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    owner: Option<Option<String>>,
    /// Where it is.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<String>)]
    location: Option<Option<String>>,
    /// 1 (most critical) to 4.
    #[serde(default, deserialize_with = "told")]
    #[schema(value_type = Option<u8>)]
    criticality: Option<Option<u8>>,
}

/// Tells null from absent.
pub fn told<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Declares what no machine knows. With `If-Match`, only on the revision that the caller has seen. Who may not read
/// assets is answered 204 with the ETag alone.
#[utoipa::path(patch, path = "/v1/assets/{id}", request_body = Edit,
    params(("id" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag that was seen: 412 if the asset is another by now. Without it, whatever is there is changed.")),
    security(("token" = ["assets:write"])), responses((status = 200, body = DetailView), (status = 204)))]
async fn patch(
    State(app): State<App>,
    principal: Principal,
    PathId(id): PathId<AssetId>,
    IfMatch(rev): IfMatch,
    Body(edit): Body<Edit>,
) -> Result<Response, ApiError> {
    let edit = AssetEdit { tag: edit.tag, owner: edit.owner, location: edit.location, criticality: edit.criticality };
    let reads = principal.may(Scope::AssetsRead);
    let Reply::Asset(asset) = act(&app, principal, Act::EditAsset { asset: id, rev, edit }, None).await? else {
        return Err(ApiError::not_found(format!("asset {id}")));
    };
    if reads {
        show(State(app), PathId(id)).await
    } else {
        Ok((StatusCode::NO_CONTENT, etag(asset.rev)).into_response())
    }
}

/// Which items.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct ItemParams {
    /// Of this section alone.
    section: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// An asset's items, section by section; software has a list of its own.
#[utoipa::path(get, path = "/v1/assets/{id}/items", params(("id" = String, Path), ItemParams),
    security(("token" = ["assets:read"])), responses((status = 200, body = Listed<ItemView>)))]
async fn items(
    State(app): State<App>,
    PathId(id): PathId<AssetId>,
    Params(params): Params<ItemParams>,
) -> Result<Json<Listed<ItemView>>, ApiError> {
    exists(&app, id).await?;
    let page = page(params.cursor, params.limit);
    let section = params.section;
    let rows = app.store.read(move |engine| assets::items(engine, id, section.as_deref(), &page)).await?;
    Ok(Json(Listed::of(rows, ItemView::of)))
}

/// Which software.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PackageParams {
    /// Of this name alone.
    name: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// An asset's software.
#[utoipa::path(get, path = "/v1/assets/{id}/software", params(("id" = String, Path), PackageParams),
    security(("token" = ["assets:read"])), responses((status = 200, body = Listed<PackageView>)))]
async fn packages(
    State(app): State<App>,
    PathId(id): PathId<AssetId>,
    Params(params): Params<PackageParams>,
) -> Result<Json<Listed<PackageView>>, ApiError> {
    exists(&app, id).await?;
    let page = page(params.cursor, params.limit);
    let name = params.name;
    let rows = app.store.read(move |engine| software::of_asset(engine, id, name.as_deref(), &page)).await?;
    Ok(Json(Listed::of(rows, PackageView::of)))
}

/// Why the register takes this asset for this machine: what it is known by, what that counts, and which
/// others share some of it.
#[utoipa::path(get, path = "/v1/assets/{id}/identity", params(("id" = String, Path)),
    security(("token" = ["assets:read"])), responses((status = 200, body = IdentityView)))]
async fn explain(State(app): State<App>, PathId(id): PathId<AssetId>) -> Result<Json<IdentityView>, ApiError> {
    let now = clock::now();
    let read = app.store.read(move |engine| load::identity(engine, id, now)).await?;
    let Some((own, known)) = read else { return Err(ApiError::not_found(format!("asset {id}"))) };
    Ok(Json(IdentityView::of(&own, identity::explain(&own, &known))))
}

/// What happened to an asset, the oldest first unless asked otherwise. Who may not read tickets sees of theirs only
/// that something happened.
#[utoipa::path(get, path = "/v1/assets/{id}/timeline", params(("id" = String, Path), TimelineParams),
    security(("token" = ["assets:read"])), responses((status = 200, body = Listed<EventView>)))]
async fn timeline(
    State(app): State<App>,
    principal: Principal,
    PathId(id): PathId<AssetId>,
    Params(params): Params<TimelineParams>,
) -> Result<Json<Listed<EventView>>, ApiError> {
    exists(&app, id).await?;
    let mut page = told_of(&app, format!("asset:{id}"), params).await?;
    if !principal.may(Scope::TicketsRead) {
        page.items = page.items.into_iter().map(EventView::without_tickets).collect();
    }
    Ok(Json(page))
}

/// A page of the journal about one subject.
pub async fn told_of(app: &App, subject: String, params: TimelineParams) -> Result<Listed<EventView>, ApiError> {
    let rows = page(None, params.limit).rows();
    let TimelineParams { newest_first, cursor, .. } = params;
    let (after, before) = if newest_first { (None, cursor) } else { (cursor, None) };
    let filter = EventFilter { after, before, newest_first, subject: Some(subject), ..EventFilter::default() };
    let entries = app.store.read(move |engine| events::list(engine, &filter, rows)).await?;
    let next = entries.last().filter(|_| entries.len() == rows).map(|entry| entry.seq.to_string());
    Ok(Listed { items: entries.into_iter().map(event_view).collect(), next })
}

async fn exists(app: &App, id: AssetId) -> Result<(), ApiError> {
    let there = app.store.read(move |engine| assets::by_id(engine, id)).await?;
    there.map(drop).ok_or_else(|| ApiError::not_found(format!("asset {id}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_of_a_presence_is_what_the_presence_is() {
        use crate::register::presence::presence;
        use shared::checkin::Goodbye;
        let (now, interval_s) = (At(2_000_000_000_000_000), 300);
        let ages = [0, ONLINE_INTERVALS * interval_s, STALE_S, MISSING_S];
        let around = ages.into_iter().flat_map(|s| [-1, 0, 1, 999_999, 1_000_000].map(|us| s * 1_000_000 + us));
        let heard = around.map(|age| Some(At(now.0 - age))).chain([None]);
        for (heard, goodbye) in heard.flat_map(|heard| [(heard, None), (heard, Some(Goodbye::Sleep))]) {
            let is = presence(heard, goodbye, interval_s, now);
            for asked in Presence::ALL {
                let mut filter = AssetFilter::default();
                present(&mut filter, *asked, interval_s, now);
                let fits = filter.heard_since.is_none_or(|since| heard >= Some(since))
                    && filter.heard_before.is_none_or(|before| heard.is_some_and(|heard| heard < before))
                    && filter.heard.is_none_or(|was| was == heard.is_some())
                    && filter.goodbye.is_none_or(|said| said == goodbye.is_some());
                assert_eq!(fits, *asked == is, "{asked}, heard {heard:?}, {goodbye:?}: {is}");
            }
        }
    }

    #[test]
    fn software_is_asked_for_by_name_and_version() {
        let of = |text: &str| wanted(text).map(|wanted| (wanted.name, wanted.version));
        assert_eq!(of("openssl"), Ok(("openssl".into(), None)));
        assert_eq!(of("openssl<=3.0.15"), Ok(("openssl".into(), Some((Op::Le, "3.0.15".into())))));
        assert_eq!(of("g++ = 4:12"), Ok(("g++".into(), Some((Op::Eq, "4:12".into())))));
        for text in ["", "<3", "openssl<", "=", "openssl>="] {
            assert!(of(text).is_err(), "{text:?}");
        }
    }
}
