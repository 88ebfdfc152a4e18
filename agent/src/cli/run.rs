//! `muster-agent run`: the service.

use crate::config::Config;
use crate::exit::Fail;
use crate::source::live::Live;

pub fn run(config: &Config) -> Result<(), Fail> {
    super::block_on(crate::run::run(config, &|| Box::new(Live)))
}
