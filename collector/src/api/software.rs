//! `/v1/software`: titles and versions over all assets.

use super::input::Params;
use super::page::{Limit, Listed, page, whole};
use super::{ApiError, App};
use crate::store::read::software;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which software.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Its name; `*` stands for anything, and then either case matches.
    name: Option<String>,
    /// Who installed it: dpkg …
    manager: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    /// Titles of a page, at most 500; a title has a row for each of its versions.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// One version of a title.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct VersionView {
    /// Name of the title.
    name: String,
    /// Its version.
    version: String,
    /// Its architecture.
    arch: String,
    /// Who installed it.
    manager: String,
    /// Who maintains or publishes it.
    publisher: Option<String>,
    /// How many assets have it.
    assets: u64,
}

/// Titles by name, with a row for each version, the oldest first, and how many assets have it.
#[utoipa::path(get, path = "/v1/software", params(Filter), security(("token" = ["software:read"])),
    responses((status = 200, body = Listed<VersionView>)))]
async fn list(State(app): State<App>, Params(params): Params<Filter>) -> Result<Json<Listed<VersionView>>, ApiError> {
    let page = page(params.cursor, params.limit);
    let (name, manager) = (params.name.map(whole), params.manager);
    let titles =
        app.store.read(move |engine| software::titles(engine, name.as_ref(), manager.as_deref(), &page)).await?;
    let items = titles.rows.into_iter().flat_map(|title| {
        let (name, arch, manager) = (title.name, title.arch, title.manager);
        let versions = title.versions.into_iter().filter(|version| version.assets > 0);
        versions.map(move |version| VersionView {
            name: name.clone(),
            version: version.version,
            arch: arch.clone(),
            manager: manager.clone(),
            publisher: version.publisher,
            assets: version.assets,
        })
    });
    Ok(Json(Listed { items: items.collect(), next: titles.next }))
}
