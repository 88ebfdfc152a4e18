//! What happens while the collector is away is told when it is back, once.

use tests::World;

#[test]
fn what_changed_while_the_collector_was_away_is_told_once() {
    let mut world = World::start();
    let mut agent = world.join("machine");
    agent.start(&[]);
    world.event("baseline", 0);
    let asset = world.json(&["assets", "list"])[0]["id"].as_str().expect("an asset").to_owned();
    world.muster(&["assets", "edit", &asset, "--owner", "Ada", "--tag", "T-1"]);
    let before = world.head();

    world.kill_collector();
    // A port that listens is something that every machine can have without root.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let key = format!("tcp/127.0.0.1/{}", listener.local_addr().expect("an address").port());
    world.start_collector();
    let added = world.event_where("item_added", before, |event| event["event"]["item"]["key"].as_str() == Some(&key));
    assert_eq!(added["event"]["section"], "ports");
    drop(listener);
    let gone = world.event_where("item_removed", before, |event| event["event"]["item"]["key"].as_str() == Some(&key));

    let all = world.get(&format!("/v1/events?after={before}&limit=500")).expect("events");
    let told = all["items"]
        .as_array()
        .expect("items")
        .iter()
        .filter(|event| event["event"]["item"]["key"].as_str() == Some(&key));
    assert_eq!(told.count(), 2, "added once, removed once");
    assert!(gone["seq"].as_u64() > added["seq"].as_u64());
    let shown = world.json(&["assets", "show", "T-1"]);
    assert_eq!(
        (&shown["owner"], &shown["id"]),
        (&"Ada".into(), &asset.as_str().into()),
        "what was declared is still there"
    );

    // The agent says goodbye when it is stopped.
    agent.stop();
    world.event("agent_goodbye", before);
    assert_eq!(world.json(&["assets", "show", "T-1"])["presence"], "off");
}
