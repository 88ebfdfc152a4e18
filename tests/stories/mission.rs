//! The mission in one story: a machine tells that it fails, the desk knows, people link it, it heals.

use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use tests::{World, is_root};

/// A filesystem of its own, taken away at the end.
struct Mount(PathBuf);

impl Mount {
    fn new(path: PathBuf) -> Mount {
        std::fs::create_dir_all(&path).expect("a folder");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4M", "muster-story"]).arg(&path).status();
        assert!(status.expect("mount").success(), "mount {}", path.display());
        Mount(path)
    }

    fn fill(&self) {
        // The write that no longer fits fails; that is what is wanted.
        let _ = std::fs::write(self.0.join("full"), vec![1; 8 << 20]);
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("full")).expect("freed");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

fn incidents(world: &World) -> Vec<Value> {
    world.json(&["tickets", "list", "--kind", "incident"]).as_array().cloned().unwrap_or_default()
}

fn about(event: &Value, resource: &str) -> bool {
    event["event"]["fault"]["resource"].as_str() == Some(resource)
}

#[test]
fn a_full_disk_becomes_one_incident_and_heals_itself() {
    if !is_root("a_full_disk_becomes_one_incident_and_heals_itself") {
        return;
    }
    let world = World::start();
    let mut agent = world.join("machine");
    agent.start(&[]);
    world.event("baseline", 0);
    let asset = world.json(&["assets", "list"])[0]["id"].as_str().expect("an asset").to_owned();

    let mount = Mount::new(world.path("srv"));
    let place = mount.0.to_str().expect("a path").to_owned();
    world.event_where("item_added", 0, |event| event["event"]["item"]["key"].as_str() == Some(&place));
    mount.fill();
    let raised = world.event_where("fault_raised", 0, |event| about(event, &place));
    let opened = world.event_where("ticket_opened", raised["seq"].as_u64().expect("a number"), |_| true);
    assert_eq!(raised["cause"], opened["cause"], "the fault and its incident have one cause");
    assert_eq!(raised["event"]["fault"]["reports"], 2, "two reports make a fault");

    // The incident knows the asset, its facts and what happened before.
    let ticket = world.json(&["tickets", "show", "INC-1"]);
    assert_eq!(ticket["state"], "new");
    assert!(ticket["title"].as_str().is_some_and(|title| title.contains(&place)), "{ticket}");
    let linked = |rel: &str, to: &str| {
        ticket["links"].as_array().is_some_and(|links| links.iter().any(|link| link["rel"] == rel && link["to"] == to))
    };
    assert!(linked("affects", &format!("asset:{asset}")), "{ticket}");
    assert!(ticket["snapshot"].to_string().contains(&place), "the snapshot holds the reading");

    // The agent goes on reporting all the while; there stays one incident, here and at the end.
    let head = world.head();
    assert_eq!(incidents(&world).len(), 1);

    // People link it to a change and to another tool's ticket, and see it from both sides.
    world.muster(&["tickets", "open", "change", "Grow the disk", "--asset", &asset]);
    world.muster(&["links", "add", "INC-1", "caused_by", "CHG-1"]);
    world.muster(&["links", "add", "INC-1", "tracked_by", "jira:OPS-12"]);
    let change = world.json(&["tickets", "show", "CHG-1"]);
    assert!(change["links"].to_string().contains("caused_by"), "{change}");
    assert_eq!(world.json(&["links", "list", "jira:OPS-12"]).as_array().map(Vec::len), Some(1));

    mount.free();
    let cleared = world.event_where("fault_cleared", head, |event| about(event, &place));
    let moved = world.event("ticket_moved", cleared["seq"].as_u64().expect("a number"));
    assert_eq!(moved["event"]["to"], "resolved");
    let ticket = world.json(&["tickets", "show", "INC-1"]);
    assert_eq!((&ticket["state"], &ticket["resolution_code"]), (&"resolved".into(), &"auto_cleared".into()));
    assert_eq!(incidents(&world).len(), 1);

    // The timeline tells it all, in order.
    let timeline = world.get(&format!("/v1/assets/{asset}/timeline?limit=500")).expect("a timeline");
    let kinds: Vec<&str> = timeline["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter_map(|event| event["event"]["kind"].as_str())
        .collect();
    let told =
        ["asset_created", "baseline", "item_added", "fault_raised", "ticket_opened", "fault_cleared", "ticket_moved"];
    let mut rest = kinds.iter();
    for kind in told {
        assert!(rest.any(|seen| *seen == kind), "{kind} in its order in {kinds:?}");
    }
    another_program_pulls(&world, &asset);
}

/// With a token that may only read, over HTTPS.
fn another_program_pulls(world: &World, asset: &str) {
    let token = world.path("token");
    let file = token.to_str().expect("a path");
    world.muster(&["token", "create", "cmdb", "--scope", "assets:read", "--scope", "tickets:read", "--file", file]);
    let addresses: Value = serde_json::from_str(&world.read("collector/addresses.json")).expect("addresses");
    let url = format!("https://{}", addresses["web"].as_str().expect("an address"));
    let ca = world.path("ca.pem");
    let join = world.json(&["join", "create"]);
    std::fs::write(&ca, join["server_ca"][0].as_str().expect("a certificate")).expect("a file");
    let there = ["--url", &url, "--token-file", file, "--ca", ca.to_str().expect("a path")];
    let found = world.json(&[&["assets", "list", "--name", "*"][..], &there[..]].concat());
    assert_eq!(found[0]["id"], *asset);
    let tickets = world.json(&[&["tickets", "list", "--asset", asset][..], &there[..]].concat());
    assert_eq!(tickets.as_array().map(Vec::len), Some(2), "{tickets}");
    let refused = world.run(&[&["assets", "edit", asset, "--owner", "me"][..], &there[..]].concat());
    assert_eq!(refused.status.code(), Some(5), "a token that may only read cannot write");
    let untold = world.run(&["assets", "list", "--url", &url, "--token-file", file]);
    let said = String::from_utf8_lossy(&untold.stderr);
    assert_eq!(untold.status.code(), Some(4), "{said}");
    assert!(said.contains("is not trusted") && said.contains("--ca FILE"), "{said}");
}
