//! The steps of a rotation of the certificate authority: which may follow, whom they wait for, what is told of them.

use crate::desk::{Answer, Desk};
use serde_json::{Value, json};

async fn step(desk: &Desk, step: &str, force: bool) -> Answer {
    let body = if ["prepare", "abandon"].contains(&step) { json!({}) } else { json!({"force": force}) };
    desk.local("POST", &format!("/v1/ca/{step}"), &body.to_string()).await
}

async fn shown(desk: &Desk) -> Value {
    desk.local("GET", "/v1/ca", "").await.body
}

async fn told(desk: &Desk) -> Vec<Value> {
    let page = desk.local("GET", "/v1/events?limit=500", "").await.body;
    let entries = page["items"].as_array().expect("a list").iter();
    entries
        .filter(|entry| entry["event"]["kind"].as_str().is_some_and(|kind| kind.starts_with("ca_")))
        .cloned()
        .collect()
}

fn places(shown: &Value) -> Vec<String> {
    let roots = shown["roots"].as_array().expect("a list");
    roots.iter().map(|root| format!("{} {}", root["place"], root["signs"]).replace('"', "")).collect()
}

#[tokio::test]
async fn steps_wait_for_agents_that_they_would_lock_out() {
    let desk = Desk::open().await;
    for early in ["activate", "retire", "abandon"] {
        let answer = step(&desk, early, true).await;
        assert_eq!(answer.problem(), (409, None));
        assert_eq!(answer.body["detail"], "the roots are settled: the step that follows is prepare");
    }
    assert_eq!(step(&desk, "prepare", false).await.status, 204);
    let prepared = shown(&desk).await;
    assert_eq!(places(&prepared), ["present server", "present agents", "next server", "next agents"]);
    // Three may speak and were never heard since; one waits for approval; two join files were made before.
    let counts = ["ready", "behind", "ended", "pending", "join_tokens"].map(|name| prepared[name].as_u64());
    assert_eq!(counts, [0, 3, 0, 1, 2].map(Some), "{prepared}");
    let early = step(&desk, "activate", false).await;
    assert_eq!(early.problem(), (409, None));
    assert_eq!(early.body["detail"], prepared["too_early"]);
    let detail = early.body["detail"].as_str().expect("text");
    assert!(
        detail.starts_with("3 of 3 agents do not know the next server CA yet: agent, doubted, stolen. Those that run")
    );
    assert!(detail.contains("within 11 min"), "two check-ins of 5 min, a tenth later at most: {detail}");
    let join = desk.local("POST", "/v1/join-tokens", "{}").await;
    assert_eq!(join.body["join"]["server_ca"].as_array().map(Vec::len), Some(2));
    assert_eq!(shown(&desk).await["join_tokens"], 2, "the new join file has both");

    assert_eq!(step(&desk, "activate", true).await.status, 204);
    let activated = shown(&desk).await;
    assert_eq!(places(&activated), ["present server", "present agents", "old server", "old agents"]);
    assert_eq!(activated["roots"][0]["fingerprint"], prepared["roots"][2]["fingerprint"]);
    let early = step(&desk, "retire", false).await;
    assert!(
        early.body["detail"].as_str().is_some_and(|why| why.contains("still have a certificate by the old agent CA"))
    );
    assert_eq!(step(&desk, "retire", true).await.status, 204);
    let retired = shown(&desk).await;
    assert_eq!((places(&retired), &retired["phase"]), (places(&retired)[..2].to_vec(), &json!("settled")));

    let told = told(&desk).await;
    let of = |at: usize, name: &str| told[at]["event"][name].clone();
    assert_eq!(told.iter().map(|entry| entry["actor"].clone()).collect::<Vec<_>>(), ["local:0"; 3]);
    assert_eq!([of(0, "kind"), of(1, "kind"), of(2, "kind")], ["ca_prepared", "ca_activated", "ca_retired"]);
    assert_eq!([of(0, "server"), of(1, "server")], [0, 0].map(|_| prepared["roots"][2]["fingerprint"].clone()));
    assert_eq!((of(1, "locked_out"), of(1, "names")), (json!(3), json!(["agent", "doubted", "stolen"])));
}

