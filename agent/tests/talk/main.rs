//! Agent and collector over real TLS on loopback: joining, reporting, what is asked for, renewal, absence.

mod disk;
#[path = "../../src/model.rs"]
mod model;
mod server;
mod trouble;

use agent::config::Config;
use agent::enroll;
use agent::exit::Code;
use agent::run::Agent;
use agent::schedule::Due;
use agent::source::tape::Tape;
use agent::source::{Answer, Ask, Miss, Source};
use agent::state::identity::Vault;
use server::{Mood, Server};
use shared::checkin::{CheckIn, Goodbye, Rows};
use std::cell::RefCell;
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;

const ALL: Due = Due { sample: true, contact: true, hour: true };
const CONTACT: Due = Due { sample: true, contact: true, hour: false };

/// A machine whose tape can be exchanged.
#[derive(Clone)]
struct Machine(Rc<RefCell<Tape>>);

impl Source for Machine {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        self.0.borrow().get(ask)
    }
}

/// A machine with that many packages; the first has this version.
fn tape(packages: usize, version: &str) -> Tape {
    let one = |n: usize| {
        let version = if n == 0 { version } else { "1.0-1" };
        format!(
            "Package: package-{n}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\nInstalled-Size: {n}\n"
        )
    };
    let status: Vec<String> = (0..packages).map(one).collect();
    Tape::new()
        .file("/var/lib/dpkg/status", status.join("\n"))
        .file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
}

/// Everything that a test has.
struct Scene {
    server: Server,
    machine: Machine,
    config: Config,
    _dir: tempfile::TempDir,
}

impl Scene {
    /// An enrolled agent.
    async fn new() -> Scene {
        let scene = Scene::unenrolled().await;
        scene.enroll().await;
        scene
    }

    async fn unenrolled() -> Scene {
        let dir = tempfile::tempdir().expect("a folder");
        let config = Config { state_dir: dir.path().to_owned(), ..Config::default() };
        let machine = Machine(Rc::new(RefCell::new(tape(600, "1.0-1"))));
        Scene { server: Server::start("localhost").await, machine, config, _dir: dir }
    }

    async fn enroll(&self) {
        let vault = Vault::open(&self.config.state_dir).expect("a vault");
        enroll::enroll(&self.server.join(), "test", &vault, None).await.expect("enrolled");
    }

    fn agent(&self) -> Agent {
        Agent::open(&self.config, Box::new(self.machine.clone())).expect("usable").expect("enrolled")
    }

    fn is(&self, mood: Mood) {
        self.server.0.borrow_mut().mood = mood;
    }

    fn version(&self, version: &str) {
        *self.machine.0.borrow_mut() = tape(600, version);
    }

    /// Changes a file of the state directory while no agent runs.
    fn edit(&self, name: &str, change: impl FnOnce(&mut serde_json::Value)) {
        let path = self.config.state_dir.join(name);
        let text = std::fs::read(&path).unwrap_or_else(|_| b"{}".to_vec());
        let mut value = serde_json::from_slice(&text).expect("JSON");
        change(&mut value);
        std::fs::write(&path, value.to_string()).expect("written");
    }

    fn posts(&self) -> usize {
        self.server.0.borrow().posts.len()
    }

    fn last<T>(&self, read: impl FnOnce(&CheckIn, usize, u64) -> T) -> T {
        let state = self.server.0.borrow();
        let post = state.posts.last().expect("a check-in");
        read(&post.check_in, post.bytes, post.generation)
    }

    /// The version of the first package that the collector holds.
    fn held(&self) -> Option<String> {
        let state = self.server.0.borrow();
        let rows = state.collector.rows("dpkg")?;
        rows.values().find(|item| item.label.as_deref() == Some("package-0"))?.text("version").map(str::to_owned)
    }

    fn assert_in_step(&self) {
        let root = self.server.0.borrow().collector.root();
        assert_eq!(self.last(|check_in, _, _| check_in.root), root);
    }
}

/// Runs a test on one thread, agent and collector together.
fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, test);
}

