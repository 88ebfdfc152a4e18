//! A rotation of the certificate authority on real ports: what agents are handed and told, and which certificates
//! open the door.

use crate::house::{Agent, House, beat, csr, key, text};
use collector::store::backup::Sum;
use reqwest::{Certificate, Client, Identity};
use serde_json::{Value, json};
use std::path::Path;

async fn step(house: &House, step: &str) {
    let token = house.api_token(&["ca:admin"]).await;
    let url = house.web(&format!("/v1/ca/{step}"));
    let answer = trusting(&house.running.app.authority.server_ca(), None)
        .post(url)
        .bearer_auth(token)
        .json(&json!({}))
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 204, "{step}: {}", answer.text().await.unwrap_or_default());
}

/// A client that trusts these roots, and shows this certificate.
fn trusting(roots: &[String], identity: Option<(&str, &rcgen::KeyPair)>) -> Client {
    let roots = roots.iter().map(|pem| Certificate::from_pem(pem.as_bytes()).expect("a root"));
    let mut builder = Client::builder().tls_certs_only(roots);
    if let Some((certificate, key)) = identity {
        let pem = format!("{certificate}{}", key.serialize_pem());
        builder = builder.identity(Identity::from_pem(pem.as_bytes()).expect("an identity"));
    }
    builder.build().expect("a client")
}

