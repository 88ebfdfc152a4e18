//! One contact with the collector: delivers what waits, renews the identity when it is time, fetches
//! settings that changed. Says how it ended; when to come again, others decide.

use crate::client::{Client, Floor};
use crate::clock;
use crate::deliver::{self, Outcome};
use crate::enroll;
use crate::exit::Fail;
use crate::log;
use crate::state::files::{self, FileError};
use crate::state::identity::{Stored, Usable, Vault};
use crate::state::stream::Stream;
use shared::checkin::{Answer, CheckIn, Goodbye, Record, Settings};
use shared::unit::At;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Posts in one contact: 10,000 spooled records take 40.
const POSTS_MAX: usize = 64;
/// What to do where the collector is the right one all the same.
const ROTATED: &str =
    "if its CA was rotated without this machine, `muster-agent seal --yes` and enroll with a new join file";
/// A machine that goes down does not wait longer for the collector.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(3);

/// How a contact ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// The collector holds everything.
    Done(Answer),
    /// It did not work; try later, in so many seconds if the collector said so.
    Later(Option<u32>, String),
    /// The collector takes nothing until a person decides.
    Stopped(String),
}

/// The conversation with one collector.
pub struct Contact {
    dir: PathBuf,
    vault: Vault,
    proxy: Option<String>,
    floor: Floor,
    current: Usable,
    client: Client,
    /// Granted, and not used with success yet. Once the collector may have seen it, the current one is never
    /// shown again: the collector lets go of that at the first sight of this, whatever becomes of the answer.
    next: Option<(Usable, Client)>,
    /// Why the next identity did not work in this contact, so that the current one is tried.
    doubt: Option<String>,
    /// A next identity was given up, and no answer came since.
    given_up: bool,
    /// A renewal led nowhere, and none has worked since: the next one has its time, whatever the collector wishes.
    put_off: bool,
    /// The certificate has ended by the collector's word, or by this clock where nobody answers.
    expired: bool,
    /// The collector's clock in its last answer, and the time since boot then.
    heard: Option<(At, Duration)>,
    /// By how much this clock is ahead of the collector's, in seconds.
    ahead_s: Option<i64>,
    settings: Settings,
    /// Records that were refused in this contact.
    refused: u64,
    /// Bytes of bodies that were sent.
    sent_bytes: AtomicU64,
    /// This is not the machine that the key was made on.
    pub moved: bool,
}

impl Contact {
    /// Takes up the identity of a state directory.
    ///
    /// # Errors
    /// Certificate, key or CA are damaged.
    pub fn new(dir: &Path, vault: Vault, current: Usable, proxy: Option<&str>) -> Result<Contact, Fail> {
        let floor = Floor::new();
        floor.raise(current.stored.granted_at.min(current.stored.granted.expires));
        let proxy = proxy.map(str::to_owned);
        let connect =
            |usable: &Usable| Client::new(&usable.stored.granted.server_ca, Some(usable), &floor, proxy.as_deref());
        let client = connect(&current)?;
        let next = match vault.next()? {
            Some(next) => Some((next.clone(), connect(&next)?)),
            None => None,
        };
        let (dir, settings) = (dir.to_owned(), Settings::default());
        Ok(Contact {
            dir,
            vault,
            proxy,
            floor,
            current,
            client,
            next,
            doubt: None,
            given_up: false,
            put_off: false,
            expired: false,
            heard: None,
            ahead_s: None,
            settings,
            refused: 0,
            sent_bytes: AtomicU64::new(0),
            moved: false,
        })
    }

    /// The identity in use.
    pub fn identity(&self) -> &Usable {
        &self.current
    }

    /// What the collector set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// By how much this clock is ahead of the collector's, in seconds; unknown before the first answer.
    pub fn ahead_s(&self) -> Option<i64> {
        self.ahead_s
    }

    /// How many records were refused since this was last asked.
    pub fn take_refused(&mut self) -> u64 {
        std::mem::take(&mut self.refused)
    }

    /// Bytes of bodies sent since this was last asked.
    pub fn take_sent_bytes(&self) -> u64 {
        self.sent_bytes.swap(0, Ordering::Relaxed)
    }

    /// Notes on which machine the key was made.
    pub fn remember_machine(&mut self, machine: crate::machine::Fingerprint) {
        self.current.stored.machine = machine;
        if let Err(error) = self.vault.update(&self.current.stored) {
            log::warn(&error.to_string());
        }
    }

