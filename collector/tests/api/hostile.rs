//! Texts that mean something to a database, a pattern or a terminal are only texts: matched and kept literally.

use crate::desk::Desk;
use crate::fuzz::encoded;
use crate::table::TABLE;
use collector::api::{self, openapi};
use serde_json::{Value, json};

/// Texts, and texts that they would match if anything in them were more than itself.
const LITERALS: &[(&str, &str)] = &[
    ("100%", "100 percent"),
    ("%", "x"),
    ("a_b", "axb"),
    ("_", "x"),
    ("back\\slash", "backslash"),
    ("\\%", "%"),
    ("it's", "its"),
    ("say \"x\"", "say x"),
    ("' or '1'='1", "1"),
    ("x'; drop table asset; --", "x"),
    ("?1", "1"),
    ("$1", "1"),
    ("[a-z]", "m"),
    ("naïve ☃", "naive"),
];

async fn found(desk: &Desk, path: &str, name: &str, text: &str) -> usize {
    let answer = desk.local("GET", &format!("{path}?{name}={}", encoded(text)), "").await;
    assert_eq!(answer.status, 200, "{path} {name}={text}: {}", answer.body);
    answer.body["items"].as_array().expect("items").len()
}

#[tokio::test]
async fn a_filter_finds_the_text_itself_and_nothing_else() {
    let desk = Desk::open().await;
    let asset = desk.fill("/v1/assets/<asset>");
    let ticket = desk.fill("/v1/tickets/<ticket>");
    for (text, decoy) in LITERALS {
        for (held, expected) in [(text, 1), (decoy, 0)] {
            let declared = json!({"owner": held, "location": held, "tag": held});
            assert_eq!(desk.local("PATCH", &asset, &declared.to_string()).await.status, 200);
            for name in ["owner", "location", "tag", "q"] {
                // A decoy that contains the text is found by right: `\%` holds `%`.
                let by_right = usize::from(expected == 1 || (name != "tag" && held.contains(text)));
                assert_eq!(found(&desk, "/v1/assets", name, text).await, by_right, "{name}: {text} in {held}");
            }
            let edit = json!({"title": held, "assignee": held, "requester": held});
            assert_eq!(desk.local("PATCH", &ticket, &edit.to_string()).await.status, 200);
            for name in ["title", "assignee", "requester"] {
                assert_eq!(found(&desk, "/v1/tickets", name, text).await, expected, "{name}: {text} in {held}");
            }
        }
        for (path, name) in [
            ("/v1/assets", "name"),
            ("/v1/assets", "maker"),
            ("/v1/assets", "model"),
            ("/v1/assets", "serial"),
            ("/v1/assets", "os"),
            ("/v1/assets", "os_version"),
            ("/v1/assets", "part_serial"),
            ("/v1/software", "name"),
            ("/v1/software", "manager"),
            ("/v1/agents", "name"),
            ("/v1/events", "subject"),
            ("/v1/events", "actor"),
            ("/v1/events", "kind"),
        ] {
            assert_eq!(found(&desk, path, name, text).await, 0, "{path} {name}={text}");
        }
        // Words of a closed list, and addresses.
        for (path, name) in [
            ("/v1/assets", "class"),
            ("/v1/assets", "lifecycle"),
            ("/v1/assets", "address"),
            ("/v1/tickets", "state"),
            ("/v1/agents", "state"),
        ] {
            let answer = desk.local("GET", &format!("{path}?{name}={}", encoded(text)), "").await;
            assert_eq!(answer.problem(), (400, Some(name)), "{path} {name}={text}");
        }
    }
}

/// Every parameter of every list that takes a text, and what stands for `{id}`.
fn texts() -> Vec<(String, String)> {
    let (_, document) = openapi::assemble(api::ROUTES);
    let mut texts = Vec::new();
    for row in TABLE.iter().filter(|row| row.method == "GET") {
        let params = document["paths"][row.path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        for param in params.iter().filter(|param| param["in"] == "query") {
            let kind = &param["schema"]["type"];
            let is_text = *kind == "string" || kind.as_array().is_some_and(|kinds| kinds.contains(&json!("string")));
            if is_text {
                texts.push((row.about(row.id), param["name"].as_str().expect("a name").to_owned()));
            }
        }
    }
    texts
}

#[tokio::test]
async fn a_long_text_is_looked_for_and_nul_is_refused() {
    let desk = Desk::open().await;
    assert!(texts().len() > 35, "{}", texts().len());
    for (path, name) in texts() {
        let path = desk.fill(&path);
        for c in ["x", "%", "_", "'", "\\", "é"] {
            let long = c.repeat(4096 / c.len());
            let answer = desk.local("GET", &format!("{path}?{name}={}", encoded(&long)), "").await;
            match answer.status {
                200 => assert_eq!(answer.body["items"], json!([]), "{path} {name}: {c}"),
                _ => assert_eq!(answer.problem(), (400, Some(name.as_str())), "{path} {c}"),
            }
        }
        for nul in ["%00", "desk-7%00", "desk%00-7", "%00' or 1=1"] {
            let answer = desk.local("GET", &format!("{path}?{name}={}", nul.replace(' ', "%20")), "").await;
            assert_eq!(answer.problem(), (400, Some(name.as_str())), "{path} {name}={nul}");
        }
        if name != "cursor" {
            let answer = desk.local("GET", &format!("{path}?{name}={}", "x".repeat(4097)), "").await;
            assert_eq!(answer.problem(), (400, Some(name.as_str())), "{path}");
            assert_eq!(answer.body["detail"], format!("{name}: at most 4096 bytes"));
        }
    }
}

/// Each text of a good body, replaced.
fn with_text(body: &Value, text: &str) -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (name, value) in body.as_object().expect("fields") {
        let other = match value {
            Value::String(_) => json!(text),
            Value::Array(_) => json!([text]),
            Value::Object(_) => json!({"site": text}),
            _ => continue,
        };
        let mut changed = body.clone();
        changed[name] = other;
        all.push((name.clone(), changed));
    }
    all
}

#[tokio::test]
async fn a_hostile_text_is_kept_as_it_is_or_refused_by_name() {
    let desk = Desk::open().await;
    let long = "x".repeat(4096);
    let mut kept = 0;
    for row in TABLE.iter().filter(|row| !row.body.is_empty() && !row.scope.is_empty()) {
        let path = desk.fill(&row.about(row.id));
        let good: Value = serde_json::from_str(&desk.fill(row.body)).expect("JSON");
        for text in LITERALS.iter().map(|(text, _)| *text).chain([long.as_str(), "a\u{7}b", "\u{202e}gnp", "<b>&amp;"])
        {
            for (name, body) in with_text(&good, text) {
                let answer = desk.local(row.method, &path, &body.to_string()).await;
                if answer.is_success() {
                    if let Some(held) = answer.body.get(&name).filter(|held| held.is_string()) {
                        assert_eq!(held, text, "{} {name}", row.route());
                        kept += 1;
                    }
                } else {
                    let status = answer.problem().0;
                    assert!(
                        [400, 404, 409, 422].contains(&status),
                        "{} {name}={text:.20}: {}",
                        row.route(),
                        answer.body
                    );
                }
            }
        }
        for (name, body) in with_text(&good, "a\0b") {
            let answer = desk.local(row.method, &path, &body.to_string()).await;
            assert_eq!(answer.problem(), (422, Some("nul")), "{} {name}", row.route());
        }
    }
    assert!(kept > 60, "{kept} texts came back");
}
