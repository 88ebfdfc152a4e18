//! Probe `cpu`: one item per package (socket).
//!
//! Knows names, counts, clocks, caches, flags and microcode, from `/proc/cpuinfo` and sysfs. `cores`
//! and `threads` count what is in the package; threads per core are not told, as they follow. Does not
//! know the clock of the moment, which is no fact about a machine, nor serials (SMBIOS has none that are real).

mod caches;
mod clock;
mod names;
mod topology;

use super::cpuinfo::{CpuInfo, parse_cpuinfo};
use super::{Every, Found, Os, Probe, arch};
use crate::source::Source;
use shared::checkin::{Problem, Why};
use shared::hardware::Cpu;
use topology::Package;

/// The probe.
pub const PROBE: Probe = Probe { name: "cpu", os: &[Os::Linux], every: Every::Hour, needs: "", mark: None, run };

/// Flags of one package that are reported at most.
const FLAGS_MAX: usize = 512;

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let mut problems = Vec::new();
    let text = source.text("/proc/cpuinfo").unwrap_or_else(|miss| {
        problems.push(miss.problem("/proc/cpuinfo"));
        String::new()
    });
    let info = parse_cpuinfo(&text);
    let mut packages = topology::ask_packages(source);
    if packages.is_empty() {
        packages = topology::packages_of(&info);
    }
    if packages.is_empty() {
        return Err(problems
            .pop()
            .unwrap_or_else(|| Problem::new(Why::Malformed, "/proc/cpuinfo").detail("no processor")));
    }
    let arch = arch::ask(source, &text);
    let describe = |package: &Package| {
        let mut cpu = describe(&info, package);
        let first = package.cpus.first().copied().unwrap_or(0);
        cpu.arch.clone_from(&arch);
        cpu.max_mhz = clock::ask_max_mhz(source, &package.cpus).or_else(|| clock::from_cpuinfo(&info, first));
        cpu.caches = caches::ask(source, &info, first);
        cpu.into()
    };
    Ok(Found { items: packages.iter().map(describe).collect(), problems })
}

