//! The one map from what went wrong to what a caller is told: `application/problem+json` (RFC 9457).
//!
//! Knows: status, title, detail, the field or limit concerned, when to come back. Does not know: who asked.
//! What a database says never leaves the collector: it is logged here, once, and answered as 500 or 503.

use crate::store::{Denied, engine};
use crate::work::Refusal;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

/// Seconds after which a caller may try again when nothing better is known.
const RETRY_S: u32 = 5;
/// Seconds to stay away while the register is damaged: a person has to act.
const READ_ONLY_RETRY_S: u32 = 300;

/// The body of every answer that is not a success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: the status says which kind it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// What went wrong and what to do about it, one line.
    pub detail: String,
    /// The field, parameter or limit concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

/// Why a call is not answered with a success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    status: StatusCode,
    detail: String,
    field: Option<String>,
    retry_s: Option<u32>,
}

impl ApiError {
    /// Any status with a sentence.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> ApiError {
        ApiError { status, detail: detail.into(), field: None, retry_s: None }
    }

    /// 404.
    pub fn not_found(what: impl std::fmt::Display) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, format!("{what} not found"))
    }

    /// 400: it cannot be understood.
    pub fn bad(field: impl Into<String>, why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, why).field(field)
    }

    /// 422: it is understood and not right.
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, why).field(field)
    }

    /// 503: nothing was done, come back.
    pub fn busy(why: impl Into<String>, retry_s: u32) -> ApiError {
        ApiError { retry_s: Some(retry_s), ..ApiError::new(StatusCode::SERVICE_UNAVAILABLE, why) }
    }

    /// 429: too often, come back.
    pub fn too_often(why: impl Into<String>, retry_s: u32) -> ApiError {
        ApiError { retry_s: Some(retry_s), ..ApiError::new(StatusCode::TOO_MANY_REQUESTS, why) }
    }

    /// The same with the field, parameter or limit that is concerned.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> ApiError {
        self.field = Some(field.into());
        self
    }

    /// The same, found within something: `records[3].rows`.
    #[must_use]
    pub fn within(mut self, outer: &str) -> ApiError {
        self.field = Some(match self.field {
            Some(field) => format!("{outer}.{field}"),
            None => outer.to_owned(),
        });
        self
    }

    /// Its HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The field, parameter or limit that is concerned.
    pub fn named(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// What it says.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> ApiError {
        let status = match &refusal {
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Stale { .. } => StatusCode::PRECONDITION_FAILED,
            Refusal::Conflict(_) | Refusal::Fork(_) => StatusCode::CONFLICT,
            Refusal::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Refusal::TooMany { .. } => StatusCode::TOO_MANY_REQUESTS,
            Refusal::Enroll { .. } | Refusal::Barred(_) | Refusal::Beyond { .. } => StatusCode::FORBIDDEN,
        };
        let error = ApiError::new(status, refusal.to_string());
        match refusal {
            Refusal::Invalid { field, .. } | Refusal::Beyond { field, .. } => error.field(field),
            Refusal::TooMany { retry_s, .. } => ApiError { retry_s: Some(retry_s), ..error },
            _ => error,
        }
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> ApiError {
        let text = denied.to_string();
        match denied {
            Denied::Refused(refusal) => refusal.into(),
            Denied::Busy { retry_s } => ApiError::busy(text, retry_s),
            Denied::ReadOnly(_) => ApiError::busy(text, READ_ONLY_RETRY_S),
            Denied::Failed(why) => {
                tracing::error!(why, "a work failed");
                let text = "this could not be done; the collector's log says why";
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
            }
            Denied::Down(_) => ApiError::busy("the collector is stopping", RETRY_S),
        }
    }
}

impl From<engine::Error> for ApiError {
    fn from(error: engine::Error) -> ApiError {
        if error == engine::Error::Cursor {
            return ApiError::bad(
                "cursor",
                "not a cursor of this list: use `next` of the page before, or leave it out",
            );
        }
        if error == engine::Error::TooLong {
            return ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, error.to_string());
        }
        tracing::error!(%error, "a read failed");
        match error {
            engine::Error::Closed | engine::Error::Full | engine::Error::Raced | engine::Error::Busy(_) => {
                ApiError::busy("the database cannot answer now", RETRY_S)
            }
            _ => ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "the database failed; the collector's log says how"),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or("Error"),
            status: self.status.as_u16(),
            detail: self.detail,
            field: self.field,
        };
        let text = serde_json::to_vec(&body).unwrap_or_default();
        let mut response = (self.status, text).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status() {
        let status = |refusal: Refusal| ApiError::from(refusal).status().as_u16();
        assert_eq!(status(Refusal::NotFound("asset".into())), 404);
        assert_eq!(status(Refusal::Stale { what: "asset".into(), rev: 2 }), 412);
        assert_eq!(status(Refusal::Conflict("no".into())), 409);
        assert_eq!(status(Refusal::Fork("seq 3".into())), 409);
        assert_eq!(status(Refusal::invalid("title", "is empty")), 422);
        assert_eq!(status(Refusal::Barred("revoked")), 403);
        assert_eq!(ApiError::from(Denied::Busy { retry_s: 7 }).status().as_u16(), 503);
    }

    #[test]
    fn a_database_error_says_nothing_of_the_database() {
        let error = ApiError::from(engine::Error::Engine("no such table: secrets".into()));
        assert_eq!((error.status().as_u16(), error.detail().contains("secrets")), (500, false));
    }

    #[test]
    fn a_busy_answer_says_when_to_come_back() {
        let response = ApiError::busy("busy", 9).into_response();
        assert_eq!(response.headers()[header::RETRY_AFTER], "9");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    }
}
