//! `/v1/ca`: the roots of this deployment, and the steps by which they are replaced while it runs.
//!
//! A step is written to the disk first, then told in the journal, then taken up; where it cannot be told it is taken
//! back. It goes on when the caller is gone, and one that a power cut left untold is told at the next start. Does not
//! know: which step may be taken, and what is told of it, which the rules say.

use super::auth::Principal;
use super::input::Post;
use super::{ApiError, App, act};
use crate::clock;
use crate::event::{Actor, Event, Told};
use crate::pki::Roots;
use crate::pki::issue::Ca;
use crate::register::rotation;
use crate::store::read::agents::{self, Heard};
use crate::store::read::events::{self, EventFilter};
use crate::store::read::tokens;
use crate::work::once::Once;
use crate::work::rotation::{Phase, Rotation, Standing, Step, Written};
use crate::work::{Act, Work};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// Agents that are named of each kind; the rest are counted.
const NAMED: u32 = 100;
/// Check-ins within which an agent that runs has the roots: it hears of them at one, and uses what it got at the next.
const CHECK_INS: u32 = 2;
/// A check-in comes up to a tenth later than its interval.
const LATE_PERCENT: u32 = 110;

/// The routes of this file.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show))
        .routes(routes!(prepare))
        .routes(routes!(abandon))
        .routes(routes!(activate))
        .routes(routes!(retire))
}

/// The certificate authority. Times are microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct CaView {
    /// settled, prepared (the next roots are handed out), activated (they sign; the old ones are still trusted).
    phase: &'static str,
    /// Counts steps.
    revision: u16,
    /// When the last step was taken; null before the first.
    since: Option<i64>,
    /// The step that leads on: prepare, activate or retire. While prepared, abandon leads back.
    following: &'static str,
    /// Why it waits: agents that would be locked out, and for how long. Null where nothing hinders it.
    too_early: Option<String>,
    /// The roots that count.
    roots: Vec<RootView>,
    /// Agents that may speak and have them.
    ready: u64,
    /// Those that have not, and whose certificate is good.
    behind: u64,
    /// The first 100 of those.
    behind_first: Vec<Lagging>,
    /// Those that have not, and whose certificate has ended: they hinder no step, and enroll again after it.
    ended: u64,
    /// The first 100 of those.
    ended_first: Vec<Lagging>,
    /// Agents that wait for approval; what they trust is in their join files.
    pending: u64,
    /// While prepared: join tokens whose files were made before, and lead nowhere once the next roots are activated.
    join_tokens: u64,
}

/// A root.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct RootView {
    /// server or agents: whom it signs.
    signs: &'static str,
    /// present, next or old.
    place: &'static str,
    /// When its certificate ends.
    expires: Option<i64>,
    /// SHA-256 of its certificate, hexadecimal.
    fingerprint: String,
}

/// An agent that has not the roots that count.
#[derive(Debug, Serialize, utoipa::ToSchema)]
struct Lagging {
    /// Its id.
    id: String,
    /// What the machine called itself when it enrolled.
    name: String,
    /// When it was last heard.
    last_seen: Option<i64>,
    /// When its certificate ends.
    expires: Option<i64>,
}

fn roots_of(roots: &Roots) -> Vec<RootView> {
    let view = |ca: &Ca, signs, place| RootView {
        signs,
        place,
        expires: ca.expires().map(|at| at.0),
        fingerprint: ca.fingerprint(),
    };
    let other = if roots.state().phase() == Phase::Prepared { "next" } else { "old" };
    let pairs = [(roots.present(), "present")].into_iter().chain(roots.other().map(|pair| (pair, other)));
    pairs.flat_map(|(pair, place)| [view(&pair.server, "server", place), view(&pair.agents, "agents", place)]).collect()
}

fn lagging(app: &App, rows: &[Heard]) -> Vec<Lagging> {
    let view = |(agent, heard): &Heard| Lagging {
        id: agent.id.to_string(),
        name: agent.name.clone(),
        last_seen: (*heard).max(app.fleet.heard(agent.id)).map(|at| at.0),
        expires: agent.current.as_ref().map(|cert| cert.expires.0),
    };
    rows.iter().map(view).collect()
}

