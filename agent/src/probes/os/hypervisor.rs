//! Which virtual machine the kernel runs in, if it runs in one.
//!
//! Knows what hypervisors leave to be seen in files: SMBIOS names, clock sources that only their guests have,
//! Xen's sysfs, the device tree, s390's `/proc/sysinfo`, x86's `hypervisor` flag. Does not know containers,
//! which are another layer. A guest whose hypervisor nothing names is told as `vm`.

use crate::probes::cpuinfo::CpuInfo;
use crate::source::Source;

/// Names in SMBIOS, and whose they are; the first that fits.
const SMBIOS: &[(&str, &str)] = &[
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("Parallels", "parallels"),
    ("Xen", "xen"),
    ("BHYVE", "bhyve"),
    ("Bochs", "bochs"),
    ("Apple Virtualization", "apple"),
    ("Google Compute Engine", "kvm"),
    ("oVirt", "kvm"),
    ("RHEV", "kvm"),
    ("OpenStack", "kvm"),
    ("Nutanix", "kvm"),
    ("KVM", "kvm"),
    ("QEMU", "qemu"),
];

/// Decides by what is there, the surest sign first.
pub fn ask(source: &dyn Source, info: &CpuInfo) -> Option<String> {
    let found = by_xen(source).or_else(|| by_clock(source)).or_else(|| by_smbios(source));
    let found = found.or_else(|| by_device_tree(source)).or_else(|| by_sysinfo(source));
    found.or_else(|| flagged(info).then_some("vm")).map(str::to_owned)
}

fn flagged(info: &CpuInfo) -> bool {
    info.any(&["flags"]).is_some_and(|flags| flags.split_ascii_whitespace().any(|flag| flag == "hypervisor"))
}

/// Xen's first domain is the machine itself.
fn by_xen(source: &dyn Source) -> Option<&'static str> {
    let guest = source.text("/sys/hypervisor/type").ok().as_deref() == Some("xen");
    let first = source.text("/proc/xen/capabilities").is_ok_and(|text| text.contains("control_d"));
    (guest && !first).then_some("xen")
}

/// Clock sources that a kernel has only as somebody's guest.
fn by_clock(source: &dyn Source) -> Option<&'static str> {
    let clocks = source.text("/sys/devices/system/clocksource/clocksource0/available_clocksource").ok()?;
    let known = [("kvm-clock", "kvm"), ("hyperv_", "hyperv"), ("vmware", "vmware")];
    let named = |start: &str| clocks.split_ascii_whitespace().any(|clock| clock.starts_with(start));
    known.iter().find(|(start, _)| named(start)).map(|(_, name)| *name)
}

fn by_smbios(source: &dyn Source) -> Option<&'static str> {
    let text = |name: &str| source.text(&format!("/sys/class/dmi/id/{name}")).unwrap_or_default();
    let (vendor, product) = (text("sys_vendor"), text("product_name"));
    if vendor.starts_with("Microsoft") && product == "Virtual Machine" {
        return Some("hyperv");
    }
    // Amazon rents bare metal under the same name.
    if vendor == "Amazon EC2" && !product.contains(".metal") {
        return Some("amazon");
    }
    let all = [vendor, product, text("board_vendor"), text("bios_vendor")];
    SMBIOS.iter().find(|(name, _)| all.iter().any(|text| text.starts_with(name))).map(|(_, engine)| *engine)
}

fn by_device_tree(source: &dyn Source) -> Option<&'static str> {
    const TREE: &str = "/proc/device-tree";
    let compatible = source.text(&format!("{TREE}/hypervisor/compatible")).unwrap_or_default();
    let known = [("linux,kvm", "kvm"), ("xen", "xen"), ("vmware", "vmware")];
    if let Some((_, name)) = known.iter().find(|(part, _)| compatible.contains(part)) {
        return Some(name);
    }
    if source.text(&format!("{TREE}/compatible")).is_ok_and(|text| text.contains("qemu,pseries")) {
        return Some("qemu");
    }
    // QEMU's board without a model behind it, which other monitors use as well. QEMU alone has its firmware's door.
    if source.text(&format!("{TREE}/compatible")).is_ok_and(|text| text.contains("linux,dummy-virt")) {
        let names = source.names(TREE).unwrap_or_default();
        return Some(if names.iter().any(|name| name.starts_with("fw-cfg")) { "qemu" } else { "vm" });
    }
    // A POWER machine that a management console divided.
    source.file(&format!("{TREE}/ibm,partition-name")).is_ok().then_some("powervm")
}

/// s390 lists the layers below it; the innermost has the highest number, of which `VM00` is the first.
fn by_sysinfo(source: &dyn Source) -> Option<&'static str> {
    let text = source.text("/proc/sysinfo").ok()?;
    let value =
        |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_prefix(':')).map(str::trim);
    match value("VM00 Control Program") {
        Some(program) if program.starts_with("KVM") => Some("kvm"),
        Some(program) if program.starts_with("z/VM") => Some("zvm"),
        Some(_) => Some("vm"),
        None => value("LPAR Number").map(|_| "pr/sm"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probes::cpuinfo::parse_cpuinfo;
    use crate::source::tape::Tape;

    fn of(tape: &Tape, cpuinfo: &str) -> Option<String> {
        ask(tape, &parse_cpuinfo(cpuinfo))
    }

    #[test]
    fn each_hypervisor_leaves_its_sign() {
        let dmi = |vendor: &str, product: &str| {
            Tape::new().file("/sys/class/dmi/id/sys_vendor", vendor).file("/sys/class/dmi/id/product_name", product)
        };
        let flag = "processor: 0\nflags: fpu hypervisor\n";
        assert_eq!(of(&dmi("Dell Inc.", "PowerEdge R640"), "processor: 0\nflags: fpu\n"), None);
        assert_eq!(of(&dmi("VMware, Inc.", "VMware Virtual Platform"), flag).as_deref(), Some("vmware"));
        assert_eq!(of(&dmi("Microsoft Corporation", "Virtual Machine"), flag).as_deref(), Some("hyperv"));
        assert_eq!(of(&dmi("Microsoft Corporation", "Surface Pro 7"), "").as_deref(), None);
        assert_eq!(of(&dmi("QEMU", "Standard PC (Q35 + ICH9, 2009)"), flag).as_deref(), Some("qemu"));
        assert_eq!(of(&dmi("Amazon EC2", "c5.metal"), "").as_deref(), None);
        assert_eq!(of(&Tape::new(), flag).as_deref(), Some("vm"));
        let clocks = "/sys/devices/system/clocksource/clocksource0/available_clocksource";
        assert_eq!(of(&Tape::new().file(clocks, "tsc kvm-clock \n"), flag).as_deref(), Some("kvm"));
        let board = Tape::new().file("/proc/device-tree/compatible", "linux,dummy-virt\0");
        assert_eq!(of(&board, "").as_deref(), Some("vm"));
        assert_eq!(of(&board.dir("/proc/device-tree", &["fw-cfg@9020000"]), "").as_deref(), Some("qemu"));
        let xen = Tape::new().file("/sys/hypervisor/type", "xen\n");
        assert_eq!(of(&xen, flag).as_deref(), Some("xen"));
        assert_eq!(of(&xen.file("/proc/xen/capabilities", "control_d\n"), "").as_deref(), None);
    }
}
