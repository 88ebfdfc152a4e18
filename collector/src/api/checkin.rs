//! `POST /v1/checkin`: bounds, then beats from memory and records to the rules, then the answer.
//!
//! A beat touches no table unless a fault waits for it. Records are queued in their order and awaited together,
//! so that a spool of many costs one commit. Does not know: what a record means.

use super::agent::{submit, too_often};
use super::listen::{AgentPeer, HEAD};
use super::openapi::Quoted;
use super::{ApiError, App, body, limits, unknown};
use crate::clock;
use crate::fleet::Member;
use crate::register::model::AgentState;
use crate::secret;
use crate::store::{Denied, Store};
use crate::work::{Act, Refusal, Reply, Report, Work};
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use shared::checkin::{Answer, CheckIn, Part, Record, Rows, State as Seen};
use shared::digest::{self, Digest};
use shared::fact::Item;
use shared::limit;
use std::future::Future;
use std::pin::Pin;
use std::task::Poll;
use std::time::Instant;

/// Bytes of an agent's version.
const VERSION_BYTES: usize = 64;
/// Asks an agent for the digests of all sections.
const ALL: &str = "*";

/// What an agent tells, or that there is nothing new.
#[utoipa::path(post, path = "/v1/checkin", operation_id = "checkin", security(("agent" = [])),
    request_body(content = Quoted, description = "`stream`, `seq`, `root`, `records`; plain or zstd"),
    responses((status = 200, body = Quoted, description = "`root`, `seq`, `want`, `next_s`, `now`, `settings`")))]
pub(super) async fn checkin(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (peer, member) = who(&request)?;
    app.rates.checkin.take(peer.agent, Instant::now()).map_err(too_often)?;
    app.rates.herd.enter(Instant::now(), random()).map_err(full)?;
    upgraded(&app, &peer, &member, request.headers()).await?;
    let is_of_ours = said_version(request.headers()).is_none_or(|said| said == env!("CARGO_PKG_VERSION"));
    let held = body::read(request, &app, body::AGENT).await?;
    limits::scan(&held.text, &limits::Bounds::AGENT)?;
    let mut said = understood(&app, &peer, is_of_ours, &held.text)?;
    bounded(&said)?;
    app.fleet.hear(peer.agent, clock::now());
    let told = if said.records.is_empty() {
        beat(&app, &peer, &member, &said).await?
    } else {
        report(&app, &peer, &member, &mut said).await?
    };
    if let Some(why) = said.goodbye {
        submit(&app, peer.agent, Act::Goodbye { agent: peer.agent, why }).await?;
    }
    Ok(respond(&app, &peer, told))
}

fn who(request: &Request) -> Result<(AgentPeer, Member), ApiError> {
    let extensions = request.extensions();
    match (extensions.get::<AgentPeer>(), extensions.get::<Member>()) {
        (Some(peer), Some(member)) => Ok((peer.clone(), member.clone())),
        _ => Err(ApiError::new(StatusCode::UNAUTHORIZED, "only agents may come here")),
    }
}

/// Takes over the agent's version from its `User-Agent`, where that is another than it was.
async fn upgraded(app: &App, peer: &AgentPeer, member: &Member, headers: &HeaderMap) -> Result<(), ApiError> {
    match said_version(headers) {
        Some(said) if member.state == AgentState::Active && said != member.version => {
            submit(app, peer.agent, Act::Upgraded { agent: peer.agent, version: said.to_owned() }).await.map(|_| ())
        }
        _ => Ok(()),
    }
}

/// The version that an agent says it has.
fn said_version(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::USER_AGENT).and_then(|value| version(value.to_str().ok()?))
}

/// The check-in in a body; what an agent of another version says that is not known here is counted.
fn understood(app: &App, peer: &AgentPeer, is_of_ours: bool, text: &[u8]) -> Result<CheckIn, ApiError> {
    let bad = |error: serde_json::Error| ApiError::bad("body", error.to_string());
    if is_of_ours {
        return serde_json::from_slice(text).map_err(bad);
    }
    let (said, unknown) = unknown::counted(text).map_err(bad)?;
    if unknown > 0 {
        app.fleet.puzzle(peer.agent, unknown);
    }
    Ok(said)
}

