//! Probe `services`: services that systemd manages, from its files alone.
//!
//! - *Which*: every `.service` file in the folders of systemd.unit(5), the first folder that has a name
//!   wins. Other names of a service are no services; a template is none, but an instance that something
//!   wants is one. Units made at run time (`/run/systemd/transient`) and instances that only run, such as one
//!   for each login, come and go and are left out.
//! - *How it starts*: as `systemctl is-enabled` says, from links in `*.wants` and `*.requires`.
//! - *Whether it is active*: the manager keeps a link `/run/systemd/units/invocation:NAME` for exactly as
//!   long as a unit is (since systemd 235; before that, its cgroup tells of those that have processes).
//!   That a unit *failed* no file tells; see `health_services`.
//!
//! A unit may be a link to a file elsewhere (`systemctl link`; on NixOS all are). Where the way to that file leads
//! through a mount that may not answer, it is told by its name alone: opening it could hold the agent for ever.
//!
//! All these files are read again when something was added to a folder of units, or a unit started or ended; what is
//! edited in place shows within an hour.
//!
//! A service that is meant to be there all the time has its state among its attributes, and a change of it is
//! an event. That of one which comes and goes by design (a timer's, one that the bus starts) is volatile.

use super::mounts::{self, Mount};
use super::units::{self, Unit};
use super::{Every, Found, Os, Probe};
use crate::source::{Miss, Source};
use shared::checkin::Problem;
use shared::fact::Item;
use shared::hardware::Service;
use std::collections::{BTreeMap, BTreeSet};

/// The probe.
pub const PROBE: Probe =
    Probe { name: "services", os: &[Os::Linux], every: Every::CheckIn, needs: "", mark: Some(mark), run };

/// Changes with each unit that starts or ends.
const ACTIVE: &str = "/run/systemd/units";

/// Where a folder's links and files come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    /// The administrator.
    Admin,
    /// Until the next boot.
    Runtime,
    /// A generator, at each boot.
    Generator,
    /// A package.
    Vendor,
}

/// The folders, the first one first in precedence.
const FOLDERS: &[(&str, Origin)] = &[
    ("/etc/systemd/system", Origin::Admin),
    ("/run/systemd/system", Origin::Runtime),
    ("/run/systemd/generator", Origin::Generator),
    ("/usr/local/lib/systemd/system", Origin::Vendor),
    ("/usr/lib/systemd/system", Origin::Vendor),
    ("/lib/systemd/system", Origin::Vendor),
    ("/run/systemd/generator.late", Origin::Generator),
];

/// What the folders hold.
#[derive(Default)]
struct Tree {
    /// The file of each service, and whose it is.
    files: BTreeMap<String, (String, Origin)>,
    /// The drop-ins of each service by their names.
    dropins: BTreeMap<String, BTreeMap<String, String>>,
    /// Who has a link that starts a service, the strongest one.
    wanted: BTreeMap<String, Origin>,
}

/// What a service's file is.
enum File {
    /// It may never be started.
    Masked,
    /// Another service's name.
    Alias(String),
    /// A file in a folder of units, or a link to one elsewhere.
    Unit { linked: bool },
}

/// When the folders changed, and those in them that an administrator's commands change. Nothing where no file shows
/// that a unit started or ended.
fn mark(source: &dyn Source) -> Option<String> {
    let changed = |path: &str| source.stat(path).ok().map(|stat| stat.modified.0);
    let mut all = vec![Some(changed(ACTIVE)?)];
    for (folder, origin) in FOLDERS {
        all.push(changed(folder));
        let names =
            if matches!(origin, Origin::Admin | Origin::Runtime) { source.names(folder) } else { Ok(Vec::new()) };
        let inner = names.unwrap_or_default().into_iter().filter(|name| !name.ends_with(".service"));
        let paths = inner.map(|name| format!("{folder}/{name}"));
        // A link is not followed: it may lead to where nobody answers.
        all.extend(paths.filter(|path| source.link(path).is_err()).map(|path| changed(&path)));
    }
    Some(format!("{all:?}"))
}

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let way = Way { source, mounts: mounts::all(source).ok() };
    let mut tree = read_tree(&way)?;
    let files: Vec<(String, File)> =
        tree.files.iter().map(|(name, (path, _))| (name.clone(), what_is(source, name, path))).collect();
    for (name, file) in &files {
        if let (File::Alias(target), Some((_, origin))) = (file, tree.files.get(name)) {
            strengthen(&mut tree.wanted, target, *origin);
        }
    }
    let mut found = Found::default();
    let active = active(source);
    for (name, file) in &files {
        let linked = match file {
            File::Alias(_) => continue,
            File::Unit { linked } => *linked,
            File::Masked => {
                let service = Service { name: name.clone(), start: Some("masked".to_owned()), ..Service::default() };
                found.items.push(service.into());
                continue;
            }
        };
        if !name.contains("@.") {
            found.items.extend(service(&way, &tree, name, name, linked, active.as_ref(), &mut found.problems));
        }
    }
    for name in tree.wanted.keys().filter(|name| !tree.files.contains_key(*name)) {
        if let Some((template, _)) = units::instance(name).filter(|(template, _)| tree.files.contains_key(template)) {
            let service = service(&way, &tree, name, &template, false, active.as_ref(), &mut found.problems);
            found.items.extend(service);
        }
    }
    Ok(found)
}

