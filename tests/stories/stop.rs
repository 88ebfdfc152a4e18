//! A collector that is told to stop: whoever waits is answered, and nobody waits for it.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::{Duration, Instant};
use tests::World;

/// Far less than a poll may be held, far more than a stop takes.
const STOP: Duration = Duration::from_secs(8);

/// Status line and body of one answer.
fn answer(stream: &mut BufReader<UnixStream>) -> (String, Value) {
    let (mut status, mut length) = (String::new(), 0);
    stream.read_line(&mut status).expect("a status line");
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).expect("a header");
        match line.to_ascii_lowercase().strip_prefix("content-length:") {
            Some(bytes) => length = bytes.trim().parse().expect("a length"),
            None if line.trim().is_empty() => break,
            None => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).expect("a body");
    (status, serde_json::from_slice(&body).expect("JSON"))
}

#[test]
fn a_stop_answers_who_waits_for_events_at_once() {
    let mut world = World::start();
    let head = world.head();
    let mut stream = BufReader::new(UnixStream::connect(world.path("admin.sock")).expect("the socket"));
    // In one write: when the first is answered, the second has come.
    let get = |wait_s| format!("GET /v1/events?after={head}&wait_s={wait_s} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    stream.get_mut().write_all((get(0) + &get(15)).as_bytes()).expect("asked");
    assert!(answer(&mut stream).0.contains(" 200 "));
    let told = Instant::now();
    let pid = world.collector_pid().expect("a collector").to_string();
    assert!(Command::new("kill").arg(pid).status().expect("kill").success());
    let (status, body) = answer(&mut stream);
    assert!(status.contains(" 200 "), "{status}");
    assert_eq!((&body["items"], &body["head"]), (&json!([]), &json!(head)));
    assert_eq!(world.collector_end(), Some(0), "{}", world.read("collector.log"));
    assert!(told.elapsed() < STOP, "{:?}", told.elapsed());
}
