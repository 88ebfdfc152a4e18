//! Lists, and the parameters that every list takes. Does not know any resource.

use super::ApiError;
use super::input::Number;
use crate::store::page::{LIMIT_ROWS_MAX, Page, Rows};
use crate::store::read::Text;
use serde::{Deserialize, Serialize};
use shared::unit::At;

/// One page of a list.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct Listed<T> {
    /// The rows of this page.
    pub items: Vec<T>,
    /// To be given as `cursor` for the next page; null at the end.
    pub next: Option<String>,
}

impl<T> Listed<T> {
    /// A page, each row as `view` shows it.
    pub fn of<R>(rows: Rows<R>, view: impl FnMut(R) -> T) -> Listed<T> {
        Listed { items: rows.rows.into_iter().map(view).collect(), next: rows.next }
    }
}

/// The parameters of a list that has no filter.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageParams {
    /// `next` of the page before.
    pub cursor: Option<String>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    pub limit: Option<Limit>,
}

/// The parameters of a timeline.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct TimelineParams {
    /// The newest first, instead of the oldest.
    #[serde(default)]
    pub newest_first: bool,
    /// `next` of the page before.
    pub cursor: Option<u64>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    pub limit: Option<Limit>,
}

/// Rows of a page.
pub type Limit = Number<1, { LIMIT_ROWS_MAX as u64 }>;

/// Which page is wanted.
pub fn page(cursor: Option<String>, limit: Option<Limit>) -> Page {
    Page { after: cursor, limit: limit.and_then(|Number(rows)| usize::try_from(rows).ok()) }
}

/// A text to be equal, in either case; `*` stands for anything.
pub fn whole(text: String) -> Text {
    if text.contains('*') { Text::Glob(text) } else { Text::Is(text) }
}

/// A text to be found anywhere, in either case; with `*` the whole must match.
pub fn part(text: String) -> Text {
    if text.contains('*') { Text::Glob(text) } else { Text::Has(text) }
}

/// The word that is asked for, if it is one that there is.
///
/// # Errors
/// 400, naming the parameter and all words.
pub fn known<T: Copy>(
    field: &str,
    text: Option<String>,
    all: &[T],
    name: fn(T) -> &'static str,
) -> Result<Vec<String>, ApiError> {
    let words: Vec<&str> = all.iter().map(|one| name(*one)).collect();
    match text {
        Some(text) if !words.contains(&text.as_str()) => {
            Err(ApiError::bad(field, format!("one of {}", words.join(", "))))
        }
        text => Ok(text.into_iter().collect()),
    }
}

/// A moment: RFC 3339, or how long ago (`90s`, `15m`, `2h`, `7d`).
///
/// # Errors
/// 400, naming the parameter.
pub fn moment(field: &str, text: &str, now: At) -> Result<At, ApiError> {
    if let Some(seconds) = span(text) {
        return Ok(now.plus_secs(-seconds));
    }
    text.parse::<jiff::Timestamp>()
        .map(|timestamp| At(timestamp.as_microsecond()))
        .map_err(|_| ApiError::bad(field, "write 2h, 7d, or a time such as 2026-01-31T12:00:00Z"))
}

fn span(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let number = number.parse::<i64>().ok().filter(|number| (0..=1_000_000_000).contains(number))?;
    let unit_s = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(number * unit_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let now = At::from_secs(1_000_000);
        assert_eq!(moment("x", "2h", now), Ok(At::from_secs(992_800)));
        assert_eq!(moment("x", "1970-01-01T00:00:01Z", now), Ok(At::from_secs(1)));
        for text in ["", "h", "-1h", "1w", "yesterday", "é"] {
            assert!(moment("x", text, now).is_err(), "{text:?}");
        }
    }
}
