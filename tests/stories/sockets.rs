//! Sockets that a service manager opened: the collector answers on them and leaves them behind.

use serde_json::{Value, json};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};
use tests::{World, binary};

/// Becomes the collector with standard input and standard error as its passed sockets.
const LAUNCH: &str = "exec 3<&0 4<&2 0</dev/null 2>>\"$LOG\"\n\
    LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=\"$NAMES\"\nexport LISTEN_PID LISTEN_FDS LISTEN_FDNAMES\nexec \"$@\"";

fn launcher(world: &World, names: &str, admin: &UnixListener, web: &TcpListener) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", LAUNCH, "sh"]).arg(binary("muster")).args(["serve", "--config"]);
    command.arg(world.path("muster.toml")).env("LOG", world.path("collector.log")).env("NAMES", names);
    let kept = |socket: OwnedFd| Stdio::from(socket);
    command.stdin(kept(admin.try_clone().expect("a copy").into()));
    command.stderr(kept(web.try_clone().expect("a copy").into()));
    command
}

#[test]
fn passed_sockets_are_served_and_outlive_the_collector() {
    let mut world = World::start();
    world.stop_collector();
    let admin = UnixListener::bind(world.path("admin.sock")).expect("a socket");
    let web = TcpListener::bind("127.0.0.1:0").expect("a port");
    let expected = web.local_addr().expect("an address");

    world.launch(launcher(&world, "admin:web", &admin, &web));
    assert_eq!(world.address("web"), expected);
    let made = world.ask("POST", "/v1/join-tokens", &json!({})).expect("answered on the passed socket");
    assert_ne!(made["id"], Value::Null);
    world.stop_collector();
    assert!(world.path("admin.sock").exists(), "what was passed is not removed");

    // Asked while nobody is there: answered by the next one, not refused.
    let socket = world.path("admin.sock");
    let asking = std::thread::spawn(move || tests::ask(&socket, "GET", "/v1/join-tokens", &Value::Null));
    world.launch(launcher(&world, "admin:web", &admin, &web));
    let answer = asking.join().expect("asked").expect("answered");
    assert_eq!(answer["items"][0]["id"], made["id"]);
    world.stop_collector();

    let refused = launcher(&world, "admin:www", &admin, &web).stdout(Stdio::null()).status().expect("ended");
    assert_eq!(refused.code(), Some(9));
    let log = world.read("collector.log");
    assert!(log.contains("the passed socket \"www\": is none of admin, agents, web"), "{log}");
}
