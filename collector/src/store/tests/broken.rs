//! What fails, and who is told what.

use super::*;
use crate::store::{check, journal, page::Page, read};

fn tokens(path: &Path) -> usize {
    let mut reader = open::reader(path).expect("a reader");
    read::tokens::join_list(&mut reader, &Page::default()).expect("tokens").rows.len()
}

fn trapped(path: &Path, springs: Vec<(&'static str, Error)>) -> Writer<Trap> {
    writer(Trap { engine: fresh(path), springs: Arc::new(Mutex::new(springs)) }, path)
}

#[test]
fn a_failing_work_does_not_sink_its_neighbours() {
    let (_directory, path) = place();
    let mut writer = writer(fresh(&path), &path);
    let stranger = Work::Act {
        actor: Actor::Join(JoinTokenId(Uuid::from_u128(99))),
        act: Act::Enroll {
            token: JoinTokenId(Uuid::from_u128(99)),
            hash: [0; 32],
            fingerprint: "f".into(),
            name: "stranger".into(),
            version: "0".into(),
            source: "192.0.2.1".parse().expect("an address"),
        },
    };
    // The second token has the id of the first: its row is held already.
    let (done, answers) = batch(&mut writer, vec![create(1), stranger, create(1), create(2)]);
    assert_eq!(done, Ok(()));
    assert!(matches!(
        answers[..],
        [Ok(Reply::Done), Err(Denied::Refused(_)), Err(Denied::Busy { .. }), Ok(Reply::Done)]
    ));
    assert_eq!(tokens(&path), 2);
    let mut reader = open::reader(&path).expect("a reader");
    let told = read::events::list(&mut reader, &read::events::EventFilter::default(), 10).expect("events");
    let kinds: Vec<String> = told.iter().map(|entry| format!("{} {}", entry.seq, entry.actor)).collect();
    assert_eq!(kinds, ["1 local:1000", "2 rule:enroll", "3 local:1000"], "no hole where a work was taken back");
}

#[test]
fn a_raced_row_is_decided_again() {
    let (_directory, path) = place();
    let mut writer = trapped(&path, vec![("insert into join_token", Error::Raced); 2]);
    let (done, answers) = batch(&mut writer, vec![create(1)]);
    assert!(done.is_ok() && matches!(answers[..], [Ok(Reply::Done)]));
    assert_eq!((tokens(&path), journal::head(&mut open::reader(&path).expect("a reader"))), (1, Ok(1)));
}

#[test]
fn an_io_error_fails_all_and_is_not_retried() {
    for step in ["insert into join_token", "insert into journal", "commit"] {
        let (_directory, path) = place();
        let mut writer = trapped(&path, vec![(step, Error::Io("injected".into()))]);
        let (done, answers) = batch(&mut writer, vec![create(1), create(2)]);
        assert!(matches!(&done, Err(Error::Io(what)) if what.ends_with("injected")), "{step}: {done:?}");
        assert!(answers.iter().all(|answer| matches!(answer, Err(Denied::Down(_)))), "{step}: {answers:?}");
        assert_eq!(tokens(&path), 0, "{step}");
    }
}

#[test]
fn the_end_tells_that_the_log_could_not_be_moved() {
    for (error, end) in [(Error::Io("injected".into()), Err(Error::Io("injected".into()))), (Error::Full, Ok(()))] {
        let (_directory, path) = place();
        let writer = trapped(&path, vec![("rest", error)]);
        let (queue, jobs) = std::sync::mpsc::sync_channel(2);
        let (work, mut answer) = job(create(1));
        queue.send(work).and_then(|()| queue.send(Job::Stop)).expect("queued");
        assert_eq!(writer.run(&jobs), end);
        assert!(matches!(answer.try_recv(), Ok(Ok(Reply::Done))), "what was committed was answered");
        assert_eq!(tokens(&path), 1);
    }
}

#[test]
fn the_log_is_moved_into_the_database_before_it_is_long() {
    let (_directory, path) = place();
    let writer = writer(fresh(&path), &path);
    let (queue, jobs) = std::sync::mpsc::sync_channel(8);
    let writing = std::thread::spawn(move || writer.run(&jobs));
    let mut longest = 0;
    for number in 0..600 {
        let (work, answer) = job(create(number));
        queue.send(work).expect("queued");
        answer.blocking_recv().expect("an answer").expect("done");
        longest = longest.max(std::fs::metadata(path.with_extension("db-wal")).map_or(0, |log| log.len()));
    }
    drop(queue);
    writing.join().expect("a thread").expect("it worked");
    assert!(longest < 17 << 20, "{longest} bytes");
    assert!(std::fs::metadata(&path).expect("a database").len() > 100 << 10, "moved");
}

#[test]
fn a_full_disk_turns_all_away_and_loses_nothing() {
    let (_directory, path) = place();
    let engine = fresh(&path);
    engine.pragma("max_page_count", 90).expect("a bound");
    let mut writer = writer(engine, &path);
    let (mut taken, mut number) = (0, 0);
    loop {
        let works = (0..64).map(|n| create(number + n)).collect();
        number += 64;
        let (done, answers) = batch(&mut writer, works);
        assert_eq!(done, Ok(()), "a full disk does not stop the writer");
        if answers.iter().any(Result::is_err) {
            assert!(answers.iter().all(|answer| matches!(answer, Err(Denied::Busy { retry_s: 60 }))), "{answers:?}");
            break;
        }
        taken += answers.len();
    }
    assert!(taken > 0);
    writer.engine.pragma("max_page_count", 10_000).expect("space again");
    let (_, answers) = batch(&mut writer, vec![create(number)]);
    assert!(matches!(answers[..], [Ok(Reply::Done)]), "{answers:?}");
    let mut reader = open::reader(&path).expect("a reader");
    assert_eq!(journal::head(&mut reader), Ok(taken as u64 + 1));
    assert_eq!(check::check(&mut reader), Ok(Vec::new()));
}

#[test]
fn a_nearly_full_disk_stops_machines_but_not_people() {
    let (_directory, path) = place();
    let mut writer = writer(fresh(&path), &path);
    writer.floor = disk::Floor::new(path.parent().expect("a directory").to_owned(), Some(u64::MAX));
    let goodbye = Work::Act {
        actor: Actor::Agent(shared::id::AgentId(Uuid::from_u128(5))),
        act: Act::Beat { agent: shared::id::AgentId(Uuid::from_u128(5)) },
    };
    let (_, answers) = batch(&mut writer, vec![goodbye, create(1)]);
    assert!(matches!(answers[..], [Err(Denied::Busy { .. }), Ok(Reply::Done)]), "{answers:?}");
}
