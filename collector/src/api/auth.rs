//! Who asks, and whether they may. Default deny.
//!
//! The scope that a route wants stands in its `#[utoipa::path(security(("token" = ["assets:read"])))]` and
//! nowhere else: the guard reads it from the generated document, so document and enforcement cannot differ,
//! and a route that names none is refused. `security(())` makes a route public. Knows: peers, tokens, scopes.
//! Does not know: what a route does.

use super::listen::Peer;
use super::{ApiError, App};
use crate::clock;
use crate::event::Actor;
use crate::secret::{self, Prefix};
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;
use shared::id::ApiTokenId;
use shared::unit::At;
use std::collections::{BTreeSet, HashMap};

macro_rules! scopes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)+) => {
        /// What a token may do.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Scope { $($(#[$doc])* $variant,)+ }

        impl Scope {
            /// All of them.
            pub const ALL: &[Scope] = &[$(Scope::$variant,)+];

            /// Its text, in tokens and in the API's document.
            pub fn name(self) -> &'static str {
                match self { $(Scope::$variant => $text,)+ }
            }

            /// The scope of that text.
            pub fn of(text: &str) -> Option<Scope> {
                match text { $($text => Some(Scope::$variant),)+ _ => None }
            }
        }
    };
}

scopes! {
    /// Reads assets, their items, identity and timeline.
    AssetsRead = "assets:read",
    /// Changes declared columns of assets.
    AssetsWrite = "assets:write",
    /// Reads software.
    SoftwareRead = "software:read",
    /// Reads agents.
    AgentsRead = "agents:read",
    /// Makes and ends join tokens.
    AgentsEnroll = "agents:enroll",
    /// Lets agents in and decides on quarantined ones.
    AgentsApprove = "agents:approve",
    /// Revokes agents.
    AgentsRevoke = "agents:revoke",
    /// Reads tickets and links.
    TicketsRead = "tickets:read",
    /// Opens, changes, moves and links tickets.
    TicketsWrite = "tickets:write",
    /// Reads the event feed.
    AuditRead = "audit:read",
    /// Makes and ends API tokens.
    UsersAdmin = "users:admin",
    /// Rotates the certificate authority.
    CaAdmin = "ca:admin",
}

/// Who asks: known to be who they are, with what they may do. Handlers take it as an argument for the actor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    /// Who, as the journal will name them.
    pub actor: Actor,
    /// What they may do.
    pub scopes: BTreeSet<Scope>,
    /// When their right to it ends, if it does.
    pub until: Option<At>,
}

impl Principal {
    /// An admin on the collector's own host, known by the kernel: may do everything.
    pub fn local(uid: u32) -> Principal {
        Principal { actor: Actor::Local(uid), scopes: Scope::ALL.iter().copied().collect(), until: None }
    }

    /// Whether they may do this.
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// For what a route wants beyond its rule, where that depends on what is asked for.
    ///
    /// # Errors
    /// 403: they may not do this.
    pub fn must(&self, scope: Scope) -> Result<(), ApiError> {
        if self.may(scope) { Ok(()) } else { Err(forbidden(format!("this needs the scope {}", scope.name()))) }
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Principal, ApiError> {
        parts.extensions.get::<Principal>().cloned().ok_or_else(unknown)
    }
}

/// What a route wants of its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rule {
    /// Nothing.
    Public,
    /// The certificate of an agent, which is another port's business.
    Agent,
    /// All of these scopes.
    Scopes(Vec<Scope>),
}

/// The rule of every route, by method and path template, and whether it takes parameters in the query.
#[derive(Debug, Default)]
pub struct Rules(HashMap<(Method, String), (Rule, bool)>);

impl Rules {
    /// Reads the rules from the API's document. A route without a rule, or with a scope that does not exist,
    /// has no entry here and is refused.
    pub fn of(document: &Value) -> Rules {
        let mut rules = HashMap::new();
        for (path, item) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let Ok(method) = method.to_ascii_uppercase().parse::<Method>() else { continue };
                let params = operation["parameters"].as_array();
                let asks = params.into_iter().flatten().any(|param| param["in"] == "query");
                if let Some(rule) = rule_of(&operation["security"]) {
                    rules.insert((method, path.clone()), (rule, asks));
                }
            }
        }
        Rules(rules)
    }

    /// The rule of this route, and whether it takes parameters in the query.
    pub fn rule(&self, method: &Method, path: &str) -> Option<&(Rule, bool)> {
        let method = if method == Method::HEAD { Method::GET } else { method.clone() };
        self.0.get(&(method, path.to_owned()))
    }
}

