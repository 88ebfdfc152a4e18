//! `/v1/events`: the journal, as it is or as it comes.

use super::input::{Number, Params};
use super::page::{Limit, moment, page};
use super::{ApiError, App};
use crate::clock;
use crate::event::Entry;
use crate::stop::{self, Stop};
use crate::store::read::events::{self, EventFilter};
use crate::tell;
use axum::extract::State;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Seconds that a long poll may wait: less than a connection that is to end is given, so that a follower always
/// hears an answer.
const WAIT_S: u64 = 15;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which events.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those after this number: what a follower has seen.
    after: Option<u64>,
    /// Only those about this: `asset:ID`, `ticket:ID`, `agent:ID`, `join_token:ID`, `api_token:ID`.
    subject: Option<String>,
    /// Only those by this actor: `local:UID`, `token:ID`, `agent:ID`, `join:ID`, `rule:NAME`.
    actor: Option<String>,
    /// Only of this kind: `fault_raised` …
    kind: Option<String>,
    /// Told at this time or later: RFC 3339, or how long ago (`2h`, `7d`).
    since: Option<String>,
    /// Told before this time.
    until: Option<String>,
    /// Wait up to so many seconds, 0 to 15, until there is one.
    #[param(value_type = Option<u64>, minimum = 0, maximum = 15)]
    wait_s: Option<Number<0, WAIT_S>>,
    /// `next` of the page before; the same as `after`.
    cursor: Option<u64>,
    /// Rows of a page, 1 to 500; 100 if not said.
    #[param(value_type = Option<u64>, minimum = 1, maximum = 500)]
    limit: Option<Limit>,
}

/// One line of the journal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct EventView {
    /// Its number: without holes, in the order of commits. An idempotency key for whoever acts on it.
    pub seq: u64,
    /// When, by the collector's clock, in microseconds since 1970-01-01T00:00:00Z.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// Who, as people called it then: a token's name, a host, `local:0`.
    pub by: String,
    /// What it has in common with the events of the same work.
    pub cause: String,
    /// What it is about.
    pub subjects: Vec<String>,
    /// The same as people called them then, one for one: a host, `INC-17`.
    pub about: Vec<String>,
    /// What happened, for programs; `kind` says which fields there are.
    pub event: Value,
    /// What happened, for people, in one line.
    pub text: String,
}

/// A page of the journal.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Feed {
    /// Events, oldest first.
    items: Vec<EventView>,
    /// To be given as `cursor` for the next page; null at the end.
    next: Option<String>,
    /// The number of the newest event of the whole journal, whatever was asked for: how far a follower is behind.
    /// Nothing up to it is missing from a page that is the last, so a follower may go on after it.
    head: u64,
}

/// The view of an entry.
pub fn event_view(entry: Entry) -> EventView {
    EventView {
        seq: entry.seq,
        at: entry.at.0,
        text: tell::told(&entry),
        actor: entry.actor,
        by: entry.by,
        cause: entry.cause.to_string(),
        subjects: entry.subjects,
        about: entry.about,
        event: serde_json::to_value(&entry.event).unwrap_or_default(),
    }
}

impl EventView {
    /// For those who may not read tickets: of what a ticket says only the ticket's key and the states of a move.
    pub fn without_tickets(self) -> EventView {
        let kind = self.event["kind"].as_str().unwrap_or_default();
        if !kind.starts_with("ticket_") {
            return self;
        }
        let ticket = self.subjects.iter().position(|subject| subject.starts_with("ticket:"));
        let key = ticket.and_then(|place| self.about.get(place)).map_or("a ticket", String::as_str);
        let text = match (self.event["from"].as_str(), self.event["to"].as_str()) {
            (Some(from), Some(to)) => format!("{key}: {from} → {to}"),
            _ => format!("{key}: {}", kind.trim_start_matches("ticket_")),
        };
        EventView { event: json!({ "kind": kind, "key": key }), text, ..self }
    }
}

/// Events, oldest first. To follow: ask with `after` the last number seen, and `wait_s`. A collector that stops
/// answers whoever waits at once.
#[utoipa::path(get, path = "/v1/events", operation_id = "events", params(Filter), security(("token" = ["audit:read"])),
    responses((status = 200, body = Feed)))]
async fn list(
    State(app): State<App>,
    stop: Option<Extension<Stop>>,
    Params(params): Params<Filter>,
) -> Result<Json<Feed>, ApiError> {
    let rows = page(None, params.limit).rows();
    let now = clock::now();
    let mut filter = EventFilter {
        after: params.cursor.max(params.after),
        subject: params.subject,
        actor: params.actor,
        kinds: params.kind.into_iter().collect(),
        since: params.since.map(|text| moment("since", &text, now)).transpose()?,
        until: params.until.map(|text| moment("until", &text, now)).transpose()?,
        ..EventFilter::default()
    };
    let until = Instant::now() + Duration::from_secs(params.wait_s.map_or(0, |Number(seconds)| seconds));
    let mut head = app.store.head();
    let mut stop = stop.map(|Extension(stop)| stop);
    let (entries, seen) = loop {
        // Marked as seen before the read: what is committed meanwhile wakes the wait at once.
        let seen = *head.borrow_and_update();
        let asked = filter.clone();
        let entries = app.store.read(move |engine| events::list(engine, &asked, rows)).await?;
        let more = tokio::time::timeout_at(until, head.changed());
        if !entries.is_empty() || !matches!(stop::or_end(stop.as_mut(), more).await, Some(Ok(Ok(())))) {
            break (entries, seen);
        }
        // There was nothing up to here: the next read need not look again.
        filter.after = filter.after.max(Some(seen));
    };
    let next = entries.last().filter(|_| entries.len() == rows).map(|entry| entry.seq.to_string());
    // A read may see a commit a moment before its number is told here.
    let head = entries.last().map_or(0, |entry| entry.seq).max(seen);
    Ok(Json(Feed { items: entries.into_iter().map(event_view).collect(), next, head }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Event, Told};
    use shared::id::CauseId;
    use shared::unit::At;
    use uuid::Uuid;

    fn view(event: Event) -> EventView {
        let subjects = vec![format!("asset:{}", Uuid::nil()), format!("ticket:{}", Uuid::nil())];
        event_view(Entry {
            seq: 7,
            at: At(1),
            actor: "local:0".into(),
            by: "local:0".into(),
            cause: CauseId(Uuid::nil()),
            subjects,
            about: vec!["host-1".into(), "INC-17".into()],
            event: Told::Known(Box::new(event)),
        })
    }

    #[test]
    fn of_a_ticket_those_who_may_not_read_it_see_its_key_and_states_alone() {
        let moved =
            Event::TicketMoved { from: "new".into(), to: "assigned".into(), reason: "the boss is angry".into() };
        let seen = view(moved).without_tickets();
        assert_eq!(seen.event, json!({"kind": "ticket_moved", "key": "INC-17"}));
        assert_eq!(seen.text, "INC-17: new → assigned");
        let restored = view(Event::SectionRestored { section: "disks".into() });
        let (event, text) = (restored.event.clone(), restored.text.clone());
        let same = restored.without_tickets();
        assert_eq!((same.event, same.text), (event, text));
    }
}
