//! Caches that the first core of a package sees, as `L1d 32768`: level, kind, bytes. From sysfs, else
//! from cpuinfo where it names the level. (x86's `cache size` does not, and is left out.) s390 has the
//! shared levels in cpuinfo only.

use super::topology::DIR;
use crate::probes::cpuinfo::CpuInfo;
use crate::source::Source;

/// Caches of one core considered at most.
const CACHES_MAX: usize = 16;

/// Asks sysfs, and adds the levels that only cpuinfo has.
pub fn ask(source: &dyn Source, info: &CpuInfo, cpu: u32) -> Vec<String> {
    let mut caches = ask_sysfs(source, cpu);
    let level = |cache: &str| cache.chars().take(2).collect::<String>();
    let known: Vec<String> = caches.iter().map(|cache| level(cache)).collect();
    caches.extend(from_cpuinfo(info).into_iter().filter(|cache| !known.contains(&level(cache))));
    caches
}

/// SPARC has three files of its own.
fn ask_sysfs(source: &dyn Source, cpu: u32) -> Vec<String> {
    let folder = format!("{DIR}/cpu{cpu}/cache");
    let names = source.names(&folder).unwrap_or_default();
    let mut caches = Vec::new();
    for name in names.iter().filter(|name| name.starts_with("index")).take(CACHES_MAX) {
        let text = |field: &str| source.text(&format!("{folder}/{name}/{field}")).unwrap_or_default();
        let Some(bytes) = parse_size(&text("size")) else { continue };
        caches.extend(name_of(&text("level"), &text("type")).map(|name| format!("{name} {bytes}")));
    }
    if caches.is_empty() && names.is_empty() {
        for (field, name) in [("l1_dcache_size", "L1d"), ("l1_icache_size", "L1i"), ("l2_cache_size", "L2")] {
            let text = source.text(&format!("{DIR}/cpu{cpu}/{field}")).unwrap_or_default();
            caches.extend(text.parse::<u64>().ok().filter(|&bytes| bytes > 0).map(|bytes| format!("{name} {bytes}")));
        }
    }
    caches
}

/// What cpuinfo says: s390's `cache0 : level=1 type=Data … size=128K`, Alpha's `L1 Dcache : 64K, 2-way`.
fn from_cpuinfo(info: &CpuInfo) -> Vec<String> {
    let mut caches = Vec::new();
    for at in 0..CACHES_MAX {
        let Some(line) = info.any(&[&format!("cache{at}")]) else { break };
        let part = |name: &str| line.split_ascii_whitespace().find_map(|word| word.strip_prefix(name)).unwrap_or("");
        let name = name_of(part("level="), part("type="));
        caches.extend(name.zip(parse_size(part("size="))).map(|(name, bytes)| format!("{name} {bytes}")));
    }
    for (field, name) in [("l1 dcache", "L1d"), ("l1 icache", "L1i"), ("l2 cache", "L2"), ("l3 cache", "L3")] {
        caches.extend(info.any(&[field]).and_then(parse_size).map(|bytes| format!("{name} {bytes}")));
    }
    caches
}

fn name_of(level: &str, kind: &str) -> Option<String> {
    let level: u8 = level.parse().ok().filter(|level| (1..=9).contains(level))?;
    let kind = match kind {
        "Data" => "d",
        "Instruction" => "i",
        _ => "",
    };
    Some(format!("L{level}{kind}"))
}

/// `32K`, `512KiB, …`, `4M` or bytes; none for 0 and for anything else.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, rest) = text.split_at(digits);
    let unit = rest.trim_start().chars().next();
    let factor = match unit {
        None => 1,
        Some('K' | 'k') => 1024,
        Some('M') => 1024 * 1024,
        Some(_) => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor).filter(|&bytes| bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::cpuinfo::parse_cpuinfo;

    #[test]
    fn cpuinfo_of_s390_and_alpha_names_caches() {
        let s390 = parse_cpuinfo(
            "vendor_id : IBM/S390\ncache0 : level=1 type=Data scope=Private size=128K\ncache1 : level=3 type=Unified size=65536K\n",
        );
        assert_eq!(from_cpuinfo(&s390), ["L1d 131072", "L3 67108864"]);
        let alpha = parse_cpuinfo("cpu : Alpha\nL1 Icache : 64K, 2-way, 64b line\nL2 cache : n/a\n");
        assert_eq!(from_cpuinfo(&alpha), ["L1i 65536"]);
    }
}