#[test]
fn an_agent_joins_reports_whole_beats_and_tells_what_changed() {
    run(async {
        let scene = Scene::unenrolled().await;
        assert!(Agent::open(&scene.config, Box::new(scene.machine.clone())).expect("usable").is_none());
        scene.is(Mood::Approves);
        scene.enroll().await;
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        assert_eq!(agent.status().trouble, None);
        scene.last(|check_in, bytes, _| {
            assert!(check_in.records[0].sections.iter().all(|part| part.base.is_none()));
            assert!(bytes <= 80_000, "{bytes} bytes");
        });
        scene.assert_in_step();
        // The second tells the clock, which the first answer brought; from then on there is nothing new.
        agent.check_in(CONTACT).await;
        agent.check_in(CONTACT).await;
        scene.last(|check_in, bytes, _| assert!(check_in.records.is_empty() && bytes <= 200, "{bytes} bytes"));
        scene.version("2.0-1");
        agent.check_in(CONTACT).await;
        scene.last(|check_in, bytes, _| {
            let part = &check_in.records[0].sections[0];
            assert!(matches!(part.rows(), Rows::Delta { put, del: &[], .. } if put.len() == 1), "{part:?}");
            assert!(bytes <= 1500, "{bytes} bytes");
        });
        assert_eq!(scene.held().as_deref(), Some("2.0-1"));
        scene.assert_in_step();
        agent.say_goodbye(Goodbye::Stop).await;
        scene.last(|check_in, _, _| assert_eq!(check_in.goodbye, Some(Goodbye::Stop)));
    });
}

#[test]
fn what_the_collector_lacks_comes_whole() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        scene.server.0.borrow_mut().collector.lose("dpkg");
        // Asked for all digests, then for the section.
        agent.check_in(CONTACT).await;
        agent.check_in(CONTACT).await;
        assert_eq!(scene.server.0.borrow().collector.rows("dpkg").map(|rows| rows.len()), Some(600));
        scene.assert_in_step();
    });
}

#[test]
fn an_absent_collector_gets_everything_in_order_even_after_a_restart() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        scene.is(Mood::Down);
        for version in ["2.0-1", "3.0-1"] {
            scene.version(version);
            agent.check_in(CONTACT).await;
        }
        assert!(agent.status().trouble.is_some());
        drop(agent);
        let mut agent = scene.agent();
        scene.version("4.0-1");
        agent.check_in(ALL).await;
        scene.is(Mood::Good);
        let before = scene.posts();
        agent.check_in(CONTACT).await;
        assert_eq!(agent.status().trouble, None);
        let seqs: Vec<u64> = scene.server.0.borrow().posts[before].check_in.records.iter().map(|r| r.seq).collect();
        let first = seqs[0];
        assert_eq!(seqs, (first..first + seqs.len() as u64).collect::<Vec<_>>());
        assert!(seqs.len() >= 3, "{seqs:?}");
        assert_eq!(scene.held().as_deref(), Some("4.0-1"));
        scene.assert_in_step();
    });
}

#[test]
fn a_certificate_is_renewed_with_a_new_key_and_a_lost_answer_harms_nothing() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        let inode = || std::fs::metadata(scene.config.state_dir.join("key.pem")).expect("there").ino();
        let first = inode();
        agent.check_in(ALL).await;
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        scene.is(Mood::LosesRenewals);
        agent.check_in(CONTACT).await;
        agent.check_in(CONTACT).await;
        assert_eq!((scene.last(|_, _, generation| generation), inode()), (1, first));
        scene.is(Mood::Good);
        agent.check_in(CONTACT).await;
        // A restart between being granted and being used.
        drop(agent);
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 0;
        agent.check_in(ALL).await;
        assert_eq!(scene.last(|_, _, generation| generation), 4);
        assert_ne!(inode(), first);
        assert!(!scene.config.state_dir.join("next-key.pem").exists());
    });
}

#[test]
fn a_renewed_certificate_that_is_refused_leaves_the_one_before() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        scene.is(Mood::Bans(2));
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), agent.status().stopped), (None, false));
        assert_eq!(scene.last(|_, _, generation| generation), 1);
    });
}

#[test]
fn an_expired_agent_finds_back_with_its_old_key() {
    run(async {
        let scene = Scene::unenrolled().await;
        scene.server.0.borrow_mut().life_s = -60;
        scene.enroll().await;
        scene.server.0.borrow_mut().life_s = 7 * 86_400;
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        // A handshake that ends over the certificate may look like a broken connection: then the next try recovers.
        if agent.status().trouble.is_some() {
            agent.check_in(ALL).await;
        }
        assert_eq!(agent.status().trouble, None);
        assert_eq!(scene.last(|_, _, generation| generation), 2);
        scene.assert_in_step();
    });
}

