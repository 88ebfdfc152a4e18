//! What an agent may say, and until when: claims to be another, a revocation, another machine's identifiers. Does not
//! know how it got its identity.

use super::house::{House, Member};
use super::report::{check_in, evidence};
use super::wire::Line;
use super::{Security, Seen};
use anyhow::{Result, ensure};
use serde_json::{Value, json};
use shared::evidence::Kind;
use shared::hardware::Part;
use std::time::{Duration, Instant};

/// 2: who speaks is known from the certificate; a body that says so is refused, and changes nobody.
pub(super) fn claims(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let (a, b) = (house.member("a")?, house.member("b")?);
    let shown = || house.world.muster(&["agents", "show", &b.id, "--output", "json"]);
    let (before, content) = (shown(), house.content()?);
    let mut line = Line::open(house.agents(), &a.tls)?;
    let mut refused = 0;
    for value in [b.id.as_str(), "../B", "\0"] {
        for in_record in [false, true] {
            let mut said = serde_json::to_value(check_in("a", 1, vec![evidence(&[(Kind::Hostname, "a")])]))?;
            let place = if in_record { &mut said["records"][0] } else { &mut said };
            place["agent_id"] = json!(value);
            let answer = line.post("/v1/checkin", &said)?;
            ensure!(answer.status == 400, "{value:?} was answered {}: {}", answer.status, answer.text());
            refused += 1;
        }
    }
    ensure!(before == shown(), "B's row changed");
    ensure!(content == house.content()?, "the database changed");
    let honest = serde_json::to_value(check_in("a", 1, vec![evidence(&[(Kind::Hostname, "a")])]))?;
    ensure!(line.post("/v1/checkin", &honest)?.status == 200, "the same without agent_id is refused too");
    Ok(Seen::Pass(format!(
        "{refused} of {refused} reports with an agent_id (B's, ../B, NUL; in body and record) are 400, B is unchanged"
    )))
}

/// 12: a revocation bites on the next request, on an open connection and on a resumed session.
pub(super) fn revoked(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let member = house.member("a")?;
    let mut open = Line::open(house.agents(), &member.tls)?;
    ensure!(open.get("/v1/settings")?.status == 200, "A is not let in at first");
    house.world.muster(&["agents", "revoke", &member.id, "--reason", "lost"]);
    let since = Instant::now();
    let kept = open.get("/v1/settings")?;
    let after = since.elapsed();
    ensure!(kept.status == 403, "the open connection is answered {}", kept.status);
    ensure!(after < Duration::from_secs(1), "only after {} ms", after.as_millis());
    let mut again = Line::open(house.agents(), &member.tls)?;
    ensure!(again.resumed(), "the session was not resumed, so nothing was shown");
    let resumed = again.get("/v1/settings")?;
    ensure!(resumed.status == 403, "the resumed session is answered {}", resumed.status);
    Ok(Seen::Pass(format!(
        "after `muster agents revoke`: 403 on the open connection {} ms later, 403 on a resumed TLS session",
        after.as_millis()
    )))
}

/// 47: whoever claims another machine's identifiers takes nothing from it, and is listed once.
pub(super) fn liar(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let (b, a) = (house.member("b")?, house.member("a")?);
    let claims = [
        (Kind::SystemSerial, "Maker|Model|5CG1234XYZ"),
        (Kind::PermanentMac, "3c:ec:ef:00:00:01"),
        (Kind::Hostname, "b"),
    ];
    let machine = || {
        let part = Part { kind: "system".into(), serial: Some("5CG1234XYZ".into()), ..Part::default() };
        vec![evidence(&claims), ("system", vec![part.into()])]
    };
    let tell = |who: &Member, stream| -> Result<()> {
        let said = serde_json::to_value(check_in(stream, 1, machine()))?;
        let answer = Line::open(house.agents(), &who.tls)?.post("/v1/checkin", &said)?;
        ensure!(answer.status == 200, "{stream} is answered {}: {}", answer.status, answer.text());
        Ok(())
    };
    tell(&b, "b")?;
    let asset = house.asset_of(&b.id)?;
    let columns = || -> Result<(Value, Vec<Value>)> {
        let mut shown = house.world.get(&format!("/v1/assets/{asset}"))?;
        for moving in ["last_seen", "presence"] {
            shown[moving] = Value::Null;
        }
        Ok((shown, house.world.rows(&format!("/v1/assets/{asset}/items"))?))
    };
    let before = columns()?;
    tell(&a, "a")?;
    let other = house.asset_of(&a.id)?;
    ensure!(other != asset, "A speaks for B's asset");
    let conflicts = house.events("identity_conflict")?;
    ensure!(conflicts.len() == 1, "{} conflicts are listed", conflicts.len());
    let after = columns()?;
    ensure!(before == after, "B's asset changed from {before:?} to {after:?}");
    Ok(Seen::Pass(
        "A claims B's serial, MAC and hostname: B's asset is unchanged, A got one of its own, 1 conflict is listed"
            .into(),
    ))
}
