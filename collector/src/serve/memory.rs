//! The database, and what of it is held in memory from the start on.

use crate::cli::exit::{Code, Failure};
use crate::clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::keyring::Keyring;
use crate::store::{Options, Store, engine, open, read};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Opens the database and fills the memory. The receiver hears why, should the writer stop by itself.
pub(super) async fn open(
    config: &Config,
    deployment: Option<uuid::Uuid>,
    fleet: &Arc<Fleet>,
    keyring: &Arc<Keyring>,
) -> Result<(Store, oneshot::Receiver<String>), Failure> {
    let path = config.state_dir.join(super::DATABASE);
    let started = clock::now();
    let (say_down, down) = oneshot::channel();
    let (told_fleet, told_keyring, asked_fleet) = (fleet.clone(), keyring.clone(), fleet.clone());
    let options = Options::new(&path, clock::now)
        .policy(config.policy.clone())
        .ballast()
        .committed(move |rows| {
            told_fleet.committed(rows);
            told_keyring.committed(rows);
        })
        // While the collector was down nobody could be heard: silence counts from its start.
        .heard(move |agent| asked_fleet.heard(agent).max(Some(started)))
        .on_down(move |why| {
            // Nobody listens any more where the process is stopping already.
            let _ = say_down.send(why);
        });
    let options = match deployment {
        Some(id) => options.deployment(id.to_string()),
        None => options,
    };
    let store = Store::open(options).map_err(|error| Failure::new(Code::Database, error.to_string()))?;
    let unread = |error: engine::Error| Failure::new(Code::Database, format!("{}: {error}", path.display()));
    // Not as the API reads: all of a large fleet may take longer than anyone else may.
    let mut engine = open::reader(&path).map_err(|error| Failure::new(Code::Database, error.to_string()))?;
    let agents = read::agents::fleet(&mut engine).map_err(unread)?;
    let waiting = read::faults::waiting(&mut engine).map_err(unread)?;
    let tokens = read::tokens::api_all(&mut engine).map_err(unread)?;
    fleet.load(&agents, &waiting);
    keyring.load(tokens);
    Ok((store, down))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Actor;
    use crate::register::model::{AgentState, JoinToken};
    use crate::register::testing::{Machine, laptop};
    use crate::work::{Act, Reply, Work};
    use shared::id::{AgentId, JoinTokenId};
    use shared::unit::At;
    use std::collections::BTreeMap;

    async fn enrolled(store: &Store, key: &str, now: At) -> AgentId {
        let id = JoinTokenId(uuid::Uuid::from_bytes(crate::secret::random().expect("randomness")));
        let (revoked, approve, cidr) = (false, false, None);
        let token = JoinToken {
            id,
            rev: 1,
            hash: [7; 32],
            created: now,
            creator: "local:0".into(),
            expires: now.plus_secs(600),
            uses: 1,
            used: 0,
            cidr,
            approve,
            labels: BTreeMap::new(),
            revoked,
        };
        let create = Act::CreateJoinToken { token: Box::new(token) };
        store.submit(Work::Act { actor: Actor::Local(0), act: create }).await.expect("a token");
        let act = Act::Enroll {
            token: id,
            hash: [7; 32],
            fingerprint: key.into(),
            name: "host".into(),
            version: "0.1.0".into(),
            source: "192.0.2.1".parse().expect("an address"),
        };
        let reply = store.submit(Work::Act { actor: Actor::Join(id), act }).await.expect("enrolled");
        let Reply::Granted { agent, .. } = reply else { panic!("granted: {reply:?}") };
        agent
    }

    async fn settle(store: &Store, machine: &mut Machine, now: At) {
        loop {
            let record = machine.record(now);
            let reply = store.submit(machine.report(&record)).await.expect("taken");
            let Reply::Report { want, .. } = reply else { panic!("a report's answer: {reply:?}") };
            if want.is_empty() {
                return;
            }
            machine.want(&want);
        }
    }

    #[tokio::test]
    async fn an_outage_of_the_collector_is_no_silence_of_the_agents() {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!("state_dir = \"{0}\"\nadmin_socket = \"{0}/admin.sock\"", folder.path().display());
        let config = crate::config::parse(&text, "test", |_| None).expect("settings");
        let yesterday = clock::now().plus_secs(-86_400);
        let path = folder.path().join(super::super::DATABASE);
        let store = Store::open(Options::new(&path, move || yesterday).floor_bytes(0)).expect("a store");
        let first = enrolled(&store, "first", yesterday).await;
        let mut machine = laptop(first, 1);
        settle(&store, &mut machine, yesterday).await;
        store.close().await;
        drop(store);

        let (fleet, keyring) = (Arc::new(Fleet::default()), Arc::new(Keyring::default()));
        let (store, _down) = open(&config, None, &fleet, &keyring).await.expect("opened");
        let second = enrolled(&store, "second", clock::now()).await;
        settle(&store, &mut machine.wiped(second), clock::now()).await;
        let of = |agent| fleet.member(agent).map(|member| (member.state, member.asset)).expect("a member");
        assert_eq!(of(first).0, AgentState::Active);
        assert_ne!(of(first).1, of(second).1, "the first agent had no chance to be heard");
        store.close().await;
    }
}