/// The version in `muster-agent/<version>`.
fn version(user_agent: &str) -> Option<&str> {
    let version = user_agent.strip_prefix("muster-agent/")?;
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b".-+~_".contains(&byte);
    ((1..=VERSION_BYTES).contains(&version.len()) && version.bytes().all(right)).then_some(version)
}

/// What the collector holds after a check-in.
struct Told {
    root: Digest,
    seq: u64,
    want: Vec<String>,
    stale: bool,
}

/// Nothing new: answered from memory, unless something waits for it.
async fn beat(app: &App, peer: &AgentPeer, member: &Member, said: &CheckIn) -> Result<Told, ApiError> {
    let agent = peer.agent;
    let speaks = member.state == AgentState::Active;
    if speaks && said.moved && !member.kept {
        let detail = "the agent says that its machine is another one".to_owned();
        submit(app, agent, Act::Forked { agent, detail }).await?;
    } else if speaks && (app.fleet.waits(agent) || (member.goodbye.is_some() && said.goodbye.is_none())) {
        submit(app, agent, Act::Beat { agent }).await?;
    }
    let same = member.stream == Some(said.stream) && member.root == said.root;
    let want = if speaks && !same { vec![ALL.to_owned()] } else { Vec::new() };
    let seq = if member.stream == Some(said.stream) { member.seq } else { 0 };
    Ok(Told { root: member.root, seq, want, stale: false })
}

/// Records: each a work of its own, queued in order, awaited together.
async fn report(app: &App, peer: &AgentPeer, member: &Member, said: &mut CheckIn) -> Result<Told, ApiError> {
    let (stream, moved) = (said.stream, said.moved);
    let works = std::mem::take(&mut said.records).into_iter().map(|record| {
        // Our own form of the record, so that only what it says counts, not how it was written.
        let bytes = serde_json::to_vec(&record).unwrap_or_default();
        Work::Report(Box::new(Report { agent: peer.agent, stream, record, hash: digest::of_bytes(&bytes), moved }))
    });
    let mut told = Told { root: member.root, seq: member.seq, want: Vec::new(), stale: true };
    for (at, reply) in submit_all(&app.store, works.collect()).await.into_iter().enumerate() {
        match reply {
            Ok(Reply::Report { root, seq, want, stale }) => {
                told.want.extend(want);
                told = Told { root, seq, stale: told.stale && stale, ..told };
            }
            Ok(other) => return Err(super::agent::unexpected(&other)),
            Err(denied) => return Err(denial(app, peer, at, denied).await),
        }
    }
    told.want = wanted(told.want, &told.root, told.seq, said);
    if member.state != AgentState::Active {
        told.want.clear();
    }
    Ok(told)
}

/// What is still wanted after all records: what one asked for may have come whole with a later one. The roots tell
/// that, but not of a failed section: those agree on its digest before its rows are there.
fn wanted(mut want: Vec<String>, root: &Digest, seq: u64, said: &CheckIn) -> Vec<String> {
    want.sort_unstable();
    want.dedup();
    if *root == said.root {
        let last = |name: &str| {
            said.records.iter().rev().find_map(|record| record.sections.iter().find(|part| part.section == name))
        };
        let is_open = |part: &Part| part.state == Seen::Failed && part.rows() == Rows::Same;
        want.retain(|name| name != ALL && last(name).is_none_or(is_open));
        return want;
    }
    if want.is_empty() && seq >= said.seq {
        want.push(ALL.to_owned());
    }
    want
}

async fn denial(app: &App, peer: &AgentPeer, at: usize, denied: Denied) -> ApiError {
    if let Denied::Refused(Refusal::Fork(detail)) = &denied {
        let act = Act::Forked { agent: peer.agent, detail: detail.clone() };
        if let Err(error) = submit(app, peer.agent, act).await {
            tracing::error!(?error, agent = %peer.agent, "a fork could not be noted");
        }
    }
    let named = matches!(denied, Denied::Refused(Refusal::Invalid { .. }));
    let error = ApiError::from(denied);
    if named { error.within(&format!("records[{at}]")) } else { error }
}

