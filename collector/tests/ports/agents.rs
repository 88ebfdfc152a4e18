//! The agents' port: who gets in, and what ends it.

use crate::house::{House, beat, csr, first_report, key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use collector::clock;
use collector::pki::proof;
use collector::work::Act;
use rcgen::CertificateParams;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn without_a_certificate_of_ours_there_is_no_answer() {
    let house = House::open("").await;
    let other = House::open("").await;
    let url = house.agents("/v1/settings");
    assert!(house.stranger().get(&url).send().await.is_err());
    let own = key();
    let certificate = CertificateParams::default().self_signed(&own).expect("self-signed").pem();
    assert!(house.client(&certificate, &own).get(&url).send().await.is_err());
    let foreign = other.agent().await;
    assert!(house.client(&foreign.certificate, &foreign.key).get(&url).send().await.is_err());
    let ours = house.agent().await;
    assert_eq!(ours.client.get(&url).send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_reaches_its_three_routes_and_nothing_else() {
    let house = House::open("").await;
    let agent = house.agent().await;
    let document: Value = serde_json::from_str(&house.running.app.document).expect("JSON");
    let mut reached = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for method in item.as_object().expect("operations").keys() {
            let method = method.to_ascii_uppercase().parse().expect("a method");
            let url = house.agents(&path.replace(['{', '}'], ""));
            let answer = agent.client.request(method, url).send().await.expect("an answer");
            if answer.status() != 404 {
                reached.push(path.clone());
            }
        }
    }
    assert_eq!(reached, ["/v1/checkin", "/v1/renew", "/v1/settings"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_bites_on_the_next_request() {
    let house = House::open("short_times = true\n[agents]\ncheckin_s = 1").await;
    let agent = house.agent().await;
    assert_eq!(agent.check_in(&house, &beat()).await.status(), 200);
    house.act(Act::Revoke { agent: agent.id.parse().expect("an id"), reason: "lost".into() }).await;
    // The client keeps its connection; a new one resumes its session.
    assert_eq!(agent.check_in(&house, &beat()).await.status(), 403);
    let anew = house.client(&agent.certificate, &agent.key);
    assert_eq!(anew.get(house.agents("/v1/settings")).send().await.expect("an answer").status(), 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_superseded_certificate_means_two_machines() {
    let house = House::open("").await;
    let agent = house.agent().await;
    let next = key();
    let url = house.agents("/v1/renew");
    let answer = agent.client.post(&url).json(&json!({"csr": csr(&next)})).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let identity: Value = answer.json().await.expect("JSON");
    assert_eq!((&identity["agent"], &identity["generation"]), (&json!(agent.id), &json!(2)));
    // Until the new one is used the old one is good: the answer might have been lost.
    assert_eq!(agent.check_in(&house, &beat()).await.status(), 200);
    let renewed = house.client(identity["certificate"].as_str().expect("PEM"), &next);
    let settings = house.agents("/v1/settings");
    assert_eq!(renewed.get(&settings).send().await.expect("an answer").status(), 200);
    assert_eq!(agent.check_in(&house, &beat()).await.status(), 403);
    let member = house.running.app.fleet.member(agent.id.parse().expect("an id")).expect("a member");
    assert_eq!(member.state.name(), "quarantined");
    // Quarantined ones are still listened to.
    assert_eq!(renewed.get(&settings).send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_register_takes_certificates_from_after_its_backup() {
    let house = House::open("").await;
    let agent = house.agent().await;
    let id = agent.id.parse().expect("an id");
    // What the collector gave out and forgot when it was restored: generation 2 for one agent, and one by a stranger.
    let next = key();
    let requested = proof::request(&STANDARD.decode(csr(&next)).expect("base64")).expect("a request");
    let sign = |house: &House| {
        let end = clock::now().plus_secs(86_400);
        house.running.app.authority.roots().sign_agent(id, &requested.key, 2, clock::now(), end).expect("signed")
    };
    let other = House::open("").await;
    let settings = house.agents("/v1/settings");
    assert!(house.client(&sign(&other), &next).get(&settings).send().await.is_err());
    let member = || house.running.app.fleet.member(id).expect("a member");
    assert_eq!((member().state.name(), member().generation), ("active", 1));

    let renewed = house.client(&sign(&house), &next);
    assert_eq!(renewed.get(&settings).send().await.expect("an answer").status(), 200);
    assert_eq!((member().state.name(), member().generation), ("active", 2));
    // The one before it is a copy's.
    assert_eq!(agent.check_in(&house, &beat()).await.status(), 403);
    assert_eq!(member().state.name(), "quarantined");
    assert_eq!(renewed.get(&settings).send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_follows_an_upgrade() {
    let house = House::open("").await;
    let agent = house.agent().await;
    let url = house.agents("/v1/checkin");
    let said = agent.client.post(&url).header("user-agent", "muster-agent/0.2.0").json(&beat());
    assert_eq!(said.send().await.expect("an answer").status(), 200);
    let member = house.running.app.fleet.member(agent.id.parse().expect("an id")).expect("a member");
    assert_eq!(member.version, "0.2.0");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_is_not_said_in_a_body() {
    let house = House::open("").await;
    let agent = house.agent().await;
    for (name, value) in [("agent_id", json!("../B")), ("asset_id", json!(null)), ("actor", json!({}))] {
        let mut body = beat();
        body[name] = value;
        assert_eq!(agent.check_in(&house, &body).await.status(), 400, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_beat_is_answered_and_wants_what_is_not_held() {
    let house = House::open("").await;
    let agent = house.agent().await;
    let answer: Value = agent.check_in(&house, &beat()).await.json().await.expect("JSON");
    assert_eq!(answer["want"], json!(["*"]));
    let next_s = answer["next_s"].as_u64().expect("a number");
    assert!((150..=450).contains(&next_s), "{next_s}");
    let heard = house.running.app.fleet.heard(agent.id.parse().expect("an id"));
    assert!(heard.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_filtered_by_presence_says_what_memory_says() {
    let house = House::open("").await;
    let agent = house.agent().await;
    let answer = agent.check_in(&house, &first_report()).await;
    assert_eq!(answer.status(), 200);
    // Nothing was flushed yet: that is done once a minute.
    let token = house.api_token(&["assets:read"]).await;
    let list = async |query: &str| {
        let url = house.web(&format!("/v1/assets?{query}"));
        let answer = house.stranger().get(url).bearer_auth(&token).send().await.expect("an answer");
        answer.json::<Value>().await.expect("JSON")["items"].as_array().expect("a list").clone()
    };
    let online = list("presence=online").await;
    assert_eq!(online.len(), 1);
    assert_eq!((&online[0]["presence"], online[0]["last_seen"].is_i64()), (&json!("online"), true));
    assert_eq!(list("seen_since=1h").await.len(), 1);
    for query in ["presence=never", "presence=silent", "seen_before=1h"] {
        assert_eq!(list(query).await.len(), 0, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_version_says_is_taken_and_what_is_unknown_of_it_counted() {
    let house = House::open("[limits]\ncheckin_every_ms = 0").await;
    let (own, later) = (house.agent().await, house.agent().await);
    let mut said = first_report();
    said["transport"] = json!("quic");
    said["records"][0]["sections"][0]["problems"] = json!([{"why": "timed_out", "what": "x"}]);
    for (agent, version) in [(&own, env!("CARGO_PKG_VERSION")), (&later, "99.0.0"), (&later, "99.0.0")] {
        let asked =
            agent.client.post(house.agents("/v1/checkin")).header("user-agent", format!("muster-agent/{version}"));
        assert_eq!(asked.json(&said).send().await.expect("an answer").status(), 200);
    }
    let token = house.api_token(&["agents:read"]).await;
    let ask = async |query: &str| {
        let asked = house.stranger().get(house.web(&format!("/v1/agents?{query}"))).bearer_auth(&token);
        let answer = asked.send().await.expect("an answer");
        (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"))
    };
    let (_, listed) = ask("unknown=true&limit=1").await;
    let told = |row: &Value| (row["id"].clone(), row["version"].clone(), row["unknown"].clone());
    let rows: Vec<_> = listed["items"].as_array().expect("rows").iter().map(told).collect();
    assert_eq!(rows, [(json!(later.id), json!("99.0.0"), json!(4))]);
    assert_eq!(listed["next"], Value::Null);
    for query in ["unknown=false", "unknown=true&state=active"] {
        let (status, problem) = ask(query).await;
        assert_eq!((status, &problem["field"]), (422, &json!("unknown")), "{query}");
    }
}
