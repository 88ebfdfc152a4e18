//! A machine that installs one package after the other and tells each at once, through the agent's own library.
//!
//! Record 1 tells all packages; record n puts package `n % packages` at version `1.n`, so that what the register
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

/// What a machine has at first.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) struct Shape {
    /// Packages, at least one.
    pub(in crate::check) packages: u64,
    /// Packages are at version `1.first` until a record changes them.
    pub(in crate::check) first: u64,
    /// Disks, each with a serial of its own.
    pub(in crate::check) disks: u64,
}

impl Default for Shape {
    /// Packages alone, fifty of them.
    fn default() -> Shape {
        Shape { packages: 50, first: 0, disks: 0 }
    }
}

/// The section of disks.
const SECTION_DISKS: &str = "disks";

/// A machine and what it told.
pub(in crate::check) struct Machine {
    agent: AgentId,
    client: Client,
    vault: Vault,
    stream: Stream,
    evidence: Vec<Item>,
    disks: Vec<Item>,
    versions: Vec<u64>,
    rows: Vec<Digest>,
    record: Record,
    acknowledged: u64,
    tries: u64,
    resent: u64,
}

impl Machine {
    /// Enrolls machine `number`; its identity lies in `dir`.
    pub(in crate::check) async fn enroll(number: usize, shape: Shape, join: &JoinFile, dir: &Path) -> Result<Machine> {
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
            vault,
            stream,
            evidence,
            disks: (0..shape.disks).map(|disk| a_disk(number, disk)).collect(),
            versions: vec![shape.first; usize::try_from(shape.packages)?],
            rows: Vec::new(),
            record: Record { seq: 1, at: At(0), root: Digest::default(), sections: Vec::new(), gap: None },
            acknowledged: 0,
            tries: 0,
            resent: 0,
        };
        let items = machine.items();
        machine.rows = items.iter().map(digest::row).collect();
        let software = machine.software();
        let disks = machine.disks.clone();
        let sections = vec![
            part(SECTION_DISKS, digest::section_of(&disks), None, disks),
            part(SECTION_DPKG, software, None, items),
            part(SECTION, digest::section_of(&machine.evidence), None, machine.evidence.clone()),
        ];
        machine.record.root = machine.root(software);
        machine.record.sections = sections;
        Ok(machine)
    }

    /// Says the record that is not acknowledged yet; where there is none, a beat. True when the collector took it,
    /// false when it is away, starts or is full: then the same call works later.
    ///
    /// # Errors
    /// An answer that is not right: another status, another root, another number, a section that is wanted.
    pub(in crate::check) async fn say(&mut self, url: &str) -> Result<bool> {
        let waits = self.acknowledged < self.record.seq;
        let check_in = CheckIn {
            stream: self.stream,
            seq: self.record.seq,
            root: self.record.root,
            moved: false,
            goodbye: None,
            records: if waits { vec![self.record.clone()] } else { Vec::new() },
        };
        let (body, packed) = deliver::pack(&check_in);
        if waits {
            self.resent += u64::from(self.tries == 1);
            self.tries += 1;
        }
        match deliver::judge(self.client.post(&format!("{url}/v1/checkin"), body, packed).await) {
            Outcome::Taken(answer) => {
                let right = answer.seq == self.record.seq && answer.root == self.record.root;
                ensure!(right && answer.want.is_empty(), "record {} was answered {answer:?}", self.record.seq);
                self.acknowledged = self.record.seq;
                Ok(true)
            }
            Outcome::Later(..) | Outcome::Unreachable(_) => Ok(false),
            other => bail!("record {} was answered {other:?}", self.record.seq),
        }
    }

    /// One package in a new version, and the record that tells it.
    pub(in crate::check) fn install(&mut self) {
        let base = self.software();
        let seq = self.record.seq + 1;
        let changed = seq % self.count();
        let put = package(changed, seq);
        for (number, (version, row)) in (0..).zip(self.versions.iter_mut().zip(&mut self.rows)) {
            if number == changed {
                (*version, *row) = (seq, digest::row(&put));
            }
        }
        let section = self.software();
        let sections = vec![part(SECTION_DPKG, section, Some(base), vec![put])];
        self.record = Record { seq, at: At(0), root: self.root(section), sections, gap: None };
        self.tries = 0;
    }

    fn software(&self) -> Digest {
        digest::section(&mut self.rows.clone())
    }

    fn items(&self) -> Vec<Item> {
        (0..).zip(&self.versions).map(|(number, version)| package(number, *version)).collect()
    }

    fn count(&self) -> u64 {
        u64::try_from(self.versions.len()).unwrap_or(u64::MAX).max(1)
    }

    fn root(&self, software: Digest) -> Digest {
        let evidence = digest::section_of(&self.evidence);
        let disks = digest::section_of(&self.disks);
        digest::root([
            (SECTION_DISKS, State::Seen, disks),
            (SECTION_DPKG, State::Seen, software),
            (SECTION, State::Seen, evidence),
        ])
    }

    /// Its agent's id.
    pub(in crate::check) fn id(&self) -> String {
        self.agent.to_string()
    }

    /// Whether what it told last is acknowledged.
    pub(in crate::check) fn is_settled(&self) -> bool {
        self.acknowledged == self.record.seq
    }

    /// Gets a certificate for a new key, and uses it from now on.
    ///
    /// # Errors
    /// It got none; the old one stays good.
    pub(in crate::check) async fn renew(&mut self) -> Result<()> {
        let current = self.vault.current()?.context("an identity")?;
        let next = enroll::renew(&self.client, &current, &self.vault).await?;
        self.client = Client::new(&next.stored.granted.server_ca, Some(&next), &Floor::new(), None)?;
        Ok(())
    }

    /// The root of what it told last.
    pub(in crate::check) fn root_told(&self) -> Digest {
        self.record.root
    }

    /// The last record that was acknowledged.
    pub(in crate::check) fn acknowledged(&self) -> u64 {
        self.acknowledged
    }

    /// Records that were sent more than once.
    pub(in crate::check) fn resent(&self) -> u64 {
        self.resent
    }

    /// Names and versions that it has.
    pub(in crate::check) fn packages(&self) -> Vec<(String, String)> {
        (0..).zip(&self.versions).map(|(number, version)| (name(number), version_of(*version))).collect()
    }

    /// Keys of the disks that it has.
    pub(in crate::check) fn disks(&self) -> Vec<String> {
        self.disks.iter().map(|disk| disk.key.clone()).collect()
    }
}

/// The version that a record brought.
pub(in crate::check) fn version_of(seq: u64) -> String {
    format!("1.{seq}")
}

fn name(number: u64) -> String {
    format!("package-{number}")
}

fn package(number: u64, seq: u64) -> Item {
    let (name, version) = (name(number), version_of(seq));
    Package { manager: "dpkg", name: &name, version: &version, arch: Some("amd64"), ..Package::default() }.into()
}

fn a_disk(machine: usize, disk: u64) -> Item {
    Item { size: Some(1 << 40), ..Item::new("disk", format!("serial-{machine}-{disk}")) }
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