type Pending<'a> = Pin<Box<dyn Future<Output = Result<Reply, Denied>> + Send + 'a>>;

/// Queues all works in their order and waits for all of them. After one that the queue had no room for, none is
/// queued: a later record must not be taken before an earlier one.
async fn submit_all(store: &Store, works: Vec<Work>) -> Vec<Result<Reply, Denied>> {
    let mut waiting: Vec<Result<Pending<'_>, Result<Reply, Denied>>> = Vec::with_capacity(works.len());
    for work in works {
        let mut pending: Pending<'_> = Box::pin(store.submit(work));
        // The first poll puts it into the queue.
        let first = std::future::poll_fn(|context| Poll::Ready(pending.as_mut().poll(context))).await;
        match first {
            Poll::Pending => waiting.push(Ok(pending)),
            Poll::Ready(reply) => {
                let full = matches!(reply, Err(Denied::Busy { .. } | Denied::ReadOnly(_) | Denied::Down(_)));
                waiting.push(Err(reply));
                if full {
                    break;
                }
            }
        }
    }
    let mut replies = Vec::with_capacity(waiting.len());
    for one in waiting {
        replies.push(match one {
            Ok(pending) => pending.await,
            Err(reply) => reply,
        });
    }
    replies
}

fn random() -> u32 {
    secret::random::<4>().map_or(u32::MAX / 2, u32::from_le_bytes)
}

fn full(retry_s: u32) -> ApiError {
    ApiError::busy("more agents than can be answered are here; come back later", retry_s)
}

