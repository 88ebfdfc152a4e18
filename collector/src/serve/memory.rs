//! The database, and what of it is held in memory from the start on.

use crate::cli::exit::{Code, Failure};
use crate::clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::keyring::Keyring;
use crate::store::{Options, Store, engine, read};
use std::sync::Arc;
use tokio::sync::oneshot;

/// Opens the database and fills the memory. The receiver hears why, should the writer stop by itself.
pub(super) async fn open(
    config: &Config,
    fleet: &Arc<Fleet>,
    keyring: &Arc<Keyring>,
) -> Result<(Store, oneshot::Receiver<String>), Failure> {
    let path = config.state_dir.join(super::DATABASE);
    let (say_down, down) = oneshot::channel();
    let (told_fleet, told_keyring, asked_fleet) = (fleet.clone(), keyring.clone(), fleet.clone());
    let options = Options::new(&path, clock::now)
        .policy(config.policy.clone())
        .ballast()
        .committed(move |rows| {
            told_fleet.committed(rows);
            told_keyring.committed(rows);
        })
        .heard(move |agent| asked_fleet.heard(agent))
        .on_down(move |why| {
            // Nobody listens any more where the process is stopping already.
            let _ = say_down.send(why);
        });
    let store = Store::open(options).map_err(|error| Failure::new(Code::Database, error.to_string()))?;
    let unread = |error: engine::Error| Failure::new(Code::Database, format!("{}: {error}", path.display()));
    let (agents, waiting, tokens) = store
        .read(|engine| {
            Ok((read::agents::fleet(engine)?, read::faults::waiting(engine)?, read::tokens::api_all(engine)?))
        })
        .await
        .map_err(unread)?;
    fleet.load(&agents, &waiting);
    keyring.load(tokens);
    Ok((store, down))
}
