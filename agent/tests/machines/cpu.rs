//! `cpu` against util-linux's `lscpu` on whole machines and GLPI Agent's expectations on `/proc/cpuinfo`.

use crate::folder::{Folder, data, files, unpack};
use agent::probes;
use shared::fact::{Item, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Facts that differ, and why: `(tool, fact, theirs, ours, why)`; a `*` stands for any value.
const EXPLAINED: &[(&str, &str, &str, &str, &str)] = &[
    ("lscpu", "model", "-", "z13", "lscpu has no names for IBM Z; machine type 2964 is a z13"),
    ("lscpu", "maker", "0x5b7", "T-Head", "lscpu prints the JEDEC number that stands for T-Head"),
    ("lscpu", "flags", "sun4u", "*", "the machine's type is no flag of its CPU; cpucaps has the flags"),
    (
        "lscpu",
        "max_mhz",
        "none",
        "*",
        "lscpu shows a highest clock only where cpufreq is; the kernel states a fixed one",
    ),
    ("lscpu", "maker", "none", "*", "lscpu reads makers from vendor_id only; the model's name tells more"),
    ("glpi", "maker", "none", "*", "GLPI knows no maker there"),
    ("glpi", "model", "none", "Alpha EV68CB", "GLPI looks for other fields than Alpha has"),
    ("glpi", "model", "0", "Cortex-A53", "GLPI took the processor's number for its name"),
    ("glpi", "model", "ARMv7 Processor rev 4 (v7l)", "Cortex-A53", "the part number names the core"),
    ("glpi", "packages", "4", "1", "GLPI counts the cores of a system on a chip as CPUs; it is one package"),
    ("glpi", "packages", "1", "3", "three Alphas are active; GLPI makes one of a file with one block"),
];

fn explained(tool: &str, fact: &str, theirs: &str, ours: &str) -> bool {
    let is = |pattern: &str, value: &str| pattern == "*" || pattern == value;
    EXPLAINED.iter().any(|(t, f, a, b, _)| *t == tool && *f == fact && is(a, theirs) && is(b, ours))
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
    explained: usize,
    unexplained: Vec<String>,
}

impl Tally {
    fn new(tool: &'static str) -> Tally {
        Tally { tool, equal: 0, explained: 0, unexplained: Vec::new() }
    }

    fn compare(&mut self, file: &str, fact: &str, theirs: Option<String>, ours: Option<String>) {
        if theirs == ours {
            self.equal += usize::from(theirs.is_some());
            return;
        }
        let (theirs, ours) = (theirs.unwrap_or_else(|| "none".into()), ours.unwrap_or_else(|| "none".into()));
        if explained(self.tool, fact, &theirs, &ours) {
            self.explained += 1;
        } else {
            self.unexplained.push(format!("{file}: {fact}: {} says {theirs}, we say {ours}", self.tool));
        }
    }

    fn finish(self, machines: usize) {
        println!(
            "{}: {machines} files, {} facts equal, {} explained, {} unexplained",
            self.tool,
            self.equal,
            self.explained,
            self.unexplained.len()
        );
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
        compare_lscpu(&mut tally, &name, &text, &cpus(&machine));
    }
    tally.finish(archives.len());
}

fn compare_lscpu(tally: &mut Tally, file: &str, text: &str, items: &[Item]) {
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
    tally.compare(file, "packages", Some(theirs.len().to_string()), Some(ours.len().to_string()));
    tally.compare(file, "cores and threads", Some(format!("{theirs:?}")), Some(format!("{ours:?}")));
    let maker = field("Vendor ID").map(|vendor| match vendor.as_str() {
        "GenuineIntel" => "Intel".to_owned(),
        "AuthenticAMD" => "AMD".to_owned(),
        "IBM/S390" => "IBM".to_owned(),
        _ => vendor,
    });
    tally.compare(file, "maker", maker, first.maker.clone());
    let squeeze = |text: String| text.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    let model = field("Model name").map(squeeze).filter(|model| model != "-" || first.model.is_some());
    tally.compare(file, "model", model, first.model.clone());
    let max = field("CPU max MHz").and_then(|mhz| mhz.parse::<f64>().ok()).map(|mhz| mhz.round().to_string());
    tally.compare(file, "max_mhz", max, attr(first, "max_mhz"));
    if let Some(isa) = field("ISA") {
        tally.compare(file, "isa", Some(isa), attr(first, "flags"));
    } else {
        tally.compare(file, "flags", field("Flags"), attr(first, "flags"));
    }
    tally.compare(file, "microcode", field("Microcode version"), attr(first, "microcode"));
    if field("Vendor ID").is_some_and(|vendor| vendor.starts_with("Genuine") || vendor.starts_with("Authentic")) {
        for (theirs, ours) in [("CPU family", "family"), ("Model", "model_number"), ("Stepping", "stepping")] {
            tally.compare(file, ours, field(theirs), attr(first, ours));
        }
    }
    compare_caches(tally, file, &field, first);
}

/// `1.5 MiB (48 instances)` is the sum; ours is of one.
fn compare_caches(tally: &mut Tally, file: &str, field: &dyn Fn(&str) -> Option<String>, first: &Item) {
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
        tally.compare(file, level, theirs, ours.get(level).map(|bytes| (*bytes).to_owned()));
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
    let items = of_cpuinfo(&data(file).expect("the file"));
    let first = items.first().expect("a package");
    tally.compare(file, "packages", Some(expected.len().to_string()), Some(items.len().to_string()));
    for (theirs, ours) in expected.iter().zip(&items) {
        let has = |name: &str| theirs.get(name).is_some();
        let text = |name: &str| match &theirs[name] {
            serde_json::Value::String(text) => Some(text.clone()),
            serde_json::Value::Number(number) => Some(number.to_string()),
            _ => None,
        };
        tally.compare(file, "arch", text("ARCH"), attr(ours, "arch").map(|arch| family_of(&arch).to_owned()));
        if has("NAME") {
            tally.compare(file, "model", text("NAME"), ours.model.clone());
        }
        if has("MANUFACTURER") {
            tally.compare(file, "maker", text("MANUFACTURER"), ours.maker.clone());
        }
        let facts = [("CORE", "cores"), ("SPEED", "max_mhz"), ("FAMILYNUMBER", "family"), ("MODEL", "model_number")];
        for (their, our) in facts.into_iter().chain([("STEPPING", "stepping")]).filter(|(their, _)| has(their)) {
            tally.compare(file, our, text(their), attr(ours, our));
        }
        if has("THREAD") {
            // GLPI means threads of one core.
            let number = |name: &str| attr(first, name).and_then(|n| n.parse::<u32>().ok()).expect("a number");
            tally.compare(file, "threads", text("THREAD"), Some((number("threads") / number("cores")).to_string()));
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
