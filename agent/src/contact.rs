//! One contact with the collector: delivers what waits, renews the identity when it is time, fetches
//! settings that changed. Says how it ended; when to come again, others decide.

use crate::client::{Client, Floor};
use crate::clock;
use crate::deliver::{self, Outcome};
use crate::enroll;
use crate::exit::Fail;
use crate::log;
use crate::state::identity::{Usable, Vault};
use crate::state::status;
use crate::state::stream::Stream;
use shared::checkin::{Answer, CheckIn, Goodbye, Settings};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Posts in one contact: 10,000 spooled records take 40.
const POSTS_MAX: usize = 64;
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
    /// Granted, and not used with success yet.
    next: Option<(Usable, Client)>,
    /// The collector refused the certificate because it has ended.
    expired: bool,
    /// By how much this clock is ahead of the collector's, in seconds.
    ahead_s: Option<i64>,
    settings: Settings,
    /// Records that were refused in this contact.
    refused: u64,
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
        floor.raise(current.stored.granted_at);
        let proxy = proxy.map(str::to_owned);
        let connect =
            |usable: &Usable| Client::new(&usable.stored.granted.server_ca, Some(usable), &floor, proxy.as_deref());
        let client = connect(&current)?;
        let next = match vault.next()? {
            Some(next) => Some((next.clone(), connect(&next)?)),
            None => None,
        };
        let (dir, settings) = (dir.to_owned(), Settings::default());
        let (expired, ahead_s, refused, moved) = (false, None, 0, false);
        Ok(Contact { dir, vault, proxy, floor, current, client, next, expired, ahead_s, settings, refused, moved })
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

    /// Notes on which machine the key was made.
    pub fn remember_machine(&mut self, machine: crate::machine::Fingerprint) {
        self.current.stored.machine = machine;
        if let Err(error) = self.vault.update(&self.current.stored) {
            log::warn(&error.to_string());
        }
    }

    /// Whether the certificate has ended by the collector's word or clock. This machine's clock alone is no
    /// reason to use up a recovery.
    fn is_expired(&self) -> bool {
        let expires = self.current.stored.granted.expires;
        self.expired || self.ahead_s.is_some_and(|ahead_s| clock::now().plus_secs(-ahead_s) > expires)
    }

    /// Delivers everything that waits, or a beat.
    pub async fn talk(&mut self, stream: &mut Stream) -> Ended {
        // Once in a contact: a collector that grants what it then refuses is asked again later, not at once.
        let mut recovered = false;
        if self.is_expired() && self.next.is_none() {
            if let Err(fail) = self.recover().await {
                return Ended::Later(None, format!("the certificate has expired: {fail}"));
            }
            recovered = true;
        }
        let mut records_max = shared::limit::RECORDS;
        for _ in 0..POSTS_MAX {
            let mut check_in = match stream.check_in(records_max, deliver::BATCH_BYTES) {
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
                }
                Outcome::Refused(_) if check_in.records.len() > 1 => records_max = 1,
                Outcome::Refused(why) => {
                    let Some(record) = check_in.records.first() else { return Ended::Later(None, why) };
                    log::error(&format!("record {} was refused and set aside: {why}", record.seq));
                    stream.refused(record);
                    self.refused += 1;
                }
                Outcome::Expired if self.next.is_none() && !recovered => {
                    (self.expired, recovered) = (true, true);
                    if let Err(fail) = self.recover().await {
                        return Ended::Later(None, format!("the certificate has expired: {fail}"));
                    }
                }
                // The next identity does not work: the current one may.
                Outcome::Expired | Outcome::Banned(_) if self.next.is_some() => self.give_up_next(),
                Outcome::Expired => return Ended::Later(None, "the certificate has expired".into()),
                Outcome::Banned(why) | Outcome::Fork(why) => return Ended::Stopped(why),
                Outcome::Later(after_s, why) => {
                    // A handshake that ends over an expired certificate may look like any broken connection.
                    self.expired |= after_s.is_none() && self.floor.now() > self.current.stored.granted.expires;
                    return Ended::Later(after_s, why);
                }
                Outcome::Untrusted(why) => return Ended::Later(None, why),
            }
        }
        Ended::Later(None, "more waits than one contact may deliver".into())
    }

    async fn post(&mut self, check_in: &CheckIn) -> Outcome {
        let (identity, client) = match &self.next {
            Some((next, client)) => (next, client),
            None => (&self.current, &self.client),
        };
        let url = format!("{}/v1/checkin", identity.stored.granted.agent_url.trim_end_matches('/'));
        let sent = serde_json::to_vec_pretty(check_in).unwrap_or_default();
        if let Err(error) = status::leave(&self.dir.join("sent.json"), &sent) {
            log::debug(&error.to_string());
        }
        drop(sent);
        let (body, packed) = deliver::pack(check_in);
        log::debug(&format!("{url}: {} records, {} bytes", check_in.records.len(), body.len()));
        let reply = client.post(&url, body, packed).await;
        let reply = reply.inspect(|reply| log::debug(&format!("{url}: status {}", reply.status)));
        deliver::judge(reply)
    }

    /// The collector answered 200: what it was shown is good, and its clock is known.
    fn succeeded(&mut self, answer: &Answer) {
        self.expired = false;
        self.floor.raise(answer.now);
        self.ahead_s = Some(clock::now().secs_since(answer.now));
        let Some((next, client)) = self.next.take() else { return };
        if let Err(error) = self.vault.promote() {
            log::warn(&error.to_string());
        }
        log::info(&format!("the certificate of generation {} is in use", next.stored.granted.generation));
        (self.current, self.client) = (next, client);
    }

    fn give_up_next(&mut self) {
        log::warn("the renewed certificate was refused; going on with the one before");
        self.next = None;
        if let Err(error) = self.vault.drop_next() {
            log::warn(&error.to_string());
        }
    }

    /// What follows a contact that worked; if any of it fails, the next contact tries again.
    async fn afterwards(&mut self, answer: &Answer) {
        if answer.now >= self.current.stored.renew_at {
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

    async fn recover(&mut self) -> Result<(), Fail> {
        let next = enroll::recover(&self.current, &self.vault, &self.floor, self.proxy.as_deref()).await?;
        log::info("recovered from an expired certificate");
        self.next = Some(self.connect(next)?);
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
        let Ok(mut check_in) = stream.check_in(1, 0) else { return };
        check_in.records.clear();
        (check_in.moved, check_in.goodbye) = (self.moved, Some(goodbye));
        match tokio::time::timeout(GOODBYE_TIMEOUT, self.post(&check_in)).await {
            Ok(Outcome::Taken(_)) => log::debug("said goodbye"),
            _ => log::debug("goodbye was not heard"),
        }
    }
}