fn read_tree(way: &Way<'_>) -> Result<Tree, Problem> {
    let source = way.source;
    let mut tree = Tree::default();
    let merged = source.link("/lib").is_ok();
    for (folder, origin) in FOLDERS.iter().filter(|(folder, _)| !(merged && folder.starts_with("/lib/"))) {
        let names = match source.names(folder) {
            Ok(names) => names,
            Err(Miss::Absent) => continue,
            // Units that cannot be seen would look as if they had been removed.
            Err(miss) => return Err(miss.problem(*folder)),
        };
        for name in names {
            let path = format!("{folder}/{name}");
            if name.ends_with(".service") {
                tree.files.entry(name).or_insert((path, *origin));
            } else if !way.is_safe(&path) {
                continue;
            } else if let Some(service) = name.strip_suffix(".d").filter(|name| name.ends_with(".service")) {
                let dropins = tree.dropins.entry(service.to_owned()).or_default();
                for conf in source.names(&path).unwrap_or_default().into_iter().filter(|name| name.ends_with(".conf")) {
                    dropins.entry(conf.clone()).or_insert_with(|| format!("{path}/{conf}"));
                }
            } else if [".wants", ".requires", ".upholds"].iter().any(|suffix| name.ends_with(suffix)) {
                for wanted in source.names(&path).unwrap_or_default().iter().filter(|name| name.ends_with(".service")) {
                    strengthen(&mut tree.wanted, wanted, *origin);
                }
            }
        }
    }
    Ok(tree)
}

fn strengthen(wanted: &mut BTreeMap<String, Origin>, name: &str, origin: Origin) {
    let strongest = wanted.entry(name.to_owned()).or_insert(origin);
    *strongest = origin.min(*strongest);
}

/// Where a link at a path leads, by the names alone.
fn resolve(path: &str, target: &str) -> String {
    let folder = if target.starts_with('/') { "" } else { path.rsplit_once('/').map_or("", |(folder, _)| folder) };
    let mut steps: Vec<&str> = Vec::new();
    for step in folder.split('/').chain(target.split('/')) {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    format!("/{}", steps.join("/"))
}

/// What says whether a file may be opened.
struct Way<'a> {
    source: &'a dyn Source,
    /// Nothing where they could not be read.
    mounts: Option<Vec<Mount>>,
}

impl Way<'_> {
    /// Links that are followed for one path at most.
    const LINKS_MAX: usize = 8;

    /// Whether what lies at a path in a folder of units may be opened: it is there itself, or a link that leads to no
    /// mount that may not answer.
    fn is_safe(&self, path: &str) -> bool {
        let mut at = path.to_owned();
        for _ in 0..Self::LINKS_MAX {
            let Ok(target) = self.source.link(&at) else { return true };
            at = resolve(&at, &target);
            let inside = |folder: &str| at.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'));
            if !FOLDERS.iter().any(|(folder, _)| inside(folder)) {
                return self.answers(&at);
            }
        }
        false
    }

    /// Follows a path name by name, so that nothing is asked beyond a mount that may not answer.
    fn answers(&self, path: &str) -> bool {
        let Some(mounts) = &self.mounts else { return false };
        let names = |path: &str| -> Vec<String> { path.split('/').rev().map(str::to_owned).collect() };
        let mut ahead = names(path);
        let mut at = String::new();
        let mut links = 0;
        while let Some(name) = ahead.pop() {
            match name.as_str() {
                "" | "." => continue,
                ".." => {
                    at.truncate(at.rfind('/').unwrap_or(0));
                    continue;
                }
                _ => {}
            }
            let next = format!("{at}/{name}");
            if mounts::may_hang(mounts, &next) {
                return false;
            }
            let Ok(target) = self.source.link(&next) else {
                at = next;
                continue;
            };
            links += 1;
            if links > Self::LINKS_MAX {
                return false;
            }
            if target.starts_with('/') {
                at.clear();
            }
            ahead.extend(names(&target));
        }
        true
    }
}

