//! What each package is and what lies where: two tables. Does not know how archives are made of it.

use super::Format;

/// The agent's package.
pub(super) const AGENT: &str = "muster-agent";

/// A package.
pub(super) struct What {
    /// Of the package, its program, its user and its folder under `/var/lib`.
    pub(super) name: &'static str,
    /// The crate that builds the program.
    pub(super) krate: &'static str,
    /// The profile that it is shipped with.
    pub(super) profile: &'static str,
    /// One line, then a paragraph.
    pub(super) description: &'static str,
    /// The configuration's name in `/etc/muster`, and its mode: the collector's is for it and root alone.
    pub(super) config: (&'static str, u32),
    /// From `packaging/linux`: (file, folder on the machine).
    pub(super) files: &'static [(&'static str, &'static str)],
}

const UNITS: &str = "/usr/lib/systemd/system";
const USERS: &str = "/usr/lib/sysusers.d";
const TMPFILES: &str = "/usr/lib/tmpfiles.d";
const PRESETS: &str = "/usr/lib/systemd/system-preset";

/// All packages.
pub(super) const PACKAGES: &[What] = &[
    What {
        name: AGENT,
        krate: "agent",
        profile: "dist",
        description: "Muster's agent: tells what this machine is, and how it fares\n\
                      It reads hardware, software and health from files, sends what differs to the collector, opens\n\
                      no port and executes nothing that the collector sends.",
        config: ("agent.toml", 0o644),
        files: &[
            ("units/muster-agent.service", UNITS),
            ("units/muster-agent-probe.service", UNITS),
            ("units/muster-agent-probe.timer", UNITS),
            ("units/muster-agent-enroll.service", UNITS),
            ("units/muster-agent-enroll.path", UNITS),
            ("users/muster-agent.conf", USERS),
            ("presets/80-muster-agent.preset", PRESETS),
        ],
    },
    What {
        name: "muster",
        krate: "collector",
        profile: "dist-collector",
        description: "Muster's collector: the register of every machine, and its command line\n\
                      It keeps the IT asset register that agents report to, opens incidents from faults, carries\n\
                      requests, problems and changes, and serves the API.",
        config: ("muster.toml", 0o640),
        files: &[
            ("units/muster.service", UNITS),
            ("units/muster.socket", UNITS),
            ("users/muster.conf", USERS),
            ("tmpfiles/muster.conf", TMPFILES),
            ("presets/80-muster.preset", PRESETS),
        ],
    },
];

/// Shells, as the programs' `docs completions` knows them, and where their completions lie.
pub(super) fn completions(format: Format, name: &str) -> [(&'static str, String); 3] {
    let zsh = match format {
        Format::Deb => "vendor-completions",
        Format::Rpm => "site-functions",
    };
    [
        ("bash", format!("/usr/share/bash-completion/completions/{name}")),
        ("zsh", format!("/usr/share/zsh/{zsh}/_{name}")),
        ("fish", format!("/usr/share/fish/vendor_completions.d/{name}.fish")),
    ]
}
