//! stub
use anyhow::Result;
use std::path::Path;
pub(super) fn work(_dir: &Path, _seed: u64) -> Result<()> {
    Ok(())
}
pub(super) fn check(_p: &super::Powercut) -> Result<bool> {
    Ok(true)
}
