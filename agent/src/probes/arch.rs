//! Which instruction set the kernel runs on, in the words of uname(2): `x86_64`, `aarch64`, `ppc64le`.
//!
//! uname(2) is no file. Since Linux 6.1 `/proc/sys/kernel/arch` says the same; before, distributions
//! put it at the end of the kernel's release (`-amd64`, `.ppc64le`); where neither does, the shape of
//! `/proc/cpuinfo` tells, because each kernel prints its own fields. Knows nothing of the CPU's own
//! abilities: a 32-bit kernel on a 64-bit CPU is `i686`.

use super::cpuinfo::{CpuInfo, parse_cpuinfo};
use crate::source::Source;

/// Endings of kernel releases, and what uname(2) says there.
const SUFFIXES: &[(&str, &str)] = &[
    ("x86_64", "x86_64"),
    ("amd64", "x86_64"),
    ("i386", "i686"),
    ("i586", "i686"),
    ("i686", "i686"),
    ("686", "i686"),
    ("686-pae", "i686"),
    ("aarch64", "aarch64"),
    ("arm64", "aarch64"),
    ("armv7l", "armv7l"),
    ("armv7hl", "armv7l"),
    ("armmp", "armv7l"),
    ("armmp-lpae", "armv7l"),
    ("ppc64le", "ppc64le"),
    ("powerpc64le", "ppc64le"),
    ("ppc64", "ppc64"),
    ("s390x", "s390x"),
    ("riscv64", "riscv64"),
    ("loongarch64", "loongarch64"),
    ("loong64", "loongarch64"),
    ("sparc64", "sparc64"),
    ("sparc64-smp", "sparc64"),
];

/// Asks what is needed and decides. `cpuinfo` is the file's text, if it could be read.
pub fn ask(source: &dyn Source, cpuinfo: &str) -> Option<String> {
    let told = source.text("/proc/sys/kernel/arch").ok().filter(|arch| is_name(arch));
    told.or_else(|| {
        let release = source.text("/proc/sys/kernel/osrelease").unwrap_or_default();
        decide(&release, &parse_cpuinfo(cpuinfo))
    })
}

fn is_name(arch: &str) -> bool {
    !arch.is_empty() && arch.len() <= 32 && arch.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Decides from the kernel's release and `/proc/cpuinfo`.
pub fn decide(release: &str, info: &CpuInfo) -> Option<String> {
    let release = release.trim();
    let by_release = SUFFIXES
        .iter()
        .find(|(suffix, _)| release.strip_suffix(suffix).is_some_and(|head| head.ends_with(['-', '.', '_'])));
    by_release.map(|(_, arch)| (*arch).to_owned()).or_else(|| by_fields(info))
}

fn by_fields(info: &CpuInfo) -> Option<String> {
    let vendor = info.any(&["vendor_id"]).unwrap_or("");
    let flags = info.any(&["flags", "features"]).unwrap_or("");
    let has = |flag: &str| flags.split_ascii_whitespace().any(|word| word == flag);
    let arch = if vendor == "IBM/S390" {
        if has("zarch") { "s390x" } else { "s390" }
    } else if let Some(isa) = info.any(&["isa"]).filter(|isa| isa.starts_with("rv")) {
        if isa.starts_with("rv64") { "riscv64" } else { "riscv32" }
    } else if info.any(&["isa"]).is_some_and(|isa| isa.contains("loongarch64"))
        || info.any(&["cpu family"]).is_some_and(|family| family.starts_with("Loongson-64"))
    {
        "loongarch64"
    } else if info.any(&["cpu implementer", "cpu architecture"]).is_some() {
        return Some(arm(info, has("half") || has("thumb") || has("swp")));
    } else if let Some(machine) = info.any(&["type"]).filter(|machine| machine.starts_with("sun4")) {
        if matches!(machine, "sun4u" | "sun4v") { "sparc64" } else { "sparc" }
    } else if info.any(&["cpu"]) == Some("Alpha") {
        "alpha"
    } else if info.any(&["cpu family"]).is_some_and(|family| family.starts_with("PA-RISC")) {
        "parisc"
    } else if info.any(&["arch"]).is_some_and(|arch| arch.starts_with("IA-64")) {
        "ia64"
    } else if info.any(&["cpu"]).is_some() && info.any(&["revision", "timebase", "clock"]).is_some() {
        powerpc(info)
    } else if info.any(&["cpu model"]).is_some() {
        "mips"
    } else if info.any(&["cpu family"]).is_some() && info.any(&["model"]).is_some() {
        // Only 32-bit kernels report on the bugs of 32-bit processors (arch/x86/kernel/cpu/proc.c).
        if info.any(&["fdiv_bug"]).is_some() { "i686" } else { "x86_64" }
    } else {
        return None;
    };
    Some(arch.to_owned())
}

/// 32-bit ARM kernels end the model's name in the platform that uname(2) has too: `(v7l)`.
fn arm(info: &CpuInfo, features_of_32_bit: bool) -> String {
    let name = info.any(&["model name"]).unwrap_or("");
    let platform = name.rsplit_once('(').and_then(|(_, end)| end.strip_suffix(')'));
    match platform {
        Some(platform) if platform.starts_with('v') && is_name(platform) => format!("arm{platform}"),
        _ if features_of_32_bit => "arm".to_owned(),
        _ => "aarch64".to_owned(),
    }
}

fn powerpc(info: &CpuInfo) -> &'static str {
    let cpu = info.any(&["cpu"]).unwrap_or("");
    let generation = cpu.strip_prefix("POWER").map(|rest| rest.trim_start_matches(|c: char| !c.is_ascii_digit()));
    match generation {
        // Big-endian Linux on POWER8 and later is rare; distributions for them are little-endian.
        Some(rest) if matches!(rest.as_bytes().first(), Some(b'8' | b'9' | b'1')) => "ppc64le",
        Some(_) => "ppc64",
        None if ["PPC970", "PA6T", "Cell"].iter().any(|name| cpu.starts_with(name)) => "ppc64",
        None => "ppc",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn release_first_then_the_shape_of_cpuinfo() {
        let of = |release: &str, text: &str| decide(release, &parse_cpuinfo(text));
        assert_eq!(of("6.1.0-18-amd64", "").as_deref(), Some("x86_64"));
        assert_eq!(of("5.14.0-362.el9.ppc64le", "").as_deref(), Some("ppc64le"));
        assert_eq!(of("6.8.0-generic", "processor: 0\ncpu family: 6\nmodel: 1\n").as_deref(), Some("x86_64"));
        assert_eq!(of("", "processor: 0\ncpu family: 6\nmodel: 1\nfdiv_bug: no\n").as_deref(), Some("i686"));
        assert_eq!(of("", "processor: 0\ncpu: POWER9, altivec supported\nrevision: 2.2\n").as_deref(), Some("ppc64le"));
        assert_eq!(
            of("", "processor: 0\nmodel name: ARMv7 Processor rev 4 (v7l)\nCPU implementer: 0x41\n").as_deref(),
            Some("armv7l")
        );
        assert_eq!(
            of("", "processor: 0\nFeatures: fp asimd\nCPU implementer: 0x41\nCPU architecture: 8\n").as_deref(),
            Some("aarch64")
        );
        assert_eq!(of("6.1", "gibberish"), None);
    }
}