/// A resumed session does not show the certificate again, so HTTP says that it has ended.
#[test]
fn an_agent_whose_certificate_ended_on_a_resumed_session_recovers() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        scene.is(Mood::Ends(2));
        agent.check_in(ALL).await;
        assert_eq!((agent.status().trouble.as_deref(), agent.status().stopped), (None, false));
        assert_eq!(scene.last(|_, _, generation| generation), 2);
        scene.assert_in_step();
        // A collector that refuses what it grants is asked for one certificate in a contact, and again later.
        scene.is(Mood::Ends(u64::MAX));
        agent.check_in(CONTACT).await;
        assert!(agent.status().trouble.is_some() && !agent.status().stopped);
        assert_eq!(scene.server.0.borrow().generations.len(), 3);
        scene.is(Mood::Good);
        agent.check_in(CONTACT).await;
        assert_eq!(agent.status().trouble, None);
    });
}

#[test]
fn refusals_are_told_apart() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        for (status, stopped) in [(403, true), (409, true), (503, false), (429, false)] {
            scene.is(Mood::Says(status));
            agent.check_in(ALL).await;
            assert!(agent.status().trouble.as_deref().is_some_and(|why| why.contains(&format!("({status})"))));
            assert_eq!(agent.status().stopped, stopped, "{status}");
        }
        scene.is(Mood::Says(413));
        agent.check_in(CONTACT).await;
        assert_eq!(agent.status().refused, 1);
        assert!(scene.config.state_dir.join("refused/00000000000000000001.json").exists());
        // The collector asks for what it did not take, and hears what is missing.
        scene.is(Mood::Good);
        for _ in 0..3 {
            agent.check_in(CONTACT).await;
        }
        scene.assert_in_step();
        let state = scene.server.0.borrow();
        let gaps: Vec<_> = state
            .posts
            .iter()
            .flat_map(|post| &post.check_in.records)
            .filter_map(|record| record.gap.clone())
            .collect();
        assert_eq!(gaps.iter().map(|gap| (gap.records, gap.reason.as_str())).collect::<Vec<_>>(), [(1, "refused")]);
    });
}

#[test]
fn a_stranger_is_not_trusted_and_the_spool_keeps_the_report() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        // The right CA with a wrong name, and another CA with the right name.
        let misnamed = Server::start("elsewhere").await;
        let stranger = Server::start("localhost").await;
        let mut join = scene.server.join();
        join.enroll_url = stranger.join().enroll_url;
        for join in [join, misnamed.join()] {
            let dir = tempfile::tempdir().expect("a folder");
            let vault = Vault::open(dir.path()).expect("a vault");
            let fail = enroll::enroll(&join, "test", &vault, None).await.expect_err("not trusted");
            assert_eq!(fail.code, Code::Untrusted, "{fail}");
        }
        let path = scene.config.state_dir.join("identity.json");
        let text = std::fs::read_to_string(&path).expect("there");
        std::fs::write(&path, text.replace(&scene.server.join().agent_url, &stranger.join().agent_url))
            .expect("written");
        drop(agent);
        agent = scene.agent();
        agent.check_in(ALL).await;
        assert!(agent.status().trouble.as_deref().is_some_and(|why| why.starts_with("not trusted")));
        assert_eq!(stranger.0.borrow().posts.len(), 0);
        std::fs::write(&path, text).expect("written");
        drop(agent);
        agent = scene.agent();
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), scene.held().as_deref()), (None, Some("1.0-1")));
    });
}

#[test]
fn a_wrong_token_is_refused_and_not_named() {
    run(async {
        let scene = Scene::unenrolled().await;
        let mut join = scene.server.join();
        join.token = "mjt_secret".into();
        let vault = Vault::open(&scene.config.state_dir).expect("a vault");
        let fail = enroll::enroll(&join, "test", &vault, None).await.expect_err("refused");
        assert_eq!(fail.code, Code::Refused);
        assert!(!fail.text.contains("mjt_secret"), "{fail}");
    });
}

#[test]
fn a_copy_on_another_machine_says_so() {
    run(async {
        let scene = Scene::new().await;
        scene.agent().check_in(ALL).await;
        scene.last(|check_in, _, _| assert!(!check_in.moved));
        *scene.machine.0.borrow_mut() = tape(600, "1.0-1").file("/etc/machine-id", "f".repeat(32) + "\n");
        scene.agent().check_in(ALL).await;
        scene.last(|check_in, _, _| assert!(check_in.moved));
    });
}
