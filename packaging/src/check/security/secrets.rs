//! What is secret stays so: no secret in the settings, the database or the logs, and the admin socket is for admins.
//! Does not know how secrets are kept.

use super::house::{House, each_row, hex, tables, text};
use super::wire::Caller;
use super::{Security, Seen};
use agent::key::Key;
use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use collector::secret::{self, Prefix};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::id::AgentId;
use std::collections::HashSet;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use tests::{World, binary};

/// Crates that make objects out of what comes from outside, or parse XML.
const ABSENT: &[&str] = &["typetag", "bincode", "serde_yaml", "serde_yml", "quick-xml"];
/// Tokens that are made to be compared.
const TOKENS: usize = 100_000;
/// Join tokens and API tokens of the run, each.
const ISSUED: usize = 10;
/// A user without any right.
const STRANGER: &str = "1001";

/// 23: no crate that deserialises into anything, and no secret in the settings that could be a placeholder.
pub(super) fn placeholder(_: &Security) -> Result<Seen> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the checkout")?;
    let tree = ["tree", "--locked", "-p", "collector", "--edges", "normal,build", "--prefix", "none"];
    let out = Command::new("cargo").args(tree).current_dir(top).output().context("cargo tree")?;
    ensure!(out.status.success(), "cargo tree: {}", String::from_utf8_lossy(&out.stderr));
    let tree = String::from_utf8_lossy(&out.stdout).into_owned();
    let crates: HashSet<&str> = tree.lines().filter_map(|line| line.split(' ').next()).collect();
    ensure!(crates.contains("serde_json"), "cargo tree says {tree}");
    let found: Vec<&&str> = ABSENT.iter().filter(|name| crates.contains(**name)).collect();
    ensure!(found.is_empty(), "the collector depends on {found:?}");
    let dir = tempfile::tempdir()?;
    let config = dir.path().join("muster.toml");
    std::fs::write(&config, "secret_key = \"changeme\"\n")?;
    let out = Command::new(binary("muster")).args(["serve", "--config"]).arg(&config).output()?;
    let line = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(!out.status.success() && line.lines().count() == 1, "a placeholder secret: {} {line:?}", out.status);
    ensure!(line.contains("unknown key `secret_key`"), "a placeholder secret: {line}");
    Ok(Seen::Pass(format!(
        "{} crates in the collector's tree, 0 of {}; the settings know no secret, one with a placeholder ends the start \
         with 1 line ({})",
        crates.len(),
        ABSENT.len(),
        out.status
    )))
}

/// 50: no secret is in the database, and secrets are random.
pub(super) fn dump(_: &Security) -> Result<Seen> {
    let house = House::open("")?;
    let secrets = issue(&house)?;
    let mut dump = String::new();
    let database = house.database()?;
    for table in tables(&database)? {
        each_row(&database, &table, |row| dump.push_str(&(row.join("\u{1f}") + "\n")))?;
    }
    let mut places = vec![("dump", dump.into_bytes())];
    for name in ["collector/muster.db", "collector/muster.db-wal", "collector.log"] {
        places.push((name, std::fs::read(house.world.path(name)).with_context(|| name.to_owned())?));
    }
    let mut forms = 0;
    for token in &secrets {
        let secret = secret_of(token)?;
        // That what is stored of it is found shows that the search can find something.
        let hash = hex(&Sha256::digest(&secret));
        ensure!(
            places.iter().any(|(_, bytes)| holds(bytes, hash.as_bytes())),
            "the hash of a token is not in the dump"
        );
        for form in forms_of(token, &secret) {
            forms += 1;
            for (place, bytes) in &places {
                ensure!(!holds(bytes, &form), "{place} holds a secret as {:?}", String::from_utf8_lossy(&form));
            }
        }
    }
    different()?;
    Ok(Seen::Pass(format!(
        "{} join and API tokens in {forms} forms (raw, hex, base64) are in 0 of {} places (dump, database, log file of it, \
         log); sessions do not exist yet; {TOKENS} generated tokens: 0 twice, 256 of 256 bits vary",
        secrets.len(),
        places.len()
    )))
}

