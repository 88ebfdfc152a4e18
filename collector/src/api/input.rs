//! What handlers take: body, parameters, ids, revisions. Each is bounded and checked here, and refused as
//! `application/problem+json` with the name of the field. Does not know: any resource.

use super::limits::{self, Bounds};
use super::{ApiError, App};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// A JSON body of at most 1 MiB. Types derive `Deserialize` with `deny_unknown_fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Body<T>, ApiError> {
        if !is_json(request.headers()) {
            let why = "the body must be JSON: Content-Type: application/json";
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
        }
        let body = super::body::read(request, app, super::body::WEB).await?;
        limits::scan(&body.text, &Bounds::WEB)?;
        serde_json::from_slice(&body.text).map(Body).map_err(|error| ApiError::bad("body", error.to_string()))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}

/// The query of the URL. Types derive `Deserialize` with `deny_unknown_fields` and `utoipa::IntoParams`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Params<T>, ApiError> {
        let query = Query::<T>::from_request_parts(parts, app).await;
        query.map(|Query(params)| Params(params)).map_err(|error| ApiError::bad("query", error.body_text()))
    }
}

/// The one variable part of the path, of a type with [`FromStr`]; anything else is 404, as there is no such thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathId<T>(pub T);

impl<T: FromStr + Send> FromRequestParts<App> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<PathId<T>, ApiError> {
        let path = Path::<String>::from_request_parts(parts, app).await;
        let text = path.map(|Path(text)| text).unwrap_or_default();
        text.parse().map(PathId).map_err(|_| ApiError::not_found("what the path names"))
    }
}

/// `If-Match: "7"`: the revision that the caller has seen. `None` without the header or with `*`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IfMatch(pub Option<u64>);

impl FromRequestParts<App> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<IfMatch, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else { return Ok(IfMatch(None)) };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(IfMatch(None));
        }
        let number = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
        number.map(|rev| IfMatch(Some(rev))).ok_or_else(|| ApiError::bad("If-Match", "must be an ETag such as \"7\""))
    }
}

/// The ETag of a revision.
pub fn etag(rev: u64) -> [(header::HeaderName, HeaderValue); 1] {
    let value = HeaderValue::from_str(&format!("\"{rev}\"")).unwrap_or(HeaderValue::from_static("\"0\""));
    [(header::ETAG, value)]
}
