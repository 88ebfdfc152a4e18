//! Names that kernels give as numbers: ARM implementers and parts (MIDR_EL1, Arm ARM D19; vendors'
//! reference manuals), RISC-V vendors (JEDEC JEP106 numbers in `mvendorid`), s390 machine types (IBM's
//! machine type list) and the vendor strings of CPUID leaf 0. A number that is not here has no name.

/// x86 vendor strings and others that cpuinfo spells out.
const VENDORS: &[(&str, &str)] = &[
    ("GenuineIntel", "Intel"),
    ("AuthenticAMD", "AMD"),
    ("HygonGenuine", "Hygon"),
    ("CentaurHauls", "VIA"),
    ("Shanghai", "Zhaoxin"),
    ("GenuineTMx86", "Transmeta"),
    ("TransmetaCPU", "Transmeta"),
    ("CyrixInstead", "Cyrix"),
    ("Geode by NSC", "National Semiconductor"),
    ("NexGenDriven", "NexGen"),
    ("RiseRiseRise", "Rise"),
    ("SiS SiS SiS", "SiS"),
    ("UMC UMC UMC", "UMC"),
    ("Vortex86 SoC", "DM&P"),
    ("IBM/S390", "IBM"),
];

/// ARM implementers.
const IMPLEMENTERS: &[(u32, &str)] = &[
    (0x41, "ARM"),
    (0x42, "Broadcom"),
    (0x43, "Cavium"),
    (0x44, "DEC"),
    (0x46, "Fujitsu"),
    (0x48, "HiSilicon"),
    (0x49, "Infineon"),
    (0x4d, "Freescale"),
    (0x4e, "NVIDIA"),
    (0x50, "APM"),
    (0x51, "Qualcomm"),
    (0x53, "Samsung"),
    (0x56, "Marvell"),
    (0x61, "Apple"),
    (0x66, "Faraday"),
    (0x69, "Intel"),
    (0x6d, "Microsoft"),
    (0x70, "Phytium"),
    (0xc0, "Ampere"),
];

/// ARM parts: implementer, part, name.
#[rustfmt::skip]
const PARTS: &[(u32, u32, &str)] = &[
    (0x41, 0x920, "ARM920T"), (0x41, 0x926, "ARM926EJ-S"), (0x41, 0x946, "ARM946E-S"),
    (0x41, 0xb02, "ARM11 MPCore"), (0x41, 0xb36, "ARM1136J-S"), (0x41, 0xb56, "ARM1156T2-S"), (0x41, 0xb76, "ARM1176JZF-S"),
    (0x41, 0xc05, "Cortex-A5"), (0x41, 0xc07, "Cortex-A7"), (0x41, 0xc08, "Cortex-A8"), (0x41, 0xc09, "Cortex-A9"),
    (0x41, 0xc0d, "Cortex-A17"), (0x41, 0xc0e, "Cortex-A17"), (0x41, 0xc0f, "Cortex-A15"),
    (0x41, 0xc14, "Cortex-R4"), (0x41, 0xc15, "Cortex-R5"), (0x41, 0xc17, "Cortex-R7"), (0x41, 0xc18, "Cortex-R8"),
    (0x41, 0xd01, "Cortex-A32"), (0x41, 0xd02, "Cortex-A34"), (0x41, 0xd03, "Cortex-A53"), (0x41, 0xd04, "Cortex-A35"),
    (0x41, 0xd05, "Cortex-A55"), (0x41, 0xd06, "Cortex-A65"), (0x41, 0xd07, "Cortex-A57"), (0x41, 0xd08, "Cortex-A72"),
    (0x41, 0xd09, "Cortex-A73"), (0x41, 0xd0a, "Cortex-A75"), (0x41, 0xd0b, "Cortex-A76"), (0x41, 0xd0c, "Neoverse-N1"),
    (0x41, 0xd0d, "Cortex-A77"), (0x41, 0xd0e, "Cortex-A76AE"), (0x41, 0xd13, "Cortex-R52"), (0x41, 0xd40, "Neoverse-V1"),
    (0x41, 0xd41, "Cortex-A78"), (0x41, 0xd42, "Cortex-A78AE"), (0x41, 0xd43, "Cortex-A65AE"), (0x41, 0xd44, "Cortex-X1"),
    (0x41, 0xd46, "Cortex-A510"), (0x41, 0xd47, "Cortex-A710"), (0x41, 0xd48, "Cortex-X2"), (0x41, 0xd49, "Neoverse-N2"),
    (0x41, 0xd4a, "Neoverse-E1"), (0x41, 0xd4b, "Cortex-A78C"), (0x41, 0xd4c, "Cortex-X1C"), (0x41, 0xd4d, "Cortex-A715"),
    (0x41, 0xd4e, "Cortex-X3"), (0x41, 0xd4f, "Neoverse-V2"), (0x41, 0xd80, "Cortex-A520"), (0x41, 0xd81, "Cortex-A720"),
    (0x41, 0xd82, "Cortex-X4"), (0x41, 0xd84, "Neoverse-V3"), (0x41, 0xd85, "Cortex-X925"), (0x41, 0xd87, "Cortex-A725"),
    (0x41, 0xd8e, "Neoverse-N3"),
    (0x42, 0x100, "Brahma-B53"), (0x42, 0x516, "ThunderX2"),
    (0x43, 0x0a0, "ThunderX"), (0x43, 0x0a1, "ThunderX 88XX"), (0x43, 0x0a2, "ThunderX 81XX"),
    (0x43, 0x0a3, "ThunderX 83XX"), (0x43, 0x0af, "ThunderX2 99xx"),
    (0x46, 0x001, "A64FX"), (0x48, 0xd01, "Kunpeng-920"), (0x48, 0xd02, "Kunpeng-930"),
    (0x4e, 0x000, "Denver"), (0x4e, 0x003, "Denver 2"), (0x4e, 0x004, "Carmel"), (0x50, 0x000, "X-Gene"),
    (0x51, 0x06f, "Krait"), (0x51, 0x001, "Oryon"), (0x51, 0x201, "Kryo"), (0x51, 0x205, "Kryo"), (0x51, 0x211, "Kryo"),
    (0x51, 0x800, "Kryo 2xx Gold"), (0x51, 0x801, "Kryo 2xx Silver"), (0x51, 0x802, "Kryo 3xx Gold"),
    (0x51, 0x803, "Kryo 3xx Silver"), (0x51, 0x804, "Kryo 4xx Gold"), (0x51, 0x805, "Kryo 4xx Silver"),
    (0x51, 0xc00, "Falkor"), (0x51, 0xc01, "Saphira"), (0x53, 0x001, "Exynos-M1"),
    (0x61, 0x022, "Icestorm-M1"), (0x61, 0x023, "Firestorm-M1"), (0x61, 0x032, "Blizzard-M2"), (0x61, 0x033, "Avalanche-M2"),
    (0x6d, 0xd49, "Azure Cobalt 100"), (0x70, 0x660, "FTC660"), (0x70, 0x661, "FTC661"), (0x70, 0x662, "FTC662"),
    (0x70, 0x663, "FTC663"), (0xc0, 0xac3, "Ampere-1"), (0xc0, 0xac4, "Ampere-1a"),
];