    /// Whether the certificate seems to have ended: by the collector's word, or by its clock in the last answer
    /// and the time since then. Wall clocks jump; the one since boot does not.
    fn is_expired(&self) -> bool {
        let now = self.heard.map(|(now, at)| {
            let since = clock::uptime().saturating_sub(at);
            now.plus_secs(i64::try_from(since.as_secs()).unwrap_or(i64::MAX))
        });
        self.expired || now.is_some_and(|now| now > self.current.stored.granted.expires)
    }

    /// Delivers everything that waits, or a beat.
    pub async fn talk(&mut self, stream: &mut Stream) -> Ended {
        self.doubt = None;
        // Once in a contact: a collector that grants what it then refuses is asked again later, not at once.
        let mut recovery = None;
        if self.is_expired() && self.next.is_none() {
            // If it did not work, perhaps the certificate is good: only the collector knows, and a check-in tells.
            recovery = Some(self.recover().await);
        }
        let mut records_max = shared::limit::RECORDS;
        for _ in 0..POSTS_MAX {
            let mut check_in = match stream.check_in(records_max, deliver::BATCH_BYTES, clock::now()) {
                Ok(check_in) => check_in,
                Err(error) => return Ended::Later(None, error.to_string()),
            };
            check_in.moved = self.moved;
            match self.post(&check_in).await {
                Outcome::Taken(answer) => {
                    self.succeeded(&answer);
                    if !stream.taken(&answer) {
                        return Ended::Later(None, format!("the collector holds no more than record {}", answer.seq));
                    }
                    if stream.waiting().records == 0 {
                        self.afterwards(&answer).await;
                        return Ended::Done(answer);
                    }
                    records_max = (records_max * 2).min(shared::limit::RECORDS);
                }
                Outcome::Refused(at, why) => match culprit(&check_in.records, at) {
                    Some(record) => self.set_aside(stream, record, &why),
                    None if check_in.records.is_empty() => return Ended::Later(None, why),
                    // One of them: fewer, until it is alone; and more again once some were taken.
                    None => records_max = check_in.records.len().div_ceil(2),
                },
                // Also where the next identity leads nowhere: the same key gets the same grant, with today's places.
                Outcome::Expired if !self.uses_next() && recovery.is_none() => match self.recover().await {
                    Ok(()) => recovery = Some(Ok(())),
                    Err(fail) => return self.failed(Outcome::Expired, Some(fail)),
                },
                // The next identity does not work, and nobody saw it: the current one may.
                Outcome::Banned(_) if self.uses_next() && !self.is_next_shown() => self.give_up_next(),
                Outcome::Expired if self.uses_next() => match self.is_next_shown() {
                    true => match self.adopt_next() {
                        Ok(()) => {}
                        Err(error) => return Ended::Later(None, error.to_string()),
                    },
                    false => self.give_up_next(),
                },
                Outcome::Unreachable(why) | Outcome::Untrusted(why) if self.uses_next() && !self.is_next_shown() => {
                    self.doubt = Some(why);
                }
                outcome => return self.failed(outcome, recovery.and_then(Result::err)),
            }
        }
        Ended::Later(None, "more waits than one contact may deliver".into())
    }

    /// How a contact ends that did not work.
    fn failed(&mut self, outcome: Outcome, recovery: Option<Fail>) -> Ended {
        let is_over = |next: &Stored| next.shown && self.floor.now() > next.granted.expires;
        if self.next.as_ref().is_some_and(|(next, _)| is_over(&next.stored))
            && let Err(error) = self.adopt_next()
        {
            return Ended::Later(None, error.to_string());
        }
        let granted = &self.current.stored.granted;
        match (outcome, self.doubt.take()) {
            (Outcome::Fork(why), _) | (Outcome::Banned(why), None) => Ended::Stopped(why),
            // The collector let go of the current identity when it saw the next one: that one it must be.
            (Outcome::Banned(_) | Outcome::Expired | Outcome::Untrusted(_), Some(why)) => Ended::Later(None, why),
            (Outcome::Expired, None) => {
                self.expired = true;
                let why = recovery.map_or_else(|| "it was renewed, and refused again".to_owned(), |fail| fail.text);
                Ended::Later(None, format!("the certificate has expired: {why}"))
            }
            (Outcome::Later(Some(after_s), why), doubt) => Ended::Later(Some(after_s), doubt.unwrap_or(why)),
            (Outcome::Later(None, why) | Outcome::Unreachable(why), doubt) => {
                // A handshake that ends over an expired certificate may look like any broken connection.
                self.expired |= self.floor.now() > granted.expires;
                Ended::Later(None, doubt.unwrap_or(why))
            }
            (Outcome::Refused(_, why), _) => Ended::Later(None, why),
            (Outcome::Untrusted(why), _) => Ended::Later(None, format!("{why}; {ROTATED}")),
            (Outcome::Taken(answer), _) => Ended::Done(answer),
        }
    }

