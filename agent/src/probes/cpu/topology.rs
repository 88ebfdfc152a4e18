//! Which threads share a core and which cores a package: from sysfs (Documentation/ABI/stable/
//! sysfs-devices-system-cpu), else from the fields of cpuinfo. Does not know names or speeds.

use crate::probes::cpuinfo::CpuInfo;
use crate::source::Source;
use std::collections::{BTreeMap, BTreeSet};

/// Processors considered at most, as Linux does.
const CPUS_MAX: u32 = 8192;

/// Where sysfs has processors.
pub const DIR: &str = "/sys/devices/system/cpu";

/// One package (socket).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Its number, unique on this machine.
    pub id: u32,
    /// Logical processors in it that are online, in order.
    pub cpus: Vec<u32>,
    /// Cores in it.
    pub cores: u32,
    /// Hardware threads in it.
    pub threads: u32,
}

/// Numbers of a list such as `0-3,8`; what is no number ends it.
pub fn parse_list(text: &str) -> Vec<u32> {
    let mut cpus = BTreeSet::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u32>(), last.trim().parse::<u32>()) else { break };
        cpus.extend(first..=last.min(CPUS_MAX - 1));
    }
    cpus.into_iter().collect()
}

/// Numbers of a mask such as `0000,0000000f`, in which old kernels write what newer ones list.
pub fn parse_mask(text: &str) -> Vec<u32> {
    let digits: Vec<u32> =
        text.trim().chars().rev().filter_map(|c| c.to_digit(16)).take(CPUS_MAX as usize / 4).collect();
    let bits = digits
        .iter()
        .zip(0u32..)
        .flat_map(|(digit, at)| (0..4).filter(move |bit| digit >> bit & 1 == 1).map(move |bit| at * 4 + bit));
    bits.collect()
}

/// Packages as sysfs tells; none where it does not. Asks once per core and twice per package.
pub fn ask_packages(source: &dyn Source) -> Vec<Package> {
    let online = source.text(&format!("{DIR}/online")).map(|text| parse_list(&text)).unwrap_or_default();
    let mut packages: Vec<(Option<u32>, Package)> = Vec::new();
    let mut seen = BTreeSet::new();
    for &cpu in &online {
        if seen.contains(&cpu) {
            continue;
        }
        let Some(members) = siblings(source, cpu, ["core_siblings", "package_cpus"]) else { return Vec::new() };
        let cpus: Vec<u32> = members.into_iter().filter(|member| online.binary_search(member).is_ok()).collect();
        let id = source.text(&format!("{DIR}/cpu{cpu}/topology/physical_package_id")).ok();
        let id =
            id.and_then(|id| id.trim().parse::<u32>().ok()).filter(|&id| id != u32::from(u16::MAX) && id < u32::MAX);
        let cores = count_cores(source, &cpus);
        let threads = u32::try_from(cpus.len()).unwrap_or(u32::MAX);
        seen.insert(cpu);
        seen.extend(&cpus);
        packages.push((id, Package { id: 0, cpus, cores, threads }));
    }
    number(packages)
}

fn count_cores(source: &dyn Source, cpus: &[u32]) -> u32 {
    let mut seen = BTreeSet::new();
    let mut cores = 0u32;
    for &cpu in cpus {
        if seen.insert(cpu) {
            cores = cores.saturating_add(1);
            seen.extend(siblings(source, cpu, ["thread_siblings", "core_cpus"]).unwrap_or_default());
        }
    }
    cores
}

/// Whom a processor shares something with, itself included; each name may be a list or a mask.
fn siblings(source: &dyn Source, cpu: u32, names: [&str; 2]) -> Option<Vec<u32>> {
    let path = |name: &str| format!("{DIR}/cpu{cpu}/topology/{name}");
    let list =
        names.iter().find_map(|name| source.text(&path(&format!("{name}_list"))).ok()).map(|text| parse_list(&text));
    let found =
        list.or_else(|| names.iter().find_map(|name| source.text(&path(name)).ok()).map(|text| parse_mask(&text)))?;
    found.contains(&cpu).then_some(found)
}

/// The firmware's package numbers where each package has its own, else a count: some kernels say -1,
/// and on s390 numbers repeat in every book.
fn number(packages: Vec<(Option<u32>, Package)>) -> Vec<Package> {
    let ids: BTreeSet<u32> = packages.iter().filter_map(|(id, _)| *id).collect();
    let unique = ids.len() == packages.len();
    let numbered = packages.into_iter().zip(0u32..);
    numbered.map(|((id, package), at)| Package { id: id.filter(|_| unique).unwrap_or(at), ..package }).collect()
}

/// Packages as cpuinfo tells. Without a package number, x86 kernels mean one package per processor
/// (they print it as soon as a package has two threads); systems on a chip are one package; for the
/// rest, whose files name none, each processor counts as a package of one core.
pub fn packages_of(info: &CpuInfo) -> Vec<Package> {
    let on_a_chip = info.any(&["cpu implementer", "cpu architecture", "hart"]).is_some();
    let mut groups: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    let mut told = false;
    for (processor, at) in info.processors.iter().zip(0u32..) {
        let id = info.get(processor.number, &["physical id", "package"]).and_then(|id| id.parse().ok());
        told |= id.is_some();
        groups.entry(id.unwrap_or(if on_a_chip { 0 } else { at })).or_default().push(processor.number);
    }
    let mut packages = Vec::new();
    for (id, cpus) in groups {
        let first = cpus.first().copied().unwrap_or(0);
        let says = |name: &str| info.get(first, &[name]).and_then(|n| n.parse::<u32>().ok());
        let distinct: BTreeSet<&str> = cpus.iter().filter_map(|&cpu| info.get(cpu, &["core id", "core"])).collect();
        let count = u32::try_from(cpus.len()).unwrap_or(u32::MAX);
        let cores = u32::try_from(distinct.len()).ok().filter(|&n| told && n > 0).unwrap_or(count);
        let (cores, threads) = (says("cpu cores").unwrap_or(cores), says("siblings").unwrap_or(count));
        packages.push(Package { id, cpus, cores, threads });
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lists_and_masks_say_the_same() {
        assert_eq!(parse_list("0-2,8"), [0, 1, 2, 8]);
        assert_eq!(parse_mask("00000000,00000107"), [0, 1, 2, 8]);
        assert_eq!(parse_list(""), Vec::<u32>::new());
        assert_eq!(parse_list("3-1,5"), [5]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(text in "[0-9a-f,\\- ]{0,64}|\\PC{0,64}") {
            prop_assert!(parse_list(&text).len() <= CPUS_MAX as usize);
            prop_assert!(parse_mask(&text).len() <= CPUS_MAX as usize);
        }
    }
}
