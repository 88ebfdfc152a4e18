//! A machine of one's own: a copy of a root, booted by systemd-nspawn with a network of its own (loopback alone).
//! Does not know what is tried in it. It ends with its value.

use super::packages::Packages;
use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// How long a boot and an end may take.
const BOOT_MAX: Duration = Duration::from_secs(120);
const END_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What every line of shell sees, and nothing else.
const ENVIRONMENT: &[&str] =
    &["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "DEBIAN_FRONTEND=noninteractive"];

/// What is missing here, if something is.
pub(in crate::check) fn lacks(root: &Path) -> Option<String> {
    if !nix::unistd::Uid::effective().is_root() {
        return Some("a container needs root".into());
    }
    for tool in ["systemd-nspawn", "nsenter"] {
        if Command::new(tool).arg("--version").output().is_err() {
            return Some(format!("{tool} is not installed (Debian: systemd-container, util-linux)"));
        }
    }
    (!root.join("usr/lib/systemd/systemd").exists())
        .then(|| format!("{}: no root with systemd; see --help", root.display()))
}

/// A copy that is not booted.
pub(in crate::check) struct Copy(TempDir);

/// Copies a root, and the packages into its `/root/1` and `/root/2`.
pub(in crate::check) fn copy(root: &Path, packages: &Packages) -> Result<Copy> {
    let copy = Copy(tempfile::Builder::new().prefix("muster-service.").tempdir().context("a folder")?);
    success(Command::new("cp").args(["-a", "--reflink=auto"]).arg(root).arg(copy.root()))?;
    for (number, files) in [("1", &packages.first), ("2", &packages.second)] {
        let folder = copy.root().join("root").join(number);
        fs::create_dir_all(&folder)?;
        for (name, file) in files {
            fs::copy(file, folder.join(name)).with_context(|| file.display().to_string())?;
        }
    }
    // The host's name is what the collector is called, and there is nobody else to ask for its address.
    fs::write(copy.root().join("etc/hostname"), "box\n")?;
    fs::write(copy.root().join("etc/hosts"), "127.0.0.1 localhost box\n")?;
    Ok(copy)
}

impl Copy {
    pub(in crate::check) fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// Runs a line of shell without booting; standard output and error.
    ///
    /// # Errors
    /// It failed, with what it said.
    pub(in crate::check) fn run(&self, line: &str) -> Result<String> {
        let mut command = Command::new("chroot");
        command.arg(self.root()).args(["/usr/bin/env", "-i"]).args(ENVIRONMENT);
        success(command.args(["sh", "-c", &format!("exec 2>&1\n{line}")]))
    }

    /// Boots it, and waits until its start is over.
    ///
    /// # Errors
    /// It does not come up.
    pub(in crate::check) fn boot(self) -> Result<Container> {
        let console = fs::File::create(self.0.path().join("console"))?;
        let mut command = Command::new("systemd-nspawn");
        command.args(["--quiet", "--private-network", "--register=no", "--keep-unit", "--console=pipe"]);
        command.args(["--hostname=box", "--boot", "--directory"]).arg(self.root());
        command.stdin(Stdio::null()).stdout(console.try_clone()?).stderr(console);
        let nspawn = command.spawn().context("systemd-nspawn")?;
        let mut container = Container { nspawn, leader: 0, copy: self };
        let until = Instant::now() + BOOT_MAX;
        while container.leader == 0 {
            container.leader = child(container.nspawn.id()).unwrap_or_default();
            ensure!(Instant::now() < until, "no container in {} s", BOOT_MAX.as_secs());
            ensure!(container.nspawn.try_wait()?.is_none(), "systemd-nspawn ended: {}", container.console());
            crate::check::pause(LOOK_EVERY);
        }
        loop {
            let state = container.says("systemctl is-system-running");
            if matches!(state.as_str(), "running" | "degraded") {
                return Ok(container);
            }
            ensure!(Instant::now() < until, "its start is not over: {state}: {}", container.console());
            crate::check::pause(LOOK_EVERY);
        }
    }
}

/// The first child of a process, by `/proc/PID/task/PID/children` (proc(5)).
fn child(process: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{process}/task/{process}/children")).ok()?;
    let children = children.split_whitespace().filter_map(|id| id.parse().ok());
    children
        .into_iter()
        .find(|id| fs::read_to_string(format!("/proc/{id}/comm")).is_ok_and(|name| name.trim() == "systemd"))
}

/// A booted one.
pub(in crate::check) struct Container {
    nspawn: Child,
    leader: u32,
    copy: Copy,
}

impl Container {
    /// The process that is 1 in it.
    pub(in crate::check) fn leader(&self) -> u32 {
        self.leader
    }

    /// A line of shell in it.
    pub(in crate::check) fn command(&self, line: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.leader.to_string(), "-m", "-u", "-i", "-n", "-p", "--", "env", "-i"]);
        command.args(ENVIRONMENT).args(["sh", "-c", line]).stdin(Stdio::null());
        command
    }

    /// Runs it; what it printed.
    ///
    /// # Errors
    /// It failed, with what it said.
    pub(in crate::check) fn run(&self, line: &str) -> Result<String> {
        success(&mut self.command(line)).with_context(|| line.to_owned())
    }

    /// What it prints, however it ends.
    pub(in crate::check) fn says(&self, line: &str) -> String {
        let out = self.command(line).output();
        out.map(|out| String::from_utf8_lossy(&out.stdout).trim().to_owned()).unwrap_or_default()
    }

    /// Waits until a line of shell succeeds, and gives what it printed.
    ///
    /// # Errors
    /// It does not in time.
    pub(in crate::check) fn until(&self, seconds: u64, line: &str) -> Result<String> {
        let until = Instant::now() + Duration::from_secs(seconds);
        loop {
            match self.run(line) {
                Ok(said) => return Ok(said),
                Err(error) if Instant::now() > until => return Err(error.context(format!("not in {seconds} s"))),
                Err(_) => crate::check::pause(LOOK_EVERY),
            }
        }
    }

    /// A property of a unit.
    pub(in crate::check) fn property(&self, unit: &str, property: &str) -> String {
        self.says(&format!("systemctl show --property={property} --value {unit}"))
    }

    /// Powers it off.
    ///
    /// # Errors
    /// It does not end in time.
    pub(in crate::check) fn end(mut self) -> Result<()> {
        if !self.stop() {
            bail!("the container did not end in {} s", END_MAX.as_secs());
        }
        Ok(())
    }

    fn console(&self) -> String {
        fs::read_to_string(self.copy.0.path().join("console")).unwrap_or_default()
    }

    fn stop(&mut self) -> bool {
        let until = Instant::now() + END_MAX;
        // Its end is asked for once; what does not heed it is killed below.
        let _ = kill(pid(self.nspawn.id()), Signal::SIGTERM);
        while Instant::now() < until {
            if matches!(self.nspawn.try_wait(), Ok(Some(_))) {
                return true;
            }
            crate::check::pause(LOOK_EVERY);
        }
        false
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if matches!(self.nspawn.try_wait(), Ok(None)) && !self.stop() {
            if self.leader != 0 {
                // The process 1 of a namespace takes all others along.
                let _ = kill(pid(self.leader), Signal::SIGKILL);
            }
            let _ = self.nspawn.kill();
            let _ = self.nspawn.wait();
        }
    }
}

fn pid(id: u32) -> Pid {
    Pid::from_raw(i32::try_from(id).unwrap_or(i32::MAX))
}

/// Standard output of what must succeed.
pub(in crate::check) fn success(command: &mut Command) -> Result<String> {
    let out = command.output().with_context(|| format!("{command:?}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !out.status.success() {
        let said = format!("{} {}", text(&out.stdout), text(&out.stderr));
        bail!(
            "{}: {}",
            out.status,
            said.chars().rev().take(600).collect::<Vec<_>>().into_iter().rev().collect::<String>()
        );
    }
    Ok(text(&out.stdout))
}
