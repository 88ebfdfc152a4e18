//! What is out of bounds is refused with the bounds; what is promised of revisions, links, the feed and tokens.

use crate::desk::{Answer, Ask, Desk};
use crate::table::TABLE;
use collector::api::{self, openapi};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Routes of lists, with what stands for their `{id}`.
fn lists() -> Vec<(&'static str, &'static str)> {
    let (_, document) = openapi::assemble(api::ROUTES);
    let has_limit = |path: &str| {
        let params = document["paths"][path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        params.iter().any(|param| param["name"] == "limit")
    };
    TABLE.iter().filter(|row| row.method == "GET" && has_limit(row.path)).map(|row| (row.path, row.id)).collect()
}

#[tokio::test]
async fn a_page_has_1_to_500_rows() {
    let desk = Desk::open().await;
    assert_eq!(lists().len(), 13, "a new list is tried here by its row");
    for (path, id) in lists() {
        let path = desk.fill(&path.replace("{id}", id));
        for (limit, expected) in
            [("1", 200), ("500", 200), ("0", 400), ("501", 400), ("-1", 400), ("x", 400), ("", 400)]
        {
            let answer = desk.local("GET", &format!("{path}?limit={limit}"), "").await;
            assert_eq!(answer.status, expected, "{path} {limit}: {}", answer.body);
            if expected == 400 {
                assert_eq!(answer.problem().1, Some("limit"));
                assert_eq!(answer.body["detail"], "limit: must be a whole number from 1 to 500");
            } else {
                assert!(answer.body["items"].as_array().expect("items").len() <= limit.parse().expect("a number"));
            }
        }
        let twice = desk.local("GET", &format!("{path}?limit=1&limit=2"), "").await;
        assert_eq!(twice.problem(), (400, Some("limit")), "{path}");
        let cursor = desk.local("GET", &format!("{path}?cursor=%3Cnone%3E"), "").await;
        assert_eq!(cursor.problem(), (400, Some("cursor")), "{path}");
    }
}

#[tokio::test]
async fn a_value_that_is_out_of_bounds_is_named_with_its_bounds() {
    let desk = Desk::open().await;
    let name = |answer: &Answer| {
        let (status, field) = answer.problem();
        (status, field.expect("a field").to_owned(), answer.body["detail"].as_str().expect("text").to_owned())
    };
    for (path, field, detail) in [
        ("/v1/events?wait_s=16", "wait_s", "wait_s: must be a whole number from 0 to 15"),
        ("/v1/tickets?priority=6", "priority", "priority: must be a whole number from 1 to 5"),
        ("/v1/assets?sort=hash", "sort", "id or name"),
        ("/v1/assets?presence=here", "presence", "one of online, off, silent, stale, missing, never"),
        ("/v1/links?rel=likes", "rel", "one of "),
        ("/v1/assets?class=toaster", "class", "one of computer, laptop, desktop, server, vm, container"),
        ("/v1/assets?address=here", "address", "write an IP address"),
        ("/v1/tickets?state=happy", "state", "one of "),
        ("/v1/tickets?open=true&state=resolved", "state", "not an open one"),
        ("/v1/agents?state=happy", "state", "one of pending, active, quarantined, superseded, revoked"),
    ] {
        let (status, named, told) = name(&desk.local("GET", path, "").await);
        assert_eq!((status, named.as_str()), (400, field), "{path}: {told}");
        assert!(told.starts_with(detail), "{path}: {told}");
    }
    let token = |more: Value| {
        let mut body = json!({"name": "a tool", "scopes": ["assets:read"]});
        body.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        body
    };
    for (path, body, field, detail) in [
        ("/v1/tokens", token(json!({"ttl_s": 0})), "ttl_s", "ttl_s: 1 to 31622400 seconds (366 days)"),
        ("/v1/tokens", token(json!({"ttl_s": 31_622_401})), "ttl_s", "ttl_s: 1 to 31622400 seconds (366 days)"),
        ("/v1/tokens", token(json!({"scopes": []})), "scopes", "scopes: at least one, such as assets:read"),
        (
            "/v1/tokens",
            token(json!({"scopes": ["assets:read", "assets:read"]})),
            "scopes",
            "scopes: assets:read stands there twice; name each scope once",
        ),
        ("/v1/join-tokens", json!({"ttl_s": 0}), "ttl_s", "ttl_s: 1 to 2592000 seconds (30 days)"),
        ("/v1/join-tokens", json!({"uses": 0}), "uses", "uses: 1 to 100000"),
    ] {
        let told = name(&desk.local("POST", path, &body.to_string()).await);
        assert_eq!(told, (422, field.to_owned(), detail.to_owned()), "{path} {body}");
    }
    assert_eq!(desk.local("POST", "/v1/tokens", &token(json!({"ttl_s": 1})).to_string()).await.status, 201);
}

#[tokio::test]
async fn the_feed_says_how_far_it_goes() {
    let desk = Desk::open().await;
    let head = desk.head();
    assert!(head > 3);
    let ask = |query: &str| format!("/v1/events?{query}");
    let first = desk.local("GET", &ask("limit=1"), "").await;
    assert_eq!((&first.body["items"][0]["seq"], &first.body["head"]), (&json!(1), &json!(head)));
    // Also where nothing is told: of a kind that did not happen, and to whoever has heard all.
    for query in ["kind=fault_raised".to_owned(), format!("after={head}")] {
        let answer = desk.local("GET", &ask(&query), "").await;
        assert_eq!((&answer.body["items"], &answer.body["head"]), (&json!([]), &json!(head)), "{query}");
    }
    // Whoever waits hears the new head with the event.
    let path = ask(&format!("after={head}&wait_s=15"));
    let body = json!({"kind": "request", "title": "A laptop"}).to_string();
    let (told, _) = tokio::join!(desk.local("GET", &path, ""), desk.local("POST", "/v1/tickets", &body));
    assert_eq!((&told.body["items"][0]["seq"], &told.body["head"]), (&json!(head + 1), &json!(head + 1)));
}

#[tokio::test]
async fn who_waits_for_events_is_answered_when_the_collector_stops() {
    let mut desk = Desk::open().await;
    let (mut stopper, stop) = collector::stop::pair();
    desk.stop = Some(stop);
    let (path, start) = (format!("/v1/events?after={}&wait_s=15", desk.head()), Instant::now());
    let (told, ()) = tokio::join!(
        async {
            let told = desk.local("GET", &path, "").await;
            // Else the stop would wait for this test.
            desk.stop = None;
            told
        },
        stopper.stop()
    );
    assert!(start.elapsed() < Duration::from_secs(10), "answered after {:?}", start.elapsed());
    assert_eq!((told.status, &told.body["items"], &told.body["head"]), (200, &json!([]), &json!(desk.head())));
}

#[tokio::test]
async fn a_link_that_is_there_is_no_new_one() {
    let desk = Desk::open().await;
    let link =
        |from: &str, to: &str| json!({"from": desk.fill(from), "rel": "relates", "to": desk.fill(to)}).to_string();
    let first = desk.local("POST", "/v1/links", &link("ticket:<ticket>", "ticket:<change>")).await;
    let head = desk.head();
    let again = desk.local("POST", "/v1/links", &link("ticket:<ticket>", "ticket:<change>")).await;
    let turned = desk.local("POST", "/v1/links", &link("ticket:<change>", "ticket:<ticket>")).await;
    assert_eq!((first.status, again.status, turned.status), (201, 200, 200));
    assert_eq!([&again.body, &turned.body], [&first.body; 2]);
    assert_eq!(desk.head(), head);
}

#[tokio::test]
async fn a_stale_revision_is_refused_and_a_missing_one_is_not() {
    let desk = Desk::open().await;
    for (method, read, path, body) in [
        ("PATCH", "/v1/assets/<asset>", "/v1/assets/<asset>", [r#"{"owner": "ann"}"#, r#"{"owner": "bob"}"#]),
        ("PATCH", "/v1/tickets/<change>", "/v1/tickets/<change>", [r#"{"title": "one"}"#, r#"{"title": "two"}"#]),
        (
            "POST",
            "/v1/tickets/<ticket>",
            "/v1/tickets/<ticket>/moves",
            [r#"{"to": "assigned", "fields": {"assignee": "ann"}}"#, r#"{"to": "in_progress"}"#],
        ),
    ] {
        let (read, path) = (desk.fill(read), desk.fill(path));
        let change = |body: &str, rev: Option<&str>| {
            let ask = Ask::new(method, &path).body(body).local();
            rev.iter().fold(ask, |ask, rev| ask.header("if-match", *rev))
        };
        let before = desk.local("GET", &read, "").await.header("etag").expect("an ETag").to_owned();
        for odd in ["7", "W/\"1\"", "\"x\"", "\"1\", \"2\"", "\"-1\""] {
            assert_eq!(desk.ask(change(body[0], Some(odd))).await.problem(), (400, Some("If-Match")), "{odd}");
        }
        let head = desk.head();
        assert_eq!(desk.ask(change(body[0], Some("\"99\""))).await.problem(), (412, None), "{path}");
        assert_eq!(desk.head(), head);
        let changed = desk.ask(change(body[0], Some(&before))).await;
        assert_eq!(changed.status, 200, "{path}: {}", changed.body);
        let after = changed.header("etag").expect("an ETag").to_owned();
        assert_ne!(after, before);
        assert_eq!(desk.local("GET", &read, "").await.header("etag"), Some(after.as_str()));
        // Somebody who still holds the old one is told, whoever holds none is let through.
        let stale = desk.ask(change(body[1], Some(&before))).await;
        assert_eq!(stale.problem().0, 412);
        assert!(stale.body["detail"].as_str().is_some_and(|why| why.contains("read it again")), "{}", stale.body);
        let free = desk.ask(change(body[1], None)).await;
        assert_eq!(free.status, 200, "{path}: {}", free.body);
    }
}

#[tokio::test]
async fn a_token_makes_no_broader_token() {
    let desk = Desk::open().await;
    let scopes = json!(["users:admin", "assets:read"]);
    let parent = json!({"name": "parent", "scopes": scopes, "ttl_s": 3600, "cidr": "10.0.0.0/8"});
    let parent = desk.local("POST", "/v1/tokens", &parent.to_string()).await;
    let token = parent.body["token"].as_str().expect("a token").to_owned();
    let mint = |body: Value| Ask::new("POST", "/v1/tokens").body(body.to_string()).token(&token);
    let head = desk.head();
    for (body, field) in [
        (json!({"name": "x", "scopes": ["assets:read", "assets:write"], "cidr": "10.0.0.0/8"}), "scopes"),
        (json!({"name": "x", "scopes": ["assets:read"]}), "cidr"),
        (json!({"name": "x", "scopes": ["assets:read"], "cidr": "0.0.0.0/0"}), "cidr"),
        (json!({"name": "x", "scopes": ["assets:read"], "cidr": "10.0.0.0/7"}), "cidr"),
        (json!({"name": "x", "scopes": ["assets:read"], "cidr": "::/0"}), "cidr"),
        (json!({"name": "x", "scopes": ["assets:read"], "cidr": "10.0.0.0/8", "ttl_s": 7200}), "ttl_s"),
    ] {
        let answer = desk.ask(mint(body.clone())).await;
        assert_eq!(answer.problem(), (403, Some(field)), "{body}: {}", answer.body);
    }
    assert_eq!(desk.head(), head);
    let child = desk.ask(mint(json!({"name": "x", "scopes": ["users:admin"], "cidr": "10.0.0.0/9"}))).await;
    assert_eq!(child.status, 201, "{}", child.body);
    // Where no life is said, it ends with the one that it was made with.
    assert_eq!(child.body["expires"], parent.body["expires"]);
    assert_eq!(child.body["cidr"], "10.0.0.0/9");
    // Nor does a child of the child get back what that one lacks.
    let token = child.body["token"].as_str().expect("a token");
    let grandchild = json!({"name": "y", "scopes": ["assets:read"], "cidr": "10.0.0.0/9"}).to_string();
    let answer = desk.ask(Ask::new("POST", "/v1/tokens").body(grandchild).token(token)).await;
    assert_eq!(answer.problem(), (403, Some("scopes")));
    // The admin socket has everything to give.
    let all = json!({"name": "z", "scopes": ["agents:revoke"], "cidr": "0.0.0.0/0", "ttl_s": 31_622_400}).to_string();
    assert_eq!(desk.local("POST", "/v1/tokens", &all).await.status, 201);
}
