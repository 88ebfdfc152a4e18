use super::*;
use crate::pki::Authority;
use serde_json::json;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;

#[test]
fn bounds_are_where_the_collector_has_them() {
    let at = |free| host::space(&disk::Space { free, floor: 100, ballast: 0 }, 0).state();
    let soon = 100 * host::SOON_FLOORS;
    assert_eq!([at(99), at(100), at(soon - 1), at(soon)], ["FAIL", "WARN", "WARN", "PASS"]);
    let now = At(1_700_000_000_000_000);
    let at = |after_s| keys::life(now.secs(), now.secs() + after_s, now).state();
    assert_eq!([at(0), at(1), at(keys::SOON_S - 1), at(keys::SOON_S)], ["FAIL", "WARN", "WARN", "PASS"]);
    assert_eq!(keys::life(now.secs() + 1, i64::MAX, now).state(), "FAIL", "made in the future");
    let at = |bits| keys::mode(bits, Path::new("key")).state();
    assert_eq!([at(0o100_600), at(0o400), at(0o640), at(0o604)], ["PASS", "PASS", "FAIL", "FAIL"]);
    let at = |ahead_s| host::ahead(now.secs() + ahead_s, now).state();
    assert_eq!([at(-1), at(host::AHEAD_S), at(host::AHEAD_S + 1)], ["PASS", "PASS", "WARN"]);
}

#[test]
fn a_rotation_that_was_left_is_told_with_its_next_step() {
    use crate::pki::rotation::{State, Step};
    let now = At(1_700_000_000_000_000);
    let state = State::default();
    assert_eq!(keys::rotation(&state, now), Found::pass("never yet"));
    let state = state.after(Step::Prepare, 1, now).expect("a step");
    let young = keys::rotation(&state, now.plus_secs(keys::ROTATING_S));
    assert!(matches!(&young, Found::Pass(found) if found.ends_with("then `muster ca activate`")), "{young:?}");
    let old = keys::rotation(&state, now.plus_secs(keys::ROTATING_S + 1));
    let advice = "go on with it: `muster ca show`, then `muster ca activate`; or `muster ca abandon`";
    assert_eq!(old, Found::warn("prepared since 2023-11-14", advice));
    let state = state.after(Step::Activate, 2, now).and_then(|state| state.after(Step::Retire, 2, now));
    assert_eq!(keys::rotation(&state.expect("steps"), now.plus_secs(9 * keys::ROTATING_S)).state(), "PASS");
}

#[test]
fn a_port_is_free_taken_or_answers() {
    let held = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let address = held.local_addr().expect("an address");
    let taken = host::is_free("web_listen", address);
    assert!(matches!(&taken, Found::Fail(_, advice) if advice.contains("web_listen")), "{taken:?}");
    assert_eq!(host::answers(address).state(), "PASS");
    drop(held);
    assert_eq!(host::answers(address).state(), "FAIL");
    assert_eq!(host::is_free("web_listen", address).state(), "PASS");
}

#[test]
fn silent_machines_are_counted_named_and_the_verb_is_told() {
    let rows = |names: &[&str]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    assert_eq!(running::told(&[("silent", "v", Vec::new())]).state(), "PASS");
    let seen = [("silent", "v", rows(&["a", "b", "c", "d"])), ("quarantined", "w", rows(&["e"]))];
    let told = running::told(&seen);
    assert_eq!(told, Found::warn("4 silent (a, b, c, …); 1 quarantined (e)", "see `v`, `w`"));
}

#[test]
fn an_older_collector_is_told_how_much_agents_of_which_version_say() {
    assert_eq!(running::versions(&[]).state(), "PASS");
    let row = |version: &str, unknown: u64| json!({"version": version, "unknown": unknown});
    let advice = "upgrade the collector; see `muster agents list --unknown`";
    let told = running::versions(&[row("0.3.0", 5), row("0.4.0", 1), row("0.3.0", 7)]);
    let found =
        "2 agents of version 0.3.0 said 12 words unknown here; 1 agent of version 0.4.0 said 1 word unknown here";
    assert_eq!(told, Found::warn(found, advice));
    let many: Vec<Value> = (0..7).map(|n| row(&format!("0.{n}"), 1)).collect();
    assert!(
        matches!(running::versions(&many), Found::Warn(found, _) if found.ends_with("0.4 said 1 word unknown here; and more"))
    );
}

