//! A disk that does not take a new identity: whatever is shown to the collector is on the disk before.

use super::trouble::{generation, there};
use super::{ALL, CONTACT, Scene, run};
use std::fs;

/// What nothing can be renamed to.
fn block(scene: &Scene, name: &str) {
    let path = scene.config.state_dir.join(name);
    fs::remove_file(&path).expect("removed");
    fs::create_dir_all(path.join("in the way")).expect("a folder");
}

fn clear(scene: &Scene, name: &str) {
    fs::remove_dir_all(scene.config.state_dir.join(name)).expect("removed");
}

#[test]
fn an_identity_that_could_not_be_put_in_place_is_used_and_put_there_later() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        let key = fs::read(scene.config.state_dir.join("key.pem")).expect("a key");
        block(&scene, "key.pem");
        // New settings are no reason to show the certificate before, which is a copy's by now.
        for health_s in [20, 21] {
            scene.server.0.borrow_mut().settings.health_s = health_s;
            agent.check_in(CONTACT).await;
            assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 2));
            assert!(there(&scene, "next.json") && there(&scene, "next-key.pem"));
        }
        clear(&scene, "key.pem");
        fs::write(scene.config.state_dir.join("key.pem"), key).expect("written");
        agent.check_in(CONTACT).await;
        assert!(!there(&scene, "next.json") && !there(&scene, "next-key.pem"));
        drop(agent);
        let mut agent = scene.agent();
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 2));
        assert_eq!(scene.server.0.borrow().forks, 0);
    });
}

#[test]
fn an_identity_of_which_it_cannot_be_noted_that_it_is_shown_is_not() {
    run(async {
        let scene = Scene::new().await;
        let mut agent = scene.agent();
        scene.server.0.borrow_mut().ahead_s = 5 * 86_400;
        agent.check_in(ALL).await;
        block(&scene, "next.json");
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 1));
        clear(&scene, "next.json");
        drop(agent);
        let mut agent = scene.agent();
        agent.check_in(CONTACT).await;
        assert_eq!((agent.status().trouble.as_deref(), generation(&scene)), (None, 1));
    });
}
