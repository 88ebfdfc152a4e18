//! Probes on recordings of real machines, compared with what established tools read from them. Every fact
//! that differs must be explained in a list beside the test; a machine that is not there yet is no failure.

#[path = "machines/cpu.rs"]
mod cpu;
#[path = "machines/disks.rs"]
mod disks;
#[path = "machines/dump.rs"]
mod dump;
#[path = "machines/folder.rs"]
mod folder;
#[cfg(target_os = "linux")]
#[path = "machines/here.rs"]
mod here;
#[path = "machines/os.rs"]
mod os;
#[path = "machines/users.rs"]
mod users;