/// The roots, where their rotation stands, and who has them.
#[utoipa::path(get, path = "/v1/ca", operation_id = "ca", security(("token" = ["ca:admin"])),
    responses((status = 200, body = CaView)))]
async fn show(State(app): State<App>) -> Result<Json<CaView>, ApiError> {
    let roots = app.authority.roots();
    let (standing, state) = (all_standing(&app, &roots).await?, roots.state());
    let (phase, now) = (state.phase(), clock::now());
    let join_tokens = match state.since.filter(|_| phase == Phase::Prepared) {
        Some(since) => app.store.read(move |engine| tokens::join_open(engine, since, now)).await?,
        None => 0,
    };
    Ok(Json(CaView {
        phase: phase.name(),
        revision: state.revision,
        since: state.since.map(|at| at.0),
        following: phase.following().name(),
        too_early: rotation::too_early(phase.following(), &brief(&app, &standing)),
        roots: roots_of(&roots),
        ready: standing.ready,
        behind: standing.behind,
        behind_first: lagging(&app, &standing.behind_first),
        ended: standing.ended,
        ended_first: lagging(&app, &standing.ended_first),
        pending: standing.pending,
        join_tokens,
    }))
}

async fn all_standing(app: &App, roots: &Roots) -> Result<agents::Standing, ApiError> {
    let (revision, now) = (roots.state().revision, clock::now());
    Ok(app.store.read(move |engine| agents::standing(engine, revision, now, NAMED)).await?)
}

/// What the rules must know of it.
fn brief(app: &App, standing: &agents::Standing) -> Standing {
    let wait_s = app.config.policy.settings.checkin_s.saturating_mul(CHECK_INS * LATE_PERCENT) / 100;
    let names = standing.behind_first.iter().map(|(agent, _)| agent.name.clone()).collect();
    Standing { ready: standing.ready, behind: standing.behind, names, wait_s }
}

/// Nothing is to be chosen.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Whether agents may be locked out.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Forced {
    /// Also where agents are locked out by it until they enroll again.
    #[serde(default)]
    force: bool,
}

/// Makes the next roots and hands them out; they sign nothing yet.
#[utoipa::path(post, path = "/v1/ca/prepare", operation_id = "prepare_ca", request_body = Nothing,
    security(("token" = ["ca:admin"])), responses((status = 204)))]
async fn prepare(
    State(app): State<App>,
    principal: Principal,
    Post(Nothing {}, once): Post<Nothing>,
) -> Result<StatusCode, ApiError> {
    take(app, principal, Step::Prepare, false, once).await
}

/// Takes the next roots back before they signed anything, and destroys their keys. Agents that were handed them are
/// handed those that are left at their next check-ins. 409 once they are activated.
#[utoipa::path(post, path = "/v1/ca/abandon", operation_id = "abandon_ca", request_body = Nothing,
    security(("token" = ["ca:admin"])), responses((status = 204)))]
async fn abandon(
    State(app): State<App>,
    principal: Principal,
    Post(Nothing {}, once): Post<Nothing>,
) -> Result<StatusCode, ApiError> {
    take(app, principal, Step::Abandon, false, once).await
}

/// Has the next roots sign from now on. 409 while agents do not know them, unless it is forced.
#[utoipa::path(post, path = "/v1/ca/activate", operation_id = "activate_ca", request_body = Forced,
    security(("token" = ["ca:admin"])), responses((status = 204)))]
async fn activate(
    State(app): State<App>,
    principal: Principal,
    Post(forced, once): Post<Forced>,
) -> Result<StatusCode, ApiError> {
    take(app, principal, Step::Activate, forced.force, once).await
}

/// Trusts the old roots no more and destroys their keys. 409 while agents have certificates by them, unless it is
/// forced.
#[utoipa::path(post, path = "/v1/ca/retire", operation_id = "retire_ca", request_body = Forced,
    security(("token" = ["ca:admin"])), responses((status = 204)))]
async fn retire(
    State(app): State<App>,
    principal: Principal,
    Post(forced, once): Post<Forced>,
) -> Result<StatusCode, ApiError> {
    take(app, principal, Step::Retire, forced.force, once).await
}

