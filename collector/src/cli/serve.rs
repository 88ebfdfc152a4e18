//! `muster serve`: the collector in the foreground.

use super::exit::{Code, Failure};
use crate::config::{self, Config, Log};
use clap::Args;
use std::path::PathBuf;
use tracing::Level;

/// What `muster serve` may be told.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  muster serve --config /etc/muster/muster.toml")]
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
    let config = config::read(serve.config.as_deref(), |name| std::env::var(name).ok())
        .map_err(|error| Failure::new(Code::Config, error.to_string()))?;
    start_log(&config);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::new(Code::Failed, format!("no threads: {error}")))?;
    runtime.block_on(crate::serve::run(config))
}

fn start_log(config: &Config) {
    let log = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(Level::INFO).with_target(false);
    match config.log {
        Log::Text => log.with_ansi(false).init(),
        Log::Json => log.json().init(),
    }
}
