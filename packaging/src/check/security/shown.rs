//! Names that would rewrite a terminal, forge a record or read as another name, in everything that shows them. Does
//! not know how they are made harmless.

use super::house::{House, text};
use super::names::{Flaw, HOSTILE, flaw};
use super::report::{check_in, evidence, seal};
use super::server::ill_mannered;
use super::wire::Line;
use super::{Security, Seen};
use agent::key::Key;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use shared::checkin::{CheckIn, Gap, Problem, Why};
use shared::evidence::Kind;
use shared::fact::Item;
use shared::software::Package;
use shared::unit::At;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::binary;

/// Until an agent's log says what it was answered.
const LOG: Duration = Duration::from_secs(30);

/// 26: nothing that is shown holds a control character, and a record is a line.
pub(super) fn names(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    for (number, name) in HOSTILE.iter().enumerate() {
        machine(&house, number, name)?;
    }
    let mut outputs = 0;
    for asset in house.world.rows("/v1/assets")? {
        let id = text(&asset["id"])?;
        outputs += about_one(&house, &id)?;
    }
    for (verb, path) in [
        (&["assets", "list"][..], "/v1/assets"),
        (&["agents", "list"], "/v1/agents"),
        (&["events", "list"], "/v1/events"),
        (&["join", "list"], "/v1/join-tokens"),
        (&["tickets", "list"], "/v1/tickets"),
    ] {
        let rows = house.world.rows(path)?.len();
        ensure!(rows > 0, "nothing to show at {path}");
        for form in ["table", "csv"] {
            let shown = clean(&house, &[verb, &["--output", form]].concat())?;
            ensure!(
                shown.lines().count() == rows + 1,
                "{verb:?} as {form}: {} lines for {rows} rows",
                shown.lines().count()
            );
            outputs += 1;
        }
    }
    let logs = logs(&house)?;
    Ok(Seen::Pass(format!(
        "{} hostile names of {} machines: {outputs} outputs of the CLI (tables and CSV) and {logs} logs hold no control or \
         bidi character but newline; every record is one line",
        HOSTILE.len(),
        HOSTILE.len()
    )))
}

/// A machine that is called so, in all that it tells, and changes a little; and people who call things so.
fn machine(house: &House, number: usize, name: &str) -> Result<()> {
    let key = Key::generate()?;
    let (_, token) = house.join_token(&json!({}))?;
    let answer = house.enroll(&token, &key.request()?, name)?;
    ensure!(answer.status == 201, "enrolling {name:?} is answered {}: {}", answer.status, answer.text());
    let member = house.identity(&answer, &key)?;
    let mut line = Line::open(house.agents(), &member.tls)?;
    for seq in 1..=2 {
        let said = told(&format!("s{number}"), seq, name, number);
        let answer = line.post("/v1/checkin", &serde_json::to_value(said)?)?;
        ensure!(answer.status == 200, "{name:?} is answered {}: {}", answer.status, answer.text());
    }
    let asset = house.asset_of(&member.id)?;
    // What people may not write at all is shown nowhere.
    for (method, path, body) in [
        ("PATCH", format!("/v1/assets/{asset}"), json!({"owner": name, "location": name})),
        ("POST", "/v1/tickets".into(), json!({"kind": "incident", "title": name, "description": name})),
        ("POST", "/v1/tickets".into(), json!({"kind": "incident", "title": "plain", "description": name})),
        ("POST", "/v1/join-tokens".into(), json!({"labels": {"site": name}})),
    ] {
        let _ = house.world.ask(method, &path, &body);
    }
    Ok(())
}