/// Makes tokens and uses them: well, too often, after their end, from elsewhere.
fn issue(house: &House) -> Result<Vec<String>> {
    let mut secrets = Vec::new();
    for number in 0..ISSUED {
        let body = if number % 3 == 2 { json!({"cidr": "192.0.2.0/24"}) } else { json!({"uses": 2}) };
        let (id, join) = house.join_token(&body)?;
        for _ in 0..3 {
            house.enroll(&join, &Key::generate()?.request()?, "machine")?;
        }
        let name = format!("token-{number}");
        let made = house.world.ask("POST", "/v1/tokens", &json!({"name": name, "scopes": ["assets:read"]}))?;
        let api = text(&made["token"])?;
        let bearer = format!("Bearer {api}");
        let mut web = Caller::new(house.web(), &house.stranger()?);
        for path in ["/v1/assets", "/v1/events", "/v1/no-such-page"] {
            web.ask("GET", path, &[("Authorization", &bearer)], b"")?;
        }
        if number % 2 == 1 {
            house.world.ask("DELETE", &format!("/v1/join-tokens/{id}"), &Value::Null)?;
            house.world.ask("DELETE", &format!("/v1/tokens/{}", text(&made["id"])?), &Value::Null)?;
            house.enroll(&join, &Key::generate()?.request()?, "machine")?;
            house.to_web()?.ask("GET", "/v1/assets", &[("Authorization", &bearer)], b"")?;
        }
        secrets.extend([join, api]);
    }
    Ok(secrets)
}

/// The random part of a token.
fn secret_of(token: &str) -> Result<Vec<u8>> {
    let rest = token.get(37..).context("a token")?;
    URL_SAFE_NO_PAD.decode(rest.get(..43).context("a token")?).context("a token")
}

fn forms_of(token: &str, secret: &[u8]) -> Vec<Vec<u8>> {
    let texts = [
        token.to_owned(),
        hex(token.as_bytes()),
        STANDARD_NO_PAD.encode(token),
        hex(secret),
        hex(secret).to_uppercase(),
        STANDARD.encode(secret),
        STANDARD_NO_PAD.encode(secret),
        URL_SAFE.encode(secret),
        URL_SAFE_NO_PAD.encode(secret),
    ];
    texts.into_iter().map(String::into_bytes).chain([secret.to_vec()]).collect()
}

fn holds(bytes: &[u8], form: &[u8]) -> bool {
    let Some(first) = form.first() else { return false };
    let starts = bytes.iter().enumerate().filter(|(_, byte)| *byte == first);
    starts.map(|(at, _)| at).any(|at| bytes.get(at..at + form.len()) == Some(form))
}

/// Many tokens: no two alike, no bit that never changes.
fn different() -> Result<()> {
    let id: AgentId = "01890000-0000-7000-8000-000000000000".parse()?;
    let mut seen = HashSet::new();
    let (mut ones, mut zeros) = ([0_u8; 32], [0_u8; 32]);
    for _ in 0..TOKENS {
        let secret = secret_of(&secret::make(Prefix::Join, id.0)?.text)?;
        for ((byte, one), zero) in secret.iter().zip(&mut ones).zip(&mut zeros) {
            *one |= byte;
            *zero |= !byte;
        }
        ensure!(seen.insert(secret), "a token came twice");
    }
    ensure!(ones == [255; 32] && zeros == [255; 32], "a bit never varies");
    Ok(())
}

/// 53: the admin socket is for root and the admin group, by the kernel's word.
pub(super) fn socket(_: &Security) -> Result<Seen> {
    let what = "the admin socket as another user";
    if std::fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(Seen::Skip("needs root".into(), what.into()));
    }
    if !Command::new("setpriv").arg("--version").output().is_ok_and(|out| out.status.success()) {
        return Ok(Seen::Skip("setpriv is not installed".into(), what.into()));
    }
    let world = World::start();
    // Nothing but the socket's own mode may stand in the way.
    std::fs::set_permissions(world.dir.path(), std::fs::Permissions::from_mode(0o755))?;
    let muster = world.path("muster");
    std::fs::copy(binary("muster"), &muster)?;
    std::fs::set_permissions(&muster, std::fs::Permissions::from_mode(0o755))?;
    let socket = world.path("admin.sock");
    let run = |user: &str, groups: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", user, "--regid", user]).args(groups).arg(&muster);
        command.args(["join", "list", "--socket"]).arg(&socket).stdin(Stdio::null()).output().context("setpriv")
    };
    let out = run(STRANGER, &["--clear-groups"])?;
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    ensure!(!out.status.success() && said.contains("Permission denied"), "uid {STRANGER}: {} {said}", out.status);
    let mode = std::fs::metadata(&socket)?.permissions().mode() & 0o777;
    ensure!(mode == 0o660, "the socket's mode is {mode:o}");
    let out = run("0", &["--clear-groups"])?;
    ensure!(out.status.success(), "uid 0: {}", String::from_utf8_lossy(&out.stderr));
    world.muster(&["join", "create"]);
    let told = world.rows("/v1/events")?;
    let actors: Vec<&str> = told.iter().filter_map(|event| event["actor"].as_str()).collect();
    ensure!(actors == ["local:0"], "the journal names {actors:?}");
    Ok(Seen::Pass(format!(
        "uid {STRANGER} outside the group is refused by the kernel (mode {mode:o}); uid 0 is let in, 1 of 1 of its actions is by \
         local:0"
    )))
}
