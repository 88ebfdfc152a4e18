//! One row for each route: the scope that it wants, a body that is right, and what that is answered with.
//!
//! `<name>` stands for what the desk remembers under that name. Rows are done in this order, on one desk.

/// A route and a good use of it.
pub struct Row {
    pub method: &'static str,
    pub path: &'static str,
    /// Empty where nobody is asked who they are.
    pub scope: &'static str,
    /// What stands for `{id}`.
    pub id: &'static str,
    /// A body that is right; empty where there is none.
    pub body: &'static str,
    /// What it is answered with.
    pub status: u16,
}

const fn get(path: &'static str, scope: &'static str, id: &'static str) -> Row {
    Row { method: "GET", path, scope, id, body: "", status: 200 }
}

const fn delete(path: &'static str, scope: &'static str, id: &'static str) -> Row {
    Row { method: "DELETE", path, scope, id, body: "", status: 204 }
}

const fn patch(path: &'static str, scope: &'static str, id: &'static str, body: &'static str) -> Row {
    Row { method: "PATCH", path, scope, id, body, status: 200 }
}

const fn post(path: &'static str, scope: &'static str, id: &'static str, body: &'static str, status: u16) -> Row {
    Row { method: "POST", path, scope, id, body, status }
}

/// Every route of the web port and the admin socket.
pub const TABLE: &[Row] = &[
    get("/healthz", "", ""),
    get("/v1/openapi.json", "", ""),
    get("/v1/assets", "assets:read", ""),
    get("/v1/assets/{id}", "assets:read", "<asset>"),
    patch("/v1/assets/{id}", "assets:write", "<asset>", r#"{"owner": "ann", "criticality": 2}"#),
    get("/v1/assets/{id}/items", "assets:read", "<asset>"),
    get("/v1/assets/{id}/software", "assets:read", "<asset>"),
    get("/v1/assets/{id}/identity", "assets:read", "<asset>"),
    get("/v1/assets/{id}/timeline", "assets:read", "<asset>"),
    get("/v1/software", "software:read", ""),
    get("/v1/agents", "agents:read", ""),
    get("/v1/agents/{id}", "agents:read", "<waiting>"),
    post("/v1/agents/{id}/approve", "agents:approve", "<waiting>", r#"{"fingerprint": "<fingerprint>"}"#, 204),
    post("/v1/agents/{id}/resolve", "agents:approve", "<doubted>", r#"{"how": "keep", "reason": "seen it"}"#, 204),
    post("/v1/agents/{id}/revoke", "agents:revoke", "<stolen>", r#"{"reason": "stolen"}"#, 204),
    get("/v1/join-tokens", "agents:enroll", ""),
    post("/v1/join-tokens", "agents:enroll", "", r#"{"uses": 2, "ttl_s": 60, "labels": {"site": "Berne"}}"#, 201),
    delete("/v1/join-tokens/{id}", "agents:enroll", "<join>"),
    get("/v1/tickets", "tickets:read", ""),
    post(
        "/v1/tickets",
        "tickets:write",
        "",
        r#"{"kind": "incident", "title": "No network", "impact": 2, "urgency": 1, "assets": ["<asset>"]}"#,
        201,
    ),
    get("/v1/tickets/{id}", "tickets:read", "<ticket>"),
    patch("/v1/tickets/{id}", "tickets:write", "<ticket>", r#"{"assignee": "bob"}"#),
    post(
        "/v1/tickets/{id}/moves",
        "tickets:write",
        "<ticket>",
        r#"{"to": "assigned", "fields": {"assignee": "bob"}}"#,
        200,
    ),
    post("/v1/tickets/{id}/comments", "tickets:write", "<ticket>", r#"{"text": "I look at it"}"#, 201),
    get("/v1/tickets/{id}/comments", "tickets:read", "<ticket>"),
    get("/v1/tickets/{id}/timeline", "tickets:read", "<ticket>"),
    get("/v1/links", "tickets:read", ""),
    post(
        "/v1/links",
        "tickets:write",
        "",
        r#"{"from": "ticket:<ticket>", "rel": "affects", "to": "asset:<asset>"}"#,
        201,
    ),
    delete("/v1/links/{id}", "tickets:write", "<link>"),
    get("/v1/events", "audit:read", ""),
    get("/v1/tokens", "users:admin", ""),
    post("/v1/tokens", "users:admin", "", r#"{"name": "a child", "scopes": ["users:admin"], "ttl_s": 60}"#, 201),
    delete("/v1/tokens/{id}", "users:admin", "<token>"),
    post(
        "/v1/enroll",
        "",
        "",
        r#"{"token": "<join-secret>", "csr": "<csr>", "name": "host-8", "version": "0.1.0"}"#,
        201,
    ),
    // It proves to have its key, and its certificate is still good: there is nothing to recover.
    post("/v1/recover", "", "", "<recovery>", 409),
    // Last: what agents were given before is worth nothing afterwards.
    get("/v1/ca", "ca:admin", ""),
    post("/v1/ca/prepare", "ca:admin", "", "{}", 204),
    post("/v1/ca/activate", "ca:admin", "", r#"{"force": true}"#, 204),
    post("/v1/ca/retire", "ca:admin", "", r#"{"force": true}"#, 204),
    // Nothing is prepared any more.
    post("/v1/ca/abandon", "ca:admin", "", "{}", 409),
];

impl Row {
    /// What it is called in messages and in `answers.json`.
    pub fn route(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// The scopes with which what is written is shown as well: who changes a thing is shown it only if he may
    /// read it.
    pub fn seeing(&'static self) -> &'static [&'static str] {
        match self.scope {
            "assets:write" => &["assets:write", "assets:read"],
            "tickets:write" => &["tickets:write", "tickets:read"],
            _ => std::slice::from_ref(&self.scope),
        }
    }

    /// The path about what `id` stands for.
    pub fn about(&self, id: &str) -> String {
        self.path.replace("{id}", id)
    }
}
