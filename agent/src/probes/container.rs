//! Whether this is a container, whose kernel and hardware are its host's.
//!
//! Not a probe: `system` must not report the host's serials as its own, and `os` names the engine.
//!
//! The rule. A file in an image proves nothing: images are booted as virtual machines, and `/.dockerenv` comes
//! along. So the kernel decides and files only name the engine:
//!
//! 1. The PID namespace. The machine's first one has the inode 4026531836 (`PROC_PID_INIT_INO` in
//!    `linux/proc_ns.h`); another one is a container, or an isolation that is to be treated as one.
//! 2. In the first namespace it is a container only if an engine's hand shows in the kernel's own tables: an
//!    id in `/proc/self/cgroup`, or `/` or a file of `/etc` mounted from an engine's store (`--pid=host`).
//! 3. Where the namespace cannot be seen, `/proc/2/comm` being `kthreadd` means the first one; else what
//!    PID 1 says of itself (`container=`, `/run/systemd/container`) counts as well as 2.

use crate::source::Source;

/// A container around the agent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// `docker`, `podman`, `lxc`, `systemd-nspawn`, `kubernetes`, `wsl` …; `other` where only the isolation shows.
    pub engine: String,
    /// The engine's id of it, if it can be seen from inside.
    pub id: Option<String>,
}

/// Where the agent's PID namespace stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    First,
    Own,
    Unseen,
}

const FIRST_PID_NAMESPACE: &str = "pid:[4026531836]";
/// Words in a cgroup path or a mounted store, and the engine whose they are; the more telling ones first.
const ENGINES: [(&str, &str); 11] = [
    ("libpod", "podman"),
    ("kubepods", "kubernetes"),
    ("/kubelet/pods/", "kubernetes"),
    ("crio-", "kubernetes"),
    ("io.containerd.grpc.v1.cri", "kubernetes"),
    ("/docker/", "docker"),
    ("docker-", "docker"),
    ("/overlay-containers/", "podman"),
    ("/containers/storage/", "podman"),
    ("io.containerd", "containerd"),
    ("lxc", "lxc"),
];
/// Engines name their containers with 256 random bits.
const ID_CHARS: usize = 64;

/// The container that the agent runs in, if it runs in one.
pub fn detect(source: &dyn Source) -> Option<Container> {
    let namespace = namespace(source);
    let engine = match namespace {
        Namespace::First => None,
        Namespace::Own | Namespace::Unseen => declared(source),
    };
    let cgroup = source.text("/proc/self/cgroup").ok().and_then(|text| parse_cgroup(&text));
    // A cgroup's name may be anybody's choice; an id in it is not.
    let cgroup = cgroup.filter(|hand| hand.id.is_some() || namespace != Namespace::First);
    let hand = match cgroup {
        Some(Container { id: Some(_), .. }) => cgroup,
        _ => source.text("/proc/self/mountinfo").ok().and_then(|text| parse_mountinfo(&text)).or(cgroup),
    };
    match (engine, hand) {
        (Some(engine), hand) => Some(Container { engine, id: hand.and_then(|hand| hand.id) }),
        (None, Some(hand)) => Some(hand),
        (None, None) if namespace == Namespace::Own => Some(Container { engine: marked(source), id: None }),
        (None, None) => None,
    }
}

/// The engine whose image the root filesystem is, by the marker that comes along when an image is booted. It says
/// where the files are from, not what this machine is: [`detect`] says that.
pub fn image(source: &dyn Source) -> Option<String> {
    source.file("/.dockerenv").is_ok().then(|| "docker".to_owned())
}

fn namespace(source: &dyn Source) -> Namespace {
    match source.link("/proc/self/ns/pid") {
        Ok(link) if link == FIRST_PID_NAMESPACE => Namespace::First,
        Ok(link) if link.starts_with("pid:[") => Namespace::Own,
        _ if source.text("/proc/2/comm").is_ok_and(|comm| comm == "kthreadd") => Namespace::First,
        _ => Namespace::Unseen,
    }
}

/// What PID 1 says of itself. systemd keeps it in a file, because its environment is for root alone.
fn declared(source: &dyn Source) -> Option<String> {
    let environ = source.file("/proc/1/environ").unwrap_or_default();
    let said = environ.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"container="));
    let said = said.map(|value| String::from_utf8_lossy(value).into_owned());
    said.or_else(|| source.text("/run/systemd/container").ok()).filter(|engine| is_word(engine))
}

