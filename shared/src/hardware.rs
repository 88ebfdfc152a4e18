//! Typed facts: hardware, network, system and people. Each becomes an [`Item`]; the key of each kind is
//! said at its `From`. A field is `None` when the machine does not tell it, never a placeholder.

use crate::fact::Item;

/// The machine as its maker sold it, its board, its chassis or its firmware (SMBIOS types 1, 2, 3, 0).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Part {
    /// `system`, `board`, `chassis` or `firmware`.
    pub kind: String,
    /// Maker or firmware vendor.
    pub maker: Option<String>,
    /// Product name; for firmware its version.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Stock keeping unit (system, chassis).
    pub sku: Option<String>,
    /// Hardware revision.
    pub version: Option<String>,
    /// Product family (system).
    pub family: Option<String>,
    /// SMBIOS UUID, lower case, first three fields little endian as SMBIOS 2.6 says (system).
    pub uuid: Option<String>,
    /// Owner's tag; never used as a serial.
    pub asset_tag: Option<String>,
    /// Chassis form in words: `Notebook`, `Rack Mount Chassis` …
    pub form: Option<String>,
    /// Firmware release date, `YYYY-MM-DD`.
    pub date: Option<String>,
}

impl From<Part> for Item {
    /// Key: the kind; a second board has its number (`board#2`), given by the probe in `kind`.
    fn from(part: Part) -> Item {
        let kind = part.kind.split('#').next().unwrap_or("").to_owned();
        Item { maker: part.maker, model: part.model, serial: part.serial, ..Item::new(kind, part.kind) }
            .with("sku", part.sku)
            .with("version", part.version)
            .with("family", part.family)
            .with("uuid", part.uuid)
            .with("asset_tag", part.asset_tag)
            .with("form", part.form)
            .with("date", part.date)
    }
}

/// One CPU package (socket).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cpu {
    /// The socket's number.
    pub socket: u32,
    /// `Intel`, `AMD`, `ARM` …
    pub maker: Option<String>,
    /// The marketing name.
    pub model: Option<String>,
    /// Instruction set as the kernel names it: `x86_64`, `aarch64`.
    pub arch: Option<String>,
    /// Cores in this package.
    pub cores: Option<u32>,
    /// Hardware threads in this package, all cores together.
    pub threads: Option<u32>,
    /// Highest clock in MHz.
    pub max_mhz: Option<u32>,
    /// Family, model and stepping numbers.
    pub family: Option<u32>,
    /// The model number within the family.
    pub model_number: Option<u32>,
    /// Stepping or revision.
    pub stepping: Option<u32>,
    /// Microcode revision.
    pub microcode: Option<String>,
    /// `level kind size_bytes` of each cache of the first core: `L1d 32768`.
    pub caches: Vec<String>,
    /// Feature flags.
    pub flags: Vec<String>,
}

impl From<Cpu> for Item {
    /// Key: the socket's number.
    fn from(cpu: Cpu) -> Item {
        Item { maker: cpu.maker, model: cpu.model, ..Item::new("cpu", cpu.socket.to_string()) }
            .with("arch", cpu.arch)
            .with("cores", cpu.cores)
            .with("threads", cpu.threads)
            .with("max_mhz", cpu.max_mhz)
            .with("family", cpu.family)
            .with("model_number", cpu.model_number)
            .with("stepping", cpu.stepping)
            .with("microcode", cpu.microcode)
            .with_list("caches", cpu.caches)
            .with_list("flags", cpu.flags)
    }
}

/// All memory of the machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Memory {
    /// What the operating system can use, in bytes.
    pub total_bytes: i64,
    /// Swap in bytes.
    pub swap_bytes: Option<i64>,
    /// Slots on the board (SMBIOS type 16).
    pub slots: Option<u32>,
    /// What the board takes at most, in bytes.
    pub max_bytes: Option<i64>,
    /// Error correction in words: `Multi-bit ECC`.
    pub ecc: Option<String>,
    /// In use now, in bytes.
    pub used_bytes: Option<i64>,
}

impl From<Memory> for Item {
    /// Key: `memory`.
    fn from(memory: Memory) -> Item {
        Item { size: Some(memory.total_bytes), ..Item::new("memory", "memory") }
            .with("swap_bytes", memory.swap_bytes)
            .with("slots", memory.slots)
            .with("max_bytes", memory.max_bytes)
            .with("ecc", memory.ecc)
            .with_now("used_bytes", memory.used_bytes)
    }
}

