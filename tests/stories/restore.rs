//! A register put back from a backup: what was revoked since stays revoked, and its agents go on.

use serde_json::json;
use tests::World;

fn backup(world: &World, verb: &str, more: &[&str]) -> std::process::Output {
    let (config, copy) = (world.path("muster.toml"), world.path("copy.db"));
    let paths = ["--config", config.to_str().expect("a path"), copy.to_str().expect("a path")];
    world.run(&[&["backup", verb], paths.as_slice(), more].concat())
}

#[test]
fn a_restore_brings_back_neither_agents_nor_tokens_that_ended_since() {
    let mut world = World::start();
    let mut revoked = world.join("revoked");
    revoked.start(&[]);
    let agent = world.event("baseline", 0)["actor"].as_str().expect("an actor").replace("agent:", "");
    let token = world.path("token");
    let token = token.to_str().expect("a path");
    world.muster(&["token", "create", "cmdb", "--scope", "assets:read", "--file", token]);
    let open = world.path("open.json");
    world.muster(&["join", "create", "--uses", "2", "--file", open.to_str().expect("a path")]);
    let keys = world.path("keys");
    let made = backup(&world, "create", &["--keys", keys.to_str().expect("a path")]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    assert!(keys.join("server-ca.pem").exists());

    world.muster(&["agents", "revoke", &agent, "--reason", "stolen"]);
    let tokens = world.json(&["token", "list"]);
    world.muster(&["token", "revoke", tokens[0]["id"].as_str().expect("an id")]);
    revoked.stop();
    // Lost with all that it knew, but for the file beside it.
    world.kill_collector();
    for name in ["muster.db", "muster.db-wal", "muster.db-shm"] {
        let _ = std::fs::remove_file(world.path("collector").join(name));
    }
    let put_back = backup(&world, "restore", &[]);
    assert!(put_back.status.success(), "{}", String::from_utf8_lossy(&put_back.stderr));
    world.start_collector();

    let restored = world.event("restored", 0);
    assert_eq!((&restored["event"]["agents"], &restored["event"]["api_tokens"]), (&json!(1), &json!(1)), "{restored}");
    let state = world.get(&format!("/v1/agents/{agent}")).expect("an agent")["state"].clone();
    assert_eq!(state, "revoked");
    let ended = |path: &str| world.rows(path).expect("tokens").iter().all(|token| token["revoked"] == true);
    assert!(ended("/v1/join-tokens") && ended("/v1/tokens"));
    let late = world.stranger("late");
    let out = late.run(&["enroll", "--join", open.to_str().expect("a path")]);
    assert!(!out.status.success(), "the join token is dead");
    world.join("new");
}