#[tokio::test]
async fn a_rotation_is_abandoned_until_it_is_activated_and_the_journal_says_so() {
    let desk = Desk::open().await;
    let before = shown(&desk).await;
    assert_eq!(step(&desk, "prepare", false).await.status, 204);
    let again = step(&desk, "prepare", false).await;
    assert_eq!(again.body["detail"], "the roots are prepared: the step that follows is activate, or abandon");
    assert_eq!(step(&desk, "abandon", false).await.status, 204, "it locks nobody out");
    let after = shown(&desk).await;
    let phase = |shown: &Value| (shown["phase"].clone(), shown["revision"].clone(), shown["too_early"].clone());
    assert_eq!((&after["roots"], phase(&after)), (&before["roots"], (json!("settled"), json!(2), Value::Null)));
    assert_eq!(step(&desk, "abandon", false).await.problem(), (409, None));
    assert_eq!(step(&desk, "prepare", false).await.status, 204);
    assert_eq!(step(&desk, "activate", true).await.status, 204);
    let late = step(&desk, "abandon", false).await;
    assert_eq!(late.problem(), (409, None));
    let why = "the next roots sign already and cannot be abandoned: the step that follows is retire";
    assert_eq!(late.body["detail"], why);
    let told = told(&desk).await;
    let kinds: Vec<_> = told.iter().map(|entry| entry["event"]["kind"].as_str().unwrap_or_default()).collect();
    assert_eq!(kinds, ["ca_prepared", "ca_abandoned", "ca_prepared", "ca_activated"]);
    let (event, roots) = (&told[1]["event"], &before["roots"]);
    assert_eq!((&event["revision"], &event["server"]), (&json!(2), &roots[0]["fingerprint"]));
    assert_eq!((&told[1]["actor"], &event["agents"]), (&json!("local:0"), &roots[1]["fingerprint"]));
}

#[tokio::test]
async fn an_abandoned_rotation_is_told_after_a_power_cut() {
    let desk = Desk::empty().await;
    assert_eq!(step(&desk, "prepare", false).await.status, 204);
    let written = desk.app.authority.write(collector::pki::rotation::Step::Abandon, collector::clock::now());
    drop(written.expect("written"));
    let desk = desk.restarted().await;
    collector::api::ca::catch_up(&desk.app).await;
    collector::api::ca::catch_up(&desk.app).await;
    let told = told(&desk).await;
    assert_eq!((told.len(), &told[1]["event"]["kind"]), (2, &json!("ca_abandoned")));
}

#[tokio::test]
async fn a_restart_goes_on_where_the_files_stand_and_tells_what_was_not_told() {
    let desk = Desk::empty().await;
    assert_eq!(step(&desk, "prepare", false).await.status, 204);
    let before = shown(&desk).await;
    let desk = desk.restarted().await;
    collector::api::ca::catch_up(&desk.app).await;
    assert_eq!((shown(&desk).await, told(&desk).await.len()), (before, 1));
    // The power is cut after the files and before the journal.
    let written = desk.app.authority.write(collector::pki::rotation::Step::Activate, collector::clock::now());
    drop(written.expect("written"));
    let desk = desk.restarted().await;
    assert_eq!(shown(&desk).await["phase"], "activated");
    for _ in 0..2 {
        collector::api::ca::catch_up(&desk.app).await;
        let told = told(&desk).await;
        assert_eq!((told.len(), &told[1]["actor"]), (2, &json!("rule:restart")));
        assert_eq!((&told[1]["event"]["kind"], &told[1]["event"]["revision"]), (&json!("ca_activated"), &json!(2)));
    }
}

#[tokio::test]
async fn a_step_that_cannot_be_told_is_not_taken() {
    let desk = Desk::empty().await;
    let before = shown(&desk).await;
    let key = crate::desk::Ask::new("POST", "/v1/tickets").body(r#"{"kind": "request", "title": "A laptop"}"#);
    assert_eq!(desk.ask(key.header("idempotency-key", "k").local()).await.status, 201);
    let step = crate::desk::Ask::new("POST", "/v1/ca/prepare").body("{}").header("idempotency-key", "k").local();
    assert_eq!(desk.ask(step).await.problem(), (422, Some("Idempotency-Key")));
    assert_eq!(shown(&desk).await, before);
    let desk = desk.restarted().await;
    assert_eq!(shown(&desk).await, before);
}