fn what_is(source: &dyn Source, name: &str, path: &str) -> File {
    let Ok(target) = source.link(path) else { return File::Unit { linked: false } };
    // Written as `../../../dev/null` too.
    let target = resolve(path, &target);
    if target == "/dev/null" {
        return File::Masked;
    }
    let (folder, base) = target.rsplit_once('/').unwrap_or(("", &target));
    if base != name {
        return File::Alias(base.to_owned());
    }
    File::Unit { linked: !FOLDERS.iter().any(|(known, _)| *known == folder) }
}

fn service(
    way: &Way<'_>,
    tree: &Tree,
    name: &str,
    file: &str,
    linked: bool,
    active: Option<&BTreeSet<String>>,
    problems: &mut Vec<Problem>,
) -> Option<Item> {
    let (path, origin) = tree.files.get(file)?;
    let mut unit = Unit::default();
    let mut masked = false;
    let readable = way.is_safe(path);
    if readable {
        match way.source.file(path) {
            Ok(bytes) => {
                masked = bytes.is_empty();
                unit.read(&bytes);
            }
            Err(miss) => problems.push(miss.problem(path)),
        }
    }
    let dropins = [file, name].into_iter().filter_map(|name| tree.dropins.get(name)).flatten();
    let dropins: BTreeMap<_, _> = dropins.filter(|(_, path)| way.is_safe(path)).collect();
    for path in dropins.into_values() {
        match way.source.file(path) {
            Ok(bytes) => unit.read(&bytes),
            Err(miss) => problems.push(miss.problem(path)),
        }
    }
    if let Some((_, instance)) = units::instance(name) {
        unit = unit.of_instance(instance);
    }
    let wanted = tree.wanted.get(name).copied();
    let start = match wanted {
        _ if masked => "masked",
        _ if *origin == Origin::Generator => "generated",
        Some(Origin::Admin) => "enabled",
        Some(Origin::Runtime) => "enabled-runtime",
        _ if linked => "linked",
        _ if unit.installs => "disabled",
        _ if unit.installs_others => "indirect",
        _ => "static",
    };
    // Of a file that was not read nothing says whether its service is meant to stay.
    let lasting = readable && !unit.oneshot && (wanted.is_some() || start == "generated");
    let state = active.map(|active| if active.contains(name) { "active" } else { "inactive" });
    let mut item = Item::from(Service {
        name: name.to_owned(),
        description: unit.description,
        start: Some(start.to_owned()),
        state: state.filter(|_| lasting).map(str::to_owned),
        command: unit.program,
        user: unit.user,
    });
    if !lasting {
        item = item.with_now("state", state);
    }
    Some(item)
}

/// The services that are active; nothing where systemd does not run, or does not tell.
fn active(source: &dyn Source) -> Option<BTreeSet<String>> {
    source.stat("/run/systemd/system").ok()?;
    if let Ok(names) = source.names(ACTIVE) {
        return Some(names.iter().filter_map(|name| name.strip_prefix("invocation:")).map(str::to_owned).collect());
    }
    let roots = ["/sys/fs/cgroup/system.slice", "/sys/fs/cgroup/systemd/system.slice"];
    let (root, names) = roots.iter().find_map(|root| Some((root, source.names(root).ok()?)))?;
    let mut all: BTreeSet<String> = BTreeSet::new();
    for name in names {
        // Instances of a template are in a slice of their own.
        if name.ends_with(".slice") {
            all.extend(source.names(&format!("{root}/{name}")).unwrap_or_default());
        }
        all.insert(name);
    }
    all.retain(|name| name.ends_with(".service"));
    Some(all)
}

#[cfg(test)]
mod tests;
