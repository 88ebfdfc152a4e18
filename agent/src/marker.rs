//! Which probe is running, in a file that outlives this process but not the machine: so that a probe that hangs,
//! takes all memory or meets an error of the agent's own does not end each next start as well.
//!
//! It is written before each probe of each sample, and so only where that costs no disk: in the folder that the
//! service manager gives for the time that the machine runs (`RuntimeDirectory=` of systemd.exec(5), a tmpfs; kept over
//! a restart with `RuntimeDirectoryPreserve=restart`). Without one there is no marker.

use crate::probes::{self, Probe};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The file is always this long: a name, and spaces.
const BYTES: usize = 32;

/// The file, if there is a place for it.
#[derive(Debug, Default)]
pub struct Marker(Option<File>);

impl Marker {
    /// Takes up the marker, and says which probe ran when the last process ended.
    pub fn open(dir: Option<&Path>) -> (Marker, Option<&'static Probe>) {
        let open = |dir: &Path| {
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).mode(0o600);
            options.open(dir.join("probe")).ok()
        };
        let Some(file) = dir.and_then(open) else { return (Marker::default(), None) };
        let mut bytes = [0; BYTES];
        let read = file.read_at(&mut bytes, 0).unwrap_or(0);
        let name = bytes.get(..read).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let probe = name.and_then(|name| probes::find(name.trim_end()));
        (Marker(Some(file)), probe)
    }

    /// This probe runs now; none, if its name is empty.
    pub fn set(&self, name: &str) {
        if let Some(file) = &self.0 {
            // Without it only a hanging probe is found later.
            let _ = file.write_all_at(format!("{name:BYTES$.BYTES$}").as_bytes(), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_process_hears_which_probe_ran() {
        let dir = tempfile::tempdir().expect("a folder");
        let open = || Marker::open(Some(dir.path()));
        let (marker, before) = open();
        assert!(before.is_none());
        marker.set("health_services");
        assert_eq!(open().1.map(|probe| probe.name), Some("health_services"));
        marker.set("dpkg");
        assert_eq!(open().1.map(|probe| probe.name), Some("dpkg"));
        marker.set("");
        assert!(open().1.is_none());
        std::fs::write(dir.path().join("probe"), [0xff; 64]).expect("written");
        assert!(open().1.is_none());
        let (none, before) = Marker::open(Some(Path::new("/nowhere")));
        none.set("dpkg");
        assert!(before.is_none() && Marker::open(None).1.is_none());
    }
}
