//! `cpu` against util-linux's `lscpu` on whole machines and GLPI Agent's expectations on `/proc/cpuinfo`.

use crate::folder::{Folder, data, files, summary, unpack};
use agent::probes;
use shared::fact::{Item, Value};
use std::collections::{BTreeMap, BTreeSet};

/// A difference: what they say, what we say, and the file that both read.
struct Difference<'a> {
    theirs: &'a str,
    ours: &'a str,
    /// The machine's `/proc/cpuinfo`.
    cpuinfo: &'a str,
}

impl Difference<'_> {
    /// The first value of a field of cpuinfo.
    fn field(&self, wanted: &str) -> Option<&str> {
        let fields = self.cpuinfo.lines().filter_map(|line| line.split_once(':'));
        fields
            .map(|(name, value)| (name.trim(), value.trim()))
            .find(|(name, _)| *name == wanted)
            .map(|(_, value)| value)
    }

    fn is(&self, theirs: &str, ours: &str) -> bool {
        self.theirs == theirs && self.ours == ours
    }

    /// ARM's Cortex-A53 by its numbers (MIDR_EL1).
    fn is_cortex_a53(&self) -> bool {
        let numbers = (self.field("CPU implementer"), self.field("CPU part"));
        self.ours == "Cortex-A53" && numbers == (Some("0x41"), Some("0xd03"))
    }
}

/// Facts that may differ: tool, fact, why, and how cpuinfo itself shows that ours is right.
type Rule = (&'static str, &'static str, &'static str, fn(&Difference<'_>) -> bool);

const EXPLAINED: &[Rule] = &[
    ("lscpu", "model", "lscpu has no names for IBM Z; machine type 2964 is a z13", |d| {
        d.is("-", "z13") && d.cpuinfo.contains("machine = 2964")
    }),
    ("lscpu", "maker", "lscpu prints the JEDEC number that stands for T-Head", |d| {
        d.is("0x5b7", "T-Head") && d.field("mvendorid") == Some(d.theirs)
    }),
    ("lscpu", "flags", "the machine's type is no flag of its CPU; cpucaps has the flags", |d| {
        d.field("type") == Some(d.theirs) && d.field("cpucaps").is_some_and(|caps| caps.replace(',', " ") == d.ours)
    }),
    ("lscpu", "max_mhz", "lscpu shows a highest clock only where cpufreq is; the kernel states a fixed one", |d| {
        d.theirs == "none" && stated_mhz(d).is_some_and(|mhz| mhz.round().to_string() == d.ours)
    }),
    ("lscpu", "maker", "lscpu reads makers from vendor_id only; the model's name begins with it", names_maker),
    ("glpi", "maker", "GLPI knows no maker there; the model's name tells it", names_maker),
    ("glpi", "model", "GLPI looks for other fields than Alpha has", |d| {
        let told = [d.field("cpu"), d.field("cpu model")].map(Option::unwrap_or_default).join(" ");
        d.theirs == "none" && told == d.ours
    }),
    ("glpi", "model", "GLPI took the processor's number for its name", |d| {
        d.field("processor") == Some(d.theirs) && d.is_cortex_a53()
    }),
    ("glpi", "model", "the part number names the core", |d| {
        d.field("model name") == Some(d.theirs) && d.is_cortex_a53()
    }),
    ("glpi", "packages", "GLPI counts the cores of a system on a chip as CPUs; it is one package", |d| {
        let cores = d.cpuinfo.lines().filter(|line| line.starts_with("processor")).count();
        // Only such a board's cpuinfo has its own revision and serial below the processors.
        let board = d.field("Revision").is_some() && d.field("Serial").is_some();
        d.ours == "1" && cores.to_string() == d.theirs && board
    }),
    ("glpi", "packages", "several Alphas are active; GLPI makes one of a file with one block", |d| {
        d.theirs == "1" && d.field("cpus active") == Some(d.ours)
    }),
];

