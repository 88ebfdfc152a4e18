//! The bounds on what an agent sends and a collector answers. Both sides keep them: the agent cuts and
//! says `truncated`, the collector refuses and names the limit.

/// A check-in's body as it travels, compressed.
pub const BODY_COMPRESSED_BYTES: usize = 1024 * 1024;
/// A check-in's body after decompression.
pub const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Decompressed : compressed, judged after [`RATIO_GRACE_BYTES`].
pub const BODY_RATIO: usize = 100;
/// Bytes that may be decompressed before the ratio counts.
pub const RATIO_GRACE_BYTES: usize = 64 * 1024;
/// Largest window that a zstd body may ask for, as a power of two (8 MiB).
pub const ZSTD_WINDOW_LOG: u32 = 23;
/// Nesting of JSON.
pub const JSON_DEPTH: usize = 32;
/// JSON values in one body.
pub const JSON_NODES: usize = 200_000;
/// A string anywhere in a body.
pub const TEXT_BYTES: usize = 4096;
/// Keys, labels, names and kinds.
pub const NAME_BYTES: usize = 512;
/// Attributes of one item.
pub const ATTRS: usize = 64;
/// Records in one check-in.
pub const RECORDS: usize = 256;
/// Sections in one record.
pub const SECTIONS: usize = 64;
/// Problems of one section.
pub const PROBLEMS: usize = 64;
/// Rows of a section that has no bound of its own.
pub const ROWS: usize = 4096;
/// An answer of the collector to an agent.
pub const ANSWER_BYTES: usize = 256 * 1024;
/// A certificate signing request in DER.
pub const CSR_BYTES: usize = 4096;
/// A probed file, held whole.
pub const FILE_BYTES: usize = 1024 * 1024;
/// A package database, the one kind of file that is larger.
pub const DATABASE_BYTES: usize = 64 * 1024 * 1024;
/// What is spooled on an agent's disk while the collector is away.
pub const SPOOL_BYTES: u64 = 64 * 1024 * 1024;
/// Records that are spooled at most.
pub const SPOOL_RECORDS: usize = 10_000;

/// Rows that a section may have.
pub fn rows(section: &str) -> usize {
    match section {
        crate::software::SECTION_DPKG => 20_000,
        "disks" => 512,
        "network" => 256,
        crate::evidence::SECTION => 256,
        "usb" => 512,
        name if crate::health::is_section(name) => 1024,
        _ => ROWS,
    }
}