/// One memory module (SMBIOS type 17). Empty slots are no modules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Module {
    /// Slot, as the board labels it; with the bank where slots share labels.
    pub slot: String,
    /// Maker.
    pub maker: Option<String>,
    /// Part number.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Size in bytes.
    pub size_bytes: Option<i64>,
    /// `DDR4` …
    pub technology: Option<String>,
    /// `DIMM`, `SODIMM` …
    pub form: Option<String>,
    /// The speed it is made for, in MT/s.
    pub speed_mts: Option<u32>,
    /// The speed it runs at, in MT/s.
    pub configured_mts: Option<u32>,
    /// The bank's label.
    pub bank: Option<String>,
}

impl From<Module> for Item {
    /// Key: the slot.
    fn from(module: Module) -> Item {
        Item {
            maker: module.maker,
            model: module.model,
            serial: module.serial,
            size: module.size_bytes,
            ..Item::new("memory_module", module.slot)
        }
        .with("technology", module.technology)
        .with("form", module.form)
        .with("speed_mts", module.speed_mts)
        .with("configured_mts", module.configured_mts)
        .with("bank", module.bank)
    }
}

/// One whole disk; partitions are in `partitions`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Disk {
    /// The kernel's name when the disk's section last changed: `sda`. Volatile, so that a start at which `sda` and
    /// `sdb` changed places is no change, and is not told either.
    pub name: String,
    /// WWN, lower case, as udev writes it (`0x5000…`, `eui.…`, `nvme.…`).
    pub wwn: Option<String>,
    /// Maker.
    pub maker: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Size in bytes.
    pub size_bytes: Option<i64>,
    /// `sata`, `sas`, `nvme`, `usb`, `mmc`, `virtio`, `loop`, `zram` …
    pub bus: Option<String>,
    /// `hdd`, `ssd`, `optical`, `virtual`; nothing where the machine cannot know.
    pub medium: Option<String>,
    /// Firmware revision.
    pub firmware: Option<String>,
    /// Can be taken out while running.
    pub removable: bool,
    /// The file behind a loop device.
    pub backing: Option<String>,
    /// The device on its bus: sysfs path below `/sys/devices`.
    pub path: Option<String>,
    /// What a mapped device is: `luks`, `lvm`, `multipath` …
    pub mapping: Option<String>,
    /// `number size_bytes` of each partition.
    pub partitions: Vec<String>,
}

impl From<Disk> for Item {
    /// Key: WWN, else serial, else name. The name depends on the order in which disks were found, and is volatile.
    fn from(disk: Disk) -> Item {
        let key = disk.wwn.clone().or_else(|| disk.serial.clone()).unwrap_or_else(|| disk.name.clone());
        Item {
            maker: disk.maker,
            model: disk.model,
            serial: disk.serial,
            size: disk.size_bytes,
            ..Item::new("disk", key)
        }
        .with("wwn", disk.wwn)
        .with("bus", disk.bus)
        .with("medium", disk.medium)
        .with("firmware", disk.firmware)
        .with("removable", disk.removable.then_some(true))
        .with("backing", disk.backing)
        .with("path", disk.path)
        .with("mapping", disk.mapping)
        .with_now("name", Some(disk.name))
        .with_list("partitions", disk.partitions)
    }
}

/// One mounted filesystem that holds files of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filesystem {
    /// Mount point.
    pub mount: String,
    /// Device or source; where something else says which filesystem it is, volatile, as of the section's last change.
    pub device: String,
    /// Type: `ext4`, `xfs`, `nfs4` …
    pub fstype: String,
    /// Size in bytes.
    pub size_bytes: Option<i64>,
    /// Mounted read-only.
    pub read_only: bool,
    /// UUID of the filesystem.
    pub uuid: Option<String>,
    /// Label of the filesystem.
    pub label: Option<String>,
    /// On another machine.
    pub remote: bool,
    /// Free for everybody, in bytes.
    pub free_bytes: Option<i64>,
    /// Inodes, free of total.
    pub inodes: Option<(i64, i64)>,
}

