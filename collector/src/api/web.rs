//! What holds for every answer of the web port: only for our own names, and with headers that keep a browser
//! from doing more than it should. Does not know: any resource.

use super::{ApiError, App, auth, listen::Peer};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use std::net::IpAddr;

/// Sent with every answer.
const HEADERS: &[(&str, &str)] = &[
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("strict-transport-security", "max-age=31536000"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// The routes of the web port and the admin socket, with what guards them.
pub fn router(app: &App, routes: Router<App>) -> Router {
    routes
        .route_layer(middleware::from_fn_with_state(app.clone(), auth::guard))
        .fallback(nothing)
        .method_not_allowed_fallback(no_such_method)
        .layer(middleware::from_fn_with_state(app.clone(), surround))
        .with_state(app.clone())
}

/// For paths that are not there.
pub async fn nothing() -> ApiError {
    ApiError::not_found("this path")
}

/// For paths that are there, with another method.
pub async fn no_such_method() -> ApiError {
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "this path does not know that method")
}

async fn surround(State(app): State<App>, request: Request, next: Next) -> Response {
    let local = matches!(request.extensions().get(), Some(Peer::Local { .. }));
    let mut response = if local || is_ours(&request, &app.config.names) {
        next.run(request).await
    } else {
        let why = "this collector has another name; its setting `names` lists those it answers to";
        ApiError::new(StatusCode::MISDIRECTED_REQUEST, why).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn is_ours(request: &Request, names: &[String]) -> bool {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    let in_url = request.uri().authority().is_none_or(|authority| is_one_of(authority.as_str(), names));
    in_url && host.to_str().is_ok_and(|host| is_one_of(host, names))
}

/// Whether a `Host` (name or address, with or without a port) is one of the names.
fn is_one_of(host: &str, names: &[String]) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let address = name.parse::<IpAddr>().ok();
    names.iter().any(|known| match (known.strip_prefix("*."), address) {
        (_, Some(address)) => known.parse() == Ok(address),
        (Some(domain), None) => name.split_once('.').is_some_and(|(first, rest)| !first.is_empty() && rest == domain),
        (None, None) => *known == name,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_names_are_ours() {
        let names = ["muster.example.org", "*.example.net", "192.0.2.1", "2001:db8::1"].map(str::to_owned);
        for host in [
            "muster.example.org",
            "Muster.Example.Org:8444",
            "muster.example.org.",
            "a.example.net",
            "192.0.2.1:8444",
            "[2001:db8:0::1]:8444",
        ] {
            assert!(is_one_of(host, &names), "{host}");
        }
        for host in [
            "evil",
            "",
            "example.net",
            "a.b.example.net",
            ".example.net",
            "192.0.2.2",
            "muster.example.org.evil",
            "[::1]",
            "muster.example.org@evil",
        ] {
            assert!(!is_one_of(host, &names), "{host}");
        }
    }
}
