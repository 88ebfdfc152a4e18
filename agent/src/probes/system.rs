//! Probe `system`: the machine as its maker sold it: system, board, chassis, firmware.
//!
//! Reads the SMBIOS table, which is for root alone; else the few values of it that the kernel shows under
//! `/sys/class/dmi/id`; else the device tree of machines without SMBIOS. In a container all of them are the
//! host's, and nothing is told. Placeholders are left out; what identifies is for the `evidence` section.

use super::smbios::{self, Board, Chassis, Firmware, Smbios};
use super::{Every, Found, Os, Probe, container, placeholder};
use crate::source::{Miss, Source};
use shared::checkin::{Problem, Why};
use shared::hardware::Part;

/// The probe.
pub const PROBE: Probe = Probe {
    name: "system",
    os: &[Os::Linux],
    every: Every::Hour,
    needs: "serial numbers and the UUID of the machine, its board and chassis",
    mark: None,
    run,
};

const TABLE: &str = "/sys/firmware/dmi/tables/DMI";
const ENTRY_POINT: &str = "/sys/firmware/dmi/tables/smbios_entry_point";
const IDS: &str = "/sys/class/dmi/id";
const TREE: &str = "/proc/device-tree";

fn run(source: &dyn Source) -> Result<Found, Problem> {
    if let Some(container) = container::detect(source) {
        let detail = format!("in a container ({}), the hardware is its host's", container.engine);
        return Ok(Found {
            problems: vec![Problem::new(Why::Absent, "hardware of its own").detail(detail)],
            items: Vec::new(),
        });
    }
    let (parts, problems) = match source.file(TABLE) {
        Ok(table) => from_table(source, &table),
        Err(Miss::Absent) => ask_ids(source).or_else(|| ask_tree(source)).unwrap_or_else(|| {
            (Vec::new(), vec![Problem::new(Why::Absent, TABLE).detail("firmware tells nothing of this machine")])
        }),
        Err(miss) => {
            let (parts, mut problems) = ask_ids(source).unwrap_or_default();
            problems.insert(0, miss.problem(TABLE));
            (parts, problems)
        }
    };
    Ok(Found { items: parts.into_iter().map(Into::into).collect(), problems })
}

type Parts = (Vec<Part>, Vec<Problem>);

fn from_table(source: &dyn Source, table: &[u8]) -> Parts {
    let version = source.file(ENTRY_POINT).ok().and_then(|bytes| smbios::parse_version(&bytes));
    let smbios = smbios::parse(table, version);
    let broken = smbios.broken.clone().map(|what| Problem::new(Why::Malformed, TABLE).detail(what));
    (parts(smbios), broken.into_iter().collect())
}

/// The parts of a table, placeholders left out. A part of which nothing is known is none.
pub fn parts(smbios: Smbios) -> Vec<Part> {
    let mut parts = Vec::new();
    if let Some(system) = smbios.system {
        parts.push(Part {
            kind: "system".to_owned(),
            maker: text(system.maker),
            model: text(system.product),
            serial: serial(system.serial),
            sku: text(system.sku),
            version: text(system.version),
            family: text(system.family),
            uuid: system.uuid.as_deref().and_then(placeholder::uuid),
            ..Part::default()
        });
    }
    parts.extend(smbios.boards.into_iter().map(board_part));
    parts.extend(smbios.chassis.into_iter().map(chassis_part));
    parts.extend(smbios.firmware.map(firmware_part));
    parts.retain(|part| Part { kind: String::new(), ..part.clone() } != Part::default());
    number(&mut parts);
    parts
}

fn board_part(board: Board) -> Part {
    Part {
        kind: "board".to_owned(),
        maker: text(board.maker),
        model: text(board.product),
        serial: serial(board.serial),
        version: text(board.version),
        asset_tag: serial(board.asset_tag),
        ..Part::default()
    }
}

fn chassis_part(chassis: Chassis) -> Part {
    Part {
        kind: "chassis".to_owned(),
        maker: text(chassis.maker),
        serial: serial(chassis.serial),
        sku: text(chassis.sku),
        version: text(chassis.version),
        asset_tag: serial(chassis.asset_tag),
        form: chassis.form.map(str::to_owned),
        ..Part::default()
    }
}

