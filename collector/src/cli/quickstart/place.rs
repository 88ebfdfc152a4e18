//! The folder of a quickstart: which files it has, and the settings of both programs in it.
//!
//! The ports stand in `muster.toml`, so that an agent finds its collector again the next day.

use crate::cli::exit::{Code, Failure};
use crate::config::{self, Config};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Where agents and people come in, if nobody else is there.
const PORTS: [u16; 2] = [8443, 8444];
/// Seconds between check-ins: short, so that there is something to see.
const CHECKIN_S: u32 = 10;
/// Bytes that the path of a socket may have, its end marker included (unix(7)).
const SOCKET_BYTES: usize = 108;

/// The folder.
pub(super) struct Place {
    /// Absolute, and UTF-8.
    pub(super) dir: PathBuf,
}

/// The folder that was asked for, or the one of this user (XDG base directories).
pub(super) fn folder(asked: Option<&Path>, env: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, Failure> {
    let absolute = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let found = match asked {
        Some(dir) => Some(std::path::absolute(dir)?),
        None => absolute("XDG_DATA_HOME")
            .or_else(|| absolute("HOME").map(|home| home.join(".local/share")))
            .map(|data| data.join("muster-quickstart")),
    };
    let found = found.ok_or_else(|| Failure::new(Code::Usage, "no home directory: say where with --dir DIR"))?;
    let socket = found.join("admin.sock");
    if found.to_str().is_none() || socket.as_os_str().len() >= SOCKET_BYTES {
        let text = format!("{}: too long for a socket, or not UTF-8; choose another --dir", found.display());
        return Err(Failure::new(Code::Usage, text));
    }
    Ok(found)
}

impl Place {
    /// Makes the folder, for its owner alone, or takes it up again.
    ///
    /// # Errors
    /// A folder with something else in it, or one in which a quickstart runs.
    pub(super) fn open(dir: &Path) -> Result<Place, Failure> {
        let place = Place { dir: dir.to_owned() };
        let failed = |error: std::io::Error| Failure::new(Code::Failed, format!("{}: {error}", dir.display()));
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
        if !place.settings().exists() && !place.agent_settings().exists() {
            if fs::read_dir(dir).map_err(failed)?.next().is_some() {
                let text = format!("{}: holds something else; choose a new or empty --dir", dir.display());
                return Err(Failure::new(Code::Conflict, text));
            }
            fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(failed)?;
        }
        if UnixStream::connect(place.socket()).is_ok() {
            let text = format!(
                "{}: a quickstart runs here; stop it with Ctrl-C, or look at it with `muster --socket {} assets list`",
                dir.display(),
                place.socket().display()
            );
            return Err(Failure::new(Code::Conflict, text));
        }
        let text = settings(&[("state_dir", text(&place.agent_state()))], None);
        place.write(&place.agent_settings(), &text)?;
        Ok(place)
    }

    /// Decides on the ports and keeps them. Gives what is worth telling. An agent that is enrolled knows them,
    /// so then they stay.
    pub(super) fn settle(&self, enrolled: bool) -> Result<Vec<String>, Failure> {
        if enrolled {
            return Ok(Vec::new());
        }
        let no_port = |error: std::io::Error| Failure::new(Code::Address, format!("no free port: {error}"));
        let mut told = Vec::new();
        let mut ports = [0; 2];
        // Held until both are found, or the second could be the first.
        let mut held = Vec::new();
        for (port, wanted) in ports.iter_mut().zip(PORTS) {
            let listener = match TcpListener::bind((Ipv4Addr::LOCALHOST, wanted)) {
                Ok(listener) => listener,
                Err(_) => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(no_port)?,
            };
            *port = listener.local_addr().map_err(no_port)?.port();
            if *port != wanted {
                told.push(format!("port {wanted} is in use: taking {port}"));
            }
            held.push(listener);
        }
        drop(held);
        self.write(&self.settings(), &self.collector_settings(ports))?;
        Ok(told)
    }

    fn collector_settings(&self, [agents, web]: [u16; 2]) -> String {
        let values = [
            ("state_dir", text(&self.dir.join("collector"))),
            ("admin_socket", text(&self.socket())),
            ("agent_listen", format!("127.0.0.1:{agents}").into()),
            ("web_listen", format!("127.0.0.1:{web}").into()),
            ("agent_url", format!("https://127.0.0.1:{agents}").into()),
            ("enroll_url", format!("https://127.0.0.1:{web}").into()),
            ("names", toml::Value::Array(vec!["127.0.0.1".into(), "localhost".into(), "::1".into()])),
        ];
        settings(&values, Some(("agents", "checkin_s", CHECKIN_S)))
    }

    /// The collector's settings. The environment has no say here.
    pub(super) fn config(&self) -> Result<Config, Failure> {
        config::read(Some(&self.settings()), |_| None).map_err(|error| {
            let text = format!("{error}; correct it, or remove {} to begin anew", self.dir.display());
            Failure::new(Code::Config, text)
        })
    }

    /// Why the collector does not start, in terms of this folder: an agent that is enrolled knows its ports.
    pub(super) fn explain(&self, failure: Failure) -> Failure {
        if failure.code != Code::Address {
            return failure;
        }
        let what = failure.message.split("; ").next().unwrap_or_default();
        let text = format!(
            "{what}; stop the program that has it (the agent here knows no other), or remove {} to begin anew",
            self.dir.display()
        );
        Failure::new(Code::Address, text)
    }

    fn settings(&self) -> PathBuf {
        self.dir.join("muster.toml")
    }

    /// The admin socket.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.join("admin.sock")
    }

    /// The collector's log.
    pub(super) fn collector_log(&self) -> PathBuf {
        self.dir.join("collector.log")
    }

    /// The agent's settings.
    pub(super) fn agent_settings(&self) -> PathBuf {
        self.dir.join("agent.toml")
    }

    fn agent_state(&self) -> PathBuf {
        self.dir.join("agent")
    }

    /// The agent's log.
    pub(super) fn agent_log(&self) -> PathBuf {
        self.dir.join("agent.log")
    }

    /// The join file, there for a moment only.
    pub(super) fn join(&self) -> PathBuf {
        self.dir.join("join.json")
    }

    /// A file for its owner alone, emptied.
    pub(super) fn create(&self, path: &Path) -> Result<File, Failure> {
        let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
        file.map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", path.display())))
    }

    /// Removes a file that need not be there.
    pub(super) fn remove(&self, path: &Path) -> Result<(), Failure> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Failure::new(Code::Failed, format!("{}: {error}", path.display())))
            }
            _ => Ok(()),
        }
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), Failure> {
        use std::io::Write as _;
        let written = self.create(path)?.write_all(text.as_bytes());
        written.map_err(|error| Failure::new(Code::Failed, format!("{}: {error}", path.display())))
    }

    /// What to do next, as commands that can be copied.
    pub(super) fn hints(&self, muster: &str, asset: &str) -> Vec<String> {
        let muster = format!("{} --socket {}", quoted(muster), quoted(&self.socket().to_string_lossy()));
        let asset = quoted(asset);
        vec![
            String::new(),
            "look around, in another terminal:".to_owned(),
            format!("  {muster} assets list"),
            format!("  {muster} assets show {asset} --software"),
            format!("  {muster} assets timeline {asset}"),
            format!("  {muster} tickets list --open"),
            format!("  {muster} events list --follow"),
            format!("logs: {}, {}", self.collector_log().display(), self.agent_log().display()),
            "stop: Ctrl-C".to_owned(),
        ]
    }
}

