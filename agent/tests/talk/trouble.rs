//! What went wrong in the world and must heal by itself: clocks, grants, refusals, crashes, upgrades.

use super::*;
use agent::source::Stat;
use shared::checkin::State;
use shared::unit::At;
use std::time::Duration;

pub(super) fn generation(scene: &Scene) -> u64 {
    scene.last(|_, _, generation| generation)
}

pub(super) fn there(scene: &Scene, name: &str) -> bool {
    scene.config.state_dir.join(name).exists()
}

/// This clock is past the end of the certificate and the collector's is not: what a fast clock looks like.
#[test]
fn a_fast_clock_and_a_failed_contact_silence_nobody() {
    run(async {
        let scene = Scene::new().await;
        scene.edit("identity.json", |identity| identity["expires"] = (server::now().0 - 60_000_000).into());
        let mut agent = scene.agent();
        scene.is(Mood::Down);
        agent.check_in(ALL).await;
        assert!(agent.status().trouble.is_some());
        scene.is(Mood::StillGood);
        agent.check_in(ALL).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 1));
        // By the collector's clock it has ended too, and the collector says that it has not: it knows better.
        agent.check_in(CONTACT).await;
        assert_eq!(agent.status().trouble, None);
    });
}

#[test]
fn a_grant_that_leads_nowhere_is_given_up_and_not_asked_for_again_at_once() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        scene.is(Mood::Misleads);
        agent.check_in(ALL).await;
        assert!(there(&scene, "next.json"));
        for _ in 0..2 {
            agent.check_in(CONTACT).await;
            assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 1));
            assert!(!there(&scene, "next.json") && !there(&scene, "next-key.pem"));
        }
        assert_eq!(scene.server.0.borrow().generations.len(), 2);
        // Half of what was left has passed, and the collector names the right place now.
        scene.server.0.borrow_mut().ahead_s = 6 * 86_400 + 3600;
        scene.is(Mood::Good);
        agent.check_in(CONTACT).await;
        agent.check_in(CONTACT).await;
        assert_eq!(generation(&scene), 3);
    });
}

#[test]
fn a_recovery_that_leads_nowhere_is_asked_for_again() {
    run(async {
        let scene = Scene::unenrolled().await;
        scene.server.0.borrow_mut().life_s = -60;
        scene.enroll().await;
        scene.server.0.borrow_mut().life_s = 7 * 86_400;
        let mut agent = scene.agent();
        // A handshake that ends over the certificate may look like a broken connection; then it takes another try.
        for mood in [Mood::Misleads, Mood::Misleads, Mood::Good, Mood::Good, Mood::Good] {
            scene.is(mood);
            agent.check_in(ALL).await;
        }
        assert_eq!(agent.status().trouble, None);
        scene.assert_in_step();
    });
}

#[test]
fn a_broken_network_costs_no_grant() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        scene.is(Mood::Down);
        agent.check_in(CONTACT).await;
        assert!(agent.status().trouble.is_some() && there(&scene, "next.json"));
        scene.is(Mood::Good);
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 2));
    });
}

/// The collector lets go of a certificate at the first sight of the next one: whoever shows it then is a copy.
#[test]
fn a_lost_answer_to_a_renewed_certificate_makes_no_copy() {
    for restart in [false, true] {
        run(async {
            let scene = Scene::new().await;
            let mut agent = scene.agent();
            scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
            agent.check_in(ALL).await;
            for mood in [Mood::LosesAnswers, Mood::Says(500), Mood::Down] {
                scene.is(mood);
                scene.version(&format!("{mood:?}"));
                agent.check_in(CONTACT).await;
                assert!(agent.status().trouble.is_some());
                if restart {
                    drop(agent);
                    agent = scene.agent();
                }
            }
            scene.is(Mood::Good);
            agent.check_in(CONTACT).await;
            assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 2));
            assert_eq!(scene.server.0.borrow().forks, 0);
            scene.assert_in_step();
        });
    }
}

#[test]
fn a_post_that_is_broken_off_may_have_been_seen() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        // The collector runs on this thread: it cannot answer in between.
        let ended = tokio::time::timeout(Duration::ZERO, agent.check_in(CONTACT)).await;
        assert!(ended.is_err());
        drop(agent);
        // Nobody is there now; that does not make the one before the right one.
        scene.edit("next.json", |next| next["agent_url"] = "https://localhost:1".into());
        let (mut agent, before) = (scene.agent(), scene.posts());
        agent.check_in(CONTACT).await;
        assert!(agent.status().trouble.is_some() && there(&scene, "next.json"));
        assert_eq!(scene.posts(), before);
    });
}

