//! `muster-agent enroll`: reads the join file, which contains a secret, and removes it afterwards.

use super::output::{self, Format};
use crate::config::Config;
use crate::enroll::{self, JOIN_BYTES_MAX};
use crate::exit::{Code, Fail};
use crate::state::files;
use crate::state::identity::Vault;
use crate::state::lock::Lock;
use std::io::Read;
use std::path::PathBuf;

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent enroll --join join.json            the file is removed when it worked
  ssh host muster-agent enroll --join - < join.json

Waits where an admin has to approve; interrupted, the same command goes on waiting. Ends with 5 when
the collector refuses (the file is kept), 6 when it is out of reach, 7 when it is not the one of the file.")]
pub struct Args {
    /// The join file from `muster join create`, or - for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    join: PathBuf,
    /// Leave the join file where it is.
    #[arg(long)]
    keep_join: bool,
}

pub fn enroll(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    let state = |error: files::FileError| Fail::new(Code::State, error.to_string());
    // First: an identity that another agent is just being granted, or promotes, is not to be missed or torn.
    let _lock = Lock::take(&config.state_dir)?;
    let vault = Vault::open(&config.state_dir).map_err(state)?;
    if let Some(current) = vault.current()? {
        let granted = current.stored.granted;
        let text = format!(
            "already enrolled as {} at {}; `muster-agent seal --yes` forgets that identity",
            granted.agent, granted.agent_url
        );
        return Err(Fail::new(Code::Failure, text));
    }
    let stdin = args.join.as_os_str() == "-";
    let text = match stdin {
        true => from_stdin()?,
        false => {
            let read = files::read(&args.join, JOIN_BYTES_MAX);
            read.map_err(|error| super::unreadable(&args.join, &error, "`muster join create --file` makes one"))?
        }
    };
    let join = enroll::parse_join(&text)?;
    let stored = super::block_on(enroll::enroll(&join, &hostname(), &vault, config.proxy.as_deref()))?;
    if !stdin && !args.keep_join {
        files::remove(&args.join).map_err(state)?;
    }
    told(&stored.granted.agent.to_string(), &stored.granted.agent_url, format)
}

fn told(agent: &str, collector: &str, format: Format) -> Result<(), Fail> {
    output::print(|out| match format {
        Format::Json => output::json(out, &serde_json::json!({"agent": agent, "agent_url": collector})),
        Format::Csv => output::csv(out, ["agent", "agent_url"], [[agent, collector]]),
        Format::Table => writeln!(out, "enrolled as {agent} at {collector}; `muster-agent run` reports there"),
    })
}

fn from_stdin() -> Result<Vec<u8>, Fail> {
    let mut text = Vec::new();
    let limit = u64::try_from(JOIN_BYTES_MAX).unwrap_or(u64::MAX);
    let read = std::io::stdin().lock().take(limit).read_to_end(&mut text);
    read.map_err(|error| Fail::new(Code::Failure, format!("standard input: {error}")))?;
    Ok(text)
}

/// What the machine calls itself; shown to the admin who approves, never trusted.
fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_looked_at_before_the_lock_is_held() {
        let dir = tempfile::tempdir().expect("a folder");
        let _lock = Lock::take(dir.path()).expect("free");
        // As another agent may be just writing it.
        std::fs::write(dir.path().join("identity.json"), "{").expect("written");
        let config = Config { state_dir: dir.path().to_owned(), ..Config::default() };
        let args = Args { join: "join.json".into(), keep_join: false };
        let fail = enroll(&args, &config, Format::Table).expect_err("held");
        assert!(fail.text.starts_with("another agent uses "), "{fail}");
    }
}
