//! What handlers take: body, parameters, ids, revisions, keys. Each is bounded and checked here, and refused as
//! `application/problem+json` with the name of the field. Does not know: any resource.

use super::limits::{self, Bounds};
use super::{ApiError, App};
use crate::work::once::{FIELD, KEY_BYTES_MAX, Once};
use axum::Json;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use sha2::{Digest as _, Sha256};
use std::str::FromStr;

/// Bytes of a parameter of the URL; a cursor has a bound of its own.
const PARAM_BYTES_MAX: usize = 4096;

/// A JSON body of at most 1 MiB. Types derive `Deserialize` with `deny_unknown_fields`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Body<T>(pub T);

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Body<T>, ApiError> {
        parse(&held(request, app).await?.text).map(Body)
    }
}

/// What every POST of people and tools takes: a body as [`Body`], and the caller's idempotency key if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Post<T>(pub T, pub Option<Once>);

impl<T: DeserializeOwned> FromRequest<App> for Post<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &App) -> Result<Post<T>, ApiError> {
        let key = key(request.headers())?;
        let path = request.uri().path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let mut hasher = Sha256::new_with_prefix(format!("{} {path}\n", request.method()));
        let body = held(request, app).await?;
        let once = key.map(|key| {
            hasher.update(&body.text);
            Once { key, hash: hasher.finalize().into() }
        });
        Ok(Post(parse(&body.text)?, once))
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let mut keys = headers.get_all("idempotency-key").iter();
    let Some(first) = keys.next() else { return Ok(None) };
    let printable = |key: &&str| key.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    let key = first.to_str().ok().filter(printable).filter(|key| (1..=KEY_BYTES_MAX).contains(&key.len()));
    match (key, keys.next()) {
        (Some(key), None) => Ok(Some(key.to_owned())),
        _ => Err(ApiError::bad(FIELD, format!("one key of 1 to {KEY_BYTES_MAX} printable ASCII characters, or none"))),
    }
}

async fn held(request: Request, app: &App) -> Result<super::body::Held, ApiError> {
    is_json(request.headers())?;
    let body = super::body::read(request, app, super::body::WEB).await?;
    limits::scan(&body.text, &Bounds::WEB)?;
    Ok(body)
}

fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, ApiError> {
    // Else a list would be taken for the fields in their order.
    if text.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
        return Err(ApiError::bad("body", "must be a JSON object: { … }"));
    }
    Json::from_bytes(text).map(|Json(body)| body).map_err(|error| placed("body", &error.body_text()))
}

/// That the body says it is JSON.
///
/// # Errors
/// 415.
pub(super) fn is_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    let why = "the body must be JSON: Content-Type: application/json";
    Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, why).field("content-type"))
}

/// 400, with the field that axum's text names: `Failed to …: field: what is wrong`, or serde's own in backquotes,
/// or `whole` if they name none.
fn placed(whole: &str, text: &str) -> ApiError {
    let why = text.split_once(": ").map_or(text, |(_, why)| why);
    let is_name = |name: &str| !name.is_empty() && !name.contains([' ', '`']);
    if let Some((name, why)) = why.split_once(": ").filter(|(name, _)| is_name(name)) {
        return ApiError::bad(name, format!("{name}: {why}"));
    }
    let quoted = ["missing field `", "duplicate field `"].iter().find_map(|start| why.strip_prefix(start));
    ApiError::bad(quoted.and_then(|rest| rest.split('`').next()).unwrap_or(whole), why)
}

/// The query of the URL. Types derive `Deserialize` with `deny_unknown_fields` and `utoipa::IntoParams`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for Params<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Params<T>, ApiError> {
        let refused = |text: String| placed("query", &text);
        let pairs =
            Query::<Vec<(String, String)>>::try_from_uri(&parts.uri).map_err(|error| refused(error.body_text()))?;
        for (name, value) in &pairs.0 {
            // No text that is kept has one, and databases end texts there or refuse them.
            if value.contains('\0') {
                return Err(ApiError::bad(name, format!("{name}: a text with NUL is nowhere kept; leave it out")));
            }
            if value.len() > PARAM_BYTES_MAX && name != "cursor" {
                return Err(ApiError::bad(name, format!("{name}: at most {PARAM_BYTES_MAX} bytes")));
            }
        }
        Query::<T>::try_from_uri(&parts.uri)
            .map(|Query(params)| Params(params))
            .map_err(|error| refused(error.body_text()))
    }
}

/// A whole number of a query, within bounds; anything else is refused with the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<const LEAST: u64, const MOST: u64>(pub u64);

impl<'de, const LEAST: u64, const MOST: u64> Deserialize<'de> for Number<LEAST, MOST> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
        number.map(Number).ok_or_else(|| D::Error::custom(format!("must be a whole number from {LEAST} to {MOST}")))
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

/// `If-Match: "7"`: the revision that the caller has seen. `None` without the header or with `*`: then whatever is
/// there is changed.
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

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::Uri;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Asked {
        #[serde(rename = "limit")]
        _limit: Option<Number<1, 500>>,
        #[serde(rename = "open")]
        _open: Option<bool>,
    }

    fn refused(query: &str) -> (Option<String>, String) {
        let uri: Uri = format!("http://h/?{query}").parse().expect("a URI");
        let error = Query::<Asked>::try_from_uri(&uri).map(|_| ()).expect_err("refused");
        let error = placed("query", &error.body_text());
        (error.named().map(str::to_owned), error.detail().to_owned())
    }

    #[test]
    fn a_refusal_names_the_parameter_and_its_bounds() {
        let limit = "limit: must be a whole number from 1 to 500".to_owned();
        for query in
            ["limit=0", "limit=501", "limit=-1", "limit=x", "limit=", "limit=1.5", "limit=99999999999999999999"]
        {
            assert_eq!(refused(query), (Some("limit".into()), limit.clone()), "{query}");
        }
        assert_eq!(
            refused("colour=red"),
            (Some("colour".into()), "colour: unknown field `colour`, expected `limit` or `open`".into())
        );
        assert_eq!(refused("open=maybe").0, Some("open".into()));
        assert_eq!(refused("limit=1&limit=2").0, Some("limit".into()));
    }

    #[test]
    fn a_refusal_names_the_field_of_a_body() {
        #[derive(Debug, Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Told {
            #[serde(rename = "ttl_s")]
            _ttl_s: u32,
        }
        let named = |text: &str| parse::<Told>(text.as_bytes()).expect_err("refused").named().map(str::to_owned);
        assert_eq!(named(r#"{"ttl_s": -1}"#).as_deref(), Some("ttl_s"));
        assert_eq!(named(r#"{"ttl_s": 1, "ttl_s": 1}"#).as_deref(), Some("ttl_s"));
        assert_eq!(named("{}").as_deref(), Some("ttl_s"));
        assert_eq!(named(r#"{"ttl_s": 1, "colour": 1}"#).as_deref(), Some("colour"));
        assert_eq!(named(r#"{"ttl_s": 1"#).as_deref(), Some("body"));
        assert_eq!(named("").as_deref(), Some("body"));
        assert_eq!(named("[1]").as_deref(), Some("body"));
    }
}
