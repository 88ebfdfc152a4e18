//! Made machines, as tapes, and the agent that tells of them.

use agent::source::Table;
use agent::source::tape::Tape;
use tests::{Agent, World};

/// A made machine: what its maker and its owner gave it.
#[derive(Clone)]
pub struct Machine {
    pub hostname: &'static str,
    pub serial: &'static str,
    pub uuid: &'static str,
    pub board: &'static str,
    pub chassis: &'static str,
    pub nics: &'static [Nic],
    /// Set by a container engine, for what runs on this machine.
    pub container: bool,
}

/// What the kernel shows of the firmware's table.
const DMI: [&str; 11] = [
    "board_name",
    "board_serial",
    "board_vendor",
    "chassis_serial",
    "chassis_type",
    "chassis_vendor",
    "product_name",
    "product_serial",
    "product_sku",
    "product_uuid",
    "sys_vendor",
];

impl Machine {
    fn tape(&self) -> String {
        let mut tape = Tape::of("linux")
            .user(0)
            // The files below it tell enough, as they do to an agent that is not root.
            .denied("/sys/firmware/dmi/tables/DMI")
            .dir("/sys/class/dmi/id", &DMI)
            .dir("/sys/block", &[])
            .netlink(Table::Links, links(self.nics))
            .netlink(Table::Addresses, b"")
            .netlink(Table::Routes, b"")
            .file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n")
            .file("/proc/net/tcp", "")
            .file("/proc/self/mountinfo", "")
            .link("/proc/self/ns/pid", if self.container { "pid:[4026532800]" } else { "pid:[4026531836]" })
            .file("/proc/sys/kernel/hostname", format!("{}\n", self.hostname))
            .file(
                "/etc/os-release",
                "ID=debian\nNAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_ID=\"12\"\n",
            )
            .file("/proc/meminfo", "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n")
            .file(
                "/var/lib/dpkg/status",
                "Package: bash\nStatus: install ok installed\nArchitecture: amd64\nVersion: 5.2\n",
            );
        for (name, value) in [
            ("sys_vendor", "HP"),
            ("product_name", "EliteBook 840"),
            ("product_sku", "SKU-1"),
            ("product_serial", self.serial),
            ("product_uuid", self.uuid),
            ("board_vendor", "HP"),
            ("board_name", "8723"),
            ("board_serial", self.board),
            ("chassis_vendor", "HP"),
            ("chassis_serial", self.chassis),
            ("chassis_type", "10"),
        ] {
            tape = tape.file(&format!("/sys/class/dmi/id/{name}"), format!("{value}\n"));
        }
        for nic in self.nics.iter().filter(|nic| !nic.bus.is_empty()) {
            let at = format!("/sys/class/net/{}/device", nic.name);
            tape =
                tape.link(&at, "../../../0000:03:00.0").link(&format!("{at}/subsystem"), &format!("/bus/{}", nic.bus));
        }
        if self.container {
            tape =
                tape.file("/run/.containerenv", "engine=\"podman-4.3.1\"\nid=\"0123456789abcdef0123456789abcdef\"\n");
        }
        tape.to_text()
    }
}

/// An agent on a made machine.
pub struct Told {
    pub agent: Agent,
    tape: std::path::PathBuf,
}

impl Told {
    pub fn on(world: &World, name: &str, machine: &Machine) -> Told {
        let tape = world.path(&format!("{name}.tape"));
        std::fs::write(&tape, machine.tape()).expect("a tape");
        let mut told = Told { agent: world.join(name), tape };
        told.start();
        told
    }

    pub fn start(&mut self) {
        let tape = self.tape.clone();
        self.agent.start(&["--tape", tape.to_str().expect("a path")]);
    }

    /// The machine is another one from the next look on.
    pub fn becomes(&self, machine: &Machine) {
        let next = self.tape.with_extension("next");
        std::fs::write(&next, machine.tape()).expect("a tape");
        std::fs::rename(next, &self.tape).expect("a tape");
    }
}

/// A network interface.
#[derive(Clone, Copy)]
pub struct Nic {
    pub name: &'static str,
    /// Now, and for one on a bus also what it was made with.
    pub mac: [u8; 6],
    /// Empty for one made by software.
    pub bus: &'static str,
    /// Kind of a software interface.
    pub kind: &'static str,
    /// The number of the interface it is part of, from 1 in their order; 0 for none.
    pub master: u32,
}

/// A dump of rtnetlink(7) as the kernel answers it: a header and `struct ifinfomsg`, then attributes.
fn links(nics: &[Nic]) -> Vec<u8> {
    const ETHERNET: u16 = 1;
    const UP_AND_LOWER_UP: u32 = 0x1_0001;
    let message = |(index, nic): (u32, &Nic)| {
        let mut body = vec![0; 2];
        body.extend(ETHERNET.to_le_bytes());
        body.extend(index.to_le_bytes());
        body.extend(UP_AND_LOWER_UP.to_le_bytes());
        body.extend([0; 4]);
        body.extend(attribute(1, &nic.mac));
        body.extend(attribute(3, &[nic.name.as_bytes(), b"\0"].concat()));
        if nic.master > 0 {
            body.extend(attribute(10, &nic.master.to_le_bytes()));
        }
        if !nic.kind.is_empty() {
            body.extend(attribute(18, &attribute(1, nic.kind.as_bytes())));
        }
        if !nic.bus.is_empty() {
            body.extend(attribute(54, &nic.mac));
        }
        let mut bytes = u32::try_from(body.len() + 16).expect("short").to_le_bytes().to_vec();
        bytes.extend(16_u16.to_le_bytes());
        bytes.extend([0; 10]);
        bytes.extend(body);
        bytes
    };
    (1..).zip(nics).flat_map(message).collect()
}

/// Length, type, value, padded to four bytes.
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(value.len() + 4).expect("short").to_le_bytes().to_vec();
    bytes.extend(kind.to_le_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
