//! `muster-agent enroll`: reads the join file, which contains a secret, and removes it afterwards.

use super::output::{self, Format};
use crate::config::Config;
use crate::enroll::{self, JOIN_BYTES_MAX};
use crate::exit::{Code, Fail};
use crate::state::files;
use crate::state::identity::Vault;
use crate::state::lock::Lock;
use crate::state::owner;
use shared::enroll::Identity;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  muster-agent enroll --join join.json            the file is removed when it worked
  ssh host muster-agent enroll --join - < join.json
  muster-agent enroll --if-needed --join /etc/muster/join.json     unattended; may run any number of times

Waits where an admin has to approve; interrupted, the same command goes on waiting. Run by root, it acts as the user whose
the state directory is. Ends with 6 when the collector is out of reach, which is worth another try; with 5 when it
refuses and 7 when it is not the one of the file, which are not: get another file. The file is then kept.")]
pub struct Args {
    /// The join file from `muster join create`, or - for standard input.
    #[arg(long, value_name = "FILE", default_value = "-")]
    join: PathBuf,
    /// Leave the join file where it is.
    #[arg(long)]
    keep_join: bool,
    /// Being enrolled already is as good: end with 0, and remove the join file, whichever collector it names.
    #[arg(long)]
    if_needed: bool,
}

pub fn enroll(args: &Args, config: &Config, format: Format) -> Result<(), Fail> {
    // Before anything else: only root may read the file, and only its owner may write the state.
    let stdin = args.join.as_os_str() == "-";
    let text = if stdin { None } else { Some(read_join(&args.join)) };
    let guise = owner::act_as_owner(&config.state_dir)?;
    let outcome = enrolled(args, text, config)?;
    guise.end()?;
    if !stdin && !args.keep_join {
        files::remove(&args.join).map_err(state)?;
    }
    told(&outcome, format)
}

/// Who we are, and whether that is new.
struct Outcome {
    agent: String,
    agent_url: String,
    already: bool,
}

fn enrolled(args: &Args, text: Option<Result<Vec<u8>, Fail>>, config: &Config) -> Result<Outcome, Fail> {
    // First: an identity that another agent is just being granted, or promotes, is not to be missed or torn. One that
    // runs holds the lock, and has an identity.
    let vault = || Vault::open(&config.state_dir).map_err(state);
    let lock = Lock::try_take(&config.state_dir)?;
    let outcome = |granted: Identity, already| Outcome {
        agent: granted.agent.to_string(),
        agent_url: granted.agent_url,
        already,
    };
    if lock.is_some() || args.if_needed {
        match vault()?.current()? {
            Some(current) if args.if_needed => return Ok(outcome(current.stored.granted, true)),
            Some(current) => {
                let granted = current.stored.granted;
                let text = format!(
                    "already enrolled as {} at {}; `muster-agent seal --yes` forgets that identity",
                    granted.agent, granted.agent_url
                );
                return Err(Fail::new(Code::Failure, text));
            }
            None => {}
        }
    }
    let _lock = lock.map_or_else(|| Lock::take(&config.state_dir), Ok)?;
    let join = enroll::parse_join(&text.unwrap_or_else(from_stdin)?)?;
    let (vault, name) = (vault()?, hostname());
    let stored = super::block_on(enroll::enroll(&join, &name, &vault, config.proxy.as_deref()))?;
    Ok(outcome(stored.granted, false))
}

fn state(error: files::FileError) -> Fail {
    Fail::new(Code::State, error.to_string())
}

fn read_join(file: &Path) -> Result<Vec<u8>, Fail> {
    let read = files::read(file, JOIN_BYTES_MAX);
    read.map_err(|error| super::unreadable(file, &error, "`muster join create --file` makes one"))
}

fn told(outcome: &Outcome, format: Format) -> Result<(), Fail> {
    let Outcome { agent, agent_url, already } = outcome;
    output::print(|out| match format {
        Format::Json => {
            output::json(out, &serde_json::json!({"agent": agent, "agent_url": agent_url, "already": already}))
        }
        Format::Csv => output::csv(out, ["agent", "agent_url"], [[agent, agent_url]]),
        Format::Table if *already => writeln!(out, "already enrolled as {agent} at {agent_url}"),
        Format::Table => writeln!(out, "enrolled as {agent} at {agent_url}; `muster-agent run` reports there"),
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
        let args = Args { join: "join.json".into(), keep_join: false, if_needed: false };
        let fail = enroll(&args, &config, Format::Table).expect_err("held");
        assert!(fail.text.starts_with("another agent uses "), "{fail}");
    }
}
