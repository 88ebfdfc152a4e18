//! What the API shows of a ticket. A promise to clients: fields are only ever added.

use super::asset_views::LinkView;
use crate::desk::model::{Comment, Ticket};
use crate::desk::process::{self, DONE_AT};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A ticket in a list. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TicketView {
    /// Its id.
    pub id: String,
    /// What people call it: `INC-17`.
    pub key: String,
    /// Its revision, also its ETag.
    pub rev: u64,
    /// incident, request, problem, change.
    pub kind: String,
    /// Where it stands in its process.
    pub state: String,
    /// Whether there is something to do.
    pub open: bool,
    /// One line.
    pub title: String,
    /// More.
    pub description: String,
    /// 1 service or site, 2 group, 3 one person.
    pub impact: u8,
    /// 1 work stopped, 2 degraded, 3 can wait.
    pub urgency: u8,
    /// 1 (highest) to 5, from impact and urgency.
    pub priority: u8,
    /// Who works on it.
    pub assignee: Option<String>,
    /// Who asked for it.
    pub requester: Option<String>,
    /// When it was opened.
    pub opened: i64,
    /// When it was last written.
    pub updated: i64,
    /// When it was done.
    pub done: Option<i64>,
    /// How it was resolved.
    pub resolution_code: Option<String>,
    /// How it was resolved, in words.
    pub resolution_text: Option<String>,
    /// What only its kind has.
    pub fields: BTreeMap<String, String>,
    /// The rule that opened it; none when a person did.
    pub rule: Option<String>,
    /// The fault it was opened for.
    pub fingerprint: Option<String>,
    /// How many reports told of the fault.
    pub count: u64,
    /// When the fault was last told.
    pub last_seen: Option<i64>,
}

impl TicketView {
    /// The view of a ticket.
    pub fn of(ticket: Ticket) -> TicketView {
        TicketView {
            id: ticket.id.to_string(),
            key: ticket.key(),
            rev: ticket.rev,
            kind: ticket.kind.to_string(),
            open: process::is_open(&ticket),
            done: process::done_at(&ticket).map(|at| at.0),
            state: ticket.state,
            title: ticket.title,
            description: ticket.description,
            impact: ticket.impact,
            urgency: ticket.urgency,
            priority: ticket.priority,
            assignee: ticket.assignee,
            requester: ticket.requester,
            opened: ticket.opened.0,
            updated: ticket.updated.0,
            resolution_code: ticket.resolution_code,
            resolution_text: ticket.resolution_text,
            fields: ticket.fields.into_iter().filter(|(name, _)| name != DONE_AT).collect(),
            rule: ticket.rule,
            fingerprint: ticket.fingerprint,
            count: ticket.count,
            last_seen: ticket.last_seen.map(|at| at.0),
        }
    }
}

/// A ticket with all that is shown with it.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TicketDetail {
    /// The ticket itself.
    #[serde(flatten)]
    pub ticket: TicketView,
    /// The states that it may move to.
    pub moves: Vec<String>,
    /// What each of those moves needs.
    pub needs: BTreeMap<String, Vec<String>>,
    /// Links that it is an end of, the newest first.
    pub links: Vec<LinkView>,
    /// What was written on it, oldest first.
    pub comments: Vec<CommentView>,
    /// Which of these lists have more than is shown here: `links` (all of them: `/v1/links?end=ticket:ID`),
    /// `comments` (`/v1/tickets/ID/comments`).
    pub cut: Vec<String>,
    /// The evidence as it was when the ticket was opened.
    pub snapshot: Option<Value>,
}

impl TicketDetail {
    /// The view of a ticket with what belongs to it.
    pub fn of(ticket: Ticket, comments: Vec<Comment>, links: Vec<LinkView>) -> TicketDetail {
        let steps = process::allowed(&ticket);
        let moves: BTreeSet<String> = steps.iter().map(|step| step.to.to_owned()).collect();
        let needs = steps.iter().map(|step| (step.to.to_owned(), step.needs.iter().map(|need| need.words()).collect()));
        TicketDetail {
            moves: moves.into_iter().collect(),
            needs: needs.collect(),
            links,
            comments: comments.into_iter().map(CommentView::of).collect(),
            cut: Vec::new(),
            snapshot: ticket.snapshot.as_deref().and_then(|text| serde_json::from_str(text).ok()),
            ticket: TicketView::of(ticket),
        }
    }
}

/// Something written on a ticket.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct CommentView {
    /// Its id.
    pub id: String,
    /// When.
    pub at: i64,
    /// Who.
    pub actor: String,
    /// What.
    pub text: String,
}

impl CommentView {
    /// The view of a comment.
    pub fn of(comment: Comment) -> CommentView {
        CommentView { id: comment.id.to_string(), at: comment.at.0, actor: comment.actor, text: comment.text }
    }
}