/// Takes a step to its end, also when the caller does not wait for it.
#[expect(clippy::disallowed_methods, reason = "a stop waits for it by the lock that it holds")]
async fn take(
    app: App,
    principal: Principal,
    step: Step,
    force: bool,
    once: Option<Once>,
) -> Result<StatusCode, ApiError> {
    let task = tokio::spawn(async move { taken(&app, principal, step, force, once).await });
    task.await.unwrap_or_else(|error| {
        tracing::error!(%error, step = step.name(), "a step of the rotation broke off");
        Err(failed("it broke off"))
    })
}

async fn taken(
    app: &App,
    principal: Principal,
    step: Step,
    force: bool,
    once: Option<Once>,
) -> Result<StatusCode, ApiError> {
    let _alone = app.rotating.lock().await;
    let roots = app.authority.roots();
    let standing = brief(app, &all_standing(app, &roots).await?);
    let mut wanted = Rotation { step, phase: roots.state().phase(), force, standing, written: None };
    if rotation::refusal(&wanted).is_some() {
        // Done before under the same key it is no refusal: that the rules know.
        act(app, principal, Act::RotateCa(Box::new(wanted)), once).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let authority = app.authority.clone();
    let written = tokio::task::spawn_blocking(move || authority.write(step, clock::now())).await;
    let next = match written {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Err(error) => return Err(failed(&error.to_string())),
    };
    wanted.written = Some(told_of(&next));
    if let Err(error) = act(app, principal, Act::RotateCa(Box::new(wanted)), once).await {
        if let Err(error) = app.authority.undo(&next) {
            tracing::error!(%error, step = step.name(), "could not be taken back: it counts from the next start on");
        }
        return Err(error);
    }
    if let Err(error) = app.authority.take_up(next) {
        tracing::error!(%error, "an old key could not be destroyed; it is at the next start");
    }
    tracing::info!(step = step.name(), "the roots were rotated");
    Ok(StatusCode::NO_CONTENT)
}

fn failed(why: &str) -> ApiError {
    tracing::error!(why, "a step of the rotation failed");
    let text = format!("the step was not taken: {why}");
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, text)
}

/// What the journal is told of roots that were written.
fn told_of(roots: &Roots) -> Written {
    let state = roots.state();
    let pair = roots.other().filter(|_| state.phase() == Phase::Prepared).unwrap_or_else(|| roots.present());
    Written { revision: state.revision, server: pair.server.fingerprint(), agents: pair.agents.fingerprint() }
}

/// Tells the last step where the journal does not: the power was cut in between, or the register is older than it.
pub async fn catch_up(app: &App) {
    let roots = app.authority.roots();
    let (state, told) = (roots.state(), last_told(app).await);
    let Some(step) = state.last().filter(|_| told != Ok(Some(state.revision))) else { return };
    // It was taken: whom it locked out then is not known any more.
    let (standing, written) = (Standing::default(), Some(told_of(&roots)));
    let wanted = Rotation { step, phase: step.starts(), force: true, standing, written };
    let work = Work::Act { actor: Actor::Rule("restart"), act: Act::RotateCa(Box::new(wanted)) };
    if let Err(error) = app.store.submit(work).await {
        tracing::warn!(%error, "the journal could not be told where the roots stand; the next start tries again");
    }
}

/// The revision of the last step that the journal tells.
async fn last_told(app: &App) -> Result<Option<u16>, crate::store::engine::Error> {
    let kinds = ["ca_prepared", "ca_abandoned", "ca_activated", "ca_retired"].map(str::to_owned).to_vec();
    let filter = EventFilter { kinds, newest_first: true, ..EventFilter::default() };
    let entries = app.store.read(move |engine| events::list(engine, &filter, 1)).await?;
    Ok(entries.into_iter().next().and_then(|entry| match entry.event {
        Told::Known(event) => match *event {
            Event::CaPrepared { revision, .. }
            | Event::CaAbandoned { revision, .. }
            | Event::CaActivated { revision, .. }
            | Event::CaRetired { revision, .. } => Some(revision),
            _ => None,
        },
        Told::Other(_) => None,
    }))
}