impl From<Filesystem> for Item {
    /// Key: the mount point. Where something else says which filesystem it is, the device's name, which depends on
    /// the order in which devices were found, is volatile. A loop device's says nothing but that.
    fn from(fs: Filesystem) -> Item {
        let passing = fs.uuid.is_some() || fs.device.starts_with("/dev/loop");
        let (device, device_now) = if passing { (None, Some(fs.device)) } else { (Some(fs.device), None) };
        Item { label: fs.label, size: fs.size_bytes, ..Item::new("filesystem", fs.mount) }
            .with("device", device)
            .with_now("device", device_now)
            .with("fstype", Some(fs.fstype))
            .with("read_only", fs.read_only.then_some(true))
            .with("uuid", fs.uuid)
            .with("remote", fs.remote.then_some(true))
            .with_now("free_bytes", fs.free_bytes)
            .with_now("inodes_free", fs.inodes.map(|(free, _)| free))
            .with("inodes", fs.inodes.map(|(_, total)| total))
    }
}

/// One network interface.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// `ethernet`, `wifi`, `loopback`, `bridge`, `bond`, `vlan`, `tunnel`, `veth` …
    pub form: String,
    /// A device of its own on a bus, not made by software.
    pub physical: bool,
    /// The bus of the device: `pci`, `usb`, `virtio` …
    pub bus: Option<String>,
    /// Its MAC now, lower case.
    pub mac: Option<String>,
    /// The MAC that its hardware was made with.
    pub permanent_mac: Option<String>,
    /// Driver.
    pub driver: Option<String>,
    /// Vendor and device number on the bus: `8086:15f3`.
    pub device_id: Option<String>,
    /// Address and prefix of each: `192.0.2.1/24`, `2001:db8::1/64`.
    pub addresses: Vec<String>,
    /// Largest packet in bytes.
    pub mtu: Option<u32>,
    /// Up and with a carrier.
    pub up: bool,
    /// Speed in Mbit/s, if the link tells it.
    pub speed_mbps: Option<u32>,
    /// `full` or `half`.
    pub duplex: Option<String>,
    /// The bridge, bond or team it belongs to.
    pub master: Option<String>,
    /// The interface it lies on: that of a VLAN.
    pub parent: Option<String>,
    /// The VLAN's number.
    pub vlan: Option<u32>,
    /// How a bond shares its ports: `active-backup`, `802.3ad` …
    pub bond_mode: Option<String>,
    /// Gateways that are reached through it, of default routes.
    pub gateways: Vec<String>,
    /// Gateways could not be asked for: that there are none says nothing. Volatile, so that it is no change by itself.
    pub gateways_unknown: bool,
}

impl From<Interface> for Item {
    /// Key: the permanent MAC if the interface is physical and has one, else its name.
    fn from(interface: Interface) -> Item {
        let key = match &interface.permanent_mac {
            Some(mac) if interface.physical => mac.clone(),
            _ => interface.name.clone(),
        };
        Item { label: Some(interface.name), ..Item::new("interface", key) }
            .with("form", Some(interface.form))
            .with("physical", Some(interface.physical))
            .with("bus", interface.bus)
            .with("mac", interface.mac)
            .with("permanent_mac", interface.permanent_mac)
            .with("driver", interface.driver)
            .with("device_id", interface.device_id)
            .with_list("addresses", interface.addresses)
            .with("mtu", interface.mtu)
            .with("up", Some(interface.up))
            .with("speed_mbps", interface.speed_mbps)
            .with("duplex", interface.duplex)
            .with("master", interface.master)
            .with("parent", interface.parent)
            .with("vlan", interface.vlan)
            .with("bond_mode", interface.bond_mode)
            .with_list("gateways", interface.gateways)
            .with_now("gateways_unknown", interface.gateways_unknown.then_some(true))
    }
}

/// The operating system.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Os {
    /// Name as sold: `Debian GNU/Linux 12 (bookworm)`.
    pub name: String,
    /// `linux`, `windows`, `macos` …
    pub family: String,
    /// `debian` … (`ID` of os-release).
    pub distribution: Option<String>,
    /// Distributions it derives from.
    pub like: Vec<String>,
    /// Version, the most exact one known.
    pub version: Option<String>,
    /// Release name.
    pub codename: Option<String>,
    /// Kernel release.
    pub kernel: Option<String>,
    /// Architecture of the kernel.
    pub arch: Option<String>,
    /// What the machine calls itself.
    pub hostname: Option<String>,
    /// Fully qualified name.
    pub fqdn: Option<String>,
    /// Time zone: `Europe/Paris`.
    pub timezone: Option<String>,
    /// Installed on, `YYYY-MM-DD`.
    pub installed: Option<String>,
    /// Virtual machine it runs in: `kvm`, `vmware` …
    pub hypervisor: Option<String>,
    /// Container it runs in: `docker`, `lxc` …; both layers may be there.
    pub container: Option<String>,
    /// The engine whose image this root filesystem is (`docker`), on a machine that is no container: an image that
    /// was booted. Tools that go by the marker alone take such a machine for a container.
    pub image: Option<String>,
    /// This boot's id.
    pub boot_id: Option<String>,
    /// When this boot began, microseconds UTC.
    pub booted_us: Option<i64>,
}