    fn set_aside(&mut self, stream: &mut Stream, record: &Record, why: &str) {
        log::error(&format!("record {} was refused and set aside: {why}", record.seq));
        stream.refused(record);
        self.refused += 1;
    }

    fn uses_next(&self) -> bool {
        self.next.is_some() && self.doubt.is_none()
    }

    /// Whether the collector may have seen the next identity.
    fn is_next_shown(&self) -> bool {
        self.next.as_ref().is_some_and(|(next, _)| next.stored.shown)
    }

    fn note_next_shown(&mut self, shown: bool) -> Result<(), FileError> {
        let Some((next, _)) = &mut self.next else { return Ok(()) };
        self.vault.update_next(&Stored { shown, ..next.stored.clone() })?;
        next.stored.shown = shown;
        Ok(())
    }

    /// Posts with the next identity if there is one and it is not in doubt. That the collector may see it is noted
    /// before: whatever ends this post, or the process, says nothing of whether it did.
    async fn post(&mut self, check_in: &CheckIn) -> Outcome {
        let mut first = self.uses_next() && !self.is_next_shown();
        if first && let Err(error) = self.note_next_shown(true) {
            // Then it is not shown: nobody has seen it, and the current one is as good.
            (self.doubt, first) = (Some(error.to_string()), false);
        }
        let outcome = self.send(check_in).await;
        // Not connected, or turned away for what it is: then the collector has not let go of the current one.
        let unseen =
            matches!(outcome, Outcome::Unreachable(_) | Outcome::Untrusted(_) | Outcome::Expired | Outcome::Banned(_));
        if first
            && unseen
            && let Err(error) = self.note_next_shown(false)
        {
            log::warn(&error.to_string());
        }
        outcome
    }

    async fn send(&self, check_in: &CheckIn) -> Outcome {
        let (identity, client) = match self.next.as_ref().filter(|_| self.doubt.is_none()) {
            Some((next, client)) => (next, client),
            None => (&self.current, &self.client),
        };
        let url = format!("{}/v1/checkin", identity.stored.granted.agent_url.trim_end_matches('/'));
        let sent = serde_json::to_vec_pretty(check_in).unwrap_or_default();
        if let Err(error) = files::leave(&self.dir.join("sent.json"), &sent) {
            log::debug(&error.to_string());
        }
        drop(sent);
        let (body, packed) = deliver::pack(check_in);
        log::debug(&format!("{url}: {} records, {} bytes", check_in.records.len(), body.len()));
        self.sent_bytes.fetch_add(u64::try_from(body.len()).unwrap_or(u64::MAX), Ordering::Relaxed);
        let reply = client.post(&url, body, packed).await;
        let reply = reply.inspect(|reply| log::debug(&format!("{url}: status {}", reply.status)));
        deliver::judge(reply)
    }

    /// The collector answered 200: what it was shown is good, and its clock is known.
    fn succeeded(&mut self, answer: &Answer) {
        self.expired = false;
        self.heard = Some((answer.now, clock::uptime()));
        self.ahead_s = Some(clock::now().secs_since(answer.now));
        if self.doubt.is_some() {
            self.give_up_next();
        }
        let given_up = std::mem::take(&mut self.given_up);
        if self.next.is_some() {
            if let Err(error) = self.adopt_next() {
                log::warn(&format!("{error}; tried again at the next contact"));
            }
        } else if given_up {
            self.put_off_renewal(answer.now);
        }
        // No further than to where this identity is good: a collector whose clock is wrong for an hour must not
        // make its own certificates look expired for ever.
        self.floor.raise(answer.now.min(self.current.stored.granted.expires));
    }

