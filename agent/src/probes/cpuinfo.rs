//! Parser of `/proc/cpuinfo`, for every architecture.
//!
//! Knows how kernels lay the file out (proc(5); `show_cpuinfo` of each `arch/*/kernel`): blocks per
//! processor, blocks for the whole machine before or after them, s390's one-line processors, SPARC's
//! state list and Alpha's count. Does not know what a field means.

/// Processors that are read at most; Linux itself stops at 8,192.
const PROCESSORS_MAX: usize = 8192;
/// Fields of one block that are kept at most.
const FIELDS_MAX: usize = 256;

/// Names and values, as they are written, trimmed.
pub type Fields<'a> = Vec<(&'a str, &'a str)>;

/// One logical processor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Processor<'a> {
    /// The kernel's number.
    pub number: u32,
    /// Its own fields.
    pub fields: Fields<'a>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuInfo<'a> {
    /// Each logical processor that is online.
    pub processors: Vec<Processor<'a>>,
    /// What stands outside of their blocks.
    pub common: Fields<'a>,
}

impl<'a> CpuInfo<'a> {
    /// The first of `names` that processor `number` has, or the machine: case and empty values are ignored.
    pub fn get(&self, number: u32, names: &[&str]) -> Option<&'a str> {
        // Where all are online the number is the place, which spares a search among thousands.
        let at_place = self.processors.get(number as usize).filter(|processor| processor.number == number);
        let own = at_place.or_else(|| self.processors.iter().find(|processor| processor.number == number));
        names.iter().find_map(|name| own.and_then(|own| field(&own.fields, name)).or_else(|| field(&self.common, name)))
    }

    /// The first of `names` that any processor or the machine has.
    pub fn any(&self, names: &[&str]) -> Option<&'a str> {
        self.get(self.processors.first().map_or(0, |processor| processor.number), names)
    }

    fn open(&mut self, number: u32) -> Option<usize> {
        // Blocks come in order, so the one looked for is nearly always the last or a new one.
        if let Some(at) = self.processors.iter().rposition(|processor| processor.number == number) {
            return Some(at);
        }
        if self.processors.len() >= PROCESSORS_MAX {
            return None;
        }
        self.processors.push(Processor { number, fields: Vec::new() });
        Some(self.processors.len() - 1)
    }
}

fn field<'a>(fields: &Fields<'a>, name: &str) -> Option<&'a str> {
    fields.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_empty()).map(|(_, value)| *value)
}

/// Reads the file. Lines without a colon are skipped, as kernels write none that matter.
pub fn parse_cpuinfo(text: &str) -> CpuInfo<'_> {
    let mut info = CpuInfo::default();
    let mut current: Option<usize> = None;
    for line in text.lines() {
        let Some((key, value)) = line.split_once(':') else {
            if line.trim().is_empty() {
                current = None;
            }
            continue;
        };
        let (key, value) = (key.trim(), value.trim());
        if let Some(number) = numbered(key, "processor ") {
            let at = info.open(number);
            let parts = value.split(',').filter_map(|part| part.split_once('=')).map(|(k, v)| (k.trim(), v.trim()));
            if let Some(processor) = at.and_then(|at| info.processors.get_mut(at)) {
                processor.fields.extend(parts.take(FIELDS_MAX));
            }
            continue;
        }
        if let Some(number) = numbered(key, "cpu").filter(|_| value.starts_with("online")) {
            info.open(number);
            continue;
        }
        if let ("processor" | "cpu number", Ok(number)) = (key, value.parse::<u32>()) {
            current = info.open(number);
            continue;
        }
        // Old ARM kernels name the model in `Processor`, beside the numbers in `processor`.
        let key = if key == "Processor" { "model name" } else { key };
        let fields = match current.and_then(|at| info.processors.get_mut(at)) {
            Some(processor) => &mut processor.fields,
            None => &mut info.common,
        };
        if fields.len() < FIELDS_MAX {
            fields.push((key, value));
        }
    }
    if info.processors.is_empty() && !info.common.is_empty() {
        let active = field(&info.common, "cpus active").and_then(|n| n.parse::<u32>().ok()).unwrap_or(1);
        for number in 0..active.clamp(1, 1024) {
            info.open(number);
        }
    }
    info
}

fn numbered(key: &str, prefix: &str) -> Option<u32> {
    let head = key.get(..prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then(|| key[prefix.len()..].parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn blocks_belong_to_their_processor() {
        let info = parse_cpuinfo(
            "system type: X\n\nprocessor\t: 0\nFeatures : a b\n\nprocessor : 3\nFeatures : c\n\nHardware : H\n",
        );
        assert_eq!(info.processors.iter().map(|p| p.number).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(info.get(3, &["features"]), Some("c"));
        assert_eq!(info.get(3, &["nothing", "hardware"]), Some("H"));
        assert_eq!(info.get(0, &["system type"]), Some("X"));
    }

    #[test]
    fn s390_sparc_and_alpha_count_their_processors() {
        let s390 = parse_cpuinfo(
            "vendor_id : IBM/S390\nprocessor 0: version = FF, machine = 2964\nprocessor 1: version = FF, machine = 2965\n\ncpu number : 1\ncpu MHz static : 5000\n",
        );
        assert_eq!(s390.processors.len(), 2);
        assert_eq!(s390.get(1, &["machine"]), Some("2965"));
        assert_eq!(s390.get(1, &["cpu MHz static"]), Some("5000"));
        let sparc = parse_cpuinfo("cpu : TI\nState:\nCPU6: online\nCPU15: online\n");
        assert_eq!(sparc.processors.iter().map(|p| p.number).collect::<Vec<_>>(), [6, 15]);
        assert_eq!(parse_cpuinfo("cpu : Alpha\ncpus active : 3\n").processors.len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_survived(text in "([a-zA-Z0-9 :=,\\n\\t]|processor|CPU|\\PC){0,400}") {
            let info = parse_cpuinfo(&text);
            prop_assert!(info.processors.len() <= PROCESSORS_MAX);
        }
    }
}
