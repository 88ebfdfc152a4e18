//! Probe `memory`: memory and its modules.
//!
//! The total is what the kernel can use (proc_pid_meminfo(5)); slots and modules are what firmware says of
//! the board. In a container the modules are the host's, and are not told.

use super::smbios::{self, MemoryDevice, Slot, Smbios};
use super::{Every, Found, Os, Probe, container, jedec, placeholder};
use crate::source::Source;
use shared::checkin::{Problem, Why};
use shared::hardware::{Memory, Module};
use std::collections::BTreeSet;

/// Characters of a label in a slot's name, so that two of them stay within the bound of a key.
const LABEL_CHARS: usize = 60;

/// The probe.
pub const PROBE: Probe =
    Probe { name: "memory", os: &[Os::Linux], every: Every::Hour, needs: "memory modules and slots", mark: None, run };

const MEMINFO: &str = "/proc/meminfo";
const TABLE: &str = "/sys/firmware/dmi/tables/DMI";

fn run(source: &dyn Source) -> Result<Found, Problem> {
    let text = source.text(MEMINFO).map_err(|miss| miss.problem(MEMINFO))?;
    let mut memory =
        parse_meminfo(&text).ok_or_else(|| Problem::new(Why::Malformed, MEMINFO).detail("there is no MemTotal"))?;
    let (smbios, problems) = match container::detect(source) {
        Some(_) => {
            let detail = "in a container, the modules are its host's";
            (Smbios::default(), vec![Problem::new(Why::Absent, "memory modules").detail(detail)])
        }
        None => match source.file(TABLE) {
            Ok(table) => {
                let smbios = smbios::parse(&table, None);
                let broken = smbios.broken.clone().map(|what| Problem::new(Why::Malformed, TABLE).detail(what));
                (smbios, broken.into_iter().collect())
            }
            Err(miss) => (Smbios::default(), vec![miss.problem(TABLE)]),
        },
    };
    add_arrays(&mut memory, &smbios);
    let mut items = vec![memory.into()];
    items.extend(modules(&smbios.slots).into_iter().map(Into::into));
    Ok(Found { items, problems })
}

fn parse_meminfo(text: &str) -> Option<Memory> {
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        let kib: i64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
        kib.checked_mul(1024).filter(|bytes| *bytes >= 0)
    };
    let total_bytes = bytes("MemTotal")?;
    // Kernels before 3.14 do not estimate what is available.
    let used_bytes = bytes("MemAvailable").map(|available| (total_bytes - available).max(0));
    Some(Memory { total_bytes, swap_bytes: bytes("SwapTotal"), used_bytes, ..Memory::default() })
}

fn add_arrays(memory: &mut Memory, smbios: &Smbios) {
    if smbios.arrays.is_empty() {
        return;
    }
    memory.slots = Some(smbios.arrays.iter().map(|array| u32::from(array.slots)).sum());
    let max = smbios.arrays.iter().try_fold(0_u64, |sum, array| sum.checked_add(array.max_bytes?));
    memory.max_bytes = max.and_then(|bytes| i64::try_from(bytes).ok());
    memory.ecc = smbios.arrays.iter().find_map(|array| array.ecc).map(str::to_owned);
}

/// The modules in slots that are not empty, with unique names of their slots.
pub fn modules(slots: &[Slot]) -> Vec<Module> {
    let names = names(slots);
    let modules = slots.iter().zip(names).filter_map(|(slot, name)| Some(module(slot, slot.module.as_ref()?, name)));
    modules.collect()
}

fn module(slot: &Slot, device: &MemoryDevice, name: String) -> Module {
    let text = |value: &Option<String>| value.as_deref().and_then(placeholder::text);
    Module {
        slot: name,
        maker: text(&device.maker).map(|maker| jedec::maker(&maker).map_or(maker, str::to_owned)),
        model: text(&device.part).map(|part| jedec::text(&part).unwrap_or(part)),
        serial: device.serial.as_deref().and_then(placeholder::serial),
        size_bytes: device.size_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        technology: device.technology.map(str::to_owned),
        form: device.form.map(str::to_owned),
        speed_mts: device.speed_mts,
        configured_mts: device.configured_mts,
        bank: text(&slot.bank),
    }
}

