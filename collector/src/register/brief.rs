//! One line for people about one item.

use crate::event::Brief;
use shared::fact::Item;

/// The item in short, as events carry it.
pub fn brief(item: &Item) -> Brief {
    Brief {
        kind: item.kind.clone().into_owned(),
        key: item.key.clone(),
        title: title(item),
        serial: item.serial.clone(),
    }
}

/// `Samsung MZVL2512 S/N S64D… 512 GB`; what is not known is left out. So is what an item says of just now: an event
/// is read for years, and the kernel's name of a disk is another one after the next start.
fn title(item: &Item) -> String {
    let text = |name: &str| item.text(name).map(str::to_owned);
    let label = item.label.clone();
    let parts: Vec<Option<String>> = match &*item.kind {
        "package" => vec![label.or_else(|| Some(item.key.clone())), text("version")],
        "port" => vec![Some(item.key.clone()), label.map(|program| format!("({program})"))],
        "user" => vec![Some(item.key.clone()), label.map(|name| format!("({name})")), admin(item)],
        "service" => vec![Some(item.key.clone()), label.map(|what| format!("({what})"))],
        "interface" => {
            let address = text("permanent_mac").or_else(|| text("mac"));
            vec![label.or_else(|| Some(item.key.clone())), text("form"), address]
        }
        "filesystem" => {
            vec![Some(item.key.clone()), text("fstype"), size(item), text("device").map(|d| format!("({d})"))]
        }
        "os" => vec![label, text("version")],
        "disk" => vec![maker_and_model(item), serial(item), size(item), disk_place(item), text("backing")],
        _ => vec![maker_and_model(item), serial(item), size(item), place(item)],
    };
    let mut line = parts.into_iter().flatten().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
    if line.is_empty() {
        line.clone_from(&item.key);
    }
    line
}

fn admin(item: &Item) -> Option<String> {
    item.attrs
        .get("admin")
        .and_then(shared::fact::Value::as_bool)
        .filter(|admin| *admin)
        .map(|_| "administrator".into())
}

fn maker_and_model(item: &Item) -> Option<String> {
    match (&item.maker, &item.model) {
        // Many makers put their name into the model too.
        (Some(maker), Some(model)) if model.to_lowercase().starts_with(&maker.to_lowercase()) => Some(model.clone()),
        (Some(maker), Some(model)) => Some(format!("{maker} {model}")),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    }
}

fn serial(item: &Item) -> Option<String> {
    item.serial.as_ref().map(|serial| format!("S/N {serial}"))
}

/// A disk's key says something where it is neither a number beside the serial nor the file that is told anyway.
fn disk_place(item: &Item) -> Option<String> {
    let known = item.serial.is_some() && item.text("wwn") == Some(item.key.as_str()) || item.text("backing").is_some();
    if known { None } else { place(item) }
}

/// Where it is: its label, or a key that says more than the serial does.
fn place(item: &Item) -> Option<String> {
    let place = item.label.clone().or_else(|| (Some(&item.key) != item.serial.as_ref()).then(|| item.key.clone()))?;
    if item.maker.is_none() && item.model.is_none() { Some(place) } else { Some(format!("({place})")) }
}

/// Disks in powers of ten, as their makers print; all else in powers of two.
fn size(item: &Item) -> Option<String> {
    let bytes = item.size.filter(|bytes| *bytes > 0)?;
    let (base, units) = if item.kind == "disk" {
        (1000, ["B", "kB", "MB", "GB", "TB", "PB"])
    } else {
        (1024, ["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
    };
    let (mut value, mut unit) = (bytes, 0);
    while value >= base * 10 && unit + 1 < units.len() || value >= base && value % base == 0 && unit + 1 < units.len() {
        value = (value + base / 2) / base;
        unit += 1;
    }
    Some(format!("{value} {}", units.get(unit).unwrap_or(&"B")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(item: &Item) -> String {
        title(item)
    }

    #[test]
    fn a_line_says_what_a_person_would() {
        let disk = Item {
            maker: Some("Samsung".into()),
            model: Some("SAMSUNG MZVL2512".into()),
            serial: Some("S64DNX0R".into()),
            size: Some(512_110_190_592),
            ..Item::new("disk", "eui.1")
        }
        .with("wwn", Some("eui.1"))
        .with_now("name", Some("nvme0n1"));
        assert_eq!(line(&disk), "SAMSUNG MZVL2512 S/N S64DNX0R 512 GB");
        let unnamed = Item { size: Some(1_000_000_000_000), ..Item::new("disk", "vda") }.with_now("name", Some("vda"));
        assert_eq!(line(&unnamed), "1 TB vda");
        let module =
            Item { maker: Some("Kingston".into()), size: Some(8 << 30), ..Item::new("memory_module", "DIMM A1") };
        assert_eq!(line(&module), "Kingston 8 GiB (DIMM A1)");
        let port = Item { label: Some("sshd".into()), ..Item::new("port", "tcp/0.0.0.0/22") };
        assert_eq!(line(&port), "tcp/0.0.0.0/22 (sshd)");
        let file = Item { size: Some(4096), ..Item::new("disk", "loop:/srv/a.img") }
            .with_now("name", Some("loop0"))
            .with("backing", Some("/srv/a.img"));
        assert_eq!(line(&file), "4096 B /srv/a.img");
        let root = Item::new("filesystem", "/").with("fstype", Some("ext4")).with_now("device", Some("/dev/sda1"));
        assert_eq!(line(&root), "/ ext4", "another device after the next start");
        let named = Item::new("filesystem", "/").with("fstype", Some("ext4")).with("device", Some("/dev/sda1"));
        assert_eq!(line(&named), "/ ext4 (/dev/sda1)");
        assert_eq!(line(&Item::new("thing", "k")), "k");
    }
}
