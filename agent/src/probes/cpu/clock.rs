//! The highest clock of a package: from cpufreq, else the one its name or its kernel states. Leaves out
//! what a kernel measured just now: that is another number every time.

use super::topology::DIR;
use crate::probes::cpuinfo::CpuInfo;
use crate::source::Source;

/// The highest of what cpufreq allows (Documentation/admin-guide/pm/cpufreq.rst, kHz).
pub fn ask_max_mhz(source: &dyn Source, cpus: &[u32]) -> Option<u32> {
    let ask = |cpu: &u32| {
        source.text(&format!("{DIR}/cpu{cpu}/cpufreq/cpuinfo_max_freq")).ok().and_then(|khz| khz.parse::<u64>().ok())
    };
    // Where one processor has none, the driver is not there and no other has one; but older ARM
    // kernels link it under the first processor of a cluster only.
    ask(cpus.first()?)?;
    let khz = cpus.iter().filter_map(ask).max()?;
    u32::try_from((khz + 500) / 1000).ok().filter(|&mhz| mhz > 0)
}

/// The clock that cpuinfo states.
pub fn from_cpuinfo(info: &CpuInfo, cpu: u32) -> Option<u32> {
    if let Some(mhz) = info.get(cpu, &["model name"]).and_then(in_name) {
        return Some(mhz);
    }
    if let Some(clock) = info.get(cpu, &["cpu MHz static", "clock"]) {
        return mhz(clock.trim_end_matches("MHz"));
    }
    if let Some(hertz) = info.get(cpu, &["cycle frequency [Hz]"]) {
        return hertz.split_ascii_whitespace().next()?.parse::<u64>().ok().and_then(from_hertz);
    }
    if let Some(hertz) = info.get(cpu, &[&format!("Cpu{cpu}ClkTck")]) {
        return u64::from_str_radix(hertz, 16).ok().and_then(from_hertz);
    }
    // With APERF/MPERF the kernel prints what it measured since it was last asked.
    let measured = info.get(cpu, &["flags"]).is_some_and(|flags| flags.split(' ').any(|flag| flag == "aperfmperf"));
    if measured { None } else { info.get(cpu, &["cpu MHz"]).and_then(mhz) }
}

/// `… @ 2.60GHz`, or `… 1.73GHz` at the end.
fn in_name(name: &str) -> Option<u32> {
    let word = name.split_ascii_whitespace().next_back()?;
    match word.strip_suffix("GHz") {
        Some(ghz) => scaled(ghz, 1000.0),
        None => scaled(word.strip_suffix("MHz")?, 1.0),
    }
}

fn mhz(text: &str) -> Option<u32> {
    scaled(text.trim(), 1.0)
}

fn scaled(text: &str, factor: f64) -> Option<u32> {
    let value = text.parse::<f64>().ok()? * factor;
    // Within what a clock can be, so the cast loses only the fraction.
    (value.is_finite() && (0.5..1_000_000.0).contains(&value)).then(|| value.round() as u32)
}

fn from_hertz(hertz: u64) -> Option<u32> {
    u32::try_from((hertz + 500_000) / 1_000_000).ok().filter(|&mhz| mhz > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::cpuinfo::parse_cpuinfo;

    #[test]
    fn the_stated_clock_never_the_measured_one() {
        let of = |text: &str| from_cpuinfo(&parse_cpuinfo(text), 0);
        assert_eq!(
            of("processor: 0\nmodel name: Intel(R) Atom(TM) CPU N270   @ 1.60GHz\ncpu MHz: 800.000\n"),
            Some(1600)
        );
        assert_eq!(of("processor: 0\nmodel name: AMD X\ncpu MHz: 2300.092\nflags: fpu\n"), Some(2300));
        assert_eq!(of("processor: 0\nmodel name: AMD X\ncpu MHz: 1311.4\nflags: fpu aperfmperf\n"), None);
        assert_eq!(of("processor: 0\ncpu: 604r\nclock: ???\n"), None);
        assert_eq!(of("cpu: TI\nCpu0ClkTck: 000000003bb94e80\nCPU0: online\n"), Some(1002));
        assert_eq!(of("processor: 0\ncpu MHz: inf\n"), None);
    }
}
