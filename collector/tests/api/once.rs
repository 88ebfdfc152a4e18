//! A POST that is repeated with its idempotency key, on every route that takes one.

use crate::desk::{Ask, Desk};
use crate::table::{Row, TABLE};
use serde_json::{Value, json};

fn posts() -> impl Iterator<Item = &'static Row> {
    TABLE.iter().filter(|row| row.method == "POST" && !row.scope.is_empty())
}

fn keyed(desk: &Desk, row: &Row, key: &str) -> Ask {
    Ask::new(row.method, &desk.fill(&row.about(row.id))).body(desk.fill(row.body)).header("idempotency-key", key)
}

#[tokio::test]
async fn every_post_is_done_once() {
    let desk = Desk::open().await;
    let mut tried = 0;
    // A refusal keeps no key.
    for row in posts().filter(|row| row.status < 300) {
        let token = desk.token(row.seeing()).await;
        let ask = keyed(&desk, row, "the key").token(&token);
        let first = desk.ask(ask.clone()).await;
        assert_eq!(first.status, row.status, "{}: {}", row.route(), first.body);
        let head = desk.head();
        let second = desk.ask(ask.clone()).await;
        if ["/v1/tokens", "/v1/join-tokens"].contains(&row.path) {
            let id = first.body["id"].as_str().expect("an id");
            assert_eq!(second.problem().0, 409, "{}", second.body);
            let detail = second.body["detail"].as_str().expect("text");
            assert!(detail.starts_with(&format!("token {id} was made under this key")), "{detail}");
        } else {
            let told = |answer: &crate::desk::Answer| (answer.status, answer.body.clone(), answer.headers.clone());
            assert_eq!(told(&second), told(&first), "{}", row.route());
        }
        let mut other = ask;
        other.body.push(b' ');
        let answer = desk.ask(other).await;
        assert_eq!(answer.problem(), (422, Some("Idempotency-Key")), "{}: {}", row.route(), answer.body);
        assert_eq!(desk.head(), head, "{}: nothing happened", row.route());
        tried += 1;
    }
    assert_eq!(tried, 12, "a new POST is tried here by its row");
}

#[tokio::test]
async fn a_key_is_its_callers_and_outlives_a_restart() {
    let desk = Desk::open().await;
    let body = json!({"kind": "request", "title": "A laptop"}).to_string();
    let ask = |key: &str| Ask::new("POST", "/v1/tickets").body(body.clone()).header("idempotency-key", key);
    let (one, two) = (desk.token(&["tickets:write"]).await, desk.token(&["tickets:write"]).await);
    let first = desk.ask(ask("k").token(&one)).await;
    let theirs = desk.ask(ask("k").token(&two)).await;
    let local = desk.ask(ask("k").local()).await;
    let ids = [&first, &theirs, &local].map(|answer| answer.body["id"].as_str().expect("an id").to_owned());
    assert_eq!(std::collections::BTreeSet::from(ids).len(), 3, "three callers, three tickets");
    // The same key on another path is another request.
    let moved = format!("/v1/tickets/{}/comments", first.body["id"].as_str().expect("an id"));
    let other = Ask::new("POST", &moved).body(r#"{"text": "x"}"#).header("idempotency-key", "k").token(&one);
    assert_eq!(desk.ask(other).await.problem(), (422, Some("Idempotency-Key")));
    let desk = desk.restarted().await;
    for (ask, before) in [(ask("k").token(&one), first), (ask("k").token(&two), theirs), (ask("k").local(), local)] {
        assert_eq!(desk.ask(ask).await, before);
    }
}

#[tokio::test]
async fn what_was_refused_may_be_asked_again_with_its_key() {
    let desk = Desk::open().await;
    let ask = |title: &str| {
        let body = json!({"kind": "request", "title": title}).to_string();
        Ask::new("POST", "/v1/tickets").body(body).header("idempotency-key", "k").local()
    };
    assert_eq!(desk.ask(ask("")).await.problem(), (422, Some("title")));
    assert_eq!(desk.ask(ask("better")).await.status, 201);
}

#[tokio::test]
async fn asked_at_the_same_time_it_is_done_once() {
    let desk = Desk::open().await;
    let body = json!({"kind": "request", "title": "A laptop"}).to_string();
    let ask = Ask::new("POST", "/v1/tickets").body(body).header("idempotency-key", "k").local();
    let head = desk.head();
    let answers = tokio::join!(desk.ask(ask.clone()), desk.ask(ask.clone()), desk.ask(ask.clone()), desk.ask(ask));
    assert_eq!(desk.head(), head + 1);
    assert_eq!([&answers.1, &answers.2, &answers.3], [&answers.0; 3]);
    assert_eq!(answers.0.status, 201);
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let desk = Desk::open().await;
    let body = json!({"kind": "request", "title": "A laptop"}).to_string();
    let ask = |keys: &[&str]| {
        let ask = Ask::new("POST", "/v1/tickets").body(body.clone()).local();
        keys.iter().fold(ask, |ask, key| ask.header("idempotency-key", *key))
    };
    let long = "k".repeat(256);
    for keys in [vec![""], vec![long.as_str()], vec!["é"], vec!["a\tb"], vec!["a", "b"]] {
        assert_eq!(desk.ask(ask(&keys)).await.problem(), (400, Some("Idempotency-Key")), "{keys:?}");
    }
    for key in [&long[1..], "~", "a b\"c'; drop table ticket --"] {
        let first = desk.ask(ask(&[key])).await;
        assert_eq!((first.status, desk.ask(ask(&[key])).await), (201, first.clone()), "{key}");
    }
}

/// The document says so of each, and of nothing else.
#[test]
fn the_document_tells_of_the_key() {
    let (_, document) = collector::api::openapi::assemble(collector::api::ROUTES);
    for row in TABLE {
        let operation = &document["paths"][row.path][row.method.to_lowercase()];
        let params = operation["parameters"].as_array().cloned().unwrap_or_default();
        let key = params.iter().find(|param| param["name"] == "Idempotency-Key");
        let takes = row.method == "POST" && !row.scope.is_empty();
        assert_eq!(key.map(|key| &key["schema"]["maxLength"]), takes.then_some(&Value::from(255)), "{}", row.route());
    }
}
