//! Odd names and values of sorts, filters and cursors: refused, or answered in the documented order. Never 500.

use crate::desk::Desk;
use crate::table::{Row, TABLE};
use collector::api::{self, openapi};
use serde_json::Value;

/// Odd requests.
const TRIES: usize = 500;

/// Every byte as `%xx`, so that it reaches the collector as it is.
pub fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Columns of our tables, expressions, and what other programs take.
const ODD_NAMES: &[&str] = &[
    "hash",
    "rev",
    "api_token.hash",
    "s.name",
    "journal.body",
    "sort[]",
    "sort",
    "order",
    "order_by",
    "Sort",
    "limit",
    "cursor",
    "id",
    "name",
    "filter[name]",
    "name--",
    "name'",
    "",
    " ",
    "cursor;",
    "offset",
    "1",
    "é",
    "__proto__",
];
const ODD_VALUES: &[&str] = &[
    "",
    "id",
    "name",
    "hash",
    "scopes",
    "-name",
    "+id",
    "name desc",
    "name;drop table asset",
    "(select hash from api_token)",
    "1,2",
    "rowid",
    "null",
    "NaN",
    "-1",
    "0",
    "1",
    "18446744073709551616",
    "9223372036854775807",
    "1e9",
    "true",
    "*",
    "**",
    "%",
    "\\",
    "'",
    "\"",
    "W10",
    "WyJhIl0",
    "WyJhIiwiYiJd",
    "WzFd",
    "W251bGxd",
    "W1tdXQ",
    "WyJcdTAwMDAiXQ",
    "eyJhIjoxfQ",
    "asset:",
    "ticket:x",
    "jira:",
    "https://",
    "open",
    "online",
    "9999-12-31T23:59:59Z",
    "-9999d",
    "1000000000d",
    "<3",
    "a<",
    "a=",
    "INC-18446744073709551615",
    "INC-99999999999999999999",
    "\u{feff}",
    "\u{202e}",
    "🦀",
];

/// A sequence that is the same in each run (xorshift, G. Marsaglia 2003).
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % sides as u64).expect("small")
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.throw(list.len())]
    }
}

fn in_order(rows: &[Value], key: &str, newest_first: bool) -> bool {
    let keys: Vec<String> = rows.iter().map(|row| row[key].as_str().unwrap_or_default().to_owned()).collect();
    if newest_first { keys.is_sorted_by(|a, b| a >= b) } else { keys.is_sorted() }
}

#[tokio::test]
async fn an_odd_question_is_refused_or_answered_in_order() {
    let mut desk = Desk::open().await;
    crate::machine::enrolled(&mut desk, "second", false).await;
    crate::machine::reported(&mut desk, "second", "second-asset").await;
    let (_, document) = openapi::assemble(api::ROUTES);
    let mut known: Vec<(&Row, String)> = Vec::new();
    for row in TABLE.iter().filter(|row| row.method == "GET") {
        let params = document["paths"][row.path]["get"]["parameters"].as_array().cloned().unwrap_or_default();
        let params = params.iter().filter(|param| param["in"] == "query");
        known.extend(params.map(|param| (row, param["name"].as_str().expect("a name").to_owned())));
    }
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let (mut answered, mut refused) = (0, 0);
    for _ in 0..TRIES {
        let (row, name) = &known[dice.throw(known.len())];
        let mut pairs = vec![format!("{name}={}", encoded(dice.of(ODD_VALUES)))];
        match dice.throw(8) {
            0 => pairs.push(format!("{}={}", encoded(dice.of(ODD_NAMES)), encoded(dice.of(ODD_VALUES)))),
            1 if row.path == "/v1/assets" && name != "sort" => pairs.push("sort=name".to_owned()),
            _ => {}
        }
        let path = format!("{}?{}", desk.fill(&row.about(row.id)), pairs.join("&"));
        let answer = desk.local("GET", &path, "").await;
        match answer.status {
            200 => {
                answered += 1;
                let rows = answer.body["items"].as_array().cloned().unwrap_or_default();
                let by_name =
                    pairs.iter().any(|pair| pair == "sort=name" || *pair == format!("sort={}", encoded("name")));
                let ordered = match row.path {
                    "/v1/assets" if by_name => in_order(&rows, "name", false),
                    "/v1/assets" | "/v1/agents" => in_order(&rows, "id", false),
                    "/v1/tickets" | "/v1/links" | "/v1/tokens" | "/v1/join-tokens" => in_order(&rows, "id", true),
                    "/v1/software" => in_order(&rows, "name", false),
                    _ => true,
                };
                assert!(ordered, "{path}: {}", answer.body);
            }
            _ => {
                refused += 1;
                let (status, field) = answer.problem();
                assert!(status == 400 && field.is_some(), "{path}: {}", answer.body);
            }
        }
    }
    assert!(answered > 100 && refused > 100, "{answered} answered, {refused} refused");
}