/// A slot's name is its label; where several share one, the bank's label before it; where that does not help
/// either, a number behind. Empty slots count, so that a name stays when its neighbour is filled.
fn names(slots: &[Slot]) -> Vec<String> {
    let cut = |text: &String| text.chars().take(LABEL_CHARS).collect::<String>();
    let label = |slot: &Slot| slot.locator.as_ref().map_or_else(|| "slot".to_owned(), cut);
    let labels: Vec<String> = slots.iter().map(label).collect();
    let mut taken = BTreeSet::new();
    let unique = |(slot, label): (&Slot, &String)| {
        let shared = labels.iter().filter(|other| *other == label).count() > 1;
        let name = match &slot.bank {
            Some(bank) if shared => format!("{}/{label}", cut(bank)),
            _ => label.clone(),
        };
        let mut numbered = name.clone();
        let mut number = 1;
        while !taken.insert(numbered.clone()) {
            number += 1;
            numbered = format!("{name}#{number}");
        }
        numbered
    };
    slots.iter().zip(&labels).map(unique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;
    use shared::fact::Item;

    const TEXT: &str = "MemTotal:       2038880 kB\nMemFree:          99184 kB\nMemAvailable:    1500000 kB\nSwapTotal:             0 kB\n";

    fn slot(locator: &str, bank: &str, size_bytes: Option<u64>) -> Slot {
        Slot {
            array: 1,
            locator: Some(locator.to_owned()),
            bank: Some(bank.to_owned()),
            module: size_bytes.map(|bytes| MemoryDevice { size_bytes: Some(bytes), ..MemoryDevice::default() }),
        }
    }

    #[test]
    fn without_firmware_tables_the_total_is_still_told() {
        let tape = Tape::new().file(MEMINFO, TEXT);
        let found = run(&tape).expect("found");
        let memory = Item { size: Some(2_087_813_120), ..Item::new("memory", "memory") }
            .with("swap_bytes", Some(0_i64))
            .with_now("used_bytes", Some(551_813_120_i64));
        assert_eq!(found.items, [memory]);
        assert_eq!(found.problems, [Problem::new(Why::Absent, TABLE)]);
        let denied = run(&tape.denied(TABLE)).expect("found");
        assert_eq!(denied.problems, [Problem::new(Why::Denied, TABLE)]);
    }

    #[test]
    fn a_total_that_is_missing_fails_the_section() {
        assert_eq!(run(&Tape::new()), Err(Problem::new(Why::Absent, MEMINFO)));
        assert_eq!(run(&Tape::new().file(MEMINFO, "MemTotal: x kB")).map_err(|p| p.why), Err(Why::Malformed));
    }

    #[test]
    fn the_hosts_modules_are_not_a_containers() {
        let tape = Tape::new().file(MEMINFO, TEXT).link("/proc/self/ns/pid", "pid:[1]").file(TABLE, [0; 4]);
        let found = run(&tape).expect("found");
        assert_eq!(found.items.len(), 1);
        assert_eq!(found.problems.first().map(|problem| problem.why), Some(Why::Absent));
    }

    #[test]
    fn slots_with_one_label_get_names_of_their_own() {
        let slots = [
            slot("DIMM 0", "CHANNEL A", Some(1)),
            slot("DIMM 0", "CHANNEL B", None),
            slot("DIMM 0", "CHANNEL B", Some(2)),
            slot("DIMM 1", "CHANNEL B", Some(3)),
        ];
        let names: Vec<String> = modules(&slots).into_iter().map(|module| module.slot).collect();
        assert_eq!(names, ["CHANNEL A/DIMM 0", "CHANNEL B/DIMM 0#2", "DIMM 1"]);
    }
}
