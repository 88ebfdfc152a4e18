//! Where a disk is: its bus and its place on it, read from the path of its device in sysfs.
//! Knows how drivers name the steps of that path; does not know what a disk holds.

/// Where a disk is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// Its bus, if the path tells.
    pub bus: Option<&'static str>,
    /// The path without what is counted anew at every start: the same slot has the same path.
    pub path: Option<String>,
    /// Made by software, from files or other disks.
    pub is_virtual: bool,
}

/// Steps that name a bus; the last one that does wins, as the closest to the disk.
fn bus_of(step: &str) -> Option<&'static str> {
    let numbered = |name: &str| {
        step.strip_prefix(name).is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    };
    let named = [
        ("usb", "usb"),
        ("ata", "sata"),
        ("nvme", "nvme"),
        ("nvme-subsys", "nvme"),
        ("virtio", "virtio"),
        ("mmc", "mmc"),
        ("session", "iscsi"),
        ("fw", "firewire"),
        ("memstick", "memstick"),
    ];
    let begun = [
        ("end_device-", "sas"),
        ("rport-", "fc"),
        ("vbd-", "xen"),
        ("VMBUS:", "vmbus"),
        ("nd_region", "nvdimm"),
        ("ndbus", "nvdimm"),
    ];
    let exact = named.iter().find(|(name, _)| numbered(name)).map(|(_, bus)| *bus);
    let begun = || begun.iter().find(|(name, _)| step.starts_with(name)).map(|(_, bus)| *bus);
    exact.or_else(begun).or_else(|| (step.starts_with("target") && step.contains(':')).then_some("scsi"))
}

/// Reads the target of `/sys/block/<name>`; without one, the name alone has to do.
pub fn parse_place(link: &str, name: &str) -> Place {
    let Some((_, below)) = link.split_once("devices/") else { return Place { path: None, ..by_name(name) } };
    if below.starts_with("virtual/block/") {
        return Place { is_virtual: true, ..by_name(name) };
    }
    let mut bus = None;
    let mut kept: Vec<String> = Vec::new();
    for step in below.split('/') {
        // `scsi` is how many buses are spoken to.
        if let Some(found) = bus_of(step).filter(|found| bus.is_none() || *found != "scsi") {
            bus = Some(found);
        }
        kept.extend(stable(step, name));
    }
    Place { bus, path: Some(kept.join("/")).filter(|path| !path.is_empty()), is_virtual: false }
}

/// A step without the numbers that kernels give in order of appearance.
fn stable(step: &str, name: &str) -> Option<String> {
    let counted =
        |word: &str| step.strip_prefix(word).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    if step == name {
        // Namespaces of one NVMe controller share its path.
        let namespace =
            name.strip_prefix("nvme").and_then(|rest| rest.split_once('n')).map(|(_, number)| format!("n{number}"));
        return namespace;
    }
    if step == "block"
        || step == "nvme"
        || step == "mmc_host"
        || ["host", "target", "nvme", "virtio", "mmc"].iter().any(|word| counted(word) && !step.contains("mmc0:"))
    {
        return None;
    }
    let address: Vec<&str> = step.split(':').collect();
    match address.as_slice() {
        [host, rest @ ..]
            if rest.len() == 3
                && address.iter().all(|part| part.parse::<u64>().is_ok())
                && !host.is_empty()
                && !step.contains('.') =>
        {
            Some(rest.join(":"))
        }
        _ => Some(step.to_owned()),
    }
}

/// Drivers that name their devices like no other.
fn by_name(name: &str) -> Place {
    let made = [
        ("loop", "loop"),
        ("dm-", "dm"),
        ("md", "md"),
        ("nbd", "nbd"),
        ("rbd", "rbd"),
        ("drbd", "drbd"),
        ("bcache", "bcache"),
        ("zd", "zvol"),
    ];
    let real = [("nvme", "nvme"), ("vd", "virtio"), ("xvd", "xen"), ("mmcblk", "mmc")];
    let named =
        |known: &[(&str, &'static str)]| known.iter().find(|(start, _)| name.starts_with(start)).map(|(_, bus)| *bus);
    let bus = named(&made);
    Place { bus: bus.or_else(|| named(&real)), path: None, is_virtual: bus.is_some() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_the_bus_and_stays_the_same() {
        let of = |link: &str| {
            let place = parse_place(link, link.rsplit('/').next().unwrap_or(""));
            (place.bus.unwrap_or("-"), place.path.unwrap_or_default())
        };
        let cases = [
            (
                "../devices/pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0/block/sda",
                "sata",
                "pci0000:00/0000:00:1f.2/ata1/0:0:0",
            ),
            (
                "../devices/pci0000:00/0000:00:1d.0/0000:01:00.0/nvme/nvme0/nvme0n2",
                "nvme",
                "pci0000:00/0000:00:1d.0/0000:01:00.0/n2",
            ),
            ("../devices/pci0000:00/0000:00:02.0/virtio1/block/vda", "virtio", "pci0000:00/0000:00:02.0"),
            (
                "../devices/pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb",
                "usb",
                "pci0000:00/0000:00:14.0/usb2/2-1/2-1:1.0/0:0:0",
            ),
            (
                "../devices/pci0000:00/0000:03:00.0/host0/port-0:0/end_device-0:0/target0:0:0/0:0:0:0/block/sda",
                "sas",
                "pci0000:00/0000:03:00.0/port-0:0/end_device-0:0/0:0:0",
            ),
            ("../devices/virtual/block/dm-0", "dm", ""),
            (
                "../devices/platform/soc/fe340000.mmc/mmc_host/mmc0/mmc0:aaaa/block/mmcblk0",
                "mmc",
                "platform/soc/fe340000.mmc/mmc0:aaaa",
            ),
            ("nonsense", "-", ""),
        ];
        for (link, bus, path) in cases {
            assert_eq!(of(link), (bus, path.to_owned()), "{link}");
        }
    }
}
