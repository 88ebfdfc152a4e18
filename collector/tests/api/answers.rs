//! The good answer of every route, word for word: `answers.json`, which `UPDATE_GOLDEN=1` writes anew.
//!
//! What differs from run to run is replaced: ids by the names that the desk knows them by, times by `<at>`.

use crate::desk::{Answer, Ask, Desk};
use crate::table::TABLE;
use serde_json::{Map, Value, json};

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/answers.json");
/// Later than 2001 in microseconds: no other number of an answer is as large.
const TIME: i64 = 1_000_000_000_000_000;

fn settled(desk: &Desk, value: Value) -> Value {
    match value {
        Value::Array(list) => list.into_iter().map(|value| settled(desk, value)).collect(),
        Value::Object(fields) => {
            fields.into_iter().map(|(name, value)| (name, settled(desk, value))).collect::<Map<_, _>>().into()
        }
        Value::Number(number) if number.as_i64().is_some_and(|number| number >= TIME) => json!("<at>"),
        Value::String(text) => json!(settled_text(desk, &text)),
        other => other,
    }
}

/// Known texts by their names, then what only looks like an id, a hash or a secret.
fn settled_text(desk: &Desk, text: &str) -> String {
    let known = desk.names().fold(text.to_owned(), |text, (name, value)| text.replace(value, &format!("<{name}>")));
    if known.starts_with("-----BEGIN") {
        return "<pem>".into();
    }
    if known.starts_with("mst_") || known.starts_with("mjt_") {
        return "<secret>".into();
    }
    let words = known.split_inclusive([':', ' ', ',']).map(|word| {
        let bare = word.trim_end_matches([':', ' ', ',']);
        let hex = bare.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
        let name = match bare.len() {
            36 if hex => "<id>",
            32 if hex => "<digest>",
            64 if hex => "<hash>",
            _ => return word.to_owned(),
        };
        word.replace(bare, name)
    });
    words.collect()
}

fn shown(desk: &Desk, answer: &Answer) -> Value {
    let mut shown = json!({"status": answer.status, "body": settled(desk, answer.body.clone())});
    if let Some(etag) = answer.header("etag") {
        shown["etag"] = json!(etag);
    }
    shown
}

#[tokio::test]
async fn every_route_answers_as_was_agreed() {
    let desk = Desk::open().await;
    let mut answers = Map::new();
    for row in TABLE {
        let mut ask = Ask::new(row.method, &desk.fill(&row.about(row.id))).body(desk.fill(row.body));
        if !row.scope.is_empty() {
            ask = ask.token(&desk.token(row.seeing()).await);
        }
        let answer = desk.ask(ask).await;
        assert_eq!(answer.status, row.status, "{}: {}", row.route(), answer.body);
        // The document has a golden of its own.
        let answer = match row.path {
            "/v1/openapi.json" => Answer { body: json!(answer.body["openapi"]), ..answer },
            _ => answer,
        };
        answers.insert(row.route(), shown(&desk, &answer));
    }
    let now = serde_json::to_string_pretty(&answers).expect("JSON") + "\n";
    if collector::env::os("UPDATE_GOLDEN").is_some() {
        std::fs::write(PATH, &now).expect("written");
    }
    let agreed = std::fs::read_to_string(PATH).unwrap_or_default();
    let agreed: Value = serde_json::from_str(&agreed).unwrap_or_default();
    for (route, answer) in &answers {
        assert_eq!(agreed[route], *answer, "{route} is not as agreed: run `cargo run -p packaging -- golden`");
    }
    assert_eq!(agreed.as_object().map_or(0, Map::len), answers.len(), "answers of routes that are no more");
}