fn told(stream: &str, seq: u64, name: &str, number: usize) -> CheckIn {
    let item = |kind: &'static str, key: String| Item {
        label: Some(name.into()),
        maker: Some(name.into()),
        model: Some(name.into()),
        serial: Some(format!("{name}{number}")),
        ..Item::new(kind, key)
    };
    let version = format!("{name}{seq}");
    let package = Package { manager: "dpkg", name, version: &version, publisher: Some(name), ..Package::default() };
    let host = format!("{name}{number}");
    let mut said = check_in(
        stream,
        seq,
        vec![
            evidence(&[(Kind::Hostname, &host), (Kind::MachineId, &host)]),
            ("dpkg", vec![package.into()]),
            ("disks", vec![item("disk", format!("{name}{seq}"))]),
            (
                "os",
                vec![
                    item("os", "os".into()).with("hostname", Some(name.to_owned())).with("name", Some(name.to_owned())),
                ],
            ),
            ("system", vec![item("system", "system".into())]),
        ],
    );
    for record in &mut said.records {
        record.gap = Some(Gap { records: 1, from: At(0), to: At(1), reason: name.into() });
        record.sections.iter_mut().for_each(|part| {
            part.problems = vec![Problem::new(Why::Denied, name).detail(name)];
        });
    }
    seal(&mut said);
    said
}

/// Everything about one asset; how many outputs that were.
fn about_one(house: &House, id: &str) -> Result<usize> {
    let events = house.world.rows(&format!("/v1/assets/{id}/timeline"))?.len();
    let mut outputs = 0;
    for form in ["table", "csv"] {
        let shown = |args: &[&str]| clean(house, &[args, &["--output", form]].concat());
        let timeline = shown(&["assets", "timeline", id])?;
        ensure!(
            timeline.lines().count() == events + 1,
            "{} lines of timeline for {events} events",
            timeline.lines().count()
        );
        shown(&["assets", "show", id])?;
        shown(&["assets", "explain", id])?;
        ensure!(shown(&["assets", "show", id, "--software"])?.lines().count() == 2, "software: not one line");
        for section in ["disks", "os", "system", "evidence"] {
            shown(&["assets", "show", id, "--section", section])?;
        }
        outputs += 8;
    }
    Ok(outputs)
}

/// What a verb prints, which must be harmless.
fn clean(house: &House, args: &[&str]) -> Result<String> {
    let shown = house.world.muster(args);
    harmless(&shown).with_context(|| format!("muster {}", args.join(" ")))?;
    Ok(shown)
}

fn harmless(shown: &str) -> Result<()> {
    match flaw(shown) {
        None => Ok(()),
        Some(Flaw { line, text }) => anyhow::bail!("line {line} is {text:?}"),
    }
}

/// The collector's log, and what an agent and a CLI say whose collector answers with hostile words.
fn logs(house: &House) -> Result<usize> {
    harmless(&house.world.read("collector.log")).context("the collector's log")?;
    let mut looked = 1;
    for (number, name) in HOSTILE.iter().enumerate() {
        let problem = json!({"title": name, "detail": format!("before {name} after")}).to_string();
        let place = ill_mannered(house, 403, problem.into_bytes())?;
        let mut agent = house.world.join(&format!("misled-{number}"));
        let identity = agent.state.join("identity.json");
        let mut stored: Value = serde_json::from_slice(&std::fs::read(&identity)?)?;
        stored["agent_url"] = json!(format!("https://{place}"));
        std::fs::write(&identity, stored.to_string())?;
        let log = format!("misled-{number}.log");
        agent.start(&[]);
        let said = super::house::until(LOG, || Ok(house.world.read(&log).contains("after")))?;
        agent.stop();
        ensure!(said, "the agent says {}", house.world.read(&log));
        harmless(&house.world.read(&log)).context("the agent's log")?;
        let lines = house.world.read(&log);
        let answered = lines.lines().filter(|line| line.contains("before") != line.contains("after")).count();
        ensure!(answered == 0, "the agent's log breaks a line: {lines}");
        misled_cli(house, place)?;
        looked += 2;
    }
    Ok(looked)
}

fn misled_cli(house: &House, place: std::net::SocketAddr) -> Result<()> {
    let (ca, token) = (house.world.path("ca.pem"), house.world.path("token"));
    std::fs::write(&ca, house.trust.concat())?;
    std::fs::write(&token, "mst_x")?;
    let mut command = Command::new(binary("muster"));
    command.args(["assets", "list", "--url", &format!("https://{place}"), "--ca"]).arg(ca);
    let out = command.arg("--token-file").arg(token).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(said.contains("before"), "the CLI says {said}");
    harmless(&said).context("the CLI's error")?;
    ensure!(said.lines().all(|line| line.contains("before") == line.contains("after")), "the CLI's error: {said}");
    Ok(())
}
