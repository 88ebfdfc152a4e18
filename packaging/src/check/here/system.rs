//! The operating system as its release file and uname say, processors as lscpu does, memory as free does.

use super::compare::Facts;
use super::{Report, Rule, Tool, attr, put};
use serde_json::Value;
use std::collections::BTreeMap;

fn os(report: &Report, names: &[(&str, &str)]) -> Facts {
    let mut facts = Facts::new();
    for item in report.items("os") {
        for (name, fact) in names {
            put(&mut facts, *name, if *fact == "label" { item.label.clone() } else { attr(item, fact) });
        }
    }
    facts
}

pub(super) const OS_RELEASE: Tool = Tool {
    name: "/etc/os-release",
    asks: &[&["/etc/os-release"]],
    theirs: |texts| {
        let mut facts = Facts::new();
        for line in texts.first()?.lines() {
            let Some((name, value)) = line.split_once('=') else { continue };
            if ["PRETTY_NAME", "ID", "ID_LIKE", "VERSION_ID", "VERSION_CODENAME"].contains(&name) {
                facts.insert(name.to_owned(), value.trim_matches(['"', '\'']).to_owned());
            }
        }
        Some(facts)
    },
    ours: |report| {
        let names = [
            ("PRETTY_NAME", "label"),
            ("ID", "distribution"),
            ("ID_LIKE", "like"),
            ("VERSION_ID", "version"),
            ("VERSION_CODENAME", "codename"),
        ];
        os(report, &names)
    },
    rules: &[Rule {
        why: "/etc/debian_version knows the point release",
        holds: |d| {
            let exact = std::fs::read_to_string("/etc/debian_version").unwrap_or_default();
            let (Some(theirs), Some(ours)) = (d.theirs, d.ours) else { return false };
            d.name == "VERSION_ID" && ours == exact.trim() && ours.split('.').next() == Some(theirs)
        },
    }],
};

pub(super) const UNAME: Tool = Tool {
    name: "uname -r -m -n",
    asks: &[&["uname", "-r"], &["uname", "-m"], &["uname", "-n"]],
    theirs: |texts| {
        let names = ["kernel", "arch", "hostname"].map(str::to_owned);
        Some(names.into_iter().zip(texts.iter().map(|text| text.trim().to_owned())).collect())
    },
    ours: |report| os(report, &[("kernel", "kernel"), ("arch", "arch"), ("hostname", "hostname")]),
    rules: &[],
};

pub(super) const LSCPU: Tool = Tool {
    name: "lscpu -J",
    asks: &[&["lscpu", "-J"]],
    theirs: lscpu,
    ours: processors,
    rules: &[
        Rule {
            why: "lscpu prints the vendor as CPUID spells it",
            holds: |d| {
                let spelled = [("AuthenticAMD", "AMD"), ("GenuineIntel", "Intel"), ("IBM/S390", "IBM")];
                d.name == "maker"
                    && spelled.iter().any(|(theirs, ours)| (d.theirs, d.ours) == (Some(theirs), Some(ours)))
            },
        },
        Rule {
            why: "lscpu shows a highest clock only where cpufreq is; here /proc/cpuinfo states a fixed one",
            holds: |d| {
                let cpufreq = std::path::Path::new("/sys/devices/system/cpu/cpu0/cpufreq").exists();
                let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
                let stated = info.lines().filter(|line| line.starts_with("cpu MHz") || line.starts_with("model name"));
                let mut clocks = stated.filter_map(|line| line.split_ascii_whitespace().next_back()).filter_map(mhz);
                let ours = d.ours.and_then(|ours| ours.parse::<f64>().ok());
                d.name == "max_mhz" && d.theirs.is_none() && !cpufreq && clocks.any(|clock| Some(clock) == ours)
            },
        },
        Rule {
            why: "lscpu does not say the microcode; /proc/cpuinfo does",
            holds: |d| {
                let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
                let line = info.lines().find(|line| line.starts_with("microcode")).unwrap_or("");
                d.name == "microcode" && d.theirs.is_none() && line.split_ascii_whitespace().next_back() == d.ours
            },
        },
    ],
};

/// `2596.130`, `2.60GHz`
fn mhz(word: &str) -> Option<f64> {
    let clock = match word.strip_suffix("GHz") {
        Some(ghz) => ghz.parse::<f64>().ok()? * 1000.0,
        None => word.parse::<f64>().ok()?,
    };
    Some(clock.round())
}

/// Newer ones nest their fields.
fn fields(list: &Value, found: &mut BTreeMap<String, String>) {
    for field in list.as_array().into_iter().flatten() {
        let name = field["field"].as_str().unwrap_or("").trim_end_matches(':');
        let data = field["data"].as_str().unwrap_or("").split_ascii_whitespace().collect::<Vec<_>>().join(" ");
        found.insert(name.to_owned(), data);
        fields(&field["children"], found);
    }
}