fn is_word(text: &str) -> bool {
    (1..=32).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The engine by the files that it leaves, for a container that is known to be one.
fn marked(source: &dyn Source) -> String {
    let release = source.text("/proc/sys/kernel/osrelease").unwrap_or_default();
    let engine = if release.to_ascii_lowercase().contains("microsoft") {
        "wsl"
    } else if source.file("/run/.containerenv").is_ok() {
        "podman"
    } else if source.names("/run/secrets/kubernetes.io").is_ok() {
        "kubernetes"
    } else if source.file("/.dockerenv").is_ok() {
        "docker"
    } else {
        "other"
    };
    engine.to_owned()
}

/// `hierarchy:controllers:path` lines, cgroups(7).
fn parse_cgroup(text: &str) -> Option<Container> {
    let paths = text.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    best(paths.filter_map(by_name))
}

/// proc_pid_mountinfo(5): the fourth field is what is mounted, the fifth where, the last the options, among
/// them the layers of an overlay. Only what engines put over an image's own files is looked at: on a host,
/// its containers' filesystems are mounted elsewhere.
fn parse_mountinfo(text: &str) -> Option<Container> {
    let engines_hand = |line: &str| {
        let mut fields = line.split(' ');
        let (what, place) = (fields.nth(3)?, fields.next()?);
        match place {
            "/" => {
                let (_, rest) = line.split_once(" - ")?;
                let layers = rest.strip_prefix("overlay ")?;
                // The layers have ids of their own, which are not the container's.
                by_name(layers).map(|hand| Container { id: None, ..hand })
            }
            "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf" => by_name(what),
            _ => None,
        }
    };
    best(text.lines().filter_map(engines_hand))
}

/// The first that has an id, else the first.
fn best(hands: impl Iterator<Item = Container>) -> Option<Container> {
    let mut first = None;
    for hand in hands {
        if hand.id.is_some() {
            return Some(hand);
        }
        first.get_or_insert(hand);
    }
    first
}

fn by_name(path: &str) -> Option<Container> {
    let (_, engine) = ENGINES.iter().find(|(word, _)| path.contains(word))?;
    let mut words = path.split(|c: char| !c.is_ascii_alphanumeric());
    let is_id = |word: &&str| word.len() == ID_CHARS && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    Some(Container { engine: (*engine).to_owned(), id: words.rfind(is_id).map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tape::Tape;

    const ID: &str = "4f1a0b8c2d3e4f5061728394a5b6c7d8e9f00112233445566778899aabbccdde";

    fn found(tape: &Tape) -> Option<(String, Option<String>)> {
        detect(tape).map(|container| (container.engine, container.id))
    }

    fn own() -> Tape {
        Tape::new().link("/proc/self/ns/pid", "pid:[4026532741]")
    }

    fn first() -> Tape {
        Tape::new().link("/proc/self/ns/pid", FIRST_PID_NAMESPACE)
    }

    fn docker_mounts() -> String {
        format!(
            "632 566 0:52 / / rw,relatime master:225 - overlay overlay rw,lowerdir=/var/lib/docker/overlay2/l/AB,upperdir=/var/lib/docker/overlay2/{}/diff\n\
             643 632 254:1 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw,relatime - ext4 /dev/vda1 rw\n",
            "e".repeat(64)
        )
    }

    #[test]
    fn a_machine_with_a_stray_marker_is_a_machine() {
        let vm = first()
            .file("/.dockerenv", "")
            .file("/proc/self/cgroup", "9:name=systemd:/\n0::/\n")
            .file("/proc/self/mountinfo", "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
        assert_eq!(found(&vm), None);
        let unseen = Tape::new().file("/.dockerenv", "").file("/proc/2/comm", "kthreadd\n");
        assert_eq!(found(&unseen.file("/proc/1/environ", "container=docker\0")), None);
        assert_eq!(found(&Tape::new().file("/.dockerenv", "")), None);
    }

    #[test]
    fn a_host_of_containers_is_no_container() {
        let layer =
            "90 27 0:52 / /var/lib/docker/overlay2/ab/merged rw - overlay overlay rw,lowerdir=/var/lib/docker/x\n";
        let live = "27 1 0:24 / / rw - overlay /cow rw,lowerdir=//filesystem.squashfs,upperdir=/cow/upper\n";
        let host = first()
            .file("/proc/self/mountinfo", format!("{live}{layer}"))
            .file("/proc/self/cgroup", "0::/system.slice/docker-helper.service\n");
        assert_eq!(found(&host), None);
    }

    #[test]
    fn engines_are_named_by_what_they_say_or_leave() {
        let docker = own().file("/.dockerenv", "").file("/proc/self/cgroup", "0::/\n");
        assert_eq!(found(&docker), Some(("docker".into(), None)));
        assert_eq!(
            found(&docker.file("/proc/self/mountinfo", docker_mounts())),
            Some(("docker".into(), Some(ID.into())))
        );
        let nspawn = own().file("/proc/1/environ", "PATH=/bin\0container=systemd-nspawn\0");
        assert_eq!(found(&nspawn), Some(("systemd-nspawn".into(), None)));
        let lxc = own().denied("/proc/1/environ").file("/run/systemd/container", "lxc\n");
        assert_eq!(found(&lxc), Some(("lxc".into(), None)));
        let pod = format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope\n");
        assert_eq!(found(&own().file("/proc/self/cgroup", pod)), Some(("kubernetes".into(), Some(ID.into()))));
        let wsl = own().file("/proc/sys/kernel/osrelease", "5.15.90.1-microsoft-standard-WSL2\n");
        assert_eq!(found(&wsl), Some(("wsl".into(), None)));
        assert_eq!(found(&own()), Some(("other".into(), None)));
    }

    #[test]
    fn a_container_in_the_hosts_pid_namespace_shows_by_its_mounts_or_cgroup() {
        let mounts = first().file("/proc/self/mountinfo", docker_mounts());
        assert_eq!(found(&mounts), Some(("docker".into(), Some(ID.into()))));
        let cgroup = first().file("/proc/self/cgroup", format!("0::/system.slice/docker-{ID}.scope\n"));
        assert_eq!(found(&cgroup), Some(("docker".into(), Some(ID.into()))));
        let layers = docker_mounts().lines().next().expect("a root").to_owned();
        assert_eq!(found(&first().file("/proc/self/mountinfo", layers)), Some(("docker".into(), None)));
    }
}
