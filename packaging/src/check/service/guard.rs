//! What an attacker finds: rights of files, sandboxes, sockets, log lines.

use super::Promise;
use super::container::Container;
use anyhow::{Context, Result, ensure};
use std::fmt::Write as _;

/// In this order.
pub(super) const PROMISES: &[Promise] = &[
    ("files of the packages", files),
    ("scores of the units", scores),
    ("sandboxes are in force", sandbox),
    ("log", log),
];

const UNITS: [&str; 4] =
    ["muster-agent.service", "muster-agent-probe.service", "muster-agent-enroll.service", "muster.service"];
/// Tenths.
const SCORE_MAX: u32 = 12;

fn files(container: &Container) -> Result<String> {
    let list = "dpkg --listfiles muster muster-agent | grep '^/' | sort -u";
    let loose = container.run(&format!(
        "{list} | xargs -d '\\n' -I F find F -maxdepth 0 ! -type l \
        \\( -perm /022 -o -perm /6000 -o ! -user root \\) -printf '%p %m %u\\n'"
    ))?;
    ensure!(loose.is_empty(), "writable by others, setuid or not root's: {loose}");
    // The dynamic section's tags DT_RPATH and DT_RUNPATH, as the host's readelf shows them.
    let mut paths = String::new();
    for program in ["muster", "muster-agent"] {
        let file = format!("/proc/{}/root/usr/bin/{program}", container.leader());
        match std::process::Command::new("readelf").args(["--dynamic", &file]).output() {
            Ok(out) => String::from_utf8_lossy(&out.stdout)
                .lines()
                .filter(|line| line.contains("RPATH") || line.contains("RUNPATH"))
                .for_each(|line| paths.push_str(line)),
            Err(_) => return Ok("none loose; RPATH not looked at: readelf is not installed".into()),
        }
    }
    ensure!(paths.is_empty(), "{paths}");
    Ok(format!("{} paths, none writable by others, none setuid, no RPATH", container.says(&format!("{list} | wc -l"))))
}

fn scores(container: &Container) -> Result<String> {
    let mut said = String::new();
    for unit in UNITS {
        let line = format!("systemd-analyze security --no-pager --threshold={SCORE_MAX} {unit} | tail -1");
        container.run(&format!("systemd-analyze security --no-pager --threshold={SCORE_MAX} {unit} >/dev/null"))?;
        let score = container.says(&line);
        let score = score.rsplit_once(": ").map_or(score.as_str(), |(_, score)| score);
        let score = score.split_whitespace().next().context("a score")?;
        let _ = write!(said, "{unit} {score}, ");
    }
    container.run("systemd-analyze verify --man=no --recursive-errors=no /usr/lib/systemd/system/muster*")?;
    Ok(format!("{said}and systemd-analyze verify finds nothing"))
}

fn sandbox(container: &Container) -> Result<String> {
    let mut said = String::new();
    for unit in ["muster-agent", "muster"] {
        let line = format!(
            "grep -E '^(Seccomp|NoNewPrivs|CapBnd|CapEff):' /proc/$(systemctl show --property=MainPID --value {unit})/status"
        );
        let status = container.run(&line)?.split_whitespace().collect::<Vec<_>>().join(" ");
        for expected in ["Seccomp: 2", "NoNewPrivs: 1", "CapEff: 0000000000000000"] {
            ensure!(status.contains(expected), "{unit}: {status}");
        }
        let _ = write!(said, "{unit}: {status}; ");
    }
    Ok(said)
}

fn log(container: &Container) -> Result<String> {
    let lines = "journalctl --no-pager -o cat -u 'muster*'";
    let errors = container.says(&format!("{lines} -p err; {lines} | grep -iE 'error|panicked|denied|not permitted'"));
    ensure!(errors.is_empty(), "{errors}");
    Ok(format!("{} lines, no error among them", container.says(&format!("{lines} | wc -l"))))
}