fn rule_of(security: &Value) -> Option<Rule> {
    let first = security.as_array()?.first()?.as_object()?;
    if first.is_empty() {
        return Some(Rule::Public);
    }
    if first.contains_key("agent") {
        return Some(Rule::Agent);
    }
    let names = first.get("token")?.as_array()?;
    let scopes: Option<Vec<Scope>> = names.iter().map(|name| Scope::of(name.as_str()?)).collect();
    scopes.filter(|scopes| !scopes.is_empty()).map(Rule::Scopes)
}

/// The layer around every route of the web port and the admin socket.
pub async fn guard(State(app): State<App>, mut request: Request, next: Next) -> Result<Response, ApiError> {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let Some((rule, asks)) = app.rules.rule(request.method(), &path).cloned() else {
        tracing::error!(%path, method = %request.method(), "a route without a rule was refused");
        return Err(forbidden("nobody may call this route"));
    };
    let wanted = match rule {
        Rule::Public => None,
        Rule::Agent => return Err(ApiError::not_found("this path")),
        Rule::Scopes(wanted) => Some(wanted),
    };
    if let Some(wanted) = wanted {
        let principal = identify(&app, request.extensions().get::<Peer>(), request.headers())?;
        wanted.iter().try_for_each(|scope| principal.must(*scope))?;
        request.extensions_mut().insert(principal);
    }
    if !asks {
        no_query(&request)?;
    }
    Ok(next.run(request).await)
}

/// A parameter that a route does not know is a misunderstanding, also where it knows none.
fn no_query(request: &Request) -> Result<(), ApiError> {
    match request.uri().query().filter(|query| !query.is_empty()) {
        Some(query) => {
            let name: String = query.chars().take_while(|c| !matches!(c, '=' | '&')).take(64).collect();
            Err(ApiError::bad(&*name, format!("{name}: unknown parameter; this route takes none in its URL")))
        }
        None => Ok(()),
    }
}

fn identify(app: &App, peer: Option<&Peer>, headers: &HeaderMap) -> Result<Principal, ApiError> {
    match peer {
        Some(Peer::Local { uid }) => Ok(Principal::local(*uid)),
        Some(Peer::Web { address }) => {
            let text = bearer(headers).ok_or_else(unknown)?;
            let shown = secret::parse(Prefix::Api, text).ok_or_else(unknown)?;
            let token = app.keyring.check(&shown, address.ip(), clock::now()).ok_or_else(unknown)?;
            let scopes = token.scopes.iter().filter_map(|name| Scope::of(name)).collect();
            Ok(Principal { actor: Actor::Token(ApiTokenId(shown.id)), scopes, until: Some(token.expires) })
        }
        _ => Err(unknown()),
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

fn unknown() -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, "a valid API token is needed: Authorization: Bearer mst_…")
}

fn forbidden(why: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::FORBIDDEN, why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_route_without_a_right_rule_has_none() {
        let operation = |security: Value| json!({"paths": {"/v1/a": {"get": {"security": security}}}});
        let rule =
            |security: Value| Rules::of(&operation(security)).rule(&Method::GET, "/v1/a").map(|(rule, _)| rule.clone());
        assert_eq!(rule(json!([{"token": ["assets:read"]}])), Some(Rule::Scopes(vec![Scope::AssetsRead])));
        assert_eq!(rule(json!([{}])), Some(Rule::Public));
        assert_eq!(rule(json!([{"token": []}])), None);
        assert_eq!(rule(json!([{"token": ["assets:read", "assets:raed"]}])), None);
        assert_eq!(rule(json!([{"other": ["assets:read"]}])), None);
        assert_eq!(rule(Value::Null), None);
    }

    #[test]
    fn every_scope_survives_its_text() {
        for scope in Scope::ALL {
            assert_eq!(Scope::of(scope.name()), Some(*scope));
        }
    }
}