fn respond(app: &App, peer: &AgentPeer, told: Told) -> Response {
    let settings = &app.config.policy.settings;
    let next_s = next_s(settings.checkin_s, app.started.elapsed().as_secs(), random());
    let answer = Answer {
        root: told.root,
        seq: told.seq,
        want: told.want,
        stale: told.stale,
        next_s,
        now: clock::now(),
        settings: settings.digest(),
        // Check-ins are spread over the interval, so the renewals that follow them are as well; in a large fleet some
        // are told at a later one.
        renew: app.authority.roots().is_behind(peer.roots) && app.rates.early.take((), Instant::now()).is_ok(),
    };
    let mut response = Json(answer).into_response();
    if u64::from(next_s) >= HEAD.as_secs() {
        // It would be closed before it is used again; so both sides know it at once.
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// Seconds until an agent is to come again: the interval and a tenth of it up or down; in the first interval
/// after a start half of it, so that those who all came at once are spread over the whole interval.
fn next_s(interval_s: u32, up_s: u64, random: u32) -> u32 {
    let spread = if up_s < u64::from(interval_s) { interval_s } else { interval_s / 5 };
    let offset = u64::from(spread) * u64::from(random) / u64::from(u32::MAX);
    let least = interval_s - spread / 2;
    (least + u32::try_from(offset).unwrap_or(0)).max(1)
}

/// The bounds that can only be judged once it is known what is what.
fn bounded(said: &CheckIn) -> Result<(), ApiError> {
    at_most("records", said.records.len(), limit::RECORDS)?;
    for (at, record) in said.records.iter().enumerate() {
        record_bounded(record).map_err(|error| error.within(&format!("records[{at}]")))?;
    }
    Ok(())
}

fn record_bounded(record: &Record) -> Result<(), ApiError> {
    at_most("sections", record.sections.len(), limit::SECTIONS)?;
    if let Some(gap) = &record.gap {
        at_most("gap.reason", gap.reason.len(), limit::NAME_BYTES)?;
    }
    record.sections.iter().try_for_each(|part| part_bounded(part).map_err(|error| error.within(&part.section)))
}

fn part_bounded(part: &Part) -> Result<(), ApiError> {
    at_most("section", part.section.len(), 64)?;
    let rows = limit::rows(&part.section);
    at_most("rows", part.put.as_ref().map_or(0, Vec::len), rows)?;
    at_most("rows", part.del.len(), rows)?;
    at_most("problems", part.problems.len(), limit::PROBLEMS)?;
    part.del.iter().try_for_each(|key| at_most("name_bytes", key.len(), limit::NAME_BYTES))?;
    part.put.iter().flatten().try_for_each(item_bounded)
}

fn item_bounded(item: &Item) -> Result<(), ApiError> {
    let columns = [&item.label, &item.maker, &item.model].map(Option::as_deref);
    let names = [&*item.kind, &item.key].into_iter().chain(columns.into_iter().flatten());
    names.into_iter().try_for_each(|name| at_most("name_bytes", name.len(), limit::NAME_BYTES))?;
    at_most("attrs", item.attrs.len() + item.now.len(), limit::ATTRS)
}

fn at_most(limit: &str, count: usize, most: usize) -> Result<(), ApiError> {
    if count <= most {
        return Ok(());
    }
    Err(ApiError::invalid(limit, format!("{count} where at most {most} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_come_back_around_their_interval() {
        let later = |random| next_s(300, 1000, random);
        assert_eq!((later(0), later(u32::MAX / 2), later(u32::MAX)), (270, 299, 330));
        let after_start = |random| next_s(300, 10, random);
        assert_eq!((after_start(0), after_start(u32::MAX)), (150, 450));
        assert_eq!((next_s(1, 0, 0), next_s(1, 9, u32::MAX), next_s(10, 99, 0)), (1, 1, 9));
    }

    #[test]
    fn a_version_is_read_from_our_own_user_agent_alone() {
        assert_eq!(version("muster-agent/0.2.0-rc.1+7"), Some("0.2.0-rc.1+7"));
        for other in ["muster-agent/", "curl/8", "muster-agent/1 2", "muster-agent/<b>"] {
            assert_eq!(version(other), None, "{other}");
        }
        assert_eq!(version(&format!("muster-agent/{}", "9".repeat(65))), None);
    }

    #[test]
    fn what_came_whole_later_is_not_wanted_any_more() {
        let said = CheckIn {
            stream: Digest::default(),
            seq: 5,
            root: Digest([1; 16]),
            moved: false,
            goodbye: None,
            records: Vec::new(),
        };
        let want = || vec!["dpkg".to_owned(), "disks".to_owned(), "dpkg".to_owned()];
        assert_eq!(wanted(want(), &Digest([2; 16]), 5, &said), ["disks", "dpkg"]);
        assert_eq!(wanted(Vec::new(), &Digest([2; 16]), 5, &said), ["*"]);
        // A failed section's rows are wanted although the roots agree, unless they came.
        let part = |state, section: &str, put: Option<Vec<Item>>| Part {
            section: section.into(),
            state,
            digest: Digest([3; 16]),
            base: None,
            put,
            del: Vec::new(),
            problems: Vec::new(),
            truncated: false,
        };
        let rows = || Some(vec![Item::new("x", "a")]);
        let after = |parts: Vec<Part>| {
            let record =
                |part| Record { seq: 5, at: shared::unit::At(0), root: said.root, sections: vec![part], gap: None };
            let said = CheckIn { records: parts.into_iter().map(record).collect(), ..said.clone() };
            wanted(want(), &Digest([1; 16]), 5, &said)
        };
        let disks = part(Seen::Seen, "disks", rows());
        let (failed, came) = (part(Seen::Failed, "dpkg", None), part(Seen::Failed, "dpkg", rows()));
        assert_eq!(after(vec![disks.clone(), failed.clone()]), ["dpkg"]);
        assert_eq!(after(vec![disks.clone(), failed, came]), Vec::<String>::new());
        assert_eq!(after(vec![disks.clone(), part(Seen::Seen, "dpkg", rows())]), Vec::<String>::new());
        // It was asked for because a record before was lost.
        assert_eq!(after(vec![disks]), ["dpkg"]);
        assert_eq!(wanted(vec![ALL.to_owned()], &Digest([1; 16]), 5, &said), Vec::<String>::new());
        // More records are still to come.
        assert_eq!(wanted(Vec::new(), &Digest([2; 16]), 4, &said), Vec::<String>::new());
    }
}
