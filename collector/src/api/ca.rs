//! `/v1/ca`: the roots of this deployment, and the three steps by which they are replaced while it runs.
//!
//! A step is written to the disk first, then told in the journal, then taken up; where it cannot be told it is taken
//! back. It goes on when the caller is gone, and one that a power cut left untold is told at the next start. Does not
//! know: what makes a step too early, which the rules say.

use super::auth::Principal;
use super::input::Post;
use super::{ApiError, App, act};
use crate::clock;
use crate::event::{Actor, Event, Told};
use crate::pki::issue::Ca;
use crate::pki::rotation::{Phase, Step};
use crate::pki::{self, Pair, Roots};
use crate::register::rotation::{self, Loss};
use crate::store::read::agents::{self, Heard, Standing};
use crate::store::read::events::{self, EventFilter};
use crate::store::read::tokens;
use crate::work::once::Once;
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
    /// The only step that may follow: prepare, activate or retire.
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
    let (standing, state) = (standing(&app, &roots).await?, roots.state());
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
        too_early: too_early(&app, phase.following(), &standing),
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

async fn standing(app: &App, roots: &Roots) -> Result<Standing, ApiError> {
    let (revision, now) = (roots.state().revision, clock::now());
    Ok(app.store.read(move |engine| agents::standing(engine, revision, now, NAMED)).await?)
}

fn too_early(app: &App, step: Step, standing: &Standing) -> Option<String> {
    let loss = match step {
        Step::Prepare => return None,
        Step::Activate => Loss::Activate,
        Step::Retire => Loss::Retire,
    };
    let wait_s = app.config.policy.settings.checkin_s.saturating_mul(CHECK_INS * LATE_PERCENT) / 100;
    let (ready, behind) = (standing.ready, standing.behind);
    rotation::too_early(loss, &rotation::Standing { ready, behind, names: &names(standing), wait_s })
}

fn names(standing: &Standing) -> Vec<String> {
    standing.behind_first.iter().map(|(agent, _)| agent.name.clone()).collect()
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
    let standing = standing(app, &roots).await?;
    let phase = roots.state().phase();
    let refused = match phase.following() == step {
        false => Some(pki::Error::Order(phase).to_string()),
        true if force => None,
        true => too_early(app, step, &standing),
    };
    if let Some(why) = refused {
        // Done before under the same key it is no refusal: that the rules know.
        act(app, principal, Act::RotateCa { told: Err(why) }, once).await?;
        return Ok(StatusCode::NO_CONTENT);
    }
    let authority = app.authority.clone();
    let written = tokio::task::spawn_blocking(move || authority.write(step, clock::now())).await;
    let next = match written {
        Ok(Ok(next)) => next,
        Ok(Err(error)) => return Err(failed(&error.to_string())),
        Err(error) => return Err(failed(&error.to_string())),
    };
    let told = Ok(Box::new(event(step, &next, &standing)));
    if let Err(error) = act(app, principal, Act::RotateCa { told }, once).await {
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

fn event(step: Step, roots: &Roots, standing: &Standing) -> Event {
    let prints = |pair: &Pair| (pair.server.fingerprint(), pair.agents.fingerprint());
    let revision = roots.state().revision;
    let (locked_out, names) = (standing.behind, names(standing));
    let (server, agents) = match (step, roots.other()) {
        (Step::Prepare, Some(next)) => prints(next),
        _ => prints(roots.present()),
    };
    match step {
        Step::Prepare => Event::CaPrepared { revision, server, agents },
        Step::Activate => Event::CaActivated { revision, server, agents, locked_out, names },
        Step::Retire => Event::CaRetired { revision, server, agents, locked_out, names },
    }
}

/// Tells the last step where the journal does not: the power was cut in between, or the register is older than it.
pub async fn catch_up(app: &App) {
    let roots = app.authority.roots();
    let (state, told) = (roots.state(), last_told(app).await);
    if state.revision == 0 || told == Ok(Some(state.revision)) {
        return;
    }
    let step = match state.phase() {
        Phase::Settled => Step::Retire,
        Phase::Prepared => Step::Prepare,
        Phase::Activated => Step::Activate,
    };
    let told = Ok(Box::new(event(step, &roots, &Standing::default())));
    let work = Work::Act { actor: Actor::Rule("restart"), act: Act::RotateCa { told } };
    if let Err(error) = app.store.submit(work).await {
        tracing::warn!(%error, "the journal could not be told where the roots stand; the next start tries again");
    }
}

/// The revision of the last step that the journal tells.
async fn last_told(app: &App) -> Result<Option<u16>, crate::store::engine::Error> {
    let kinds = ["ca_prepared", "ca_activated", "ca_retired"].map(str::to_owned).to_vec();
    let filter = EventFilter { kinds, newest_first: true, ..EventFilter::default() };
    let entries = app.store.read(move |engine| events::list(engine, &filter, 1)).await?;
    Ok(entries.into_iter().next().and_then(|entry| match entry.event {
        Told::Known(event) => match *event {
            Event::CaPrepared { revision, .. }
            | Event::CaActivated { revision, .. }
            | Event::CaRetired { revision, .. } => Some(revision),
            _ => None,
        },
        Told::Other(_) => None,
    }))
}