/// RISC-V vendors by `mvendorid`.
const RISCV_VENDORS: &[(u32, &str)] = &[
    (0x489, "SiFive"),
    (0x5b7, "T-Head"),
    (0x31e, "Andes"),
    (0x61f, "Ventana"),
    (0x710, "SpacemiT"),
    (0x029, "Microchip"),
];

/// IBM Z machine types.
const S390_MACHINES: &[(u32, &str)] = &[
    (2064, "z900"),
    (2066, "z800"),
    (2084, "z990"),
    (2086, "z890"),
    (2094, "z9 EC"),
    (2096, "z9 BC"),
    (2097, "z10 EC"),
    (2098, "z10 BC"),
    (2817, "z196"),
    (2818, "z114"),
    (2827, "zEC12"),
    (2828, "zBC12"),
    (2964, "z13"),
    (2965, "z13s"),
    (3906, "z14"),
    (3907, "z14 ZR1"),
    (8561, "z15 T01"),
    (8562, "z15 T02"),
    (3931, "z16 A01"),
    (3932, "z16 A02"),
    (9175, "z17"),
];

fn number(table: &[(u32, &'static str)], wanted: u32) -> Option<&'static str> {
    table.iter().find(|(n, _)| *n == wanted).map(|(_, name)| *name)
}

/// The maker that a vendor string stands for; a string that is not known stands for itself.
pub fn vendor(text: &str) -> String {
    VENDORS.iter().find(|(id, _)| *id == text).map_or(text, |(_, name)| *name).to_owned()
}

/// Who designed an ARM core.
pub fn implementer(id: u32) -> Option<&'static str> {
    number(IMPLEMENTERS, id)
}

/// The name of an ARM core.
pub fn part(implementer: u32, part: u32) -> Option<&'static str> {
    PARTS.iter().find(|(i, p, _)| (*i, *p) == (implementer, part)).map(|(_, _, name)| *name)
}

/// Who made a RISC-V hart.
pub fn riscv_vendor(id: u32) -> Option<&'static str> {
    number(RISCV_VENDORS, id)
}

/// The name of an IBM Z machine.
pub fn s390_machine(kind: u32) -> Option<&'static str> {
    number(S390_MACHINES, kind)
}
