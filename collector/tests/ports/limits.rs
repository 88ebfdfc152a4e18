//! What is refused before it costs anything.

use crate::house::{House, beat};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const FAST: &str = "[limits]\ncheckin_every_ms = 0";

#[tokio::test(flavor = "multi_thread")]
async fn bombs_are_refused_by_name() {
    let house = House::open(FAST).await;
    let agent = house.agent().await;
    let zeros = zstd::encode_all(&vec![0; 64 << 20][..], 3).expect("compressed");
    let window = vec![0x28, 0xB5, 0x2F, 0xFD, 0x00, 21 << 3, 0x01, 0x00, 0x00];
    for (encoding, body, status, field) in [
        ("zstd", zeros.clone(), 413, "body_ratio"),
        ("zstd", window, 413, "zstd_window"),
        ("gzip", zeros.clone(), 415, "content-encoding"),
        ("zstd, zstd", zeros, 415, "content-encoding"),
        ("identity", vec![b' '; (1 << 20) + 1], 413, "body_compressed_bytes"),
        ("identity", format!("{}1{}", "[".repeat(33), "]".repeat(33)).into_bytes(), 422, "json_depth"),
        ("identity", format!("[{}1]", "1,".repeat(200_000)).into_bytes(), 422, "json_nodes"),
        ("identity", format!("[\"{}\"]", "x".repeat(5 << 10)).into_bytes(), 422, "text_bytes"),
    ] {
        let start = Instant::now();
        let request = agent.client.post(house.agents("/v1/checkin")).header("content-encoding", encoding);
        let answer = request.body(body).send().await.expect("an answer");
        let (got, problem) = (answer.status().as_u16(), answer.json::<Value>().await.expect("JSON"));
        assert_eq!((got, &problem["field"]), (status, &json!(field)), "{problem}");
        assert!(start.elapsed() < Duration::from_secs(5), "{field} took {:?}", start.elapsed());
    }
    assert_eq!(agent.check_in(&house, &beat()).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_counted_by_section() {
    let house = House::open(FAST).await;
    let agent = house.agent().await;
    let zero = "0".repeat(32);
    let report = |rows: usize| {
        let put: Vec<Value> = (0..rows).map(|n| json!({"kind": "disk", "key": n.to_string()})).collect();
        let part = json!({"section": "disks", "state": "seen", "digest": zero, "put": put});
        let record = json!({"seq": 1, "at": 0, "root": zero, "sections": [part]});
        json!({"stream": zero, "seq": 1, "root": zero, "records": [record]})
    };
    let answer = agent.check_in(&house, &report(513)).await;
    assert_eq!(answer.status(), 422);
    assert_eq!(answer.json::<Value>().await.expect("JSON")["field"], "records[0].disks.rows");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_comes_too_often_has_to_wait() {
    let house = House::open("[limits]\ncheckin_burst = 2").await;
    let (noisy, quiet) = (house.agent().await, house.agent().await);
    let mut seen = Vec::new();
    for _ in 0..3 {
        let answer = noisy.check_in(&house, &beat()).await;
        seen.push((answer.status().as_u16(), answer.headers().contains_key("retry-after")));
    }
    assert_eq!(seen, [(200, false), (200, false), (429, true)]);
    assert_eq!(quiet.check_in(&house, &beat()).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_host_is_not_served() {
    let house = House::open("").await;
    let request = house.stranger().get(house.web("/healthz")).header("host", "evil");
    let answer = request.send().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), answer.headers()["x-content-type-options"].as_bytes()),
        (421, &b"nosniff"[..])
    );
    assert!(!answer.text().await.expect("text").contains("evil"));
    assert_eq!(house.stranger().get(house.web("/healthz")).send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_not_waited_for() {
    let house = House::open("").await;
    let folder = &house.running.app.config.admin_socket;
    let mut stream = tokio::net::UnixStream::connect(folder).await.expect("connected");
    let start = Instant::now();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: lo").await.expect("sent");
    let mut rest = Vec::new();
    tokio::time::timeout(Duration::from_secs(15), stream.read_to_end(&mut rest)).await.expect("closed").expect("read");
    assert!(start.elapsed() >= Duration::from_secs(9), "closed after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_holds_no_secret_and_stopping_is_quick() {
    let house = House::open("").await;
    let token = house.token(1, 600, None).await;
    let path = house.running.app.config.state_dir.clone();
    let start = Instant::now();
    let House { running, folder: _folder } = house;
    running.stop().await;
    assert!(start.elapsed() < Duration::from_secs(10), "stopping took {:?}", start.elapsed());
    let secret = token.split('_').nth(2).expect("a secret").as_bytes();
    let dump = std::fs::read(path.join("muster.db")).expect("a database");
    assert!(!dump.windows(secret.len()).any(|window| window == secret));
}