#[test]
fn a_healthy_collector_is_told_from_one_with_open_keys_and_a_broken_database() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o750)).expect("a mode");
    let at = folder.path().display();
    let text = format!(
        "state_dir = \"{at}\"\nadmin_socket = \"{at}/sock\"\nagent_listen = \"127.0.0.1:0\"\nweb_listen = \"127.0.0.1:0\"\n"
    );
    let config = crate::config::parse(&text, "test", |_| None).expect("settings");
    let states = || {
        let found = checks(&config, true, clock::now());
        let states = found.iter().filter(|(name, _)| !["free space", "filesystem", "open files"].contains(name));
        states.map(|(name, found)| format!("{} {name}", found.state())).collect::<Vec<_>>()
    };
    let first = [
        "PASS config",
        "WARN collector",
        "PASS agents' port",
        "PASS web port",
        "PASS state directory",
        "PASS database",
        "PASS clock",
        "PASS keys",
    ];
    assert_eq!(states(), first);
    Authority::open(&folder.path().join("pki"), clock::now()).expect("an authority");
    drop(crate::store::open::writer(&folder.path().join("muster.db"), clock::now()).expect("a database"));
    let told = states();
    let warned: Vec<_> = told.iter().filter(|line| !line.starts_with("PASS")).collect();
    assert_eq!(warned, ["WARN collector", "WARN ballast", "WARN backup"], "no collector ever ran: {told:?}");
    let key = folder.path().join("pki").join(files::AGENT_CA);
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).expect("a mode");
    fs::write(folder.path().join("muster.db"), "broken").expect("a file");
    let failed: Vec<_> = states().into_iter().filter(|line| line.starts_with("FAIL")).collect();
    assert_eq!(failed, ["FAIL database", "FAIL keys of agents"]);
}

#[test]
fn a_register_whose_keys_are_gone_is_no_new_one() {
    let place = tempfile::tempdir().expect("a directory");
    let states = || {
        let mut checks = Checks::new();
        authority(&place.path().join("pki"), At(0), &mut checks);
        checks.iter().map(|(check, found)| (*check, found.state())).collect::<Vec<_>>()
    };
    assert_eq!(states(), [("keys", "PASS")]);
    fs::write(place.path().join(DATABASE), "rows").expect("written");
    assert_eq!(states(), [("keys", "FAIL")]);
}

#[test]
fn a_promise_that_is_void_is_told_with_the_reason() {
    let now = At::from_secs(1_800_000_000);
    let at = |age_s: i64| promises::aged(Some(now.plus_secs(-age_s)), now).state();
    assert_eq!([at(0), at(promises::BACKUP_S), at(promises::BACKUP_S + 1)], ["PASS", "PASS", "WARN"]);
    assert_eq!(promises::aged(None, now).state(), "WARN");
    let scrubbed = |age_s: i64, findings: &[&str]| {
        let findings = findings.iter().map(|what| (*what).to_owned()).collect();
        promises::scrubbed(Some(&crate::store::scrub::Scrubbed { at: now.plus_secs(-age_s), findings }), now).state()
    };
    assert_eq!([scrubbed(promises::SCRUB_S, &[]), scrubbed(promises::SCRUB_S + 1, &[])], ["PASS", "WARN"]);
    assert_eq!(scrubbed(0, &["asset: 7: not the row that was written"]), "FAIL");
    let kinds = [0xef53, 0x5846_5342, 0x0102_1994, 0x794c_7630, 0x6969, 0xff53_4d42];
    assert_eq!(kinds.map(|magic| promises::kind(magic).state()), ["PASS", "PASS", "WARN", "WARN", "WARN", "WARN"]);
    let limits = "Limit                     Soft Limit           Hard Limit           Units     \n\
                  Max open files            1024                 524288               files     \n";
    assert_eq!(promises::open_files(limits), Some(1024));
    assert_eq!([promises::room(1024, 960).state(), promises::room(1024, 961).state()], ["PASS", "WARN"]);
    assert_eq!([promises::ballast(0).state(), promises::ballast(1).state()], ["WARN", "PASS"]);
}