    /// Makes the next identity the current one. Where the disk does not take that, it stays the next one and is used
    /// all the same: what is held here is never ahead of the disk, where a key and another's grant would be no identity.
    fn adopt_next(&mut self) -> Result<(), FileError> {
        if self.next.is_none() {
            return Ok(());
        }
        self.vault.promote()?;
        let Some((next, client)) = self.next.take() else { return Ok(()) };
        log::info(&format!("the certificate of generation {} is in use", next.stored.granted.generation));
        self.put_off = false;
        (self.current, self.client) = (next, client);
        Ok(())
    }

    /// What was wrong with one renewal may be wrong with the next: not before half of what is left has passed.
    fn put_off_renewal(&mut self, now: At) {
        self.put_off = true;
        let stored = &mut self.current.stored;
        stored.renew_at = now.plus_secs(stored.granted.expires.secs_since(now).max(0) / 2);
        if let Err(error) = self.vault.update(stored) {
            log::warn(&error.to_string());
        }
    }

    fn give_up_next(&mut self) {
        let why = self.doubt.take().unwrap_or_else(|| "refused".to_owned());
        log::warn(&format!("the renewed certificate does not work; going on with the one before: {why}"));
        (self.next, self.given_up) = (None, true);
        if let Err(error) = self.vault.drop_next() {
            log::warn(&error.to_string());
        }
    }

    /// What follows a contact that worked; if any of it fails, the next contact tries again.
    async fn afterwards(&mut self, answer: &Answer) {
        if let Err(error) = self.vault.reserve().keep() {
            log::debug(&error.to_string());
        }
        // The next identity is in use and could not be put in place: its files are between two names, and the collector
        // takes whoever shows the one before for a copy.
        if self.next.is_some() {
            return;
        }
        // Before its time where the collector's roots have changed: with the certificate come those to trust.
        let wished = answer.renew && !self.put_off;
        if answer.now >= self.current.stored.renew_at || wished {
            match enroll::renew(&self.client, &self.current, &self.vault).await.and_then(|next| self.connect(next)) {
                Ok(next) => self.next = Some(next),
                Err(fail) => log::warn(&format!("the certificate could not be renewed, and is still good: {fail}")),
            }
        }
        if answer.settings != self.settings.digest() {
            match self.fetch_settings().await {
                Ok(settings) => self.settings = settings,
                Err(why) => log::warn(&format!("settings: {why}")),
            }
        }
    }

    fn connect(&self, usable: Usable) -> Result<(Usable, Client), Fail> {
        let client = Client::new(&usable.stored.granted.server_ca, Some(&usable), &self.floor, self.proxy.as_deref())?;
        Ok((usable, client))
    }

    /// Whatever comes of it, the suspicion is spent: it may have been wrong.
    async fn recover(&mut self) -> Result<(), Fail> {
        (self.expired, self.heard) = (false, None);
        let next = enroll::recover(&self.current, &self.vault, &self.floor, self.proxy.as_deref()).await?;
        log::info("recovered from an expired certificate");
        (self.next, self.doubt) = (Some(self.connect(next)?), None);
        Ok(())
    }

    async fn fetch_settings(&self) -> Result<Settings, String> {
        let url = format!("{}/v1/settings", self.current.stored.granted.agent_url.trim_end_matches('/'));
        let reply = self.client.get(&url).await.map_err(|error| error.to_string())?;
        if reply.status != 200 {
            return Err(reply.complaint());
        }
        let settings: Settings = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
        Ok(settings.bounded())
    }

    /// Tells the collector that there will be silence; what waits stays in the spool.
    pub async fn say_goodbye(&mut self, stream: &mut Stream, goodbye: Goodbye) {
        let Ok(mut check_in) = stream.check_in(1, 0, clock::now()) else { return };
        check_in.records.clear();
        (check_in.moved, check_in.goodbye) = (self.moved, Some(goodbye));
        match tokio::time::timeout(GOODBYE_TIMEOUT, self.post(&check_in)).await {
            Ok(Outcome::Taken(answer)) => {
                self.succeeded(&answer);
                log::debug("said goodbye");
            }
            _ => log::debug("goodbye was not heard"),
        }
    }
}

/// The record that was refused: the one that was named, or the only one.
fn culprit(records: &[Record], at: Option<usize>) -> Option<&Record> {
    match (at.and_then(|at| records.get(at)), records) {
        (None, [only]) => Some(only),
        (named, _) => named,
    }
}