/// The clock that the kernel states as fixed, in MHz: in ticks a second where its name says so.
fn stated_mhz(d: &Difference<'_>) -> Option<f64> {
    let told = ["CPU MHz", "clock", "cpu MHz static"].iter().find_map(|name| d.field(name));
    if let Some(told) = told {
        return told.trim_end_matches("MHz").parse().ok();
    }
    let ticks = d.cpuinfo.lines().find(|line| line.starts_with("Cpu") && line.contains("ClkTck"))?;
    let ticks = u64::from_str_radix(ticks.split(':').nth(1)?.trim(), 16).ok()?;
    Some(ticks as f64 / 1e6)
}

/// The name of the processor begins with its maker, or with a family that one maker alone makes.
fn names_maker(d: &Difference<'_>) -> bool {
    let names = ["Model Name", "uarch", "cpu"].iter().filter_map(|name| d.field(name));
    let begins = |name: &str| {
        name.to_lowercase().starts_with(&d.ours.to_lowercase()) || d.ours == "IBM" && name.starts_with("POWER")
    };
    d.theirs == "none" && names.into_iter().any(begins)
}

/// What the dumps hold beside what the probe asks for.
const UNASKED: &[&str] = &[
    "*/power",
    "*/cpuidle",
    "*/hotplug",
    "*/vulnerabilities",
    "*/node",
    "*/stats",
    "*/pmc*",
    "*/mmcr*",
    "*/crash_notes*",
    "*/uevent",
    "*/scaling_*",
    "*/*_cpus",
    "*/bios_limit",
    "*/cpb",
    "*/energy_*",
    "*/cpuinfo_cur_freq",
    "*/cpuinfo_min_freq",
    "*/cpupower",
    "*/microcode",
    "*/thermal_throttle",
    "*/acpi_cppc",
    "*/shared_cpu_*",
];

struct Tally {
    tool: &'static str,
    equal: usize,
    explained: BTreeMap<&'static str, usize>,
    unexplained: Vec<String>,
}

/// What is compared: its name in the list, and its cpuinfo.
#[derive(Clone, Copy)]
struct Machine<'a> {
    file: &'a str,
    cpuinfo: &'a str,
}

impl Tally {
    fn new(tool: &'static str) -> Tally {
        Tally { tool, equal: 0, explained: BTreeMap::new(), unexplained: Vec::new() }
    }

    fn compare(&mut self, of: Machine<'_>, fact: &str, theirs: Option<String>, ours: Option<String>) {
        if theirs == ours {
            self.equal += usize::from(theirs.is_some());
            return;
        }
        let (theirs, ours) = (theirs.unwrap_or_else(|| "none".into()), ours.unwrap_or_else(|| "none".into()));
        let difference = Difference { theirs: &theirs, ours: &ours, cpuinfo: of.cpuinfo };
        let rules = EXPLAINED.iter().filter(|(tool, of, ..)| *tool == self.tool && *of == fact);
        match rules.into_iter().find(|(.., holds)| holds(&difference)) {
            Some((_, _, why, _)) => *self.explained.entry(why).or_default() += 1,
            None => self.unexplained.push(format!("{}: {fact}: {} says {theirs}, we say {ours}", of.file, self.tool)),
        }
    }

    fn finish(self, machines: usize) {
        let explained = self.explained.values().sum();
        let compared = self.equal + explained + self.unexplained.len();
        summary(&format!("{}: processors", self.tool), machines, compared, self.equal, explained);
        for (why, count) in &self.explained {
            println!("{count:5} {why}");
        }
        assert!(self.unexplained.is_empty(), "{}", self.unexplained.join("\n"));
        assert!(self.equal > machines, "hardly anything was compared");
    }
}

fn cpus(source: &Folder) -> Vec<Item> {
    let probe = probes::find("cpu").expect("the probe");
    let found = (probe.run)(source).expect("processors");
    let keys: BTreeSet<&String> = found.items.iter().map(|item| &item.key).collect();
    assert_eq!(keys.len(), found.items.len(), "keys are unique");
    found.items
}