/// Checks in, and renews where that is wished: then the roots and the certificate are those of the answer.
async fn check_in(house: &House, agent: &mut Agent) -> bool {
    let answer = agent.check_in(house, &beat()).await;
    assert_eq!(answer.status(), 200);
    let wished = answer.json::<Value>().await.expect("JSON")["renew"] == true;
    if wished {
        let next = key();
        let answer = agent.client.post(house.agents("/v1/renew")).json(&json!({"csr": csr(&next)})).send().await;
        let identity: Value = answer.expect("an answer").json().await.expect("JSON");
        let roots: Vec<String> = identity["server_ca"].as_array().expect("roots").iter().map(text).collect();
        agent.certificate = text(&identity["certificate"]);
        agent.client = trusting(&roots, Some((&agent.certificate, &next)));
        agent.key = next;
    }
    wished
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_follow_a_rotation_and_old_certificates_open_no_door() {
    let house = House::open("limits.checkin_every_ms = 0\nshort_times = true\nagents.checkin_s = 1").await;
    let (mut agent, old) = (house.agent().await, house.agent().await);
    assert!(!check_in(&house, &mut agent).await);
    for taken in ["prepare", "activate", "retire"] {
        if taken == "retire" {
            // It was told nothing and knows nothing: it is in the way, until somebody revokes it.
            let act = collector::work::Act::Revoke { agent: old.id.parse().expect("an id"), reason: "lost".into() };
            house.act(act).await;
        }
        if taken != "activate" {
            step(&house, taken).await;
        } else {
            let token = house.api_token(&["ca:admin"]).await;
            let roots = house.running.app.authority.server_ca();
            let ask = |force: bool| {
                let ask = trusting(&roots, None).post(house.web("/v1/ca/activate"));
                ask.bearer_auth(&token).json(&json!({"force": force})).send()
            };
            assert_eq!(ask(false).await.expect("an answer").status(), 409, "one agent is behind");
            assert_eq!(ask(true).await.expect("an answer").status(), 204);
        }
        assert!(check_in(&house, &mut agent).await, "{taken}");
        assert!(!check_in(&house, &mut agent).await, "{taken}");
        // Anew, so that the collector's certificate is looked at again.
        let roots = house.running.app.authority.server_ca();
        let anew = trusting(&roots, Some((&agent.certificate, &agent.key)));
        assert_eq!(anew.get(house.agents("/v1/settings")).send().await.expect("an answer").status(), 200, "{taken}");
    }
    let roots = house.running.app.authority.server_ca();
    assert_eq!(roots.len(), 1);
    let refused = trusting(&roots, Some((&old.certificate, &old.key))).get(house.agents("/v1/settings")).send().await;
    assert!(refused.is_err(), "a handshake with a certificate of the old CA");
    // A connection that was open all the while is no way in either.
    let open = old.client.get(house.agents("/v1/settings")).send().await;
    assert!(open.is_err() || open.is_ok_and(|answer| answer.status() == 403));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_forget_roots_that_are_abandoned_within_two_check_ins() {
    let house = House::open("limits.checkin_every_ms = 0\nshort_times = true\nagents.checkin_s = 1").await;
    let (mut agent, mut quiet) = (house.agent().await, house.agent().await);
    let before = house.running.app.authority.server_ca();
    step(&house, "prepare").await;
    let prepared = house.running.app.authority.server_ca();
    for agent in [&mut agent, &mut quiet] {
        assert!(check_in(&house, agent).await && !check_in(&house, agent).await);
    }
    step(&house, "abandon").await;
    assert_eq!((house.running.app.authority.server_ca(), prepared.len()), (before.clone(), 2));
    // Told at the first, used at the second: what it is handed is the present root alone.
    assert!(check_in(&house, &mut agent).await && !check_in(&house, &mut agent).await);
    let roots = trusting(&before, Some((&agent.certificate, &agent.key)));
    assert_eq!(roots.get(house.agents("/v1/settings")).send().await.expect("an answer").status(), 200);
    // One that was quiet meanwhile is locked out by nothing, and goes through the next rotation like all others.
    assert_eq!(quiet.client.get(house.agents("/v1/settings")).send().await.expect("an answer").status(), 200);
    for taken in ["prepare", "activate", "retire"] {
        step(&house, taken).await;
        for agent in [&mut agent, &mut quiet] {
            assert!(check_in(&house, agent).await && !check_in(&house, agent).await, "{taken}");
        }
    }
    let last = house.running.app.authority.server_ca();
    assert!(last.len() == 1 && !prepared.contains(&last[0]), "the abandoned root never counts");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_connection_ends_with_the_roots_that_it_was_made_by() {
    let house = House::open("limits.checkin_every_ms = 0").await;
    let agent = house.agent().await;
    let settings = house.agents("/v1/settings");
    assert_eq!(agent.client.get(&settings).send().await.expect("an answer").status(), 200);
    let authority = &house.running.app.authority;
    use collector::pki::rotation::Step;
    for (step, status) in [(Step::Prepare, 200), (Step::Activate, 200), (Step::Retire, 403)] {
        authority.take_up(authority.write(step, collector::clock::now()).expect("written")).expect("taken up");
        let answer = agent.client.get(&settings).send().await.expect("the connection stays");
        assert_eq!(answer.status(), status, "{step:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_register_from_before_the_rotation_works_with_the_roots_of_today() {
    let house = House::open("limits.checkin_every_ms = 0\nshort_times = true\nagents.checkin_s = 1").await;
    let mut agent = house.agent().await;
    assert!(!check_in(&house, &mut agent).await);
    let (database, copy) = (house.folder.path().join("state/muster.db"), house.folder.path().join("copy.db"));
    collector::store::backup::create(&database, &copy).expect("a copy");
    for taken in ["prepare", "activate", "retire"] {
        step(&house, taken).await;
        assert!(check_in(&house, &mut agent).await && !check_in(&house, &mut agent).await, "{taken}");
    }
    let roots = house.running.app.authority.server_ca();
    let house = restored(house, &database, &copy).await;
    assert_eq!(house.running.app.authority.server_ca(), roots);
    // A new connection: the ports are others.
    agent.client = trusting(&roots, Some((&agent.certificate, &agent.key)));
    assert!(!check_in(&house, &mut agent).await, "it has the roots, though the register did not know");
    let member = house.running.app.fleet.member(agent.id.parse().expect("an id")).expect("a member");
    assert_eq!((member.state.name(), member.generation, member.roots), ("active", 4, 3));
    let token = house.api_token(&["ca:admin", "audit:read"]).await;
    let told = trusting(&roots, None).get(house.web("/v1/events?kind=ca_retired")).bearer_auth(token).send().await;
    let told: Value = told.expect("an answer").json().await.expect("JSON");
    assert_eq!(told["items"][0]["actor"], "rule:restart", "{told}");
}

/// The same keys and settings, with a register from a backup.
async fn restored(house: House, database: &Path, copy: &Path) -> House {
    let House { running, folder } = house;
    let config = running.app.config.clone();
    running.stop().await;
    collector::store::restore::restore(
        (copy, Sum::Needed),
        database,
        &folder.path().join("aside.db"),
        0,
        collector::clock::now(),
    )
    .expect("restored");
    let running = collector::serve::start(config, Default::default()).await.expect("a collector");
    House { running, folder }
}
