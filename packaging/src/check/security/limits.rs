//! The limits on a report, each from both sides: exactly at it, and one over. Does not know where they are kept.

use super::house::House;
use super::report::{check_in, evidence};
use super::wire::{Answer, Line};
use super::{Security, Seen};
use agent::deliver::pack;
use anyhow::{Result, ensure};
use shared::checkin::CheckIn;
use shared::evidence::Kind;
use shared::fact::{Item, Value};
use shared::software::Package;

/// Nesting around an attribute's value: body, records, record, sections, section, put, item, attrs.
const OUTER: usize = 8;

/// One limit.
struct Limit {
    what: &'static str,
    /// How the refusal names it.
    name: &'static str,
    at: usize,
    over: usize,
    /// A check-in of that size.
    of: fn(usize) -> CheckIn,
}

/// 41: what is at a limit is taken, what is over it is refused by name.
pub(super) fn exact(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let limits = [
        Limit { what: "depth", name: "json_depth", at: 32, over: 33, of: deep },
        Limit { what: "nodes", name: "json_nodes", at: 200_000, over: 200_001, of: wide },
        Limit { what: "packages", name: "rows", at: 20_000, over: 20_001, of: packages },
        Limit { what: "bytes of a string", name: "text_bytes", at: 4096, over: 4097, of: long },
        Limit { what: "bytes of a string", name: "text_bytes", at: 4096, over: 5120, of: long },
    ];
    let mut seen = Vec::new();
    for limit in limits {
        let at = say(&house, &(limit.of)(limit.at))?;
        let Limit { what, name, .. } = limit;
        ensure!(at.status == 200, "{} {what} are answered {}: {}", limit.at, at.status, at.text());
        ensure!(at.json()["want"].as_array().is_none_or(Vec::is_empty), "{} {what}: {}", limit.at, at.text());
        let over = say(&house, &(limit.of)(limit.over))?;
        ensure!(
            matches!(over.status, 413 | 422),
            "{} {what} are answered {}: {}",
            limit.over,
            over.status,
            over.text()
        );
        ensure!(over.field().ends_with(name), "{} {what}: the refusal names {:?}", limit.over, over.field());
        seen.push(format!("{what} {}: 200, {}: {} {}", limit.at, limit.over, over.status, over.field()));
    }
    Ok(Seen::Pass(seen.join("; ")))
}

/// A new machine says it.
fn say(house: &House, said: &CheckIn) -> Result<Answer> {
    let member = house.member("m")?;
    let (body, packed) = pack(said);
    let mut fields = vec![("Content-Type", "application/json")];
    if packed {
        fields.push(("Content-Encoding", "zstd"));
    }
    Line::open(house.agents(), &member.tls)?.ask("POST", "/v1/checkin", &fields, &body)
}

fn with(value: Value) -> CheckIn {
    let item = Item::new("thing", "thing").with("value", Some(value));
    check_in("s", 1, vec![evidence(&[(Kind::Hostname, "m")]), ("things", vec![item])])
}

fn deep(depth: usize) -> CheckIn {
    with((OUTER..depth).fold(Value::Int(1), |inner, _| Value::List(vec![inner])))
}

fn wide(nodes: usize) -> CheckIn {
    let list = |length: usize| {
        // Not all alike, or it would be refused as a bomb.
        let numbers =
            (0..length).map(|n| Value::from(u64::try_from(n).unwrap_or(0).wrapping_mul(2_654_435_761) % 99_991));
        with(Value::List(numbers.collect()))
    };
    let around = serde_json::to_value(list(0)).map_or(0, |json| count(&json));
    list(nodes - around)
}

fn count(json: &serde_json::Value) -> usize {
    1 + match json {
        serde_json::Value::Array(list) => list.iter().map(count).sum(),
        serde_json::Value::Object(map) => map.values().map(count).sum(),
        _ => 0,
    }
}

fn packages(number: usize) -> CheckIn {
    let one = |n: usize| -> Item {
        let version = format!("1.{n}");
        let name = format!("package-{n}");
        Package { manager: "dpkg", name: &name, version: &version, ..Package::default() }.into()
    };
    check_in("s", 1, vec![("dpkg", (0..number).map(one).collect()), evidence(&[(Kind::Hostname, "m")])])
}

fn long(bytes: usize) -> CheckIn {
    with(Value::from("x".repeat(bytes)))
}
