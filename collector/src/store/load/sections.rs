//! Rows of sections, in the two layouts: items, and software.

use super::Source;
use crate::store::engine::Error;
use crate::store::table::{item, lost, section, software};
use crate::work::{Known, Needs, Rows};
use shared::id::AssetId;

/// The rows of the sections that are named.
pub fn rows(source: &mut Source<'_>, asset: AssetId, needs: &Needs, known: &mut Known) -> Result<(), Error> {
    let number = |rows: usize| u64::try_from(rows).unwrap_or(u64::MAX);
    for (section, rows) in &needs.sections {
        let complete = |rows: usize| match known.sections.get(section) {
            Some(head) => section::holds(asset, head, number(rows)),
            None if rows == 0 => Ok(()),
            None => Err(lost("section", format!("{section} of {asset}"))),
        };
        let is_software = shared::software::SECTIONS.contains(&section.as_str());
        match rows {
            Rows::None => {}
            Rows::Keys(keys) if is_software => {
                let found = software::load(source.engine, source.dictionary, asset, section, Some(keys))?;
                complete(found.touched.len() + found.others.len())?;
                known.software.insert(section.clone(), found);
            }
            Rows::All if is_software => {
                let found = software::load(source.engine, source.dictionary, asset, section, None)?;
                complete(found.touched.len())?;
                known.software.insert(section.clone(), found);
            }
            Rows::Keys(keys) => {
                let items = known.items.entry(section.clone()).or_default();
                for key in keys {
                    if let Some(item) = item::by_key(source.engine, asset, section, key)? {
                        items.insert(item.key.clone(), item);
                    }
                }
            }
            Rows::All => {
                let items = item::of(source.engine, asset, section)?;
                complete(items.len())?;
                known.items.insert(section.clone(), items.into_iter().map(|item| (item.key.clone(), item)).collect());
            }
        }
    }
    Ok(())
}
