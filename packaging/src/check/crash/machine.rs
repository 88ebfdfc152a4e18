//! A machine that installs one package after the other and tells each at once, through the agent's own library.
//!
//! Record 1 tells all packages; record n puts package `n % PACKAGES` at version `1.n`, so that what the register
//! holds and tells says which records it took. A record that got no answer is sent again as it was.

use agent::client::{Client, Floor};
use agent::deliver::{self, Outcome};
use agent::enroll;
use agent::state::identity::Vault;
use anyhow::{Context, Result, bail, ensure};
use shared::checkin::{CheckIn, Part, Record, State, Stream};
use shared::digest::{self, Digest};
use shared::enroll::JoinFile;
use shared::evidence::{Evidence, Kind, SECTION};
use shared::fact::Item;
use shared::id::AgentId;
use shared::software::{Package, SECTION_DPKG};
use shared::unit::At;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;

/// Packages of a machine.
const PACKAGES: u64 = 50;
/// Before a call is made again while the collector is there.
const AGAIN: Duration = Duration::from_millis(20);

/// Where the collector is, if it is, and whether what waits is the last to be sent.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    pub(super) url: Option<String>,
    pub(super) last: bool,
}

/// A machine and what it told.
pub(super) struct Machine {
    agent: AgentId,
    client: Client,
    stream: Stream,
    evidence: Vec<Item>,
    versions: Vec<u64>,
    record: Record,
    acknowledged: u64,
    resent: u64,
}

impl Machine {
    /// Enrolls machine `number`; its identity lies in `dir`.
    pub(super) async fn enroll(number: usize, join: &JoinFile, dir: &Path) -> Result<Machine> {
        std::fs::create_dir(dir).with_context(|| dir.display().to_string())?;
        let vault = Vault::open(dir)?;
        let stored = enroll::enroll(join, &format!("machine-{number}"), &vault, None).await?;
        let identity = vault.current()?.context("an identity")?;
        let client = Client::new(&join.server_ca, Some(&identity), &Floor::new(), None)?;
        let value = format!("maker|model|{number}");
        let evidence = vec![Item::from(Evidence { kind: Kind::SystemSerial, value })];
        let stream = digest::of_bytes(stored.granted.agent.to_string().as_bytes());
        let mut machine = Machine {
            agent: stored.granted.agent,
            client,
            stream,
            evidence,
            versions: vec![0; usize::try_from(PACKAGES)?],
            record: Record { seq: 1, at: At(0), root: Digest::default(), sections: Vec::new(), gap: None },
            acknowledged: 0,
            resent: 0,
        };
        let items = machine.items();
        let sections = vec![
            part(SECTION_DPKG, digest::section_of(&items), None, items),
            part(SECTION, digest::section_of(&machine.evidence), None, machine.evidence.clone()),
        ];
        machine.record.root = machine.root();
        machine.record.sections = sections;
        Ok(machine)
    }

    /// Reports until the last record is acknowledged.
    pub(super) async fn report(mut self, mut place: watch::Receiver<Place>) -> Result<Machine> {
        let mut tries = 0_u64;
        loop {
            let Place { url: Some(url), last } = place.borrow_and_update().clone() else {
                place.changed().await.context("the check ended")?;
                continue;
            };
            if last && self.acknowledged == self.record.seq {
                return Ok(self);
            }
            if self.acknowledged == self.record.seq {
                self.install();
                tries = 0;
            }
            let check_in = CheckIn {
                stream: self.stream,
                seq: self.record.seq,
                root: self.record.root,
                moved: false,
                goodbye: None,
                records: vec![self.record.clone()],
            };
            let (body, packed) = deliver::pack(&check_in);
            self.resent += u64::from(tries == 1);
            tries += 1;
            match deliver::judge(self.client.post(&format!("{url}/v1/checkin"), body, packed).await) {
                Outcome::Taken(answer) => {
                    let right = answer.seq == self.record.seq && answer.root == self.record.root;
                    ensure!(right && answer.want.is_empty(), "record {} was answered {answer:?}", self.record.seq);
                    self.acknowledged = self.record.seq;
                }
                // It was killed, or starts: the next place is told, or the same call works soon.
                Outcome::Later(..) => {
                    let _ = tokio::time::timeout(AGAIN, place.changed()).await;
                }
                other => bail!("record {} was answered {other:?}", self.record.seq),
            }
        }
    }

    /// One package in a new version, and the record that tells it.
    fn install(&mut self) {
        let base = digest::section_of(&self.items());
        let seq = self.record.seq + 1;
        for (number, version) in (0..PACKAGES).zip(&mut self.versions) {
            if number == seq % PACKAGES {
                *version = seq;
            }
        }
        let section = digest::section_of(&self.items());
        let put = vec![package(seq % PACKAGES, seq)];
        let sections = vec![part(SECTION_DPKG, section, Some(base), put)];
        self.record = Record { seq, at: At(0), root: self.root(), sections, gap: None };
    }

    fn items(&self) -> Vec<Item> {
        (0..PACKAGES).zip(&self.versions).map(|(number, version)| package(number, *version)).collect()
    }

    fn root(&self) -> Digest {
        let software = digest::section_of(&self.items());
        let evidence = digest::section_of(&self.evidence);
        digest::root([(SECTION_DPKG, State::Seen, software), (SECTION, State::Seen, evidence)])
    }

    /// Its agent's id.
    pub(super) fn id(&self) -> String {
        self.agent.to_string()
    }

    /// The last record that was acknowledged.
    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records that were sent more than once.
    pub(super) fn resent(&self) -> u64 {
        self.resent
    }

    /// Names and versions that it has.
    pub(super) fn packages(&self) -> Vec<(String, String)> {
        (0..PACKAGES).zip(&self.versions).map(|(number, version)| (name(number), version_of(*version))).collect()
    }
}

/// The version that a record brought.
pub(super) fn version_of(seq: u64) -> String {
    format!("1.{seq}")
}

fn name(number: u64) -> String {
    format!("package-{number}")
}

fn package(number: u64, seq: u64) -> Item {
    let (name, version) = (name(number), version_of(seq));
    Package { manager: "dpkg".into(), name, version, arch: Some("amd64".into()), ..Package::default() }.into()
}

/// A section as it is told: whole without a base.
pub(in crate::check) fn part(section: &str, digest: Digest, base: Option<Digest>, put: Vec<Item>) -> Part {
    Part {
        section: section.into(),
        state: State::Seen,
        digest,
        base,
        put: Some(put),
        del: Vec::new(),
        problems: Vec::new(),
        truncated: false,
    }
}