fn firmware_part(firmware: Firmware) -> Part {
    Part {
        kind: "firmware".to_owned(),
        maker: text(firmware.vendor),
        model: text(firmware.version),
        date: firmware.date.as_deref().and_then(parse_date),
        ..Part::default()
    }
}

fn text(value: Option<String>) -> Option<String> {
    value.as_deref().and_then(placeholder::text)
}

fn serial(value: Option<String>) -> Option<String> {
    value.as_deref().and_then(placeholder::serial)
}

/// A second board is `board#2`: keys are unique, and the first keeps its own when a riser is added.
fn number(parts: &mut [Part]) {
    let mut before: Vec<String> = Vec::new();
    for part in parts {
        let count = before.iter().filter(|kind| **kind == part.kind).count() + 1;
        before.push(part.kind.clone());
        if count > 1 {
            part.kind = format!("{}#{count}", part.kind);
        }
    }
}

/// `mm/dd/yyyy`, or `mm/dd/yy` of the last century (DSP0134 7.1), as `YYYY-MM-DD`.
fn parse_date(text: &str) -> Option<String> {
    let mut fields = text.trim().split('/');
    let mut field = || fields.next().filter(|field| field.bytes().all(|byte| byte.is_ascii_digit()));
    let (month, day, year) = (field()?.parse::<i8>().ok()?, field()?.parse::<i8>().ok()?, field()?);
    let century = if year.len() == 2 { 1900 } else { 0 };
    let date = jiff::civil::Date::new(century + year.parse::<i16>().ok()?, month, day).ok()?;
    (year.len() == 2 || year.len() == 4).then(|| date.to_string())
}

/// What the kernel shows of the table, one value a file. Nothing if there is no such folder.
fn ask_ids(source: &dyn Source) -> Option<Parts> {
    source.names(IDS).ok()?;
    let mut problems = Vec::new();
    let mut ask = |name: &str| {
        let path = format!("{IDS}/{name}");
        match source.text(&path) {
            Ok(text) => Some(text),
            // An empty field has no file.
            Err(Miss::Absent) => None,
            Err(miss) => {
                problems.push(miss.problem(path));
                None
            }
        }
    };
    let system = smbios::System {
        maker: ask("sys_vendor"),
        product: ask("product_name"),
        version: ask("product_version"),
        serial: ask("product_serial"),
        uuid: ask("product_uuid"),
        sku: ask("product_sku"),
        family: ask("product_family"),
    };
    let board = Board {
        maker: ask("board_vendor"),
        product: ask("board_name"),
        version: ask("board_version"),
        serial: ask("board_serial"),
        asset_tag: ask("board_asset_tag"),
        main: true,
    };
    let chassis = Chassis {
        maker: ask("chassis_vendor"),
        form: ask("chassis_type").and_then(|number| smbios::chassis_form(number.parse().ok()?)),
        version: ask("chassis_version"),
        serial: ask("chassis_serial"),
        asset_tag: ask("chassis_asset_tag"),
        sku: None,
    };
    let firmware = Firmware { vendor: ask("bios_vendor"), version: ask("bios_version"), date: ask("bios_date") };
    let smbios = Smbios {
        system: Some(system),
        boards: vec![board],
        chassis: vec![chassis],
        firmware: Some(firmware),
        ..Smbios::default()
    };
    Some((parts(smbios), problems))
}

/// Root node of the device tree (Devicetree Specification 2.3): strings that end with a zero. `compatible`
/// begins with the most exact one, `maker,model`.
fn ask_tree(source: &dyn Source) -> Option<Parts> {
    let ask = |name: &str| {
        let bytes = source.file(&format!("{TREE}/{name}")).ok()?;
        let first = bytes.split(|byte| *byte == 0).next()?;
        placeholder::text(&String::from_utf8_lossy(first))
    };
    let compatible = ask("compatible");
    let (maker, sku) = compatible.as_deref().and_then(|text| text.split_once(',')).unzip();
    let part = Part {
        kind: "system".to_owned(),
        maker: maker.map(str::to_owned),
        model: ask("model"),
        serial: serial(ask("serial-number")),
        sku: sku.map(str::to_owned),
        ..Part::default()
    };
    (part.model.is_some() || part.serial.is_some()).then(|| (vec![part], Vec::new()))
}

#[cfg(test)]
mod tests;
