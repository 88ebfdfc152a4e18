//! Runs probes over a source and seals what they found. A probe that fails costs only its own section.
//!
//! | module | holds |
//! | --- | --- |
//! | `bound` | the limits of a section |
//! | `boxed` | the limits of a probe's run, and what it took |
//! | [`evidence`] | the section that follows from the others: what identifies this machine |
//! | [`table`] | a report for people |
//! | [`json`] | a report for programs |

pub mod evidence;
pub mod json;
pub mod table;

mod bound;
mod boxed;

pub use boxed::Spent;

use crate::clock;
use crate::probes::{Found, PROBES, Probe};
use crate::source::Source;
use boxed::Boxed;
use shared::checkin::{Problem, State, Why};
use shared::digest::{self, Digest};
use shared::fact::Item;
use std::collections::BTreeMap;

/// One section as a probe found it, with its limit kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Seen or failed.
    pub state: State,
    /// In the order of their keys; empty when failed.
    pub items: BTreeMap<String, Item>,
    /// What is missing, and why.
    pub problems: Vec<Problem>,
    /// Rows beyond the section's limit were cut.
    pub truncated: bool,
}

/// Sections by name: all that a machine told at one moment.
pub type Sections = BTreeMap<String, Section>;

impl Section {
    /// The section's digest.
    pub fn digest(&self) -> Digest {
        digest::section_of(self.items.values())
    }
}

/// Runs the probes given and, if the sections that evidence follows from are all among theirs, adds
/// `evidence`. Whoever looks at the whole machine calls [`complete`] afterwards.
pub fn run(source: &dyn Source, probes: &[&'static Probe]) -> Sections {
    watched(source, probes, &mut |_| {}).0
}

/// As [`run`]; hands out the name of each probe before it runs, and says what each took.
pub fn watched(
    source: &dyn Source,
    probes: &[&'static Probe],
    begins: &mut dyn FnMut(&'static str),
) -> (Sections, Vec<Spent>) {
    let (mut sections, mut costs) = (Sections::new(), Vec::with_capacity(probes.len()));
    for probe in probes {
        begins(probe.name);
        let boxed = Boxed::new(source, clock::uptime);
        let found = (probe.run)(&boxed);
        let (found, spent) = boxed.end(probe.name, found);
        sections.insert(probe.name.to_owned(), seal(probe.name, found));
        costs.push(spent);
    }
    if evidence::FROM.iter().all(|name| sections.contains_key(*name)) {
        derive(source, &mut sections);
    }
    (sections, costs)
}

/// Makes a look at everything whole: what is disabled is told as not looked at, and evidence follows from the
/// rest. A machine must be known again whatever its owner does not want to tell.
pub fn complete(source: &dyn Source, sections: &mut Sections, disabled: &[String]) {
    for probe in PROBES.iter().filter(|probe| disabled.iter().any(|name| name == probe.name)) {
        let problem = Problem::new(Why::Denied, probe.name).detail("disabled in the agent's configuration");
        sections.insert(probe.name.to_owned(), seal(probe.name, Err(problem)));
    }
    if !sections.contains_key(shared::evidence::SECTION) {
        derive(source, sections);
    }
}

/// A section within its limits, from what a probe found.
pub fn seal(name: &str, found: Result<Found, Problem>) -> Section {
    bound::section(name, found)
}

/// Adds or renews the sections that follow from others.
pub fn derive(source: &dyn Source, sections: &mut Sections) {
    let mut found = evidence::find(sections, &evidence::ask(source));
    let cut = evidence::cut(&mut found);
    let section = seal(shared::evidence::SECTION, Ok(found));
    let truncated = section.truncated || cut;
    sections.insert(shared::evidence::SECTION.to_owned(), Section { truncated, ..section });
}
