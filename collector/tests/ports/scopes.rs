//! What a token may do where that depends on what is asked for, and what it is not shown.

use crate::house::{House, first_report};
use collector::desk::model::{End, Kind, Rel};
use collector::work::{Act, NewTicket};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Asks with a token of these scopes.
async fn ask(house: &House, scopes: &[&str], method: Method, path: &str, body: &Value) -> Response {
    let token = house.api_token(scopes).await;
    let request = house.stranger().request(method, house.web(path)).bearer_auth(token).json(body);
    request.send().await.expect("an answer")
}

async fn read(house: &House, scopes: &[&str], path: &str) -> Value {
    ask(house, scopes, Method::GET, path, &Value::Null).await.json().await.expect("JSON")
}

/// A machine in the register: its id.
async fn asset(house: &House) -> String {
    let agent = house.agent().await;
    assert_eq!(agent.check_in(house, &first_report()).await.status(), 200);
    let list = read(house, &["assets:read"], "/v1/assets").await;
    list["items"][0]["id"].as_str().expect("an id").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_write_an_asset_is_not_shown_it() {
    let house = House::open("").await;
    let path = format!("/v1/assets/{}", asset(&house).await);
    let blind = ask(&house, &["assets:write"], Method::PATCH, &path, &json!({"owner": "ann"})).await;
    assert_eq!((blind.status().as_u16(), blind.headers()["etag"].as_bytes()), (204, &b"\"2\""[..]));
    assert_eq!(blind.bytes().await.expect("a body").len(), 0);
    let both = ["assets:write", "assets:read"];
    let seen = ask(&house, &both, Method::PATCH, &path, &json!({"owner": "bob"})).await;
    assert_eq!(
        (seen.status().as_u16(), seen.json::<Value>().await.expect("JSON")["owner"].as_str()),
        (200, Some("bob"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_only_write_a_ticket_is_not_shown_it() {
    let house = House::open("").await;
    let new = json!({"kind": "incident", "title": "t", "description": "for few eyes"});
    let opened: Value =
        ask(&house, &["tickets:write"], Method::POST, "/v1/tickets", &new).await.json().await.expect("JSON");
    let path = format!("/v1/tickets/{}", opened["id"].as_str().expect("an id"));
    let moves = (format!("{path}/moves"), json!({"to": "assigned", "fields": {"assignee": "kim"}}));
    for (method, path, body) in [(Method::PATCH, &path, &json!({})), (Method::POST, &moves.0, &moves.1)] {
        let blind = ask(&house, &["tickets:write"], method.clone(), path, body).await;
        assert_eq!(blind.status(), 204, "{method} {path}");
        assert!(blind.headers().contains_key("etag"));
        assert_eq!(blind.bytes().await.expect("a body").len(), 0);
    }
    let seen = ask(&house, &["tickets:write", "tickets:read"], Method::PATCH, &path, &json!({})).await;
    assert_eq!(seen.json::<Value>().await.expect("JSON")["description"], "for few eyes");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_timeline_of_an_asset_tells_of_tickets_only_to_those_who_may_read_them() {
    let house = House::open("").await;
    let id = asset(&house).await;
    let ticket = NewTicket {
        kind: Kind::Incident,
        title: "t".into(),
        description: String::new(),
        impact: None,
        urgency: None,
        assignee: Some("kim".into()),
        requester: None,
        fields: BTreeMap::new(),
        assets: vec![id.parse().expect("an id")],
    };
    house.act(Act::OpenTicket(Box::new(ticket))).await;
    let list = read(&house, &["tickets:read"], "/v1/tickets").await;
    let ticket = list["items"][0]["id"].as_str().expect("an id").parse().expect("an id");
    let (to, reason) = ("assigned".to_owned(), "a secret".to_owned());
    house.act(Act::MoveTicket { ticket, rev: None, to, reason, fields: BTreeMap::new() }).await;
    let path = format!("/v1/assets/{id}/timeline");
    let moved = async |scopes: &[&str]| {
        let page = read(&house, scopes, &path).await;
        let entries = page["items"].as_array().expect("a list").clone();
        entries.into_iter().find(|entry| entry["event"]["kind"] == "ticket_moved").expect("told")
    };
    let told = moved(&["assets:read", "tickets:read"]).await;
    assert_eq!(
        (&told["event"]["reason"], &told["text"]),
        (&json!("a secret"), &json!("INC-1: new → assigned: a secret"))
    );
    let told = moved(&["assets:read"]).await;
    assert_eq!(told["event"], json!({"kind": "ticket_moved", "key": "INC-1"}));
    assert_eq!(told["text"], "INC-1: new → assigned");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_of_assets_alone_are_written_by_those_who_may_write_assets() {
    let house = House::open("").await;
    let id = asset(&house).await;
    let new = json!({"from": format!("asset:{id}"), "rel": "tracked_by", "to": "jira:OPS-1"});
    let (desk, both) = (["tickets:write"], ["tickets:write", "assets:write"]);
    assert_eq!(ask(&house, &desk, Method::POST, "/v1/links", &new).await.status(), 403);
    let link = ask(&house, &both, Method::POST, "/v1/links", &new).await;
    assert_eq!(link.status(), 201);
    let link: Value = link.json().await.expect("JSON");
    let path = format!("/v1/links/{}", link["id"].as_str().expect("an id"));
    assert_eq!(ask(&house, &desk, Method::DELETE, &path, &Value::Null).await.status(), 403);
    assert_eq!(ask(&house, &both, Method::DELETE, &path, &Value::Null).await.status(), 204);
    assert_eq!(ask(&house, &both, Method::DELETE, &path, &Value::Null).await.status(), 404);
    // With a ticket at one end it is the desk's.
    let ticket = End::Ticket(Uuid::nil().to_string().parse().expect("an id"));
    let new = json!({"from": ticket.to_string(), "rel": Rel::Affects.name(), "to": format!("asset:{id}")});
    assert_eq!(ask(&house, &desk, Method::POST, "/v1/links", &new).await.status(), 404, "asked for, and not there");
}

#[tokio::test(flavor = "multi_thread")]
async fn to_enroll_anew_is_to_revoke() {
    let house = House::open("").await;
    let path = format!("/v1/agents/{}/resolve", house.agent().await.id);
    let decide = async |scopes: &[&str], how: &str| {
        let body = json!({"how": how, "reason": "so it is"});
        ask(&house, scopes, Method::POST, &path, &body).await.status().as_u16()
    };
    // 409: it may be asked for, but the agent is not quarantined.
    assert_eq!(decide(&["agents:approve"], "keep").await, 409);
    assert_eq!(decide(&["agents:approve"], "reenroll").await, 403);
    assert_eq!(decide(&["agents:approve", "agents:revoke"], "reenroll").await, 409);
}
