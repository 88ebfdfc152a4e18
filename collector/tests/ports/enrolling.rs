//! Enrollment and recovery.

use crate::house::{House, csr, key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use collector::secret::{self, Prefix};
use rcgen::SigningKey as _;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Value, json};
use shared::enroll::recovery_text;
use std::sync::Arc;

const NO_BOUND: &str = "[limits]\nrefused_a_minute = 0\nper_address = 1000";

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_methods, reason = "the test awaits what it spawns")]
async fn a_token_for_one_lets_one_in() {
    let house = Arc::new(House::open(NO_BOUND).await);
    let token = house.token(1, 600, None).await;
    let mut tries = Vec::new();
    for _ in 0..50 {
        let (house, token) = (house.clone(), token.clone());
        tries.push(tokio::spawn(async move {
            let key = key();
            let answer = house.enroll(&token, &key).await;
            (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"), key)
        }));
    }
    let mut winners = Vec::new();
    for one in tries {
        let (status, body, key) = one.await.expect("a try");
        match status {
            201 => winners.push((body, key)),
            other => assert_eq!(other, 403, "{body}"),
        }
    }
    let [(first, key)] = &winners[..] else { panic!("{} won", winners.len()) };
    let again = house.enroll(&token, key).await;
    assert_eq!(again.status(), 200);
    assert_eq!(again.json::<Value>().await.expect("JSON")["agent"], first["agent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_looks_the_same() {
    let house = House::open(NO_BOUND).await;
    let expired = house.token(1, -1, None).await;
    let elsewhere = house.token(1, 600, Some("192.0.2.0/24")).await;
    let good = house.token(1, 600, None).await;
    let id = secret::parse(Prefix::Join, &good).expect("a token").id;
    let wrong = secret::make(Prefix::Join, id).expect("another secret").text.to_string();
    let mut bodies = Vec::new();
    for token in [&expired, &elsewhere, &wrong, "mjt_x", "'; drop table agent; --"] {
        let answer = house.enroll(token, &key()).await;
        bodies.push((answer.status().as_u16(), answer.text().await.expect("text")));
    }
    assert_eq!(bodies[0].0, 403);
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    for csr in ["", "!", "QUJD", &"A".repeat(9000)] {
        let body = json!({"token": good, "csr": csr, "name": "host", "version": "1"});
        assert_eq!(house.post_web("/v1/enroll", &body).await.status().as_u16() / 100, 4);
    }
    assert_eq!(house.enroll(&good, &key()).await.status(), 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_too_often_has_to_wait() {
    let house = House::open("[limits]\nrefused_a_minute = 3").await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = house.enroll("mjt_x", &key()).await;
        seen.push((answer.status().as_u16(), answer.headers().contains_key("retry-after")));
    }
    assert_eq!(seen, [(403, false), (403, false), (403, false), (429, true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_wants_the_old_key() {
    let house = House::open(NO_BOUND).await;
    let agent = house.agent().await;
    let certificate = CertificateDer::from_pem_slice(agent.certificate.as_bytes()).expect("a certificate");
    let fresh = key();
    let message = recovery_text(1, &STANDARD.decode(csr(&fresh)).expect("base64"));
    let body = |signer: &rcgen::KeyPair| {
        json!({
            "certificate": STANDARD.encode(&certificate),
            "csr": csr(&fresh),
            "generation": 1,
            "signature": STANDARD.encode(signer.sign(&message).expect("signed")),
        })
    };
    // ECDSA requests differ each time they are made; so the one that was signed is the one that is sent.
    let request = STANDARD.encode(&message[recovery_text(1, &[]).len()..]);
    let with = |mut body: Value| {
        body["csr"] = json!(request);
        body
    };
    assert_eq!(house.post_web("/v1/recover", &with(body(&key()))).await.status(), 403);
    // The right key is known as such; but its certificate is still good, so there is nothing to recover.
    let answer = house.post_web("/v1/recover", &with(body(&agent.key))).await;
    let status = answer.status().as_u16();
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!(status, 409, "{problem}");
}