#[test]
fn a_renewed_certificate_that_ended_unanswered_is_recovered_from() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        scene.is(Mood::LosesAnswers);
        agent.check_in(CONTACT).await;
        scene.is(Mood::Ends(3));
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 3));
        let state = scene.server.0.borrow();
        assert_eq!((state.forks, &state.recovered[..]), (0, &[2][..]));
    });
}

#[test]
fn a_goodbye_with_a_renewed_certificate_puts_it_in_use() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        agent.say_goodbye(Goodbye::Stop).await;
        assert_eq!(generation(&scene), 2);
        assert!(!there(&scene, "next.json"));
    });
}

/// The server's certificate lives for 30 days, the agent's for 7.
#[test]
fn a_collector_whose_clock_was_wrong_is_trusted_again() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 40 * 86_400;
        agent.check_in(ALL).await;
        scene.server.0.borrow_mut().ahead_s = 0;
        // A new connection with the renewed certificate, then a new process.
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 2));
        drop(agent);
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        assert_eq!(agent.status().trouble, None);
    });
}

#[test]
fn one_refused_record_holds_up_no_backlog() {
    for named in [true, false] {
        run(async {
            let scene = Scene::new().await;
            let mut agent = scene.agent();
            agent.check_in(ALL).await;
            scene.is(Mood::Down);
            for version in 2..30 {
                scene.version(&format!("{version}.0-1"));
                agent.check_in(CONTACT).await;
            }
            scene.is(Mood::Chokes(20, named));
            agent.check_in(CONTACT).await;
            assert_eq!((agent.status().trouble.as_deref(), agent.status().refused), (None, 1), "{named}");
            assert!(there(&scene, "refused/00000000000000000020.json"));
            assert_eq!(scene.held().as_deref(), Some("29.0-1"));
        });
    }
}

#[test]
fn what_is_disabled_takes_no_evidence_along() {
    run(async {
        let mut scene = Scene::new().await;
        scene.config.disabled = vec!["disks".into(), "network".into(), "os".into()];
        scene.agent().check_in(ALL).await;
        {
            let state = scene.server.0.borrow();
            let evidence = state.collector.rows("evidence").expect("told");
            assert!(evidence.keys().any(|key| key.starts_with("machine_id:")), "{evidence:?}");
        }
        // The same on another machine.
        *scene.machine.0.borrow_mut() = tape(600, "1.0-1").file("/etc/machine-id", "f".repeat(32) + "\n");
        scene.agent().check_in(ALL).await;
        scene.last(|check_in, _, _| assert!(check_in.moved));
    });
}

#[test]
fn one_agent_a_state_directory() {
    run(async {
        let scene = Scene::new().await;
        let agent = scene.agent();
        let second = Agent::open(&scene.config, Box::new(scene.machine.clone()));
        let fail = second.err().expect("taken");
        assert_eq!(fail.code, Code::State);
        drop(agent);
        scene.agent();
    });
}

/// A machine on which a probe with a mark fails; counts how often it is asked.
struct Counted(Machine, Rc<RefCell<usize>>);

impl Source for Counted {
    fn get(&self, ask: &Ask) -> Result<Answer, Miss> {
        if matches!(ask, Ask::Command(_)) {
            *self.1.borrow_mut() += 1;
            return Err(Miss::Failed("as told".into()));
        }
        self.0.get(ask)
    }
}

#[test]
fn a_probe_that_fails_is_tried_again_when_its_mark_changes() {
    run(async {
        let scene = Scene::new().await;
        let stat = |seconds| Stat {
            form: 'd',
            size_bytes: 0,
            modified: At::from_secs(seconds),
            uid: 0,
            mode: 0o755,
            device: (0, 1),
            inode: 1,
        };
        let booted = |changed| {
            let tape = tape(1, "1").clock(At::from_secs(1_000_000));
            tape.stat("/run/systemd/system", stat(1)).stat("/run/systemd/units", stat(changed))
        };
        *scene.machine.0.borrow_mut() = booted(1);
        let asked = Rc::new(RefCell::new(0));
        let source = Counted(scene.machine.clone(), asked.clone());
        let mut agent = Agent::open(&scene.config, Box::new(source)).expect("usable").expect("enrolled");
        agent.check_in(ALL).await;
        for _ in 0..3 {
            agent.check_in(CONTACT).await;
        }
        assert_eq!(*asked.borrow(), 1);
        *scene.machine.0.borrow_mut() = booted(2);
        agent.check_in(CONTACT).await;
        assert_eq!(*asked.borrow(), 2);
    });
}