fn text(path: &Path) -> toml::Value {
    path.to_string_lossy().into_owned().into()
}

fn settings(values: &[(&str, toml::Value)], inner: Option<(&str, &str, u32)>) -> String {
    let mut table: toml::Table = values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
    if let Some((name, key, value)) = inner {
        let inner: toml::Table = [(key.to_owned(), i64::from(value).into())].into_iter().collect();
        table.insert(name.to_owned(), inner.into());
    }
    format!("# Written by `muster quickstart`.\n{table}")
}

/// A word for a shell (POSIX, 2.2.2).
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%,=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_is_the_one_asked_for_or_the_users() {
        let env = |vars: &'static [(&'static str, &'static str)]| {
            move |name: &str| vars.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        let of = |vars| folder(None, env(vars)).map_err(|failure| failure.code);
        assert_eq!(of(&[("HOME", "/h"), ("XDG_DATA_HOME", "/x")]), Ok("/x/muster-quickstart".into()));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_DATA_HOME", "")]), Ok("/h/.local/share/muster-quickstart".into()));
        assert_eq!(of(&[]), Err(Code::Usage));
        let long = "d".repeat(SOCKET_BYTES - "/".len() - "/admin.sock".len());
        let asked = |dir: &str| folder(Some(Path::new(dir)), |_| None).map_err(|failure| failure.code);
        assert_eq!(asked(&format!("/{long}")), Err(Code::Usage));
        assert!(asked(&format!("/{}", &long[1..])).is_ok());
    }

    #[test]
    fn the_settings_are_ones_that_the_collector_takes_and_ports_in_use_are_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::open(&folder.path().join("with 'quotes\"")).expect("a place");
        let held: Vec<_> = PORTS.iter().map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port))).collect();
        assert_eq!(place.settle(false).expect("ports").len(), PORTS.len());
        drop(held);
        let config = place.config().expect("settings");
        assert!(!PORTS.contains(&config.agent_listen.port()) && config.agent_listen.ip().is_loopback());
        assert_eq!(config.agent_url, format!("https://{}", config.agent_listen));
        assert_eq!(config.enroll_url, format!("https://{}", config.web_listen));
        assert_eq!(config.policy.settings.checkin_s, CHECKIN_S);
        let again = Place::open(&place.dir).expect("the same place");
        assert_eq!(again.settle(true).expect("nothing to do"), Vec::<String>::new());
        assert_eq!(again.config().expect("the same settings"), config);
        let mode = fs::metadata(&place.dir).expect("a folder").permissions().mode() & 0o777;
        assert_eq!(mode, 0o700);
    }

    #[test]
    fn a_folder_with_something_else_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("letter.txt"), "dear").expect("a file");
        let refused = Place::open(folder.path()).err().map(|failure| failure.code);
        assert_eq!(refused, Some(Code::Conflict));
        assert!(!folder.path().join("agent.toml").exists());
    }

    #[test]
    fn words_survive_a_shell() {
        assert_eq!(quoted("/a/b-c.sock"), "/a/b-c.sock");
        assert_eq!(quoted("it's $HOME"), "'it'\\''s $HOME'");
        assert_eq!(quoted(""), "''");
    }
}
