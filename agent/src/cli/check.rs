//! `muster-agent check`: tries everything that the service needs, and says what holds.

use super::output;
use crate::client::{Client, Floor};
use crate::config::Config;
use crate::exit::{Code, Fail};
use crate::state::files;
use crate::state::identity::{Usable, Vault};

/// `muster-agent check` has no arguments of its own.
pub fn check(config: &Config) -> Result<(), Fail> {
    say("configuration", "good")?;
    let state = |error: files::FileError| Fail::new(Code::State, error.to_string());
    files::make_dir(&config.state_dir).map_err(state)?;
    let trial = config.state_dir.join("check");
    files::replace(&trial, b"check").and_then(|()| files::remove(&trial)).map_err(state)?;
    say("state directory", &format!("{} can be written", config.state_dir.display()))?;
    let vault = Vault::open(&config.state_dir).map_err(state)?;
    let Some(current) = vault.current()? else {
        return Err(Fail::new(Code::NotEnrolled, "not enrolled; run `muster-agent enroll --join FILE`"));
    };
    say("identity", &format!("agent {}", current.stored.granted.agent))?;
    super::block_on(reach(&current, config))
}

/// Shows the certificate and asks for the settings, which changes nothing anywhere.
async fn reach(current: &Usable, config: &Config) -> Result<(), Fail> {
    let granted = &current.stored.granted;
    let floor = Floor::new();
    floor.raise(current.stored.granted_at);
    let client = Client::new(&granted.server_ca, Some(current), &floor, config.proxy.as_deref())?;
    let url = format!("{}/v1/settings", granted.agent_url.trim_end_matches('/'));
    let reply = client.get(&url).await.map_err(|error| error.fail(&url))?;
    match reply.status {
        200 => say("collector", &format!("{} is reached and trusted, and knows us", granted.agent_url)),
        429 | 503 => say("collector", &format!("{} is reached and trusted, and busy", granted.agent_url)),
        _ => {
            let text = format!("{url}: {}; `muster agents show {}` tells why", reply.complaint(), granted.agent);
            Err(Fail::new(Code::Refused, text))
        }
    }
}

fn say(what: &str, how: &str) -> Result<(), Fail> {
    output::print(|out| output::pairs(out, &[(what, how.to_owned())]))
}