fn attr(item: &Item, name: &str) -> Option<String> {
    match item.attrs.get(name)? {
        Value::List(list) => Some(list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")),
        value => Some(value.to_string()),
    }
}

#[test]
fn lscpu_says_the_same() {
    let (Some(archives), Some(texts)) = (data("sysdumps/lscpu"), data("expected/sysdumps/lscpu")) else { return };
    let mut tally = Tally::new("lscpu");
    let archives = files(&archives, ".tar.gz");
    for archive in &archives {
        let name = archive.file_name().expect("a name").to_string_lossy().replace(".tar.gz", "");
        let folder = tempfile::tempdir().expect("a folder");
        let machine = unpack(archive, folder.path(), UNASKED);
        let text = std::fs::read_to_string(texts.join(format!("lscpu-{name}.txt"))).expect("lscpu's text");
        let cpuinfo = std::fs::read_to_string(machine.0.join("proc/cpuinfo")).unwrap_or_default();
        let of = Machine { file: &name, cpuinfo: &cpuinfo };
        compare_lscpu(&mut tally, of, &text, &cpus(&machine));
    }
    tally.finish(archives.len());
}

fn compare_lscpu(tally: &mut Tally, of: Machine<'_>, text: &str, items: &[Item]) {
    let fields: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once(':')).map(|(k, v)| (k.trim(), v.trim())).collect();
    let field = |name: &str| fields.get(name).map(|value| (*value).to_owned());
    let first = items.first().expect("a package");
    // The first table says CPU, core and socket of each processor; exact where the summary is an average.
    let rows =
        text.split("# CPU,Core,Socket").nth(1).unwrap_or("").lines().skip(1).take_while(|line| line.contains(','));
    let mut sockets: BTreeMap<u32, (BTreeSet<u32>, u32)> = BTreeMap::new();
    for row in rows {
        let mut numbers = row.split(',').skip(1).map(|n| n.parse::<u32>().unwrap_or(0));
        let (core, socket) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let entry = sockets.entry(socket).or_default();
        entry.0.insert(core);
        entry.1 += 1;
    }
    let theirs: Vec<(String, String)> = sockets.values().map(|(c, t)| (c.len().to_string(), t.to_string())).collect();
    let ours: Vec<(String, String)> = items
        .iter()
        .map(|item| (attr(item, "cores").unwrap_or_default(), attr(item, "threads").unwrap_or_default()))
        .collect();
    tally.compare(of, "packages", Some(theirs.len().to_string()), Some(ours.len().to_string()));
    tally.compare(of, "cores and threads", Some(format!("{theirs:?}")), Some(format!("{ours:?}")));
    let maker = field("Vendor ID").map(|vendor| match vendor.as_str() {
        "GenuineIntel" => "Intel".to_owned(),
        "AuthenticAMD" => "AMD".to_owned(),
        "IBM/S390" => "IBM".to_owned(),
        _ => vendor,
    });
    tally.compare(of, "maker", maker, first.maker.clone());
    let squeeze = |text: String| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let model = field("Model name").map(squeeze).filter(|model| model != "-" || first.model.is_some());
    tally.compare(of, "model", model, first.model.clone());
    let max = field("CPU max MHz").and_then(|mhz| mhz.parse::<f64>().ok()).map(|mhz| mhz.round().to_string());
    tally.compare(of, "max_mhz", max, attr(first, "max_mhz"));
    if let Some(isa) = field("ISA") {
        tally.compare(of, "isa", Some(isa), attr(first, "flags"));
    } else {
        tally.compare(of, "flags", field("Flags"), attr(first, "flags"));
    }
    tally.compare(of, "microcode", field("Microcode version"), attr(first, "microcode"));
    if field("Vendor ID").is_some_and(|vendor| vendor.starts_with("Genuine") || vendor.starts_with("Authentic")) {
        for (theirs, ours) in [("CPU family", "family"), ("Model", "model_number"), ("Stepping", "stepping")] {
            tally.compare(of, ours, field(theirs), attr(first, ours));
        }
    }
    compare_caches(tally, of, &field, first);
}

