//! `muster serve`: the collector in the foreground.

use super::exit::{Code, Failure};
use crate::config::{self, Config, Log};
use clap::Args;
use std::path::PathBuf;
use tracing::Level;

/// Every setting with its default, for `--help`, as a file that may be copied. A test holds it against the settings
/// that there are.
macro_rules! settings {
    () => {
        r#"  state_dir = "/var/lib/muster"            # database, keys, addresses; MUSTER_STATE_DIR
  agent_listen = "0.0.0.0:8443"            # where agents come in; MUSTER_AGENT_LISTEN
  web_listen = "0.0.0.0:8444"              # people, tools, enrolling agents; MUSTER_WEB_LISTEN
  admin_socket = "/run/muster/admin.sock"  # admins of this host; MUSTER_ADMIN_SOCKET
  # names = ["HOST", "localhost"]          # what it is called from outside: its certificate holds these
  # agent_url = "https://HOST:8443"        # for join files; made of the first name and the port
  # enroll_url = "https://HOST:8444"       # the same, for enrollment
  log = "text"                             # or "json"; on standard error
  short_times = false                      # for tests: takes the lower bounds off seconds
  [agents]
  checkin_s = 300                          # between check-ins, 10 to 86400
  health_s = 15                            # between health samples, 5 to 3600
  certificate_s = 604800                   # life of an agent's certificate, 3600 to 7776000
  [faults]
  reports = 2                              # bad reports in a row that make a fault, good ones that end it, 1 to 100
  hold_s = 600                             # or seconds that it holds with fewer, 60 to 86400
  clear_s = 900                            # or good seconds after which it has passed with fewer, 60 to 86400
  reopen_s = 86400                         # within which the same fault reopens its incident, 60 to 2592000
  open_incidents = 10                      # automatic ones that an asset may have open, 1 to 1000
  # thresholds.disk_space = { raise = 90, clear = 85 }
  [limits]
  connections = 12000                      # over the network, 16 to 1000000
  per_address = 64                         # from one address, but for agents that are known
  checkin_burst = 10                       # check-ins of one agent at once
  checkin_every_ms = 10000                 # after which one more may come; 0 is no bound
  checkins_a_second = 2000                 # of all agents; who comes above it is told when to come back; 0 is no bound
  refused_a_minute = 10                    # refused enrollments from one neighbourhood; 0 is no bound"#
    };
}

const HELP: &str = concat!(
    "Settings (TOML) and their defaults; a key that does not exist is refused by name:\n",
    settings!(),
    "

Examples:
  muster serve --config /etc/muster/muster.toml
  MUSTER_STATE_DIR=/srv/muster muster serve

Sockets of the service manager (LISTEN_FDS) are taken by their names: admin, agents, web; without a name it is the
admin socket. What is not passed is opened as set above.

Stops on SIGTERM or SIGINT. Ends with 3 for a wrong setting, 8 for a database and 9 for an address that cannot
be used."
);

/// What `muster serve` may be told.
#[derive(Debug, Args)]
#[command(after_help = HELP)]
pub struct Serve {
    /// The settings; without this /etc/muster/muster.toml, which need not exist.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// What hindered the start, or ended the service.
pub fn run(serve: &Serve) -> Result<(), Failure> {
    let config = config::read(serve.config.as_deref(), crate::env::text)
        .map_err(|error| Failure::new(Code::Config, error.to_string()))?;
    start_log(&config);
    let passed = crate::serve::Passed::take()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Failed, format!("no threads: {error}")))?;
    runtime.block_on(crate::serve::run(config, passed))
}

fn start_log(config: &Config) {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(Level::INFO).with_target(false);
    match config.log {
        Log::Text => log.with_ansi(false).init(),
        Log::Json => log.json().init(),
    }
}

#[cfg(test)]
pub(crate) const SETTINGS: &str = settings!();
