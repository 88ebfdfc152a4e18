//! What only root may read, of all that probes ask: the whole list, as patterns.
//!
//! The role *probe* records answers to these and to nothing else; the role *run* takes answers to these from
//! that tape and to nothing else. Pure; knows questions, not answers. To let root tell more, a line goes here,
//! where it is reviewed.

use super::Ask;

/// Why an ordinary process, or one in the sandbox of a service, cannot ask for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rooted {
    /// Firmware's table and serial numbers, mode 0400.
    Firmware,
    /// What a path is, or how full what is mounted there: folders on the way may be closed.
    Closed,
    /// The first process's mounts: a service's own are all read-only.
    Mounts,
    /// The kernel's tables of sockets: in a user namespace the owners are all the same.
    Sockets,
    /// The folder of processes: others' are hidden.
    Processes,
    /// Name, program and sockets of one process.
    Process,
}

/// Files of firmware that are for root alone.
const FIRMWARE: &[&str] = &[
    "/sys/class/dmi/id/board_serial",
    "/sys/class/dmi/id/chassis_serial",
    "/sys/class/dmi/id/product_serial",
    "/sys/class/dmi/id/product_uuid",
    "/sys/firmware/dmi/tables/DMI",
    "/sys/firmware/dmi/tables/smbios_entry_point",
];
/// Places in root's home whose age says when the machine was installed; never their content.
const PLACES: &[&str] = &["/root/anaconda-ks.cfg"];
/// The first process's view of the mounts.
pub const MOUNTS: &str = "/proc/1/mountinfo";
/// Tables of sockets.
pub const SOCKETS: &[&str] = &["/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"];
/// The folder of processes.
pub const PROCESSES: &str = "/proc";

impl Rooted {
    /// Which of these a question is; `None` for all that everybody can ask, and for all that nobody is to be told.
    pub fn of(ask: &Ask) -> Option<Rooted> {
        match ask {
            Ask::File(path) if FIRMWARE.contains(&path.as_str()) => Some(Rooted::Firmware),
            Ask::Stat(path) if PLACES.contains(&path.as_str()) => Some(Rooted::Closed),
            Ask::Space(_) => Some(Rooted::Closed),
            Ask::File(path) if path == MOUNTS => Some(Rooted::Mounts),
            Ask::File(path) if SOCKETS.contains(&path.as_str()) => Some(Rooted::Sockets),
            Ask::Dir(path) if path == PROCESSES => Some(Rooted::Processes),
            Ask::File(path) => of_process(path, |rest| rest == "comm"),
            Ask::Dir(path) => of_process(path, |rest| rest == "fd"),
            Ask::Link(path) => {
                of_process(path, |rest| rest == "exe" || rest.strip_prefix("fd/").is_some_and(is_number))
            }
            Ask::Stat(_) | Ask::Netlink(_) | Ask::Command(_) | Ask::Clock | Ask::User => None,
        }
    }
}

fn of_process(path: &str, is_told: impl Fn(&str) -> bool) -> Option<Rooted> {
    let (pid, rest) = path.strip_prefix("/proc/")?.split_once('/')?;
    (is_number(pid) && is_told(rest)).then_some(Rooted::Process)
}

fn is_number(text: &str) -> bool {
    (1..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_else_is_ever_roots_to_tell() {
        let of = |ask: fn(String) -> Ask, path: &str| Rooted::of(&ask(path.to_owned()));
        assert_eq!(of(Ask::File, "/sys/firmware/dmi/tables/DMI"), Some(Rooted::Firmware));
        assert_eq!(of(Ask::File, "/proc/12/comm"), Some(Rooted::Process));
        assert_eq!(of(Ask::Link, "/proc/12/fd/7"), Some(Rooted::Process));
        assert_eq!(of(Ask::Dir, "/proc"), Some(Rooted::Processes));
        for file in ["/etc/shadow", "/proc/1/environ", "/proc/12/cmdline", "/proc/x/comm", "/proc/1/fd/../environ", ""]
        {
            assert_eq!(of(Ask::File, file), None, "{file}");
        }
        for link in ["/proc/12/cwd", "/proc/12/fd/7/x", "/proc/12/root", "/proc/self/exe"] {
            assert_eq!(of(Ask::Link, link), None, "{link}");
        }
        assert_eq!(
            (of(Ask::Dir, "/root"), of(Ask::Stat, "/root/.ssh"), of(Ask::File, "/root/anaconda-ks.cfg")),
            (None, None, None)
        );
    }
}
