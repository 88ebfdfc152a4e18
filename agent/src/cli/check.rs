//! `muster-agent check`: tries everything that the service needs, and says what holds.

use super::output::{self, Format};
use crate::client::{Client, Floor};
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::state::files;
use crate::state::identity::{Usable, Vault};
use serde_json::json;

/// For `--help`.
pub const HELP: &str = "\
Examples:
  muster-agent check      each thing that holds is a line; the first that does not is also the error
  muster-agent check --output json

Ends with 0 when all holds, with 3 for the configuration, 4 when not enrolled, 5 when the collector refuses,
6 when it is out of reach, 7 when it is not the one to trust, 8 for the state directory.";

/// Runs the verb: the checks build upon each other, so the first that fails is the last.
pub fn check(config: &Config, format: Format) -> Result<(), Fail> {
    let mut tries = Tries::default();
    let ended = all(config, &mut tries);
    tries.print(format)?;
    ended
}

/// What was tried, how it ended, and what was found.
#[derive(Default)]
struct Tries(Vec<(&'static str, &'static str, String)>);

impl Tries {
    /// Keeps how a try ended.
    fn of<T>(&mut self, what: &'static str, tried: Result<(T, String), Fail>) -> Result<T, Fail> {
        match tried {
            Ok((value, found)) => {
                self.0.push((what, "PASS", found));
                Ok(value)
            }
            Err(fail) => {
                self.0.push((what, "FAIL", fail.text.clone()));
                Err(fail)
            }
        }
    }

    fn print(&self, format: Format) -> Result<(), Fail> {
        let rows = &self.0;
        output::print(|out| match format {
            Format::Table => rows.iter().try_for_each(|(what, state, found)| {
                writeln!(out, "{state}  {what:15}  {}", shared::show::line(found))
            }),
            Format::Json => {
                let row = |(what, state, found): &_| json!({"check": what, "state": state, "found": found});
                output::json(out, &rows.iter().map(row).collect::<Vec<_>>())
            }
            Format::Csv => {
                let lines = rows.iter().map(|(what, state, found)| [*what, *state, found.as_str()]);
                output::csv(out, ["check", "state", "found"], lines)
            }
        })
    }
}

fn all(config: &Config, tries: &mut Tries) -> Result<(), Fail> {
    // Without it no verb starts.
    tries.of("configuration", Ok(((), "good".to_owned())))?;
    tries.of("state directory", writable(config))?;
    let current = tries.of("identity", identity(config))?;
    tries.of("collector", super::block_on(reach(&current, config)).map(|found| ((), found)))
}

fn state(error: files::FileError) -> Fail {
    Fail::new(Code::State, error.to_string())
}

fn writable(config: &Config) -> Result<((), String), Fail> {
    files::make_dir(&config.state_dir).map_err(state)?;
    let trial = config.state_dir.join("check");
    files::replace(&trial, b"check").and_then(|()| files::remove(&trial)).map_err(state)?;
    let open =
        if files::is_open_to_others(&config.state_dir) { ", and others may look into it: chmod 700" } else { "" };
    Ok(((), format!("{} can be written{open}", config.state_dir.display())))
}

fn identity(config: &Config) -> Result<(Usable, String), Fail> {
    let vault = Vault::open(&config.state_dir).map_err(state)?;
    let Some(current) = vault.current()? else {
        return Err(Fail::new(Code::NotEnrolled, "not enrolled; run `muster-agent enroll --join FILE`"));
    };
    let found = format!("agent {}", current.stored.granted.agent);
    Ok((current, found))
}

/// Shows the certificate and asks for the settings, which changes nothing anywhere.
async fn reach(current: &Usable, config: &Config) -> Result<String, Fail> {
    let granted = &current.stored.granted;
    let floor = Floor::new();
    floor.raise(current.stored.granted_at.min(granted.expires));
    let client = Client::new(&granted.server_ca, Some(current), &floor, config.proxy.as_deref())?;
    let url = format!("{}/v1/settings", granted.agent_url.trim_end_matches('/'));
    let reply = client.get(&url).await.map_err(|error| error.fail(&url))?;
    match reply.status {
        200 => Ok(format!("{} is reached and trusted, and knows us", granted.agent_url)),
        429 | 503 => Ok(format!("{} is reached and trusted, and busy", granted.agent_url)),
        _ => {
            let text = format!("{url}: {}; `muster agents show {}` tells why", reply.complaint(), granted.agent);
            Err(Fail::new(Code::Refused, text))
        }
    }
}