fn lscpu(texts: &[String]) -> Option<Facts> {
    let tree: Value = serde_json::from_str(texts.first()?).ok()?;
    let mut found = BTreeMap::new();
    fields(&tree["lscpu"], &mut found);
    let mut facts = Facts::new();
    for (theirs, ours) in [
        ("Architecture", "arch"),
        ("Vendor ID", "maker"),
        ("Model name", "model"),
        ("CPU family", "family"),
        ("Model", "model_number"),
        ("Stepping", "stepping"),
        ("Socket(s)", "packages"),
        ("Core(s) per socket", "cores"),
        ("Flags", "flags"),
    ] {
        put(&mut facts, ours, found.get(theirs).cloned());
    }
    let online = found.get("On-line CPU(s) list")?.split(',').map(count).sum::<Option<u32>>()?;
    facts.insert("threads".to_owned(), online.to_string());
    let max = found.get("CPU max MHz").and_then(|mhz| mhz.parse::<f64>().ok());
    put(&mut facts, "max_mhz", max.map(|mhz| mhz.round().to_string()));
    for level in ["L1d", "L1i", "L2", "L3"] {
        put(&mut facts, level, found.get(&format!("{level} cache")).and_then(|text| cache(text)));
    }
    Some(facts)
}

/// `0-3` is four.
fn count(range: &str) -> Option<u32> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    Some(last.trim().parse::<u32>().ok()? - first.trim().parse::<u32>().ok()? + 1)
}

/// `1.5 MiB (48 instances)` is the sum; ours is of one, in bytes.
fn cache(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split(' ').collect();
    let unit = match *words.get(1)? {
        "KiB" => 1024.0,
        "MiB" => 1_048_576.0,
        _ => return None,
    };
    let instances = words.get(2).map_or(Some(1.0), |n| n.trim_start_matches('(').parse::<f64>().ok())?;
    Some((words.first()?.parse::<f64>().ok()? * unit / instances).to_string())
}

fn processors(report: &Report) -> Facts {
    let mut facts = Facts::new();
    let packages = report.items("cpu");
    let Some(first) = packages.first() else { return facts };
    for fact in ["arch", "family", "model_number", "stepping", "cores", "max_mhz", "microcode"] {
        put(&mut facts, fact, attr(first, fact));
    }
    put(&mut facts, "maker", first.maker.clone());
    put(&mut facts, "model", first.model.clone());
    put(&mut facts, "flags", attr(first, "flags").map(|flags| flags.replace(", ", " ")));
    put(&mut facts, "packages", Some(packages.len().to_string()));
    let threads = packages.iter().filter_map(|item| attr(item, "threads")?.parse::<u32>().ok()).sum::<u32>();
    put(&mut facts, "threads", Some(threads.to_string()));
    for cache in attr(first, "caches").unwrap_or_default().split(", ").filter_map(|cache| cache.split_once(' ')) {
        put(&mut facts, cache.0, Some(cache.1));
    }
    facts
}

/// Of all memory, by which what is used may move while both look.
const MOVES: i64 = 50;

pub(super) const FREE: Tool = Tool {
    name: "free -b",
    asks: &[&["free", "-b"]],
    theirs: |texts| {
        let mut facts = Facts::new();
        for line in texts.first()?.lines() {
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                ["Mem:", total, .., available] => {
                    let used = total.parse::<i64>().ok()? - available.parse::<i64>().ok()?;
                    facts.insert("memory".to_owned(), (*total).to_owned());
                    facts.insert("memory but what is available".to_owned(), used.to_string());
                }
                ["Swap:", total, ..] => {
                    facts.insert("swap".to_owned(), (*total).to_owned());
                }
                _ => {}
            }
        }
        Some(facts)
    },
    ours: |report| {
        let mut facts = Facts::new();
        for item in report.items("memory").iter().filter(|item| item.key == "memory") {
            put(&mut facts, "memory", item.size.map(|bytes| bytes.to_string()));
            put(&mut facts, "swap", attr(item, "swap_bytes"));
            let used = item.now.get("used_bytes").map(ToString::to_string);
            put(&mut facts, "memory but what is available", used);
        }
        facts
    },
    rules: &[Rule {
        why: "what is used moves while both look, by less than 2 % of the whole",
        holds: |d| {
            let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
            let whole = d.all.get("memory").map(String::as_str);
            match (number(d.theirs), number(d.ours), number(whole)) {
                (Some(theirs), Some(ours), Some(whole)) if d.name.contains("available") => {
                    (theirs - ours).abs() <= whole / MOVES
                }
                _ => false,
            }
        },
    }],
};