/// `1.5 MiB (48 instances)` is the sum; ours is of one.
fn compare_caches(tally: &mut Tally, of: Machine<'_>, field: &dyn Fn(&str) -> Option<String>, first: &Item) {
    let ours = attr(first, "caches").unwrap_or_default();
    let words: Vec<&str> = ours.split_ascii_whitespace().collect();
    let ours: BTreeMap<&str, &str> = words.chunks(2).filter_map(|pair| Some((*pair.first()?, *pair.get(1)?))).collect();
    for level in ["L1d", "L1i", "L2", "L2d", "L2i", "L3", "L4"] {
        let theirs = field(&format!("{level} cache")).and_then(|text| {
            let words: Vec<&str> = text.split_ascii_whitespace().collect();
            let unit = if words.get(1)? == &"MiB" { 1_048_576.0 } else { 1024.0 };
            let instances = words.get(2).map_or(1.0, |n| n.trim_start_matches('(').parse::<f64>().unwrap_or(1.0));
            Some((words.first()?.parse::<f64>().ok()? * unit / instances).to_string())
        });
        tally.compare(of, level, theirs, ours.get(level).map(|bytes| (*bytes).to_owned()));
    }
}

#[test]
fn glpi_says_the_same_of_cpuinfo() {
    let Some(expected) = data("expected/raw/linux-proc-cpuinfo.json") else { return };
    let text = std::fs::read_to_string(expected).expect("expectations");
    let tests: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let mut tally = Tally::new("glpi");
    let mut seen = BTreeSet::new();
    for test in tests.as_array().expect("a list").iter().filter(|test| test["test"] == "linux_cpu") {
        let file = test["files"][0].as_str().expect("a file");
        seen.insert(file);
        compare_glpi(&mut tally, file, test["expected"].as_array().expect("a list"));
    }
    tally.finish(seen.len());
}

fn compare_glpi(tally: &mut Tally, file: &str, expected: &[serde_json::Value]) {
    let path = data(file).expect("the file");
    let (items, cpuinfo) = (of_cpuinfo(&path), std::fs::read(&path).expect("the file"));
    let cpuinfo = String::from_utf8_lossy(&cpuinfo);
    let of = Machine { file, cpuinfo: &cpuinfo };
    let first = items.first().expect("a package");
    tally.compare(of, "packages", Some(expected.len().to_string()), Some(items.len().to_string()));
    for (theirs, ours) in expected.iter().zip(&items) {
        let has = |name: &str| theirs.get(name).is_some();
        let text = |name: &str| match &theirs[name] {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        tally.compare(of, "arch", text("ARCH"), attr(ours, "arch").map(|arch| family_of(&arch).to_owned()));
        if has("NAME") {
            tally.compare(of, "model", text("NAME"), ours.model.clone());
        }
        if has("MANUFACTURER") {
            tally.compare(of, "maker", text("MANUFACTURER"), ours.maker.clone());
        }
        let facts = [("CORE", "cores"), ("SPEED", "max_mhz"), ("FAMILYNUMBER", "family"), ("MODEL", "model_number")];
        for (their, our) in facts.into_iter().chain([("STEPPING", "stepping")]).filter(|(their, _)| has(their)) {
            tally.compare(of, our, text(their), attr(ours, our));
        }
        if has("THREAD") {
            // GLPI means threads of one core.
            let number = |name: &str| attr(first, name).and_then(|n| n.parse::<u32>().ok()).expect("a number");
            tally.compare(of, "threads", text("THREAD"), Some((number("threads") / number("cores")).to_string()));
        }
    }
}

/// GLPI names families of architectures.
fn family_of(arch: &str) -> &str {
    match arch {
        "i686" => "i386",
        "sparc64" => "sparc",
        "ppc" | "ppc64" | "ppc64le" => "powerpc",
        arch if arch.starts_with("armv") => "arm",
        arch => arch,
    }
}

fn of_cpuinfo(path: &std::path::Path) -> Vec<Item> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("proc")).expect("proc");
    std::fs::copy(path, folder.path().join("proc/cpuinfo")).expect("a copy");
    cpus(&Folder(folder.path().to_owned()))
}

#[test]
fn every_cpuinfo_names_its_processors() {
    let Some(folder) = data("raw/linux/proc/cpuinfo") else { return };
    for file in files(&folder, "") {
        let items = of_cpuinfo(&file);
        for item in &items {
            let told = (item.model.is_some(), attr(item, "arch").is_some(), attr(item, "cores").is_some());
            assert_eq!(told, (true, true, true), "{}: {item:?}", file.display());
        }
    }
}