#[test]
fn a_gap_is_told_once_whatever_ends_the_process() {
    run(async {
        let scene = Scene::new().await;
        scene.edit("status.json", |status| {
            status["untold"] = serde_json::json!({"records": 3, "from": 0, "to": 0, "reason": "quota"});
        });
        let mut agent = scene.agent();
        // It ends while it waits for the collector.
        let ended = tokio::time::timeout(Duration::ZERO, agent.check_in(ALL)).await;
        assert!(ended.is_err());
        drop(agent);
        let mut agent = scene.agent();
        scene.version("2.0-1");
        agent.check_in(ALL).await;
        let state = scene.server.0.borrow();
        let records = state.posts.iter().flat_map(|post| &post.check_in.records);
        let gaps: Vec<u64> = records.filter_map(|record| record.gap.as_ref()).map(|gap| gap.records).collect();
        assert_eq!(gaps, [3]);
    });
}

#[test]
fn a_section_that_a_former_version_told_goes_at_both_ends() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        drop(agent);
        // As if a probe `gone` had told the users.
        let told = |name: &str| scene.config.state_dir.join(format!("told/{name}.json.zst"));
        let text = zstd::bulk::decompress(&std::fs::read(told("users")).expect("told"), 1 << 20).expect("zstd");
        let text = String::from_utf8(text).expect("text").replace(r#""section":"users""#, r#""section":"gone""#);
        std::fs::write(told("gone"), zstd::bulk::compress(text.as_bytes(), 1).expect("zstd")).expect("written");
        let part: shared::checkin::Part = serde_json::from_str(&text).expect("a part");
        assert!(scene.server.0.borrow_mut().collector.apply(&part));
        let mut agent = scene.agent();
        assert!(!told("gone").exists());
        agent.check_in(CONTACT).await;
        assert_eq!(scene.server.0.borrow().collector.rows("gone"), None);
        scene.assert_in_step();
        assert!(scene.server.0.borrow().collector.rows("users").is_some());
    });
}

/// A machine with 20,001 packages whose fields are as long as Debian's: more than the collector takes in one body.
#[test]
fn the_largest_section_arrives_and_a_larger_one_says_that_it_was_cut() {
    let one = |n: usize| {
        let noise = shared::digest::of_bytes(&n.to_le_bytes());
        format!(
            "Package: lib{noise}-{n:05}\nStatus: install ok installed\nInstalled-Size: {n}\nSection: libs\n\
             Maintainer: Debian {noise} Maintainers <pkg-{n}@lists.alioth.debian.org>\nArchitecture: amd64\n\
             Source: source-{noise}\nVersion: {n}.{noise}+dfsg-1\nDescription: {noise} {noise} in {n} words\n"
        )
    };
    run(async {
        let scene = Scene::new().await;
        let status: Vec<String> = (0..20_001).map(one).collect();
        *scene.machine.0.borrow_mut() = tape(1, "1").file("/var/lib/dpkg/status", status.join("\n"));
        let mut agent = scene.agent();
        agent.check_in(ALL).await;
        assert_eq!(agent.status().trouble, None);
        {
            let state = scene.server.0.borrow();
            assert_eq!(state.collector.rows("dpkg").map(|rows| rows.len()), Some(20_000));
            let mut parts = 0;
            for post in &state.posts {
                assert!(post.bytes <= shared::limit::BODY_COMPRESSED_BYTES, "{} bytes", post.bytes);
                let value = serde_json::to_value(&post.check_in).expect("JSON");
                assert!(values(&value) <= shared::limit::JSON_NODES, "{} values", values(&value));
                assert!(value.to_string().len() <= shared::limit::BODY_BYTES);
                for part in post.check_in.records.iter().flat_map(|record| &record.sections) {
                    if part.section == "dpkg" {
                        parts += 1;
                        assert!(part.truncated && part.state == State::Seen);
                        assert_eq!(part.problems[0].detail, "20001 rows found, the first 20000 by key are told");
                    }
                }
            }
            assert!(parts > 1, "the test is too small");
        }
        scene.assert_in_step();
        // What is on disk is what was told in the end.
        drop(agent);
        let before = scene.posts();
        scene.agent().check_in(ALL).await;
        let state = scene.server.0.borrow();
        let again = state.posts[before..].iter().flat_map(|post| &post.check_in.records).flat_map(|one| &one.sections);
        assert_eq!(again.filter(|part| part.section == "dpkg").count(), 0);
    });
}

fn values(value: &serde_json::Value) -> usize {
    1 + match value {
        serde_json::Value::Array(list) => list.iter().map(values).sum(),
        serde_json::Value::Object(map) => map.values().map(values).sum(),
        _ => 0,
    }
}