/// A number, decimal or `0x…`.
fn int(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What cpuinfo says of a package.
fn describe(info: &CpuInfo, package: &Package) -> Cpu {
    let first = package.cpus.first().copied().unwrap_or(0);
    let get = |names: &[&str]| info.get(first, names);
    let arm = get(&["cpu implementer"]).and_then(int);
    let s390 = get(&["vendor_id"]) == Some("IBM/S390");
    let number = |name: &str| get(&[name]).and_then(int);
    let (family, model_number, stepping) = if arm.is_some() {
        (None, number("cpu part"), number("cpu revision"))
    } else if s390 {
        (None, number("machine"), None)
    } else {
        let revision = ["stepping", "cpu revision"].iter().find_map(|name| number(name));
        (number("cpu family"), number("model"), revision)
    };
    Cpu {
        socket: package.id,
        maker: maker(info, first, arm),
        model: model(info, package),
        cores: Some(package.cores),
        threads: Some(package.threads),
        family,
        model_number,
        stepping,
        microcode: get(&["microcode"]).map(str::to_owned),
        flags: flags(info, first),
        ..Cpu::default()
    }
}

fn maker(info: &CpuInfo, cpu: u32, arm: Option<u32>) -> Option<String> {
    if let Some(implementer) = arm {
        return names::implementer(implementer).map(str::to_owned);
    }
    if let Some(vendor) = info.get(cpu, &["vendor_id", "vendor"]) {
        return Some(names::vendor(vendor));
    }
    if let Some(riscv) = info.get(cpu, &["mvendorid"]).and_then(int) {
        return names::riscv_vendor(riscv).map(str::to_owned);
    }
    let name = info.get(cpu, &["model name", "cpu", "uarch"])?;
    let known =
        [("Loongson", "Loongson"), ("POWER", "IBM"), ("PPC970", "IBM"), ("sifive,", "SiFive"), ("thead,", "T-Head")];
    known.iter().find(|(start, _)| name.starts_with(start)).map(|(_, maker)| (*maker).to_owned())
}

/// The name of the package's model; where cores of two kinds share it, both, joined by ` + `.
fn model(info: &CpuInfo, package: &Package) -> Option<String> {
    let mut models: Vec<String> = Vec::new();
    for &cpu in &package.cpus {
        if let Some(name) = model_of(info, cpu).filter(|name| !models.contains(name)) {
            models.push(name);
        }
        if models.len() == 4 {
            break;
        }
    }
    (!models.is_empty()).then(|| models.join(" + "))
}

fn model_of(info: &CpuInfo, cpu: u32) -> Option<String> {
    let number = |name: &str| info.get(cpu, &[name]).and_then(int);
    if let (Some(implementer), Some(part)) = (number("cpu implementer"), number("cpu part"))
        && let Some(name) = names::part(implementer, part)
    {
        return Some(name.to_owned());
    }
    if info.get(cpu, &["vendor_id"]) == Some("IBM/S390") {
        return number("machine").and_then(names::s390_machine).map(str::to_owned);
    }
    let name = info.get(cpu, &["model name", "cpu", "uarch", "cpu model"])?;
    let name = match info.get(cpu, &["cpu model"]) {
        // Alpha: `cpu` is the family, `cpu model` the chip.
        Some(chip) if name == "Alpha" => format!("{name} {chip}"),
        _ => name.to_owned(),
    };
    let name = name.split_ascii_whitespace().collect::<Vec<_>>().join(" ");
    (name != "unknown").then_some(name)
}

fn flags(info: &CpuInfo, cpu: u32) -> Vec<String> {
    let separators: &[char] = &[' ', ',', '\t'];
    if let Some(text) = info.get(cpu, &["flags", "features", "cpucaps", "ases implemented"]) {
        return text.split(separators).filter(|flag| !flag.is_empty()).take(FLAGS_MAX).map(str::to_owned).collect();
    }
    let isa = info.get(cpu, &["isa"]).unwrap_or("");
    isa.split(['_', ' ']).filter(|flag| !flag.is_empty()).take(FLAGS_MAX).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;

    /// Its file is longer than a mebibyte, so that it passes the bound of other files.
    #[test]
    fn a_thousand_processors_have_names_and_cores() {
        let flags = "flag ".repeat(200);
        let block = |number: u32| {
            let (package, core) = (number / 512, number % 256);
            format!(
                "processor\t: {number}\nvendor_id\t: AuthenticAMD\nmodel name\t: EPYC {package}\nphysical id\t: {package}\n\
                 siblings\t: 512\ncore id\t: {core}\ncpu cores\t: 256\nflags\t: {flags}\n\n"
            )
        };
        let text: String = (0..1024).map(block).collect();
        assert!(text.len() > shared::limit::FILE_BYTES && text.len() < shared::limit::DATABASE_BYTES);
        let found = run(&Tape::new().file("/proc/cpuinfo", text)).expect("processors");
        let told: Vec<_> =
            found.items.iter().map(|cpu| (cpu.model.as_deref(), cpu.int("cores"), cpu.int("threads"))).collect();
        assert_eq!(told, [(Some("EPYC 0"), Some(256), Some(512)), (Some("EPYC 1"), Some(256), Some(512))]);
    }

    /// Without names the kernel's topology still tells how many there are.
    #[test]
    fn without_cpuinfo_cores_are_counted() {
        let dir = "/sys/devices/system/cpu";
        let tape = Tape::new()
            .failed("/proc/cpuinfo", "it is larger than the limit")
            .file(&format!("{dir}/online"), "0-1\n")
            .file(&format!("{dir}/cpu0/topology/core_siblings_list"), "0-1\n")
            .file(&format!("{dir}/cpu0/topology/thread_siblings_list"), "0-1\n");
        let found = run(&tape).expect("processors");
        let told: Vec<_> = found.items.iter().map(|cpu| (cpu.int("cores"), cpu.int("threads"))).collect();
        assert_eq!((told, found.problems.len()), (vec![(Some(1), Some(2))], 1));
    }

    #[test]
    fn cores_of_two_kinds_are_both_named() {
        let info = parse_cpuinfo(
            "processor: 0\nCPU implementer: 0x41\nCPU part: 0xd03\n\nprocessor: 1\nCPU implementer: 0x41\nCPU part: 0xd08\n",
        );
        let packages = topology::packages_of(&info);
        assert_eq!(packages.len(), 1);
        let cpu = describe(&info, &packages[0]);
        assert_eq!(cpu.model.as_deref(), Some("Cortex-A53 + Cortex-A72"));
        assert_eq!((cpu.cores, cpu.threads, cpu.maker.as_deref()), (Some(2), Some(2), Some("ARM")));
    }
}
