//! What every route answers alike to whoever may not, asks wrongly, or asks for what is not there.

use crate::desk::{Answer, Ask, Desk};
use crate::table::{Row, TABLE};
use collector::api::{self, openapi};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One byte more than people and tools may send.
const TOO_LARGE_BYTES: usize = 1024 * 1024 + 1;
/// The id of nothing.
const NOBODY: &str = "01980000-0000-7000-8000-000000000000";

fn operations(document: &Value) -> BTreeSet<(String, String, String)> {
    let mut all = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            let scope = operation["security"][0]["token"][0].as_str().unwrap_or_default();
            all.insert((method.to_uppercase(), path.clone(), scope.to_owned()));
        }
    }
    all
}

/// A route without a row is a route that nobody tried: add one to [`TABLE`].
#[test]
fn every_route_has_one_row_with_its_scope() {
    let (_, document) = openapi::assemble(api::ROUTES);
    let rows: Vec<_> = TABLE.iter().map(|row| (row.method.into(), row.path.into(), row.scope.into())).collect();
    let known: BTreeSet<(String, String, String)> = rows.iter().cloned().collect();
    assert_eq!(known, operations(&document));
    assert_eq!(known.len(), rows.len(), "a route has two rows");
}

fn ask(desk: &Desk, row: &Row, token: &str) -> Ask {
    let ask = Ask::new(row.method, &desk.fill(&row.about(row.id))).body(desk.fill(row.body));
    if row.scope.is_empty() { ask } else { ask.token(token) }
}

fn refused(row: &Row, what: &str, answer: &Answer, expected: (u16, Option<&str>)) {
    assert!(!answer.is_success(), "{}, {what}: {}", row.route(), answer.body);
    assert_eq!(answer.problem(), expected, "{}, {what}: {}", row.route(), answer.body);
}

#[tokio::test]
async fn nobody_passes_without_the_right_token() {
    let desk = Desk::open().await;
    let head = desk.head();
    for row in TABLE.iter().filter(|row| !row.scope.is_empty()) {
        let bare = Ask::new(row.method, &desk.fill(&row.about(row.id))).body(desk.fill(row.body));
        let answer = desk.ask(bare.clone()).await;
        refused(row, "without a token", &answer, (401, None));
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        let made_up = "mst_01980000000070008000000000000000_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_00000000";
        refused(row, "with a made-up token", &desk.ask(bare.clone().token(made_up)).await, (401, None));
        let secret = desk.named("join-secret");
        refused(row, "with a join token", &desk.ask(bare.clone().token(secret)).await, (401, None));
    }
    assert_eq!(desk.head(), head, "nothing happened");
    for row in TABLE.iter().filter(|row| !row.scope.is_empty()) {
        let token = desk.token_without(row.scope).await;
        refused(row, "without the scope", &desk.ask(ask(&desk, row, &token)).await, (403, None));
    }
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_named() {
    let desk = Desk::open().await;
    let all: Vec<&str> = api::auth::Scope::ALL.iter().map(|scope| scope.name()).collect();
    let token = desk.token(&all).await;
    let head = desk.head();
    for row in TABLE {
        let good = ask(&desk, row, &token);
        let mut unknown = good.clone();
        unknown.path += "?colour=red";
        refused(row, "an unknown parameter", &desk.ask(unknown).await, (400, Some("colour")));
        let mut other = good.clone();
        other.method = "PUT".into();
        let answer = desk.ask(other).await;
        refused(row, "another method", &answer, (405, None));
        assert!(answer.header("allow").is_some_and(|allow| allow.contains(row.method)), "{}", row.route());
        if row.path.contains("{id}") {
            for id in [NOBODY, "x", "%00", "..%2f..%2fetc", &"9".repeat(300)] {
                let absent = Ask { path: row.about(id), ..good.clone() };
                refused(row, id, &desk.ask(absent).await, (404, None));
            }
        }
        if !row.body.is_empty() {
            body(&desk, row, &good).await;
        }
    }
    assert_eq!(desk.head(), head, "nothing happened");
}

async fn body(desk: &Desk, row: &Row, good: &Ask) {
    let kind = |kind: Option<&str>| {
        let mut ask = good.clone();
        ask.headers.retain(|(name, _)| *name != "content-type");
        kind.map_or(ask.clone(), |kind| ask.header("content-type", kind))
    };
    for other in [None, Some("text/plain"), Some("application/x-www-form-urlencoded"), Some("application/jsonx")] {
        refused(row, "another kind of body", &desk.ask(kind(other)).await, (415, Some("content-type")));
    }
    let zipped = good.clone().header("content-encoding", "gzip");
    refused(row, "a packed body", &desk.ask(zipped).await, (415, Some("content-encoding")));
    let large = Ask { body: vec![b' '; TOO_LARGE_BYTES], ..good.clone() };
    refused(row, "a large body", &desk.ask(large).await, (413, Some("body_compressed_bytes")));
    for broken in ["{", "[]", "nul", "\"x\"", "{\"a\":1}}"] {
        let answer = desk.ask(Ask { body: broken.into(), ..good.clone() }).await;
        assert_eq!(answer.problem().0, 400, "{}, {broken}: {}", row.route(), answer.body);
    }
    if !row.scope.is_empty() {
        let mut more: Value = serde_json::from_slice(&good.body).expect("JSON");
        more["colour"] = json!("red");
        let answer = desk.ask(Ask { body: more.to_string().into(), ..good.clone() }).await;
        refused(row, "an unknown field", &answer, (400, Some("colour")));
    }
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let desk = Desk::empty().await;
    for path in
        ["/", "/v1", "/v1/", "/v1/asset", "/v1/assets/", "/v2/assets", "/v1/checkin", "/v1/settings", "/console"]
    {
        let answer = desk.local("GET", path, "").await;
        assert_eq!(answer.problem(), (404, None), "{path}");
    }
}
