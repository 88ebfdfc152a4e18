//! What was revoked stays revoked, whatever the backup says.

use super::*;
use crate::event::{Event, Told};
use crate::register::model::{AgentState, ApiToken};
use crate::store::backup::Sum;
use crate::store::ledger::{Ledger, Revoked};
use crate::store::page::Page;
use crate::store::restore::restore;
use crate::store::{backup, read};
use shared::id::{AgentId, ApiTokenId};

const API: ApiTokenId = ApiTokenId(Uuid::from_u128(77));

fn enrolled(writer: &mut Writer<Sqlite>, key: &str) -> AgentId {
    let (done, answers) = batch(writer, vec![enroll(key)]);
    let ([Ok(Reply::Granted { agent, .. })], Ok(())) = (&answers[..], done) else { panic!("granted: {answers:?}") };
    *agent
}

fn act(act: Act) -> Work {
    Work::Act { actor: KIM, act }
}

fn api_token() -> Box<ApiToken> {
    Box::new(ApiToken {
        id: API,
        rev: 1,
        hash: [9; 32],
        name: "deploy".into(),
        scopes: vec!["assets:read".into()],
        created: NOW,
        creator: "local:1000".into(),
        expires: NOW.plus_secs(3600),
        cidr: None,
        revoked: false,
    })
}

fn revoke(agent: AgentId) -> Work {
    act(Act::Revoke { agent, reason: "stolen".into() })
}

#[test]
fn what_was_revoked_since_the_backup_stays_so_and_join_tokens_are_dead() {
    let (directory, path) = place();
    let copy = directory.path().join("copy.db");
    let mut writer = writer(fresh(&path), &path);
    writer.ledger = Some(Ledger::beside(&path).expect("none yet"));
    let made = batch(&mut writer, vec![create(1), act(Act::CreateApiToken { token: api_token() })]);
    assert!(made.1.iter().all(Result::is_ok), "{made:?}");
    let (stolen, kept) = (enrolled(&mut writer, "a"), enrolled(&mut writer, "b"));
    let head = backup::create(&path, &copy).expect("a copy").head;
    let since = enrolled(&mut writer, "c");
    let revoked = vec![revoke(stolen), revoke(since), act(Act::RevokeApiToken { token: API })];
    let used_up = Act::RevokeJoinToken { token: join_token(1).id };
    let ended = batch(&mut writer, revoked.into_iter().chain([act(used_up)]).collect());
    assert!(ended.1.iter().all(Result::is_ok), "{ended:?}");
    drop(writer);

    // The database is lost altogether: what is left is the copy and the ledger.
    for ending in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{ending}", path.display()));
    }
    let aside = directory.path().join("aside.db");
    let restored = restore((&copy, Sum::Needed), &path, &aside, 0, NOW).expect("restored");
    assert_eq!((restored.agents, restored.api_tokens, restored.join_tokens), (1, 1, 1));

    let mut engine = open::reader(&path).expect("a reader");
    let fleet = read::agents::fleet(&mut engine).expect("agents");
    let states: Vec<_> = fleet.iter().map(|(agent, _)| (agent.id, agent.state)).collect();
    assert_eq!(states, [(stolen, AgentState::Revoked), (kept, AgentState::Active)], "the third is not known any more");
    assert!(read::tokens::api(&mut engine, API).expect("read").expect("a token").revoked);
    let tokens = read::tokens::join_list(&mut engine, &Page::default()).expect("tokens").rows;
    assert!(tokens.iter().all(|token| token.revoked), "{tokens:?}");
    let told = read::events::list(&mut engine, &read::events::EventFilter::default(), 100).expect("events");
    let last = &told.last().expect("an event").event;
    assert_eq!(last, &Told::Known(Box::new(Event::Restored { head, agents: 1, api_tokens: 1, join_tokens: 1 })));

    let mut writer = super::writer(open::writer(&path, NOW).expect("opened"), &path);
    let (_, answers) = batch(&mut writer, vec![enroll("d"), enroll("a")]);
    assert!(answers.iter().all(|answer| matches!(answer, Err(Denied::Refused(_)))), "{answers:?}");
}

#[test]
fn nobody_is_told_that_an_agent_is_revoked_before_the_ledger_holds_it() {
    let (directory, path) = place();
    let ledger = directory.path().join("revocations.log");
    let mut writer = writer(fresh(&path), &path);
    writer.ledger = Some(Ledger::beside(&path).expect("none yet"));
    assert!(batch(&mut writer, vec![create(1)]).0.is_ok());
    let (first, second) = (enrolled(&mut writer, "a"), enrolled(&mut writer, "b"));
    let (done, answers) = batch(&mut writer, vec![revoke(first)]);
    assert!(done.is_ok() && matches!(answers[..], [Ok(Reply::Done)]), "{answers:?}");
    assert_eq!(Ledger::beside(&path).expect("read").held().collect::<Vec<_>>(), [Revoked::Agent(first)]);

    std::fs::remove_file(&ledger).expect("removed");
    std::fs::create_dir(&ledger).expect("in its place nothing can be written");
    let (done, answers) = batch(&mut writer, vec![revoke(second), create(2)]);
    assert!(matches!(&done, Err(Error::Io(what)) if what.contains("revocations.log")), "{done:?}");
    assert!(answers.iter().all(|answer| matches!(answer, Err(Denied::Down(_)))), "{answers:?}");
    drop(writer);
    std::fs::remove_dir(&ledger).expect("removed");
    let mut engine = open::writer(&path, NOW).expect("opened");
    let held: Vec<_> = open::ledger(&mut engine, &path, NOW).expect("written now").held().collect();
    assert_eq!(held.len(), 2, "the next start adds what a crash kept from it: {held:?}");
}