impl From<Os> for Item {
    /// Key: `os`.
    fn from(os: Os) -> Item {
        Item { label: Some(os.name), ..Item::new("os", "os") }
            .with("family", Some(os.family))
            .with("distribution", os.distribution)
            .with_list("like", os.like)
            .with("version", os.version)
            .with("codename", os.codename)
            .with("kernel", os.kernel)
            .with("arch", os.arch)
            .with("hostname", os.hostname)
            .with("fqdn", os.fqdn)
            .with("timezone", os.timezone)
            .with("installed", os.installed)
            .with("hypervisor", os.hypervisor)
            .with("container", os.container)
            .with("image", os.image)
            .with_now("boot_id", os.boot_id)
            .with_now("booted_us", os.booted_us)
    }
}

/// One local account. Accounts of a directory are never listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct User {
    /// Login name.
    pub name: String,
    /// Numeric id.
    pub uid: u32,
    /// Numeric id of the primary group.
    pub gid: u32,
    /// Full name.
    pub full_name: Option<String>,
    /// Home directory.
    pub home: Option<String>,
    /// Login shell.
    pub shell: Option<String>,
    /// Local groups it is in: the primary one first, then those that list it.
    pub groups: Vec<String>,
    /// May act as administrator by being in a group that does.
    pub admin: bool,
    /// Terminals or hosts it is logged in from now.
    pub sessions: Vec<String>,
}

impl From<User> for Item {
    /// Key: the login name.
    fn from(user: User) -> Item {
        Item { label: user.full_name, ..Item::new("user", user.name) }
            .with("uid", Some(user.uid))
            .with("gid", Some(user.gid))
            .with("home", user.home)
            .with("shell", user.shell)
            .with_list("groups", user.groups)
            .with("admin", user.admin.then_some(true))
            .with_now("sessions", (!user.sessions.is_empty()).then_some(user.sessions))
    }
}

/// One listening socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Port {
    /// `tcp` or `udp`.
    pub protocol: String,
    /// Address it is bound to: `0.0.0.0`, `::`, `127.0.0.1`.
    pub address: String,
    /// Port number.
    pub port: u32,
    /// Name of the program that owns it, if it may be known.
    pub process: Option<String>,
    /// Its executable.
    pub executable: Option<String>,
    /// The user it runs as, numeric.
    pub uid: Option<u32>,
    /// Its process id now.
    pub pid: Option<u32>,
}

impl From<Port> for Item {
    /// Key: `protocol/address/port`.
    fn from(port: Port) -> Item {
        Item { label: port.process, ..Item::new("port", format!("{}/{}/{}", port.protocol, port.address, port.port)) }
            .with("protocol", Some(port.protocol))
            .with("address", Some(port.address))
            .with("port", Some(port.port))
            .with("executable", port.executable)
            .with("uid", port.uid)
            .with_now("pid", port.pid)
    }
}

/// One service that the system manages.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// Name: `ssh.service`.
    pub name: String,
    /// One line on what it is.
    pub description: Option<String>,
    /// How it starts: `enabled`, `disabled`, `static`, `masked` …
    pub start: Option<String>,
    /// `active`, `failed`, `inactive` …; nothing where it cannot be known.
    pub state: Option<String>,
    /// The command it runs, without its arguments.
    pub command: Option<String>,
    /// The user it runs as.
    pub user: Option<String>,
}

impl From<Service> for Item {
    /// Key: the name.
    fn from(service: Service) -> Item {
        Item { label: service.description, ..Item::new("service", service.name) }
            .with("start", service.start)
            .with("state", service.state)
            .with("command", service.command)
            .with("user", service.user)
    }
}
